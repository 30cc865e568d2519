use super::*;
use crate::{measure, tone};
use proptest::prelude::*;
use std::time::Duration;

/// A fifth of a second: whole samples at all usual rates.
fn sine(rate: u32, hz: f64) -> Vec<i16> {
    tone::sine(rate, hz, -6.0, Duration::from_millis(200)).samples
}

/// Says how far a tone stands above everything else, in dB.
fn purity(samples: &[i16], rate: u32, hz: f64) -> f64 {
    let middle = &samples[samples.len() / 10..samples.len() * 9 / 10];
    let angle = |n: usize| 2.0 * PI * hz * n as f64 / f64::from(rate);
    // Least squares of a sine and a cosine; over many periods they are as good as orthogonal.
    let (mut s, mut c) = (0.0, 0.0);
    for (n, &sample) in middle.iter().enumerate() {
        s += angle(n).sin() * f64::from(sample);
        c += angle(n).cos() * f64::from(sample);
    }
    let scale = 2.0 / middle.len() as f64;
    let (mut signal, mut noise) = (0.0, 0.0);
    for (n, &sample) in middle.iter().enumerate() {
        let fit = scale * (s * angle(n).sin() + c * angle(n).cos());
        signal += fit * fit;
        noise += (f64::from(sample) - fit).powi(2);
    }
    10.0 * (signal / noise).log10()
}

#[test]
fn tones_survive_between_all_usual_rates() {
    for from in [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000] {
        for to in [8_000, 16_000, 32_000, 48_000] {
            for hz in [300.0, 1_000.0, 3_000.0] {
                let output = Resampler::convert(from, to, &sine(from, hz)).unwrap();
                assert_eq!(output.len(), to as usize / 5, "{from} to {to}");
                let snr = purity(&output, to, hz);
                assert!(snr > 70.0, "{hz} Hz, {from} to {to}: {snr:.1} dB");
                let middle = &output[500..output.len() - 500];
                let change = measure::level(middle) + 6.0;
                assert!(
                    change.abs() < 0.15,
                    "{hz} Hz, {from} to {to}: {change:.2} dB"
                );
            }
        }
    }
}

#[test]
fn odd_ratios_interpolate_between_phases() {
    let output = Resampler::convert(44_101, 47_999, &sine(44_101, 1_000.0)).unwrap();
    assert!(purity(&output, 47_999, 1_000.0) > 70.0);
}

#[test]
fn what_does_not_fit_the_lower_band_is_stopped() {
    for (from, hz) in [(16_000, 4_100.0), (16_000, 7_000.0), (48_000, 4_500.0)] {
        let output = Resampler::convert(from, 8_000, &sine(from, hz)).unwrap();
        let middle = &output[500..1_100];
        assert!(
            measure::level(middle) < -80.0,
            "{hz} Hz: {}",
            measure::level(middle)
        );
    }
}

#[test]
fn a_stream_is_late_by_what_it_says() {
    let input = sine(16_000, 440.0);
    let mut resampler = Resampler::new(16_000, 8_000).unwrap();
    let mut output = Vec::new();
    resampler.process(&input, &mut output);
    let whole = Resampler::convert(16_000, 8_000, &input).unwrap();
    let late = resampler.delay() / 2;
    assert_eq!(output[late..], whole[..whole.len() - late]);
}

#[test]
fn equal_rates_change_nothing() {
    assert_eq!(
        Resampler::convert(8_000, 8_000, &[1, -2, 3]).unwrap(),
        [1, -2, 3]
    );
    assert_eq!(Resampler::new(8_000, 8_000).unwrap().delay(), 0);
}

#[test]
fn absurd_rates_are_refused() {
    assert_eq!(Resampler::new(0, 8_000).unwrap_err(), RateError(0));
    assert_eq!(
        Resampler::new(8_000, 384_001).unwrap_err(),
        RateError(384_001)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// The pieces in which a stream comes make no difference, and ten milliseconds stay ten.
    #[test]
    fn pieces_do_not_matter(
        (from, to) in (prop::sample::select(vec![8_000u32, 16_000, 44_100, 48_000]),
            prop::sample::select(vec![8_000u32, 16_000, 32_000, 48_000])),
        cuts in prop::collection::vec(0usize..400, 1..20),
    ) {
        let mut seed = 1u32;
        let input: Vec<i16> = (0..cuts.iter().sum::<usize>() + 1)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 16) as i16 / 4
            })
            .collect();
        let mut whole = Vec::new();
        Resampler::new(from, to).unwrap().process(&input, &mut whole);
        prop_assert_eq!(
            whole.len(),
            (input.len() * to as usize).div_ceil(from as usize)
        );
        let mut resampler = Resampler::new(from, to).unwrap();
        let (mut pieces, mut rest) = (Vec::new(), &input[..]);
        for cut in cuts {
            let (piece, tail) = rest.split_at(cut);
            resampler.process(piece, &mut pieces);
            rest = tail;
        }
        resampler.process(rest, &mut pieces);
        prop_assert_eq!(whole, pieces);
    }
}
