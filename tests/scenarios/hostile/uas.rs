//! Answers of a user agent server (RFC 3261, 8.2), and that nothing answers ACK and responses.

use super::established;
use crate::wire::{INVITE, Wire, request, secs};
use sip::{
    Event, Status,
    endpoint::{Availability, Dropped},
};

#[test]
fn a_merged_request_is_refused_while_the_first_copy_is_ongoing() {
    let mut wire = Wire::new();
    wire.datagram(INVITE);
    let other_way = INVITE.replace("776asdhds", "othercopy");
    wire.datagram(&other_way);
    assert_eq!(wire.one().line(), "SIP/2.0 482 Merged Request");
    // RFC 3261, 8.2.2.2: another number is another request.
    wire.datagram(
        other_way
            .replace("314159", "314160")
            .replace("othercopy", "third"),
    );
    wire.expect(&[]);
    wire.datagram(request("OPTIONS", "ping", None, 314_159));
    wire.expect(&["SIP/2.0 200 OK"]);
}

#[test]
fn a_request_that_passed_us_before_is_a_spiral_and_legal() {
    let mut wire = Wire::new();
    let spiral = "\r\nVia: SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bKours\r\nMax-Forwards: 70";
    wire.datagram(INVITE.replace("\r\nMax-Forwards: 70", spiral));
    assert!(wire.call.is_some());
    wire.expect(&[]);
    wire.wait(secs(1));
    let trying = wire.one();
    let vias = trying.headers("Via");
    assert_eq!(
        vias,
        [
            "SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK776asdhds",
            "SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bKours"
        ]
    );
}

#[test]
fn max_forwards_is_for_proxies() {
    for hops in ["Max-Forwards: 0\r\n", ""] {
        let mut wire = Wire::new();
        wire.datagram(INVITE.replace("Max-Forwards: 70\r\n", hops));
        assert!(wire.call.is_some(), "{hops:?}");
    }
}

#[test]
fn what_is_not_supported_is_refused_by_its_own_status() {
    let refuse = |from: &str, to: &str| {
        let mut wire = Wire::new();
        wire.datagram(INVITE.replacen(from, to, 1));
        assert!(wire.call.is_none(), "{to}");
        wire.one()
    };
    let answer = refuse(
        "Max-Forwards",
        "Require: 100rel\r\nRequire: foo, bar\r\nMax-Forwards",
    );
    assert_eq!(answer.line(), "SIP/2.0 420 Bad Extension");
    assert_eq!(answer.headers("Unsupported"), ["100rel, foo, bar"]);
    let answer = refuse("INVITE sip:bob@192.0.2.4", "INVITE tel:+31203120");
    assert_eq!(answer.line(), "SIP/2.0 416 Unsupported URI Scheme");
    let answer = refuse("application/sdp", "text/plain");
    assert_eq!(answer.line(), "SIP/2.0 415 Unsupported Media Type");
    assert!(
        answer
            .header("Accept")
            .unwrap()
            .starts_with("application/sdp")
    );
    let answer = refuse("Content-Type", "Content-Encoding: gzip\r\nContent-Type");
    assert_eq!(answer.line(), "SIP/2.0 415 Unsupported Media Type");
    assert_eq!(answer.header("Accept-Encoding"), Some("identity"));
    let answer = refuse("SIP/2.0\r\nVia", "SIP/3.0\r\nVia");
    assert_eq!(answer.line(), "SIP/2.0 505 Version Not Supported");
    let answer = refuse("Max-Forwards", "Accept: text/html, */plain\r\nMax-Forwards");
    assert_eq!(answer.line(), "SIP/2.0 406 Not Acceptable");
    assert!(answer.header("Warning").unwrap().starts_with("399 "));
    let answer = refuse("Contact: <sip:alice@192.0.2.9:5062>\r\n", "");
    assert_eq!(answer.line(), "SIP/2.0 400 Bad Request");

    let mut wire = Wire::new();
    for accept in ["application/*", "*/*;q=0.1", "text/html, application/SDP"] {
        let accept = format!("Accept: {accept}\r\nMax-Forwards");
        let again = accept.len().to_string();
        wire.datagram(
            INVITE
                .replace("Max-Forwards", &accept)
                .replace("a84b", &again)
                .replace("776", &again),
        );
        wire.expect(&[]);
    }
    for method in ["SUBSCRIBE", "MESSAGE", "FROBNICATE"] {
        wire.datagram(request(method, method, None, 1));
        let answer = wire.one();
        assert_eq!(answer.line(), "SIP/2.0 405 Method Not Allowed");
        assert_eq!(
            answer.header("Allow"),
            Some("INVITE, ACK, CANCEL, BYE, OPTIONS")
        );
    }
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
fn options_get_what_an_invite_would_get() {
    let mut wire = Wire::new();
    let ping = |user: &str, branch: &str| {
        request("OPTIONS", branch, None, 1)
            .replace("sip:bob@192.0.2.4", user)
            .replace("a84b4c76e66710", branch)
    };
    for user in [
        "sip:192.0.2.4",
        "sip:nobody@192.0.2.4:5060",
        "sip:ping@example.com",
    ] {
        wire.datagram(ping(user, user));
        let answer = wire.one();
        assert_eq!(answer.line(), "SIP/2.0 200 OK");
        for (name, value) in [
            ("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS"),
            ("Accept-Encoding", "identity"),
            ("Content-Length", "0"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{user}");
        }
    }
    wire.endpoint
        .set_availability(Availability::Refusing(Status::BUSY_HERE));
    wire.datagram(ping("sip:192.0.2.4", "busy"));
    wire.expect(&["SIP/2.0 486 Busy Here"]);
    wire.datagram(INVITE);
    wire.expect(&["SIP/2.0 486 Busy Here"]);

    let (mut wire, tag) = established();
    wire.endpoint
        .set_availability(Availability::Refusing(Status::BUSY_HERE));
    wire.datagram(request("OPTIONS", "inside", Some(&tag), 314_160));
    wire.expect(&["SIP/2.0 200 OK"]);
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
