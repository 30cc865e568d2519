//! Calls whose media find their way by ICE, on loopback, where only a hidden option lets them.

use super::{Ended, run, start};
use serde_json::Value;

/// A call with these words on each side: both ended commands.
fn call(ours: &[&str], theirs: &[&str]) -> (Ended, Ended) {
    let answer = ["answer", "--auto", "--count", "1", "--timeout", "20"];
    let mut answer = start(&[&answer, theirs].concat());
    let uri = answer.uri("udp");
    let call = [
        "call",
        &uri,
        "--hangup-after",
        "0.8",
        "--expect-audio",
        "0.2",
    ];
    let call = run(&[&call, ours].concat());
    (call, answer.end())
}

fn named<'a>(ended: &'a Ended, event: &str) -> Vec<&'a Value> {
    let lines = ended.lines.iter().filter(|line| line["event"] == event);
    lines.map(|line| &line["data"]).collect()
}

/// RTP-02, AUS-24, AUS-25: the events, and the last line with the pair that was chosen.
#[test]
fn aus_25_the_last_line_names_the_pair() {
    let words = ["--ice", "--ice-loopback"];
    let (call, answer) = call(&words, &words);
    for ended in [&call, &answer] {
        let last = ended.assert_exit(0);
        let ice = &last["data"]["media"]["ice"];
        assert_eq!(ice["state"], "completed", "{ice}");
        assert_eq!(ice["rtp"]["local_type"], "host", "{ice}");
        assert_eq!(ice["rtp"]["remote_type"], "host", "{ice}");
        // RFC 5761: it shares the port of RTP.
        assert_eq!(ice["rtcp"], Value::Null, "{ice}");
        let states = named(ended, "AudioStreamICENegotiationStateDidChange");
        let last = states.last().map(|data| &data["state"]);
        assert_eq!(last, Some(&Value::from("completed")), "{states:?}");
        let succeeded = named(ended, "AudioStreamICENegotiationDidSucceed");
        assert_eq!(succeeded.len(), 1);
        assert_eq!(succeeded[0]["chosen"].as_array().unwrap().len(), 1);
        // What became of each pair, step by step.
        let checked = ice["checked"].as_array().unwrap();
        let chosen = checked.iter().find(|pair| pair["nominated"] == true);
        let story = chosen.unwrap()["timeline"].as_array().unwrap();
        assert_eq!(story[0]["why"], "paired", "{story:?}");
        assert!(
            story.last().unwrap()["why"]
                .as_str()
                .unwrap()
                .starts_with("chosen")
        );
    }
}

/// RFC 8839, 4.2.5: where one side does without, there is a call all the same.
#[test]
fn without_ice_on_one_side_there_is_a_call() {
    for (ours, theirs) in [
        (&["--ice", "--ice-loopback"][..], &[][..]),
        (&[][..], &["--ice", "--ice-loopback"][..]),
    ] {
        let (call, answer) = call(ours, theirs);
        for ended in [&call, &answer] {
            let ice = &ended.assert_exit(0)["data"]["media"]["ice"];
            assert_ne!(ice["state"], "completed", "{ours:?} {theirs:?}: {ice}");
        }
    }
}

/// BUG-01: a server that nobody has costs time only; without ICE it makes no sense.
#[test]
fn bug_01_a_server_that_is_not_there_does_not_cost_the_call() {
    let words = ["--ice", "--ice-loopback", "--stun", "127.0.0.1:9"];
    let (call, _) = call(&words, &["--ice", "--ice-loopback"]);
    let ice = &call.assert_exit(0)["data"]["media"]["ice"];
    assert_eq!(ice["state"], "completed", "{ice}");
    let ended = run(&["call", "sip:a@127.0.0.1", "--stun", "127.0.0.1"]);
    assert_eq!(ended.exit, 1, "{}", ended.stderr);
}

/// BUG-01: neither does a TURN server; whose answer, or that there was none, stands in the last line.
#[test]
fn bug_01_a_turn_server_that_is_not_there_does_not_cost_the_call() {
    let file = std::env::temp_dir().join(format!("sipsimple-turn-{}", std::process::id()));
    std::fs::write(&file, "zanzibar\n").unwrap();
    let path = file.to_str().unwrap();
    let common = ["--ice", "--ice-loopback"];
    let server = [
        "--turn",
        "turn:127.0.0.1:9?transport=udp",
        "--turn-user",
        "me",
    ];
    let words = [&common[..], &server, &["--turn-password-file", path]].concat();
    let (call, _) = call(&words, &common);
    let ice = &call.assert_exit(0)["data"]["media"]["ice"];
    assert_eq!(ice["state"], "completed", "{ice}");
    for relay in ice["relays"].as_array().unwrap() {
        assert_eq!(relay["server"], server[1], "{ice}");
        assert_eq!(relay["error"], "no answer in time", "{ice}");
    }
    // With nothing else to go by there is no call.
    let hidden = [&["call", "sip:a@127.0.0.1"][..], &words, &["--relay-only"]].concat();
    let ended = run(&hidden);
    assert_ne!(ended.exit, 0);
    assert!(format!("{:?}", ended.lines).contains("no relay gives us an address"));
    std::fs::remove_file(&file).unwrap();
    for words in [
        &["--turn", "turn:127.0.0.1", "--turn-user", "me"][..],
        &["--ice", "--turn", "turn:127.0.0.1"],
        &["--ice", "--turn", "turn:127.0.0.1", "--turn-user", "me"],
        &["--ice", "--turn", "stun:127.0.0.1", "--turn-user", "me"],
        &["--ice", "--relay-only"],
    ] {
        let ended = run(&[&["call", "sip:a@127.0.0.1"], words].concat());
        assert_eq!(ended.exit, 1, "{words:?}: {}", ended.stderr);
    }
}
