//! When a machine wants to be woken, and why.

use std::time::Instant;

/// A moment at which a machine wants `handle_timeout`, with the reason for traces and assertions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Deadline {
    /// When.
    pub at: Instant,
    /// Which timer: the RFC's own name where it has one (`"timer B"`).
    pub why: &'static str,
}

impl Deadline {
    /// Names the moment `at`.
    pub const fn new(at: Instant, why: &'static str) -> Self {
        Self { at, why }
    }
}

/// Returns the earliest of some named timers; the first of equals.
///
/// ```
/// # use std::time::{Duration, Instant};
/// # let now = Instant::now();
/// let timers = [(None, "timer A"), (Some(now), "timer B")];
/// assert_eq!(base::earliest(timers).map(|d| d.why), Some("timer B"));
/// ```
pub fn earliest(
    timers: impl IntoIterator<Item = (Option<Instant>, &'static str)>,
) -> Option<Deadline> {
    timers
        .into_iter()
        .filter_map(|(at, why)| at.map(|at| Deadline { at, why }))
        .min_by_key(|deadline| deadline.at)
}
