//! Pairs of addresses, as ICE tells of them.

use serde::Serialize;
use std::net::SocketAddr;

/// Two addresses between which packets may go (RFC 8445, 4).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct IcePair {
    /// 1 for RTP, 2 for RTCP.
    pub component: u8,
    /// Our address as the peer sees it.
    pub local: SocketAddr,
    /// `host`, `srflx`, `prflx` or `relay`.
    pub local_type: &'static str,
    /// The peer's address.
    pub remote: SocketAddr,
    /// `host`, `srflx`, `prflx` or `relay`.
    pub remote_type: &'static str,
    /// What happened last to it.
    pub why: &'static str,
}

impl IcePair {
    /// Tells of the pair that carries a component.
    pub(crate) fn chosen(component: u8, pair: &ice::Selected) -> Self {
        Self {
            component,
            local: pair.local,
            local_type: pair.local_kind.name(),
            remote: pair.remote,
            remote_type: pair.remote_kind.name(),
            why: "chosen",
        }
    }
}

impl From<&ice::PairInfo> for IcePair {
    fn from(pair: &ice::PairInfo) -> Self {
        Self {
            component: pair.component,
            local: pair.local,
            local_type: pair.local_kind.name(),
            remote: pair.remote,
            remote_type: pair.remote_kind.name(),
            why: pair.why,
        }
    }
}
