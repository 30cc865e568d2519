//! Frames on their way between a track and the driver of the user agent.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::time::Duration;

use bytes::Bytes;

/// Is one encoded frame to be sent as an RTP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The payload type as the peer numbers it.
    pub payload_type: u8,
    /// The first frame, and the first after silence (RFC 3551, 4.1).
    pub marker: bool,
    /// When its first sample was taken, on the track's media clock: units of the RTP clock rate
    /// from the start of the track; it goes on in silence and wraps.
    pub timestamp: u32,
    /// The payload.
    pub payload: Bytes,
}

/// Tells what a track played in about one second: what only the end of the way can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayoutReport {
    /// Frames that came but were not played: too late, doubled, or too many.
    pub discarded: u64,
    /// How much was made up for frames that were missing.
    pub concealed: Duration,
    /// How long the last frame lay in the jitter buffer.
    pub delay: Duration,
    /// The level of what was played, in −dBov as RFC 6464 has it: 0 is the loudest, 127 silence.
    pub level: u8,
}

/// Takes what a track has to say; made by who drives the user agent.
///
/// It is called on the mixer's thread and must not block.
pub trait FrameSink: Send {
    /// Takes a frame to be sent. False if there is no room: the frame is dropped, and counted.
    fn send(&mut self, frame: Encoded) -> bool;

    /// Takes the report of about the last second.
    fn report(&mut self, _report: PlayoutReport) {}
}

/// Gives a track what has arrived; made by who drives the user agent.
pub trait FrameSource: Send {
    /// Returns the next frame that has arrived, late and doubled ones too; never waits.
    fn receive(&mut self) -> Received;
}

/// Is what a [`FrameSource`] returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A frame.
    Frame(rtp::Frame),
    /// Nothing more for now.
    Nothing,
    /// Nothing more ever: the stream has ended.
    End,
}

impl FrameSink for SyncSender<Encoded> {
    fn send(&mut self, frame: Encoded) -> bool {
        self.try_send(frame).is_ok()
    }
}

impl FrameSource for Receiver<rtp::Frame> {
    fn receive(&mut self) -> Received {
        match self.try_recv() {
            Ok(frame) => Received::Frame(frame),
            Err(TryRecvError::Empty) => Received::Nothing,
            Err(TryRecvError::Disconnected) => Received::End,
        }
    }
}
