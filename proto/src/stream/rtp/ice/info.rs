//! What can be told about ICE.

use super::Component;
use crate::event::{CheckedPair, IcePair};
use base::Transport;
use serde::Serialize;
use std::net::SocketAddr;

/// How far ICE is, and over what media go.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct IceInfo {
    /// `new`, `gathering`, `gathered`, `running`, `completed` or `failed`.
    pub state: String,
    /// We choose the pair: one side does, for all streams of a session (RFC 8445, 6.1.1).
    pub controls: bool,
    /// The pair that carries RTP.
    pub rtp: Option<IcePair>,
    /// The pair that carries RTCP.
    pub rtcp: Option<IcePair>,
    /// Every pair of the checklist, the best one first, and why it is where it is.
    pub checked: Vec<CheckedPair>,
    /// What came of the TURN servers, two lines for each.
    pub relays: Vec<RelayInfo>,
}

/// An address at a TURN server, or why there is none.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct RelayInfo {
    /// The URI of the server.
    pub server: String,
    /// 1 for RTP, 2 for RTCP.
    pub component: Component,
    /// What it was last spoken with over.
    pub transport: Option<Transport>,
    /// The address.
    pub relayed: Option<SocketAddr>,
    /// Why there is none, or none any more.
    pub error: Option<String>,
}
