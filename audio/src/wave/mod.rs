//! WAV files: read, written, played and recorded.

mod player;
mod read;
mod recorder;
mod write;

pub use player::{AlreadyPlaying, Player, PlayerEvent, PlayerOptions};
pub use read::{parse, read};
pub use recorder::{Recorder, RecorderError};
pub use write::{Writer, write};

use std::io;

use crate::resample::RateError;

/// Says why a WAV file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaveError {
    /// The file itself could not be opened, read or written.
    #[error("cannot access the file: {0}")]
    Io(#[from] io::Error),
    /// The bytes are not a WAV file that this crate can read.
    #[error("{what} at byte {at}")]
    Format {
        /// What is wrong.
        what: &'static str,
        /// Where, in bytes from the start of the file.
        at: usize,
    },
    /// The sound cannot be brought to the rate that is wanted.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// The sound is longer than a file may hold, see [`MAX_BYTES`].
    #[error("a file of more than {MAX_BYTES} bytes")]
    TooLong,
}

/// The largest file that is read or written: four and a half hours at 8 kHz and 16 bits.
pub const MAX_BYTES: usize = 256 << 20;

#[cfg(test)]
mod tests;
