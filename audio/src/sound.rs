//! Sound in memory.

use std::fmt;
use std::time::Duration;

use crate::level::level;
use crate::resample::{RateError, Resampler};

/// Is a piece of mono sound: 16-bit samples at one rate.
#[derive(Clone, PartialEq, Eq)]
pub struct Sound {
    /// Samples a second.
    pub rate: u32,
    /// The samples, oldest first.
    pub samples: Vec<i16>,
}

impl Sound {
    /// Wraps samples that were taken `rate` times a second.
    pub fn new(rate: u32, samples: Vec<i16>) -> Self {
        Self { rate, samples }
    }

    /// Makes silence of the given length.
    pub fn silence(rate: u32, length: Duration) -> Self {
        Self::new(rate, vec![0; samples_in(rate, length)])
    }

    /// Says how long it plays.
    pub fn duration(&self) -> Duration {
        if self.rate == 0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64(self.samples.len() as f64 / f64::from(self.rate))
    }

    /// Returns the RMS level of the whole in dBFS; see [`measure::level`](crate::measure::level).
    pub fn level(&self) -> f64 {
        level(&self.samples)
    }

    /// Returns the same sound at another rate, without delay.
    ///
    /// # Errors
    /// [`RateError`] when one of the rates is outside what [`Resampler`] takes.
    pub fn resampled(&self, rate: u32) -> Result<Self, RateError> {
        Ok(Self::new(
            rate,
            Resampler::convert(self.rate, rate, &self.samples)?,
        ))
    }
}

impl fmt::Debug for Sound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sound")
            .field("rate", &self.rate)
            .field("samples", &self.samples.len())
            .finish()
    }
}

/// Counts the whole samples in a length of time.
pub(crate) fn samples_in(rate: u32, length: Duration) -> usize {
    let count = u128::from(rate) * length.as_nanos() / 1_000_000_000;
    usize::try_from(count).unwrap_or(usize::MAX)
}
