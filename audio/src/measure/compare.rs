//! Is what was heard what was sent?

use super::fourier::{Complex, Fourier};
use super::{decibels, level, pearson};
use crate::resample::{RateError, Resampler};
use crate::sound::Sound;

/// Tells how faithfully a recording repeats what was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The loud windows of the recording, and how many of them repeat what was sent.
    pub heard: Windows,
    /// The loud windows of what was sent, and how many of them were heard.
    pub sent: Windows,
    /// How much louder the recording is, in dB, over the windows that match; `None` if none does.
    pub gain: Option<f64>,
    /// How often the recording went on at another place of what was sent: gaps, loops.
    pub jumps: usize,
}

/// Counts windows of 100 ms that are louder than −45 dBFS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    /// All of them.
    pub loud: usize,
    /// Those that the other recording has, too: correlation of at least 0.9.
    pub matching: usize,
}

impl Windows {
    /// Returns the share that matches, 0 to 1; 0 if there is no loud window at all.
    pub fn share(self) -> f64 {
        if self.loud == 0 {
            return 0.0;
        }
        self.matching as f64 / self.loud as f64
    }
}

impl Comparison {
    /// Says whether the recording may pass for what was sent: something was heard, 95 % of its
    /// loud windows match, and the level is within 1 dB.
    pub fn is_faithful(&self) -> bool {
        self.heard.share() >= 0.95 && self.gain.is_some_and(|gain| gain.abs() <= 1.0)
    }
}

/// Compares a recording with what was sent, at `rate`: the lowest rate on the way between them.
///
/// The two are aligned by cross-correlation; then each window of 100 ms is looked for where the
/// one before it was found, give or take 40 ms, so that a receiver may stretch or skip a little.
/// Where windows stop matching, the recording is aligned afresh, at most once a second: time
/// that passed on only one side, and a file played again, do no harm, but a recording that is
/// something else does not match by trying often enough.
///
/// It says nothing of a recording that stops early; [`Comparison::sent`] does.
///
/// # Errors
/// [`RateError`] if one of the rates cannot be converted.
pub fn compare(sent: &Sound, heard: &Sound, rate: u32) -> Result<Comparison, RateError> {
    let sent = sent.resampled(rate)?;
    let heard = heard.resampled(rate)?;
    let reference = Reference::new(&sent)?;
    let window = (rate / 10) as usize;
    let mut result = Comparison {
        heard: Windows::default(),
        sent: Windows::default(),
        gain: None,
        jumps: 0,
    };
    let mut found = vec![false; sent.samples.len()];
    let (mut energy_sent, mut energy_heard) = (0.0, 0.0);
    let mut shift = first_alignment(&reference, &heard, window);
    let (mut aligned_at, mut fresh) = (None, None);
    for (number, samples) in heard.samples.chunks_exact(window).enumerate() {
        if level(samples) < QUIETEST {
            continue;
        }
        result.heard.loud += 1;
        let start = number * window;
        let mut matched = shift.and_then(|shift| reference.near(samples, start, shift));
        if matched.is_none() {
            if aligned_at.is_none_or(|at| number - at >= REALIGN) {
                aligned_at = Some(number);
                let located = reference.locate(piece(&heard, start, window), start);
                fresh = located.map(|(shift, _)| shift);
            }
            // The window in which a jump is matches nowhere, the next ones may.
            matched = fresh.and_then(|shift| reference.near(samples, start, shift));
            result.jumps += usize::from(matched.is_some());
        }
        let Some(at) = matched else { continue };
        (shift, fresh) = (Some(at), None);
        result.heard.matching += 1;
        for (place, &sample) in (start..).zip(samples) {
            let original = reference.at(place, at);
            energy_sent += original * original;
            energy_heard += f64::from(sample).powi(2);
            let whole = (place as isize).saturating_add(at.div_euclid(FINE));
            if let Some(found) = usize::try_from(whole).ok().and_then(|n| found.get_mut(n)) {
                *found = true;
            }
        }
    }
    for (samples, found) in sent
        .samples
        .chunks_exact(window)
        .zip(found.chunks_exact(window))
    {
        if level(samples) >= QUIETEST {
            result.sent.loud += 1;
            result.sent.matching += usize::from(is_mostly(samples, found));
        }
    }
    if energy_sent > 0.0 {
        result.gain = Some(decibels(energy_heard / energy_sent));
    }
    Ok(result)
}

/// Says whether at least half of the energy was found.
fn is_mostly(samples: &[i16], found: &[bool]) -> bool {
    let (mut all, mut part) = (0.0, 0.0);
    for (&sample, &found) in samples.iter().zip(found) {
        let energy = f64::from(sample).powi(2);
        all += energy;
        part += if found { energy } else { 0.0 };
    }
    part * 2.0 >= all
}

/// Aligns the first stretch of the recording that clearly is from what was sent, else the best.
fn first_alignment(reference: &Reference, heard: &Sound, window: usize) -> Option<isize> {
    let mut best: Option<(isize, f64)> = None;
    for start in (0..heard.samples.len()).step_by(window * ALIGNED) {
        let piece = piece(heard, start, window);
        if level(piece) < QUIETEST {
            continue;
        }
        let Some((shift, likeness)) = reference.locate(piece, start) else {
            continue;
        };
        if best.is_none_or(|(_, known)| likeness > known) {
            best = Some((shift, likeness));
        }
        if likeness >= ALIKE {
            break;
        }
    }
    best.map(|(shift, _)| shift)
}

/// Cuts the stretch that is long enough to be aligned.
fn piece(heard: &Sound, start: usize, window: usize) -> &[i16] {
    let end = (start + window * ALIGNED).min(heard.samples.len());
    &heard.samples[start..end]
}

/// Is what was sent, prepared to be searched.
///
/// A *shift* is the distance from a place in the recording to the same place in what was sent,
/// in quarters of a sample: a resampler on the way delays by fractions.
struct Reference {
    /// Four times as many samples as were sent.
    fine: Vec<i16>,
    fourier: Fourier,
    /// The transform of what was sent after `margin` zeros.
    spectrum: Vec<Complex>,
    margin: usize,
    /// The energy before each sample of that.
    energy: Vec<f64>,
}

impl Reference {
    fn new(sent: &Sound) -> Result<Self, RateError> {
        let margin = (sent.rate / 10) as usize * ALIGNED;
        let fine_rate = sent.rate.saturating_mul(FINE as u32);
        let fine = Resampler::convert(sent.rate, fine_rate, &sent.samples)?;
        let fourier = Fourier::new((sent.samples.len() + margin * 2).next_power_of_two());
        let mut spectrum = vec![Complex::ZERO; fourier.size()];
        for (value, &sample) in spectrum[margin..].iter_mut().zip(&sent.samples) {
            *value = Complex::real(f64::from(sample));
        }
        let mut energy = Vec::with_capacity(spectrum.len() + 1);
        energy.push(0.0);
        let mut sum = 0.0;
        for value in &spectrum {
            sum += value.power();
            energy.push(sum);
        }
        fourier.forward(&mut spectrum);
        Ok(Self {
            fine,
            fourier,
            spectrum,
            margin,
            energy,
        })
    }

    /// Returns the sample at a place of the recording; silence outside of what was sent.
    fn at(&self, place: usize, shift: isize) -> f64 {
        let fine = usize::try_from(place as isize * FINE + shift).ok();
        fine.and_then(|fine| self.fine.get(fine))
            .map_or(0.0, |&sample| f64::from(sample))
    }

    /// Finds where a piece of the recording is most like what was sent, and how like it is.
    fn locate(&self, piece: &[i16], start: usize) -> Option<(isize, f64)> {
        let mut product = vec![Complex::ZERO; self.fourier.size()];
        for (value, &sample) in product.iter_mut().zip(piece) {
            *value = Complex::real(f64::from(sample));
        }
        let loudness: f64 = product.iter().map(|value| value.power()).sum();
        self.fourier.forward(&mut product);
        for (value, reference) in product.iter_mut().zip(&self.spectrum) {
            *value = *reference * value.conjugate();
        }
        self.fourier.backward(&mut product);
        let places = self.fourier.size() - piece.len();
        let mut best: Option<(usize, f64)> = None;
        for (place, value) in product.iter().enumerate().take(places) {
            let energy = self.energy[place + piece.len()] - self.energy[place];
            // A whisper that happens to be alike is not where speech came from.
            if energy <= loudness * 1e-4 {
                continue;
            }
            let likeness = value.re / self.fourier.size() as f64 / (energy * loudness).sqrt();
            if best.is_none_or(|(_, known)| likeness > known) {
                best = Some((place, likeness));
            }
        }
        let (place, likeness) = best?;
        let lag = place as isize - self.margin as isize - start as isize;
        Some((lag * FINE, likeness))
    }

    /// Finds the shift near the given one at which the samples match, if there is one.
    fn near(&self, samples: &[i16], start: usize, shift: isize) -> Option<isize> {
        let alike = |shift: isize| {
            let pairs = samples.iter().zip(start..);
            pearson(pairs.map(|(&sample, place)| (f64::from(sample), self.at(place, shift))))
        };
        let best = |range: &mut dyn Iterator<Item = isize>| {
            range
                .map(|shift| (shift, alike(shift)))
                .max_by(|a, b| a.1.total_cmp(&b.1))
        };
        let (close, likeness) = best(&mut (shift - FINE..=shift + FINE))?;
        if likeness >= ALIKE {
            return Some(close);
        }
        // 40 ms either way, in whole samples first.
        let reach = samples.len() as isize * 2 / 5 * FINE;
        let coarse = (shift - reach..=shift + reach).step_by(FINE as usize);
        let (coarse, _) = best(&mut { coarse })?;
        let (found, likeness) = best(&mut (coarse - FINE..=coarse + FINE))?;
        (likeness >= ALIKE).then_some(found)
    }
}

/// In dBFS: what is quieter is a pause.
const QUIETEST: f64 = -45.0;
/// The correlation from which on two windows are the same.
const ALIKE: f64 = 0.9;
/// Parts of a sample by which pieces are shifted.
const FINE: isize = 4;
/// Windows that are aligned together: enough speech to be unique.
const ALIGNED: usize = 5;
/// Windows from one fresh alignment to the next.
const REALIGN: usize = 10;
