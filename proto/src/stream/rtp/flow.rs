//! What a transport has once its peer is known.

use super::{keys::Protection, single::Single};
use rtp::{Arrivals, KeepAlive, Latch, Session};
use std::net::SocketAddr;

/// What exists from the first agreement on.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) session: Session,
    pub(super) protection: Protection,
    /// Of RTCP, where a handshake of its own gives it other keys (RFC 5764, 5).
    pub(super) control: Option<Protection>,
    pub(super) rtp: Latch,
    pub(super) rtcp: Latch,
    /// RTCP shares the way of RTP (RFC 5761).
    pub(super) is_muxed: bool,
    pub(super) keepalive: KeepAlive,
    /// What an empty packet says it is.
    pub(super) keepalive_payload_type: u8,
    /// `c=0.0.0.0`: neither RTP nor RTCP is sent.
    pub(super) is_null: bool,
    /// Nothing is sent until the peer has proved to be there.
    pub(super) is_paused: bool,
    pub(super) received_from: Option<SocketAddr>,
    /// Forks may send to the same place.
    pub(super) single: Option<Single>,
    /// What comes instead of media.
    pub(super) arrivals: Arrivals,
}
