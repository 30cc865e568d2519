use super::*;
use crate::transaction::machine::tests::{compare, ms, run, start};

const STATES: [State; 5] = [
    State::Calling,
    State::Proceeding,
    State::Completed,
    State::Accepted,
    State::Terminated,
];
const INPUTS: [Input; 9] = [
    Input::Provisional,
    Input::Success,
    Input::Failure,
    Input::Cancelled,
    Input::TimerA,
    Input::TimerB,
    Input::TimerD,
    Input::TimerM,
    Input::TransportError,
];

fn fresh(is_reliable: bool) -> ClientInvite {
    ClientInvite::new(start(), &Timers::default(), is_reliable)
}

fn step(machine: &mut ClientInvite, at: u64, input: Input) -> &'static [Action] {
    machine.handle(start() + ms(at), &Timers::default(), input)
}

#[test]
fn the_table_is_the_code() {
    compare(TABLE, &STATES, &INPUTS, |state| {
        let mut machine = fresh(false);
        let input = match state {
            State::Calling => return machine,
            State::Proceeding => Input::Provisional,
            State::Completed => Input::Failure,
            State::Accepted => Input::Success,
            State::Terminated => Input::TimerB,
        };
        step(&mut machine, 0, input);
        machine
    });
}

#[test]
fn timer_a_doubles_until_timer_b() {
    let fired = run(&mut fresh(false), ms(60_000));
    let times: Vec<_> = fired.iter().map(|(at, why, _)| (*at, *why)).collect();
    let a = "timer A";
    let expected = [
        (500, a),
        (1_500, a),
        (3_500, a),
        (7_500, a),
        (15_500, a),
        (31_500, a),
        (32_000, "timer B"),
    ];
    assert_eq!(times, expected);
    // RFC 3261, 17.1.1.2: "the amount of time required to send seven requests", the first included.
    assert_eq!(
        fired
            .iter()
            .filter(|(_, _, actions)| actions[..] == [Action::Send])
            .count(),
        6
    );
    assert_eq!(fired[6].2, [Action::TimedOut]);
}

#[test]
fn reliable_transports_only_time_out() {
    let fired = run(&mut fresh(true), ms(60_000));
    assert_eq!(fired, [(32_000, "timer B", vec![Action::TimedOut])]);
}

#[test]
fn a_provisional_response_stops_all_timers() {
    let mut machine = fresh(false);
    step(&mut machine, 600, Input::Provisional);
    assert_eq!(machine.deadline(), None);
    assert_eq!(
        step(&mut machine, 90_000, Input::Provisional),
        [Action::Deliver]
    );
}

#[test]
fn a_cancelled_invite_is_given_up() {
    let mut machine = fresh(true);
    step(&mut machine, 0, Input::Provisional);
    step(&mut machine, 1_000, Input::Cancelled);
    // A second CANCEL, or another 180, does not prolong it.
    step(&mut machine, 9_000, Input::Cancelled);
    step(&mut machine, 9_000, Input::Provisional);
    assert_eq!(
        run(&mut machine, ms(60_000)),
        [(33_000, "timer B", vec![Action::TimedOut])]
    );
    assert!(machine.is_terminated());
}

#[test]
fn failures_are_acknowledged_until_timer_d() {
    let mut machine = fresh(false);
    assert_eq!(
        step(&mut machine, 100, Input::Failure),
        [Action::Acknowledge, Action::Deliver]
    );
    assert_eq!(
        step(&mut machine, 600, Input::Failure),
        [Action::Acknowledge]
    );
    assert_eq!(run(&mut machine, ms(60_000)), [(32_100, "timer D", vec![])]);
}

#[test]
fn timer_d_is_zero_on_reliable_transports() {
    let mut machine = fresh(true);
    step(&mut machine, 100, Input::Failure);
    assert_eq!(run(&mut machine, ms(100)), [(100, "timer D", vec![])]);
}

#[test]
fn every_2xx_is_handed_over_until_timer_m() {
    for is_reliable in [false, true] {
        let mut machine = fresh(is_reliable);
        assert_eq!(step(&mut machine, 10, Input::Success), [Action::Deliver]);
        assert_eq!(
            step(&mut machine, 20_000, Input::Success),
            [Action::Deliver]
        );
        assert_eq!(run(&mut machine, ms(60_000)), [(32_010, "timer M", vec![])]);
    }
}
