//! The accounts of an agent, and how they are found.

use crate::account::{Account, Publishing, Registering};
use base::{Deadline, Host, Rng, Table};
use sip::{AccountId, MessageId, PublicationId, RegistrationId, SipUri, Uri, header::Address};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// What an agent does for its accounts.
#[derive(Debug, Default)]
pub(in crate::agent) struct Accounts {
    /// Those that were removed, too, while a server holds something of them.
    entries: Table<AccountId, Entry>,
    /// Those that are there, in the order in which they were added.
    order: Vec<AccountId>,
    default: Option<AccountId>,
    /// Who speaks where there is no account.
    nobody: Account,
    /// Messages of ours that have no result, with their destination.
    pub(super) messages: BTreeMap<MessageId, Uri>,
}

/// An account and what servers hold of it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) account: Account,
    /// The user of the Contact that it registers (ACC-10).
    pub(super) contact_user: String,
    pub(super) registering: Option<Registering>,
    /// By event package.
    pub(super) publishing: BTreeMap<String, Publishing>,
    /// It was removed.
    pub(super) is_leaving: bool,
}

/// Who speaks: what all requests of an account have in common.
#[derive(Clone, Copy, Debug)]
pub(in crate::agent) struct Profile<'a> {
    /// `None` where there is no account.
    pub(in crate::agent) id: Option<AccountId>,
    pub(in crate::agent) account: &'a Account,
    service_route: &'a [Uri],
}

impl Accounts {
    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.order.len()
    }

    /// All that are there, in the order in which they were added.
    pub(in crate::agent) fn ids(&self) -> &[AccountId] {
        &self.order
    }

    /// The one that speaks unless another is named (AMG-12).
    pub(in crate::agent) const fn default_id(&self) -> Option<AccountId> {
        self.default
    }

    /// One that is there.
    pub(super) fn get(&self, id: AccountId) -> Option<&Entry> {
        self.entries.get(id).filter(|entry| !entry.is_leaving)
    }

    /// One that is there, to change it; `None` stands for the default one.
    pub(super) fn find_mut(&mut self, id: Option<AccountId>) -> Option<(AccountId, &mut Entry)> {
        let id = id.or(self.default)?;
        let entry = self.entries.get_mut(id);
        entry
            .filter(|entry| !entry.is_leaving)
            .map(|entry| (id, entry))
    }

    /// What is known of one that is there.
    pub(in crate::agent) fn account(&self, id: AccountId) -> Option<&Account> {
        self.get(id).map(|entry| &entry.account)
    }

    /// Who speaks if `id` is asked to, or the default account; `None` if there is no such account.
    pub(in crate::agent) fn profile(&self, id: Option<AccountId>) -> Option<Profile<'_>> {
        let Some(id) = id.or(self.default) else {
            return Some(Profile {
                id: None,
                account: &self.nobody,
                service_route: &[],
            });
        };
        self.get(id).map(|entry| Profile {
            id: Some(id),
            account: &entry.account,
            service_route: entry
                .registering
                .as_ref()
                .map_or(&[], Registering::service_route),
        })
    }

    /// ACC-16.
    pub(in crate::agent) fn is_registered(&self, id: Option<AccountId>) -> bool {
        let entry = id.or(self.default).and_then(|id| self.get(id));
        entry
            .and_then(|entry| entry.registering.as_ref())
            .is_some_and(Registering::is_registered)
    }

    /// The account that a Request-URI means (AMG-08): the contact user or the whole address of record
    /// first, then the user alone. Where no account has an address, or no user is named, it is the
    /// default one.
    pub(in crate::agent) fn find(&self, uri: &Uri) -> Option<AccountId> {
        let user = uri.as_ref().user_text();
        let Some(user) = user.filter(|_| self.users().is_some()) else {
            return self.default;
        };
        let all = || {
            let known = self
                .order
                .iter()
                .filter_map(|&id| Some((id, self.get(id)?)));
            known.filter_map(|(id, entry)| Some((id, entry, entry.account.uri.as_ref()?)))
        };
        let is_user = |own: &Uri| own.as_ref().user_text().is_some_and(|own| own == user);
        let is_exact = |entry: &Entry, own: &Uri| {
            entry.contact_user == user || is_user(own) && is_same_host(own, uri)
        };
        all()
            .find(|(_, entry, own)| is_exact(entry, own))
            .or_else(|| all().find(|(_, _, own)| is_user(own)))
            .map(|(id, ..)| id)
    }

    /// Whom a request can ask for; `None` where no account has an address: such an agent is called by
    /// its IP address, and is whoever is meant.
    pub(super) fn users(&self) -> Option<BTreeSet<String>> {
        let known = self.order.iter().filter_map(|&id| self.get(id));
        let mut addressed = known
            .filter_map(|entry| Some((entry, entry.account.uri.as_ref()?)))
            .peekable();
        addressed.peek()?;
        let names = addressed.flat_map(|(entry, uri)| {
            let user = uri.as_ref().user_text().map(|user| user.into_owned());
            user.into_iter().chain([entry.contact_user.clone()])
        });
        Some(names.collect())
    }

    /// Adds one; the first is the default one.
    pub(super) fn add(&mut self, account: Account, rng: &mut Rng) -> AccountId {
        let contact_user = match &account.contact_user {
            Some(user) => user.clone(),
            None => letters(rng),
        };
        let id = self.entries.insert(Entry {
            account,
            contact_user,
            registering: None,
            publishing: BTreeMap::new(),
            is_leaving: false,
        });
        self.order.push(id);
        id
    }

    /// Takes one off the list; its entry stays until no server holds anything of it. False if there was
    /// none.
    pub(super) fn remove(&mut self, id: AccountId) -> bool {
        let Some((_, entry)) = self.find_mut(Some(id)) else {
            return false;
        };
        entry.is_leaving = true;
        self.order.retain(|&other| other != id);
        true
    }

    /// Makes one the default; without a name the first one, unless there is one already. Says who it
    /// was if that changes something.
    pub(super) fn set_default(
        &mut self,
        wanted: Option<AccountId>,
    ) -> Option<(Option<AccountId>, Option<AccountId>)> {
        let old = self.default;
        let kept = old.filter(|&id| self.get(id).is_some());
        self.default = wanted.or(kept).or_else(|| self.order.first().copied());
        (self.default != old).then_some((old, self.default))
    }

    /// A removed account of which no server holds anything, and that is not busy otherwise, taken out of
    /// the table.
    pub(super) fn take_left(
        &mut self,
        is_busy: impl Fn(AccountId) -> bool,
    ) -> Option<(AccountId, Entry)> {
        let has_left = |(id, entry): &(AccountId, &Entry)| {
            entry.is_leaving && entry.is_at_rest() && !is_busy(*id)
        };
        let (id, _) = self.entries.iter().find(has_left)?;
        self.entries.remove(id).map(|entry| (id, entry))
    }

    /// All of which a server may hold something.
    pub(super) fn entries_mut(&mut self) -> impl Iterator<Item = (AccountId, &mut Entry)> {
        self.entries.iter_mut()
    }

    pub(super) fn registering_mut(&mut self, id: RegistrationId) -> Option<&mut Registering> {
        let all = self.entries.iter_mut();
        all.filter_map(|(_, entry)| entry.registering.as_mut())
            .find(|registering| registering.id() == Some(id))
    }

    pub(super) fn publishing_mut(&mut self, id: PublicationId) -> Option<&mut Publishing> {
        let all = self.entries.iter_mut();
        all.flat_map(|(_, entry)| entry.publishing.values_mut())
            .find(|publishing| publishing.id() == id)
    }

    pub(in crate::agent) fn poll_timeout(&self) -> Option<Deadline> {
        let all = self.entries.iter().map(|(_, entry)| entry);
        all.filter_map(Entry::poll_timeout)
            .min_by_key(|deadline| deadline.at)
    }

    /// True if no server holds anything of us.
    pub(in crate::agent) fn is_at_rest(&self) -> bool {
        self.entries.iter().all(|(_, entry)| entry.is_at_rest())
    }
}

impl Entry {
    fn poll_timeout(&self) -> Option<Deadline> {
        let registering = self.registering.iter().map(Registering::poll_timeout);
        let publishing = self.publishing.values().map(Publishing::poll_timeout);
        let all = registering.chain(publishing).flatten();
        all.min_by_key(|deadline| deadline.at)
    }

    fn is_at_rest(&self) -> bool {
        self.registering
            .as_ref()
            .is_none_or(Registering::is_at_rest)
            && self.publishing.values().all(Publishing::is_at_rest)
    }
}

impl Profile<'_> {
    /// Who we are to a peer that is reached from `local`.
    pub(in crate::agent) fn identity(&self, local: IpAddr) -> Address {
        let uri = self.account.uri.clone().unwrap_or_else(|| {
            let mut parts = SipUri::new(Host::Ip(local));
            parts.user = Some("anonymous".to_owned());
            parts.to_uri().expect("an address is a URI")
        });
        let mut identity = Address::new(uri);
        identity.display.clone_from(&self.account.display_name);
        identity
    }

    /// The address of record; `None` if the account has none.
    pub(in crate::agent) fn address_of_record(&self) -> Option<Address> {
        let mut address = Address::new(self.account.uri.clone()?);
        address.display.clone_from(&self.account.display_name);
        Some(address)
    }

    /// Where requests go first: to the outbound proxy, and on by the way that the registrar has named
    /// (RFC 3608, 6.1), which may begin with that very proxy.
    pub(in crate::agent) fn route(&self) -> Vec<Address> {
        let first = self.account.outbound_proxy.as_ref().map(loose);
        let named = first.filter(|proxy| {
            !self
                .service_route
                .first()
                .is_some_and(|uri| uri.equivalent(proxy))
        });
        named
            .into_iter()
            .chain(self.service_route.iter().cloned())
            .map(Address::new)
            .collect()
    }

    /// The way to the registrar, which names no way to itself.
    pub(super) fn route_to_registrar(&self) -> Vec<Address> {
        let first = self.account.outbound_proxy.iter();
        first.map(loose).map(Address::new).collect()
    }
}

/// A proxy as it stands in Route: people name proxies without `lr`, and a strict router would take the
/// place of the Request-URI (RFC 3261, 16.12; RTE-05).
fn loose(proxy: &Uri) -> Uri {
    let parts = proxy.to_parts().and_then(|mut parts| {
        parts.set_param("lr", None);
        parts.to_uri().ok()
    });
    parts.unwrap_or_else(|| proxy.clone())
}

/// Domain names know no case.
fn is_same_host(a: &Uri, b: &Uri) -> bool {
    match (a.host(), b.host()) {
        (Some(Host::Name(a)), Some(Host::Name(b))) => a.eq_ignore_ascii_case(&b),
        (a, b) => a == b,
    }
}

/// Eight letters that say nothing about us (ACC-10).
fn letters(rng: &mut Rng) -> String {
    let letter = |_| char::from(b'a' + rng.below(26) as u8);
    (0..8).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(uri: &str, contact_user: &str) -> Account {
        Account {
            uri: Some(uri.parse().unwrap()),
            contact_user: Some(contact_user.to_owned()),
            ..Account::default()
        }
    }

    #[test]
    fn amg_08_smg_05_the_account_of_a_request_uri() {
        let mut rng = Rng::from_seed([1; 32]);
        let mut accounts = Accounts::default();
        let uri = |text: &str| text.parse::<Uri>().unwrap();
        // Without an address everybody is meant.
        assert_eq!(accounts.users(), None);
        assert_eq!(accounts.find(&uri("sip:bob@10.0.0.1")), None);
        let nameless = accounts.add(Account::default(), &mut rng);
        accounts.set_default(None);
        assert_eq!(accounts.users(), None);
        assert_eq!(accounts.find(&uri("sip:bob@10.0.0.1")), Some(nameless));
        let first = accounts.add(account("sip:bob@example.com", "abcdefgh"), &mut rng);
        let second = accounts.add(account("sip:b%6fb@example.net", "stuvwxyz"), &mut rng);
        let found = |text: &str| accounts.find(&uri(text));
        // By the contact user, wherever it leads.
        assert_eq!(
            found("sip:stuvwxyz@10.0.0.1:5062;transport=tcp"),
            Some(second)
        );
        // By the whole address; escapes and the case of a name change nothing.
        assert_eq!(found("sip:bob@EXAMPLE.NET"), Some(second));
        assert_eq!(found("sip:b%6Fb@example.com"), Some(first));
        // By the user alone.
        assert_eq!(found("sip:bob@10.0.0.1"), Some(first));
        // Nobody by that name; users know case.
        assert_eq!(found("sip:carol@example.com"), None);
        assert_eq!(found("sip:Bob@example.com"), None);
        // Whoever is there.
        assert_eq!(found("sip:10.0.0.1"), Some(nameless));
        let users = accounts.users().unwrap();
        assert_eq!(
            users.iter().map(String::as_str).collect::<Vec<_>>(),
            ["abcdefgh", "bob", "stuvwxyz"]
        );
    }

    #[test]
    fn amg_12_the_default_account() {
        let mut rng = Rng::from_seed([1; 32]);
        let mut accounts = Accounts::default();
        let a = accounts.add(account("sip:a@example.com", "a"), &mut rng);
        assert_eq!(accounts.set_default(None), Some((None, Some(a))));
        let b = accounts.add(account("sip:b@example.com", "b"), &mut rng);
        assert_eq!(accounts.set_default(None), None);
        assert_eq!(accounts.set_default(Some(b)), Some((Some(a), Some(b))));
        assert!(accounts.remove(b));
        assert_eq!(accounts.set_default(None), Some((Some(b), Some(a))));
        assert!(!accounts.remove(b));
        assert!(accounts.remove(a));
        assert_eq!(accounts.set_default(None), Some((Some(a), None)));
        assert!(accounts.take_left(|_| true).is_none(), "busy");
        assert!(accounts.take_left(|_| false).is_some());
        assert!(accounts.take_left(|_| false).is_some());
        assert!(accounts.take_left(|_| false).is_none());
    }
}
