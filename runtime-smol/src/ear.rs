//! The frames of one stream, from it.

use async_channel::{Receiver, Sender, TryRecvError, bounded};
use sipsimple::agent::Frame;
use std::sync::Arc;
use system::{Flow, SendError};

/// Makes both ends.
pub(crate) fn channel(flow: Arc<Flow>) -> (Ear, FrameReceiver) {
    let (frames, heard) = bounded(Flow::LIMIT);
    let receiver = FrameReceiver {
        heard,
        flow: flow.clone(),
    };
    (Ear { frames, flow }, receiver)
}

/// The driver's end; when it is dropped, the stream has ended.
pub(crate) struct Ear {
    frames: Sender<Frame>,
    flow: Arc<Flow>,
}

/// Gets the frames that one stream hears. While nobody takes them, the oldest are lost.
#[derive(Debug)]
pub struct FrameReceiver {
    heard: Receiver<Frame>,
    flow: Arc<Flow>,
}

impl Ear {
    /// Hands a frame over.
    pub(crate) fn hear(&self, frame: Frame) {
        // Nobody misses a frame when there is no receiver any more.
        if let Ok(Some(_)) = self.frames.force_send(frame) {
            self.flow.overflow();
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.flow.end();
    }
}

impl FrameReceiver {
    /// Takes the next frame if one is there; `Ok(None)` if not.
    ///
    /// # Errors
    ///
    /// The stream or the agent has ended.
    pub fn try_recv(&self) -> Result<Option<Frame>, SendError> {
        match self.heard.try_recv() {
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
        self.heard.recv().await.map_err(|_| SendError)
    }

    /// How many frames were lost because nobody took them.
    pub fn lost(&self) -> u64 {
        self.flow.unheard()
    }
}
