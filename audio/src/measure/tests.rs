use super::*;
use crate::codec::g711::Law;
use crate::speech::{self, Voice};
use crate::tone;
use std::time::Duration;

const RATE: u32 = 8_000;

fn alice() -> Sound {
    speech::utterance(Voice::Alice, RATE)
}

fn through(sound: &Sound, encode: Law, decode: Law) -> Sound {
    let codes = sound.samples.iter().map(|&sample| encode.encode(sample));
    Sound::new(sound.rate, codes.map(|code| decode.decode(code)).collect())
}

fn delayed(sound: &Sound, by: usize) -> Sound {
    let mut samples = vec![0; by];
    samples.extend(&sound.samples);
    Sound::new(sound.rate, samples)
}

#[test]
fn levels_are_those_of_known_signals() {
    assert_eq!(level(&[0; 100]), f64::NEG_INFINITY);
    assert_eq!(level(&[]), f64::NEG_INFINITY);
    assert!(level(&[i16::MIN; 100]).abs() < 1e-9);
    assert!((level(&[3_277, -3_277]) + 20.0).abs() < 0.01);
}

#[test]
fn silence_has_no_pitch() {
    assert_eq!(dominant_frequency(&Sound::new(RATE, vec![0; 8_000])), None);
    assert_eq!(dominant_frequency(&Sound::new(RATE, vec![9; 10])), None);
    assert_eq!(dominant_frequency(&Sound::new(0, vec![])), None);
}

#[test]
fn the_stronger_tone_dominates() {
    let mut sound = tone::sine(RATE, 400.0, -20.0, Duration::from_secs(1));
    let louder = tone::sine(RATE, 1_700.0, -17.0, Duration::from_secs(1));
    for (sample, more) in sound.samples.iter_mut().zip(louder.samples) {
        *sample += more;
    }
    assert!((dominant_frequency(&sound).unwrap() - 1_700.0).abs() < 1.0);
}

#[test]
fn a_codec_and_a_delay_are_faithful() {
    for law in [Law::Mu, Law::A] {
        let sent = alice();
        let heard = delayed(&through(&sent, law, law), 1_234);
        let result = compare(&sent, &heard, RATE).unwrap();
        assert!(result.is_faithful(), "{result:?}");
        assert_eq!(result.heard.matching, result.heard.loud);
        assert!(result.sent.share() > 0.95 && result.heard.loud > 30);
        assert_eq!(result.jumps, 0);
    }
}

#[test]
fn the_wrong_law_is_not_faithful() {
    for voice in [Voice::Alice, Voice::Bob] {
        let sent = speech::utterance(voice, RATE);
        for (encode, decode) in [(Law::Mu, Law::A), (Law::A, Law::Mu)] {
            let heard = through(&sent, encode, decode);
            let result = compare(&sent, &heard, RATE).unwrap();
            assert!(!result.is_faithful(), "{result:?}");
            assert!(result.heard.share() < 0.5, "{result:?}");
        }
    }
}

#[test]
fn another_voice_is_not_faithful() {
    let result = compare(&alice(), &speech::utterance(Voice::Bob, RATE), RATE).unwrap();
    assert!(!result.is_faithful());
    assert!(result.heard.share() < 0.1, "{result:?}");
}

#[test]
fn silence_and_nothing_are_not_faithful() {
    for heard in [
        Sound::new(RATE, vec![0; 16_000]),
        Sound::new(RATE, Vec::new()),
    ] {
        let result = compare(&alice(), &heard, RATE).unwrap();
        assert!(!result.is_faithful());
        assert_eq!((result.heard.loud, result.gain), (0, None));
        assert_eq!(result.sent.matching, 0);
    }
    let result = compare(&Sound::new(RATE, Vec::new()), &alice(), RATE).unwrap();
    assert_eq!(result.heard.matching, 0);
}

#[test]
fn another_level_is_told_and_not_faithful() {
    let sent = alice();
    let heard = Sound::new(
        RATE,
        sent.samples.iter().map(|&sample| sample / 2).collect(),
    );
    let result = compare(&sent, &heard, RATE).unwrap();
    assert!(!result.is_faithful());
    assert!(result.heard.share() > 0.95);
    assert!((result.gain.unwrap() + 6.02).abs() < 0.1);
}

#[test]
fn half_a_recording_is_told_by_what_was_sent() {
    let sent = alice();
    let heard = Sound::new(RATE, sent.samples[..sent.samples.len() / 2].to_vec());
    let result = compare(&sent, &heard, RATE).unwrap();
    assert!(result.is_faithful());
    assert!((0.3..0.7).contains(&result.sent.share()), "{result:?}");
}

#[test]
fn small_slips_are_followed() {
    let sent = alice();
    let mut heard = sent.clone();
    // A jitter buffer that stretches by 15 ms, and later drops 20 ms.
    heard.samples.splice(16_000..16_000, [0; 120]);
    heard.samples.drain(32_000..32_160);
    let result = compare(&sent, &heard, RATE).unwrap();
    assert!(result.is_faithful(), "{result:?}");
    assert_eq!(result.jumps, 0);
}

#[test]
fn a_jump_costs_the_windows_in_which_it_is() {
    let sent = alice();
    for at in (8_000..40_000).step_by(3_100) {
        let mut heard = sent.samples.clone();
        heard.splice(at..at, [0; 520]);
        let result = compare(&sent, &Sound::new(RATE, heard), RATE).unwrap();
        let lost = result.heard.loud - result.heard.matching;
        assert!(lost <= 2, "{at}: {result:?}");
    }
}

#[test]
fn a_hold_and_a_second_round_are_followed() {
    let sent = alice();
    let mut heard = sent.samples[..16_000].to_vec();
    heard.extend([0; 12_000]);
    heard.extend(&sent.samples[28_000..]);
    heard.extend(&sent.samples);
    let result = compare(&sent, &Sound::new(RATE, heard), RATE).unwrap();
    assert!(result.is_faithful(), "{result:?}");
}

#[test]
fn other_rates_and_fractional_delays_are_aligned() {
    let sent = alice();
    let mut heard = sent.resampled(48_000).unwrap();
    heard.samples.splice(0..0, [0; 3_457]);
    let result = compare(&sent, &heard, RATE).unwrap();
    assert!(result.is_faithful(), "{result:?}");
    assert!(result.heard.share() > 0.98);
}

#[test]
fn packets_lost_at_random_are_told() {
    let sent = alice();
    let mut heard = sent.clone();
    for frame in heard.samples.chunks_mut(160).step_by(4) {
        frame.fill(0);
    }
    let result = compare(&sent, &heard, RATE).unwrap();
    assert!(!result.is_faithful(), "{result:?}");
}
