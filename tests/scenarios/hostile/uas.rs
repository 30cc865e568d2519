//! Answers of a user agent server (RFC 3261, 8.2), and that nothing answers ACK and responses.

use super::established;
use crate::wire::{INVITE, Wire, request, secs};
use sip::{Event, endpoint::Dropped};

#[test]
fn a_caller_who_cannot_read_our_answer_is_told_so() {
    for accept in ["text/html, */plain", "application/sdp;q=0", ""] {
        let mut wire = Wire::new();
        let accept = format!("Accept: {accept}\r\nMax-Forwards");
        wire.datagram(INVITE.replace("Max-Forwards", &accept));
        let answer = wire.one();
        // RFC 4475, 3.3.15
        assert_eq!(answer.line(), "SIP/2.0 406 Not Acceptable");
        assert!(answer.header("Warning").unwrap().starts_with("399 "));
    }
    for accept in ["application/*", "*/*;q=0.1", "text/html, application/SDP"] {
        let mut wire = Wire::new();
        let accept = format!("Accept: {accept}\r\nMax-Forwards");
        wire.datagram(INVITE.replace("Max-Forwards", &accept));
        assert!(wire.call.is_some(), "{accept}");
    }
}

#[test]
fn what_a_dialog_cannot_do_without_is_missed() {
    for (from, to) in [
        ("Contact: <sip:alice@192.0.2.9:5062>\r\n", ""),
        ("<sip:alice@192.0.2.9:5062>", "*"),
        ("<sip:alice@192.0.2.9:5062>", "<tel:+31203120>"),
    ] {
        let mut wire = Wire::new();
        wire.datagram(INVITE.replace(from, to));
        wire.expect(&["SIP/2.0 400 Bad Request"]);
        assert!(wire.call.is_none(), "{to}");
    }
    // Max-Forwards is what everybody can do without.
    let mut wire = Wire::new();
    wire.datagram(INVITE.replace("Max-Forwards: 70\r\n", ""));
    assert!(wire.call.is_some());
}

#[test]
fn require_is_not_looked_at_in_ack_and_cancel() {
    let mut wire = Wire::new();
    wire.datagram(INVITE);
    let cancel = request("CANCEL", "776asdhds", None, 314_159);
    wire.datagram(cancel.replace("Max-Forwards", "Require: foo\r\nMax-Forwards"));
    wire.expect(&["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]);

    let mut wire = Wire::new();
    wire.datagram(INVITE);
    wire.accept();
    let tag = wire.one().to_tag().to_owned();
    let ack = request("ACK", "ack", Some(&tag), 314_159);
    wire.datagram(ack.replace("Max-Forwards", "Require: foo\r\nMax-Forwards"));
    wire.wait(secs(2));
    wire.expect(&[]);
    assert!(wire.told().contains(&"Acknowledged".to_owned()));
}

#[test]
fn nothing_answers_an_ack_or_a_response() {
    let mut wire = Wire::new();
    let ack = request("ACK", "1", Some("unknown"), 1);
    let response = "SIP/2.0 200 OK\r\n\
        Via: SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bKnever\r\n\
        From: <sip:a@192.0.2.4>;tag=1\r\nTo: <sip:b@192.0.2.9>;tag=2\r\n\
        Call-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
    let wrong = [
        ack.clone(),
        ack.replace("sip:bob@192.0.2.4", "foo:bar"),
        ack.replace("Max-Forwards", "Require: foo\r\nMax-Forwards"),
        ack.replace("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"),
        ack.replace("1 ACK", "-1 ACK"),
        ack.replace("1 ACK", "1 INVITE"),
        ack.replace("Content-Length: 0", "Content-Length: 9"),
        ack.replace("<sip:bob@biloxi.com>", "\"<sip:bob@biloxi.com>"),
        response.to_owned(),
        response.replace("Length: 0", "Length: 7"),
        response.replace("SIP/2.0 200", "SIP/3.0 200"),
        response.replace("200 OK", "99999 OK"),
        response.replace("Call-ID: 1\r\n", ""),
    ];
    for message in wrong {
        wire.events.clear();
        wire.datagram(&message);
        wire.expect(&[]);
        let [Event::Dropped { why, .. }] = wire.events[..] else {
            panic!("{message}: {:?}", wire.events);
        };
        let stray = matches!(
            why,
            Dropped::StrayAck | Dropped::StrayResponse | Dropped::Malformed(_)
        );
        assert!(stray, "{message}: {why:?}");
    }
    wire.assert_quiet();
}

#[test]
fn an_unknown_dialog_is_said_to_be_unknown() {
    let (mut wire, tag) = established();
    for method in ["INVITE", "BYE", "OPTIONS"] {
        wire.datagram(request(method, method, Some("unknown"), 2));
        let answer = wire.one();
        assert_eq!(answer.line(), "SIP/2.0 481 Call/Transaction Does Not Exist");
        assert_eq!(answer.to_tag(), "unknown");
    }
    // The right tag of ours and the wrong one of the peer.
    let bye = request("BYE", "other", Some(&tag), 314_160);
    wire.datagram(bye.replace("1928301774", "192830177"));
    wire.expect(&["SIP/2.0 481 Call/Transaction Does Not Exist"]);
    // A BYE without tag belongs to nothing.
    wire.datagram(request("BYE", "untagged", None, 314_160));
    wire.expect(&["SIP/2.0 481 Call/Transaction Does Not Exist"]);
    wire.datagram(request("BYE", "right", Some(&tag), 314_160));
    wire.expect(&["SIP/2.0 200 OK"]);
    wire.assert_quiet();
}

#[test]
fn copies_of_a_request_without_state_get_copies_of_the_answer() {
    let mut wire = Wire::new();
    let ping = request("OPTIONS", "ping", None, 1);
    wire.datagram(&ping);
    let first = wire.one();
    wire.wait(secs(1));
    wire.datagram(&ping);
    assert_eq!(wire.one(), first, "the tag, too (RFC 3261, 8.2.7)");
    assert_eq!(wire.endpoint.stats(), sip::endpoint::Stats::default());
}
