//! What an agent holds, and what it has counted.

use crate::link::LinkCounters;
use serde::Serialize;

/// What is alive in a user agent. All zero at rest: what it listens on does not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Sessions.
    pub sessions: usize,
    /// Streams of sessions.
    pub streams: usize,
    /// Subscriptions of ours, those included that wait to be tried again.
    pub subscriptions: usize,
    /// Connections, and the sockets of streams.
    pub links: usize,
    /// Files that streams have open.
    pub files: usize,
    /// Detections of the kind of NAT.
    pub nat_detections: usize,
    /// Lookups of names.
    pub lookups: usize,
    /// What the SIP endpoint holds.
    pub sip: sip::endpoint::Stats,
}

/// What a user agent has counted since its start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Counters {
    /// On its sockets.
    pub links: LinkCounters,
    /// In its SIP endpoint.
    pub sip: sip::endpoint::Counters,
}
