//! The handle of an agent that runs as a task.

use crate::{
    driver::{Driver, Happening},
    observer::{self, Events},
};
use async_channel::{Receiver, Sender, TryRecvError, bounded};
use sipsimple::{
    agent::{Config, Frame, MediaFrame, Output, StreamId, UserAgent},
    event::Filter,
};
use std::{
    cell::Cell,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};
use system::{CallError, SendError, Storage};

/// Starts an agent as a task of smol's global executor. It ends when
/// [`UserAgent::shutdown`] has done its work, or when all handles and events are dropped.
///
/// # Errors
///
/// None here; the result is the one of every runtime.
pub fn start(config: Config, storage: Storage) -> io::Result<(Handle, Events)> {
    start_tapped(config, storage, Box::new(|_, _| true))
}

/// Starts an agent, and shows everything that it says to `tap`.
///
/// # Errors
///
/// As [`start`].
pub fn start_tapped(config: Config, storage: Storage, tap: Tap) -> io::Result<(Handle, Events)> {
    let (sender, happenings) = bounded(HAPPENINGS);
    let (requests, asked) = async_channel::unbounded();
    let (observer, events) = observer::channel(Filter::default());
    let driver = Driver::new(config, storage, tap, sender, happenings, asked, observer);
    smol::spawn(driver.run()).detach();
    Ok((Handle { requests }, events))
}

/// Sees everything that an agent says before it is done, with the moment; false: it is not done.
/// Runs on the driver and must not block: for traces and captures, and for tests that lose packets.
pub type Tap = Box<dyn FnMut(Instant, &Output) -> bool + Send>;

/// Commands an agent; cheap to clone, usable from any thread (GEN-04).
#[derive(Clone, Debug)]
pub struct Handle {
    requests: Sender<Request>,
}

/// A closure of the application; true: it panicked.
type Closure = Box<dyn FnOnce(&mut UserAgent, Instant) -> bool + Send>;

/// What the driver is asked.
pub(crate) enum Request {
    /// Run a closure on the agent.
    Run(Closure),
    /// Send a frame.
    Frame(StreamId, MediaFrame),
    /// Hand a stream's frames over.
    Frames(StreamId, Sender<Frame>),
    /// Add an observer.
    Observe(observer::Observer),
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Request")
    }
}

impl Handle {
    /// Runs a closure on the agent and waits for what it returns.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    pub async fn call<R: Send + 'static>(
        &self,
        closure: impl FnOnce(&mut UserAgent, Instant) -> R + Send + 'static,
    ) -> Result<R, CallError> {
        if INSIDE.get() {
            return Err(CallError::Reentrant);
        }
        let (reply, result) = bounded(1);
        let run = move |agent: &mut UserAgent, now: Instant| {
            let outcome = guarded(|| closure(agent, now));
            let panicked = outcome.is_err();
            // A caller that went away does not want the result.
            let _ = reply.try_send(outcome);
            panicked
        };
        self.request(Request::Run(Box::new(run)))
            .map_err(|SendError| CallError::Ended)?;
        match result.recv().await {
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

    /// Exchanges media frames with a stream. The last caller gets what the stream hears.
    pub fn frames(&self, stream: StreamId) -> (FrameSender, FrameReceiver) {
        let (sender, receiver) = bounded(FRAME_QUEUE);
        // If the agent has ended, the receiver finds the end of its channel.
        let _ = self.request(Request::Frames(stream, sender));
        let sender = FrameSender {
            handle: self.clone(),
            stream,
        };
        (sender, FrameReceiver(receiver))
    }

    /// Hears the events that a filter lets through, beside the first [`Events`].
    pub fn observe(&self, filter: Filter) -> Events {
        let (observer, events) = observer::channel(filter);
        // If the agent has ended, the observer finds the end of its queue.
        let _ = self.request(Request::Observe(observer));
        events
    }

    fn request(&self, request: Request) -> Result<(), SendError> {
        self.requests.try_send(request).map_err(|_| SendError)
    }
}

/// Runs a closure of the application inside of the driver.
fn guarded<R>(closure: impl FnOnce() -> R) -> std::thread::Result<R> {
    INSIDE.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(closure));
    INSIDE.set(false);
    outcome
}

thread_local! {
    /// The driver runs a closure of the application on this thread.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Sends the frames of one stream.
#[derive(Clone, Debug)]
pub struct FrameSender {
    handle: Handle,
    stream: StreamId,
}

impl FrameSender {
    /// Sends a frame.
    ///
    /// # Errors
    ///
    /// The agent has ended.
    pub fn send(&self, frame: MediaFrame) -> Result<(), SendError> {
        self.handle.request(Request::Frame(self.stream, frame))
    }
}

/// Gets the frames that one stream hears; the newest are dropped while nobody takes them.
#[derive(Debug)]
pub struct FrameReceiver(Receiver<Frame>);

impl FrameReceiver {
    /// Takes the next frame if one is there; `Ok(None)` if not.
    ///
    /// # Errors
    ///
    /// The stream or the agent has ended.
    pub fn try_recv(&self) -> Result<Option<Frame>, SendError> {
        match self.0.try_recv() {
            Ok(frame) => Ok(Some(frame)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Closed) => Err(SendError),
        }
    }

    /// Waits for the next frame.
    ///
    /// # Errors
    ///
    /// The stream or the agent has ended.
    pub async fn recv(&self) -> Result<Frame, SendError> {
        self.0.recv().await.map_err(|_| SendError)
    }
}

pub(crate) type Happenings = Sender<Happening>;

/// What readers have read and the driver has not: readers wait above it.
const HAPPENINGS: usize = 256;
/// Frames that wait for the application: a second of 20 ms packets and then some.
const FRAME_QUEUE: usize = 64;
