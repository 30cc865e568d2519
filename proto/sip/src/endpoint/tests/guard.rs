//! An endpoint that wants to know who calls.

use super::*;
use crate::{
    HeaderName, Headers, Method, Status,
    auth::{Credentials, Guard, Refusal},
    usage::message::SendMessage,
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

/// RFC 3261, 8.2: authentication comes first, so a stranger who asks for names learns none.
#[test]
fn a_stranger_cannot_tell_who_is_here() {
    let mut wire = guarded();
    wire.endpoint
        .set_users(Some(["alice".to_owned()].into_iter().collect()));
    let methods = [
        "INVITE",
        "MESSAGE",
        "SUBSCRIBE",
        "REFER",
        "OPTIONS",
        "INFO",
        "BYE",
        "NOTIFY",
        "REGISTER",
        "PUBLISH",
        "CANCEL",
    ];
    let further = [
        "",
        "Require: x-unknown\n",
        "Authorization: Digest username=\"bob\", realm=\"biloxi.com\", nonce=\"n\", \
         uri=\"sip:alice@192.0.2.1\", response=\"1\", qop=auth, nc=00000001, cnonce=\"c\"\n",
    ];
    for (n, (method, further)) in methods
        .iter()
        .flat_map(|method| further.iter().map(move |further| (method, further)))
        .enumerate()
    {
        let mut said = |user: &str| {
            let request = request(method, &format!("{user}{n}"), 1, further)
                .replace("Call-ID: c", &format!("Call-ID: {user}{n}"))
                .replace(
                    "sip:alice@192.0.2.1 SIP",
                    &format!("sip:{user}@192.0.2.1 SIP"),
                );
            wire.receive(&request);
            let response = wire.response();
            let mut lines: Vec<_> = response
                .headers
                .iter()
                .map(|field| (field.name.text().to_vec(), field.value.to_vec()))
                .collect();
            for (name, value) in &mut lines {
                match &name[..] {
                    // What is of this one request, and no word about the user.
                    b"Via" | b"Call-ID" | b"To" => value.clear(),
                    b"WWW-Authenticate" => {
                        let text = String::from_utf8(value.clone()).unwrap();
                        let (before, rest) = text.split_once("nonce=\"").unwrap();
                        let (_, after) = rest.split_once('"').unwrap();
                        *value = format!("{before}{after}").into_bytes();
                    }
                    _ => {}
                }
            }
            (response.status, response.reason.to_string(), lines)
        };
        let (known, unknown) = (said("alice"), said("nobody"));
        assert_eq!(known, unknown, "{method} {further}");
        if *method != "OPTIONS" && *method != "CANCEL" {
            assert_eq!(known.0, Status::UNAUTHORIZED, "{method} {further}");
        }
    }
}

/// RFC 3261, 8.2.2.2: the other branch of a fork brings the same credentials, and is no replay.
#[test]
fn a_merged_request_is_no_replay() {
    let mut wire = guarded();
    wire.receive(&request("INVITE", "a", 1, ""));
    let nonce = nonce(&wire.response().headers);
    let credentials = credentials("INVITE", &nonce, "zanzibar");
    wire.receive(&request("INVITE", "b", 2, &credentials));
    let events = wire.invitation_events();
    assert!(matches!(events.first(), Some(InvitationEvent::Incoming(_))));
    wire.sent.clear();
    wire.receive(&request("INVITE", "c", 2, &credentials));
    assert_eq!(wire.response().status, Status::LOOP_DETECTED);
}

/// Who writes and who subscribes is named as who calls is.
#[test]
fn a_message_and_a_subscription_name_their_user() {
    let mut wire = guarded();
    let package = crate::Package::new("presence", Vec::new());
    wire.endpoint.add_package(package).unwrap();
    for (number, method, further) in [(1, "MESSAGE", ""), (3, "SUBSCRIBE", "Event: presence\n")] {
        wire.sent.clear();
        wire.receive(&request(method, &format!("{method}a"), number, further));
        let nonce = nonce(&wire.response().headers);
        let further = format!("{further}{}", credentials(method, &nonce, "zanzibar"));
        wire.receive(&request(
            method,
            &format!("{method}b"),
            number + 1,
            &further,
        ));
    }
    let callers: Vec<_> = wire
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Message(_, crate::MessageEvent::Incoming(message)) => {
                Some(message.caller.clone())
            }
            Event::Notifier(_, crate::NotifierEvent::Incoming(subscription)) => {
                Some(subscription.caller.clone())
            }
            _ => None,
        })
        .collect();
    assert_eq!(callers, [Some("bob".to_owned()), Some("bob".to_owned())]);
}

/// RFC 8760, 2.4: the topmost challenge, where the configuration says so.
#[test]
fn the_configuration_chooses_between_challenges() {
    for (prefer_strongest, expected) in [(true, "algorithm=SHA-256"), (false, "algorithm=MD5")] {
        let config = Config {
            prefer_strongest,
            ..Config::default()
        };
        let mut wire = Wire::with(config);
        let mut invite = Invite::new(
            address("sip:bob@biloxi.com"),
            address("sip:alice@192.0.2.9:5062"),
        );
        invite.offer = Some(sdp("v=0"));
        let secret = Secret::Password("zanzibar".to_owned());
        invite.credentials = vec![Credentials::new("biloxi.com", "bob", secret.clone())];
        wire.endpoint.invite(start(), invite).unwrap();
        let mut message = SendMessage::new(
            address("sip:bob@biloxi.com"),
            address("sip:alice@192.0.2.9:5062"),
            "hi",
        );
        message.credentials = vec![Credentials::new("biloxi.com", "bob", secret)];
        wire.endpoint.send_message(start(), message).unwrap();
        wire.drain();
        for (_, text) in std::mem::take(&mut wire.sent) {
            let Ok(Message::Request(sent)) = Message::parse(text.into_bytes().into()) else {
                panic!("a response");
            };
            let mut response = Response::to_request(&sent, Status::UNAUTHORIZED, Some("t"));
            for hash in ["MD5", "SHA-256"] {
                let asked = format!(
                    "Digest realm=\"biloxi.com\", nonce=\"1\", algorithm={hash}, qop=\"auth\""
                );
                response
                    .headers
                    .push(HeaderName::WwwAuthenticate, asked.as_str());
            }
            wire.sent.clear();
            wire.receive_bytes(response.to_bytes());
            let (_, again) = wire.sent.last().unwrap();
            let shown = again
                .lines()
                .find(|line| line.starts_with("Authorization:"));
            assert!(shown.unwrap().contains(expected), "{again}");
        }
    }
}
