//! What the driver is asked, and the way to it.

use crate::{ear::Ear, observer::Observer};
use mio::Waker;
use sipsimple::agent::{MediaFrame, StreamId, UserAgent};
use std::{
    fmt,
    sync::{Arc, mpsc::Sender},
    time::Instant,
};
use system::{Flow, SendError};

/// The way to the driver.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    pub(crate) sender: Sender<Request>,
    pub(crate) waker: Arc<Waker>,
}

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

impl Requests {
    pub(crate) fn send(&self, request: Request) -> Result<(), SendError> {
        self.sender.send(request).map_err(|_| SendError)?;
        self.waker.wake().map_err(|_| SendError)
    }
}
