//! Requests that come back: loops, which are refused, and spirals, which are not (RFC 3261, 16.3, item 4;
//! RFC 5393, 4.2).

use sip::{HeaderName, Request, header::Via};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::Proxy;
use crate::server::wire::Flow;

/// What a request is that was here before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Return {
    /// Nothing that decides where it goes has changed: it would go round for ever.
    Loop,
    /// It goes elsewhere this time.
    Spiral,
}

impl Proxy {
    /// Compares a request as it was received with what our Vias say it was before; `None` if it was not here
    /// yet.
    pub(super) fn has_returned(&self, request: &Request) -> Option<Return> {
        let second = second_part(request);
        let vias = request.headers.list::<Via<'_>>(HeaderName::Via);
        let ours = vias
            .flatten()
            .filter(|via| self.is_our_sent_by(via))
            .map(|via| {
                let branch = via.branch().unwrap_or_default();
                match branch.rsplit_once('.') {
                    Some((_, before)) if before == second => Return::Loop,
                    _ => Return::Spiral,
                }
            });
        ours.min_by_key(|returned| *returned == Return::Spiral)
    }

    /// True if we have sent this request on to ourselves: whoever wanted it was asked for credentials then.
    pub(super) fn comes_from_us(&self, flow: Flow, request: &Request) -> bool {
        let via = request.headers.via();
        self.wire.addresses().any(|own| own.ip() == flow.peer.ip())
            && via.is_ok_and(|via| {
                let branch = via.branch().unwrap_or_default();
                self.is_our_sent_by(&via) && self.by_branch.contains_key(branch)
            })
    }
}

/// The second part of the branch that a request gets here: it tells a loop from a spiral, so it depends on
/// everything that decides where we send the request, as it was received, and not on the method
/// (RFC 5393, 4.2.1).
pub(super) fn second_part(request: &Request) -> String {
    let mut hasher = DefaultHasher::new();
    request.uri.as_str().hash(&mut hasher);
    for route in request.headers.values(HeaderName::Route) {
        route.hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}
