//! The account's own way, and which requests of a dialog go by it: what `*` stands for is shown there
//! and nowhere else.

use crate::{Uri, auth::Origin, header::Address};
use base::Host;
use std::net::IpAddr;

/// By what the requests of a usage leave outside of dialogs.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct OwnWay {
    origin: Origin,
    /// The nearest hop of the account's own route.
    hop: Option<Host>,
    /// Where it was found.
    address: Option<IpAddr>,
}

impl OwnWay {
    pub(crate) fn new(origin: Origin, route: &[Address]) -> Self {
        Self {
            origin,
            hop: route.first().and_then(|nearest| nearest.uri.host()),
            address: None,
        }
    }

    /// The way of an account with this route set: its own proxy's, or anybody's.
    pub(crate) fn along(route: &[Address]) -> Self {
        let origin = match route.is_empty() {
            true => Origin::Elsewhere,
            false => Origin::OwnRoute,
        };
        Self::new(origin, route)
    }

    /// Nobody of ours stands between us and the peer.
    pub(crate) const fn none() -> Self {
        Self {
            origin: Origin::Elsewhere,
            hop: None,
            address: None,
        }
    }

    /// Who can challenge a request outside of dialogs.
    pub(crate) const fn origin(&self) -> Origin {
        self.origin
    }

    /// Who can challenge a request of a dialog that goes to `hop`: a proxy of ours that has stayed in the
    /// path, or whoever the peer has named.
    pub(crate) fn origin_in_dialog(&self, hop: &Uri) -> Origin {
        let is_ours = match hop.host() {
            Some(Host::Ip(ip)) if self.address == Some(ip) => true,
            Some(host) => {
                let ours = self.hop.as_ref().map(ToString::to_string);
                ours.is_some_and(|ours| ours.eq_ignore_ascii_case(&host.to_string()))
            }
            None => false,
        };
        self.origin_if(is_ours)
    }

    /// A request outside of dialogs has gone to this address.
    pub(crate) const fn went_to(&mut self, address: IpAddr) {
        self.address = Some(address);
    }

    /// Who can challenge a request of a dialog that has gone to this address: our proxy may call itself
    /// something else in its Record-Route.
    pub(crate) fn origin_at(&self, address: IpAddr) -> Origin {
        self.origin_if(self.address == Some(address))
    }

    const fn origin_if(&self, is_ours: bool) -> Origin {
        match is_ours {
            true => self.origin,
            false => Origin::Elsewhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CRD-03
    #[test]
    fn crd_03_only_our_own_hop_is_on_our_way() {
        let route = [Address::new("sip:Proxy.example.com;lr".parse().unwrap())];
        let mut way = OwnWay::along(&route);
        let origin = |way: &OwnWay, hop: &str| way.origin_in_dialog(&hop.parse().unwrap());
        assert_eq!(origin(&way, "sip:192.0.2.1"), Origin::Elsewhere);
        way.went_to([192, 0, 2, 1].into());
        assert_eq!(origin(&way, "sip:192.0.2.1;lr"), Origin::OwnRoute);
        assert_eq!(origin(&way, "sip:proxy.example.com;lr"), Origin::OwnRoute);
        assert_eq!(origin(&way, "sip:edge.example.com;lr"), Origin::Elsewhere);
        assert_eq!(origin(&way, "sip:192.0.2.66"), Origin::Elsewhere);
        assert_eq!(way.origin_at([192, 0, 2, 1].into()), Origin::OwnRoute);
        assert_eq!(way.origin_at([192, 0, 2, 66].into()), Origin::Elsewhere);
        // Without a route of ours nobody is ours, wherever the first request went.
        let mut direct = OwnWay::along(&[]);
        direct.went_to([192, 0, 2, 1].into());
        assert_eq!(direct.origin_at([192, 0, 2, 1].into()), Origin::Elsewhere);
    }
}
