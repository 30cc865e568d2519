//! The INVITE client transaction: RFC 3261, 17.1.1, with figure 5 as RFC 6026 replaced it.

use super::{
    Timers,
    machine::{Action, Machine, Row},
};
use base::{Deadline, earliest};
use std::time::{Duration, Instant};

/// Figure 5. What does not stand here changes nothing.
#[rustfmt::skip]
pub(super) const TABLE: &[Row<State, Input>] = &[
    (State::Calling, Input::TimerA, State::Calling, &[Action::Send]),
    (State::Calling, Input::TimerB, State::Terminated, &[Action::TimedOut]),
    (State::Calling, Input::TransportError, State::Terminated, &[Action::Failed]),
    (State::Calling, Input::Provisional, State::Proceeding, &[Action::Deliver]),
    (State::Calling, Input::Success, State::Accepted, &[Action::Deliver]),
    (State::Calling, Input::Failure, State::Completed, &[Action::Acknowledge, Action::Deliver]),
    (State::Proceeding, Input::Provisional, State::Proceeding, &[Action::Deliver]),
    (State::Proceeding, Input::Success, State::Accepted, &[Action::Deliver]),
    (State::Proceeding, Input::Failure, State::Completed, &[Action::Acknowledge, Action::Deliver]),
    // RFC 3261, 9.1: 64·T1 after CANCEL the INVITE is given up.
    (State::Proceeding, Input::Cancelled, State::Proceeding, &[]),
    (State::Proceeding, Input::TimerB, State::Terminated, &[Action::TimedOut]),
    (State::Completed, Input::Failure, State::Completed, &[Action::Acknowledge]),
    (State::Completed, Input::TimerD, State::Terminated, &[]),
    (State::Completed, Input::TransportError, State::Terminated, &[Action::Failed]),
    (State::Accepted, Input::Success, State::Accepted, &[Action::Deliver]),
    (State::Accepted, Input::TimerM, State::Terminated, &[]),
];

/// The states of figure 5.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Calling,
    Proceeding,
    Completed,
    Accepted,
    Terminated,
}

/// What can happen to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Input {
    /// 1xx.
    Provisional,
    /// 2xx.
    Success,
    /// 300 to 699.
    Failure,
    /// CANCEL was sent for it.
    Cancelled,
    TimerA,
    TimerB,
    TimerD,
    TimerM,
    TransportError,
}

/// One INVITE that was sent.
#[derive(Clone, Debug)]
pub(super) struct ClientInvite {
    state: State,
    is_reliable: bool,
    /// Timer A, and how long it runs the next time.
    retransmit: Option<(Instant, Duration)>,
    /// Timer B, D or M, by state.
    expire: Option<Instant>,
}

impl ClientInvite {
    /// The INVITE has just been handed to the transport.
    pub(super) fn new(now: Instant, timers: &Timers, is_reliable: bool) -> Self {
        Self {
            state: State::Calling,
            is_reliable,
            retransmit: (!is_reliable).then(|| (now + timers.t1, timers.t1.saturating_mul(2))),
            expire: Some(now + timers.timer_b),
        }
    }

    fn leave_calling(&mut self, state: State, expire: Option<Instant>) {
        self.state = state;
        self.retransmit = None;
        self.expire = expire;
    }
}

impl Machine for ClientInvite {
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
            (State::Calling, Input::TimerA) => {
                // RFC 3261, 17.1.1.2: the interval doubles without an upper bound but timer B.
                if let Some((at, interval)) = &mut self.retransmit {
                    *at = now + *interval;
                    *interval = interval.saturating_mul(2);
                }
                &[Action::Send]
            }
            (State::Calling | State::Proceeding, Input::TimerB) => {
                self.leave_calling(State::Terminated, None);
                &[Action::TimedOut]
            }
            (State::Calling | State::Completed, Input::TransportError) => {
                self.leave_calling(State::Terminated, None);
                &[Action::Failed]
            }
            (State::Calling | State::Proceeding, Input::Provisional) => {
                if self.state == State::Calling {
                    self.leave_calling(State::Proceeding, None);
                }
                &[Action::Deliver]
            }
            (State::Calling | State::Proceeding, Input::Success) => {
                // RFC 6026, 7.2
                self.leave_calling(State::Accepted, Some(now + timers.timer_m));
                &[Action::Deliver]
            }
            (State::Calling | State::Proceeding, Input::Failure) => {
                let wait = if self.is_reliable {
                    Duration::ZERO
                } else {
                    timers.timer_d
                };
                self.leave_calling(State::Completed, Some(now + wait));
                &[Action::Acknowledge, Action::Deliver]
            }
            (State::Proceeding, Input::Cancelled) => {
                self.expire = self.expire.or(Some(now + timers.timer_b));
                &[]
            }
            (State::Completed, Input::Failure) => &[Action::Acknowledge],
            (State::Accepted, Input::Success) => &[Action::Deliver],
            (State::Completed, Input::TimerD) | (State::Accepted, Input::TimerM) => {
                self.leave_calling(State::Terminated, None);
                &[]
            }
            (State::Calling, Input::Cancelled | Input::TimerD | Input::TimerM)
            | (
                State::Proceeding,
                Input::TimerA | Input::TimerD | Input::TimerM | Input::TransportError,
            )
            | (
                State::Completed,
                Input::Provisional
                | Input::Success
                | Input::Cancelled
                | Input::TimerA
                | Input::TimerB
                | Input::TimerM,
            )
            | (
                State::Accepted,
                Input::Provisional
                | Input::Failure
                | Input::Cancelled
                | Input::TimerA
                | Input::TimerB
                | Input::TimerD
                | Input::TransportError,
            )
            | (State::Terminated, _) => &[],
        }
    }

    fn deadline(&self) -> Option<Deadline> {
        let expire = match self.state {
            State::Calling | State::Proceeding | State::Terminated => "timer B",
            State::Completed => "timer D",
            State::Accepted => "timer M",
        };
        earliest([
            (self.retransmit.map(|(at, _)| at), "timer A"),
            (self.expire, expire),
        ])
    }

    fn due(&self, now: Instant) -> Option<Input> {
        let deadline = self.deadline().filter(|deadline| deadline.at <= now)?;
        if self.retransmit.is_some_and(|(at, _)| at == deadline.at) {
            return Some(Input::TimerA);
        }
        Some(match self.state {
            State::Calling | State::Proceeding | State::Terminated => Input::TimerB,
            State::Completed => Input::TimerD,
            State::Accepted => Input::TimerM,
        })
    }
}

#[cfg(test)]
mod tests;
