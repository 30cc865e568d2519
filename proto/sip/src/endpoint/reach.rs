//! By what peers reach us: the Contact of what makes or refreshes dialogs (RFC 3261, 8.1.1.8; RFC 5627, 4.4;
//! RFC 5626, 4.3).

use super::Endpoint;
use crate::{
    AccountId, HeaderName, Headers, Uri,
    attempt::{Contact, Reach, contact_uri},
    capability::REACHED,
    header::{Address, List},
    id::UsageId,
};
use base::{HostPort, Transport};
use std::collections::BTreeMap;

/// The accounts that are registered with an instance of theirs; the last registration counts.
#[derive(Debug, Default)]
pub(super) struct Reached(BTreeMap<AccountId, (UsageId, Reach)>);

impl Reached {
    /// Takes what the registration of an account says at this moment, or that it says nothing any more.
    pub(super) fn note(&mut self, usage: UsageId, account: AccountId, reach: Option<&Reach>) {
        let known = self.0.get(&account);
        match reach {
            Some(reach) if known.is_some_and(|(of, known)| *of == usage && known == reach) => {}
            Some(reach) => drop(self.0.insert(account, (usage, reach.clone()))),
            None if known.is_some_and(|(of, _)| *of == usage) => drop(self.0.remove(&account)),
            None => {}
        }
    }

    fn of(&self, contact: &Contact) -> Option<&Reach> {
        self.0.get(&contact.account?).map(|(_, reach)| reach)
    }
}

/// What a message says of how we are reached.
pub(super) struct Shown {
    pub(super) contact: Address,
    /// The extensions that it supports. None without an instance: nobody can use them then, and many a
    /// request is near the size of a datagram.
    pub(super) supported: &'static [&'static str],
}

impl Shown {
    /// Says it. `is_supporting`: the extensions, too.
    pub(super) fn write(self, headers: &mut Headers, is_supporting: bool) {
        headers.push(HeaderName::Contact, self.contact);
        if is_supporting && !self.supported.is_empty() {
            headers.push(HeaderName::Supported, List(self.supported));
        }
    }
}

impl Endpoint {
    /// Our Contact on a way: where the peer that gets it can reach us. `makes_dialog`: in a request outside
    /// of dialogs, which may make one.
    pub(super) fn contact_on(
        &self,
        contact: &Contact,
        transport: Transport,
        here: &HostPort,
        makes_dialog: bool,
    ) -> Option<Shown> {
        let reach = self.reached.of(contact).filter(|_| contact.uri.is_none());
        // RFC 3261, 8.1.1.8: `sips` where the request is.
        let gruu = reach
            .and_then(|reach| reach.gruu.as_deref())
            .filter(|gruu| gruu.is_secure() || !contact.secure);
        let uri = match gruu {
            // RFC 5627, 4.4
            Some(gruu) => gruu.clone(),
            None => {
                let uri = contact_uri(contact, transport, here)?;
                let is_outbound = reach.is_some_and(|reach| reach.is_outbound);
                match is_outbound && makes_dialog {
                    true => with_ob(uri),
                    false => uri,
                }
            }
        };
        let mut address = Address::new(uri);
        address.params.clone_from(&contact.params);
        Some(Shown {
            contact: address,
            supported: reach.map_or(&[], |_| &REACHED),
        })
    }
}

/// RFC 5626, 4.3: what comes in the dialog comes over the flow that made it.
fn with_ob(uri: Uri) -> Uri {
    let marked = uri.to_parts().and_then(|mut parts| {
        parts.params.push(("ob".to_owned(), None));
        parts.to_uri().ok()
    });
    marked.unwrap_or(uri)
}
