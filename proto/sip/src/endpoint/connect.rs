//! Connections that requests wait for: the first that is up wins (RFC 8305), and what did not come up
//! is remembered.

use super::{Endpoint, flow, flow::Waiter, route::Connection};
use crate::{
    FlowId,
    attempt::{AttemptId, Candidate, Failure, Stage},
};
use base::LinkError;
use std::time::Instant;

impl Endpoint {
    /// A connection that an attempt waited for is there.
    pub(super) fn connected(&mut self, now: Instant, id: AttemptId, flow: FlowId) {
        let Some(attempt) = self.attempts.get_mut(id) else {
            return;
        };
        let Stage::Connecting(race) = &mut attempt.stage else {
            return;
        };
        let Some(candidate) = race.remove(flow) else {
            return;
        };
        self.leave_race(now, id);
        let is_withdrawn = self
            .attempts
            .get(id)
            .is_some_and(|attempt| attempt.withdrawal.is_some());
        if is_withdrawn {
            return self.fail(now, id, Failure::Cancelled);
        }
        if !self.send_over(now, id, flow, candidate) {
            self.try_next(now, id);
        }
    }

    /// A connection that an attempt waited for did not come up.
    pub(super) fn not_connected(
        &mut self,
        now: Instant,
        id: AttemptId,
        flow: FlowId,
        error: Option<LinkError>,
    ) {
        let Some(attempt) = self.attempts.get_mut(id) else {
            return;
        };
        let Stage::Connecting(race) = &mut attempt.stage else {
            return;
        };
        let Some(candidate) = race.remove(flow) else {
            return;
        };
        let is_over = race.is_over();
        attempt.failure = Some(Failure::Transport(error.or(Some(LinkError::Reset))));
        self.shun(now, &candidate);
        if is_over {
            self.try_next(now, id);
        }
    }

    /// Tries the other family beside a connection that takes its time; false if there is none.
    pub(super) fn try_rival(&mut self, now: Instant, id: AttemptId) -> bool {
        let Some(attempt) = self.attempts.get_mut(id) else {
            return false;
        };
        let Some(candidate) = attempt.take_rival() else {
            return false;
        };
        let identity = attempt.draft.identity;
        match self.connection(now, &candidate.target, identity, Waiter::Attempt(id)) {
            Connection::Up(flow) => {
                self.leave_race(now, id);
                if !self.send_over(now, id, flow, candidate) {
                    self.try_next(now, id);
                }
                return true;
            }
            Connection::Coming(flow) => {
                if let Some(attempt) = self.attempts.get_mut(id)
                    && let Stage::Connecting(race) = &mut attempt.stage
                {
                    race.add(flow, candidate);
                }
            }
            Connection::Impossible => {}
        }
        self.watch(now, id);
        true
    }

    /// None of the connections came up in time.
    pub(super) fn give_race_up(&mut self, now: Instant, id: AttemptId) {
        let stage = self.attempts.get(id).map(|attempt| attempt.stage.clone());
        if let Some(Stage::Connecting(race)) = stage {
            for (_, candidate) in race.into_runners() {
                self.shun(now, &candidate);
            }
        }
    }

    /// Closes what still comes up for an attempt, if nobody else waits for it.
    fn leave_race(&mut self, now: Instant, id: AttemptId) {
        let Some(attempt) = self.attempts.get_mut(id) else {
            return;
        };
        let Stage::Connecting(race) = std::mem::replace(&mut attempt.stage, Stage::New) else {
            return;
        };
        for (flow, _) in race.into_runners() {
            let Some(loser) = self.flows.table.get_mut(flow) else {
                continue;
            };
            loser
                .waiting
                .retain(|waiter| *waiter != Waiter::Attempt(id));
            if loser.waiting.is_empty() && loser.state == flow::State::Connecting {
                self.release(now, flow);
            }
        }
    }

    fn shun(&mut self, now: Instant, candidate: &Candidate) {
        let target = &candidate.target;
        self.avoided
            .note(now, (target.transport, target.address), None);
    }
}
