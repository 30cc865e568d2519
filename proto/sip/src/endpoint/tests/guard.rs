//! An endpoint that wants to know who calls.

use super::*;
use crate::{
    HeaderName, Headers, Method, Status,
    auth::{Credentials, Guard, Refusal},
};
use base::digest::{HashFunction, Secret};

fn guarded() -> Wire {
    let mut wire = Wire::new();
    let secret = Secret::Password("zanzibar".to_owned());
    let guard = Guard::new("biloxi.com", vec![("bob".to_owned(), secret)]);
    wire.endpoint.set_guard(start(), Some(guard));
    wire
}

fn request(method: &str, branch: &str, number: u32, further: &str) -> String {
    format!(
        "{method} sip:alice@192.0.2.1 SIP/2.0
        Via: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK{branch}
        Max-Forwards: 70
        From: <sip:bob@biloxi.com>;tag=1
        To: <sip:alice@192.0.2.1>
        Call-ID: c
        CSeq: {number} {method}
        Contact: <sip:bob@192.0.2.9:5062>
        {further}Content-Length: 0
        "
    )
}

fn nonce(headers: &Headers) -> String {
    let value = headers.get(HeaderName::WwwAuthenticate).unwrap();
    let value = std::str::from_utf8(value).unwrap();
    let (_, rest) = value.split_once("nonce=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

/// Credentials by hand (RFC 7616, 3.4.1).
fn credentials(method: &str, nonce: &str, password: &str) -> String {
    let sha = |text: String| HashFunction::Sha256.hex(&[text.as_bytes()]);
    let ha1 = sha(format!("bob:biloxi.com:{password}"));
    let ha2 = sha(format!("{method}:sip:alice@192.0.2.1"));
    let proof = sha(format!("{ha1}:{nonce}:00000001:abc:auth:{ha2}"));
    format!(
        "Authorization: Digest username=\"bob\", realm=\"biloxi.com\", nonce=\"{nonce}\", \
         uri=\"sip:alice@192.0.2.1\", response=\"{proof}\", algorithm=SHA-256, cnonce=\"abc\", qop=auth, nc=00000001\n"
    )
}

/// RFC 3261, 22.2: 401, then the same with the next number.
#[test]
fn a_caller_has_to_show_who_it_is() {
    let mut wire = guarded();
    wire.receive(&request("INVITE", "a", 1, ""));
    let response = wire.response();
    assert_eq!(response.status, Status::UNAUTHORIZED);
    let asked: Vec<&[u8]> = response
        .headers
        .get_all(HeaderName::WwwAuthenticate)
        .collect();
    assert_eq!(asked.len(), 2);
    assert!(asked[0].ends_with(b"algorithm=SHA-256, qop=\"auth\""));
    assert!(wire.invitation_events().is_empty());
    assert_eq!(wire.endpoint.stats().invitations, 0);
    let nonce = nonce(&response.headers);

    wire.receive(&request(
        "INVITE",
        "b",
        2,
        &credentials("INVITE", &nonce, "guess"),
    ));
    assert_eq!(wire.response().status, Status::UNAUTHORIZED);
    wire.receive(&request(
        "INVITE",
        "c",
        3,
        &credentials("INVITE", &nonce, "zanzibar"),
    ));
    let events = wire.invitation_events();
    let Some(InvitationEvent::Incoming(call)) = events.first() else {
        panic!("{events:?}");
    };
    assert_eq!(call.caller.as_deref(), Some("bob"));
    // The same credentials in another transaction are a replay, which a stale nonce mends.
    wire.sent.clear();
    wire.receive(
        &request("INVITE", "d", 4, &credentials("INVITE", &nonce, "zanzibar"))
            .replace("Call-ID: c", "Call-ID: d"),
    );
    let response = wire.response();
    let asked = response.headers.get(HeaderName::WwwAuthenticate).unwrap();
    assert!(asked.windows(10).any(|part| part == b"stale=true"));
}

#[test]
fn what_needs_no_credentials() {
    let mut wire = guarded();
    wire.receive(&request("OPTIONS", "a", 1, ""));
    assert_eq!(wire.response().status, Status::OK);
    // RFC 3261, 22.1: CANCEL is never challenged.
    wire.receive(&request("CANCEL", "b", 1, ""));
    assert_eq!(
        wire.response().status,
        Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST
    );
    // RFC 7616, 3.4: what cannot be read is a bad request.
    wire.receive(&request(
        "INVITE",
        "c",
        1,
        "Authorization: Digest realm=\"biloxi.com\"\n",
    ));
    assert_eq!(wire.response().status, Status::BAD_REQUEST);
    wire.endpoint.set_guard(start(), None);
    wire.receive(&request("INVITE", "d", 2, ""));
    let events = wire.invitation_events();
    assert!(
        matches!(&events[0], InvitationEvent::Incoming(call) if call.caller.is_none()),
        "{events:?}"
    );
}

/// Wire rules, Digest leak: the request fails, and an event says why.
#[test]
fn a_challenge_that_is_not_answered_is_told() {
    let mut wire = Wire::new();
    let mut invite = Invite::new(
        address("sip:bob@biloxi.com"),
        address("sip:alice@192.0.2.9:5062"),
    );
    invite.offer = Some(sdp("v=0"));
    let secret = Secret::Password("zanzibar".to_owned());
    invite.credentials = vec![Credentials::new("*", "bob", secret)];
    wire.endpoint.invite(start(), invite).unwrap();
    let sent = wire.request();
    let mut response = Response::to_request(&sent, Status::UNAUTHORIZED, Some("t"));
    response.headers.push(
        HeaderName::WwwAuthenticate,
        "Digest realm=\"biloxi.com\", nonce=\"1\", algorithm=MD5, qop=\"auth\"",
    );
    wire.receive_bytes(response.to_bytes());
    assert_eq!(
        wire.lines(),
        ["ACK sip:alice@192.0.2.9:5062 SIP/2.0"],
        "no second INVITE"
    );
    let told = wire.events.iter().find_map(|event| match event {
        Event::NotAuthenticated { method, why, .. } => Some((method.clone(), *why)),
        _ => None,
    });
    assert_eq!(told, Some((Method::Invite, Refusal::Stranger)));
    assert!(
        wire.invitation_events()
            .iter()
            .any(|event| matches!(event, InvitationEvent::Ended { .. }))
    );
}
