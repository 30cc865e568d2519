use super::*;
use crate::codec::g711::Law;
use crate::sound::Sound;
use proptest::prelude::*;
use std::io::Cursor;

fn file(tag: u16, bits: u16, channels: u16, data: &[u8]) -> Vec<u8> {
    let block = channels * bits / 8;
    let mut bytes = b"RIFF\0\0\0\0WAVE".to_vec();
    // A chunk of odd length, which must be skipped with its padding.
    bytes.extend(b"LIST\x03\0\0\0abc\0fmt \x10\0\0\0");
    for word in [tag, channels, 8_000, 0, 0, 0, block, bits] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(b"data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

fn samples(bytes: &[u8]) -> Vec<i16> {
    let sound = parse(bytes).unwrap();
    assert_eq!(sound.rate, 8_000);
    sound.samples
}

fn complaint(bytes: &[u8]) -> (&'static str, usize) {
    let Err(WaveError::Format { what, at }) = parse(bytes) else {
        panic!("no complaint about the format");
    };
    (what, at)
}

/// Writes with another implementation.
fn foreign<S: hound::Sample + Copy>(bits: u16, float: bool, values: &[S]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: bits,
        sample_format: if float {
            hound::SampleFormat::Float
        } else {
            hound::SampleFormat::Int
        },
    };
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for &value in values {
        writer.write_sample(value).unwrap();
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

#[test]
fn files_of_another_writer_are_read() {
    assert_eq!(
        samples(&foreign(16, false, &[1i16, -2, i16::MIN])),
        [1, -2, i16::MIN]
    );
    assert_eq!(
        samples(&foreign(8, false, &[0i8, 127, -128])),
        [0, 127 << 8, i16::MIN]
    );
    let wide = [0x12_3456i32, -0x12_3456];
    assert_eq!(samples(&foreign(24, false, &wide)), [0x1234, -0x1235]);
    let wide = [0x1234_5678i32, i32::MIN];
    assert_eq!(samples(&foreign(32, false, &wide)), [0x1234, i16::MIN]);
    let float = [0.5f32, -0.25, 2.0, f32::NAN];
    assert_eq!(
        samples(&foreign(32, true, &float)),
        [16_384, -8_192, i16::MAX, 0]
    );
}

#[test]
fn double_precision_is_read() {
    let data: Vec<u8> = [0.5f64, -1.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    assert_eq!(samples(&file(3, 64, 1, &data)), [16_384, i16::MIN]);
}

#[test]
fn companded_files_are_read() {
    // WAV-01.
    let codes: Vec<u8> = (0..=255).collect();
    for (tag, law) in [(6, Law::A), (7, Law::Mu)] {
        let expected: Vec<i16> = codes.iter().map(|&code| law.decode(code)).collect();
        assert_eq!(samples(&file(tag, 8, 1, &codes)), expected);
    }
}

#[test]
fn channels_are_averaged() {
    let data: Vec<u8> = [100i16, 200, i16::MIN, i16::MIN]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    assert_eq!(samples(&file(1, 16, 2, &data)), [150, i16::MIN]);
}

#[test]
fn unfinished_recordings_are_read_to_their_end() {
    for length in [0, u32::MAX] {
        let mut bytes = file(1, 16, 1, &[1, 0, 2, 0, 3]);
        let place = bytes.len() - 9;
        bytes[place..place + 4].copy_from_slice(&length.to_le_bytes());
        assert_eq!(samples(&bytes), [1, 2]);
    }
}

#[test]
fn errors_say_what_and_where() {
    assert_eq!(complaint(b""), ("no RIFF file", 0));
    assert_eq!(complaint(b"RIFF\0\0\0\0AVI "), ("no WAVE form", 8));
    assert_eq!(complaint(b"RIFF\0\0\0\0WAVE"), ("no data chunk", 12));
    let early = b"RIFF\0\0\0\0WAVEdata\x02\0\0\0ab";
    assert_eq!(complaint(early), ("data before its format", 12));
    // In `file`, the format chunk's body starts at byte 32.
    assert_eq!(
        complaint(&file(1, 12, 1, &[])),
        ("unsupported sample width", 46)
    );
    assert_eq!(complaint(&file(2, 4, 1, &[])), ("unsupported encoding", 32));
    assert_eq!(complaint(&file(1, 16, 0, &[])), ("no channels", 34));
    let good = file(1, 16, 1, &[1, 2, 3, 4]);
    let cut = &good[..good.len() - 1];
    assert_eq!(complaint(cut), ("data is shorter than declared", cut.len()));
    assert_eq!(complaint(&good[..40]), ("format chunk is cut off", 32));
    let mut slow = good.clone();
    slow[36..40].copy_from_slice(&7u32.to_le_bytes());
    assert_eq!(complaint(&slow), ("unsupported sample rate", 36));
    let mut odd = good;
    odd[44] = 3;
    assert_eq!(complaint(&odd), ("block size does not fit the format", 44));
}

#[test]
fn a_missing_file_is_an_error() {
    assert!(matches!(read("no/such/file.wav"), Err(WaveError::Io(_))));
}

#[test]
fn what_is_written_another_reader_understands() {
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut bytes, 16_000).unwrap();
    writer.push(&[1, -2]).unwrap();
    writer.push(&[i16::MAX]).unwrap();
    writer.finish().unwrap();
    let bytes = bytes.into_inner();
    let mut reader = hound::WavReader::new(Cursor::new(&bytes)).unwrap();
    assert_eq!(reader.spec().sample_rate, 16_000);
    assert_eq!(reader.spec().channels, 1);
    let read: Vec<i16> = reader.samples().map(Result::unwrap).collect();
    assert_eq!(read, [1, -2, i16::MAX]);
    assert_eq!(
        u32::from_le_bytes(bytes[4..8].try_into().unwrap()),
        bytes.len() as u32 - 8
    );
}

#[test]
fn a_file_is_made_with_its_directories() {
    let directory = std::env::temp_dir().join(format!("audio-wave-{}", std::process::id()));
    let path = directory.join("a").join("b.wav");
    let sound = Sound::new(8_000, vec![3, 2, 1]);
    write(&path, &sound).unwrap();
    assert_eq!(read(&path).unwrap(), sound);
    write(&path, &Sound::new(8_000, vec![9])).unwrap();
    assert_eq!(read(&path).unwrap().samples, [9]);
    std::fs::remove_dir_all(directory).unwrap();
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..80), at in 0usize..80) {
        let _ = parse(&bytes);
        let mut damaged = file(1, 16, 1, &[1, 2, 3, 4, 5, 6]);
        let tail = damaged.len().min(at + bytes.len());
        for (place, byte) in (at..tail).zip(bytes) {
            damaged[place] = byte;
        }
        if let Ok(sound) = parse(&damaged) {
            prop_assert!(sound.samples.len() <= damaged.len());
        }
    }
}
