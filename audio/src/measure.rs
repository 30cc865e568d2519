//! Measures recordings: level, pitch, and whether what was heard is what was sent.

mod compare;
mod fourier;

pub use compare::{Comparison, Windows, compare};

pub use crate::level::level;

pub(crate) use crate::level::decibels;
use crate::sound::Sound;
use fourier::{Complex, Fourier};

/// Returns the strongest frequency in Hz, averaged over the whole sound; `None` for silence or
/// less than 50 ms.
pub fn dominant_frequency(sound: &Sound) -> Option<f64> {
    // About 4 Hz between two bins, if the sound is long enough for it.
    let wanted = (sound.rate as usize / 8).next_power_of_two();
    let size = wanted.min((sound.samples.len() / 2 + 1).next_power_of_two());
    if size < sound.rate as usize / 40 || size < 8 {
        return None;
    }
    let fourier = Fourier::new(size);
    let mut power = vec![0.0; size / 2];
    for start in (0..=sound.samples.len() - size).step_by(size / 2) {
        let mut window: Vec<Complex> = sound.samples[start..start + size]
            .iter()
            .enumerate()
            .map(|(n, &sample)| {
                let turn = std::f64::consts::TAU * n as f64 / size as f64;
                Complex::real(f64::from(sample) * (0.5 - 0.5 * turn.cos()))
            })
            .collect();
        fourier.forward(&mut window);
        for (sum, bin) in power.iter_mut().zip(&window) {
            *sum += bin.power();
        }
    }
    let middle = 1..size / 2 - 1;
    let peak = middle.max_by(|&a, &b| power[a].total_cmp(&power[b]))?;
    if power[peak] == 0.0 {
        return None;
    }
    // A Hann window's main lobe is close to a parabola in decibels.
    let [before, at, after] = [peak - 1, peak, peak + 1].map(|n| (power[n] + 1e-9).ln());
    let curve = before - 2.0 * at + after;
    let shift = if curve == 0.0 {
        0.0
    } else {
        (before - after) / curve / 2.0
    };
    Some((peak as f64 + shift) * f64::from(sound.rate) / size as f64)
}

/// Returns Pearson's coefficient of two pieces of equal length, −1 to 1; 0 if one is constant.
///
/// The longer one's surplus is ignored.
pub fn correlation(a: &[i16], b: &[i16]) -> f64 {
    pearson(a.iter().zip(b).map(|(&a, &b)| (f64::from(a), f64::from(b))))
}

fn pearson(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (mut n, mut a1, mut b1, mut a2, mut b2, mut ab) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for (a, b) in pairs {
        n += 1.0;
        a1 += a;
        b1 += b;
        a2 += a * a;
        b2 += b * b;
        ab += a * b;
    }
    let energy = (a2 * n - a1 * a1) * (b2 * n - b1 * b1);
    if energy <= 0.0 {
        return 0.0;
    }
    (ab * n - a1 * b1) / energy.sqrt()
}

#[cfg(test)]
mod tests;
