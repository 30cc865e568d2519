//! What an RTP transport is told of its peer.

use super::Agreed;
use rtp::PayloadType;
use std::net::SocketAddr;

/// What an agreement says about the transport.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// The peer's RTP address; `None` for the null address.
    pub(crate) rtp: Option<SocketAddr>,
    /// The peer's RTCP address.
    pub(crate) rtcp: Option<SocketAddr>,
    /// RTCP goes where RTP goes (RFC 5761).
    pub(crate) is_muxed: bool,
    /// What it may send.
    pub(crate) payload_types: Vec<PayloadType>,
    /// The clock rate of what we send, in Hz.
    pub(crate) clock_rate: u32,
    /// What our empty packets are numbered as.
    pub(crate) keepalive_payload_type: u8,
    /// What packets are sealed and opened with.
    pub(crate) keys: Agreed,
    /// Another peer than before (a forked answer): nothing that was learnt of the old one counts.
    pub(crate) is_new: bool,
    /// Others may send to the same place.
    pub(crate) is_early: bool,
}
