//! The proof of name servers (requirements DNM): home routers exist that know A and nothing else.
//!
//! The system's servers are used at once and proven meanwhile. If they fail and others are configured,
//! these are proven, too, and used if they work; the system's are tried again every 15 s and taken back
//! as soon as they work.

use super::{Child, Event, Resolver};
use crate::{Kind, Question, known::Answer};
use base::Deadline;
use std::time::{Duration, Instant};

/// How far the proof is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Proof {
    /// Nothing is asked before this time.
    Resting { until: Option<Instant> },
    /// So many queries are not answered; after this time the servers have failed.
    Asking {
        which: Which,
        left: usize,
        until: Option<Instant>,
    },
}

/// Which servers are being proven.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Which {
    System,
    Fallback,
}

impl Resolver {
    /// Proves the system's servers, or uses them as they are if there is nothing to prove them by.
    pub(super) fn prove(&mut self, now: Instant) {
        self.abandon_probe(now);
        match self.servers.domain.is_some() {
            true => self.probe(now, Which::System),
            false => self.use_servers(Which::System, None),
        }
    }

    fn probe(&mut self, now: Instant, which: Which) {
        let Some(domain) = self.servers.domain.clone() else {
            return;
        };
        let (servers, timeout, lifetime) = match which {
            Which::System => (self.servers.system.clone(), SYSTEM_TRY, SYSTEM_ALL),
            Which::Fallback => (self.servers.fallback.clone(), FALLBACK_TRY, FALLBACK_ALL),
        };
        // DNM-02: what such routers do not know.
        let mut questions = vec![Question::new(domain.clone(), Kind::Naptr)];
        let service = domain.below("_sip._udp");
        questions.extend(service.map(|service| Question::new(service, Kind::Srv)));
        let until = now.checked_add(lifetime);
        self.servers.proof = Proof::Asking {
            which,
            left: questions.len(),
            until,
        };
        self.rearm_probe();
        if servers.is_empty() {
            return self.disproved(now, which);
        }
        for question in questions {
            self.query_of(now, &question, servers.clone(), timeout);
        }
    }

    /// A query of the proof is over.
    pub(super) fn probed(&mut self, now: Instant, answer: &Answer) {
        let Proof::Asking { which, left, .. } = &mut self.servers.proof else {
            return;
        };
        let which = *which;
        if answer.is_err() {
            return self.disproved(now, which);
        }
        *left = left.saturating_sub(1);
        if *left == 0 {
            // Working local servers are not proven again before something changes.
            let again = match which {
                Which::System => None,
                Which::Fallback => now.checked_add(AGAIN),
            };
            self.use_servers(which, again);
        }
    }

    pub(super) fn handle_probe_timeout(&mut self, now: Instant) {
        match self.servers.proof {
            Proof::Asking { which, .. } => self.disproved(now, which),
            Proof::Resting { .. } => self.prove(now),
        }
    }

    fn disproved(&mut self, now: Instant, which: Which) {
        self.abandon_probe(now);
        match which {
            Which::System if !self.servers.fallback.is_empty() => self.probe(now, Which::Fallback),
            // DNM-03: nobody works; the local servers are kept, as they may know local names.
            Which::System | Which::Fallback => {
                let again = now.checked_add(AGAIN);
                self.use_servers(Which::System, again);
            }
        }
    }

    /// Uses servers from now on, and proves again at `again`.
    fn use_servers(&mut self, which: Which, again: Option<Instant>) {
        self.servers.proof = Proof::Resting { until: again };
        self.rearm_probe();
        match which {
            Which::System => self.servers.use_system(),
            Which::Fallback => self.servers.use_fallback(),
        }
        if let Some((servers, first)) = self.servers.take_news() {
            self.cache.clear();
            self.tell(Event::NameServers { servers, first });
        }
    }

    fn rearm_probe(&mut self) {
        let deadline = match self.servers.proof {
            Proof::Resting { until } => until.map(|at| Deadline::new(at, "name servers again")),
            Proof::Asking { until, .. } => until.map(|at| Deadline::new(at, "name servers")),
        };
        self.timers.set(Child::Probe, deadline);
    }
}

/// DNM-02: 1 s for each try, 3 s in all.
const SYSTEM_TRY: Duration = Duration::from_secs(1);
const SYSTEM_ALL: Duration = Duration::from_secs(3);
/// DNM-03: 2 s for each try, 4 s in all.
const FALLBACK_TRY: Duration = Duration::from_secs(2);
const FALLBACK_ALL: Duration = Duration::from_secs(4);
/// DNM-03.
const AGAIN: Duration = Duration::from_secs(15);
