//! What the driver is asked.

use crate::{ear::Ear, observer::Observer};
use sipsimple::agent::{MediaFrame, StreamId, UserAgent};
use std::{fmt, sync::Arc, time::Instant};
use system::Flow;

/// A closure of the application; true: it panicked.
pub(crate) type Closure = Box<dyn FnOnce(&mut UserAgent, Instant) -> bool + Send>;

/// What the driver is asked.
pub(crate) enum Request {
    /// Run a closure on the agent.
    Run(Closure),
    /// Send a frame.
    Frame(StreamId, MediaFrame, Arc<Flow>),
    /// Hand a stream's frames over.
    Frames(StreamId, Ear),
    /// Add an observer.
    Observe(Observer),
    /// The last handle is gone.
    Abandon,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Request")
    }
}
