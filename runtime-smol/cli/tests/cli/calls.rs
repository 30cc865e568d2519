//! `answer` and `call`, two processes.

use super::{Ended, Place, run, start};
use serde_json::Value;
use std::fs;

#[test]
fn a_call_over_udp_is_recorded_and_replayed() {
    let place = Place::new("udp");
    let (recording, heard) = (place.file("run.rec"), place.file("heard.wav"));
    let mut answer = start(&["answer", "--auto", "--count", "1", "--settle", "1"]);
    let uri = answer.uri("udp");
    let call = run(&[
        "call",
        &uri,
        "--hangup-after",
        "1",
        "--expect-audio",
        "0.3",
        "--dtmf",
        "1#",
        "--trace",
        "--record-run",
        &recording,
        "--record",
        &heard,
    ]);
    let answer = answer.end();
    let last = call.assert_exit(0);
    assert_eq!(
        call.session_events(),
        [
            "SIPSessionNewOutgoing",
            "SIPSessionWillStart",
            "SIPSessionDidStart",
            "SIPSessionWillEnd",
            "SIPSessionDidEnd"
        ]
    );
    media(&last["data"]["media"]);
    let last = answer.assert_exit(0);
    assert_eq!(
        answer.session_events(),
        [
            "SIPSessionNewIncoming",
            "SIPSessionWillStart",
            "SIPSessionDidStart",
            "SIPSessionWillEnd",
            "SIPSessionDidEnd"
        ]
    );
    assert_eq!(
        (&last["data"]["calls"], &last["data"]["failed"]),
        (&1.into(), &0.into())
    );
    media(&last["data"]["media"]);
    let digits = answer
        .lines
        .iter()
        .filter(|line| line["event"] == "AudioStreamGotDTMF");
    let digits: String = digits
        .map(|line| line["data"]["digit"].as_str().unwrap())
        .collect();
    assert_eq!(digits, "1#");
    // Whose event it is.
    let started = call
        .lines
        .iter()
        .find(|line| line["event"] == "SIPSessionDidStart");
    let sender = started.unwrap()["sender"].as_str().unwrap();
    assert!(sender.starts_with("session:"), "{sender}");
    // The trace is on stderr, both ways.
    assert!(call.stderr.contains("INVITE sip:me@") && call.stderr.contains("SIP/2.0 200 OK"));
    assert!(answer.stderr.is_empty(), "{}", answer.stderr);
    assert!(fs::metadata(&heard).unwrap().len() > 8_000);
    // AUS-18 … AUS-21: the file's whole life is told.
    let told = call.lines.iter().filter_map(|line| {
        let name = line["event"].as_str()?.strip_prefix("AudioStream")?;
        let what = name.strip_suffix("RecordingAudio")?;
        assert_eq!(line["data"]["filename"], heard.as_str());
        Some(what)
    });
    let told: Vec<&str> = told.collect();
    assert_eq!(told, ["WillStart", "DidStart", "WillStop", "DidStop"]);
    replays(&place, &recording);
}

/// While a call stands both ends tell every 5 s what its media are like.
#[test]
fn a_call_that_stands_tells_of_its_media() {
    let mut answer = start(&["answer", "--auto", "--count", "1", "--timeout", "30"]);
    let uri = answer.uri("udp");
    let call = run(&["call", &uri, "--hangup-after", "6"]);
    for ended in [call, answer.end()] {
        ended.assert_exit(0);
        let is_it = |line: &&Value| line["event"] == "media";
        let told: Vec<&Value> = ended.lines.iter().filter(is_it).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0]["sender"].as_str().unwrap().starts_with("stream:"));
        let data = &told[0]["data"];
        assert_eq!(data["codec"], "PCMU");
        assert!(data["packets_received"].as_u64().unwrap() > 100, "{data}");
    }
}

/// The recording says the same again, in another process; with one byte changed it does not.
fn replays(place: &Place, recording: &str) {
    let same = run(&["replay", recording]);
    let data = &same.assert_exit(0)["data"];
    assert!(
        data["inputs"].as_u64() > Some(10) && data["outputs"].as_u64() > Some(10),
        "{data}"
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(recording).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "a recording is a secret");
    }
    let mut bytes = fs::read(recording).unwrap();
    let place_of = |text: &[u8]| bytes.windows(text.len()).position(|part| part == text);
    let event = place_of(b"SIPSessionDidStart").expect("an event is recorded");
    bytes[event] = b'X';
    let changed = place.file("changed.rec");
    fs::write(&changed, bytes).unwrap();
    let different = run(&["replay", &changed]);
    let reason = different.assert_exit(9)["reason"].as_str().unwrap();
    assert!(
        reason.contains("recorded: ") && reason.contains("XIPSessionDidStart"),
        "{reason}"
    );
    fs::write(&changed, "no recording\n").unwrap();
    run(&["replay", &changed]).assert_exit(2);
}

/// INV-07: the caller hears the callee before it takes the call, and also if it refuses it then.
#[test]
fn inv_07_a_callee_is_heard_before_it_takes_or_refuses_the_call() {
    for decision in ["--auto", "--reject=486"] {
        let mut answer = start(&[
            "answer",
            decision,
            "--early-media",
            "--ring",
            "2",
            "--count",
            "1",
        ]);
        let call = run(&["call", &answer.uri("udp"), "--hangup-after", "1", "--trace"]);
        let exit = if decision == "--auto" { 0 } else { 7 };
        let media = &call.assert_exit(exit)["data"]["media"];
        answer.end().assert_exit(0);
        let early = media["early_audible_s"].as_f64();
        assert!(early >= Some(0.5), "{decision}: {media}");
        assert!(call.stderr.contains("SIP/2.0 183 ") && call.stderr.contains("PRACK sip:"));
    }
}

/// XFR-01, SES-35, SES-36: one is called, and sent on to another by the one who called.
#[test]
fn xfr_01_a_call_is_transferred() {
    let mut carol = start(&["answer", "--auto", "--count", "1", "--hangup-after", "0.5"]);
    let mut bob = start(&["answer", "--auto", "--count", "2", "--accept-transfers"]);
    let (to_bob, to_carol) = (bob.uri("udp"), carol.uri("udp"));
    let alice = run(&["call", &to_bob, "--transfer", &to_carol, "--timeout", "20"]);
    alice.assert_exit(0);
    let events = alice.session_events();
    let transfer: Vec<_> = events
        .iter()
        .filter_map(|name| name.strip_prefix("SIPSessionTransfer"))
        .filter(|name| *name != "GotProgress")
        .collect();
    assert_eq!(transfer, ["NewOutgoing", "DidStart", "DidEnd"]);
    let bob = bob.end();
    assert_eq!(bob.assert_exit(0)["data"]["calls"], 2);
    let events = bob.session_events();
    let transfer = events
        .iter()
        .filter_map(|name| name.strip_prefix("SIPSessionTransfer"));
    let transfer: Vec<_> = transfer.collect();
    assert_eq!(transfer, ["NewIncoming", "DidStart", "DidEnd"]);
    carol.end().assert_exit(0);
}

/// XFR-09: who does not accept transfers declines them, and the exit of the caller says so.
#[test]
fn xfr_09_a_transfer_is_declined() {
    let mut bob = start(&["answer", "--auto", "--count", "1"]);
    let uri = bob.uri("udp");
    let alice = run(&["call", &uri, "--transfer", "sip:carol@192.0.2.1"]);
    let reason = alice.assert_exit(7)["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("486"), "{reason}");
    bob.end().assert_exit(0);
    run(&["call", &uri, "--transfer", "not a uri"]).assert_exit(1);
}

/// Hung up from the other side, on the other runtime, over the other transport.
#[test]
fn a_call_over_tcp_is_ended_by_the_one_who_answers() {
    let mut answer = start(&[
        "answer",
        "--auto",
        "--count",
        "1",
        "--hangup-after",
        "0.7",
        "--runtime",
        "std",
        "--no-udp",
        "--hold-after",
        "0.2",
        "--unhold-after",
        "0.4",
    ]);
    let uri = answer.uri("tcp");
    let call = run(&["call", &uri, "--echo"]);
    answer.end().assert_exit(0);
    call.assert_exit(0);
    let holds = call
        .lines
        .iter()
        .filter(|line| line["event"] == "SIPSessionDidChangeHoldState");
    let holds: Vec<bool> = holds
        .map(|line| line["data"]["on_hold"].as_bool().unwrap())
        .collect();
    assert_eq!(holds, [true, false]);
    let ended = call
        .lines
        .iter()
        .find(|line| line["event"] == "SIPSessionDidEnd");
    assert_eq!(ended.unwrap()["data"]["originator"], "remote");
}

#[test]
fn options_are_answered_over_both_transports() {
    let mut answer = start(&["answer", "--count", "1", "--account", "me@example.com"]);
    let data = answer.line().unwrap()["data"].clone();
    for (transport, runtime) in [("udp", "smol"), ("tcp", "std")] {
        let address = data[transport].as_str().unwrap();
        let uri = format!("sip:{address};transport={transport}");
        let options = run(&["options", &uri, "--runtime", runtime]);
        let last = options.assert_exit(0);
        assert_eq!(
            (&last["data"]["sent"], &last["data"]["answered"]),
            (&1.into(), &1.into())
        );
        assert!(last["data"]["mean_ms"].as_f64() > Some(0.0), "{last}");
    }
    answer.interrupt();
    let answer = answer.end();
    let data = &answer.assert_exit(130)["data"];
    assert_eq!(data["calls"], 0);
    assert_eq!(data["stats"]["sessions"], 0, "{data}");
}

/// Ctrl-C hangs up first, on both sides of a call.
#[test]
fn an_interruption_ends_calls_properly() {
    for interrupts_caller in [true, false] {
        let mut answer = start(&["answer", "--auto", "--count", "1"]);
        let uri = answer.uri("udp");
        let mut call = start(&["call", &uri]);
        call.until("SIPSessionDidStart");
        answer.until("SIPSessionDidStart");
        match interrupts_caller {
            true => call.interrupt(),
            false => answer.interrupt(),
        }
        let exits = [call.end(), answer.end()].map(|ended: Ended| {
            ended.last();
            assert_eq!(ended.session_events().last(), Some(&"SIPSessionDidEnd"));
            ended.exit
        });
        let expected = if interrupts_caller {
            [130, 0]
        } else {
            [0, 130]
        };
        assert_eq!(exits, expected);
    }
}

/// What the last line says of media.
fn media(media: &Value) {
    assert_eq!(media["sample_rate"], 8_000, "{media}");
    assert!(["PCMU", "PCMA"].contains(&media["codec"].as_str().unwrap()));
    for counter in [
        "packets_sent",
        "bytes_sent",
        "packets_received",
        "bytes_received",
    ] {
        assert!(media[counter].as_u64() > Some(10), "{counter}: {media}");
    }
    for number in ["lost", "jitter_ms", "received_rms", "received_dominant_hz"] {
        assert!(media[number].is_number(), "{number}: {media}");
    }
    // The tone of the other side.
    let hertz = media["received_dominant_hz"].as_f64().unwrap();
    assert!((430.0..450.0).contains(&hertz), "{media}");
    assert_eq!(
        (&media["srtp"], &media["ice"]),
        (&true.into(), &false.into())
    );
    assert!(media.get("rtt_ms").is_some());
}

#[test]
fn many_calls_are_reported_together() {
    let mut answer = start(&["answer", "--auto", "--count", "6", "--settle", "1"]);
    let uri = answer.uri("tcp");
    let call = run(&[
        "call",
        &uri,
        "--calls",
        "6",
        "--at-once",
        "2",
        "--rate",
        "50",
        "--hangup-after",
        "0.2",
        "--settle",
        "1",
    ]);
    let last = call.assert_exit(0);
    assert_eq!(
        (&last["data"]["calls"], &last["data"]["failed"]),
        (&6.into(), &0.into())
    );
    assert_eq!(last["data"]["stats"]["sessions"], 0);
    // Never more than two at the same time.
    let (mut alive, mut most) = (0, 0);
    for name in call.session_events() {
        match name {
            "SIPSessionNewOutgoing" => alive += 1,
            "SIPSessionDidEnd" => alive -= 1,
            _ => {}
        }
        most = most.max(alive);
    }
    assert_eq!((alive, most), (0, 2));
    let answer = answer.end();
    assert_eq!(answer.assert_exit(0)["data"]["calls"], 6);

    let failed = run(&[
        "call",
        "sip:nobody@127.0.0.1:9;transport=tcp",
        "--calls",
        "3",
    ]);
    let last = failed.assert_exit(7);
    assert_eq!(last["data"]["failed"], 3, "{last}");
    assert_eq!(run(&["call", &uri, "--at-once", "2"]).exit, 1);
}
