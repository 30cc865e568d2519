//! What the four machines have in common, so that one table can drive them all.

use super::Timers;
use base::Deadline;
use std::{fmt, time::Instant};

/// What a machine wants done, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    /// Pass the request, or the latest response, to the transport.
    Send,
    /// Build and send 100 Trying.
    SendTrying,
    /// Build and send the ACK of a failure.
    Acknowledge,
    /// Hand what arrived to the transaction user.
    Deliver,
    /// Tell the transaction user: no response in time.
    TimedOut,
    /// Tell the transaction user: no ACK in time.
    AckMissing,
    /// Tell the transaction user: the transport failed.
    Failed,
}

/// A transition: state, input, next state, actions.
pub(super) type Row<S, I> = (S, I, S, &'static [Action]);

/// One of the four machines of RFC 3261, 17.
pub(super) trait Machine {
    type State: Copy + PartialEq + fmt::Debug;
    type Input: Copy + PartialEq + fmt::Debug;

    fn state(&self) -> Self::State;

    /// True when it must be destroyed.
    fn is_terminated(&self) -> bool;

    /// Takes one step.
    fn handle(&mut self, now: Instant, timers: &Timers, input: Self::Input) -> &'static [Action];

    /// The earliest of its timers.
    fn deadline(&self) -> Option<Deadline>;

    /// The timer that fires next at `now`, as an input.
    fn due(&self, now: Instant) -> Option<Self::Input>;
}

/// Counts how often each row of a table was taken.
#[derive(Clone, Debug)]
pub(super) struct Counts<S: 'static, I: 'static> {
    table: &'static [Row<S, I>],
    taken: Box<[u32]>,
}

impl<S: Copy + PartialEq + fmt::Debug, I: Copy + PartialEq + fmt::Debug> Counts<S, I> {
    pub(super) fn new(table: &'static [Row<S, I>]) -> Self {
        Self {
            table,
            taken: vec![0; table.len()].into(),
        }
    }

    pub(super) fn count(&mut self, state: S, input: I) {
        if let Some(row) = self
            .table
            .iter()
            .position(|row| (row.0, row.1) == (state, input))
        {
            self.taken[row] = self.taken[row].saturating_add(1);
        }
    }

    /// Each pair of state and input as text, and how often it was seen.
    pub(super) fn iter(&self) -> impl Iterator<Item = (String, u32)> + '_ {
        let pairs = self
            .table
            .iter()
            .map(|row| format!("{:?} {:?}", row.0, row.1));
        pairs.zip(self.taken.iter().copied())
    }
}

#[cfg(test)]
pub(super) mod tests {
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
}
