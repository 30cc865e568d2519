//! What can be joined by a bridge.

use std::any::Any;
use std::time::Instant;

/// Is anything that makes sound, takes sound, or both: the SDK's audio port (APT-01).
///
/// The mixer owns its ports and calls them once a tick, with 10 ms of mono samples at the mixer's
/// rate: first [`begin`](Self::begin) of all, then [`pull`](Self::pull) of all, then
/// [`push`](Self::push) of all. A port never blocks.
pub trait AudioPort: Any + Send {
    /// Learns the time at which the tick is made.
    fn begin(&mut self, _now: Instant) {}

    /// Fills in what this port says; silence if it says nothing.
    fn pull(&mut self, samples: &mut [i16]);

    /// Takes what this port is to hear; silence if nobody says anything.
    fn push(&mut self, samples: &[i16]);

    /// Says that the port is gone for good: the mixer lets go of it (ABR-03).
    fn is_finished(&self) -> bool {
        false
    }
}
