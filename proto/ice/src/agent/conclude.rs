//! Which pair is used, and when nothing more will come (RFC 8445, 8; RFC 8863).

use super::{Agent, Chosen, Component, Event, Output, RELEASE, State, consent::Consent};
use crate::{
    Kind,
    pair::{Pair, PairState},
    role::Role,
};
use std::time::Instant;

impl Agent {
    /// Looks at what has changed: chooses, completes, fails.
    pub(super) fn conclude(&mut self, now: Instant) {
        if !matches!(self.state, State::Running | State::Completed) {
            return;
        }
        self.select_nominated(now);
        if self.state == State::Completed {
            return;
        }
        if self.role == Role::Controlling {
            self.nominate(now);
        }
        let components = self.components();
        if !components.is_empty()
            && components
                .iter()
                .all(|&component| self.is_concluded(component))
        {
            self.patience = None;
            self.decision = None;
            self.release = now.checked_add(RELEASE);
            return self.set_state(State::Completed);
        }
        self.give_up(now, &components);
    }

    /// RFC 8445, 8.1.1: of several nominated pairs the best one counts.
    fn select_nominated(&mut self, now: Instant) {
        for component in self.components() {
            let best = self
                .pairs
                .iter()
                .filter(|pair| pair.component == component && pair.nominated && pair.is_valid())
                .max_by_key(|pair| pair.priority);
            let Some(best) = best else {
                continue;
            };
            let (selected, priority) = (self.selection(best), best.priority);
            let before = self
                .selected
                .iter()
                .position(|chosen| chosen.component == component);
            if let Some(chosen) = before.map(|at| &self.selected[at])
                && chosen.is_current
                && chosen.selected == selected
            {
                continue;
            }
            let consent = Consent::new(now, &self.config, &mut self.rng);
            let chosen = Chosen {
                component,
                selected,
                is_current: true,
                consent,
            };
            match before {
                Some(at) => self.selected[at] = chosen,
                None => self.selected.push(chosen),
            }
            self.cancel_others(now, component, priority);
            self.out.push_back(Output::Event(Event::DidSelect {
                component,
                pair: selected,
            }));
        }
    }

    /// RFC 8445, 8.1.2: checks of pairs that nobody needs are not repeated. What an aggressive peer may
    /// still choose goes on.
    fn cancel_others(&mut self, now: Instant, component: Component, priority: u64) {
        for check in &mut self.checks {
            let pair = &self.pairs[check.pair];
            check.is_cancelled |=
                pair.component == component && pair.priority <= priority && !pair.wanted;
        }
        for pair in &mut self.pairs {
            if pair.component == component && pair.is_open() && !pair.wanted {
                pair.note(now, "another one is chosen");
            }
        }
        let pairs = &self.pairs;
        self.triggered.retain(|&at| {
            pairs[at].component != component || pairs[at].wanted || pairs[at].nominate
        });
    }

    /// RFC 8445, 8.1.1: the controlling side chooses the best pair when nothing better can come, or
    /// its time is over.
    fn nominate(&mut self, now: Instant) {
        let mut wait: Option<Instant> = None;
        for component in self.components() {
            let is_decided = self
                .pairs
                .iter()
                .any(|pair| pair.component == component && (pair.nominate || pair.nominated));
            if is_decided {
                continue;
            }
            let best = (0..self.pairs.len())
                .filter(|&at| self.pairs[at].component == component && self.pairs[at].is_valid())
                .max_by_key(|&at| self.pairs[at].priority);
            let Some(best) = best else {
                continue;
            };
            let pair = &self.pairs[best];
            let may_improve = self.pairs.iter().any(|other| {
                other.component == component && other.priority > pair.priority && other.is_open()
            });
            let selection = self.selection(pair);
            let is_relayed =
                selection.local_kind == Kind::Relayed || selection.remote_kind == Kind::Relayed;
            let limit = match is_relayed {
                true => self.config.better_than_relayed,
                false => self.config.better,
            };
            let until = pair.since + limit;
            if may_improve && until > now {
                wait = Some(wait.map_or(until, |at| at.min(until)));
                continue;
            }
            self.pairs[best].nominate = true;
            self.pairs[best].note(now, "to be chosen");
            self.enqueue(now, best);
        }
        self.decision = wait;
        self.schedule(now);
    }

    /// RFC 8445, 7.2.5.4 and RFC 8863, 4: it has failed when no pair is left and the peer had its time.
    fn give_up(&mut self, now: Instant, components: &[Component]) {
        // A controlling side chooses what works; a peer that has not chosen by now never will.
        let may_succeed = |pair: &Pair| match self.role {
            Role::Controlling => pair.is_open() || pair.state == PairState::Succeeded,
            Role::Controlled => pair.is_open() || pair.nominated,
        };
        let is_hopeless = |component: &Component| {
            let mut pairs = self.pairs.iter();
            !pairs.any(|pair| pair.component == *component && may_succeed(pair))
        };
        let is_over = self.patience.is_none_or(|at| at <= now);
        if is_over {
            self.patience = None;
        }
        let may_come = self
            .remote
            .as_ref()
            .is_some_and(|remote| remote.is_trickling);
        if is_over && !may_come && (components.is_empty() || components.iter().any(is_hopeless)) {
            self.checks.clear();
            self.triggered.clear();
            (self.next_check, self.decision) = (None, None);
            for pair in self.pairs.iter_mut().filter(|pair| pair.is_open()) {
                pair.set(now, PairState::Failed, "another component has no pair");
            }
            self.set_state(State::Failed);
        }
    }
}
