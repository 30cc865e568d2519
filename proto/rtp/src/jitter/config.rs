//! What a jitter buffer is told, and what it tells of itself.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a jitter buffer works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct JitterConfig {
    /// The rate of the timestamps' clock, in Hz.
    pub clock_rate: u32,
    /// How much later than the fastest packet speech is played before anything is known of the
    /// network. The default is 40 ms.
    pub depth: Duration,
    /// The least that it becomes, however steady the network is. The default is 0; the same as
    /// `depth` for a delay that never shrinks below it.
    pub least: Duration,
    /// The most that it becomes, and how much more than wanted may wait before the oldest is dropped at
    /// once. The default is 400 ms, where conversation ends (ITU-T G.114); more than 640 ms is not
    /// measured.
    pub limit: Duration,
    /// How long a packet is until packets tell; the default is 20 ms (RFC 3551, 4.2).
    pub packet: Duration,
}

impl JitterConfig {
    /// Chooses the defaults for everything else.
    pub const fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate,
            depth: Duration::from_millis(40),
            least: Duration::ZERO,
            limit: Duration::from_millis(400),
            packet: Duration::from_millis(20),
        }
    }
}

/// What a jitter buffer did, in frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JitterStatistics {
    /// Handed out to be played.
    pub played: u64,
    /// Of these, handed out to be played faster.
    pub shortened: u64,
    /// Answered by [`Playout::Conceal`](crate::Playout::Conceal).
    pub concealed: u64,
    /// Never came, or came too late.
    pub lost: u64,
    /// Came when their time was over.
    pub late: u64,
    /// Came twice.
    pub duplicates: u64,
    /// Dropped because too much was waiting.
    pub discarded: u64,
    /// Dropped because one packet alone, of another source or far out of sequence, proves nothing.
    pub stray: u64,
    /// How often another source, or another sequence, was followed.
    pub switches: u64,
    /// How long the last frame that was played had waited.
    pub delay: Duration,
    /// How much later than the fastest packet speech is to be played, as chosen last.
    pub target: Duration,
}
