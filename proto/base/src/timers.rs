//! The deadlines of many machines in order.

use crate::Deadline;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

/// Deadlines of many machines: `set` is free when nothing changed, `next` says when and why.
#[derive(Clone, Debug)]
pub struct Timers<K> {
    by_time: BTreeSet<(Deadline, K)>,
    by_key: BTreeMap<K, Deadline>,
}

impl<K: Ord + Copy> Timers<K> {
    /// Makes an empty queue.
    pub const fn new() -> Self {
        Self {
            by_time: BTreeSet::new(),
            by_key: BTreeMap::new(),
        }
    }

    /// Replaces the deadline of `key`; `None` forgets it.
    pub fn set(&mut self, key: K, deadline: Option<Deadline>) {
        if self.by_key.get(&key).copied() == deadline {
            return;
        }
        if let Some(old) = self.by_key.remove(&key) {
            self.by_time.remove(&(old, key));
        }
        if let Some(new) = deadline {
            self.by_key.insert(key, new);
            self.by_time.insert((new, key));
        }
    }

    /// Returns the earliest deadline.
    pub fn next(&self) -> Option<Deadline> {
        self.by_time.first().map(|&(deadline, _)| deadline)
    }

    /// Takes the earliest key that is due at `now`; it has no deadline from then on.
    pub fn pop_due(&mut self, now: Instant) -> Option<(K, Deadline)> {
        let &(deadline, key) = self.by_time.first()?;
        if deadline.at > now {
            return None;
        }
        self.by_time.pop_first();
        self.by_key.remove(&key);
        Some((key, deadline))
    }

    /// How many keys are due at `now`.
    pub fn due(&self, now: Instant) -> usize {
        self.by_time
            .iter()
            .take_while(|(deadline, _)| deadline.at <= now)
            .count()
    }

    /// How many keys have a deadline.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// True if no key has a deadline.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

impl<K: Ord + Copy> Default for Timers<K> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::OnceLock, time::Duration};

    #[expect(
        clippy::disallowed_methods,
        reason = "an arbitrary origin for a virtual clock"
    )]
    fn start() -> Instant {
        static START: OnceLock<Instant> = OnceLock::new();
        *START.get_or_init(Instant::now)
    }

    fn at(ms: u64) -> Deadline {
        Deadline::new(start() + Duration::from_millis(ms), "test")
    }

    #[test]
    fn fires_in_the_order_of_time_then_key() {
        let mut timers = Timers::new();
        timers.set(2, Some(at(5)));
        timers.set(1, Some(at(5)));
        timers.set(3, Some(at(1)));
        assert_eq!(timers.due(at(5).at), 3);
        let order: Vec<u32> =
            std::iter::from_fn(|| timers.pop_due(at(5).at).map(|(key, _)| key)).collect();
        assert_eq!(order, [3, 1, 2]);
        assert!(timers.is_empty());
    }

    #[test]
    fn a_later_set_replaces_an_earlier_one() {
        let mut timers = Timers::new();
        timers.set(1, Some(at(5)));
        timers.set(1, Some(at(9)));
        assert_eq!(timers.pop_due(at(8).at), None);
        timers.set(1, None);
        assert_eq!(timers.next(), None);
        assert_eq!(timers.len(), 0);
    }
}
