//! Signs of life on the ways to registrars (RFC 5626, 4.4): line ends on connections, STUN towards peers
//! of datagrams that know it, line ends towards others.

use super::{Due, LinkOutput, Links};
use crate::{edge::Output, id::LinkId};
use base::{Deadline, LinkError, Rng};
use bytes::Bytes;
use ice::stun::{Class, Message, Method, TransactionId, Writer};
use sip::{FlowId, endpoint::Pulse};
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

/// One way that is kept open: a machine.
///
/// Wake it at [`poll_timeout`](Self::poll_timeout), tell it what comes back; it says what to send, and
/// when the way is dead.
#[derive(Debug)]
pub(super) struct Heart {
    pulse: Pulse,
    is_stream: bool,
    state: State,
    /// The peer has answered line ends without having promised it: it will do so again.
    has_answered: bool,
    /// Where the peer saw us first.
    mapped: Option<SocketAddr>,
}

#[derive(Debug)]
enum State {
    /// Until the next sign of life; `pinged`: the last one wanted an answer if the peer knows any.
    Resting { until: Instant, pinged: bool },
    /// A sign of life that must be answered.
    Waiting {
        transaction: TransactionId,
        sent: u32,
        next: Instant,
    },
}

/// What is due.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Beat {
    Send(Bytes),
    Dead,
}

impl Heart {
    pub(super) fn new(now: Instant, pulse: Pulse, is_stream: bool, rng: &mut Rng) -> Self {
        Self {
            pulse,
            is_stream,
            state: State::Resting {
                until: now + pause(pulse, rng),
                pinged: false,
            },
            has_answered: false,
            mapped: None,
        }
    }

    /// From now on in another way.
    pub(super) fn set(&mut self, now: Instant, pulse: Pulse) {
        self.pulse = pulse;
        if let State::Resting { until, .. } = &mut self.state {
            *until = (*until).min(now + pulse.every);
        }
    }

    pub(super) fn poll_timeout(&self) -> Deadline {
        match self.state {
            State::Resting { until, .. } => Deadline::new(until, "keep-alive"),
            State::Waiting { next, .. } => Deadline::new(next, "answer to a keep-alive"),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, pong: Duration, rng: &mut Rng) -> Beat {
        match &mut self.state {
            State::Resting { .. } => self.ping(now, pong, rng),
            State::Waiting { .. } if self.is_stream => Beat::Dead,
            State::Waiting { sent, .. } if *sent >= STUN_COUNT => Beat::Dead,
            // RFC 8489, 6.2.1
            State::Waiting {
                transaction,
                sent,
                next,
            } => {
                *sent += 1;
                *next = now
                    + match *sent {
                        STUN_COUNT => STUN_RTO * 16,
                        sent => STUN_RTO * (1 << (sent - 1)),
                    };
                Beat::Send(binding(*transaction))
            }
        }
    }

    fn ping(&mut self, now: Instant, pong: Duration, rng: &mut Rng) -> Beat {
        let is_stun = !self.is_stream && self.pulse.is_answered;
        let is_awaited = is_stun || self.is_stream && (self.pulse.is_answered || self.has_answered);
        let mut transaction = TransactionId([0; 12]);
        if is_stun {
            rng.fill(&mut transaction.0);
        }
        self.state = match is_awaited {
            true => State::Waiting {
                transaction,
                sent: 1,
                next: now + if is_stun { STUN_RTO } else { pong },
            },
            false => State::Resting {
                until: now + pause(self.pulse, rng),
                pinged: true,
            },
        };
        Beat::Send(match is_stun {
            true => binding(transaction),
            // RFC 5626, 3.5.1; with datagrams it is noise that opens a translator.
            false => Bytes::from_static(b"\r\n\r\n"),
        })
    }

    /// A single line end came on the connection; true if it answers a ping.
    pub(super) fn handle_pong(&mut self, now: Instant, rng: &mut Rng) -> bool {
        match &mut self.state {
            State::Waiting { .. } => {
                self.rest(now, rng);
                true
            }
            State::Resting { pinged, .. } => {
                let is_answer = std::mem::take(pinged);
                self.has_answered |= is_answer;
                is_answer
            }
        }
    }

    /// STUN came from the peer; false if it shows that the way is dead.
    pub(super) fn handle_stun(&mut self, now: Instant, datagram: &[u8], rng: &mut Rng) -> bool {
        let State::Waiting { transaction, .. } = self.state else {
            return true;
        };
        let Ok(message) = Message::parse(datagram) else {
            return true;
        };
        let is_answer = matches!(message.class(), Class::Success | Class::Error);
        if self.is_stream || !is_answer || message.transaction() != transaction {
            return true;
        }
        self.rest(now, rng);
        match (message.mapped_address(), self.mapped) {
            // RFC 5626, 4.4.2: another address is another flow, which the registrar does not know.
            (Some(mapped), Some(before)) => mapped == before,
            (Some(mapped), None) => {
                self.mapped = Some(mapped);
                true
            }
            (None, _) => true,
        }
    }

    fn rest(&mut self, now: Instant, rng: &mut Rng) {
        self.state = State::Resting {
            until: now + pause(self.pulse, rng),
            pinged: false,
        };
    }
}

impl Links {
    /// Keeps a way open from now on, or no more.
    pub(crate) fn keep_alive(
        &mut self,
        now: Instant,
        flow: FlowId,
        to: SocketAddr,
        pulse: Option<Pulse>,
    ) {
        let Some(&id) = self.flows.get(&flow) else {
            return;
        };
        let Some(link) = self.table.get(id) else {
            return;
        };
        let way = (id, to);
        match (pulse, self.hearts.get_mut(&way)) {
            (Some(pulse), Some(heart)) => heart.set(now, pulse),
            (Some(pulse), None) => {
                let is_stream = link.transport.is_reliable();
                let heart = Heart::new(now, pulse, is_stream, &mut self.rng);
                self.hearts.insert(way, heart);
            }
            (None, _) => {
                self.hearts.remove(&way);
            }
        }
        self.rearm_heart(way);
    }

    /// A sign of life is due, or an answer to one.
    pub(super) fn beat(&mut self, now: Instant, (id, to): Way) {
        let pong = self.limits.pong_time;
        let Some(heart) = self.hearts.get_mut(&(id, to)) else {
            return;
        };
        match heart.handle_timeout(now, pong, &mut self.rng) {
            Beat::Send(payload) => {
                self.counters.pings += 1;
                match heart.is_stream {
                    true => self.write(id, payload, self.limits.signalling_budget),
                    false => self.edge(Output::Transmit {
                        link: id,
                        from: None,
                        to,
                        payload,
                    }),
                }
                self.rearm_heart((id, to));
            }
            Beat::Dead => self.is_dead((id, to)),
        }
    }

    /// A single line end came on a connection; true if it answers a ping of ours.
    pub(super) fn pong(&mut self, now: Instant, way: Way) -> bool {
        let Some(heart) = self.hearts.get_mut(&way) else {
            return false;
        };
        let is_answer = heart.handle_pong(now, &mut self.rng);
        self.rearm_heart(way);
        is_answer
    }

    /// STUN came; false if nobody asked for it.
    pub(super) fn stun(&mut self, now: Instant, way: Way, datagram: &[u8]) -> bool {
        let Some(heart) = self.hearts.get_mut(&way) else {
            return false;
        };
        match heart.handle_stun(now, datagram, &mut self.rng) {
            true => self.rearm_heart(way),
            false => self.is_dead(way),
        }
        true
    }

    /// Forgets what was kept open of a link that is gone.
    pub(super) fn stop_hearts(&mut self, id: LinkId) {
        let first = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let ways = self.hearts.range((id, first)..);
        let ways: Vec<Way> = ways
            .map(|(way, _)| *way)
            .take_while(|(of, _)| *of == id)
            .collect();
        for way in ways {
            self.hearts.remove(&way);
            self.rearm_heart(way);
        }
    }

    /// A connection is closed, for nothing comes by it any more; of a socket only this peer is lost.
    fn is_dead(&mut self, (id, to): Way) {
        self.counters.dead += 1;
        let heart = self.hearts.remove(&(id, to));
        self.rearm_heart((id, to));
        if heart.is_some_and(|heart| heart.is_stream) {
            return self.fail(id, LinkError::TimedOut);
        }
        if let Some(flow) = self.table.get(id).and_then(|link| link.flow()) {
            let input = sip::Input::FlowFailed { flow, to };
            self.out.push_back(LinkOutput::Flow(input));
        }
    }

    fn rearm_heart(&mut self, way: Way) {
        let deadline = self.hearts.get(&way).map(Heart::poll_timeout);
        self.timers.set(Due::Heart(way), deadline);
    }
}

/// A link with one of its peers.
pub(super) type Way = (LinkId, SocketAddr);

/// RFC 5626, 4.4: drawn between 80 and 100 % of the longest.
fn pause(pulse: Pulse, rng: &mut Rng) -> Duration {
    pulse.every.mul_f64(0.8 + 0.2 * rng.unit())
}

fn binding(transaction: TransactionId) -> Bytes {
    // RFC 5626, 8: no FINGERPRINT is needed to tell it from SIP.
    Writer::new(Class::Request, Method::BINDING, transaction).finish()
}

/// RFC 8489, 6.2.1: the first pause between two copies of a request.
const STUN_RTO: Duration = Duration::from_millis(500);
/// RFC 8489, 6.2.1: how often it is sent.
const STUN_COUNT: u32 = 7;

#[cfg(test)]
mod tests;
