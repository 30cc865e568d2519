//! What an application may ask about a session.

use serde::{Deserialize, Serialize};

/// The numbers of a session, from its beginning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Statistics {
    /// RTP packets written, those of keep-alive and events included.
    pub packets_sent: u64,
    /// Payload bytes in them.
    pub bytes_sent: u64,
    /// RTP packets with media that came in, doubled and late ones included.
    pub packets_received: u64,
    /// Payload bytes in them.
    pub bytes_received: u64,
    /// RTP packets that never came, as far as known.
    pub packets_lost: u64,
    /// RTP packets that came twice.
    pub duplicates: u64,
    /// RTP packets that came after one with a higher number.
    pub reordered: u64,
    /// How often a source began its sequence anew without a word.
    pub restarts: u64,
    /// Interarrival jitter of the source heard last, in milliseconds.
    pub jitter_ms: f64,
    /// RTP packets whose payload type was never agreed on.
    pub unknown_payload_types: u64,
    /// Datagrams that are neither RTP nor RTCP by their form.
    pub malformed: u64,
    /// Our own packets that came back.
    pub looped: u64,
    /// RTCP compound packets written.
    pub reports_sent: u64,
    /// RTCP compound packets that came in.
    pub reports_received: u64,
    /// Round-trip time by the last report of the peer, in milliseconds.
    pub round_trip_ms: Option<f64>,
    /// What the peer's last report says about our packets.
    pub remote: Option<RemoteStatistics>,
}

/// How the peer hears us.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RemoteStatistics {
    /// Packets that it missed; negative if duplicates outnumber losses.
    pub packets_lost: i32,
    /// What it missed lately, from 0.0 to 1.0.
    pub fraction_lost: f64,
    /// The jitter that it sees, in milliseconds.
    pub jitter_ms: f64,
}
