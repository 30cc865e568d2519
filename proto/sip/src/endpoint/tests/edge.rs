//! The edge: noise, malformed messages, targets that fail, connections that break, limits.

use super::*;
use crate::{
    HeaderName, Headers, Method, Status,
    usage::{
        invitation::EndCause,
        options::{Options, OptionsEvent},
    },
};

#[test]
fn debug_shows_no_key() {
    let endpoint = Wire::new().endpoint;
    let mut key = [0_u8; 16];
    Rng::from_seed([1; 32]).fill(&mut key);
    let shown = format!("{endpoint:?}");
    assert!(!shown.contains(&format!("{key:?}")), "{shown}");
}

#[test]
fn noise_is_counted_and_nothing_else() {
    let mut wire = Wire::new();
    let stun = [
        0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    for noise in [
        &b""[..],
        b"\r\n\r\n",
        b"\0\0\0\0",
        &stun,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ] {
        wire.receive_bytes(noise.to_vec());
    }
    assert_eq!(
        (
            wire.endpoint.counters().noise,
            wire.sent.len(),
            wire.events.len()
        ),
        (5, 0, 0)
    );
    for junk in [
        &b"hello"[..],
        b"\xff\xfe\xfd",
        b"SIP/2.0\r\n\r\n",
        b"INVITE\r\n\r\n",
    ] {
        wire.receive_bytes(junk.to_vec());
    }
    assert_eq!(
        (wire.sent.len(), wire.endpoint.stats()),
        (0, Stats::default())
    );
}

/// RFC 3261, 8.2.2.1 and 11.2; SMG-05: who is not here is not found, whatever is asked of him.
#[test]
fn smg_05_requests_to_users_who_are_not_here_are_404() {
    let mut wire = Wire::new();
    wire.endpoint
        .set_users(Some(["b b".to_owned()].into_iter().collect()));
    let mut number = 0;
    let mut ask = |wire: &mut Wire, method: &str, uri: &str, tag: &str| {
        number += 1;
        wire.receive(&format!(
            "{method} {uri} SIP/2.0\n\
             Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKu{number}\n\
             From: <sip:a@192.0.2.2>;tag=a\n\
             To: <sip:b@192.0.2.1>{tag}\n\
             Call-ID: u{number}@192.0.2.2\n\
             CSeq: 1 {method}\n\
             Max-Forwards: 70\n\
             Content-Length: 0\n\n"
        ));
        wire.response().status.code()
    };
    assert_eq!(ask(&mut wire, "OPTIONS", "sip:b%20b@192.0.2.1", ""), 200);
    assert_eq!(ask(&mut wire, "OPTIONS", "sip:192.0.2.1", ""), 200);
    for method in ["OPTIONS", "INVITE", "MESSAGE", "SUBSCRIBE", "REFER"] {
        assert_eq!(ask(&mut wire, method, "sip:carol@192.0.2.1", ""), 404);
    }
    // Dialogs are known by their tags.
    assert_eq!(ask(&mut wire, "BYE", "sip:carol@192.0.2.1", ";tag=b"), 481);
    wire.endpoint.set_users(None);
    assert_eq!(ask(&mut wire, "OPTIONS", "sip:carol@192.0.2.1", ""), 200);
}

#[test]
fn malformed_requests_are_answered_where_it_says_to_whom() {
    let mut wire = Wire::new();
    wire.receive(
        "OPTIONS sip:user@example.com SIP/2.0
        To: sip:j.user@example.com
        From: sip:caller@example.net;tag=93942939o2
        Max-Forwards: 254
        Call-ID: ncl.0ha0isndaksdj2193423r542w35
        CSeq: 0 NOPE
        Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bKkdjuw
        Content-Length: 0",
    );
    let response = wire.response();
    assert_eq!(response.status, Status::BAD_REQUEST);
    let via = response.headers.get(HeaderName::Via).unwrap();
    assert!(
        via.ends_with(b";received=192.0.2.9"),
        "{}",
        String::from_utf8_lossy(via)
    );
    assert!(response.headers.to().unwrap().tag().is_some());
    assert_eq!(wire.events.len(), 1);
}

#[test]
fn answers_without_state_are_no_amplifier() {
    let mut wire = Wire::new();
    // As small as a request can be.
    wire.receive(
        "OPTIONS sip:a SIP/2.0\nv:SIP/2.0/UDP b\nf:<a:b>\nt:<a:b>\ni:1\nCSeq:1 OPTIONS\nl:0",
    );
    wire.receive("INVITE sip:a SIP/2.0\nv:SIP/2.0/UDP b\nf:<a:b>\nt:<a:b>\ni:1\nCSeq:1 INVITE\nRequire:x\nl:0");
    wire.receive("FOO sip:a SIP/2.0\nv:SIP/2.0/UDP b\nf:<a:b>\nt:<a:b>\ni:1\nCSeq:1 FOO\nl:0");
    wire.receive("FOO sip:a SIP/2.0\nv:SIP/2.0/UDP b\nf:<a:b>\nt:<a:b>\ni:1\nCSeq:1 OO\nl:0");
    assert_eq!(wire.lines().len(), 4);
    let counters = wire.endpoint.counters();
    let ratio = counters.stateless_out as f64 / counters.stateless_in as f64;
    println!("stateless answers: {ratio:.2} times their requests");
    assert!(ratio <= 3.0);
}

#[test]
fn reflection_of_a_spoofed_invite_is_bounded() {
    let mut wire = Wire::new();
    let invite = "INVITE sip:bob@192.0.2.1 SIP/2.0
        Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1
        Max-Forwards: 70
        To: <sip:bob@biloxi.com>
        From: <sip:alice@atlanta.com>;tag=1
        Call-ID: 1
        CSeq: 1 INVITE
        Contact: <sip:alice@192.0.2.9>
        Content-Type: application/sdp
        Content-Length: 5

        offer";
    wire.receive(invite);
    let id = wire.endpoint.invitations().next().unwrap();
    let now = wire.now;
    wire.endpoint
        .invitation(id)
        .unwrap()
        .accept(now, sdp("answer"), Headers::new())
        .unwrap();
    wire.wait(Duration::from_secs(100));
    let lines = wire.lines();
    let successes = lines
        .iter()
        .filter(|line| line.starts_with("SIP/2.0 200"))
        .count();
    println!("a spoofed INVITE draws {successes} times 200");
    assert_eq!(successes, 11);
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

#[test]
fn options_get_what_invite_would_get() {
    let options = "OPTIONS sip:whoever@192.0.2.1 SIP/2.0
        Via: SIP/2.0/UDP 192.0.2.9:5062;rport;branch=z9hG4bK1
        Max-Forwards: 70
        To: <sip:whoever@192.0.2.1>
        From: <sip:ping@192.0.2.9>;tag=1
        Call-ID: 1
        CSeq: 1 OPTIONS
        Content-Length: 0";
    let mut wire = Wire::new();
    wire.receive(options);
    let response = wire.response();
    assert_eq!(response.status, Status::OK);
    for name in [
        HeaderName::Allow,
        HeaderName::Accept,
        HeaderName::AcceptEncoding,
        HeaderName::Supported,
    ] {
        assert!(response.headers.contains(name), "{name:?}");
    }
    // RFC 3261, 8.2.7: a copy gets the same answer, tag included.
    wire.receive(options);
    assert_eq!(wire.response(), response);
    wire.endpoint
        .set_availability(Availability::Refusing(Status::BUSY_HERE));
    wire.receive(options);
    assert_eq!(wire.response().status, Status::BUSY_HERE);
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

#[test]
fn our_options() {
    let mut wire = Wire::new();
    let options = || {
        Options::new(
            address("sip:alice@192.0.2.1"),
            address("sip:bob@192.0.2.9:5062"),
        )
    };
    let id = wire.endpoint.options(wire.now, options()).unwrap();
    let request = wire.request();
    assert_eq!(request.method, Method::Options);
    let response = Response::to_request(&request, Status::NOT_FOUND, Some("b"));
    wire.receive_bytes(response.to_bytes());
    match &wire.events[..] {
        [
            Event::Options(
                about,
                OptionsEvent::Answered {
                    code: Status::NOT_FOUND,
                    ..
                },
            ),
        ] => assert_eq!(*about, id),
        events => panic!("{events:#?}"),
    }
    wire.events.clear();
    wire.endpoint.options(wire.now, options()).unwrap();
    wire.wait(Duration::from_secs(32));
    assert!(matches!(
        &wire.events[..],
        [Event::Options(
            _,
            OptionsEvent::Failed {
                cause: EndCause::Timeout
            }
        )]
    ));
    wire.wait(Duration::from_secs(6));
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

#[test]
fn a_question_answers_its_challenge() {
    let mut wire = Wire::new();
    let mut options = Options::new(
        address("sip:alice@192.0.2.1"),
        address("sip:bob@192.0.2.9:5062"),
    );
    let secret = base::digest::Secret::Password("secret".into());
    options.credentials = vec![crate::auth::Credentials::new(
        "example.com",
        "alice",
        secret,
    )];
    wire.endpoint.options(wire.now, options).unwrap();
    let request = wire.request();
    let mut challenge = Response::to_request(&request, Status::UNAUTHORIZED, Some("b"));
    challenge.headers.push(
        HeaderName::WwwAuthenticate,
        "Digest realm=\"example.com\", nonce=\"abc\"",
    );
    wire.receive_bytes(challenge.to_bytes());
    let again = wire.request();
    // RFC 3261, 22.2: the same Call-ID and From tag, the next number, no To tag.
    for name in [HeaderName::CallId, HeaderName::From, HeaderName::To] {
        assert_eq!(again.headers.get(name), request.headers.get(name));
    }
    assert_eq!(again.headers.cseq().unwrap().number, 2);
    let shown = again.headers.get(HeaderName::Authorization).unwrap();
    assert!(shown.starts_with(b"Digest username=\"alice\""));
    // Turned down, it is the outcome.
    let mut challenge = Response::to_request(&again, Status::UNAUTHORIZED, Some("b"));
    challenge.headers.push(
        HeaderName::WwwAuthenticate,
        "Digest realm=\"example.com\", nonce=\"def\"",
    );
    wire.receive_bytes(challenge.to_bytes());
    assert!(matches!(
        &wire.events[..],
        [
            Event::NotAuthenticated {
                method: Method::Options,
                why: crate::auth::Refusal::Rejected,
                ..
            },
            Event::Options(
                _,
                OptionsEvent::Answered {
                    code: Status::UNAUTHORIZED,
                    ..
                }
            )
        ]
    ));
    wire.wait(Duration::from_secs(6));
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

#[test]
fn shutdown_ends_everything() {
    let mut wire = Wire::new();
    let mut invite = Invite::new(
        address("sip:alice@192.0.2.1"),
        address("sip:bob@192.0.2.9:5062"),
    );
    invite.offer = Some(sdp("offer"));
    wire.endpoint.invite(wire.now, invite.clone()).unwrap();
    let sent = wire.request();
    wire.receive_bytes(Response::to_request(&sent, Status::RINGING, Some("b")).to_bytes());
    wire.endpoint.shutdown(wire.now);
    assert_eq!(wire.request().method, Method::Cancel);
    let refused = wire.endpoint.invite(wire.now, invite);
    assert_eq!(refused, Err(usage::invitation::InviteError::ShuttingDown));
    wire.wait(Duration::from_secs(70));
    assert_eq!(wire.endpoint.stats(), Stats::default());
}
