//! Concealment of lost packets for codecs that have none of their own, after ITU-T G.711,
//! Appendix I.

/// Continues a sound that breaks off: repeats its last pitch period, ever more quietly.
///
/// Tell it all that was decoded ([`heard`](Self::heard)), ask for a substitute when something is
/// missing ([`conceal`](Self::conceal)). Unlike Appendix I it adds no delay.
#[derive(Clone, Debug)]
pub(crate) struct Concealer {
    rate: usize,
    /// The last samples that were heard, at most `HISTORY` worth.
    history: Vec<i16>,
    /// One period, its end blended into what came before its start, to be repeated seamlessly.
    cycle: Vec<i16>,
    /// How many samples in a row were made up.
    missing: usize,
}

impl Concealer {
    pub(crate) fn new(rate: u32) -> Self {
        let rate = rate as usize;
        Self {
            rate,
            history: Vec::with_capacity(rate * HISTORY / 1_000 * 2),
            cycle: Vec::with_capacity(rate * LONGEST_PERIOD / 1_000),
            missing: 0,
        }
    }

    /// Remembers decoded samples; the first ones after a gap are blended with its substitute.
    pub(crate) fn heard(&mut self, samples: &mut [i16]) {
        if self.missing > 0 && !samples.is_empty() {
            let length = (self.rate * BLEND / 1_000).min(samples.len());
            for (place, sample) in samples.iter_mut().enumerate().take(length) {
                let made_up = self.continued(self.missing + place);
                *sample = blend(made_up, *sample, place, length);
            }
            self.missing = 0;
        }
        self.remember(samples);
    }

    /// Appends `count` made-up samples; silent after `FADED` of them in a row.
    pub(crate) fn conceal(&mut self, count: usize, samples: &mut Vec<i16>) {
        if self.missing == 0 {
            self.find_cycle();
        }
        samples.extend((0..count).map(|place| self.continued(self.missing + place)));
        self.missing = self.missing.saturating_add(count);
        if self.missing >= self.rate * FADED / 1_000 {
            // What comes after so long a gap has nothing to do with what went before.
            self.history.clear();
        }
    }

    fn continued(&self, place: usize) -> i16 {
        let start = self.rate * LOUD / 1_000;
        let end = self.rate * FADED / 1_000;
        if self.cycle.is_empty() || place >= end {
            return 0;
        }
        let sample = i32::from(self.cycle[place % self.cycle.len()]);
        if place < start {
            return sample as i16;
        }
        (sample * (end - place) as i32 / (end - start) as i32) as i16
    }

    fn find_cycle(&mut self) {
        self.cycle.clear();
        let template = self.rate * TEMPLATE / 1_000;
        let shortest = self.rate * SHORTEST_PERIOD / 1_000;
        let longest = self.rate * LONGEST_PERIOD / 1_000;
        let heard = &self.history;
        if heard.len() < template + longest {
            return;
        }
        let recent = &heard[heard.len() - template..];
        let likeness = |lag: usize| {
            let earlier = &heard[heard.len() - template - lag..heard.len() - lag];
            let (mut product, mut energy) = (0i64, 1i64);
            for (&a, &b) in recent.iter().zip(earlier) {
                product += i64::from(a) * i64::from(b);
                energy += i64::from(b) * i64::from(b);
            }
            product as f64 / (energy as f64).sqrt()
        };
        let period = (shortest..=longest)
            .max_by(|&a, &b| likeness(a).total_cmp(&likeness(b)))
            .unwrap_or(longest);
        self.cycle.extend(&heard[heard.len() - period..]);
        let overlap = period / 4;
        for place in 0..overlap {
            let before = heard[heard.len() - period - overlap + place];
            let sample = &mut self.cycle[period - overlap + place];
            *sample = blend(*sample, before, place, overlap);
        }
    }

    fn remember(&mut self, samples: &[i16]) {
        let limit = self.rate * HISTORY / 1_000;
        let samples = &samples[samples.len().saturating_sub(limit)..];
        let excess = (self.history.len() + samples.len()).saturating_sub(limit);
        self.history.drain(..excess);
        self.history.extend(samples);
    }
}

fn blend(from: i16, to: i16, place: usize, length: usize) -> i16 {
    let (place, length) = (place as i32 + 1, length as i32 + 1);
    ((i32::from(from) * (length - place) + i32::from(to) * place) / length) as i16
}

// All in milliseconds. Periods as G.711, Appendix I.2.3: 66 Hz to 200 Hz.
const SHORTEST_PERIOD: usize = 5;
const LONGEST_PERIOD: usize = 15;
/// The stretch that is compared to find the period.
const TEMPLATE: usize = 20;
/// Enough for the template, the longest period and its overlap.
const HISTORY: usize = 48;
/// The substitute is as loud as the original for so long, …
const LOUD: usize = 10;
/// … and silent from here (Appendix I.2.7).
const FADED: usize = 60;
const BLEND: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{measure, tone};
    use std::time::Duration;

    const RATE: u32 = 8_000;

    fn voiced() -> Vec<i16> {
        let mut sound = vec![0i16; 800];
        for harmonic in 1..8u32 {
            let part = tone::sine(
                RATE,
                f64::from(harmonic) * 131.0,
                -18.0 - f64::from(harmonic),
                Duration::from_millis(100),
            );
            for (sum, sample) in sound.iter_mut().zip(part.samples) {
                *sum += sample;
            }
        }
        sound
    }

    #[test]
    fn a_lost_frame_sounds_like_its_neighbours() {
        let sound = voiced();
        let mut concealer = Concealer::new(RATE);
        concealer.heard(&mut sound[..480].to_vec());
        let mut made_up = Vec::new();
        concealer.conceal(80, &mut made_up);
        assert!(measure::correlation(&sound[480..560], &made_up) > 0.95);
        assert!((measure::level(&sound[480..560]) - measure::level(&made_up)).abs() < 1.0);
    }

    #[test]
    fn a_long_gap_fades_to_silence_and_stays_there() {
        let mut concealer = Concealer::new(RATE);
        concealer.heard(&mut voiced());
        let mut made_up = Vec::new();
        for _ in 0..10 {
            concealer.conceal(160, &mut made_up);
        }
        assert!(measure::level(&made_up[..80]) > -25.0);
        assert!(made_up[480..].iter().all(|&sample| sample == 0));
        // The return is faded in from silence, not from an old cycle.
        let mut back = vec![1_000; 160];
        concealer.heard(&mut back);
        assert!(back[0] < 100 && back[159] == 1_000);
    }

    #[test]
    fn nothing_heard_conceals_to_silence() {
        let mut concealer = Concealer::new(RATE);
        let mut made_up = vec![5];
        concealer.conceal(3, &mut made_up);
        assert_eq!(made_up, [5, 0, 0, 0]);
    }

    #[test]
    fn joints_do_not_click() {
        let sound = voiced();
        let mut concealer = Concealer::new(RATE);
        let mut heard = Vec::new();
        for (place, frame) in sound.chunks(80).enumerate() {
            if place == 6 || place == 7 {
                concealer.conceal(80, &mut heard);
            } else {
                let mut frame = frame.to_vec();
                concealer.heard(&mut frame);
                heard.extend(frame);
            }
        }
        let steepest = |samples: &[i16]| {
            let steps = samples.windows(2).map(|pair| (pair[1] - pair[0]).abs());
            steps.max().unwrap()
        };
        assert!(steepest(&heard) <= steepest(&sound) * 3 / 2);
    }
}
