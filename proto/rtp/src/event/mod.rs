//! DTMF digits as telephone events (RFC 4733).

mod receiver;
mod sender;

pub use receiver::{EventReceiver, ReceivedDigit};
pub use sender::{EventPacket, EventSender, QueueFull};

use serde::{Deserialize, Serialize};
use std::fmt;

/// A DTMF digit: `0` to `9`, `*`, `#`, `A` to `D` (RFC 4733, 3.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "char", try_from = "char")]
pub struct Digit(u8);

/// A character that is no DTMF digit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not one of 0-9, *, #, A-D")]
pub struct InvalidDigit;

impl Digit {
    /// Finds the digit of an event code; `None` from 16 on (flash, modem tones …).
    pub const fn from_code(code: u8) -> Option<Self> {
        if (code as usize) < CODES.len() {
            Some(Self(code))
        } else {
            None
        }
    }

    /// The event code, 0 to 15.
    pub const fn code(self) -> u8 {
        self.0
    }
}

impl TryFrom<char> for Digit {
    type Error = InvalidDigit;

    /// Reads a digit, letters in either case.
    fn try_from(text: char) -> Result<Self, InvalidDigit> {
        let place = CODES
            .iter()
            .position(|&code| char::from(code) == text.to_ascii_uppercase());
        // Sixteen places.
        place.map(|place| Self(place as u8)).ok_or(InvalidDigit)
    }
}

impl From<Digit> for char {
    fn from(digit: Digit) -> Self {
        Self::from(CODES[usize::from(digit.0)])
    }
}

impl fmt::Display for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Write::write_char(f, char::from(*self))
    }
}

impl fmt::Debug for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digit({self})")
    }
}

/// One event of a payload (RFC 4733, 2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Report {
    code: u8,
    end: bool,
    /// The level of the tone, in dBm0 below zero, 0 to 63.
    volume: u8,
    /// How long it lasts so far, in units of the clock.
    duration: u16,
}

impl Report {
    const fn parse(payload: [u8; 4]) -> Self {
        Self {
            code: payload[0],
            end: payload[1] & 0x80 != 0,
            volume: payload[1] & 0x3f,
            duration: u16::from_be_bytes([payload[2], payload[3]]),
        }
    }

    fn to_bytes(self) -> [u8; 4] {
        let duration = self.duration.to_be_bytes();
        [
            self.code,
            u8::from(self.end) << 7 | self.volume & 0x3f,
            duration[0],
            duration[1],
        ]
    }
}

/// The digits by their codes.
const CODES: &[u8; 16] = b"0123456789*#ABCD";

#[cfg(test)]
mod tests;
