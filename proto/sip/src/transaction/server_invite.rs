//! The INVITE server transaction: RFC 3261, 17.2.1, with figure 7 as RFC 6026 replaced it.

use super::{
    Timers,
    machine::{Action, Machine, Row},
};
use base::{Deadline, earliest};
use std::time::{Duration, Instant};

/// Figure 7. What does not stand here changes nothing.
#[rustfmt::skip]
pub(super) const TABLE: &[Row<State, Input>] = &[
    (State::Proceeding, Input::Invite, State::Proceeding, &[Action::Send]),
    (State::Proceeding, Input::TimerTrying, State::Proceeding, &[Action::SendTrying]),
    (State::Proceeding, Input::Provisional, State::Proceeding, &[Action::Send]),
    (State::Proceeding, Input::Success, State::Accepted, &[Action::Send]),
    (State::Proceeding, Input::Failure, State::Completed, &[Action::Send]),
    (State::Proceeding, Input::TransportError, State::Proceeding, &[Action::Failed]),
    (State::Completed, Input::Invite, State::Completed, &[Action::Send]),
    (State::Completed, Input::TimerG, State::Completed, &[Action::Send]),
    (State::Completed, Input::Ack, State::Confirmed, &[]),
    (State::Completed, Input::TimerH, State::Terminated, &[Action::AckMissing]),
    (State::Completed, Input::TransportError, State::Completed, &[Action::Failed]),
    (State::Confirmed, Input::Ack, State::Confirmed, &[]),
    (State::Confirmed, Input::TimerI, State::Terminated, &[]),
    (State::Accepted, Input::Invite, State::Accepted, &[]),
    (State::Accepted, Input::Ack, State::Accepted, &[Action::Deliver]),
    (State::Accepted, Input::Success, State::Accepted, &[Action::Send]),
    (State::Accepted, Input::TransportError, State::Accepted, &[Action::Failed]),
    (State::Accepted, Input::TimerL, State::Terminated, &[]),
];

/// The states of figure 7.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Proceeding,
    Completed,
    Confirmed,
    Accepted,
    Terminated,
}

/// What can happen to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Input {
    /// The INVITE again.
    Invite,
    /// Its ACK.
    Ack,
    /// The transaction user responds with 1xx.
    Provisional,
    /// The transaction user responds with 2xx.
    Success,
    /// The transaction user responds with 300 to 699.
    Failure,
    TimerTrying,
    TimerG,
    TimerH,
    TimerI,
    TimerL,
    TransportError,
}

/// One INVITE that arrived.
#[derive(Clone, Debug)]
pub(super) struct ServerInvite {
    state: State,
    is_reliable: bool,
    /// Timer G, and how long it runs the next time.
    retransmit: Option<(Instant, Duration)>,
    /// The timer of 100 Trying, H, I or L, by state.
    expire: Option<Instant>,
}

impl ServerInvite {
    /// The INVITE has just been handed to the transaction user.
    pub(super) fn new(now: Instant, timers: &Timers, is_reliable: bool) -> Self {
        Self {
            state: State::Proceeding,
            is_reliable,
            retransmit: None,
            expire: Some(now + timers.trying),
        }
    }

    fn enter(&mut self, state: State, expire: Option<Instant>) {
        self.state = state;
        self.retransmit = None;
        self.expire = expire;
    }
}

impl Machine for ServerInvite {
    type State = State;
    type Input = Input;

    fn state(&self) -> State {
        self.state
    }

    fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    fn handle(&mut self, now: Instant, timers: &Timers, input: Input) -> &'static [Action] {
        match (self.state, input) {
            (State::Proceeding | State::Completed, Input::Invite) => &[Action::Send],
            (State::Proceeding, Input::TimerTrying) => {
                self.expire = None;
                &[Action::SendTrying]
            }
            (State::Proceeding, Input::Provisional) => {
                self.expire = None;
                &[Action::Send]
            }
            (State::Proceeding, Input::Success) => {
                // RFC 6026, 7.1: over all transports.
                self.enter(State::Accepted, Some(now + timers.timer_l));
                &[Action::Send]
            }
            (State::Proceeding, Input::Failure) => {
                self.enter(State::Completed, Some(now + timers.timer_h));
                if !self.is_reliable {
                    self.retransmit = Some((now + timers.t1, doubled(timers.t1, timers)));
                }
                &[Action::Send]
            }
            (State::Completed, Input::TimerG) => {
                if let Some((at, interval)) = &mut self.retransmit {
                    *at = now + *interval;
                    *interval = doubled(*interval, timers);
                }
                &[Action::Send]
            }
            (State::Completed, Input::Ack) => {
                let wait = if self.is_reliable {
                    Duration::ZERO
                } else {
                    timers.timer_i
                };
                self.enter(State::Confirmed, Some(now + wait));
                &[]
            }
            (State::Completed, Input::TimerH) => {
                self.enter(State::Terminated, None);
                &[Action::AckMissing]
            }
            // RFC 6026, 7.1: INVITEs that are sent again must still be recognised.
            (State::Proceeding | State::Completed | State::Accepted, Input::TransportError) => {
                &[Action::Failed]
            }
            (State::Accepted, Input::Ack) => &[Action::Deliver],
            (State::Accepted, Input::Success) => &[Action::Send],
            (State::Confirmed, Input::TimerI) | (State::Accepted, Input::TimerL) => {
                self.enter(State::Terminated, None);
                &[]
            }
            (
                State::Proceeding,
                Input::Ack | Input::TimerG | Input::TimerH | Input::TimerI | Input::TimerL,
            )
            | (
                State::Completed,
                Input::Provisional
                | Input::Success
                | Input::Failure
                | Input::TimerTrying
                | Input::TimerI
                | Input::TimerL,
            )
            | (
                State::Confirmed,
                Input::Invite
                | Input::Ack
                | Input::Provisional
                | Input::Success
                | Input::Failure
                | Input::TimerTrying
                | Input::TimerG
                | Input::TimerH
                | Input::TimerL
                | Input::TransportError,
            )
            | (
                State::Accepted,
                Input::Invite
                | Input::Provisional
                | Input::Failure
                | Input::TimerTrying
                | Input::TimerG
                | Input::TimerH
                | Input::TimerI,
            )
            | (State::Terminated, _) => &[],
        }
    }

    fn deadline(&self) -> Option<Deadline> {
        let expire = match self.state {
            State::Proceeding => "trying",
            State::Completed => "timer H",
            State::Confirmed => "timer I",
            State::Accepted | State::Terminated => "timer L",
        };
        earliest([
            (self.retransmit.map(|(at, _)| at), "timer G"),
            (self.expire, expire),
        ])
    }

    fn due(&self, now: Instant) -> Option<Input> {
        let deadline = self.deadline().filter(|deadline| deadline.at <= now)?;
        if self.retransmit.is_some_and(|(at, _)| at == deadline.at) {
            return Some(Input::TimerG);
        }
        Some(match self.state {
            State::Proceeding => Input::TimerTrying,
            State::Completed => Input::TimerH,
            State::Confirmed => Input::TimerI,
            State::Accepted | State::Terminated => Input::TimerL,
        })
    }
}

/// The interval after this one: MIN(2·G, T2).
fn doubled(interval: Duration, timers: &Timers) -> Duration {
    interval.saturating_mul(2).min(timers.t2)
}

#[cfg(test)]
mod tests;
