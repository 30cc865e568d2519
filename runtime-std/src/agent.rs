//! The handle of an agent that runs on its own thread.

use crate::{
    driver::Driver,
    observer::{self, Events},
};
use mio::{Poll, Token, Waker};
use sipsimple::{
    agent::{Config, Frame, MediaFrame, Output, StreamId, UserAgent},
    event::Filter,
};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel},
    },
    thread::{self, ThreadId},
    time::Instant,
};
use system::{CallError, SendError, Storage};

/// Starts an agent on a thread of its own. It ends when [`UserAgent::shutdown`] has done its work, or
/// when all handles and events are dropped.
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
    let (sender, requests) = channel();
    let (observer, events) = observer::channel(Filter::default());
    let (started, driver_thread) = channel();
    let driver_waker = waker.clone();
    thread::Builder::new()
        .name("sipsimple".to_owned())
        .spawn(move || {
            // The receiver is gone only if `start` itself is.
            let _ = started.send(thread::current().id());
            Driver::new(config, storage, tap, poll, driver_waker, requests, observer).run();
        })?;
    let thread = driver_thread.recv().map_err(io::Error::other)?;
    let handle = Handle {
        sender,
        waker,
        thread,
    };
    Ok((handle, events))
}

/// Sees everything that an agent says before it is done, with the moment; false: it is not done.
/// Runs on the driver and must not block: for traces and captures, and for tests that lose packets.
pub type Tap = Box<dyn FnMut(Instant, &Output) -> bool + Send>;

/// Commands an agent; cheap to clone, usable from any thread (GEN-04).
#[derive(Clone, Debug)]
pub struct Handle {
    sender: Sender<Request>,
    waker: Arc<Waker>,
    thread: ThreadId,
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
    Frames(StreamId, SyncSender<Frame>),
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
    pub fn call<R: Send + 'static>(
        &self,
        closure: impl FnOnce(&mut UserAgent, Instant) -> R + Send + 'static,
    ) -> Result<R, CallError> {
        if thread::current().id() == self.thread {
            return Err(CallError::Reentrant);
        }
        let (reply, result) = channel();
        let run = move |agent: &mut UserAgent, now: Instant| {
            let outcome = catch_unwind(AssertUnwindSafe(|| closure(agent, now)));
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
        let run = move |agent: &mut UserAgent, now: Instant| {
            catch_unwind(AssertUnwindSafe(|| closure(agent, now))).is_err()
        };
        self.request(Request::Run(Box::new(run)))
    }

    /// Exchanges media frames with a stream. The last caller gets what the stream hears.
    pub fn frames(&self, stream: StreamId) -> (FrameSender, FrameReceiver) {
        let (sender, receiver) = sync_channel(FRAME_QUEUE);
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
        self.sender.send(request).map_err(|_| SendError)?;
        self.waker.wake().map_err(|_| SendError)
    }
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
            Err(TryRecvError::Disconnected) => Err(SendError),
        }
    }

    /// Waits for the next frame.
    ///
    /// # Errors
    ///
    /// The stream or the agent has ended.
    pub fn recv(&self) -> Result<Frame, SendError> {
        self.0.recv().map_err(|_| SendError)
    }
}

/// Wakes the driver for requests.
pub(crate) const WAKE: Token = Token(0);
/// Frames that wait for the application: a second of 20 ms packets and then some.
const FRAME_QUEUE: usize = 64;
