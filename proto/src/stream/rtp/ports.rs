//! A pair of ports for RTP and RTCP (RTP-15; RFC 3550, 11).

use super::{Heard, RTCP, RTP};
use crate::{
    edge::Class,
    stream::{Slot, SlotOpen, StreamError, StreamOutput},
};
use base::{LinkError, Rng};
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

/// Opens two sockets with neighbouring ports: from a range the even one is for RTP, and where they
/// are taken the next pair is tried. Without a range the system chooses the first port.
#[derive(Debug)]
pub(super) struct Ports {
    local: IpAddr,
    range: (u16, u16),
    rng: Rng,
    /// The even port that is tried; 0 for the system's choice.
    candidate: u16,
    /// How many pairs were tried.
    tries: u32,
    rtp: State,
    rtcp: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Closed,
    Opening,
    Open(SocketAddr),
}

impl Ports {
    pub(super) const fn new(local: IpAddr, range: (u16, u16), rng: Rng) -> Self {
        Self {
            local,
            range,
            rng,
            candidate: 0,
            tries: 0,
            rtp: State::Closed,
            rtcp: State::Closed,
        }
    }

    /// Begins with a pair chosen at random (ENG-23).
    pub(super) fn open(&mut self, out: &mut VecDeque<StreamOutput>) {
        if let Some(pairs) = self.pairs() {
            let (first, _) = self.even_range();
            let pair = self.rng.below(pairs) as u16;
            self.candidate = first + 2 * pair;
        }
        self.try_pair(out);
    }

    pub(super) const fn local(&self) -> IpAddr {
        self.local
    }

    pub(super) const fn set_local(&mut self, local: IpAddr) {
        self.local = local;
    }

    /// Opens another pair if this one is bound to an address that is not ours any more.
    pub(super) fn reopen(&mut self, out: &mut VecDeque<StreamOutput>) -> bool {
        let is_stale = self.pair().is_some_and(|(rtp, _)| rtp.ip() != self.local);
        if is_stale {
            self.close(out);
            self.tries = 0;
            self.open(out);
        }
        is_stale
    }

    pub(super) const fn pair(&self) -> Option<(SocketAddr, SocketAddr)> {
        match (self.rtp, self.rtcp) {
            (State::Open(rtp), State::Open(rtcp)) => Some((rtp, rtcp)),
            _ => None,
        }
    }

    pub(super) fn opened(
        &mut self,
        slot: Slot,
        local: SocketAddr,
        out: &mut VecDeque<StreamOutput>,
    ) -> Heard {
        match slot {
            RTP => {
                self.rtp = State::Open(local);
                match local.port().checked_add(1) {
                    Some(port) => {
                        self.rtcp = State::Opening;
                        out.push_back(self.socket(RTCP, port));
                    }
                    None => return self.next_pair(LinkError::AddressInUse, out),
                }
                Heard::Nothing
            }
            RTCP => {
                self.rtcp = State::Open(local);
                Heard::Opened
            }
            _ => Heard::Nothing,
        }
    }

    pub(super) fn closed(
        &mut self,
        slot: Slot,
        error: Option<LinkError>,
        out: &mut VecDeque<StreamOutput>,
    ) -> Heard {
        let state = match slot {
            RTP => &mut self.rtp,
            RTCP => &mut self.rtcp,
            _ => return Heard::Nothing,
        };
        let was_opening = *state == State::Opening;
        *state = State::Closed;
        let error = error.unwrap_or(LinkError::AddressGone);
        match was_opening && error == LinkError::AddressInUse {
            true => self.next_pair(error, out),
            false => Heard::Failed(StreamError::Transport(error)),
        }
    }

    pub(super) fn close(&mut self, out: &mut VecDeque<StreamOutput>) {
        for (slot, state) in [(RTP, &mut self.rtp), (RTCP, &mut self.rtcp)] {
            if std::mem::replace(state, State::Closed) != State::Closed {
                out.push_back(StreamOutput::Close { slot });
            }
        }
    }

    fn next_pair(&mut self, error: LinkError, out: &mut VecDeque<StreamOutput>) -> Heard {
        self.close(out);
        self.tries += 1;
        if self.tries >= self.pairs().unwrap_or(SYSTEM_TRIES) {
            return Heard::Failed(StreamError::Transport(error));
        }
        if self.candidate != 0 {
            let (first, last) = self.even_range();
            self.candidate = match self.candidate.checked_add(2) {
                Some(next) if next < last => next,
                _ => first,
            };
        }
        self.try_pair(out);
        Heard::Nothing
    }

    fn try_pair(&mut self, out: &mut VecDeque<StreamOutput>) {
        self.rtp = State::Opening;
        out.push_back(self.socket(RTP, self.candidate));
    }

    fn socket(&self, slot: Slot, port: u16) -> StreamOutput {
        StreamOutput::Open {
            slot,
            how: SlotOpen::Udp {
                bind: SocketAddr::new(self.local, port),
                class: Class::Voice,
            },
        }
    }

    /// From the first even port to the last port.
    const fn even_range(&self) -> (u16, u16) {
        let (first, last) = self.range;
        (first.saturating_add(first & 1), last)
    }

    /// How many pairs the range has; `None` without a range.
    fn pairs(&self) -> Option<u32> {
        let (first, last) = self.even_range();
        let pairs = (u32::from(last) + 1).saturating_sub(u32::from(first)) / 2;
        (self.range != (0, 0)).then_some(pairs.max(1))
    }
}

/// How often the system may choose a port whose neighbour is taken.
const SYSTEM_TRIES: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(range: (u16, u16)) -> (Ports, VecDeque<StreamOutput>) {
        (
            Ports::new([192, 0, 2, 1].into(), range, Rng::from_seed([1; 32])),
            VecDeque::new(),
        )
    }

    fn opening(out: &mut VecDeque<StreamOutput>) -> (Slot, u16) {
        loop {
            match out.pop_front().expect("a socket is wanted") {
                StreamOutput::Open {
                    slot,
                    how: SlotOpen::Udp { bind, .. },
                } => return (slot, bind.port()),
                StreamOutput::Close { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// RTP-15, RTP-12: even ports of the range, the next pair where one is taken; then it fails, and says why.
    #[test]
    fn a_range_is_tried_pair_by_pair_and_then_given_up() {
        let (mut ports, mut out) = ports((50_001, 50_007));
        ports.open(&mut out);
        let mut tried = Vec::new();
        loop {
            let (slot, port) = opening(&mut out);
            assert_eq!((slot, port % 2), (RTP, 0));
            tried.push(port);
            match ports.closed(RTP, Some(LinkError::AddressInUse), &mut out) {
                Heard::Nothing => {}
                Heard::Failed(error) => {
                    assert_eq!(error, StreamError::Transport(LinkError::AddressInUse));
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        tried.sort_unstable();
        assert_eq!(tried, [50_002, 50_004, 50_006]);
    }

    /// RTP-01, RTP-15: two sockets, RTCP at the port above.
    #[test]
    fn the_neighbour_is_for_rtcp() {
        let (mut ports, mut out) = ports((0, 0));
        ports.open(&mut out);
        assert_eq!(opening(&mut out), (RTP, 0));
        let address = |port| SocketAddr::from(([192, 0, 2, 1], port));
        ports.opened(RTP, address(4_001), &mut out);
        assert_eq!(opening(&mut out), (RTCP, 4_002));
        ports.closed(RTCP, Some(LinkError::AddressInUse), &mut out);
        assert_eq!(opening(&mut out), (RTP, 0));
        ports.opened(RTP, address(4_003), &mut out);
        opening(&mut out);
        assert!(matches!(
            ports.opened(RTCP, address(4_004), &mut out),
            Heard::Opened
        ));
        assert_eq!(ports.pair(), Some((address(4_003), address(4_004))));
        ports.close(&mut out);
        assert_eq!(out.len(), 2);
    }

    #[test]
    fn another_error_is_final() {
        let (mut ports, mut out) = ports((50_000, 50_100));
        ports.open(&mut out);
        let failed = ports.closed(RTP, Some(LinkError::Denied), &mut out);
        assert!(matches!(
            failed,
            Heard::Failed(StreamError::Transport(LinkError::Denied))
        ));
    }
}
