//! What sockets may cost, and what was counted on them.

use serde::{Deserialize, Serialize};
use sip::message::frame::Noise;
use std::time::Duration;

/// How much peers can make an agent keep by connecting, by not reading and by not finishing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LinkLimits {
    /// Connections that peers opened; further ones are closed at once.
    pub connections: usize,
    /// Connections from one address. A proxy needs one, a test tool one per call.
    pub connections_per_peer: usize,
    /// Bytes that may wait for a signalling peer that does not read; above it the connection is
    /// closed. One message of the largest size must fit.
    pub signalling_budget: usize,
    /// Bytes that a stream may write ahead of the network on one connection.
    pub slot_budget: usize,
    /// Sockets of one stream.
    pub slots_per_stream: usize,
    /// How long a connection may take to come up.
    pub connect_time: Duration,
    /// How long the handshake of a secured connection may take.
    pub handshake_time: Duration,
    /// How long a message may take from its first byte to its last, and an accepted connection to its
    /// first message.
    pub message_time: Duration,
    /// How long a peer that has promised it may take to answer a sign of life on a connection.
    pub pong_time: Duration,
    /// How long a released connection may take to send what is written.
    pub finish_time: Duration,
}

impl Default for LinkLimits {
    fn default() -> Self {
        // 64·T1: nothing that waits for a message waits longer (RFC 3261, 17).
        let transaction = Duration::from_secs(32);
        Self {
            connections: 1_024,
            connections_per_peer: 256,
            signalling_budget: 2 * 1024 * 1024,
            // The usual send buffer of a system; a round trip of 20 ms at 100 Mbit/s.
            slot_budget: 256 * 1024,
            slots_per_stream: 32,
            connect_time: transaction,
            // Two round trips and some lost segments: ENG-16 has 1 s since it blocks, which this
            // does not.
            handshake_time: Duration::from_secs(10),
            message_time: transaction,
            // RFC 5626, 4.4.1
            pong_time: Duration::from_secs(10),
            finish_time: Duration::from_secs(5),
        }
    }
}

/// What was counted on sockets since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct LinkCounters {
    /// Line ends and empty or zeroed datagrams: peers keep their NAT bindings alive.
    pub keep_alives: u64,
    /// STUN on signalling sockets. A user agent that is no edge proxy does not answer it (RFC 5626, 8).
    pub stun: u64,
    /// TLS, HTTP and other bytes that are no SIP.
    pub noise: u64,
    /// Connections that were refused because of the limits.
    pub refused: u64,
    /// Connections that were closed because the peer did not read.
    pub overruns: u64,
    /// TLS handshakes of accepted connections that came to nothing.
    pub handshakes: u64,
    /// Signs of life that we sent: line ends and STUN requests, repeated ones included.
    pub pings: u64,
    /// Ways that were found dead by them.
    pub dead: u64,
    /// Connections that were closed because something took too long.
    pub timeouts: u64,
}

impl LinkCounters {
    pub(super) const fn count(&mut self, noise: Noise) {
        let counter = match noise {
            Noise::Empty | Noise::LineEnds | Noise::Zeros => &mut self.keep_alives,
            Noise::Stun => &mut self.stun,
            _ => &mut self.noise,
        };
        *counter += 1;
    }
}
