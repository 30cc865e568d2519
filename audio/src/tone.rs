//! Makes tones.

pub mod dtmf;

use std::f64::consts::TAU;
use std::time::Duration;

use crate::port::AudioPort;
use crate::sound::{Sound, samples_in};

/// Makes a sine whose RMS level is `level` dBFS, with edges of 5 ms that do not click.
///
/// The loudest undistorted sine has −3 dBFS; see [`measure::level`](crate::measure::level).
pub fn sine(rate: u32, hz: f64, level: f64, length: Duration) -> Sound {
    chord(rate, &[hz], level, length)
}

/// Makes several sines at once, each with an RMS level of `level` dBFS.
pub(crate) fn chord(rate: u32, pitches: &[f64], level: f64, length: Duration) -> Sound {
    let count = samples_in(rate, length);
    let edge = samples_in(rate, EDGE).min(count / 2).max(1);
    let mut oscillators: Vec<Tone> = pitches
        .iter()
        .map(|&hz| Tone::new(rate, hz, level))
        .collect();
    let samples = (0..count)
        .map(|place| {
            let sum: f64 = oscillators.iter_mut().map(Tone::next).sum();
            let near = (place + 1).min(count - place).min(edge) as f64 / edge as f64;
            (sum * near).round() as i16
        })
        .collect();
    Sound::new(rate, samples)
}

/// Is an endless sine, as a port that only speaks.
#[derive(Clone, Debug)]
pub struct Tone {
    amplitude: f64,
    /// In turns, below one.
    phase: f64,
    step: f64,
}

impl Tone {
    /// Makes a sine of an RMS level in dBFS, for a mixer of that rate.
    pub fn new(rate: u32, hz: f64, level: f64) -> Self {
        Self {
            amplitude: 32_768.0 * std::f64::consts::SQRT_2 * 10f64.powf(level / 20.0),
            phase: 0.0,
            step: hz / f64::from(rate.max(1)),
        }
    }

    fn next(&mut self) -> f64 {
        let value = (self.phase * TAU).sin() * self.amplitude;
        self.phase = (self.phase + self.step).fract();
        value
    }
}

impl AudioPort for Tone {
    fn pull(&mut self, samples: &mut [i16]) {
        for sample in samples {
            *sample = self.next().round() as i16;
        }
    }

    fn push(&mut self, _samples: &[i16]) {}
}

const EDGE: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure;

    #[test]
    fn a_sine_has_the_level_and_pitch_asked_for() {
        for (hz, level) in [(440.0, -20.0), (1_234.0, -9.0), (3_000.0, -40.0)] {
            let sound = sine(8_000, hz, level, Duration::from_secs(1));
            assert!((sound.level() - level).abs() < 0.1);
            let found = measure::dominant_frequency(&sound).unwrap();
            assert!((found - hz).abs() < 1.0, "{found}");
        }
    }

    #[test]
    fn the_port_speaks_without_joints() {
        let mut tone = Tone::new(8_000, 437.0, -20.0);
        let (mut pieces, mut whole) = (vec![0; 800], vec![0; 800]);
        for piece in pieces.chunks_mut(80) {
            tone.pull(piece);
        }
        Tone::new(8_000, 437.0, -20.0).pull(&mut whole);
        assert_eq!(pieces, whole);
    }
}
