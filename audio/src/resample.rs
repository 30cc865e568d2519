//! Changes the sample rate: polyphase windowed sinc.

use std::f64::consts::PI;

/// Converts a stream of samples from one rate to another.
///
/// Feed pieces of any length in order; each call appends all samples that are due. After `n`
/// input samples exactly `ceil(n × to / from)` output samples have come out, so that 10 ms in
/// are 10 ms out whenever both rates are multiples of 100. The sound is delayed by
/// [`delay`](Self::delay).
///
/// The filter passes 0.85 of the lower rate's band and stops its images and aliases by 80 dB.
#[derive(Clone, Debug)]
pub struct Resampler {
    /// `to / from` in lowest terms.
    up: usize,
    down: usize,
    taps: usize,
    phases: usize,
    /// `phases + 1` rows of `taps` coefficients; the last row ends the interpolation.
    table: Vec<f32>,
    /// The samples that outputs to come still need.
    pending: Vec<f32>,
    /// Where the next output's window starts, in `1/up` of an input sample from `pending[0]`.
    position: usize,
}

/// Says that a rate is outside [`Resampler::RATES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rate of {0} Hz is not supported")]
pub struct RateError(
    /// The rate in Hz.
    pub u32,
);

impl Resampler {
    /// The rates in Hz that can be converted from and to.
    pub const RATES: std::ops::RangeInclusive<u32> = 1_000..=384_000;

    /// Makes a converter between two rates in Hz; equal rates pass samples through untouched.
    ///
    /// # Errors
    /// [`RateError`] names the rate outside [`RATES`](Self::RATES).
    pub fn new(from: u32, to: u32) -> Result<Self, RateError> {
        let mut made = Self::aligned(from, to)?;
        // A stream may only use samples that have arrived.
        made.pending = vec![0.0; made.taps.saturating_sub(1)];
        Ok(made)
    }

    /// Converts a whole piece without delay.
    ///
    /// # Errors
    /// [`RateError`] names the rate outside [`RATES`](Self::RATES).
    pub fn convert(from: u32, to: u32, samples: &[i16]) -> Result<Vec<i16>, RateError> {
        let mut resampler = Self::aligned(from, to)?;
        let length = (samples.len() * resampler.up).div_ceil(resampler.down);
        let mut output = Vec::with_capacity(length);
        resampler.process(samples, &mut output);
        resampler.process(&vec![0; resampler.taps / 2 + 1], &mut output);
        output.truncate(length);
        Ok(output)
    }

    /// Appends the converted samples that these complete.
    pub fn process(&mut self, input: &[i16], output: &mut Vec<i16>) {
        if self.taps == 0 {
            output.extend(input);
            return;
        }
        self.pending
            .extend(input.iter().map(|&sample| f32::from(sample)));
        while let Some(window) = {
            let start = self.position / self.up;
            self.pending.get(start..start + self.taps)
        } {
            let place = (self.position % self.up) * self.phases;
            let (row, rest) = (place / self.up, place % self.up);
            let value = if rest == 0 {
                dot(window, self.row(row))
            } else {
                let weight = rest as f32 / self.up as f32;
                let (near, far) = (dot(window, self.row(row)), dot(window, self.row(row + 1)));
                near + (far - near) * weight
            };
            // The cast saturates.
            output.push(value.round() as i16);
            self.position += self.down;
        }
        let done = (self.position / self.up).min(self.pending.len());
        self.pending.drain(..done);
        self.position -= done * self.up;
    }

    /// Says by how many input samples the stream is late.
    pub fn delay(&self) -> usize {
        self.taps / 2
    }

    /// Makes a converter whose first output is at the place of the first input.
    fn aligned(from: u32, to: u32) -> Result<Self, RateError> {
        for rate in [from, to] {
            if !Self::RATES.contains(&rate) {
                return Err(RateError(rate));
            }
        }
        let divisor = greatest_common_divisor(from, to);
        let (up, down) = ((to / divisor) as usize, (from / divisor) as usize);
        if up == down {
            return Ok(Self {
                up,
                down,
                taps: 0,
                phases: 0,
                table: Vec::new(),
                pending: Vec::new(),
                position: 0,
            });
        }
        let narrowing = (f64::from(to) / f64::from(from)).min(1.0);
        let half = (ZERO_CROSSINGS / narrowing).ceil() as usize;
        // `dot` takes eight at a time.
        let half = half.next_multiple_of(4);
        let phases = up.min(MAX_PHASES);
        Ok(Self {
            up,
            down,
            taps: half * 2,
            phases,
            table: filter(half, phases, narrowing * CUTOFF),
            pending: vec![0.0; half - 1],
            position: 0,
        })
    }

    fn row(&self, phase: usize) -> &[f32] {
        &self.table[phase * self.taps..(phase + 1) * self.taps]
    }
}

/// Computes the coefficients for each fraction of a sample; `cutoff` is relative to the input's
/// band.
fn filter(half: usize, phases: usize, cutoff: f64) -> Vec<f32> {
    let taps = half * 2;
    let mut table = Vec::with_capacity((phases + 1) * taps);
    for phase in 0..=phases {
        let fraction = phase as f64 / phases as f64;
        let row: Vec<f64> = (0..taps)
            .map(|tap| {
                let distance = tap as f64 - (half as f64 - 1.0) - fraction;
                sinc(distance * cutoff) * kaiser(distance / half as f64)
            })
            .collect();
        // Each phase on its own passes a constant unchanged.
        let sum: f64 = row.iter().sum();
        table.extend(row.iter().map(|value| (value / sum) as f32));
    }
    table
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        1.0
    } else {
        (PI * x).sin() / (PI * x)
    }
}

/// Is the Kaiser window over −1 to 1.
fn kaiser(x: f64) -> f64 {
    if x.abs() >= 1.0 {
        return 0.0;
    }
    bessel(KAISER_BETA * (1.0 - x * x).sqrt()) / bessel(KAISER_BETA)
}

/// Is the modified Bessel function of order zero, by its power series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term, mut n) = (1.0, 1.0, 1.0);
    while term > sum * 1e-12 {
        term *= (x / (2.0 * n)).powi(2);
        sum += term;
        n += 1.0;
    }
    sum
}

/// Adds eight products at a time: the compiler may not reorder a sum of floats by itself.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for place in 0..8 {
            sums[place] += a[place] * b[place];
        }
    }
    sums.iter().sum()
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

/// Half the filter's length in periods of the lower rate: with the window below, a transition
/// band of 0.16 of the lower band.
const ZERO_CROSSINGS: f64 = 32.0;
/// The middle of the transition band; it ends where the lower band does.
const CUTOFF: f64 = 0.925;
/// Side lobes of −80 dB.
const KAISER_BETA: f64 = 7.9;
/// Bounds the table (with 384 kHz to 8 kHz, the longest filter, 6 MB); odd ratios interpolate
/// between these phases with an error below −100 dB.
const MAX_PHASES: usize = 512;

#[cfg(test)]
mod tests;
