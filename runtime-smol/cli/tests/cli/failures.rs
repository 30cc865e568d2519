//! What goes wrong, and the exit code that says so.

use super::{Place, peer::Peer, run, spawn, start};
use std::{
    net::{TcpListener, TcpStream, UdpSocket},
    process::Command,
};

#[test]
fn usage_is_1() {
    for arguments in [
        &["call"][..],
        &["answer", "--frobnicate"],
        &["answer", "--timers", "T3=1"],
        &["nothing"],
    ] {
        let ended = run(arguments);
        assert_eq!(ended.exit, 1, "{arguments:?}");
        assert!(!ended.stderr.is_empty());
    }
    for arguments in [
        &["call", "sip:"][..],
        &["call", "sip:a@127.0.0.1", "--codecs", "opium"],
        &["call", "sip:a@127.0.0.1", "--dtmf", "12x"],
        &["options", "no uri at all"],
    ] {
        run(arguments).assert_exit(1);
    }
    let mut version = Command::new(env!("CARGO_BIN_EXE_sipsimple"));
    assert!(version.arg("--version").output().unwrap().status.success());
}

#[test]
fn configuration_and_files_are_2() {
    run(&["call", "sip:a@127.0.0.1", "--play", "/nonexistent.wav"]).assert_exit(2);
    run(&["replay", "/nonexistent.rec"]).assert_exit(2);
    run(&["answer", "--record-run", "/nonexistent/run.rec"]).assert_exit(2);
    run(&["answer", "--pcap", "/nonexistent/run.pcapng"]).assert_exit(2);
    let account = [
        "--account",
        "a@b.example",
        "--password-file",
        "/nonexistent",
    ];
    run(&[&["options", "sip:a@127.0.0.1"][..], &account].concat()).assert_exit(2);
    let place = Place::new("no-password");
    let file = place.file("password");
    for text in ["", "\nsecret\n"] {
        std::fs::write(&file, text).unwrap();
        let account = ["--account", "a@b.example", "--password-file", &file];
        let options = run(&[&["options", "sip:a@127.0.0.1"][..], &account].concat());
        let last = options.assert_exit(2);
        let reason = last["reason"].as_str().unwrap();
        assert!(
            reason.ends_with("its first line is no password"),
            "{reason}"
        );
    }
}

#[test]
fn names_are_3_and_transports_4() {
    run(&["call", "sip:a@nobody.invalid"]).assert_exit(3);
    run(&["options", "sip:nobody.invalid"]).assert_exit(3);
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let uri = format!("sip:a@{nobody};transport=tcp");
    run(&["call", &uri]).assert_exit(4);
    run(&["options", &uri, "--runtime", "std"]).assert_exit(4);
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    run(&["answer", "--no-tcp", "--udp-port", &port]).assert_exit(4);
}

#[test]
fn a_silent_peer_is_5() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let uri = format!("sip:a@{}", silent.local_addr().unwrap());
    // 64 times T1.
    run(&["call", &uri, "--timers", "T1=10"]).assert_exit(5);
    run(&["options", &uri, "--timers", "T1=10"]).assert_exit(5);
    run(&["answer", "--timeout", "0.1"]).assert_exit(5);
    let mut answer = start(&["answer"]);
    let ringing = answer.uri("udp");
    let call = run(&["call", &ringing, "--timeout", "0.5"]);
    call.assert_exit(5);
    // The call was cancelled on the way out.
    let failed = answer.until("SIPSessionDidFail");
    assert_eq!(failed["code"], 487, "{failed}");
}

#[test]
fn challenges_are_met_or_are_6() {
    const CHALLENGE: &str =
        "WWW-Authenticate: Digest realm=\"here\", nonce=\"n1\", algorithm=MD5\r\n";
    let peer = Peer::start(|_| ("401 Unauthorized", CHALLENGE));
    run(&["call", &peer.uri()]).assert_exit(6);
    // With the right password the call goes on, and is refused for another reason.
    let peer = Peer::start(|request| match request.contains("\r\nAuthorization: ") {
        true => ("603 Decline", ""),
        false => ("401 Unauthorized", CHALLENGE),
    });
    let place = Place::new("password");
    let file = place.file("password");
    std::fs::write(&file, "open sesame\n").unwrap();
    let account = [
        "--account",
        "alice@example.com",
        "--password-file",
        &file,
        "--auth-realm",
        "here",
    ];
    let uri = peer.uri();
    let call = run(&[&["call", &uri, "--trace"][..], &account].concat());
    let last = call.assert_exit(7);
    assert!(
        last["reason"].as_str().unwrap().starts_with("603 "),
        "{last}"
    );
    let requests = peer.requests();
    let authorised = requests.iter().find_map(|request| {
        let (_, rest) = request.split_once("response=\"")?;
        rest.split_once('"')
            .map(|(response, _)| response.to_owned())
    });
    let response = authorised.expect("a digest");
    assert_eq!(response.len(), 32);
    // What is sent is not shown.
    assert!(
        call.stderr
            .contains("Authorization: Digest username=\"alice\""),
        "{}",
        call.stderr
    );
    assert!(call.stderr.contains("response=***"));
    for secret in [response.as_str(), "sesame"] {
        assert!(!call.stderr.contains(secret), "{secret} is shown");
    }
}

#[test]
fn a_refusal_is_7_and_too_little_sound_8() {
    let mut answer = start(&["answer", "--reject", "486", "--count", "1"]);
    let uri = answer.uri("udp");
    let call = run(&["call", &uri]);
    let last = call.assert_exit(7);
    assert!(
        last["reason"].as_str().unwrap().starts_with("486 "),
        "{last}"
    );
    assert_eq!(answer.end().assert_exit(0)["data"]["failed"], 1);
    let mut answer = start(&["answer", "--auto", "--count", "1"]);
    let uri = answer.uri("udp");
    run(&[
        "call",
        &uri,
        "--hangup-after",
        "0.3",
        "--expect-audio",
        "30",
    ])
    .assert_exit(8);
    answer.end().assert_exit(0);
}

/// Who waits for calls says by the exit, too, that one stood and broke: its caller is gone, and refreshes no session.
#[test]
fn a_call_that_breaks_is_5_for_who_answers() {
    let mut answer = start(&["answer", "--auto", "--count", "1", "--min-se", "2"]);
    let uri = answer.uri("udp");
    let timer = ["--session-expires", "4", "--min-se", "2"];
    let mut call = start(&[&["call", &uri][..], &timer].concat());
    call.until("SIPSessionDidStart");
    answer.until("SIPSessionDidStart");
    drop(call);
    let answer = answer.end();
    let last = answer.assert_exit(5);
    assert_eq!(last["reason"], "session expired");
    assert_eq!(
        (&last["data"]["calls"], &last["data"]["failed"]),
        (&1.into(), &1.into())
    );
}

/// More connections than there are file descriptors: those that fit are served, and when they are
/// gone, calls are. An edge-triggered listener that gave up would never hear of the next connection.
#[test]
fn a_flood_of_connections_does_not_stop_the_listener() {
    for runtime in ["smol", "std"] {
        let binary = env!("CARGO_BIN_EXE_sipsimple");
        let script = format!(
            "ulimit -n 40 && exec {binary} answer --auto --count 1 --json --bind 127.0.0.1 \
             --runtime {runtime} --hangup-after 0.1"
        );
        let mut answer = spawn(Command::new("sh").args(["-c", &script]));
        let line = answer.line().expect("a first line").clone();
        let address = line["data"]["tcp"].as_str().unwrap().to_owned();
        let flood: Vec<TcpStream> = (0..80)
            .map(|_| TcpStream::connect(&address).unwrap())
            .collect();
        drop(flood);
        let uri = format!("sip:me@{address};transport=tcp");
        run(&["call", &uri]).assert_exit(0);
        answer.end().assert_exit(0);
    }
}
