//! Recording (AUS-06 … AUS-08, AUS-16, AUS-18 … AUS-21).

use super::*;
use crate::stream::audio::{Record, RecordError};

fn say(stream: &mut Box<dyn MediaStream>, now: Instant, record: Record) -> Result<(), RecordError> {
    let stream: &mut dyn std::any::Any = stream.as_mut();
    record.apply(stream.downcast_mut::<AudioStream>().unwrap(), now)
}

fn start(filename: Option<&str>) -> Record {
    Record::Start {
        filename: filename.map(str::to_owned),
    }
}

/// The events of recording, short.
fn told(stream: &mut Box<dyn MediaStream>) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(output) = stream.poll_output() {
        let StreamOutput::Event(event) = output else {
            continue;
        };
        told.extend(match event {
            StreamEvent::WillStartRecordingAudio { filename } => Some(format!("+ {filename}")),
            StreamEvent::DidStartRecordingAudio { filename } => Some(format!("++ {filename}")),
            StreamEvent::WillStopRecordingAudio { filename } => Some(format!("- {filename}")),
            StreamEvent::DidStopRecordingAudio { filename } => Some(format!("-- {filename}")),
            StreamEvent::RecordingAudioDidFail { filename, reason } => {
                Some(format!("! {filename} {reason}"))
            }
            _ => None,
        });
    }
    told
}

/// AUS-06, AUS-08, AUS-16, AUS-18 … AUS-21: a recording of a stream that runs; nothing is written on hold.
#[test]
fn aus_06_aus_08_aus_16_aus_18_aus_19_aus_20_and_aus_21_a_stream_is_recorded() {
    let mut pair = Pair::new(BOTH);
    let now = pair.now;
    let path = "/calls/one.wav";
    say(&mut pair.streams[0], now, start(Some(path))).unwrap();
    assert_eq!(told(&mut pair.streams[0]), ["+ /calls/one.wav"]);
    let info = |pair: &Pair| {
        let info = audio(pair.streams[0].as_ref()).recording()?;
        assert_eq!(info.filename, path);
        Some((info.is_active, info.is_paused))
    };
    assert_eq!(info(&pair), Some((false, false)));
    // AUS-07: one at a time.
    assert_eq!(
        say(&mut pair.streams[0], now, start(None)),
        Err(RecordError::AlreadyRecording)
    );
    say(&mut pair.streams[0], now, Record::DidStart).unwrap();
    assert_eq!(told(&mut pair.streams[0]), ["++ /calls/one.wav"]);
    assert_eq!(info(&pair), Some((true, false)));
    for holder in 0..2 {
        pair.set_hold(holder, true);
        pair.exchange(holder);
        assert_eq!(info(&pair), Some((true, true)), "held by {holder}");
        pair.set_hold(holder, false);
        pair.exchange(holder);
        assert_eq!(info(&pair), Some((true, false)));
    }
    say(&mut pair.streams[0], now, Record::Stop).unwrap();
    assert_eq!(told(&mut pair.streams[0]), ["- /calls/one.wav"]);
    say(&mut pair.streams[0], now, Record::DidStop).unwrap();
    assert_eq!(told(&mut pair.streams[0]), ["-- /calls/one.wav"]);
    assert_eq!(info(&pair), None);
    for said in [Record::Stop, Record::DidStart, Record::DidStop] {
        let refused = say(&mut pair.streams[0], now, said);
        assert_eq!(refused, Err(RecordError::NotRecording));
    }
}

/// AUS-07: asked for before the start it begins with the media; what was not begun ends without a word; there
/// is none of a stream that is over.
#[test]
fn aus_07_a_recording_may_be_asked_for_before_the_start() {
    let running = Pair::new(BOTH);
    let now = running.now;
    let mut stream = AudioFactory::new()
        .create(
            now,
            env(now, 0, &["PCMU", "PCMA"]),
            &serde_json::Value::Null,
        )
        .unwrap();
    say(&mut stream, now, start(Some("never.wav"))).unwrap();
    say(&mut stream, now, Record::Stop).unwrap();
    say(&mut stream, now, start(Some("later.wav"))).unwrap();
    assert_eq!(
        say(&mut stream, now, Record::DidStart),
        Err(RecordError::NotRecording)
    );
    open(&mut stream, now, 0);
    stream.offer(now);
    assert!(told(&mut stream).is_empty());
    stream.start(
        now,
        Agreement {
            branch: DialogId::from_parts(0, 0),
            local: &running.descriptions[0],
            remote: &running.descriptions[1],
            index: 0,
            is_confidential: false,
            is_early: false,
        },
    );
    assert_eq!(told(&mut stream), ["+ later.wav"]);
    say(&mut stream, now, Record::DidStart).unwrap();
    // The end of the stream is the end of the recording.
    stream.end(now);
    assert_eq!(
        told(&mut stream),
        ["++ later.wav", "- later.wav", "-- later.wav"]
    );
    assert!(audio(stream.as_ref()).recording().is_none());
    assert_eq!(say(&mut stream, now, start(None)), Err(RecordError::Ended));
}

/// AUS-06: a name of the moment and the participants, in the directory of the settings; what a peer calls
/// itself leads nowhere else.
#[test]
fn aus_06_a_name_is_made_of_the_moment_and_the_participants() {
    let now = origin();
    for (directory, caller, expected) in [
        (
            "",
            "sip:alice@example.com",
            "19700101-001640-alice@example.com-bob@example.com.wav",
        ),
        (
            "/var/calls/",
            "sip:..%2f..%2fetc@evil.example;x=/y",
            "/var/calls/19700101-001640-.._2f.._2fetc@evil.example-bob@example.com.wav",
        ),
        ("c", "tel:+1-202", "c/19700101-001640-"),
    ] {
        let mut env = env(now, 0, &["PCMU"]);
        let mut settings = MediaSettings::clone(&env.settings);
        settings.recordings_directory = directory.to_owned();
        env.settings = Arc::new(settings);
        env.participants[0] = caller.parse().unwrap();
        let mut stream = AudioFactory::new()
            .create(now, env, &serde_json::Value::Null)
            .unwrap();
        say(&mut stream, now, start(None)).unwrap();
        let name = audio(stream.as_ref()).recording().unwrap().filename;
        assert!(name.starts_with(expected), "{name}");
        let rest = name.strip_prefix(directory).unwrap();
        assert!(!rest.trim_start_matches('/').contains('/'), "{name}");
    }
    let mut stream = AudioFactory::new()
        .create(now, env(now, 0, &["PCMU"]), &serde_json::Value::Null)
        .unwrap();
    for name in [String::new(), "x".repeat(4_097)] {
        let refused = say(&mut stream, now, start(Some(&name)));
        assert_eq!(refused, Err(RecordError::BadFilename));
    }
}

/// AUS-19: a file that cannot be opened is no recording; neither is one that was to stop before it was open.
#[test]
fn aus_19_what_cannot_be_written_is_told() {
    let mut pair = Pair::new(BOTH);
    let now = pair.now;
    let stream = &mut pair.streams[1];
    say(stream, now, start(Some("a.wav"))).unwrap();
    let reason = "no space".to_owned();
    say(stream, now, Record::DidFail { reason }).unwrap();
    assert_eq!(told(stream), ["+ a.wav", "! a.wav no space"]);
    assert!(audio(stream.as_ref()).recording().is_none());
    say(stream, now, start(Some("b.wav"))).unwrap();
    say(stream, now, Record::Stop).unwrap();
    say(stream, now, Record::DidStart).unwrap();
    say(stream, now, Record::DidStop).unwrap();
    assert_eq!(told(stream), ["+ b.wav", "- b.wav", "-- b.wav"]);
}

/// What was recorded of an agent is done again: commands of both kinds are told apart.
#[test]
fn aus_06_a_replay_records_alike() {
    let mut pair = Pair::new(BOTH);
    let now = pair.now;
    let factory = AudioFactory::new();
    for record in [
        start(Some("a.wav")),
        Record::DidStart,
        Record::Stop,
        Record::DidStop,
    ] {
        let value = serde_json::to_value(&record).unwrap();
        let replayed = factory.replay(pair.streams[0].as_mut(), now, value);
        assert_eq!(replayed, Ok(()));
    }
    assert_eq!(
        told(&mut pair.streams[0]),
        ["+ a.wav", "++ a.wav", "- a.wav", "-- a.wav"]
    );
    let digit = serde_json::to_value(SendDtmf::new(Digit::try_from('1').unwrap())).unwrap();
    assert_eq!(factory.replay(pair.streams[0].as_mut(), now, digit), Ok(()));
    let unknown = factory.replay(
        pair.streams[0].as_mut(),
        now,
        serde_json::json!({ "go": 1 }),
    );
    assert_eq!(unknown, Err(crate::stream::BadCommand));
}
