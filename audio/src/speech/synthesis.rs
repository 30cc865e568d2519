//! A formant synthesiser after Klatt: pulses and noise through resonators.

use std::f64::consts::TAU;

/// Samples a second that [`Synthesiser::speak`] makes.
pub(super) const RATE: u32 = 16_000;

/// Makes up syllables and says them.
pub(super) struct Synthesiser {
    random: Random,
    /// The voice's middle pitch in Hz.
    pitch: f64,
    /// How much shorter the vocal tract is than a man's: scales all formants.
    tract: f64,
    output: Vec<f64>,
    articulation: Articulation,
    resonators: [Resonator; 4],
    hiss: Resonator,
    /// Where in the glottal cycle the voice is, 0 to 1.
    cycle: f64,
    /// This cycle's deviations: no two are alike in a real voice.
    jitter: f64,
    shimmer: f64,
}

/// Is the position of everything that moves, or where it moves to.
#[derive(Clone, Copy)]
struct Articulation {
    formants: [f64; 3],
    voicing: f64,
    breath: f64,
    hiss: f64,
    hiss_pitch: f64,
    pitch: f64,
}

impl Synthesiser {
    pub(super) fn new(seed: u64, pitch: f64, tract: f64) -> Self {
        Self {
            random: Random(seed),
            pitch,
            tract,
            output: Vec::new(),
            articulation: Articulation {
                formants: [500.0, 1_500.0, 2_500.0],
                voicing: 0.0,
                breath: 0.0,
                hiss: 0.0,
                hiss_pitch: 4_000.0,
                pitch,
            },
            resonators: [Resonator::default(); 4],
            hiss: Resonator::default(),
            cycle: 0.0,
            jitter: 1.0,
            shimmer: 1.0,
        }
    }

    /// Speaks phrases for so many seconds, with a short silence at both ends.
    pub(super) fn speak(mut self, seconds: f64) -> Vec<f64> {
        let length = (seconds * f64::from(RATE)) as usize;
        let end = length - RATE as usize / 5;
        self.pause(0.15);
        while self.output.len() < end {
            let words = 3 + self.random.below(3);
            for word in 0..words {
                if self.output.len() >= end {
                    break;
                }
                self.word(1.0 - 0.25 * word as f64 / words as f64);
            }
            let breath = self.random.between(0.22, 0.38);
            self.pause(breath);
        }
        self.output.resize(length, 0.0);
        let fade = RATE as usize / 10;
        for (place, sample) in self.output.iter_mut().rev().take(fade).enumerate() {
            *sample *= place as f64 / fade as f64;
        }
        self.output
    }

    /// Says one to three syllables; the pitch falls along a phrase from `height` on.
    fn word(&mut self, height: f64) {
        let syllables = 1 + self.random.below(3);
        let stressed = self.random.below(syllables);
        for syllable in 0..syllables {
            let stress = if syllable == stressed { 1.12 } else { 0.97 };
            let accent = self.random.between(0.95, 1.05);
            self.consonant();
            self.vowel(self.pitch * height * stress * accent, syllable == stressed);
        }
        if self.random.below(3) == 0 {
            self.fricative();
        }
    }

    fn vowel(&mut self, pitch: f64, stressed: bool) {
        let from = VOWELS[self.random.below(VOWELS.len())];
        let to = VOWELS[self.random.below(VOWELS.len())];
        let length = if stressed {
            self.random.between(0.12, 0.2)
        } else {
            self.random.between(0.07, 0.11)
        };
        // The first part is a clear vowel, the second glides towards another.
        let glide = self.random.between(0.1, 0.6);
        let ends = [0.0, 1.0].map(|part: f64| {
            let mut formants = [0.0; 3];
            for (place, formant) in formants.iter_mut().enumerate() {
                *formant = from[place] + (to[place] - from[place]) * glide * part;
            }
            formants
        });
        for (formants, pitch) in ends.into_iter().zip([pitch, pitch * 0.9]) {
            let target = Articulation {
                formants: formants.map(|formant| formant * self.tract),
                voicing: 1.0,
                breath: 0.05,
                hiss: 0.0,
                pitch,
                ..self.articulation
            };
            self.move_to(target, length / 2.0);
        }
    }

    fn consonant(&mut self) {
        match self.random.below(5) {
            0 => self.fricative(),
            1 => self.plosive(),
            2 => self.nasal([280.0, 1_100.0, 2_300.0]),
            3 => self.nasal([360.0, 1_300.0, 2_700.0]),
            _ => {}
        }
    }

    fn fricative(&mut self) {
        let hiss_pitch = self.random.between(2_200.0, 6_000.0);
        let voicing = if self.random.below(3) == 0 { 0.3 } else { 0.0 };
        let target = Articulation {
            voicing,
            breath: 0.02,
            hiss: self.random.between(0.25, 0.5),
            hiss_pitch,
            ..self.articulation
        };
        let length = self.random.between(0.06, 0.11);
        self.move_to(target, length);
        self.articulation.hiss = 0.0;
    }

    fn plosive(&mut self) {
        let closed = self.random.between(0.03, 0.05);
        self.pause(closed);
        self.articulation.hiss = 1.0;
        self.articulation.hiss_pitch = self.random.between(900.0, 4_500.0);
        let target = Articulation {
            breath: 0.3,
            hiss: 0.0,
            ..self.articulation
        };
        self.move_to(target, 0.025);
    }

    fn nasal(&mut self, formants: [f64; 3]) {
        let target = Articulation {
            formants: formants.map(|formant| formant * self.tract),
            voicing: 0.45,
            breath: 0.0,
            hiss: 0.0,
            ..self.articulation
        };
        let length = self.random.between(0.05, 0.08);
        self.move_to(target, length);
    }

    fn pause(&mut self, seconds: f64) {
        let target = Articulation {
            voicing: 0.0,
            breath: 0.0,
            hiss: 0.0,
            ..self.articulation
        };
        self.move_to(target, seconds);
    }

    /// Sounds for so many seconds while everything moves towards its target.
    fn move_to(&mut self, target: Articulation, seconds: f64) {
        let steps = (seconds * f64::from(RATE)) as usize / STEP;
        for _ in 0..steps {
            let now = &mut self.articulation;
            for (value, target) in now.formants.iter_mut().zip(target.formants) {
                *value += (target - *value) * GLIDE;
            }
            now.voicing += (target.voicing - now.voicing) * SWELL;
            now.breath += (target.breath - now.breath) * SWELL;
            now.hiss += (target.hiss - now.hiss) * SWELL;
            now.hiss_pitch = target.hiss_pitch;
            now.pitch += (target.pitch - now.pitch) * GLIDE;
            self.tune();
            for _ in 0..STEP {
                let sample = self.sample();
                self.output.push(sample);
            }
        }
    }

    fn tune(&mut self) {
        let [f1, f2, f3] = self.articulation.formants;
        let pitches = [f1, f2, f3, 3_600.0 * self.tract];
        let widths = [70.0, 100.0, 150.0, 250.0];
        for ((resonator, hz), width) in self.resonators.iter_mut().zip(pitches).zip(widths) {
            resonator.tune(hz, width);
        }
        self.hiss.tune(self.articulation.hiss_pitch, 1_400.0);
    }

    fn sample(&mut self) -> f64 {
        self.cycle += self.articulation.pitch * self.jitter / f64::from(RATE);
        if self.cycle >= 1.0 {
            self.cycle -= 1.0;
            self.jitter = self.random.between(0.975, 1.025);
            self.shimmer = self.random.between(0.9, 1.1);
        }
        let noise = self.random.between(-1.0, 1.0);
        let source = glottis(self.cycle) * self.articulation.voicing * self.shimmer
            + noise * self.articulation.breath;
        let voice = self
            .resonators
            .iter_mut()
            .fold(source, |sample, resonator| resonator.pass(sample));
        voice + self.hiss.pass(noise) * self.articulation.hiss
    }
}

/// Is the flow's derivative over one cycle of the vocal folds (after Rosenberg): a slow opening,
/// a sharp closure, rest.
fn glottis(cycle: f64) -> f64 {
    if cycle < 0.4 {
        (cycle / 0.4 * TAU / 2.0).sin() * 0.4
    } else if cycle < 0.56 {
        -((cycle - 0.4) / 0.16 * TAU / 2.0).sin()
    } else {
        0.0
    }
}

/// Is a digital resonator of second order with a gain of one at 0 Hz.
#[derive(Clone, Copy, Default)]
struct Resonator {
    gain: f64,
    last: f64,
    before: f64,
    outputs: [f64; 2],
}

impl Resonator {
    fn tune(&mut self, hz: f64, width: f64) {
        let radius = (-TAU / 2.0 * width / f64::from(RATE)).exp();
        self.before = -radius * radius;
        self.last = 2.0 * radius * (TAU * hz / f64::from(RATE)).cos();
        self.gain = 1.0 - self.last - self.before;
    }

    fn pass(&mut self, sample: f64) -> f64 {
        let [last, before] = self.outputs;
        let output = self.gain * sample + self.last * last + self.before * before;
        self.outputs = [output, last];
        output
    }
}

/// Is a small generator of pseudo-random numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The first three formants of a man's vowels in Hz (Peterson and Barney, 1952).
const VOWELS: [[f64; 3]; 10] = [
    [270.0, 2_290.0, 3_010.0],
    [390.0, 1_990.0, 2_550.0],
    [530.0, 1_840.0, 2_480.0],
    [660.0, 1_720.0, 2_410.0],
    [730.0, 1_090.0, 2_440.0],
    [570.0, 840.0, 2_410.0],
    [440.0, 1_020.0, 2_240.0],
    [300.0, 870.0, 2_240.0],
    [640.0, 1_190.0, 2_390.0],
    [490.0, 1_350.0, 1_690.0],
];

/// Samples between two movements: 1 ms.
const STEP: usize = 16;
/// The share of the way that the tongue covers in a step: a time constant of 20 ms.
const GLIDE: f64 = 0.05;
/// The same for loudness: 8 ms.
const SWELL: f64 = 0.12;
