//! Either runtime behind one face: the command waits, so waiting is a call.

use crate::options::RuntimeKind;
use sipsimple::{
    agent::{Config, MediaFrame, StreamId, UserAgent},
    event::Notification,
};
use std::{io, time::Instant};

/// An agent and how to speak with it.
pub(crate) enum Runtime {
    Smol(runtime_smol::Handle, runtime_smol::Events),
    Std(runtime_std::Handle, runtime_std::Events),
}

/// See [`runtime_smol::Tap`].
pub(crate) type Tap = runtime_smol::Tap;

impl Runtime {
    pub(crate) fn start(kind: RuntimeKind, config: Config, tap: Tap) -> io::Result<Self> {
        Ok(match kind {
            RuntimeKind::Smol => {
                let (handle, events) =
                    runtime_smol::start_tapped(config, runtime_smol::Storage::Memory, tap)?;
                Self::Smol(handle, events)
            }
            RuntimeKind::Std => {
                let (handle, events) =
                    runtime_std::start_tapped(config, runtime_std::Storage::Memory, tap)?;
                Self::Std(handle, events)
            }
        })
    }

    /// Runs a closure on the agent; `None` if the agent has ended.
    pub(crate) fn call<R: Send + 'static>(
        &self,
        closure: impl FnOnce(&mut UserAgent, Instant) -> R + Send + 'static,
    ) -> Option<R> {
        match self {
            Self::Smol(handle, _) => smol::block_on(handle.call(closure)).ok(),
            Self::Std(handle, _) => handle.call(closure).ok(),
        }
    }

    /// Waits for the next event until `deadline`.
    pub(crate) fn next_before(&self, deadline: Instant) -> Option<Notification> {
        match self {
            Self::Smol(_, events) => smol::block_on(events.next_before(deadline)),
            Self::Std(_, events) => events.next_before(deadline),
        }
    }

    /// Exchanges frames with a stream.
    pub(crate) fn frames(&self, stream: StreamId) -> (FrameSender, FrameReceiver) {
        match self {
            Self::Smol(handle, _) => {
                let (sender, receiver) = handle.frames(stream);
                (FrameSender::Smol(sender), FrameReceiver::Smol(receiver))
            }
            Self::Std(handle, _) => {
                let (sender, receiver) = handle.frames(stream);
                (FrameSender::Std(sender), FrameReceiver::Std(receiver))
            }
        }
    }
}

pub(crate) enum FrameSender {
    Smol(runtime_smol::FrameSender),
    Std(runtime_std::FrameSender),
}

impl FrameSender {
    /// Sends a frame; false if the agent has ended.
    pub(crate) fn send(&self, frame: MediaFrame) -> bool {
        match self {
            Self::Smol(sender) => sender.send(frame).is_ok(),
            Self::Std(sender) => sender.send(frame).is_ok(),
        }
    }
}

pub(crate) enum FrameReceiver {
    Smol(runtime_smol::FrameReceiver),
    Std(runtime_std::FrameReceiver),
}

impl FrameReceiver {
    pub(crate) fn try_recv(
        &self,
    ) -> Result<Option<sipsimple::agent::Frame>, runtime_smol::SendError> {
        match self {
            Self::Smol(receiver) => receiver.try_recv(),
            Self::Std(receiver) => receiver.try_recv(),
        }
    }
}
