//! What an application can ask of audio.

use super::{AudioStream, State, relay};
use crate::stream::{DigitMode, StreamCommand, StreamOutput};
use rtp::Digit;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Sends a digit as a telephone event (AUS-09, AUT-07; RFC 4733), or in INFO if
/// [`MediaSettings::digits`](crate::stream::MediaSettings::digits) says so.
///
/// Digits are sent one after the other, each at least 40 ms long with a pause behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SendDtmf {
    /// Which: `0-9`, `A-D`, `*`, `#`.
    pub digit: Digit,
    /// How long.
    pub duration: Duration,
}

impl SendDtmf {
    /// A digit of usual length: 100 ms.
    pub const fn new(digit: Digit) -> Self {
        Self {
            digit,
            duration: Duration::from_millis(100),
        }
    }
}

/// Why a digit is not sent; nothing has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum SendDtmfError {
    /// Digits need a stream that runs (AUS-09).
    #[error("the stream does not run")]
    NotStarted,
    /// The peer takes no telephone events (AUS-10: said, not swallowed).
    #[error("the peer takes no telephone events")]
    NotNegotiated,
    /// Too many digits are waiting.
    #[error("too many digits are waiting")]
    QueueFull,
}

impl StreamCommand for SendDtmf {
    type Stream = AudioStream;
    type Reply = Result<(), SendDtmfError>;

    fn apply(self, stream: &mut AudioStream, now: Instant) -> Self::Reply {
        if stream.state != State::Established {
            return Err(SendDtmfError::NotStarted);
        }
        if stream.settings.digits == DigitMode::Info {
            let digit = relay::write(self.digit, self.duration);
            stream.out.push_back(StreamOutput::Inform(digit));
            return Ok(());
        }
        if !stream.takes_digits() {
            return Err(SendDtmfError::NotNegotiated);
        }
        stream
            .send_digit(now, self.digit, self.duration)
            .map_err(|_| SendDtmfError::QueueFull)
    }
}
