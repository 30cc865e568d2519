//! Headers that are copied, honoured, or shown and nothing else (RFC 3261, 8.2.6.1, 20; RFC 3325;
//! RFC 3326).

use crate::wire::{INVITE, Wire, response};
use sip::{Event, InvitationEvent};

#[test]
fn what_a_caller_says_of_itself_is_handed_over_as_it_came() {
    let headers = "\
Alert-Info: <http://203.0.113.9/ring.wav>\r\n\
Call-Info: <http://203.0.113.9/alice/photo.jpg> ;purpose=icon\r\n\
P-Asserted-Identity: \"Cullen Jennings\" <sip:fluffy@cisco.com>\r\n\
Privacy: id;critical\r\n\
Subject: =?utf-8?q?lunch?=\r\n\
X-Bytes: a\u{e9}\tb\r\n\
Max-Forwards";
    let mut wire = Wire::new();
    let anonymous = "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1928301774";
    let invite = INVITE
        .replace("Max-Forwards", headers)
        .replace("Alice <sip:alice@atlanta.com>;tag=1928301774", anonymous);
    wire.datagram(&invite);
    // Nothing is fetched, looked up or believed.
    assert!(wire.opened.is_empty() && wire.sent.is_empty());
    let [Event::Invitation(_, InvitationEvent::Incoming(call)), ..] = &wire.events[..] else {
        panic!("{:?}", wire.events);
    };
    let value = |name: &str| {
        let value = call.headers.get(sip::Name::from(name)).unwrap_or_default();
        String::from_utf8_lossy(value).into_owned()
    };
    assert_eq!(value("alert-info"), "<http://203.0.113.9/ring.wav>");
    assert_eq!(
        value("Call-Info"),
        "<http://203.0.113.9/alice/photo.jpg> ;purpose=icon"
    );
    assert_eq!(
        value("P-Asserted-Identity"),
        "\"Cullen Jennings\" <sip:fluffy@cisco.com>"
    );
    assert_eq!(value("Privacy"), "id;critical");
    assert_eq!(value("x-bytes"), "a\u{e9}\tb");
    assert_eq!(call.from.uri.as_str(), "sip:anonymous@anonymous.invalid");
    assert_eq!(call.peer, wire.peer);
}

#[test]
fn a_refusal_is_handed_over_with_all_that_it_says() {
    let mut wire = Wire::new();
    wire.invite("sip:bob@192.0.2.9:5062", |_| {});
    let invite = wire.one();
    let further = "\
Retry-After: 120 (I'm in a \\( meeting) ;duration=3600\r\n\
Warning: 370 devnull \"Choose a bigger pipe\"\r\n\
Reason: Q.850 ;cause=16 ;text=\"Terminated\"\r\n\
Contact: <sip:carol@chicago.com>\r\n";
    wire.datagram(response(&invite, "486 Busy Here", Some("b"), further));
    let ended = wire.events.iter().find_map(|event| match event {
        Event::Invitation(
            _,
            InvitationEvent::Ended {
                code,
                reason_header,
                headers,
                ..
            },
        ) => Some((*code, reason_header.clone(), headers.clone())),
        _ => None,
    });
    let (code, reason, headers) = ended.expect("the end of the call");
    assert_eq!(code.map(|code| code.code()), Some(486));
    assert_eq!(
        reason.as_deref(),
        Some("Q.850 ;cause=16 ;text=\"Terminated\"")
    );
    let retry = headers
        .typed::<sip::header::RetryAfter<'_>>()
        .unwrap()
        .unwrap();
    assert_eq!((retry.seconds, retry.duration()), (120, Some(3600)));
    let warning = headers
        .typed::<sip::header::Warning<'_>>()
        .unwrap()
        .unwrap();
    assert_eq!(warning.code, 370);
    wire.lines();
    wire.assert_quiet();
}

#[test]
fn a_timestamp_comes_back_in_100_only() {
    let mut wire = Wire::new();
    wire.datagram(INVITE.replace("Max-Forwards", "Timestamp: 54.21 \r\nMax-Forwards"));
    wire.wait(crate::wire::ms(200));
    assert_eq!(wire.one().header("Timestamp"), Some("54.21"));
    wire.ring();
    assert_eq!(wire.one().header("Timestamp"), None);
}
