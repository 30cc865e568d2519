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
pub(super) mod tests;
