//! Calling, with a callee written by hand from RFC 3261.

use super::*;
use crate::{HeaderName, Headers, Method, Status, usage::invitation::EndCause};

impl Wire {
    /// Sends an INVITE and returns it.
    pub(super) fn dial(&mut self) -> Request {
        self.dial_with(|_| {})
    }

    pub(super) fn dial_with(&mut self, change: impl FnOnce(&mut Invite)) -> Request {
        let mut invite = Invite::new(
            address("sip:alice@192.0.2.1"),
            address("sip:bob@192.0.2.9:5062"),
        );
        invite.offer = Some(sdp("offer"));
        change(&mut invite);
        self.endpoint.invite(self.now, invite).unwrap();
        self.request()
    }

    pub(super) fn dialled(&mut self) -> InvitationMut<'_> {
        let id = self.endpoint.invitations().next().expect("a call");
        self.endpoint.invitation(id).expect("alive")
    }

    /// Sends an INVITE, answers it, and swallows the ACK.
    pub(super) fn connect(&mut self) -> Request {
        let invite = self.dial();
        self.receive(&answer_to(&invite, "200 OK", "b", "answer"));
        assert_eq!(self.request().method, Method::Ack);
        self.events.clear();
        invite
    }

    pub(super) fn ended(&mut self) -> Option<(EndCause, Option<Status>)> {
        self.invitation_events()
            .into_iter()
            .find_map(|event| match event {
                InvitationEvent::Ended { cause, code, .. } => Some((cause, code)),
                _ => None,
            })
    }
}

/// A response to a request of ours: its Via, From, Call-ID and CSeq, and the peer's tag.
pub(super) fn answer_to(request: &Request, status: &str, tag: &str, body: &str) -> String {
    answer_with(request, status, tag, "", body)
}

pub(super) fn answer_with(
    request: &Request,
    status: &str,
    tag: &str,
    further: &str,
    body: &str,
) -> String {
    let value = |name| String::from_utf8(request.headers.get(name).unwrap().to_vec()).unwrap();
    let tagged = if tag.is_empty() || value(HeaderName::To).contains("tag=") {
        String::new()
    } else {
        format!(";tag={tag}")
    };
    let fork = if tag.is_empty() {
        String::new()
    } else {
        format!(";fork={tag}")
    };
    let content = match body {
        "" => "Content-Length: 0".to_owned(),
        body => format!(
            "Content-Type: application/sdp\nContent-Length: {}\n\n{body}",
            body.len()
        ),
    };
    format!(
        "SIP/2.0 {status}
        Via: {}
        From: {}
        To: {}{tagged}
        Call-ID: {}
        CSeq: {}
        {further}Contact: <sip:bob@192.0.2.9:5062{fork}>
        {content}",
        value(HeaderName::Via),
        value(HeaderName::From),
        value(HeaderName::To),
        value(HeaderName::CallId),
        value(HeaderName::CSeq),
    )
}

/// A request of the peer inside a dialog that our INVITE made.
pub(super) fn from_peer(
    invite: &Request,
    method: &str,
    number: u32,
    tag: &str,
    body: &str,
) -> String {
    let value = |name| String::from_utf8(invite.headers.get(name).unwrap().to_vec()).unwrap();
    let content = match body {
        "" => "Content-Length: 0".to_owned(),
        body => format!(
            "Content-Type: application/sdp\nContent-Length: {}\n\n{body}",
            body.len()
        ),
    };
    format!(
        "{method} sip:alice@192.0.2.1:5060 SIP/2.0
        Via: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bKpeer{method}{number}
        From: <sip:bob@192.0.2.9:5062>;tag={tag}
        To: {}
        Call-ID: {}
        CSeq: {number} {method}
        Contact: <sip:bob@192.0.2.9:5062>
        {content}",
        value(HeaderName::From),
        value(HeaderName::CallId),
    )
}

pub(super) fn value(request: &Request, name: HeaderName) -> &str {
    std::str::from_utf8(request.headers.get(name).unwrap_or_default()).unwrap()
}

#[test]
fn an_invite_has_what_it_must() {
    let mut wire = Wire::new();
    let invite = wire.dial();
    assert_eq!(invite.uri.as_str(), "sip:bob@192.0.2.9:5062");
    let via = invite.headers.via().unwrap();
    assert_eq!(
        (via.transport(), via.host(), via.port),
        ("UDP", "192.0.2.1", Some(5060))
    );
    assert!(via.has_cookie() && via.rport() == Some(None));
    assert_eq!(
        value(&invite, HeaderName::Contact),
        "<sip:alice@192.0.2.1:5060>"
    );
    assert_eq!(value(&invite, HeaderName::MaxForwards), "70");
    assert_eq!(value(&invite, HeaderName::ContentType), "application/sdp");
    assert!(invite.headers.from().unwrap().tag().is_some());
    assert!(invite.headers.to().unwrap().tag().is_none());
    assert!(invite.headers.contains(HeaderName::Allow));
}

#[test]
fn ack_of_a_2xx_goes_along_the_route_set_to_its_contact() {
    let mut wire = Wire::new();
    let invite = wire.dial();
    // A proxy that changes the transport records itself twice, and a strict router stands first.
    let routes = "Record-Route: <sip:p3.example.com;lr>, <sip:192.0.2.8;lr;transport=tcp;r2=on>\n\
        Record-Route: <sip:192.0.2.8;lr;r2=on>\n";
    wire.receive(&answer_with(&invite, "200 OK", "b", routes, "answer"));
    let ack = wire.request();
    assert_eq!(
        (ack.method.clone(), ack.uri.as_str()),
        (Method::Ack, "sip:bob@192.0.2.9:5062;fork=b")
    );
    let route: Vec<_> = ack
        .headers
        .get_all(HeaderName::Route)
        .map(String::from_utf8_lossy)
        .collect();
    assert_eq!(
        route,
        [
            "<sip:192.0.2.8;lr;r2=on>",
            "<sip:192.0.2.8;lr;transport=tcp;r2=on>",
            "<sip:p3.example.com;lr>"
        ]
    );
    assert_eq!(value(&ack, HeaderName::CSeq), "1 ACK");
    assert_ne!(
        ack.headers.via().unwrap().branch(),
        invite.headers.via().unwrap().branch()
    );
    // RFC 3261, 12.2.1.1: a strict router.
    let mut wire = Wire::new();
    let invite = wire.dial();
    wire.receive(&answer_with(
        &invite,
        "200 OK",
        "b",
        "Record-Route: <sip:192.0.2.8>\n",
        "answer",
    ));
    let ack = wire.request();
    assert_eq!(ack.uri.as_str(), "sip:192.0.2.8");
    assert_eq!(
        value(&ack, HeaderName::Route),
        "<sip:bob@192.0.2.9:5062;fork=b>"
    );
}

#[test]
fn a_repeated_2xx_draws_the_same_ack() {
    let mut wire = Wire::new();
    let invite = wire.dial();
    let ok = answer_to(&invite, "200 OK", "b", "answer");
    wire.receive(&ok);
    let first = wire.sent.remove(0).1;
    wire.wait(Duration::from_secs(1));
    wire.receive(&ok);
    assert_eq!(wire.sent.remove(0).1, first);
    // Until 64·T1 after the first one.
    wire.wait(Duration::from_secs(30));
    wire.receive(&ok);
    assert_eq!(wire.sent.remove(0).1, first);
    wire.wait(Duration::from_secs(2));
    wire.receive(&ok);
    assert_eq!(wire.lines(), [""; 0]);
    assert_eq!(wire.endpoint.stats().attempts, 0);
}

#[test]
fn forks() {
    // INV-21; RFC 3261, 13.2.2.4
    let mut wire = Wire::new();
    let invite = wire.dial();
    wire.receive(&answer_to(&invite, "180 Ringing", "one", ""));
    wire.receive(&answer_to(
        &invite,
        "183 Session Progress",
        "two",
        "preview",
    ));
    wire.receive(&answer_to(&invite, "180 Ringing", "one", ""));
    let events = wire.invitation_events();
    let dialogs: Vec<_> = events
        .iter()
        .filter_map(|event| {
            if let InvitationEvent::Provisional { dialog, .. } = event {
                Some(dialog.unwrap())
            } else {
                None
            }
        })
        .collect();
    assert_eq!(dialogs.len(), 3);
    assert!(dialogs[0] == dialogs[2] && dialogs[0] != dialogs[1]);
    assert!(events.iter().any(|event| matches!(event, InvitationEvent::Answered { dialog, early: true, .. } if *dialog == dialogs[1])));
    // A third one wins.
    wire.receive(&answer_to(&invite, "200 OK", "three", "answer"));
    let ack = wire.request();
    assert_eq!(ack.headers.to().unwrap().tag(), Some("three"));
    let events = wire.invitation_events();
    let over = events
        .iter()
        .filter(|event| matches!(event, InvitationEvent::DialogEnded { .. }))
        .count();
    assert_eq!(over, 2);
    let info = wire.dialled().info().unwrap();
    assert_eq!(info.dialogs, info.confirmed.into_iter().collect::<Vec<_>>());
    // The second answers, too: ACK, then BYE.
    wire.receive(&answer_to(&invite, "200 OK", "two", "preview"));
    let sent: Vec<_> = std::mem::take(&mut wire.sent);
    assert!(
        sent[0].1.starts_with("ACK sip:bob@192.0.2.9:5062;fork=two"),
        "{sent:#?}"
    );
    assert!(
        sent[1].1.starts_with("BYE sip:bob@192.0.2.9:5062;fork=two"),
        "{sent:#?}"
    );
    assert_eq!(wire.dialled().state(), State::Confirmed);
    assert!(
        !wire
            .invitation_events()
            .iter()
            .any(|event| matches!(event, InvitationEvent::Ended { .. }))
    );
}

#[test]
fn cancel_waits_for_a_provisional_response() {
    // RFC 3261, 9.1
    let mut wire = Wire::new();
    let invite = wire.dial_with(|invite| invite.route = vec![address("sip:192.0.2.9:5062;lr")]);
    let now = wire.now;
    wire.dialled().end(now, &Headers::new()).unwrap();
    assert_eq!(wire.lines(), [""; 0]);
    wire.receive(&answer_to(&invite, "100 Trying", "", ""));
    let cancel = wire.request();
    assert_eq!(
        (&cancel.method, &cancel.uri),
        (&Method::Cancel, &invite.uri)
    );
    for name in [
        HeaderName::Via,
        HeaderName::Route,
        HeaderName::From,
        HeaderName::To,
        HeaderName::CallId,
    ] {
        assert_eq!(value(&cancel, name), value(&invite, name));
    }
    assert_eq!(value(&cancel, HeaderName::CSeq), "1 CANCEL");
    // Further provisional responses draw no second CANCEL.
    wire.receive(&answer_to(&invite, "180 Ringing", "b", ""));
    assert_eq!(wire.lines(), [""; 0]);
    wire.receive(&answer_to(&cancel, "200 OK", "b", ""));
    wire.receive(&answer_to(&invite, "487 Request Terminated", "b", ""));
    assert_eq!(wire.lines().len(), 1);
    assert_eq!(
        wire.ended(),
        Some((EndCause::UserRequest, Some(Status::REQUEST_TERMINATED)))
    );
    wire.wait(Duration::from_secs(64));
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

#[test]
fn a_2xx_that_wins_against_cancel_is_acknowledged_and_left() {
    for late in [ms(100), Duration::from_secs(5)] {
        let mut wire = Wire::new();
        let invite = wire.dial();
        wire.receive(&answer_to(&invite, "180 Ringing", "b", ""));
        let now = wire.now;
        wire.dialled().end(now, &Headers::new()).unwrap();
        assert!(wire.lines()[0].starts_with("CANCEL"));
        wire.wait(late);
        wire.lines();
        let told = wire.ended();
        // INV-09: the application has waited long enough; the wire has not.
        assert_eq!(told.is_some(), late > ms(3_500));
        wire.receive(&answer_to(&invite, "200 OK", "b", "answer"));
        let lines = wire.lines();
        assert!(
            lines[0].starts_with("ACK ") && lines[1].starts_with("BYE "),
            "{lines:?}"
        );
        wire.wait(Duration::from_secs(64));
        assert_eq!(wire.endpoint.stats(), Stats::default());
    }
}

#[test]
fn ended_before_anything_was_sent() {
    // SES-33
    let mut wire = Wire::new();
    let invite = Invite::new(
        address("sip:alice@192.0.2.1"),
        address("sip:bob@example.com"),
    );
    let id = wire.endpoint.invite(wire.now, invite).unwrap();
    let now = wire.now;
    wire.endpoint
        .invitation(id)
        .unwrap()
        .end(now, &Headers::new())
        .unwrap();
    assert_eq!(
        wire.ended(),
        Some((EndCause::UserRequest, Some(Status::REQUEST_TERMINATED)))
    );
    assert_eq!(wire.lines(), [""; 0]);
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

#[test]
fn refusals_and_silence() {
    let mut wire = Wire::new();
    let invite = wire.dial();
    wire.receive(&answer_with(
        &invite,
        "486 Busy",
        "b",
        "Retry-After: 60\n",
        "",
    ));
    let ack = wire.request();
    assert_eq!(
        ack.headers.via().unwrap().branch(),
        invite.headers.via().unwrap().branch()
    );
    let events = wire.invitation_events();
    let Some(InvitationEvent::Ended {
        code,
        reason,
        headers,
        ..
    }) = events.last()
    else {
        panic!("{events:#?}")
    };
    assert_eq!(
        (*code, reason.as_deref()),
        (Some(Status::BUSY_HERE), Some("Busy"))
    );
    assert!(headers.contains(HeaderName::RetryAfter));

    let mut wire = Wire::new();
    wire.dial();
    wire.wait(Duration::from_secs(32));
    assert_eq!(
        wire.ended(),
        Some((EndCause::Timeout, Some(Status::REQUEST_TIMEOUT)))
    );
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

#[test]
fn digest_challenges_are_answered_and_remembered() {
    use crate::auth::Credentials;
    use base::digest::Secret;
    let mut wire = Wire::new();
    let invite = wire.dial_with(|invite| {
        invite.credentials = vec![Credentials::new(
            "example.com",
            "alice",
            Secret::Password("secret".into()),
        )];
    });
    let challenge = "WWW-Authenticate: Digest realm=\"example.com\", nonce=\"abc\", qop=\"auth\", algorithm=MD5\n";
    wire.receive(&answer_with(
        &invite,
        "401 Unauthorized",
        "x",
        challenge,
        "",
    ));
    let (ack, again) = (wire.sent.remove(0).1, wire.request());
    assert!(ack.starts_with("ACK "));
    assert_eq!(value(&again, HeaderName::CSeq), "2 INVITE");
    assert_eq!(
        value(&again, HeaderName::CallId),
        value(&invite, HeaderName::CallId)
    );
    assert_eq!(
        value(&again, HeaderName::From),
        value(&invite, HeaderName::From)
    );
    assert_eq!(again.headers.to().unwrap().tag(), None);
    assert!(value(&again, HeaderName::Authorization).contains("nc=00000001"));
    wire.receive(&answer_to(&again, "200 OK", "b", "answer"));
    // RFC 3261, 22.1: the same credentials.
    let ack = wire.request();
    assert_eq!(value(&ack, HeaderName::CSeq), "2 ACK");
    assert_eq!(
        value(&ack, HeaderName::Authorization),
        value(&again, HeaderName::Authorization)
    );
    let now = wire.now;
    wire.dialled().end(now, &Headers::new()).unwrap();
    let bye = wire.request();
    assert_eq!(value(&bye, HeaderName::CSeq), "3 BYE");
    assert!(value(&bye, HeaderName::Authorization).contains("nc=00000002"));
    // Challenged again inside the dialog.
    let stale =
        "WWW-Authenticate: Digest realm=\"example.com\", nonce=\"def\", qop=\"auth\", stale=TRUE\n";
    wire.receive(&answer_with(&bye, "401 Unauthorized", "b", stale, ""));
    let again = wire.request();
    assert_eq!(value(&again, HeaderName::CSeq), "4 BYE");
    assert!(value(&again, HeaderName::Authorization).contains("nonce=\"def\""));

    // Without credentials the challenge is the outcome.
    let mut wire = Wire::new();
    let invite = wire.dial();
    wire.receive(&answer_with(
        &invite,
        "401 Unauthorized",
        "x",
        challenge,
        "",
    ));
    assert_eq!(
        wire.ended(),
        Some((EndCause::Rejected, Some(Status::UNAUTHORIZED)))
    );
}

#[test]
fn the_callee_asks_and_hangs_up() {
    let mut wire = Wire::new();
    let invite = wire.connect();
    wire.receive(&from_peer(&invite, "OPTIONS", 1, "b", ""));
    assert_eq!(wire.response().status, Status::OK);
    wire.receive(&from_peer(&invite, "BYE", 2, "b", ""));
    assert_eq!(wire.response().status, Status::OK);
    assert_eq!(wire.ended().map(|ended| ended.0), Some(EndCause::Bye));
}

#[test]
fn a_peer_without_tag() {
    // RFC 3261, 12.1.2: the null tag of RFC 2543.
    let mut wire = Wire::new();
    let invite = wire.dial();
    wire.receive(&answer_to(&invite, "200 OK", "", "answer"));
    let ack = wire.request();
    assert_eq!(
        (ack.method.clone(), ack.headers.to().unwrap().tag()),
        (Method::Ack, None)
    );
    wire.receive(&from_peer(&invite, "BYE", 2, "NONE", "").replace(";tag=NONE", ""));
    assert_eq!(wire.response().status, Status::OK);
}

#[test]
fn a_2xx_repeated_after_the_peers_bye_draws_its_ack() {
    let mut wire = Wire::new();
    let invite = wire.dial();
    let ok = answer_to(&invite, "200 OK", "b", "answer");
    wire.receive(&ok);
    let ack = wire.sent.remove(0).1;
    wire.receive(&from_peer(&invite, "BYE", 1, "b", ""));
    assert_eq!(wire.response().status, Status::OK);
    wire.receive(&ok);
    assert_eq!(wire.sent.len(), 1);
    assert_eq!(wire.sent.remove(0).1, ack);
}

#[test]
fn responses_for_others_are_dropped() {
    // RFC 3261, 8.1.3.3 and 18.1.2
    let mut wire = Wire::new();
    let invite = wire.dial();
    let ringing = answer_to(&invite, "180 Ringing", "b", "");
    wire.receive(&ringing.replace("SIP/2.0/UDP 192.0.2.1:5060", "SIP/2.0/UDP 192.0.2.77:5060"));
    wire.receive(&ringing.replace(
        "From:",
        "Via: SIP/2.0/UDP 192.0.2.66;branch=z9hG4bKx\nFrom:",
    ));
    assert_eq!(wire.dialled().state(), State::Calling);
    wire.receive(&ringing);
    assert_eq!(wire.dialled().state(), State::Early);
    assert_eq!(wire.endpoint.counters().dropped, 2);
}
