//! How bytes move inside a connection: window, segments, reads, ends.

use base::LinkError;
use sipsimple::agent::Input;
use std::time::{Duration, Instant};

use super::{Cut, EndState, Flight, TcpEvent};
use crate::{
    link::RETRANSMISSION,
    trace::Action,
    world::{Delivery, World},
};

impl World {
    /// Lets the kernel take what fits into its window and sends it, cut anywhere.
    pub(super) fn pump(&mut self, now: Instant, id: u64, side: usize) {
        let cut = self.cut();
        let mut taken = false;
        let mut delay = None;
        loop {
            let Some(tcp) = self.tcp(id) else { return };
            if !matches!(tcp.ends[side].state, EndState::Open(_)) {
                return;
            }
            let pipe = &mut tcp.pipes[side];
            let room = WINDOW.saturating_sub(pipe.taken - pipe.consumed);
            let Some(front) = pipe.queue.front_mut().filter(|_| room > 0) else {
                break;
            };
            let most = front.len().min(room as usize);
            let len = match cut {
                Cut::Whole => most,
                Cut::AtMost(limit) => most.min(limit.max(1)),
                Cut::Random => self.random_cut(most),
            };
            // One draw of luck for all that leaves at once.
            let delay = match delay {
                Some(delay) => delay,
                None => *delay.insert(self.flight_delay(now, id, side, most)),
            };
            let Some(tcp) = self.tcp(id) else { return };
            let pipe = &mut tcp.pipes[side];
            let Some(front) = pipe.queue.front_mut() else {
                break;
            };
            let segment = front.split_to(len);
            if front.is_empty() {
                pipe.queue.pop_front();
            }
            pipe.taken += len as u64;
            taken = true;
            self.launch_after(now + delay, id, side, Flight::Data(segment));
        }
        if taken {
            self.schedule_level(now, id, side);
        }
        let Some(tcp) = self.tcp(id) else { return };
        let pipe = &mut tcp.pipes[side];
        if pipe.finish && pipe.queue.is_empty() && !pipe.fin_sent {
            pipe.fin_sent = true;
            self.launch(now, id, side, Flight::Fin);
            self.schedule_level(now, id, side);
        }
    }

    fn schedule_level(&mut self, now: Instant, id: u64, side: usize) {
        let Some(tcp) = self.tcp(id) else { return };
        let scheduled = &mut tcp.pipes[side].sent_scheduled;
        if !std::mem::replace(scheduled, true) {
            self.schedule(now, Delivery::Tcp(id, TcpEvent::Sent { side }));
        }
    }

    pub(super) fn report_level(&mut self, id: u64, side: usize) {
        let Some(tcp) = self.tcp(id) else { return };
        let pipe = &mut tcp.pipes[side];
        pipe.sent_scheduled = false;
        let (total, finished) = (pipe.taken, pipe.fin_sent);
        let EndState::Open(link) = tcp.ends[side].state else {
            return;
        };
        let host = tcp.ends[side].host;
        self.handle(host, Input::Sent { link, total });
        if finished {
            self.close_side(id, side, None);
        }
    }

    /// Sends one piece from `side`; it arrives after everything that was sent before.
    pub(super) fn launch(&mut self, now: Instant, id: u64, side: usize, piece: Flight) {
        let delay = self.flight_delay(now, id, side, 0);
        self.launch_after(now + delay, id, side, piece);
    }

    fn flight_delay(&mut self, now: Instant, id: u64, side: usize, len: usize) -> Duration {
        let Some(tcp) = self.tcp(id) else {
            return Duration::ZERO;
        };
        let (from, to) = (tcp.ends[side].host, tcp.ends[1 - side].host);
        self.link(from, to).segment_delay(now, len)
    }

    fn launch_after(&mut self, arrival: Instant, id: u64, side: usize, piece: Flight) {
        let Some(tcp) = self.tcp(id) else { return };
        let pipe = &mut tcp.pipes[side];
        pipe.last_arrival = pipe.last_arrival.max(arrival);
        pipe.flight.push_back(piece);
        let at = pipe.last_arrival;
        let event = TcpEvent::Arrive { side: 1 - side };
        self.schedule(at, Delivery::Tcp(id, event));
    }

    pub(super) fn flight_arrives(&mut self, id: u64, side: usize) {
        let now = self.now();
        let Some(tcp) = self.tcp(id) else { return };
        let (sender, receiver) = (tcp.ends[1 - side].host, tcp.ends[side].host);
        let (theirs, ours) = (tcp.ends[1 - side].address, tcp.ends[side].address);
        let lost = self.is_cut(sender, receiver)
            || self.host(receiver).asleep
            || self.owner(ours.ip()) != Some(receiver)
            || self.owner(theirs.ip()) != Some(sender);
        let Some(tcp) = self.tcp(id) else { return };
        let pipe = &mut tcp.pipes[1 - side];
        if lost {
            let since = *pipe.stalled.get_or_insert(now);
            let waited = now.saturating_duration_since(since);
            if waited > GIVE_UP {
                pipe.flight.clear();
                return self.close_side(id, 1 - side, Some(LinkError::TimedOut));
            }
            let again = waited.clamp(RETRANSMISSION, MAX_BACKOFF);
            let event = TcpEvent::Arrive { side };
            return self.schedule(now + again, Delivery::Tcp(id, event));
        }
        pipe.stalled = None;
        let Some(piece) = pipe.flight.pop_front() else {
            return;
        };
        let closed = tcp.ends[side].state == EndState::Closed;
        match piece {
            // The program is gone, its kernel answers data with a reset.
            Flight::Data(_) if closed => {
                if tcp.ends[1 - side].state != EndState::Closed {
                    self.launch(now, id, side, Flight::Reset);
                }
            }
            Flight::Data(data) => {
                tcp.pipes[1 - side].inbox.extend_from_slice(&data);
                self.read_soon(id, side);
            }
            Flight::Fin => {
                tcp.pipes[1 - side].fin_arrived = true;
                self.read_soon(id, side);
            }
            Flight::Reset => self.close_side(id, side, Some(LinkError::Reset)),
        }
    }

    pub(super) fn read_soon(&mut self, id: u64, side: usize) {
        let delay = self.read_delay();
        let at = self.now() + delay;
        let Some(tcp) = self.tcp(id) else { return };
        let scheduled = &mut tcp.pipes[1 - side].read_scheduled;
        if !std::mem::replace(scheduled, true) {
            self.schedule(at, Delivery::Tcp(id, TcpEvent::Read { side }));
        }
    }

    /// Hands in one read: no more than the node gave credit for.
    pub(super) fn read(&mut self, id: u64, side: usize) {
        let now = self.now();
        let Some(tcp) = self.tcp(id) else { return };
        let (from, to) = (tcp.ends[1 - side].address, tcp.ends[side].address);
        let host = tcp.ends[side].host;
        let pipe = &mut tcp.pipes[1 - side];
        pipe.read_scheduled = false;
        let EndState::Open(link) = tcp.ends[side].state else {
            return;
        };
        if pipe.inbox.is_empty() {
            if pipe.fin_arrived {
                self.close_side(id, side, None);
            }
            return;
        }
        let len = pipe.inbox.len().min(MAX_READ).min(pipe.credit as usize);
        if len == 0 {
            return;
        }
        let payload = pipe.inbox.split_to(len);
        pipe.credit -= len as u64;
        pipe.consumed += len as u64;
        let waiting = !pipe.queue.is_empty();
        self.record(host, Action::Read { from, to, len });
        self.handle_quietly(host, Input::Bytes { link, payload });
        if waiting {
            let event = TcpEvent::Pump { side: 1 - side };
            self.schedule(now, Delivery::Tcp(id, event));
        }
        self.read_soon(id, side);
    }

    /// Tells a node that its end is gone.
    pub(super) fn close_side(&mut self, id: u64, side: usize, error: Option<LinkError>) {
        let Some(tcp) = self.tcp(id) else { return };
        let host = tcp.ends[side].host;
        let state = std::mem::replace(&mut tcp.ends[side].state, EndState::Closed);
        tcp.pipes[side].queue.clear();
        match state {
            EndState::Open(link) | EndState::Connecting(Some(link)) => {
                if error.is_none() && !std::mem::replace(&mut tcp.pipes[side].fin_sent, true) {
                    let now = self.now();
                    self.launch(now, id, side, Flight::Fin);
                }
                self.host_mut(host).release(link);
                self.host_mut(host).closing = Some(link);
                self.handle(host, Input::Closed { link, error });
                self.host_mut(host).closing = None;
            }
            // The node hears of it when it takes the connection.
            EndState::Pending(_) | EndState::Connecting(None) | EndState::Closed => {}
        }
    }
}

/// What fits into the buffers of both kernels together.
const WINDOW: u64 = 128 * 1024;
/// What a runtime reads at once.
const MAX_READ: usize = 64 * 1024;
/// Linux gives up a connection after about 15 minutes of retransmissions.
const GIVE_UP: Duration = Duration::from_secs(15 * 60);
const MAX_BACKOFF: Duration = Duration::from_secs(60);
