//! The frames of one stream, from it.

use sipsimple::agent::Frame;
use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};
use system::{Flow, SendError};

/// Makes both ends.
pub(crate) fn channel(flow: Arc<Flow>) -> (Ear, FrameReceiver) {
    let queue = Arc::new(Queue {
        flow,
        ..Queue::default()
    });
    (Ear(queue.clone()), FrameReceiver(queue))
}

/// The driver's end; when it is dropped, the stream has ended.
pub(crate) struct Ear(Arc<Queue>);

/// Gets the frames that one stream hears. While nobody takes them, the oldest are lost.
#[derive(Debug)]
pub struct FrameReceiver(Arc<Queue>);

#[derive(Debug, Default)]
struct Queue {
    flow: Arc<Flow>,
    frames: Mutex<VecDeque<Frame>>,
    arrived: Condvar,
}

impl Ear {
    /// Hands a frame over.
    pub(crate) fn hear(&self, frame: Frame) {
        let mut frames = self.0.lock();
        if frames.len() >= Flow::LIMIT {
            frames.pop_front();
            self.0.flow.overflow();
        }
        frames.push_back(frame);
        self.0.arrived.notify_one();
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        // Under the lock, so that no receiver misses it between its look and its wait.
        let _frames = self.0.lock();
        self.0.flow.end();
        self.0.arrived.notify_all();
    }
}

impl FrameReceiver {
    /// Takes the next frame if one is there; `Ok(None)` if not.
    ///
    /// # Errors
    ///
    /// The stream or the agent has ended.
    pub fn try_recv(&self) -> Result<Option<Frame>, SendError> {
        match self.0.lock().pop_front() {
            None if self.0.flow.is_over() => Err(SendError),
            frame => Ok(frame),
        }
    }

    /// Waits for the next frame.
    ///
    /// # Errors
    ///
    /// The stream or the agent has ended.
    pub fn recv(&self) -> Result<Frame, SendError> {
        let mut frames = self.0.lock();
        loop {
            if let Some(frame) = frames.pop_front() {
                return Ok(frame);
            }
            if self.0.flow.is_over() {
                return Err(SendError);
            }
            frames = self
                .0
                .arrived
                .wait(frames)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How many frames were lost because nobody took them.
    pub fn lost(&self) -> u64 {
        self.0.flow.unheard()
    }
}

impl Queue {
    /// Nothing panics under the lock; if it did, a queue of frames would still be one.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Frame>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
