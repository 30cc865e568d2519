//! One binding of a user.

use sip::{HeaderName, Request, Status, header::Address};
use std::time::Instant;

use crate::server::wire::Flow;

/// A contact of a user, for a time.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    /// As it came, without `expires`.
    pub(super) contact: Address,
    pub(super) instance: Option<String>,
    /// RFC 5626; only beside an instance, and only if the registrar knows it.
    pub(super) reg_id: Option<String>,
    call_id: String,
    cseq: u32,
    pub(super) until: Instant,
    pub(super) path: Vec<String>,
    /// The way that the REGISTER took.
    pub(super) flow: Flow,
    serial: u32,
}

/// What a REGISTER wants.
pub(super) struct Wish {
    pub(super) contact: Address,
    pub(super) until: Instant,
    pub(super) flow: Flow,
    /// The registrar knows RFC 5626.
    pub(super) outbound: bool,
    pub(super) serial: u32,
}

impl Binding {
    pub(super) fn of(request: &Request, wish: Wish) -> Option<Self> {
        let headers = &request.headers;
        let Wish {
            mut contact,
            until,
            flow,
            outbound,
            serial,
        } = wish;
        let param = |name: &str| {
            let found = contact.params.iter();
            let mut found = found.filter(|(own, _)| own.eq_ignore_ascii_case(name));
            found.next().and_then(|(_, value)| value.clone())
        };
        let instance = param("+sip.instance");
        let reg_id = param("reg-id").filter(|_| instance.is_some() && outbound);
        contact
            .params
            .retain(|(name, _)| !name.eq_ignore_ascii_case("expires"));
        Some(Self {
            instance,
            reg_id,
            contact,
            call_id: String::from_utf8_lossy(headers.get(HeaderName::CallId)?).into_owned(),
            cseq: headers.cseq().ok()?.number,
            until,
            path: headers
                .values(HeaderName::Path)
                .map(|value| String::from_utf8_lossy(value).into_owned())
                .collect(),
            flow,
            serial,
        })
    }

    /// RFC 5626, 6: instance and flow before the URI, which may change.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.reg_id, &other.reg_id) {
            (Some(_), Some(_)) => {
                (&self.instance, &self.reg_id) == (&other.instance, &other.reg_id)
            }
            _ => self.contact.uri.equivalent(&other.contact.uri),
        }
    }

    /// RFC 3261, 10.3, item 7: what comes late out of order changes nothing.
    pub(super) fn check_order(&self, request: &Request) -> Result<(), Status> {
        let headers = &request.headers;
        let is_same = headers.get(HeaderName::CallId) == Some(self.call_id.as_bytes());
        let number = headers.cseq().map_err(|_| Status::BAD_REQUEST)?.number;
        match is_same && number <= self.cseq {
            true => Err(Status::SERVER_INTERNAL_ERROR),
            false => Ok(()),
        }
    }

    /// The instance without its brackets: what `gr` says (RFC 5627, 5.1).
    pub(super) fn urn(&self) -> Option<&str> {
        let instance = self.instance.as_deref()?;
        Some(instance.trim_start_matches('<').trim_end_matches('>'))
    }

    /// The binding as a 200 tells it; with GRUUs for a user of a domain, if it has an instance.
    pub(super) fn in_response(&self, seconds: u64, user: Option<(&str, &str)>) -> Address {
        let mut contact = self.contact.clone();
        if let (Some((user, domain)), Some(urn)) = (user, self.urn()) {
            let public = format!("sip:{user}@{domain};gr={urn}");
            let temporary = format!("sip:tgruu{}@{domain};gr", self.serial);
            contact = contact
                .with_param("pub-gruu", Some(&public))
                .with_param("temp-gruu", Some(&temporary));
        }
        contact.with_param("expires", Some(&seconds.to_string()))
    }
}
