//! What events of streams are made of.

use base::LinkError;
use serde::Serialize;

/// How the keys of media were agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum KeyMethod {
    /// They stand in the descriptions (RFC 4568).
    Sdes,
    /// By a handshake beside the media, whose certificates the descriptions name (RFC 5763).
    Dtls,
}

/// Why a stream cannot be, or cannot go on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// A socket could not be opened or broke.
    #[error("transport: {0}")]
    Transport(LinkError),
    /// Offer and capabilities have no codec in common.
    #[error("no common codec")]
    NoCommonCodec,
    /// No factory makes this kind.
    #[error("unknown kind of stream")]
    UnknownKind,
    /// The options of the specification make no sense to this kind.
    #[error("bad options: {0}")]
    BadOptions(&'static str),
    /// The description of the peer cannot be used.
    #[error("bad description: {0}")]
    BadDescription(&'static str),
    /// Media must be encrypted, and nobody agreed on how (RTP-10).
    #[error("not encrypted: {0}")]
    NotEncrypted(&'static str),
    /// ICE found no pair of addresses that works, or lost it (AUS-26).
    #[error("ICE failed: {0}")]
    IceFailed(&'static str),
    /// It did not start in time (SES-12).
    #[error("media stream timed-out while starting")]
    TimedOut,
    /// The kind's own reason.
    #[error("{0}")]
    Custom(&'static str),
}
