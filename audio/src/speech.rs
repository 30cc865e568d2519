//! Makes sounds that resemble speech, for tests and demonstrations.

mod synthesis;

use crate::measure;
use crate::sound::Sound;
use synthesis::Synthesiser;

/// Names a speaker; each says something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Voice {
    /// A high voice, 6.5 s.
    Alice,
    /// A low voice, 7 s.
    Bob,
}

/// Says something that sounds like speech and means nothing; always the same for a voice.
///
/// It has what a recording of a call must have to be judged: voiced and unvoiced sounds, pauses, a
/// pitch that never repeats, the spectrum of speech, and an active level of −20 dBFS.
///
/// # Panics
/// If the rate is outside [`Resampler::RATES`](crate::resample::Resampler::RATES).
pub fn utterance(voice: Voice, rate: u32) -> Sound {
    let (seed, seconds, pitch, tract) = match voice {
        Voice::Alice => (11, 6.5, 205.0, 1.15),
        Voice::Bob => (23, 7.0, 118.0, 1.0),
    };
    let raw = Synthesiser::new(seed, pitch, tract).speak(seconds);
    let made = levelled(&raw, synthesis::RATE);
    made.resampled(rate).expect("a rate that can be converted")
}

/// Scales to an active level of −20 dBFS; peaks are bent, not clipped.
fn levelled(raw: &[f64], rate: u32) -> Sound {
    let loudest = raw.iter().fold(0.0f64, |peak, value| peak.max(value.abs()));
    let scale = 16_000.0 / loudest.max(1e-9);
    let rough: Vec<i16> = raw.iter().map(|value| (value * scale) as i16).collect();
    let window = rate as usize / 50;
    let levels: Vec<f64> = rough.chunks(window).map(measure::level).collect();
    let peak = levels.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (mut sum, mut count) = (0.0, 0usize);
    for (samples, level) in rough.chunks(window).zip(levels) {
        // ITU-T P.56 counts what is within some 16 dB of the active level itself.
        if level > peak - 25.0 {
            sum += samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>();
            count += samples.len();
        }
    }
    let active = (sum / count.max(1) as f64).sqrt().max(1.0);
    let gain = 32_768.0 * 10f64.powf(ACTIVE_LEVEL / 20.0) / active * scale;
    let samples = raw
        .iter()
        .map(|value| {
            let wanted = value * gain / 32_768.0;
            (32_768.0 * bent(wanted)).round() as i16
        })
        .collect();
    Sound::new(rate, samples)
}

/// Keeps what is below half of the scale and bends the rest towards its end.
fn bent(value: f64) -> f64 {
    let size = value.abs();
    if size <= 0.5 {
        return value;
    }
    (0.5 + 0.5 * ((size - 0.5) * 2.0).tanh()).copysign(value)
}

/// In dBFS.
const ACTIVE_LEVEL: f64 = -20.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::compare;
    use std::time::Duration;

    const RATE: u32 = 8_000;

    fn window_levels(sound: &Sound) -> Vec<f64> {
        sound
            .samples
            .chunks_exact(800)
            .map(measure::level)
            .collect()
    }

    #[test]
    fn utterances_are_always_the_same() {
        assert_eq!(utterance(Voice::Alice, RATE), utterance(Voice::Alice, RATE));
    }

    #[test]
    fn length_level_and_pauses_are_those_of_speech() {
        for voice in [Voice::Alice, Voice::Bob] {
            let sound = utterance(voice, RATE);
            assert!((5..=8).contains(&sound.duration().as_secs()));
            let levels = window_levels(&sound);
            let loud = levels.iter().filter(|&&level| level > -45.0).count();
            let share = loud as f64 / levels.len() as f64;
            assert!((0.6..0.95).contains(&share), "{voice:?}: {share}");
            let speaking: Vec<i16> = sound
                .samples
                .chunks_exact(800)
                .filter(|samples| measure::level(samples) > -40.0)
                .flatten()
                .copied()
                .collect();
            let level = measure::level(&speaking);
            assert!((-22.0..-18.0).contains(&level), "{voice:?}: {level}");
            let peak = sound.samples.iter().map(|s| s.unsigned_abs()).max();
            assert!(peak < Some(32_000), "{voice:?}: {peak:?}");
        }
    }

    #[test]
    fn the_spectrum_falls_as_that_of_speech() {
        for voice in [Voice::Alice, Voice::Bob] {
            let sound = utterance(voice, 16_000);
            let low = sound.resampled(2_000).unwrap().level();
            let high = {
                // What is left of a narrow band when it is taken away from the whole.
                let narrow = sound.resampled(8_000).unwrap().resampled(16_000).unwrap();
                let rest = sound.samples.iter().zip(&narrow.samples);
                let rest: Vec<i16> = rest.map(|(&a, &b)| a.saturating_sub(b)).collect();
                measure::level(&rest)
            };
            assert!(low - high > 10.0, "{voice:?}: {low:.1} and {high:.1} dB");
            assert!(high > -60.0, "{voice:?}: no hiss at all, {high:.1} dB");
        }
    }

    #[test]
    fn the_voices_say_different_things() {
        let (alice, bob) = (utterance(Voice::Alice, RATE), utterance(Voice::Bob, RATE));
        assert!(compare(&alice, &bob, RATE).unwrap().heard.share() < 0.1);
        assert!(compare(&bob, &alice, RATE).unwrap().heard.share() < 0.1);
        assert!(compare(&bob, &bob, RATE).unwrap().is_faithful());
    }

    #[test]
    fn no_stretch_resembles_another() {
        for voice in [Voice::Alice, Voice::Bob] {
            let sound = utterance(voice, RATE);
            let windows: Vec<&[i16]> = sound
                .samples
                .chunks_exact(800)
                .filter(|samples| measure::level(samples) > -45.0)
                .collect();
            let twice = windows.iter().enumerate().filter(|(number, window)| {
                windows.iter().enumerate().any(|(other, earlier)| {
                    other != *number && measure::correlation(window, earlier) >= 0.9
                })
            });
            assert_eq!(twice.count(), 0, "{voice:?}");
        }
    }

    #[test]
    fn any_rate_will_do() {
        let sound = utterance(Voice::Alice, 48_000);
        assert_eq!(sound.rate, 48_000);
        let narrow = utterance(Voice::Alice, RATE);
        assert!(sound.duration().abs_diff(narrow.duration()) < Duration::from_millis(1));
    }
}
