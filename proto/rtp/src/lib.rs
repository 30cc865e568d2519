//! RTP and RTCP sessions, jitter buffer and telephone events as pure state machines.
//!
//! A stream of speech is put together from small machines, each for one procedure:
//!
//! | part | what it does |
//! |---|---|
//! | [`Packet`], [`rtcp`] | the wire: parse without copying, print into the caller's buffer |
//! | [`Session`] | one end of an RTP session: numbers outbound packets, follows inbound sources, reports (RFC 3550) |
//! | [`JitterBuffer`] | brings inbound frames into order and says what to play next |
//! | [`EventSender`], [`EventReceiver`] | DTMF (RFC 4733) |
//! | [`srtp`] | seals and opens packets in place (RFC 3711, 6188, 7714) |
//! | [`Latch`] | where to send: the described address, or where packets come from (RFC 4961) |
//! | [`Arrivals`] | why nothing is heard: what comes instead of media |
//! | [`KeepAlive`] | when to send an empty packet so that a NAT binding lives (RFC 6263) |
//!
//! None of them knows a socket, a clock or a codec: bytes and the time come in, bytes and decisions go out.

#![forbid(unsafe_code)]
// Enums of our own: a new variant must be looked at wherever they are matched.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

pub mod rtcp;
pub mod srtp;

mod diagnosis;
mod error;
mod event;
mod jitter;
mod keepalive;
mod latch;
mod packet;
mod schedule;
mod session;
mod source;
mod statistics;

pub use diagnosis::{Arrival, Arrivals, Diagnosis, Silence, Unplayed};
pub use error::{ErrorKind, ParseError};
pub use event::{
    Digit, EventPacket, EventReceiver, EventSender, InvalidDigit, QueueFull, ReceivedDigit,
};
pub use jitter::{JitterBuffer, JitterConfig, JitterStatistics, Playout};
pub use keepalive::KeepAlive;
pub use latch::Latch;
pub use packet::{Extension, Header, Kind, Packet};
pub use session::{
    Config, Frame, Ignored, Outgoing, Output, PayloadType, Received, Session, SourceEnd,
};
pub use statistics::{RemoteStatistics, Statistics};

/// The static payload type of comfort noise (RFC 3389, 4), understood whether negotiated or not.
pub const COMFORT_NOISE: u8 = 13;
