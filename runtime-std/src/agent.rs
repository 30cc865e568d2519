//! The handle of an agent that runs on its own thread.

use crate::{
    driver::{Driver, Tap, WAKE},
    ear::FrameReceiver,
    frames::{self, FrameSender},
    observer::{self, Events},
    request::{Request, Requests},
};
use mio::{Poll, Waker};
use sipsimple::{
    agent::{Config, StreamId, UserAgent},
    event::Filter,
};
use std::{
    io,
    sync::{Arc, mpsc::channel},
    thread,
    time::Instant,
};
use system::{CallError, SendError, Storage, guarded, is_inside};

/// Starts an agent on a thread of its own.
///
/// # Errors
///
/// The system gives no thread, or no event queue.
pub fn start(config: Config, storage: Storage) -> io::Result<(Handle, Events)> {
    start_tapped(config, storage, Box::new(|_, _| true))
}

/// Starts an agent, and shows everything that it says to `tap`.
///
/// # Errors
///
/// As [`start`].
pub fn start_tapped(config: Config, storage: Storage, tap: Tap) -> io::Result<(Handle, Events)> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
    let (sender, asked) = channel();
    let limit = config.limits.events;
    let (observer, events) = observer::channel(Filter::default(), limit);
    let requests = Requests { sender, waker };
    let driver_waker = requests.waker.clone();
    thread::Builder::new()
        .name("sipsimple".to_owned())
        .spawn(move || {
            Driver::new(config, storage, tap, poll, driver_waker, asked, observer).run();
        })?;
    let owner = Arc::new(Owner { requests, limit });
    Ok((Handle { owner }, events))
}

/// Commands an agent; cheap to clone, usable from any thread (GEN-04).
#[derive(Clone, Debug)]
pub struct Handle {
    owner: Arc<Owner>,
}

/// What all clones of a handle share; the agent ends with it.
#[derive(Debug)]
struct Owner {
    requests: Requests,
    /// Events that may wait for one observer.
    limit: usize,
}

impl Handle {
    /// Runs a closure on the agent and waits for what it returns. The closure must not block.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    pub fn call<R: Send + 'static>(
        &self,
        closure: impl FnOnce(&mut UserAgent, Instant) -> R + Send + 'static,
    ) -> Result<R, CallError> {
        if is_inside() {
            return Err(CallError::Reentrant);
        }
        let (reply, result) = channel();
        let run = move |agent: &mut UserAgent, now: Instant| {
            let outcome = guarded(|| closure(agent, now));
            let panicked = outcome.is_err();
            // A caller that went away does not want the result.
            let _ = reply.send(outcome);
            panicked
        };
        self.request(Request::Run(Box::new(run)))
            .map_err(|SendError| CallError::Ended)?;
        match result.recv() {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(panic)) => Err(CallError::Panicked(panic)),
            Err(_) => Err(CallError::Ended),
        }
    }

    /// Runs a closure on the agent without waiting.
    ///
    /// # Errors
    ///
    /// The agent has ended.
    pub fn post(
        &self,
        closure: impl FnOnce(&mut UserAgent, Instant) + Send + 'static,
    ) -> Result<(), SendError> {
        let run =
            move |agent: &mut UserAgent, now: Instant| guarded(|| closure(agent, now)).is_err();
        self.request(Request::Run(Box::new(run)))
    }

    /// Exchanges media frames with a stream. The last caller gets what the stream hears; of a stream
    /// that is gone, both ends are closed.
    pub fn frames(&self, stream: StreamId) -> (FrameSender, FrameReceiver) {
        let (ear, sender, receiver) = frames::channel(stream, self.owner.requests.clone());
        // If the agent has ended, the ear is dropped, and the receiver finds the end.
        let _ = self.request(Request::Frames(stream, ear));
        (sender, receiver)
    }

    /// Hears the events that a filter lets through, beside the first [`Events`].
    pub fn observe(&self, filter: Filter) -> Events {
        let (observer, events) = observer::channel(filter, self.owner.limit);
        // If the agent has ended, the observer finds the end of its queue.
        let _ = self.request(Request::Observe(observer));
        events
    }

    fn request(&self, request: Request) -> Result<(), SendError> {
        self.owner.requests.send(request)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // An agent that has ended needs no end.
        let _ = self.requests.send(Request::Abandon);
    }
}
