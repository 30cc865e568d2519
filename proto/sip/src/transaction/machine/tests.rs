//! What the tests of all four machines share.

use super::*;
use std::{sync::OnceLock, time::Duration};

/// An arbitrary origin of virtual time.
#[expect(
    clippy::disallowed_methods,
    reason = "an arbitrary origin for a virtual clock"
)]
pub(in crate::transaction) fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

pub(in crate::transaction) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Compares a table with the code: every pair of state and input is tried in machines that
/// `reach` brings into the state.
pub(in crate::transaction) fn compare<M: Machine + Clone>(
    table: &[Row<M::State, M::Input>],
    states: &[M::State],
    inputs: &[M::Input],
    reach: impl Fn(M::State) -> M,
) {
    let mut rows_seen = 0;
    for &state in states {
        for &input in inputs {
            let mut machine = reach(state);
            assert!(machine.state() == state, "{state:?} not reached");
            let actions = machine.handle(start(), &Timers::default(), input);
            let rows: Vec<_> = table
                .iter()
                .filter(|row| row.0 == state && row.1 == input)
                .collect();
            match rows[..] {
                [] => {
                    assert!(
                        machine.state() == state && actions.is_empty(),
                        "{state:?} {input:?} is not in the table"
                    );
                }
                [row] => {
                    rows_seen += 1;
                    assert!(
                        machine.state() == row.2,
                        "{state:?} {input:?} leads to {:?}",
                        machine.state()
                    );
                    assert_eq!(actions, row.3, "{state:?} {input:?}");
                }
                _ => panic!("{state:?} {input:?} stands twice"),
            }
        }
    }
    assert_eq!(rows_seen, table.len());
}

/// Runs the timers of a machine until `until`, and lists what they did, with milliseconds.
pub(in crate::transaction) fn run<M: Machine>(
    machine: &mut M,
    until: Duration,
) -> Vec<(u64, &'static str, Vec<Action>)> {
    let mut fired = Vec::new();
    let timers = Timers::default();
    while let Some(deadline) = machine
        .deadline()
        .filter(|deadline| deadline.at <= start() + until)
    {
        let input = machine.due(deadline.at).expect("what is due fires");
        let actions = machine.handle(deadline.at, &timers, input);
        let at = deadline.at.duration_since(start()).as_millis();
        fired.push((u64::try_from(at).unwrap(), deadline.why, actions.to_vec()));
    }
    fired
}
