//! Addresses that might work, and what each is worth (RFC 8445, 5.1).

use std::{fmt, net::SocketAddr};

/// How an address was found (RFC 8445, 4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Kind {
    /// Of an interface of ours.
    Host,
    /// How a STUN server sees one.
    ServerReflexive,
    /// How the peer sees one.
    PeerReflexive,
    /// Of a TURN server.
    Relayed,
}

impl Kind {
    /// The name in descriptions (RFC 8839, 5.1).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
        }
    }

    /// The kind of a name, in any case; unknown ones are none.
    pub fn of_name(name: &str) -> Option<Self> {
        [
            Self::Host,
            Self::ServerReflexive,
            Self::PeerReflexive,
            Self::Relayed,
        ]
        .into_iter()
        .find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    /// RFC 8445, 5.1.2.2: the recommended preferences.
    const fn preference(self) -> u32 {
        match self {
            Self::Host => 126,
            Self::PeerReflexive => 110,
            Self::ServerReflexive => 100,
            Self::Relayed => 0,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A candidate as one side tells it to the other (RFC 8839, 5.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// The same for candidates of one kind, base address and server: what works for one is likely to
    /// work for the others.
    pub foundation: String,
    /// 1 for RTP, 2 for RTCP.
    pub component: u8,
    /// What it is worth; the higher, the sooner it is tried.
    pub priority: u32,
    /// Where it leads.
    pub address: SocketAddr,
    /// How it was found.
    pub kind: Kind,
    /// What it was derived from: of a reflexive one the base, of a relayed one how the server sees us.
    pub related: Option<SocketAddr>,
}

/// RFC 8445, 5.1.2.1: `preference` orders candidates of one kind, 0 to 65535; `component` is 1 to 256.
pub(crate) const fn priority(kind: Kind, preference: u16, component: u8) -> u32 {
    (kind.preference() << 24) + ((preference as u32) << 8) + (256 - component as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8445, 5.1.2.1: the values of its formula.
    #[test]
    fn priorities() {
        assert_eq!(priority(Kind::Host, 65_535, 1), 2_130_706_431);
        assert_eq!(priority(Kind::Host, 65_535, 2), 2_130_706_430);
        assert_eq!(priority(Kind::PeerReflexive, 65_534, 1), 1_862_270_719);
        assert_eq!(priority(Kind::ServerReflexive, 65_535, 1), 1_694_498_815);
        assert_eq!(priority(Kind::Relayed, 65_535, 2), 16_777_214);
    }

    #[test]
    fn names() {
        assert_eq!(Kind::of_name("SRFLX"), Some(Kind::ServerReflexive));
        assert_eq!(Kind::of_name("tcp"), None);
        assert_eq!(Kind::Relayed.to_string(), "relay");
    }
}
