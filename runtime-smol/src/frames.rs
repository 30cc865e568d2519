//! The frames of one stream, to it.

use crate::{
    ear::{self, Ear, FrameReceiver},
    request::Request,
};
use async_channel::Sender;
use sipsimple::agent::{MediaFrame, StreamId};
use std::sync::Arc;
use system::{Flow, SendError};

/// Makes the driver's end of a stream's frames, and both of the application's.
pub(crate) fn channel(
    stream: StreamId,
    requests: Sender<Request>,
) -> (Ear, FrameSender, FrameReceiver) {
    let flow = Arc::new(Flow::default());
    let (ear, receiver) = ear::channel(flow.clone());
    let sender = FrameSender {
        requests,
        stream,
        flow,
    };
    (ear, sender, receiver)
}

/// Sends the frames of one stream.
#[derive(Clone, Debug)]
pub struct FrameSender {
    requests: Sender<Request>,
    stream: StreamId,
    flow: Arc<Flow>,
}

impl FrameSender {
    /// Sends a frame; if the driver is far behind, the frame is lost and counted.
    ///
    /// # Errors
    ///
    /// The stream or the agent has ended.
    pub fn send(&self, frame: MediaFrame) -> Result<(), SendError> {
        if self.flow.is_over() {
            return Err(SendError);
        }
        if !self.flow.enter() {
            return Ok(());
        }
        self.requests
            .try_send(Request::Frame(self.stream, frame, self.flow.clone()))
            .map_err(|_| SendError)
    }

    /// How many frames were lost because the driver was too slow.
    pub fn lost(&self) -> u64 {
        self.flow.unsent()
    }
}
