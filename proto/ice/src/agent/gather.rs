//! Our own candidates: of interfaces, of relays, and as STUN servers see us (RFC 8445, 5.1.1).

use super::{Agent, Base, BaseId, Component, Event, Local, Output, State, UnknownBase};
use crate::{
    Candidate, Kind,
    pair::PairState,
    stun::{Class, Message, Method, TransactionId, Writer},
};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Questions to STUN servers.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// Questions that have not been asked.
    waiting: VecDeque<(usize, SocketAddr)>,
    running: Vec<Question>,
    next: Option<Instant>,
    deadline: Option<Instant>,
    /// Relays may still give addresses.
    is_awaiting: bool,
}

#[derive(Debug)]
struct Question {
    id: TransactionId,
    base: usize,
    server: SocketAddr,
    sent: u32,
    rto: Duration,
    next: Instant,
    message: Bytes,
}

impl Gathering {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let running = self.running.iter().map(|question| question.next);
        running.chain(self.next).chain(self.deadline).min()
    }
}

impl Agent {
    /// Adds an address of an interface. `preference` orders those of one component, 65,535 first (RFC
    /// 8445, 5.1.2.1; for both families side by side, RFC 8421). What is added after the peer's
    /// description is not paired before a restart.
    pub fn add_base(
        &mut self,
        component: Component,
        address: SocketAddr,
        preference: u16,
    ) -> BaseId {
        self.add(component, address, Kind::Host, preference, None)
    }

    /// Adds an address of a TURN server, which sees us at `mapped`: packets of it go through the relay.
    pub fn add_relayed(
        &mut self,
        component: Component,
        address: SocketAddr,
        mapped: SocketAddr,
        preference: u16,
    ) -> BaseId {
        self.add(component, address, Kind::Relayed, preference, Some(mapped))
    }

    /// Says whether relays may still give addresses: gathering does not end before they have, or before
    /// its time is over.
    pub fn await_relayed(&mut self, is_awaiting: bool) {
        self.gathering.is_awaiting = is_awaiting;
        if self.state == State::Gathering {
            self.gathered_all();
        }
    }

    /// An address is gone, as one of a relay goes: it is not told any more, and no pair of it works. What
    /// is sent from it by a component whose chosen pair has it is for the caller to drop.
    pub fn remove_base(&mut self, now: Instant, base: BaseId) {
        let Some(gone) = self.bases.get_mut(base.0) else {
            return;
        };
        gone.is_gone = true;
        for at in 0..self.pairs.len() {
            if self.locals[self.pairs[at].local].base == base.0 {
                let pair = &mut self.pairs[at];
                pair.set(now, PairState::Failed, "our address is gone");
                (pair.seen_as, pair.nominated, pair.nominate) = (None, false, false);
                self.checks.retain(|check| check.pair != at);
                self.triggered.retain(|&waiting| waiting != at);
            }
        }
        self.conclude(now);
    }

    fn add(
        &mut self,
        component: Component,
        address: SocketAddr,
        kind: Kind,
        preference: u16,
        related: Option<SocketAddr>,
    ) -> BaseId {
        self.bases.push(Base {
            component,
            address,
            kind,
            preference,
            is_gone: false,
        });
        let base = self.bases.len() - 1;
        self.add_candidate(base, address, kind, related, None);
        BaseId(base)
    }

    /// Asks STUN servers how they see our interfaces: each from each address of its family. It goes on
    /// with what has come when [`gathering`](super::Config::gathering) is over.
    pub fn gather(&mut self, now: Instant, servers: &[SocketAddr]) {
        let interfaces = self.bases.iter().enumerate();
        let interfaces = interfaces.filter(|(_, base)| base.kind == Kind::Host);
        let questions = interfaces.flat_map(|(at, base)| {
            let same = |server: &&SocketAddr| server.is_ipv4() == base.address.is_ipv4();
            servers.iter().filter(same).map(move |server| (at, *server))
        });
        self.gathering.waiting = questions.take(MAX_QUESTIONS).collect();
        self.gathering.next = Some(now);
        self.gathering.deadline = now.checked_add(self.config.gathering);
        self.set_state(State::Gathering);
        self.gathering_due(now);
    }

    pub(super) fn gathering_due(&mut self, now: Instant) {
        if self.state != State::Gathering {
            return;
        }
        if self.gathering.deadline.is_some_and(|at| at <= now) {
            self.gathering = Gathering::default();
            self.set_state(State::Gathered);
            return;
        }
        self.repeat_questions(now);
        if self.gathering.next.is_some_and(|at| at <= now) {
            match self.gathering.waiting.pop_front() {
                Some((base, server)) => {
                    self.ask(now, base, server);
                    self.gathering.next = now.checked_add(self.config.ta);
                }
                None => self.gathering.next = None,
            }
        }
        self.gathered_all();
    }

    fn gathered_all(&mut self) {
        let questions = self.gathering.waiting.len() + self.gathering.running.len();
        if questions == 0 && !self.gathering.is_awaiting {
            self.gathering = Gathering::default();
            self.set_state(State::Gathered);
        }
    }

    fn ask(&mut self, now: Instant, base: usize, server: SocketAddr) {
        let id = self.transaction_id();
        let message = Writer::new(Class::Request, Method::BINDING, id)
            .fingerprint()
            .finish();
        self.out.push_back(Output::Transmit {
            base: BaseId(base),
            to: server,
            payload: message.clone(),
        });
        let rto = self.config.rto;
        self.gathering.running.push(Question {
            id,
            base,
            server,
            sent: 1,
            rto,
            next: now + rto,
            message,
        });
    }

    /// RFC 8489, 6.2.1.
    fn repeat_questions(&mut self, now: Instant) {
        let most = self.config.transmissions;
        self.gathering
            .running
            .retain(|question| question.next > now || question.sent < most);
        for question in &mut self.gathering.running {
            if question.next > now {
                continue;
            }
            question.sent += 1;
            question.rto *= 2;
            question.next = now + question.rto;
            self.out.push_back(Output::Transmit {
                base: BaseId(question.base),
                to: question.server,
                payload: question.message.clone(),
            });
        }
    }

    /// Takes the answer of a server; false if it is none.
    pub(super) fn handle_answer(
        &mut self,
        base: usize,
        from: SocketAddr,
        message: &Message<'_>,
    ) -> bool {
        let asked = |question: &Question| {
            question.id == message.transaction() && question.base == base && question.server == from
        };
        let Some(at) = self.gathering.running.iter().position(asked) else {
            return false;
        };
        let question = self.gathering.running.swap_remove(at);
        if message.class() == Class::Success
            && message.unknown().next().is_none()
            && let Some(mapped) = message.mapped_address()
        {
            let related = self.bases[base].address;
            // RFC 8445, 5.1.3: where there is no NAT it is the address of the interface.
            if mapped != related {
                self.add_candidate(
                    base,
                    mapped,
                    Kind::ServerReflexive,
                    Some(related),
                    Some(question.server),
                );
            }
        }
        self.gathered_all();
        true
    }

    fn add_candidate(
        &mut self,
        base: usize,
        address: SocketAddr,
        kind: Kind,
        related: Option<SocketAddr>,
        server: Option<SocketAddr>,
    ) {
        let is_known = |local: &Local| local.candidate.address == address && local.base == base;
        if self.locals.iter().any(is_known) {
            return;
        }
        let at = self.bases[base].address.ip();
        let candidate = Candidate {
            foundation: self.foundation(kind, at, server.map(|server| server.ip())),
            component: self.bases[base].component,
            priority: self.priority_of(base, kind),
            address,
            kind,
            related,
        };
        let told = candidate.clone();
        if self.add_local(Local { candidate, base }).is_some() {
            self.out.push_back(Output::Event(Event::GotCandidate(told)));
        }
    }

    /// The address of a base.
    ///
    /// # Errors
    ///
    /// If no such base was added.
    pub fn base_address(&self, base: BaseId) -> Result<SocketAddr, UnknownBase> {
        let base = self.bases.get(base.0).ok_or(UnknownBase)?;
        Ok(base.address)
    }

    pub(super) fn transaction_id(&mut self) -> TransactionId {
        let mut id = [0; 12];
        self.rng.fill(&mut id);
        TransactionId(id)
    }
}

/// Questions of one agent: eight addresses and as many servers.
const MAX_QUESTIONS: usize = 64;
