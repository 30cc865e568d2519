//! How far a stream and its transport are (requirements 6, 33 and 34).

use super::{AudioStream, Role, State};
use crate::stream::MediaSettings;
use serde::Serialize;

/// How far a stream is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum AudioState {
    /// Made, and nothing else.
    Null,
    /// Its sockets are being opened, its servers asked.
    Initializing,
    /// It can be described.
    Initialized,
    /// It was agreed on, and waits for a pair of addresses that works (RFC 8445).
    WaitIce,
    /// It runs.
    Established,
    /// It is over.
    Ended,
}

/// How far a transport is: the states of the documents' `RTPTransport` (requirements 33).
///
/// | there | here |
/// |---|---|
/// | `set_INIT` | [`MediaStream::prepare`](crate::stream::MediaStream::prepare) |
/// | `set_LOCAL` (RTP-04) | [`MediaStream::offer`](crate::stream::MediaStream::offer), or `answer` |
/// | `set_ESTABLISHED` (RTP-05) | [`MediaStream::start`](crate::stream::MediaStream::start) |
/// | STUN error | none: what there is without that server is gone on with (RTP-13, BUG-01), so that `STUN_FAILED` does not exist |
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum TransportState {
    /// It has no sockets.
    Null,
    /// Servers are asked how its addresses look from outside.
    WaitStun,
    /// It can be described.
    Init,
    /// It was offered.
    Local,
    /// It was offered by the peer and answered.
    Remote,
    /// Both descriptions are known.
    Established,
    /// It is over.
    Invalid,
}

impl AudioStream {
    /// How far the stream is.
    pub fn state(&self) -> AudioState {
        match self.state {
            State::New => AudioState::Null,
            State::Initializing => AudioState::Initializing,
            State::Initialized => AudioState::Initialized,
            State::Established if self.is_starting => AudioState::WaitIce,
            State::Established => AudioState::Established,
            State::Ending | State::Ended => AudioState::Ended,
        }
    }

    /// How far its transport is (RTP-08).
    pub fn transport_state(&self) -> TransportState {
        match (self.state, self.proposal) {
            (State::Initializing, _) if self.transport.ice().is_some() => TransportState::WaitStun,
            (State::New | State::Initializing, _) => TransportState::Null,
            (State::Initialized, None) => TransportState::Init,
            (State::Initialized, Some(Role::Offerer)) => TransportState::Local,
            (State::Initialized, Some(Role::Answerer)) => TransportState::Remote,
            (State::Established, _) => TransportState::Established,
            (State::Ending | State::Ended, _) => TransportState::Invalid,
        }
    }

    /// True between start and end (AUT-08).
    pub fn is_active(&self) -> bool {
        self.was_started && !self.is_over()
    }

    /// True from the start on, and ever after (AUT-08).
    pub const fn is_started(&self) -> bool {
        self.was_started
    }

    /// What it was made with (RTP-02, RTP-08): whether encryption and ICE are wished for, or insisted on, and
    /// whom it asks for its addresses.
    pub fn settings(&self) -> &MediaSettings {
        &self.settings
    }
}
