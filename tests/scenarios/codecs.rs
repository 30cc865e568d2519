//! G.711 against tables of other implementations.

use std::path::{Path, PathBuf};

use audio::codec::g711::Law;

/// The folder with the published vectors, if this machine has it.
fn golden() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors/codecs/golden");
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {} is absent", path.display());
    None
}

fn read(path: &Path, name: &str) -> Vec<u8> {
    std::fs::read(path.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn g711_decodes_every_code_exactly() {
    let Some(path) = golden() else { return };
    let tables: serde_json::Value = serde_json::from_slice(&read(&path, "g711.json")).unwrap();
    for (law, key) in [(Law::Mu, "ulaw_decode"), (Law::A, "alaw_decode")] {
        let expected: Vec<i16> = serde_json::from_value(tables[key].clone()).unwrap();
        assert_eq!(expected.len(), 256);
        for (code, expected) in (0..=255).zip(expected) {
            assert_eq!(law.decode(code), expected, "{law:?} {code:#04x}");
        }
    }
}

/// Encoders differ at the decision values themselves: µ-law looks at 14 bits, a unit of which is
/// four of ours, and negative numbers are cut either up or down.
#[test]
fn g711_encodes_every_sample_but_for_ties() {
    let Some(path) = golden() else { return };
    for (law, name, allowed) in [
        (Law::Mu, "g711-ulaw-encode-all-int16.bin", 512),
        (Law::A, "g711-alaw-encode-all-int16.bin", 964),
    ] {
        let expected = read(&path, name);
        assert_eq!(expected.len(), 1 << 16);
        let mut different = 0;
        for (sample, expected) in (i16::MIN..=i16::MAX).zip(expected) {
            let code = law.encode(sample);
            if code == expected {
                continue;
            }
            different += 1;
            let near = [sample.saturating_sub(4), sample.saturating_add(4)];
            assert!(
                near.iter().any(|&near| law.encode(near) == expected),
                "{law:?} {sample}: {code:#04x}, not {expected:#04x}"
            );
        }
        println!("{law:?}: {different} of 65536 samples differ");
        assert!(different <= allowed, "{law:?}: {different}");
    }
}

#[test]
fn g711_decodes_a_recording_as_others_do() {
    let Some(path) = golden() else { return };
    let original = audio::wave::read(path.join("input-8k.wav")).unwrap();
    for (law, name) in [(Law::Mu, "input-8k.ulaw"), (Law::A, "input-8k.alaw")] {
        let codes = read(&path, name);
        let samples = codes.iter().map(|&code| law.decode(code)).collect();
        let heard = audio::Sound::new(8_000, samples);
        assert_eq!(heard.samples.len(), original.samples.len());
        let likeness = audio::measure::correlation(&heard.samples, &original.samples);
        assert!(likeness > 0.999, "{law:?}: {likeness}");
    }
}

/// Real speech through our own codec is faithful; through the wrong law it is not.
#[test]
fn real_speech_is_told_from_the_wrong_law() {
    let Some(path) = golden() else { return };
    let voice = path.join("../voice/short_nb_voice.wav");
    let sent = audio::wave::read(voice).unwrap();
    for (encode, decode) in [
        (Law::Mu, Law::Mu),
        (Law::A, Law::A),
        (Law::Mu, Law::A),
        (Law::A, Law::Mu),
    ] {
        let codes = sent.samples.iter().map(|&sample| encode.encode(sample));
        let samples = codes.map(|code| decode.decode(code)).collect();
        let heard = audio::Sound::new(sent.rate, samples);
        let result = audio::measure::compare(&sent, &heard, sent.rate).unwrap();
        println!("{encode:?} heard as {decode:?}: {result:?}");
        assert_eq!(result.is_faithful(), encode == decode, "{result:?}");
    }
}
