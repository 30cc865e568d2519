//! Dual-tone multi-frequency digits (ITU-T Q.23), made and recognised.

use std::f64::consts::TAU;
use std::time::Duration;

use crate::measure::decibels;
use crate::sound::{Sound, samples_in};
use crate::tone;

/// Says that a character is none of the sixteen digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no DTMF digit")]
pub struct NoDigit(
    /// The character.
    pub char,
);

/// Is a digit that was heard in a sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// One of `0`–`9`, `A`–`D`, `*` and `#`.
    pub digit: char,
    /// Where it starts, to about 10 ms.
    pub at: Duration,
    /// How long it sounds, to about 20 ms.
    pub length: Duration,
}

/// Makes the two tones of one digit (AUS-09), each at −13 dBFS.
///
/// # Errors
/// [`NoDigit`] for anything but `0`–`9`, `A`–`D` in either case, `*` and `#`.
pub fn digit(digit: char, rate: u32, length: Duration) -> Result<Sound, NoDigit> {
    let wanted = digit.to_ascii_uppercase();
    let place = DIGITS.iter().flatten().position(|&known| known == wanted);
    let place = place.ok_or(NoDigit(digit))?;
    let pitches = [LOW[place / 4], HIGH[place % 4]];
    Ok(tone::chord(rate, &pitches, LEVEL, length))
}

/// Makes digits one after the other, with `pause` of silence after each.
///
/// # Errors
/// [`NoDigit`] names the first character that is none.
pub fn digits(
    digits: &str,
    rate: u32,
    length: Duration,
    pause: Duration,
) -> Result<Sound, NoDigit> {
    let mut all = Sound::new(rate, Vec::new());
    for character in digits.chars() {
        all.samples.extend(digit(character, rate, length)?.samples);
        all.samples.extend(Sound::silence(rate, pause).samples);
    }
    Ok(all)
}

/// Finds the digits in a recording: tones and pauses of at least 40 ms (ITU-T Q.24).
///
/// A measurement for whole recordings. Digits repeated with a pause are reported each for itself.
pub fn detect(sound: &Sound) -> Vec<Heard> {
    let block = samples_in(sound.rate, BLOCK);
    let hop = samples_in(sound.rate, HOP).max(1);
    let mut found: Vec<Heard> = Vec::new();
    // The digit sounding, the hop at which it was first and the one at which it was last seen.
    let mut sounding: Option<(char, u32, u32)> = None;
    let hops = sound.samples.len().saturating_sub(block) / hop;
    for (place, number) in (0..=hops).zip(0u32..) {
        let Some(samples) = sound.samples.get(place * hop..place * hop + block) else {
            break;
        };
        let heard = block_digit(samples, sound.rate);
        sounding = match (sounding, heard) {
            (Some((digit, first, _)), Some(same)) if digit == same => Some((digit, first, number)),
            (Some((digit, first, last)), None) if number - last < SETTLE => {
                Some((digit, first, last))
            }
            (before, heard) => {
                found.extend(before.and_then(finished));
                heard.map(|digit| (digit, number, number))
            }
        };
    }
    found.extend(sounding.and_then(finished));
    found
}

fn finished((digit, first, last): (char, u32, u32)) -> Option<Heard> {
    (last - first + 1 >= SETTLE).then(|| Heard {
        digit,
        at: HOP * first,
        length: HOP * (last - first) + BLOCK,
    })
}

/// Names the digit whose two tones, and little else, make up these samples.
fn block_digit(samples: &[i16], rate: u32) -> Option<char> {
    let total = samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / samples.len() as f64;
    let (row, low) = strongest(samples, rate, &LOW)?;
    let (column, high) = strongest(samples, rate, &HIGH)?;
    let quiet = decibels(low.min(high) / 32_768f64.powi(2)) < QUIETEST;
    if quiet || decibels(low / high).abs() > TWIST || low + high < PURITY * total {
        return None;
    }
    Some(DIGITS[row][column])
}

/// Returns the loudest pitch and its mean square, if it clearly stands out from the other three.
fn strongest(samples: &[i16], rate: u32, pitches: &[f64; 4]) -> Option<(usize, f64)> {
    let powers = pitches.map(|hz| goertzel(samples, rate, hz));
    let best = (0..4).max_by(|&a, &b| powers[a].total_cmp(&powers[b]))?;
    let clear = (0..4).all(|other| other == best || powers[other] * CLEAR < powers[best]);
    clear.then_some((best, powers[best]))
}

/// Returns the mean square of one pitch within the samples, by Goertzel's algorithm.
pub(crate) fn goertzel(samples: &[i16], rate: u32, hz: f64) -> f64 {
    let factor = 2.0 * (TAU * hz / f64::from(rate)).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for &sample in samples {
        (last, before) = (f64::from(sample) + factor * last - before, last);
    }
    let energy = last * last + before * before - factor * last * before;
    2.0 * energy / (samples.len() as f64).powi(2)
}

const LOW: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
const DIGITS: [[char; 4]; 4] = [
    ['1', '2', '3', 'A'],
    ['4', '5', '6', 'B'],
    ['7', '8', '9', 'C'],
    ['*', '0', '#', 'D'],
];
/// Each tone, in dBFS.
const LEVEL: f64 = -13.0;
/// Long enough to tell 697 Hz from 770 Hz.
const BLOCK: Duration = Duration::from_micros(25_600);
const HOP: Duration = Duration::from_millis(5);
/// A digit is there when so many hops say so, and gone likewise.
const SETTLE: u32 = 3;
const QUIETEST: f64 = -40.0;
/// How much louder one tone may be than the other, in dB (ITU-T Q.24 asks for 4 to 8).
const TWIST: f64 = 8.0;
/// The share of all energy that must be in the two tones: speech has less.
const PURITY: f64 = 0.8;
/// How much stronger the tone must be than the other three of its group.
const CLEAR: f64 = 4.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::{self, Voice};

    const TONE: Duration = Duration::from_millis(60);
    const PAUSE: Duration = Duration::from_millis(50);

    fn names(sound: &Sound) -> String {
        detect(sound).iter().map(|heard| heard.digit).collect()
    }

    #[test]
    fn every_digit_is_recognised_in_order_with_repeats() {
        for rate in [8_000, 16_000, 48_000] {
            let all = "1159#*0D0123456789ABCD*#";
            let sound = digits(all, rate, TONE, PAUSE).unwrap();
            assert_eq!(names(&sound), all, "at {rate} Hz");
        }
    }

    #[test]
    fn times_are_told() {
        let mut sound = Sound::silence(8_000, Duration::from_millis(300));
        sound.samples.extend(
            digit('7', 8_000, Duration::from_millis(120))
                .unwrap()
                .samples,
        );
        sound.samples.extend([0; 800]);
        let heard = detect(&sound);
        assert_eq!(heard.len(), 1);
        assert!(heard[0].at.abs_diff(Duration::from_millis(300)) < Duration::from_millis(20));
        assert!(heard[0].length.abs_diff(Duration::from_millis(120)) < Duration::from_millis(25));
    }

    #[test]
    fn short_tones_single_tones_and_speech_are_no_digits() {
        let short = digits("5", 8_000, Duration::from_millis(20), PAUSE).unwrap();
        assert_eq!(names(&short), "");
        let single = tone::sine(8_000, 770.0, -10.0, Duration::from_millis(200));
        assert_eq!(names(&single), "");
        for voice in [Voice::Alice, Voice::Bob] {
            assert_eq!(names(&speech::utterance(voice, 8_000)), "");
        }
    }

    #[test]
    fn what_is_no_digit_is_refused() {
        assert_eq!(digit('E', 8_000, TONE).unwrap_err(), NoDigit('E'));
        assert_eq!(digits("12x", 8_000, TONE, PAUSE).unwrap_err(), NoDigit('x'));
        assert!(digit('a', 8_000, TONE).is_ok());
    }
}
