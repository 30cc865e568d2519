//! The client transaction of all requests but INVITE: RFC 3261, 17.1.2.

use super::{
    Timers,
    machine::{Action, Machine, Row},
};
use base::{Deadline, earliest};
use std::time::{Duration, Instant};

/// Figure 6. What does not stand here changes nothing.
#[rustfmt::skip]
pub(super) const TABLE: &[Row<State, Input>] = &[
    (State::Trying, Input::TimerE, State::Trying, &[Action::Send]),
    (State::Trying, Input::TimerF, State::Terminated, &[Action::TimedOut]),
    (State::Trying, Input::TransportError, State::Terminated, &[Action::Failed]),
    (State::Trying, Input::Provisional, State::Proceeding, &[Action::Deliver]),
    (State::Trying, Input::Final, State::Completed, &[Action::Deliver]),
    (State::Proceeding, Input::TimerE, State::Proceeding, &[Action::Send]),
    (State::Proceeding, Input::TimerF, State::Terminated, &[Action::TimedOut]),
    (State::Proceeding, Input::TransportError, State::Terminated, &[Action::Failed]),
    (State::Proceeding, Input::Provisional, State::Proceeding, &[Action::Deliver]),
    (State::Proceeding, Input::Final, State::Completed, &[Action::Deliver]),
    (State::Completed, Input::TimerK, State::Terminated, &[]),
];

/// The states of figure 6.
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
    /// 1xx.
    Provisional,
    /// 200 to 699.
    Final,
    TimerE,
    TimerF,
    TimerK,
    TransportError,
}

/// One request that was sent.
#[derive(Clone, Debug)]
pub(super) struct Client {
    state: State,
    is_reliable: bool,
    /// Timer E, and how long it runs the next time.
    retransmit: Option<(Instant, Duration)>,
    /// Timer F or K, by state.
    expire: Option<Instant>,
}

impl Client {
    /// The request has just been handed to the transport.
    pub(super) fn new(now: Instant, timers: &Timers, is_reliable: bool) -> Self {
        Self {
            state: State::Trying,
            is_reliable,
            retransmit: (!is_reliable).then(|| (now + timers.t1, doubled(timers.t1, timers))),
            expire: Some(now + timers.timer_f),
        }
    }

    fn terminate(&mut self) {
        self.state = State::Terminated;
        self.retransmit = None;
        self.expire = None;
    }
}

impl Machine for Client {
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
            (State::Trying | State::Proceeding, Input::TimerE) => {
                if let Some((at, interval)) = &mut self.retransmit {
                    // RFC 3261, 17.1.2.2: in Proceeding, T2 at once.
                    let wait = if self.state == State::Proceeding {
                        timers.t2
                    } else {
                        *interval
                    };
                    *at = now + wait;
                    *interval = doubled(wait, timers);
                }
                &[Action::Send]
            }
            (State::Trying | State::Proceeding, Input::TimerF) => {
                self.terminate();
                &[Action::TimedOut]
            }
            (State::Trying | State::Proceeding, Input::TransportError) => {
                self.terminate();
                &[Action::Failed]
            }
            (State::Trying | State::Proceeding, Input::Provisional) => {
                self.state = State::Proceeding;
                &[Action::Deliver]
            }
            (State::Trying | State::Proceeding, Input::Final) => {
                let wait = if self.is_reliable {
                    Duration::ZERO
                } else {
                    timers.timer_k
                };
                self.state = State::Completed;
                self.retransmit = None;
                self.expire = Some(now + wait);
                &[Action::Deliver]
            }
            (State::Completed, Input::TimerK) => {
                self.terminate();
                &[]
            }
            (State::Trying | State::Proceeding, Input::TimerK)
            | (
                State::Completed,
                Input::Provisional
                | Input::Final
                | Input::TimerE
                | Input::TimerF
                | Input::TransportError,
            )
            | (State::Terminated, _) => &[],
        }
    }

    fn deadline(&self) -> Option<Deadline> {
        let expire = if self.state == State::Completed {
            "timer K"
        } else {
            "timer F"
        };
        earliest([
            (self.retransmit.map(|(at, _)| at), "timer E"),
            (self.expire, expire),
        ])
    }

    fn due(&self, now: Instant) -> Option<Input> {
        let deadline = self.deadline().filter(|deadline| deadline.at <= now)?;
        Some(match self.state {
            _ if self.retransmit.is_some_and(|(at, _)| at == deadline.at) => Input::TimerE,
            State::Completed => Input::TimerK,
            State::Trying | State::Proceeding | State::Terminated => Input::TimerF,
        })
    }
}

/// The interval after this one: MIN(2·E, T2).
fn doubled(interval: Duration, timers: &Timers) -> Duration {
    interval.saturating_mul(2).min(timers.t2)
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
    const INPUTS: [Input; 6] = [
        Input::Provisional,
        Input::Final,
        Input::TimerE,
        Input::TimerF,
        Input::TimerK,
        Input::TransportError,
    ];

    fn fresh(is_reliable: bool) -> Client {
        Client::new(start(), &Timers::default(), is_reliable)
    }

    fn step(machine: &mut Client, at: u64, input: Input) -> &'static [Action] {
        machine.handle(start() + ms(at), &Timers::default(), input)
    }

    #[test]
    fn the_table_is_the_code() {
        compare(TABLE, &STATES, &INPUTS, |state| {
            let mut machine = fresh(false);
            let input = match state {
                State::Trying => return machine,
                State::Proceeding => Input::Provisional,
                State::Completed => Input::Final,
                State::Terminated => Input::TimerF,
            };
            step(&mut machine, 0, input);
            machine
        });
    }

    #[test]
    fn timer_e_doubles_up_to_t2_until_timer_f() {
        let fired = run(&mut fresh(false), ms(60_000));
        let at: Vec<_> = fired.iter().map(|(at, _, _)| *at).collect();
        // RFC 3261, 17.1.2.2: 500 ms, 1 s, 2 s, 4 s, 4 s, 4 s …
        assert_eq!(
            at,
            [
                500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500, 32_000
            ]
        );
        assert_eq!(fired[10], (32_000, "timer F", vec![Action::TimedOut]));
    }

    #[test]
    fn after_a_provisional_response_timer_e_runs_for_t2() {
        let mut machine = fresh(false);
        step(&mut machine, 100, Input::Provisional);
        let at: Vec<_> = run(&mut machine, ms(60_000))
            .iter()
            .map(|(at, _, _)| *at)
            .collect();
        assert_eq!(
            at,
            [
                500, 4_500, 8_500, 12_500, 16_500, 20_500, 24_500, 28_500, 32_000
            ]
        );
    }

    #[test]
    fn reliable_transports_only_time_out() {
        assert_eq!(
            run(&mut fresh(true), ms(60_000)),
            [(32_000, "timer F", vec![Action::TimedOut])]
        );
    }

    #[test]
    fn final_responses_are_absorbed_until_timer_k() {
        let mut machine = fresh(false);
        assert_eq!(step(&mut machine, 100, Input::Final), [Action::Deliver]);
        assert_eq!(step(&mut machine, 200, Input::Final), []);
        assert_eq!(run(&mut machine, ms(60_000)), [(5_100, "timer K", vec![])]);
        let mut reliable = fresh(true);
        step(&mut reliable, 100, Input::Final);
        assert_eq!(run(&mut reliable, ms(100)), [(100, "timer K", vec![])]);
    }
}
