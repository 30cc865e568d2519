//! What a call can do besides: redirections, reliable provisional responses, digits in INFO.

use super::{Ended, peer::Peer, run, start};

/// A peer that says once that the callee is elsewhere.
fn moved(to: &str) -> Peer {
    let contact = format!("Contact: \"Somebody else\" <{to}>;q=0.7\r\n");
    let contact: &'static str = contact.leak();
    Peer::start(move |_| ("302 Moved Temporarily", contact))
}

#[test]
fn redirections_are_followed_only_when_that_is_wanted() {
    let mut answer = start(&["answer", "--auto", "--count", "1"]);
    let uri = answer.uri("udp");
    let call = run(&["call", &moved(&uri).uri()]);
    let last = call.assert_exit(7);
    assert!(
        last["reason"].as_str().unwrap().starts_with("302 "),
        "{last}"
    );
    let told = |ended: &Ended| {
        let mut lines = ended.lines.iter();
        let line = lines.find(|line| line["event"] == "SIPSessionGotRedirect");
        line.unwrap()["data"].clone()
    };
    let redirect = told(&call);
    assert_eq!(redirect["code"], 302, "{redirect}");
    assert_eq!(redirect["targets"][0]["uri"], uri.as_str(), "{redirect}");
    let peer = moved(&uri);
    let call = run(&[
        "call",
        &peer.uri(),
        "--follow-redirects",
        "--hangup-after",
        "0.2",
    ]);
    call.assert_exit(0);
    assert_eq!(told(&call)["code"], 302);
    answer.end().assert_exit(0);
    let requests = peer.requests();
    assert!(requests[0].starts_with("INVITE "), "{requests:#?}");
}

#[test]
fn reliable_responses_are_asked_for_and_acknowledged() {
    for (how, is_acknowledged) in [("required", true), ("supported", false), ("off", false)] {
        let mut answer = start(&["answer", "--auto", "--count", "1", "--ring", "0.5"]);
        let uri = answer.uri("udp");
        let call = run(&[
            "call",
            &uri,
            "--100rel",
            how,
            "--trace",
            "--hangup-after",
            "0.1",
        ]);
        call.assert_exit(0);
        answer.end().assert_exit(0);
        // Ringing alone is reliable for who insists, and for nobody else.
        let trace = &call.stderr;
        assert_eq!(
            trace.contains("PRACK sip:"),
            is_acknowledged,
            "{how}: {trace}"
        );
        assert_eq!(trace.contains("RAck: "), is_acknowledged, "{how}");
        assert_eq!(trace.contains("Require: 100rel"), is_acknowledged, "{how}");
        // What the other side can do is its own to say.
        let invite = trace.split("INVITE sip:").nth(1);
        let invite = invite.and_then(|rest| rest.split("Content-Length").next());
        assert_eq!(invite.unwrap().contains("100rel"), how != "off", "{how}");
    }
}

#[test]
fn who_insists_on_reliable_responses_in_vain_is_told_so() {
    let mut answer = start(&["answer", "--auto", "--count", "1", "--100rel", "off"]);
    let uri = answer.uri("udp");
    let refused = run(&["call", &uri, "--100rel", "required"]);
    let last = refused.assert_exit(7);
    assert!(
        last["reason"].as_str().unwrap().starts_with("420 "),
        "{last}"
    );
    run(&["call", &uri, "--hangup-after", "0.1"]).assert_exit(0);
    answer.end().assert_exit(0);
}

#[test]
fn digits_go_by_info_when_that_is_wanted() {
    let mut answer = start(&["answer", "--auto", "--count", "1"]);
    let uri = answer.uri("udp");
    let call = run(&[
        "call",
        &uri,
        "--dtmf",
        "1#",
        "--dtmf-mode",
        "info",
        "--hangup-after",
        "1",
        "--trace",
    ]);
    call.assert_exit(0);
    let answer = answer.end();
    answer.assert_exit(0);
    let bodies = call.stderr.matches("Content-Type: application/dtmf-relay");
    assert_eq!(bodies.count(), 2, "{}", call.stderr);
    for signal in ["Signal=1", "Signal=#"] {
        assert!(call.stderr.contains(signal), "{signal}: {}", call.stderr);
    }
    let heard = answer.lines.iter();
    let digits: String = heard
        .filter(|line| line["event"] == "AudioStreamGotDTMF")
        .map(|line| line["data"]["digit"].as_str().unwrap())
        .collect();
    assert_eq!(digits, "1#");
}
