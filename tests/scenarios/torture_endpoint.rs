//! The torture messages of RFC 4475 and RFC 5118 at an endpoint: the exact answer of each, or silence.
//!
//! What a parser makes of them is in `torture`; here a whole user agent server speaks. Each message
//! comes to a fresh endpoint, over the transport that its Via names as far as there is one, and after it
//! an OPTIONS request must be answered.

use crate::{
    torture::messages,
    wire::{Wire, request, secs},
};
use sip::{Event, InvitationEvent, Message};

/// What an endpoint must do with a message.
#[derive(Clone, Copy, Debug)]
enum Expect {
    /// It answers with this status, and these parts stand in the answer.
    Answer(u16, &'static [&'static str]),
    /// A call comes in: 100 after a while, and these things are told.
    Call(fn(&sip::usage::invitation::Incoming) -> bool),
    /// There are two messages, which it answers with these statuses.
    Both(u16, u16),
    /// Nothing is sent.
    Silence,
}

use Expect::{Answer, Both, Call, Silence};

/// No extension, no method beside these.
const ALLOW: &str = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS";
const ACCEPT: &str = "Accept: application/sdp";

/// RFC 4475, section by section.
const RFC_4475: &[(&str, Expect)] = &[
    // 3.1.1.1: in a dialog that does not exist (To has a tag).
    (
        "wsinv",
        Answer(481, &["Via: SIP/2.0/UDP 192.0.2.2;branch=390skdjuw"]),
    ),
    // 3.1.1.2: an unknown method, which comes back in CSeq as it was.
    (
        "intmeth",
        Answer(
            405,
            &[
                ALLOW,
                "CSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~",
            ],
        ),
    ),
    // 3.1.1.3
    (
        "esc01",
        Call(|call| {
            call.request_uri.as_ref().user_text().as_deref() == Some("sips:user@example.com")
        }),
    ),
    // 3.1.1.4
    ("escnull", Answer(405, &[ALLOW])),
    // 3.1.1.5: not REGISTER, and nothing that we know.
    ("esc02", Answer(405, &[ALLOW, "CSeq: 29344 RE%47IST%45R"])),
    // 3.1.1.6
    (
        "lwsdisp",
        Answer(
            200,
            &[ALLOW, "From: caller<sip:caller@example.com>;tag=323"],
        ),
    ),
    // 3.1.1.7
    (
        "longreq",
        Call(|call| {
            call.from
                .uri
                .as_ref()
                .user()
                .is_some_and(|user| user.len() == 5 * 23)
        }),
    ),
    // 3.1.1.8: what follows the end of the message in the datagram is not looked at.
    ("dblreq", Answer(405, &[ALLOW])),
    // 3.1.1.9
    ("semiuri", Answer(200, &[ALLOW])),
    // 3.1.1.10: a Via of an unknown transport further down is only copied.
    (
        "transports",
        Answer(
            200,
            &["Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en"],
        ),
    ),
    // 3.1.1.11: a message outside of sessions.
    ("mpart01", Answer(200, &[])),
    // 3.1.1.12, 3.1.1.13: responses to nothing.
    ("unreason", Silence),
    ("noreason", Silence),
    // 3.1.2: every wrong request is answered, as far as it says whom.
    ("badinv01", Answer(400, &[])),
    ("clerr", Answer(400, &[])),
    ("ncl", Answer(400, &[])),
    ("scalar02", Answer(400, &[])),
    ("scalarlg", Silence),
    ("quotbal", Answer(400, &[])),
    ("ltgtruri", Answer(400, &[])),
    ("lwsruri", Answer(400, &[])),
    ("lwsstart", Answer(400, &[])),
    ("trws", Answer(400, &[])),
    ("escruri", Answer(400, &[])),
    ("baddate", Answer(400, &[])),
    ("regbadct", Answer(400, &[])),
    ("badaspec", Answer(400, &[])),
    ("baddn", Answer(400, &[])),
    ("badvers", Answer(505, &[])),
    ("mismatch01", Answer(400, &[])),
    ("mismatch02", Answer(400, &[])),
    ("bigcode", Silence),
    // 3.2.1: a branch that is nothing but the cookie is RFC 2543's.
    ("badbranch", Answer(200, &[])),
    // 3.3.1: what is missing in the request is missing in the answer.
    ("insuf", Answer(400, &["CSeq: 193942 INVITE"])),
    ("unkscm", Answer(416, &[])),
    ("novelsc", Answer(416, &[])),
    ("unksm2", Answer(405, &[])),
    (
        "bext01",
        Answer(
            420,
            &["Unsupported: nothingSupportsThis, nothingSupportsThisEither"],
        ),
    ),
    ("invut", Answer(415, &[ACCEPT, "Accept-Encoding: identity"])),
    ("regaut01", Answer(405, &[ALLOW])),
    ("multi01", Answer(400, &[])),
    ("mcl01", Answer(400, &[])),
    ("bcast", Silence),
    // 3.3.11: a user agent server does not look at Max-Forwards.
    ("zeromf", Answer(200, &[])),
    ("cparam01", Answer(405, &[ALLOW])),
    ("cparam02", Answer(405, &[ALLOW])),
    ("regescrt", Answer(405, &[ALLOW])),
    // 3.3.15: the caller could not read our answer.
    ("sdp01", Answer(406, &["Warning: 399 "])),
    // 3.4.1: no tags, no branch, no Content-Length.
    (
        "inv2543",
        Call(|call| {
            call.offer
                .as_ref()
                .is_some_and(|offer| offer.body.starts_with(b"v=0"))
        }),
    ),
    ("test", Silence),
];

/// RFC 5118, section by section.
const RFC_5118: &[(&str, Expect)] = &[
    (
        "ipv6-good",
        Answer(
            405,
            &["Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111"],
        ),
    ),
    ("ipv6-bad", Answer(400, &[])),
    ("port-ambiguous", Answer(405, &[])),
    ("port-unambiguous", Answer(405, &[])),
    // A `received` that the peer wrote itself is not believed.
    (
        "via-received-param-with-delim",
        Answer(481, &["received=192.0.2.9"]),
    ),
    (
        "via-received-param-no-delim",
        Answer(200, &["received=192.0.2.9"]),
    ),
    // The RFC's own slip: it says 268 and prints 251 bytes. RFC 3261, 18.3 decides.
    ("ipv6-in-sdp", Answer(400, &[])),
    (
        "mult-ip-in-header",
        Answer(
            481,
            &["Via: SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200"],
        ),
    ),
    (
        "mult-ip-in-sdp",
        Call(|call| {
            call.offer
                .as_ref()
                .is_some_and(|offer| offer.body.len() == 181)
        }),
    ),
    ("ipv4-mapped-ipv6", Call(|call| call.offer.is_some())),
    ("ipv6-bug-abnf-3-colons", Answer(200, &[])),
    ("ipv6-correct-abnf-2-colons", Answer(200, &[])),
];

/// How a message that comes over a stream fares otherwise than in a datagram (RFC 3261, 18.3).
const STREAM: &[(&str, Expect)] = &[
    // Longer than what came: the rest may be on its way.
    ("clerr", Silence),
    ("ipv6-in-sdp", Silence),
    // In the archive it lacks its empty line.
    ("baddn", Silence),
    // 3.1.1.8: there is a second message, an INVITE without Contact.
    ("dblreq", Both(405, 400)),
    // No Content-Length.
    ("inv2543", Answer(400, &[])),
];

/// What came of a message: the status of the answers in their order, and the calls.
fn check(name: &str, wire: &mut Wire, expect: Expect) {
    let events = std::mem::take(&mut wire.events);
    let calls: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Invitation(_, InvitationEvent::Incoming(call)) => Some(call),
            _ => None,
        })
        .collect();
    match expect {
        Answer(status, parts) => {
            let sent = wire.one();
            assert!(
                sent.line().starts_with(&format!("SIP/2.0 {status} ")),
                "{name}: {sent:?}"
            );
            for part in parts {
                assert!(
                    sent.text.contains(part),
                    "{name}: no {part} in {}",
                    sent.text
                );
            }
            assert!(calls.is_empty(), "{name}");
            let parsed = Message::parse(sent.text.into());
            // What was missing in the request is missing in its answer.
            assert!(parsed.is_ok() || status == 400, "{name}: {parsed:?}");
        }
        Call(holds) => {
            assert!(calls.len() == 1 && holds(calls[0]), "{name}: {calls:#?}");
            wire.expect(&[]);
            wire.wait(secs(1));
            wire.expect(&["SIP/2.0 100 Trying"]);
        }
        Both(first, second) => {
            let codes = wire
                .lines()
                .into_iter()
                .map(|line| line[8..11].parse().unwrap());
            assert_eq!(codes.collect::<Vec<u16>>(), [first, second], "{name}");
        }
        Silence => {
            wire.expect(&[]);
            assert!(calls.is_empty(), "{name}");
        }
    }
}

fn run(rfc: &str, table: &[(&str, Expect)]) {
    let messages = messages(rfc);
    for (name, bytes) in &messages {
        let (_, expect) = table.iter().find(|(known, _)| known == name).expect(name);
        println!("{name} in a datagram");
        let mut wire = Wire::new();
        wire.datagram(bytes);
        check(name, &mut wire, *expect);
        wire.datagram(request("OPTIONS", "after", None, 1).replace("a84b4c76e66710", "after"));
        assert_eq!(wire.one().line(), "SIP/2.0 200 OK", "{name}");

        println!("{name} over a connection");
        let other = STREAM.iter().find(|(known, _)| known == name);
        let expect = other.map_or(*expect, |(_, expect)| *expect);
        let mut wire = Wire::new();
        let flow = wire.connection("192.0.2.9:40000");
        wire.bytes(flow, bytes);
        check(name, &mut wire, expect);
    }
    println!("{rfc}: {} of {} messages", messages.len(), table.len());
}

#[test]
fn rfc_4475() {
    run("rfc4475", RFC_4475);
}

#[test]
fn rfc_5118() {
    run("rfc5118", RFC_5118);
}
