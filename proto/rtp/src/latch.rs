//! Where to send media to (RFC 4961): the described address, or the one that media comes from.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// The machine that chooses one remote address, RTP and RTCP each having a latch of their own.
///
/// *The policy.* We send to the address of the description until at least three packets in a row come
/// from one other address while nothing comes from the address in use; then we send there. A source
/// that is heard is never displaced: an address in use counts as silent after half a second. After
/// the first move away from the description one more is allowed (a NAT that forgot its binding), then
/// no other until the next offer and answer.
///
/// *Feed* it only what may move a stream: RTP with an agreed payload type and a payload
/// ([`Received::Media`](crate::Received::Media)), or RTCP that
/// [`Session::handle_rtcp`](crate::Session::handle_rtcp) called valid. STUN, junk, unknown payload
/// types and empty packets never reach it; with ICE it is not used at all. It has no timers.
#[derive(Clone, Debug)]
pub struct Latch {
    described: SocketAddr,
    remote: SocketAddr,
    /// When the address in use was heard last.
    heard: Option<Instant>,
    candidate: Option<Candidate>,
    moves: u8,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    address: SocketAddr,
    packets: u8,
}

impl Latch {
    /// Starts at the address of the description.
    pub const fn new(described: SocketAddr) -> Self {
        Self {
            described,
            remote: described,
            heard: None,
            candidate: None,
            moves: 0,
        }
    }

    /// Where to send.
    pub const fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Where the description says that the peer is.
    pub const fn described(&self) -> SocketAddr {
        self.described
    }

    /// True once the address in use was heard: where we send is where packets come from.
    pub const fn is_confirmed(&self) -> bool {
        self.heard.is_some()
    }

    /// Learns that another offer and answer are done. A description that names another place is
    /// followed; one that says the same leaves the stream where it is.
    pub fn describe(&mut self, described: SocketAddr) {
        if described == self.described {
            // One move stays what it allows: a re-offer is no licence for two.
            self.moves = self.moves.min(1);
            return;
        }
        *self = Self::new(described);
    }

    /// Takes a packet that may move the stream; true if [`remote`](Self::remote) changed.
    pub fn handle_packet(&mut self, now: Instant, from: SocketAddr) -> bool {
        if from == self.remote {
            self.heard = Some(now);
            self.candidate = None;
            return false;
        }
        let lives = self
            .heard
            .is_some_and(|heard| now.saturating_duration_since(heard) < SILENCE);
        if lives || self.moves == MOVES {
            self.candidate = None;
            return false;
        }
        let packets = match self.candidate {
            Some(candidate) if candidate.address == from => candidate.packets + 1,
            Some(_) | None => 1,
        };
        if packets < PACKETS {
            self.candidate = Some(Candidate {
                address: from,
                packets,
            });
            return false;
        }
        self.remote = from;
        self.heard = Some(now);
        self.candidate = None;
        self.moves += 1;
        true
    }
}

/// Packets in a row that prove a source: one could be a stray, three are somebody who sends.
const PACKETS: u8 = 3;
/// The first move, to where the peer really is, and one more.
const MOVES: u8 = 2;
/// How long the address in use must be silent before another one may take its place: 25 packets of
/// 20 ms, so that no amount of forged packets displaces a peer that speaks.
const SILENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    struct Stream {
        now: Instant,
        latch: Latch,
    }

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    impl Stream {
        #[expect(
            clippy::disallowed_methods,
            reason = "an arbitrary origin for a virtual clock"
        )]
        fn new() -> Self {
            Self {
                now: Instant::now(),
                latch: Latch::new(address(1)),
            }
        }

        /// Twenty milliseconds later a packet comes from each of `ports`.
        fn hear(&mut self, ports: &[u16]) -> Vec<bool> {
            self.now += Duration::from_millis(20);
            ports
                .iter()
                .map(|&port| self.latch.handle_packet(self.now, address(port)))
                .collect()
        }

        fn wait(&mut self) {
            self.now += SILENCE;
        }
    }

    #[test]
    fn three_packets_from_one_source_move_a_stream() {
        let mut stream = Stream::new();
        assert!(!stream.latch.is_confirmed());
        assert_eq!(stream.hear(&[2, 2]), [false, false]);
        assert_eq!(stream.latch.remote(), address(1));
        assert_eq!(stream.hear(&[2]), [true]);
        assert_eq!(stream.latch.remote(), address(2));
        assert_eq!(stream.latch.described(), address(1));
        assert!(stream.latch.is_confirmed());
    }

    #[test]
    fn the_three_must_be_from_one_source_in_a_row() {
        let mut stream = Stream::new();
        stream.hear(&[2, 2, 3, 2, 2, 3, 3]);
        assert_eq!(stream.latch.remote(), address(1));
        stream.hear(&[1]);
        stream.wait();
        stream.hear(&[2, 2, 1, 2, 2]);
        assert_eq!(stream.latch.remote(), address(1));
    }

    #[test]
    fn packets_from_before_the_address_in_use_was_heard_do_not_count() {
        let mut stream = Stream::new();
        stream.hear(&[2, 2, 1]);
        stream.wait();
        assert_eq!(stream.hear(&[2, 2]), [false, false]);
    }

    #[test]
    fn a_source_that_is_heard_is_not_displaced() {
        let mut stream = Stream::new();
        for _ in 0..100 {
            stream.hear(&[1, 2, 2, 2, 2, 2, 2]);
        }
        assert_eq!(stream.latch.remote(), address(1));
    }

    #[test]
    fn one_move_more_until_the_next_offer() {
        let mut stream = Stream::new();
        stream.hear(&[2, 2, 2]);
        stream.wait();
        assert_eq!(stream.hear(&[3, 3, 3]), [false, false, true]);
        stream.wait();
        assert_eq!(stream.hear(&[4, 4, 4, 4]), [false; 4]);
        stream.latch.describe(address(1));
        assert_eq!(stream.latch.remote(), address(3));
        assert_eq!(stream.hear(&[5, 5, 5]), [false, false, true]);
        stream.wait();
        assert_eq!(stream.hear(&[6, 6, 6]), [false; 3]);
    }

    #[test]
    fn a_new_description_is_followed() {
        let mut stream = Stream::new();
        stream.hear(&[2, 2, 2]);
        stream.latch.describe(address(7));
        assert_eq!(stream.latch.remote(), address(7));
        assert!(!stream.latch.is_confirmed());
        assert_eq!(stream.hear(&[2, 2, 2]), [false, false, true]);
    }
}
