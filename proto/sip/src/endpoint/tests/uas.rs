//! Being called, with a caller written by hand from RFC 3261.

use super::*;
use crate::{
    HeaderName, Headers, Status,
    dialog::MAX_ROUTES,
    usage::invitation::{EndCause, RespondError},
};

/// An INVITE of RFC 3261, 24.2; `branch` and further header lines vary.
pub(super) fn invite(branch: &str, further: &str) -> String {
    format!(
        "INVITE sip:bob@192.0.2.1 SIP/2.0
        Via: SIP/2.0/UDP pc33.atlanta.com:5070;branch=z9hG4bK{branch}
        Max-Forwards: 70
        To: Bob <sip:bob@biloxi.com>
        From: Alice <sip:alice@atlanta.com>;tag=1928301774
        Call-ID: a84b4c76e66710@pc33.atlanta.com
        CSeq: 314159 INVITE
        {further}Contact: <sip:alice@pc33.atlanta.com>
        Content-Type: application/sdp
        Content-Length: 5

        offer"
    )
}

/// A request inside the dialog of [`invite`], once we have answered with `tag`.
pub(super) fn inside(method: &str, number: u32, tag: &str, body: &str) -> String {
    let content = match body {
        "" => "Content-Length: 0".to_owned(),
        body => format!(
            "Content-Type: application/sdp\nContent-Length: {}\n\n{body}",
            body.len()
        ),
    };
    format!(
        "{method} sip:bob@192.0.2.1 SIP/2.0
        Via: SIP/2.0/UDP pc33.atlanta.com:5070;branch=z9hG4bK{method}{number}
        Max-Forwards: 70
        To: Bob <sip:bob@biloxi.com>;tag={tag}
        From: Alice <sip:alice@atlanta.com>;tag=1928301774
        Call-ID: a84b4c76e66710@pc33.atlanta.com
        CSeq: {number} {method}
        Contact: <sip:alice@pc33.atlanta.com>
        {content}"
    )
}

impl Wire {
    pub(super) fn call(&mut self) -> InvitationMut<'_> {
        let id = self.endpoint.invitations().next().expect("a call");
        self.endpoint.invitation(id).expect("alive")
    }

    /// Receives an INVITE, accepts it, and returns our tag.
    pub(super) fn accept(&mut self) -> String {
        self.receive(&invite("1", ""));
        let now = self.now;
        self.call()
            .accept(now, sdp("answer"), Headers::new())
            .unwrap();
        tag(&self.response())
    }

    /// The same with the ACK.
    pub(super) fn establish(&mut self) -> String {
        let tag = self.accept();
        self.receive(&inside("ACK", 314_159, &tag, ""));
        assert_eq!(self.call().state(), State::Confirmed);
        self.events.clear();
        tag
    }

    pub(super) fn status(&mut self) -> u16 {
        self.response().status.code()
    }
}

pub(super) fn tag(response: &Response) -> String {
    response.headers.to().unwrap().tag().unwrap().to_owned()
}

pub(super) fn value(response: &Response, name: HeaderName) -> &str {
    std::str::from_utf8(response.headers.get(name).unwrap_or_default()).unwrap()
}

#[test]
fn responses_copy_and_add_what_they_must() {
    let mut wire = Wire::new();
    wire.receive(&invite(
        "1",
        "Record-Route: <sip:p2.example.com;lr;x=y>, <sip:p1.example.com;lr>\n",
    ));
    let now = wire.now;
    wire.call().ring(now).unwrap();
    wire.drain();
    // RFC 3261, 18.2.2: no rport, so `received` and the port of sent-by.
    assert_eq!(wire.sent[0].0.to_string(), "192.0.2.9:5070");
    let ringing = wire.response();
    assert_eq!(ringing.status, Status::RINGING);
    let via = "SIP/2.0/UDP pc33.atlanta.com:5070;branch=z9hG4bK1;received=192.0.2.9";
    assert_eq!(value(&ringing, HeaderName::Via), via);
    assert_eq!(
        value(&ringing, HeaderName::Contact),
        "<sip:bob@192.0.2.1:5060>"
    );
    let routes = "<sip:p2.example.com;lr;x=y>, <sip:p1.example.com;lr>";
    assert_eq!(value(&ringing, HeaderName::RecordRoute), routes);
    wire.call()
        .accept(now, sdp("answer"), Headers::new())
        .unwrap();
    let ok = wire.response();
    assert_eq!((ok.status, tag(&ok)), (Status::OK, tag(&ringing)));
    assert_eq!(value(&ok, HeaderName::RecordRoute), routes);
    assert_eq!(value(&ok, HeaderName::Server), "tested");
    assert!(ok.headers.contains(HeaderName::Allow) && ok.headers.contains(HeaderName::Contact));
    assert_eq!(&ok.body[..], b"answer");
}

#[test]
fn trying_comes_after_200_ms_without_tag_and_with_timestamp() {
    let mut wire = Wire::new();
    wire.receive(&invite("1", "Timestamp: 54.5\n"));
    assert_eq!(wire.lines(), [""; 0]);
    wire.wait(ms(200));
    let trying = wire.response();
    assert_eq!(
        (trying.status, value(&trying, HeaderName::Timestamp)),
        (Status::TRYING, "54.5")
    );
    assert_eq!(trying.headers.to().unwrap().tag(), None);
}

#[test]
fn a_2xx_is_repeated_until_64_t1_and_ended_by_bye() {
    let mut wire = Wire::new();
    wire.accept();
    wire.events.clear();
    let mut at = Vec::new();
    for second in 0..64 {
        wire.wait(ms(500));
        at.extend(
            wire.lines()
                .iter()
                .map(|line| (second + 1, line[..11].to_owned())),
        );
    }
    // RFC 3261, 13.3.1.4: T1, then doubled up to T2; after 64·T1 the BYE.
    let repeats = [1, 3, 7, 15, 23, 31, 39, 47, 55, 63];
    let expected = repeats.map(|half| (half, "SIP/2.0 200".to_owned()));
    assert_eq!(at[..10], expected);
    assert_eq!(at[10].0, 64);
    assert!(at[10].1.starts_with("BYE sip:ali"), "{at:?}");
    wire.wait(ms(3_500));
    let events = wire.invitation_events();
    let ended = events.iter().find_map(|event| match event {
        InvitationEvent::Ended {
            cause,
            reason_header,
            ..
        } => Some((*cause, reason_header.clone())),
        _ => None,
    });
    // SES-18
    let reason = "SIP;cause=500;text=\"Missing ACK\"".to_owned();
    assert_eq!(ended, Some((EndCause::MissingAck, Some(reason))));
    assert!(events.iter().any(|event| matches!(
        event,
        InvitationEvent::Transaction {
            ack_received: Some(false),
            ..
        }
    )));
    wire.wait(Duration::from_secs(60));
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

#[test]
fn a_repeated_invite_is_absorbed_while_the_2xx_waits() {
    // RFC 5407, 3.1.1
    let mut wire = Wire::new();
    wire.accept();
    wire.receive(&invite("1", ""));
    assert!(
        wire.sent
            .iter()
            .all(|(_, text)| text.starts_with("SIP/2.0 200")),
        "{:?}",
        wire.sent
    );
    assert_eq!(wire.endpoint.stats().invitations, 1);
}

#[test]
fn bye_of_the_callee_waits_for_the_ack() {
    // RFC 3261, 15
    let mut wire = Wire::new();
    let tag = wire.accept();
    let now = wire.now;
    wire.call().end(now, &Headers::new()).unwrap();
    assert_eq!(wire.lines(), [""; 0]);
    wire.receive(&inside("ACK", 314_159, &tag, ""));
    assert_eq!(wire.request().method, crate::Method::Bye);
}

#[test]
fn cancel_before_and_after_the_final_response() {
    let mut wire = Wire::new();
    wire.receive(&invite("1", ""));
    let now = wire.now;
    wire.call().ring(now).unwrap();
    let ours = tag(&wire.response());
    let cancel = "CANCEL sip:bob@192.0.2.1 SIP/2.0
        Via: SIP/2.0/UDP pc33.atlanta.com:5070;branch=z9hG4bK1
        Max-Forwards: 70
        To: Bob <sip:bob@biloxi.com>
        From: Alice <sip:alice@atlanta.com>;tag=1928301774
        Call-ID: a84b4c76e66710@pc33.atlanta.com
        CSeq: 314159 CANCEL
        Reason: SIP;cause=200;text=\"Call completed elsewhere\"
        Content-Length: 0";
    wire.receive(cancel);
    let sent: Vec<Response> = std::mem::take(&mut wire.sent)
        .into_iter()
        .map(|(_, text)| match Message::parse(text.into_bytes().into()) {
            Ok(Message::Response(response)) => response,
            other => panic!("{other:?}"),
        })
        .collect();
    let found: Vec<_> = sent
        .iter()
        .map(|response| {
            (
                response.status.code(),
                value(response, HeaderName::CSeq),
                tag(response),
            )
        })
        .collect();
    // RFC 3261, 9.2: both answers, and the same tag in both.
    assert_eq!(
        found,
        [
            (200, "314159 CANCEL", ours.clone()),
            (487, "314159 INVITE", ours.clone())
        ]
    );
    wire.receive(&inside("ACK", 314_159, &ours, "").replace("z9hG4bKACK314159", "z9hG4bK1"));
    let events = wire.invitation_events();
    assert!(
        matches!(
            events.last(),
            Some(InvitationEvent::Ended {
                cause: EndCause::Cancelled,
                reason_header: Some(_),
                ..
            })
        ),
        "{events:#?}"
    );

    // RFC 5407, 3.1.2: after 200 it has no effect.
    let mut wire = Wire::new();
    wire.accept();
    wire.receive(cancel);
    assert_eq!(wire.lines(), ["SIP/2.0 200 OK"]);
    assert_eq!(wire.call().state(), State::Connecting);

    // RFC 3261, 9.2: of nothing.
    let mut wire = Wire::new();
    wire.receive(cancel);
    assert_eq!(wire.status(), 481);
}

#[test]
fn a_call_is_sent_elsewhere() {
    let mut wire = Wire::new();
    wire.receive(&invite("1", ""));
    let mut headers = Headers::new();
    headers.push(HeaderName::Contact, "<sip:bob@home.example.com>");
    let now = wire.now;
    let error = wire
        .call()
        .reject(now, Status::BUSY_HERE, None, &headers)
        .unwrap_err();
    assert_eq!(error, RespondError::Reserved(HeaderName::Contact));
    wire.call()
        .reject(now, Status::MOVED_TEMPORARILY, None, &headers)
        .unwrap();
    let moved = wire.response();
    assert_eq!(moved.status, Status::MOVED_TEMPORARILY);
    assert_eq!(
        value(&moved, HeaderName::Contact),
        "<sip:bob@home.example.com>"
    );
}

#[test]
fn what_a_uas_refuses_by_itself() {
    let refused = |text: &str| {
        let mut wire = Wire::new();
        wire.receive(text);
        let response = wire.response();
        // Everything but CANCEL and ACK is answered without state.
        assert_eq!(wire.endpoint.stats(), Stats::default(), "{text}");
        response
    };
    let required = refused(&invite("1", "Require: foo, 100rel, bar\n"));
    assert_eq!(required.status.code(), 420);
    assert_eq!(value(&required, HeaderName::Unsupported), "foo, bar");

    let scheme =
        refused(&invite("1", "").replace("INVITE sip:bob@192.0.2.1", "INVITE http://192.0.2.1"));
    assert_eq!(scheme.status.code(), 416);

    let version =
        refused(&invite("1", "").replace("sip:bob@192.0.2.1 SIP/2.0", "sip:bob@192.0.2.1 SIP/3.0"));
    assert_eq!(version.status.code(), 505);

    let message = invite("1", "").replace("INVITE", "PUBLISH");
    let method = refused(&message);
    assert_eq!(method.status.code(), 405);
    assert_eq!(
        value(&method, HeaderName::Allow),
        "INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE, PRACK, UPDATE, INFO, SUBSCRIBE, NOTIFY, REFER"
    );

    let body = refused(&invite("1", "").replace("application/sdp", "text/unknown"));
    assert_eq!(body.status.code(), 415);
    assert!(value(&body, HeaderName::Accept).starts_with("application/sdp"));
    assert_eq!(value(&body, HeaderName::AcceptEncoding), "identity");

    let encoded = refused(&invite("1", "Content-Encoding: gzip\n"));
    assert_eq!(encoded.status.code(), 415);

    let gone = refused(&inside("BYE", 5, "unknown", ""));
    assert_eq!(gone.status.code(), 481);
    assert_eq!(
        refused(&inside("INVITE", 5, "unknown", "offer"))
            .status
            .code(),
        481
    );

    let short = refused(&invite("1", "").replace("Content-Length: 5", "Content-Length: 9999"));
    assert_eq!(short.status.code(), 400);

    let late = refused(&invite("1", "").replace("Max-Forwards: 70", "Max-Forwards: x"));
    assert_eq!(late.status.code(), 400);
}

#[test]
fn max_forwards_and_spirals_are_no_business_of_a_uas() {
    // RFC 4475, 3.3.11: never 483. A Via of ours further down is a spiral.
    let mut wire = Wire::new();
    let spiral = invite("1", "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKours\n");
    wire.receive(&spiral.replace("Max-Forwards: 70", "Max-Forwards: 0"));
    assert_eq!(wire.lines(), [""; 0]);
    assert_eq!(wire.endpoint.stats().invitations, 1);
}

#[test]
fn a_merged_request_is_refused_while_the_first_runs() {
    let mut wire = Wire::new();
    wire.receive(&invite("1", ""));
    wire.receive(&invite("2", ""));
    assert_eq!(wire.status(), 482);
    assert_eq!(wire.endpoint.stats().invitations, 1);
}

#[test]
fn acks_and_responses_are_never_answered() {
    let mut wire = Wire::new();
    wire.receive(&inside("ACK", 314_159, "unknown", ""));
    wire.receive(
        &inside("ACK", 314_159, "unknown", "").replace("Max-Forwards: 70", "Max-Forwards: x"),
    );
    wire.receive(
        "SIP/2.0 200 OK
        Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKnothing
        To: Bob <sip:bob@biloxi.com>;tag=1
        From: Alice <sip:alice@atlanta.com>;tag=2
        Call-ID: 1
        CSeq: 1 INVITE
        Content-Length: 0",
    );
    assert_eq!(wire.lines(), [""; 0]);
    assert_eq!(wire.events.len(), 3);
}

#[test]
fn the_time_of_the_invite_runs_out() {
    // RFC 3261, 13.3.1
    let mut wire = Wire::new();
    wire.receive(&invite("1", "Expires: 2\n"));
    let now = wire.now;
    wire.call().ring(now).unwrap();
    wire.lines();
    wire.wait(ms(1_999));
    assert_eq!(wire.lines(), [""; 0]);
    wire.wait(ms(1));
    assert_eq!(wire.status(), 487);
}

#[test]
fn a_provisional_response_every_minute() {
    // RFC 3261, 13.3.1.1
    let mut wire = Wire::new();
    wire.receive(&invite("1", ""));
    let now = wire.now;
    wire.call().ring(now).unwrap();
    wire.lines();
    for _ in 0..3 {
        wire.wait(Duration::from_secs(60));
        assert_eq!(wire.lines(), ["SIP/2.0 180 Ringing"]);
    }
    // Who says nothing is kept alive, too.
    let mut wire = Wire::new();
    wire.receive(&invite("1", ""));
    wire.wait(Duration::from_secs(60));
    assert_eq!(
        wire.lines(),
        ["SIP/2.0 100 Trying", "SIP/2.0 183 Session Progress"]
    );
}

pub(super) fn tag_of(wire: &mut Wire) -> String {
    tag(&wire.response())
}

#[test]
fn too_many_calls_without_ack_are_refused() {
    let mut config = Config::default();
    config.limits.unacknowledged = 1;
    let mut wire = Wire::with(config);
    wire.accept();
    wire.receive(&invite("2", "").replace("a84b4c76e66710", "other"));
    let refused = wire.response();
    assert_eq!(refused.status.code(), 503);
    assert!(refused.headers.contains(HeaderName::RetryAfter));
    assert_eq!(wire.endpoint.stats().unacknowledged, 1);
}

#[test]
fn commands_out_of_place_change_nothing() {
    use crate::usage::invitation::{AnswerError, OfferError};
    let mut wire = Wire::new();
    wire.receive(&invite("1", ""));
    let now = wire.now;
    let mut reserved = Headers::new();
    reserved.push(HeaderName::Via, "x");
    let mut call = wire.call();
    let error = call.accept(now, sdp("answer"), reserved).unwrap_err();
    assert_eq!(error, RespondError::Reserved(HeaderName::Via));
    let error = call
        .provisional(now, Status::OK, None, Headers::new(), None)
        .unwrap_err();
    assert_eq!(error, RespondError::WrongStatus);
    let error = call
        .reject(now, Status::OK, None, &Headers::new())
        .unwrap_err();
    assert_eq!(error, RespondError::WrongStatus);
    let error = call
        .offer(now, Some(sdp("x")), &Headers::new())
        .unwrap_err();
    assert_eq!(error, OfferError::WrongState(State::Incoming));
    wire.lines();
    let tag = wire.accept_known();
    wire.receive(&inside("ACK", 314_159, &tag, ""));
    let now = wire.now;
    let error = wire.call().ring(now).unwrap_err();
    assert_eq!(error, RespondError::WrongState(State::Confirmed));
    let dialog = wire.call().info().unwrap().confirmed.unwrap();
    assert_eq!(
        wire.call().answer(now, dialog, sdp("x")),
        Err(AnswerError::NoOffer)
    );
    assert_eq!(wire.lines(), [""; 0]);
}

impl Wire {
    fn accept_known(&mut self) -> String {
        let now = self.now;
        self.call()
            .accept(now, sdp("answer"), Headers::new())
            .unwrap();
        tag(&self.response())
    }
}

/// INV-19: an INVITE that makes no dialog is refused: with 400 where its sender is to blame (RFC 3261, 8.1.1.8 and 21.4.1;
/// a departure from the document, which has 500 for all), with 500 where it is more than we hold.
#[test]
fn inv_19_an_invite_that_makes_no_dialog_is_refused() {
    let of = |further: &str, contact: &str| {
        let text = invite("19", further);
        text.replace("Contact: <sip:alice@pc33.atlanta.com>\n", contact)
    };
    let routes = "Record-Route: <sip:p.example.com;lr>\n        ".repeat(MAX_ROUTES + 1);
    for (text, status) in [
        (of("", ""), 400),
        (of("", "Contact: *\n"), 400),
        (of("", "Contact: <tel:+1>\n"), 400),
        (
            of("Record-Route: <<\n        ", "Contact: <sip:a@b>\n"),
            400,
        ),
        (invite("19", &routes), 500),
    ] {
        let mut wire = Wire::new();
        wire.receive(&text);
        assert_eq!(wire.status(), status, "{text}");
        assert_eq!(wire.endpoint.invitations().count(), 0);
        assert_eq!(wire.invitation_events(), []);
    }
}
