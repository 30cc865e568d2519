//! Writes WAV files.

use std::fs::{self, File};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use super::{MAX_BYTES, WaveError};
use crate::sound::Sound;

/// Writes a sound as a WAV file of 16-bit PCM, over a file of that name; missing directories are
/// made (WRC-01).
///
/// # Errors
/// [`WaveError::Io`], or [`WaveError::TooLong`] beyond [`MAX_BYTES`].
pub fn write(path: impl AsRef<Path>, sound: &Sound) -> Result<(), WaveError> {
    let mut writer = Writer::create(path, sound.rate)?;
    writer.push(&sound.samples)?;
    writer.finish()
}

/// Writes 16-bit mono PCM bit by bit.
///
/// The lengths are filled in by [`finish`](Self::finish); without it the file still can be read,
/// by [`read`](super::read()) and most others.
#[derive(Debug)]
pub struct Writer<W: Write + Seek> {
    output: W,
    bytes: usize,
}

impl Writer<BufWriter<File>> {
    /// Starts a file, over one of that name; missing directories are made.
    ///
    /// # Errors
    /// [`WaveError::Io`] if that is not possible.
    pub fn create(path: impl AsRef<Path>, rate: u32) -> Result<Self, WaveError> {
        if let Some(directory) = path.as_ref().parent() {
            fs::create_dir_all(directory)?;
        }
        Self::new(BufWriter::new(File::create(path)?), rate)
    }
}

impl<W: Write + Seek> Writer<W> {
    /// Writes the header for a sound of unknown length.
    ///
    /// # Errors
    /// [`WaveError::Io`] if `output` fails.
    pub fn new(mut output: W, rate: u32) -> Result<Self, WaveError> {
        output.write_all(&header(rate, 0))?;
        Ok(Self { output, bytes: 0 })
    }

    /// Appends samples.
    ///
    /// # Errors
    /// [`WaveError::Io`], or [`WaveError::TooLong`] beyond [`MAX_BYTES`]; then none is written.
    pub fn push(&mut self, samples: &[i16]) -> Result<(), WaveError> {
        let bytes = self.bytes + samples.len() * 2;
        if bytes + HEADER > MAX_BYTES {
            return Err(WaveError::TooLong);
        }
        for sample in samples {
            self.output.write_all(&sample.to_le_bytes())?;
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Fills in the lengths and flushes.
    ///
    /// # Errors
    /// [`WaveError::Io`] if the output fails.
    pub fn finish(mut self) -> Result<(), WaveError> {
        let data = self.bytes as u32;
        self.output.seek(SeekFrom::Start(4))?;
        self.output.write_all(&(data + RIFF_REST).to_le_bytes())?;
        self.output.seek(SeekFrom::Start(HEADER as u64 - 4))?;
        self.output.write_all(&data.to_le_bytes())?;
        self.output.flush()?;
        Ok(())
    }
}

fn header(rate: u32, data: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(b"RIFF");
    header[4..8].copy_from_slice(&(data + RIFF_REST).to_le_bytes());
    header[8..16].copy_from_slice(b"WAVEfmt ");
    header[16..20].copy_from_slice(&16u32.to_le_bytes());
    header[20..22].copy_from_slice(&1u16.to_le_bytes());
    header[22..24].copy_from_slice(&1u16.to_le_bytes());
    header[24..28].copy_from_slice(&rate.to_le_bytes());
    header[28..32].copy_from_slice(&rate.saturating_mul(2).to_le_bytes());
    header[32..34].copy_from_slice(&2u16.to_le_bytes());
    header[34..36].copy_from_slice(&16u16.to_le_bytes());
    header[36..40].copy_from_slice(b"data");
    header[40..].copy_from_slice(&data.to_le_bytes());
    header
}

/// Bytes before the first sample.
const HEADER: usize = 44;
/// Bytes of the header that the RIFF length counts.
const RIFF_REST: u32 = 36;
