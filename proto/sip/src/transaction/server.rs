//! The server transaction of all requests but INVITE and ACK: RFC 3261, 17.2.2.

use super::{
    Timers,
    machine::{Action, Machine, Row},
};
use base::Deadline;
use std::time::{Duration, Instant};

/// Figure 8. What does not stand here changes nothing.
///
/// A transport error leaves the state alone, as RFC 6026, 8.8 says of all server transactions: the
/// figure's arrow would let the next retransmission through as a new request.
#[rustfmt::skip]
pub(super) const TABLE: &[Row<State, Input>] = &[
    (State::Trying, Input::Request, State::Trying, &[]),
    (State::Trying, Input::Provisional, State::Proceeding, &[Action::Send]),
    (State::Trying, Input::Final, State::Completed, &[Action::Send]),
    (State::Proceeding, Input::Request, State::Proceeding, &[Action::Send]),
    (State::Proceeding, Input::Provisional, State::Proceeding, &[Action::Send]),
    (State::Proceeding, Input::Final, State::Completed, &[Action::Send]),
    (State::Proceeding, Input::TransportError, State::Proceeding, &[Action::Failed]),
    (State::Completed, Input::Request, State::Completed, &[Action::Send]),
    (State::Completed, Input::TransportError, State::Completed, &[Action::Failed]),
    (State::Completed, Input::TimerJ, State::Terminated, &[]),
];

/// The states of figure 8.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

/// What can happen to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Input {
    /// The request again.
    Request,
    /// The transaction user responds with 1xx.
    Provisional,
    /// The transaction user responds with 200 to 699.
    Final,
    TimerJ,
    TransportError,
}

/// One request that arrived.
#[derive(Clone, Debug)]
pub(super) struct Server {
    state: State,
    is_reliable: bool,
    timer_j: Option<Instant>,
}

impl Server {
    /// The request has just been handed to the transaction user.
    pub(super) const fn new(is_reliable: bool) -> Self {
        Self {
            state: State::Trying,
            is_reliable,
            timer_j: None,
        }
    }
}

impl Machine for Server {
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
            (State::Proceeding | State::Completed, Input::Request) => &[Action::Send],
            (State::Trying | State::Proceeding, Input::Provisional) => {
                self.state = State::Proceeding;
                &[Action::Send]
            }
            (State::Trying | State::Proceeding, Input::Final) => {
                let wait = if self.is_reliable {
                    Duration::ZERO
                } else {
                    timers.timer_j
                };
                self.state = State::Completed;
                self.timer_j = Some(now + wait);
                &[Action::Send]
            }
            (State::Proceeding | State::Completed, Input::TransportError) => &[Action::Failed],
            (State::Completed, Input::TimerJ) => {
                self.state = State::Terminated;
                self.timer_j = None;
                &[]
            }
            (State::Trying, Input::Request | Input::TimerJ | Input::TransportError)
            | (State::Proceeding, Input::TimerJ)
            | (State::Completed, Input::Provisional | Input::Final)
            | (State::Terminated, _) => &[],
        }
    }

    fn deadline(&self) -> Option<Deadline> {
        self.timer_j.map(|at| Deadline::new(at, "timer J"))
    }

    fn due(&self, now: Instant) -> Option<Input> {
        self.timer_j.filter(|&at| at <= now).map(|_| Input::TimerJ)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::machine::tests::{compare, ms, run, start};

    const STATES: [State; 4] = [
        State::Trying,
        State::Proceeding,
        State::Completed,
        State::Terminated,
    ];
    const INPUTS: [Input; 5] = [
        Input::Request,
        Input::Provisional,
        Input::Final,
        Input::TimerJ,
        Input::TransportError,
    ];

    fn step(machine: &mut Server, at: u64, input: Input) -> &'static [Action] {
        machine.handle(start() + ms(at), &Timers::default(), input)
    }

    #[test]
    fn the_table_is_the_code() {
        compare(TABLE, &STATES, &INPUTS, |state| {
            let mut machine = Server::new(false);
            let path: &[Input] = match state {
                State::Trying => &[],
                State::Proceeding => &[Input::Provisional],
                State::Completed => &[Input::Final],
                State::Terminated => &[Input::Final, Input::TimerJ],
            };
            for &input in path {
                step(&mut machine, 0, input);
            }
            machine
        });
    }

    #[test]
    fn the_response_answers_retransmissions_until_timer_j() {
        let mut machine = Server::new(false);
        assert_eq!(step(&mut machine, 0, Input::Request), []);
        assert_eq!(step(&mut machine, 100, Input::Final), [Action::Send]);
        assert_eq!(step(&mut machine, 500, Input::Request), [Action::Send]);
        assert_eq!(run(&mut machine, ms(60_000)), [(32_100, "timer J", vec![])]);
    }

    #[test]
    fn timer_j_is_zero_on_reliable_transports() {
        let mut machine = Server::new(true);
        step(&mut machine, 100, Input::Final);
        assert_eq!(run(&mut machine, ms(100)), [(100, "timer J", vec![])]);
    }
}
