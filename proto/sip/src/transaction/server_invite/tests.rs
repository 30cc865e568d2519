use super::*;
use crate::transaction::machine::tests::{compare, ms, run, start};

const STATES: [State; 5] = [
    State::Proceeding,
    State::Completed,
    State::Confirmed,
    State::Accepted,
    State::Terminated,
];
const INPUTS: [Input; 11] = [
    Input::Invite,
    Input::Ack,
    Input::Provisional,
    Input::Success,
    Input::Failure,
    Input::TimerTrying,
    Input::TimerG,
    Input::TimerH,
    Input::TimerI,
    Input::TimerL,
    Input::TransportError,
];

fn fresh(is_reliable: bool) -> ServerInvite {
    ServerInvite::new(start(), &Timers::default(), is_reliable)
}

fn step(machine: &mut ServerInvite, at: u64, input: Input) -> &'static [Action] {
    machine.handle(start() + ms(at), &Timers::default(), input)
}

#[test]
fn the_table_is_the_code() {
    compare(TABLE, &STATES, &INPUTS, |state| {
        let mut machine = fresh(false);
        let path: &[Input] = match state {
            State::Proceeding => &[],
            State::Completed => &[Input::Failure],
            State::Confirmed => &[Input::Failure, Input::Ack],
            State::Accepted => &[Input::Success],
            State::Terminated => &[Input::Success, Input::TimerL],
        };
        for &input in path {
            step(&mut machine, 0, input);
        }
        machine
    });
}

#[test]
fn trying_is_sent_after_200_ms_unless_something_else_was() {
    assert_eq!(
        run(&mut fresh(true), ms(60_000)),
        [(200, "trying", vec![Action::SendTrying])]
    );
    let mut ringing = fresh(false);
    step(&mut ringing, 199, Input::Provisional);
    assert_eq!(run(&mut ringing, ms(60_000)), []);
}

#[test]
fn timer_g_doubles_up_to_t2_until_timer_h() {
    let mut machine = fresh(false);
    step(&mut machine, 0, Input::Failure);
    let fired = run(&mut machine, ms(60_000));
    let at: Vec<_> = fired.iter().map(|(at, _, _)| *at).collect();
    assert_eq!(
        at,
        [
            500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500, 32_000
        ]
    );
    assert_eq!(fired[10], (32_000, "timer H", vec![Action::AckMissing]));
}

#[test]
fn reliable_transports_send_failures_once() {
    let mut machine = fresh(true);
    step(&mut machine, 0, Input::Failure);
    assert_eq!(
        run(&mut machine, ms(60_000)),
        [(32_000, "timer H", vec![Action::AckMissing])]
    );
}

#[test]
fn ack_stops_timer_g_and_further_ones_are_absorbed_until_timer_i() {
    let mut machine = fresh(false);
    step(&mut machine, 0, Input::Failure);
    assert_eq!(step(&mut machine, 300, Input::Ack), []);
    assert_eq!(step(&mut machine, 400, Input::Ack), []);
    assert_eq!(run(&mut machine, ms(60_000)), [(5_300, "timer I", vec![])]);
    let mut reliable = fresh(true);
    step(&mut reliable, 0, Input::Failure);
    step(&mut reliable, 300, Input::Ack);
    assert_eq!(run(&mut reliable, ms(300)), [(300, "timer I", vec![])]);
}

#[test]
fn accepted_absorbs_invites_hands_over_acks_and_sends_2xx_again() {
    for is_reliable in [false, true] {
        let mut machine = fresh(is_reliable);
        assert_eq!(step(&mut machine, 100, Input::Success), [Action::Send]);
        assert_eq!(step(&mut machine, 600, Input::Invite), []);
        assert_eq!(step(&mut machine, 600, Input::Success), [Action::Send]);
        assert_eq!(step(&mut machine, 700, Input::Ack), [Action::Deliver]);
        assert_eq!(
            step(&mut machine, 800, Input::TransportError),
            [Action::Failed]
        );
        assert_eq!(run(&mut machine, ms(60_000)), [(32_100, "timer L", vec![])]);
    }
}
