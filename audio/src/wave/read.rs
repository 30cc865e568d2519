//! Reads WAV files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{MAX_BYTES, WaveError};
use crate::codec::g711::Law;
use crate::resample::Resampler;
use crate::sound::Sound;

/// Reads a WAV file as mono sound at its own rate (WAV-01); several channels are averaged.
///
/// Understood are PCM of 8, 16, 24 and 32 bits, floating point of 32 and 64 bits, A-law and µ-law,
/// plain or as `WAVE_FORMAT_EXTENSIBLE`. A file whose recorder died before it wrote the length is
/// read to its end.
///
/// # Errors
/// [`WaveError`] says what is wrong and where.
pub fn read(path: impl AsRef<Path>) -> Result<Sound, WaveError> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() > MAX_BYTES {
        return Err(WaveError::TooLong);
    }
    parse(&bytes)
}

/// Reads a WAV file that is in memory; see [`read`](read()).
///
/// # Errors
/// [`WaveError::Format`] says what is wrong and where.
pub fn parse(bytes: &[u8]) -> Result<Sound, WaveError> {
    if !bytes.starts_with(b"RIFF") {
        return Err(wrong("no RIFF file", 0));
    }
    if bytes.get(8..12) != Some(b"WAVE") {
        return Err(wrong("no WAVE form", 8));
    }
    let mut format = None;
    let mut at = 12;
    loop {
        let Some(header) = bytes.get(at..at + 8) else {
            return Err(wrong("no data chunk", at));
        };
        let declared = u32_at(header, 4);
        let start = at + 8;
        let rest = &bytes[start..];
        match &header[..4] {
            b"fmt " => {
                let body = rest.get(..declared as usize);
                let body = body.ok_or_else(|| wrong("format chunk is cut off", start))?;
                format = Some(Format::parse(body, start)?);
            }
            b"data" => {
                let format = format.ok_or_else(|| wrong("data before its format", at))?;
                let data = if declared == 0 || declared == u32::MAX {
                    // A stream, or a recorder that never came back to fill in the length.
                    rest
                } else {
                    rest.get(..declared as usize)
                        .ok_or_else(|| wrong("data is shorter than declared", bytes.len()))?
                };
                return Ok(Sound::new(format.rate, format.samples(data)));
            }
            _ => {}
        }
        // Chunks are padded to even lengths.
        at = (start + declared as usize).saturating_add(declared as usize % 2);
    }
}

fn wrong(what: &'static str, at: usize) -> WaveError {
    WaveError::Format { what, at }
}

#[derive(Clone, Copy)]
struct Format {
    encoding: Encoding,
    channels: usize,
    rate: u32,
}

#[derive(Clone, Copy)]
enum Encoding {
    Unsigned8,
    Signed16,
    Signed24,
    Signed32,
    Float32,
    Float64,
    Companded(Law),
}

impl Format {
    fn parse(body: &[u8], at: usize) -> Result<Self, WaveError> {
        if body.len() < 16 {
            return Err(wrong("format chunk is too short", at));
        }
        let mut tag = u16_at(body, 0);
        if tag == EXTENSIBLE {
            // The first two bytes of the sub-format's GUID are the tag proper.
            let guid = body.get(24..26);
            tag = u16_at(
                guid.ok_or_else(|| wrong("format extension is cut off", at))?,
                0,
            );
        }
        let channels = usize::from(u16_at(body, 2));
        if channels == 0 {
            return Err(wrong("no channels", at + 2));
        }
        let rate = u32_at(body, 4);
        if !Resampler::RATES.contains(&rate) {
            return Err(wrong("unsupported sample rate", at + 4));
        }
        let encoding = match (tag, u16_at(body, 14)) {
            (1, 8) => Encoding::Unsigned8,
            (1, 16) => Encoding::Signed16,
            (1, 24) => Encoding::Signed24,
            (1, 32) => Encoding::Signed32,
            (3, 32) => Encoding::Float32,
            (3, 64) => Encoding::Float64,
            (6, 8) => Encoding::Companded(Law::A),
            (7, 8) => Encoding::Companded(Law::Mu),
            (1 | 3 | 6 | 7, _) => return Err(wrong("unsupported sample width", at + 14)),
            _ => return Err(wrong("unsupported encoding", at)),
        };
        let format = Self {
            encoding,
            channels,
            rate,
        };
        if usize::from(u16_at(body, 12)) != channels * encoding.width() {
            return Err(wrong("block size does not fit the format", at + 12));
        }
        Ok(format)
    }

    /// Decodes all whole blocks.
    fn samples(self, data: &[u8]) -> Vec<i16> {
        let width = self.encoding.width();
        let blocks = data.chunks_exact(width * self.channels);
        if self.channels == 1 {
            return blocks.map(|block| self.encoding.sample(block)).collect();
        }
        blocks
            .map(|block| {
                let samples = block.chunks_exact(width);
                let sum: i64 = samples.map(|s| i64::from(self.encoding.sample(s))).sum();
                (sum / self.channels as i64) as i16
            })
            .collect()
    }
}

impl Encoding {
    fn width(self) -> usize {
        match self {
            Self::Unsigned8 | Self::Companded(_) => 1,
            Self::Signed16 => 2,
            Self::Signed24 => 3,
            Self::Signed32 | Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }

    /// Decodes one sample; `bytes` has the encoding's width.
    fn sample(self, bytes: &[u8]) -> i16 {
        match self {
            Self::Unsigned8 => (i16::from(bytes[0]) - 128) << 8,
            Self::Signed16 => i16::from_le_bytes([bytes[0], bytes[1]]),
            Self::Signed24 => i16::from_le_bytes([bytes[1], bytes[2]]),
            Self::Signed32 => i16::from_le_bytes([bytes[2], bytes[3]]),
            Self::Float32 => {
                let value = f32::from_bits(u32_at(bytes, 0));
                // The cast saturates, and makes silence of what is no number.
                (value * 32_768.0).round() as i16
            }
            Self::Float64 => {
                let low = u64::from(u32_at(bytes, 0));
                let value = f64::from_bits(u64::from(u32_at(bytes, 4)) << 32 | low);
                (value * 32_768.0).round() as i16
            }
            Self::Companded(law) => law.decode(bytes[0]),
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at + 2)) << 16 | u32::from(u16_at(bytes, at))
}

/// `WAVE_FORMAT_EXTENSIBLE`.
const EXTENSIBLE: u16 = 0xfffe;
