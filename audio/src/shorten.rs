//! Speech in less time.

/// Takes one pitch period out of `samples`, or as much as fits, about `most` samples and at least 2.5 ms
/// of them; nothing if there is no room for that. What stays joins without a click.
///
/// The period is found by likeness, as for concealment: what is taken out resembles what follows it.
pub(crate) fn shorten(samples: &mut Vec<i16>, rate: u32, most: usize) {
    let least = rate as usize / SHORTEST;
    // As much is blended as is taken out.
    let most = most.min(samples.len() / 2);
    if most < least || least == 0 {
        return;
    }
    let window = most.min(rate as usize / WINDOW);
    let likeness = |lag: usize| {
        let (mut product, mut energy) = (0i64, 1i64);
        for (&a, &b) in samples[..window].iter().zip(&samples[lag..lag + window]) {
            product += i64::from(a) * i64::from(b);
            energy += i64::from(b) * i64::from(b);
        }
        product as f64 / (energy as f64).sqrt()
    };
    let lag = (least..=most)
        .max_by(|&a, &b| likeness(a).total_cmp(&likeness(b)))
        .unwrap_or(most);
    for place in 0..window {
        let (old, new) = (i64::from(samples[place]), i64::from(samples[lag + place]));
        let (part, whole) = (place as i64 + 1, window as i64 + 1);
        samples[lag + place] = ((old * (whole - part) + new * part) / whole) as i16;
    }
    samples.drain(..lag);
}

/// The highest voice has a period of 2.5 ms, 1/400 s.
const SHORTEST: usize = 400;
/// Blended over 5 ms, 1/200 s, at most.
const WINDOW: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{measure, tone};
    use std::time::Duration;

    #[test]
    fn a_period_is_taken_out_without_a_click() {
        for hz in [110.0, 180.0, 300.0] {
            let whole = tone::sine(8_000, hz, -10.0, Duration::from_millis(40)).samples;
            let mut heard = whole.clone();
            let mut frame = heard.split_off(160);
            shorten(&mut frame, 8_000, 80);
            let taken = 160 - frame.len();
            assert!((20..=80).contains(&taken), "{hz}: {taken}");
            heard.extend(&frame);
            let steepest = |samples: &[i16]| {
                let steps = samples.windows(2).map(|pair| (pair[1] - pair[0]).abs());
                steps.max().unwrap()
            };
            assert!(steepest(&heard) <= steepest(&whole) * 5 / 4, "{hz}");
            assert!((measure::level(&frame) - measure::level(&whole)).abs() < 1.0);
        }
    }

    #[test]
    fn what_is_too_short_stays() {
        for (length, most) in [(160, 0), (160, 19), (38, 80), (0, 80)] {
            let mut samples = vec![7; length];
            shorten(&mut samples, 8_000, most);
            assert_eq!(samples.len(), length);
        }
    }

    #[test]
    fn any_length_is_safe() {
        for length in 0..400 {
            for most in [1, 20, 50, 80, 1_000] {
                let mut samples = vec![i16::MIN; length];
                shorten(&mut samples, 8_000, most);
                assert!(samples.len() * 2 >= length && samples.iter().all(|&s| s < -32_000));
            }
        }
    }
}
