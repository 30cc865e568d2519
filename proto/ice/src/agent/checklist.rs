//! The checklist: which pairs there are, and which is checked next (RFC 8445, 6.1.2 and 6.1.4).

use super::{Agent, Component, State};
use crate::{
    Kind,
    pair::{self, Pair, PairState},
};
use smallvec::SmallVec;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    time::Instant,
};

impl Agent {
    /// Pairs what is not paired (RFC 8445, 6.1.2.2 to 6.1.2.6).
    pub(super) fn form_pairs(&mut self, now: Instant) {
        if self.remote.is_none() {
            return;
        }
        let mut known: BTreeSet<(usize, usize)> = self
            .pairs
            .iter()
            .map(|pair| (pair.local, pair.remote))
            .collect();
        for local in 0..self.locals.len() {
            // RFC 8445, 6.1.2.4: a reflexive candidate leaves from its base, which is paired itself.
            if !matches!(
                self.locals[local].candidate.kind,
                Kind::Host | Kind::Relayed
            ) || self.bases[self.locals[local].base].is_gone
            {
                continue;
            }
            for remote in 0..self.remotes.len() {
                let (ours, theirs) = (&self.locals[local].candidate, &self.remotes[remote]);
                if ours.component == theirs.component
                    && fits(ours.address, theirs.address)
                    && known.insert((local, remote))
                {
                    self.add_pair(now, local, remote);
                }
            }
        }
        self.cut(now);
        self.thaw_first(now);
    }

    pub(super) fn add_pair(&mut self, now: Instant, local: usize, remote: usize) -> usize {
        let (ours, theirs) = (&self.locals[local].candidate, &self.remotes[remote]);
        let mut pair = Pair {
            local,
            remote,
            component: ours.component,
            priority: pair::priority(self.role, ours.priority, theirs.priority),
            state: PairState::Frozen,
            seen_as: None,
            nominated: false,
            wanted: false,
            nominate: false,
            since: now,
            timeline: SmallVec::new(),
        };
        pair.note(now, "paired");
        self.pairs.push(pair);
        self.pairs.len() - 1
    }

    /// RFC 8445, 6.1.2.5: too many pairs cost the worst of those that nothing has happened to. They stay
    /// in their place, so that numbers of pairs hold, and count as failed.
    fn cut(&mut self, now: Instant) {
        let mut untried: Vec<usize> = (0..self.pairs.len())
            .filter(|&at| self.pairs[at].state == PairState::Frozen)
            .collect();
        let over = self.pairs.len().saturating_sub(self.config.pairs);
        untried.sort_by_key(|&at| self.pairs[at].priority);
        for at in untried.into_iter().take(over) {
            self.pairs[at].set(now, PairState::Failed, "too many pairs");
        }
    }

    /// RFC 8445, 6.1.2.6: of each foundation the first pair is checked, of the lowest component and then
    /// of the highest priority; the others wait for what comes of it.
    fn thaw_first(&mut self, now: Instant) {
        let mut first: BTreeMap<(String, String), usize> = BTreeMap::new();
        for at in 0..self.pairs.len() {
            let best = first.entry(self.foundation_of(at)).or_insert(at);
            let rank = |at: usize| {
                let pair: &Pair = &self.pairs[at];
                let is_tried = pair.state != PairState::Frozen;
                (!is_tried, pair.component, std::cmp::Reverse(pair.priority))
            };
            if rank(at) < rank(*best) {
                *best = at;
            }
        }
        for at in first.into_values() {
            if self.pairs[at].state == PairState::Frozen {
                self.pairs[at].set(now, PairState::Waiting, "to be checked");
            }
        }
    }

    /// RFC 8445, 7.2.5.3.3. A translator may show other ports of the peer than it has told: such a pair
    /// has a foundation of its own, and speaks for all that lead to the same address.
    pub(super) fn thaw_like(&mut self, now: Instant, at: usize) {
        let foundation = self.foundation_of(at);
        let ip = |agent: &Self, at: usize| agent.remotes[agent.pairs[at].remote].address.ip();
        let (ours, theirs) = (foundation.0.clone(), ip(self, at));
        for other in 0..self.pairs.len() {
            let own = self.foundation_of(other);
            let is_like = own == foundation || (own.0 == ours && ip(self, other) == theirs);
            if self.pairs[other].state == PairState::Frozen && is_like {
                self.pairs[other].set(now, PairState::Waiting, "one of its kind works");
            }
        }
    }

    fn foundation_of(&self, at: usize) -> (String, String) {
        let pair = &self.pairs[at];
        (
            self.locals[pair.local].candidate.foundation.clone(),
            self.remotes[pair.remote].foundation.clone(),
        )
    }

    /// Sends the next check if its time has come (RFC 8445, 6.1.4.2).
    pub(super) fn schedule(&mut self, now: Instant) {
        if !matches!(self.state, State::Running | State::Completed) || self.remote.is_none() {
            self.next_check = None;
            return;
        }
        if self.next_check.is_some_and(|at| at > now) {
            return;
        }
        self.next_check = match self.next_pair(now) {
            Some(at) => {
                self.check(now, at);
                now.checked_add(self.pace())
            }
            None => None,
        };
    }

    fn next_pair(&mut self, now: Instant) -> Option<usize> {
        while let Some(at) = self.triggered.pop_front() {
            let pair = &self.pairs[at];
            // It has turned out to work while it stood in the queue.
            if pair.state != PairState::Succeeded || pair.nominate {
                return Some(at);
            }
        }
        let best = |agent: &Self, state| {
            (0..agent.pairs.len())
                .filter(|&at| {
                    let pair = &agent.pairs[at];
                    pair.state == state && !agent.is_concluded(pair.component)
                })
                .max_by_key(|&at| agent.pairs[at].priority)
        };
        if let Some(at) = best(self, PairState::Waiting) {
            return Some(at);
        }
        // RFC 8445, 6.1.4.2: a frozen one goes whose like is not on its way.
        let busy: BTreeSet<(String, String)> = (0..self.pairs.len())
            .filter(|&at| self.pairs[at].state == PairState::InProgress)
            .map(|at| self.foundation_of(at))
            .collect();
        for at in 0..self.pairs.len() {
            if self.pairs[at].state == PairState::Frozen && !busy.contains(&self.foundation_of(at))
            {
                self.pairs[at].set(now, PairState::Waiting, "to be checked");
            }
        }
        best(self, PairState::Waiting)
    }

    /// Puts a pair into the queue that goes before all others (RFC 8445, 6.1.4.1).
    pub(super) fn trigger(&mut self, now: Instant, at: usize, why: &'static str) {
        self.pairs[at].set(now, PairState::Waiting, why);
        self.enqueue(now, at);
    }

    /// Puts the pair into the queue of triggered checks, once.
    pub(super) fn enqueue(&mut self, now: Instant, at: usize) {
        if !self.triggered.contains(&at) {
            self.triggered.push_back(at);
        }
        if self.next_check.is_none() {
            self.next_check = Some(now);
        }
    }

    /// True if a pair of the component has been chosen in this checklist.
    pub(super) fn is_concluded(&self, component: Component) -> bool {
        self.selected
            .iter()
            .any(|chosen| chosen.component == component && chosen.is_current)
    }
}

/// RFC 8445, 6.1.2.2: the same family, and link-local addresses among themselves.
fn fits(ours: SocketAddr, theirs: SocketAddr) -> bool {
    match (ours.ip(), theirs.ip()) {
        (IpAddr::V4(_), IpAddr::V4(_)) => true,
        (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
            ours.is_unicast_link_local() == theirs.is_unicast_link_local()
        }
        _ => false,
    }
}
