//! Why nothing is heard: what was announced, what comes from where, and why it is not played.

use crate::{Ignored, Statistics};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// What came to the ports of a stream since media came last, and was none.
///
/// *Feed* it what is no media, and [`clear`](Self::clear) it when media comes. Ask it by
/// [`diagnose`](Self::diagnose) when a stream that sends hears nothing. It keeps eight kinds of arrivals
/// apart and counts the rest, so that a flood costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Arrivals {
    known: Vec<Arrival>,
    others: u64,
}

/// What came from one address and was not played.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Arrival {
    /// Where it came from.
    pub from: SocketAddr,
    /// What it was.
    pub what: Unplayed,
    /// How many datagrams.
    pub packets: u64,
}

/// What a datagram was that was not played.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Unplayed {
    /// RTCP: the peer lives.
    Report,
    /// RTP with a payload type that was never agreed on.
    PayloadType(u8),
    /// RTP with nothing in it, as for keep-alive (RFC 6263, 4.6).
    Empty,
    /// RTP with nothing to play, of a source that spoke before.
    Placeholder(u8),
    /// What we sent ourselves, come back.
    Looped,
    /// STUN: the peer waits for connectivity checks (RFC 8445).
    Stun,
    /// DTLS: the peer waits for keys (RFC 5764).
    Dtls,
    /// RTP or RTCP whose proof does not fit the keys that were agreed on (RFC 3711, 3.3).
    Forged,
    /// None of these.
    Noise,
}

impl Unplayed {
    /// Tells what an ignored datagram was, by its first byte and the reason. `None` once the session
    /// was left.
    pub fn of(first: Option<u8>, reason: Ignored) -> Option<Self> {
        Some(match reason {
            // Payload types 64 to 95 are RTCP on the wrong port (RFC 5761, 4).
            Ignored::UnknownPayloadType(64..=95) => Self::Report,
            Ignored::UnknownPayloadType(number) => Self::PayloadType(number),
            Ignored::Empty => Self::Empty,
            Ignored::Looped => Self::Looped,
            Ignored::Malformed(_) => Self::other(first).unwrap_or(Self::Noise),
            Ignored::Left => return None,
        })
    }

    /// Tells what a datagram was that could not be opened, by its first byte.
    pub fn refused(first: Option<u8>) -> Self {
        match first {
            Some(128..=191) => Self::Forged,
            first => Self::other(first).unwrap_or(Self::Noise),
        }
    }

    /// What else comes to the ports of media (RFC 7983, 7).
    const fn other(first: Option<u8>) -> Option<Self> {
        match first {
            Some(0..=3) => Some(Self::Stun),
            Some(20..=63) => Some(Self::Dtls),
            Some(_) | None => None,
        }
    }
}

/// Why a stream that sends hears nothing, as far as one end can know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The reason that explains most.
    pub reason: Silence,
    /// Where we told the peer to send to.
    pub announced: SocketAddr,
    /// That is an address of a private network, and the peer's is not: it cannot reach us there (RFC 1918).
    pub is_unreachable: bool,
    /// Where the peer said that it is.
    pub described: Option<SocketAddr>,
    /// How many packets we sent.
    pub packets_sent: u64,
    /// Whether the peer reports that it hears us; `None` if it reports nothing.
    pub is_heard: Option<bool>,
    /// What came, and from where.
    pub arrivals: Vec<Arrival>,
    /// How many datagrams more came.
    pub others: u64,
}

/// Why nothing is heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Silence {
    /// Not one datagram comes: it is sent elsewhere, or stopped on its way.
    NothingComes,
    /// Reports come and no media: the peer is silent, or only its media is stopped.
    OnlyReports,
    /// Media comes in codecs that were not agreed on.
    WrongCodec,
    /// What comes is encrypted with keys that were not agreed on, or not at all although it was agreed on.
    WrongKeys,
    /// What comes has nothing in it.
    OnlyEmpty,
    /// What comes is what we send.
    OnlyOurs,
    /// The peer waits for connectivity checks that were not agreed on.
    PeerWantsIce,
    /// The peer waits for encryption that was not agreed on.
    PeerWantsDtls,
    /// What comes is neither RTP nor RTCP.
    OnlyNoise,
}

impl Arrivals {
    /// Notes a datagram that is not played.
    pub fn note(&mut self, from: SocketAddr, what: Unplayed) {
        let known = self
            .known
            .iter_mut()
            .find(|known| known.from == from && known.what == what);
        if let Some(known) = known {
            known.packets += 1;
        } else if self.known.len() < MAX_ARRIVALS {
            let packets = 1;
            self.known.push(Arrival {
                from,
                what,
                packets,
            });
        } else {
            self.others += 1;
        }
    }

    /// Forgets all: media came.
    pub fn clear(&mut self) {
        self.known.clear();
        self.others = 0;
    }

    /// Says why nothing is heard.
    pub fn diagnose(
        &self,
        announced: SocketAddr,
        described: Option<SocketAddr>,
        statistics: &Statistics,
    ) -> Diagnosis {
        let is_far = described.is_some_and(|described| !is_private(described.ip()));
        Diagnosis {
            reason: self.reason(),
            announced,
            is_unreachable: is_far && is_private(announced.ip()),
            described,
            packets_sent: statistics.packets_sent,
            is_heard: statistics.remote.map(|remote| remote.fraction_lost < 1.0),
            arrivals: self.known.clone(),
            others: self.others,
        }
    }

    /// The kind that says most of what is wrong, not the one that comes most: a peer whose media cannot
    /// be played sends reports as well.
    fn reason(&self) -> Silence {
        let rank = |arrival: &Arrival| match arrival.what {
            Unplayed::PayloadType(_) => (0, Silence::WrongCodec),
            Unplayed::Dtls => (1, Silence::PeerWantsDtls),
            Unplayed::Stun => (2, Silence::PeerWantsIce),
            Unplayed::Forged => (3, Silence::WrongKeys),
            Unplayed::Looped => (4, Silence::OnlyOurs),
            Unplayed::Noise => (5, Silence::OnlyNoise),
            Unplayed::Empty | Unplayed::Placeholder(_) => (6, Silence::OnlyEmpty),
            Unplayed::Report => (7, Silence::OnlyReports),
        };
        self.known
            .iter()
            .map(rank)
            .min_by_key(|(rank, _)| *rank)
            .map_or(Silence::NothingComes, |(_, reason)| reason)
    }
}

/// RFC 1918, RFC 6598, RFC 3927, RFC 4193 and RFC 4291: nobody outside can send there.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_private()
                || address.is_link_local()
                || address.is_loopback()
                || first == 100 && second & 0xc0 == 64
        }
        IpAddr::V6(address) => {
            address.is_unique_local() || address.is_unicast_link_local() || address.is_loopback()
        }
    }
}

/// Kinds of arrivals that are kept apart.
const MAX_ARRIVALS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, ParseError, RemoteStatistics};

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn diagnose(arrivals: &Arrivals) -> Diagnosis {
        let statistics = Statistics {
            packets_sent: 250,
            ..Statistics::default()
        };
        let described = Some(address("198.51.100.7:4000"));
        arrivals.diagnose(address("10.0.0.2:5000"), described, &statistics)
    }

    #[test]
    fn nothing_comes_to_an_address_that_nobody_reaches() {
        let diagnosis = diagnose(&Arrivals::default());
        assert_eq!(diagnosis.reason, Silence::NothingComes);
        assert!(diagnosis.is_unreachable && diagnosis.arrivals.is_empty());
        assert_eq!((diagnosis.packets_sent, diagnosis.is_heard), (250, None));
    }

    #[test]
    fn what_says_most_is_the_reason() {
        let malformed = Ignored::Malformed(ParseError::new("", 0, ErrorKind::Version));
        let peer = address("198.51.100.7:4000");
        let mut arrivals = Arrivals::default();
        for (first, ignored, reason) in [
            (0x80, Ignored::UnknownPayloadType(72), Silence::OnlyReports),
            (0x80, Ignored::Empty, Silence::OnlyEmpty),
            (0xff, malformed, Silence::OnlyNoise),
            (0x80, Ignored::Looped, Silence::OnlyOurs),
            (0x01, malformed, Silence::PeerWantsIce),
            (0x16, malformed, Silence::PeerWantsDtls),
            (0x80, Ignored::UnknownPayloadType(18), Silence::WrongCodec),
        ] {
            let what = Unplayed::of(Some(first), ignored).unwrap();
            (0..3).for_each(|_| arrivals.note(peer, what));
            let diagnosis = diagnose(&arrivals);
            assert_eq!(diagnosis.reason, reason);
            let last = diagnosis.arrivals.last().unwrap();
            assert_eq!((last.from, last.what, last.packets), (peer, what, 3));
        }
        assert_eq!(Unplayed::of(Some(0x80), Ignored::Left), None);
        arrivals.clear();
        for (first, reason) in [
            (0x00, Silence::PeerWantsIce),
            (0x16, Silence::PeerWantsDtls),
            (0x80, Silence::WrongKeys),
            (0xff, Silence::OnlyNoise),
        ] {
            arrivals.note(peer, Unplayed::refused(Some(first)));
            assert_eq!(diagnose(&arrivals).reason, reason);
            arrivals.clear();
        }
        assert_eq!(diagnose(&arrivals).reason, Silence::NothingComes);
    }

    #[test]
    fn a_flood_is_counted_and_not_kept() {
        let mut arrivals = Arrivals::default();
        for port in 1_000..2_000 {
            let from = SocketAddr::from(([192, 0, 2, 1], port));
            arrivals.note(from, Unplayed::Noise);
        }
        let diagnosis = diagnose(&arrivals);
        assert_eq!((diagnosis.arrivals.len(), diagnosis.others), (8, 992));
    }

    #[test]
    fn what_is_private_and_what_is_heard() {
        for (announced, described, is_unreachable) in [
            ("192.168.1.2:1", "203.0.113.1:1", true),
            ("100.64.0.1:1", "203.0.113.1:1", true),
            ("[fd00::1]:1", "[2001:db8::1]:1", true),
            ("[::ffff:10.1.1.1]:1", "203.0.113.1:1", true),
            ("192.168.1.2:1", "10.0.0.1:1", false),
            ("203.0.113.2:1", "203.0.113.1:1", false),
            ("100.128.0.1:1", "203.0.113.1:1", false),
        ] {
            let mut statistics = Statistics::default();
            let remote = RemoteStatistics {
                packets_lost: 3,
                fraction_lost: 1.0,
                jitter_ms: 0.0,
            };
            statistics.remote = Some(remote);
            let (announced, described) = (address(announced), Some(address(described)));
            let arrivals = Arrivals::default();
            let diagnosis = arrivals.diagnose(announced, described, &statistics);
            assert_eq!(diagnosis.is_unreachable, is_unreachable, "{announced}");
            assert_eq!(diagnosis.is_heard, Some(false));
        }
    }
}
