//! Offers and answers of ours, with a callee written by hand.

use super::{uac::*, *};
use crate::{HeaderName, Headers, Method, Status, usage::invitation::EndCause};

#[test]
fn a_2xx_confirms_its_preview_or_replaces_it() {
    let answers = |body: &str| {
        let mut wire = Wire::new();
        let invite = wire.dial();
        wire.receive(&answer_to(&invite, "183 Session Progress", "b", "preview"));
        wire.receive(&answer_to(&invite, "183 Session Progress", "b", "preview"));
        wire.receive(&answer_to(&invite, "200 OK", "b", body));
        let events = wire.invitation_events();
        let answers = events.into_iter().filter_map(|event| match event {
            InvitationEvent::Answered {
                description, early, ..
            } => Some((description.body, early)),
            _ => None,
        });
        answers.collect::<Vec<_>>()
    };
    let (preview, other) = (Bytes::from_static(b"preview"), Bytes::from_static(b"other"));
    assert_eq!(
        answers("preview"),
        [(preview.clone(), true), (preview.clone(), false)]
    );
    assert_eq!(answers("other"), [(preview.clone(), true), (other, false)]);
    assert_eq!(answers(""), [(preview.clone(), true), (preview, false)]);
}

#[test]
fn a_2xx_without_description_is_acknowledged_and_left() {
    let mut wire = Wire::new();
    let invite = wire.dial();
    wire.receive(&answer_to(&invite, "200 OK", "b", ""));
    let lines = wire.lines();
    assert!(
        lines[0].starts_with("ACK ") && lines[1].starts_with("BYE "),
        "{lines:?}"
    );
    wire.wait(ms(3_500));
    assert_eq!(
        wire.ended().map(|ended| ended.0),
        Some(EndCause::MissingDescription)
    );
}

#[test]
fn an_offer_in_the_2xx_is_answered_in_the_ack() {
    let mut wire = Wire::new();
    let invite = wire.dial_with(|invite| invite.offer = None);
    assert!(invite.body.is_empty());
    let ok = answer_to(&invite, "200 OK", "b", "offer");
    wire.receive(&ok);
    wire.receive(&ok);
    assert_eq!(wire.lines(), [""; 0]);
    let events = wire.invitation_events();
    let Some(InvitationEvent::Offered { dialog, .. }) = events.last() else {
        panic!("{events:#?}")
    };
    let now = wire.now;
    wire.dialled().answer(now, *dialog, sdp("answer")).unwrap();
    let ack = wire.request();
    assert_eq!((ack.method, &ack.body[..]), (Method::Ack, &b"answer"[..]));
    assert_eq!(wire.dialled().state(), State::Confirmed);
    // Refused instead: ACK, BYE.
    let mut wire = Wire::new();
    let invite = wire.dial_with(|invite| invite.offer = None);
    wire.receive(&answer_to(&invite, "200 OK", "b", "offer"));
    let events = wire.invitation_events();
    let Some(InvitationEvent::Offered { dialog, .. }) = events.last() else {
        panic!("{events:#?}")
    };
    let now = wire.now;
    wire.dialled()
        .refuse(now, *dialog, Status::NOT_ACCEPTABLE_HERE, None)
        .unwrap();
    let lines = wire.lines();
    assert!(
        lines.len() == 2 && lines[0].starts_with("ACK ") && lines[1].starts_with("BYE "),
        "{lines:?}"
    );
}

#[test]
fn reinvite_failures_leave_the_call_or_end_it() {
    // RFC 3261, 14.1 and 12.2.1.2; RFC 5057, 5.1
    for (status, ends) in [
        (400, false),
        (401, false),
        (403, false),
        (404, true),
        (405, true),
        (408, true),
        (410, true),
        (413, false),
        (415, false),
        (416, true),
        (420, false),
        (422, false),
        (480, true),
        (481, true),
        (482, true),
        (483, true),
        (484, true),
        (485, true),
        (486, false),
        (487, false),
        (488, false),
        (489, true),
        (491, false),
        (493, false),
        (500, false),
        (501, true),
        (502, true),
        (503, false),
        (504, false),
        (600, false),
        (603, false),
        (604, true),
    ] {
        let mut wire = Wire::new();
        wire.connect();
        let now = wire.now;
        wire.dialled()
            .offer(now, Some(sdp("offer2")), &Headers::new())
            .unwrap();
        let reinvite = wire.request();
        wire.receive(&answer_with(
            &reinvite,
            &format!("{status} Whatever"),
            "",
            "Retry-After: 7\n",
            "",
        ));
        let lines = wire.lines();
        assert!(lines[0].starts_with("ACK "), "{lines:?}");
        assert_eq!(lines.len(), if ends { 2 } else { 1 }, "{status}: {lines:?}");
        let expected = if ends {
            State::Disconnecting
        } else {
            State::Confirmed
        };
        assert_eq!(wire.dialled().state(), expected, "{status}");
        let events = wire.invitation_events();
        let retry = events.iter().find_map(|event| match event {
            InvitationEvent::OfferFailed { code, retry, .. } if code.code() == status => {
                Some(*retry)
            }
            _ => None,
        });
        let wait = retry.expect("OfferFailed").map(|at| at - now).unwrap();
        match status {
            // We made the Call-ID.
            491 => assert!(
                wait >= ms(2_100) && wait <= ms(4_000) && wait.as_millis().is_multiple_of(10)
            ),
            _ => assert_eq!(wait, Duration::from_secs(7)),
        }
    }
    // Silence.
    let mut wire = Wire::new();
    wire.connect();
    let now = wire.now;
    wire.dialled()
        .offer(now, Some(sdp("offer2")), &Headers::new())
        .unwrap();
    wire.wait(Duration::from_secs(32));
    let lines = wire.lines();
    assert!(lines.last().unwrap().starts_with("BYE "), "{lines:?}");
}

#[test]
fn our_reinvite_refreshes_the_target_and_can_be_taken_back() {
    let mut wire = Wire::new();
    wire.connect();
    let now = wire.now;
    wire.dialled()
        .offer(now, Some(sdp("offer2")), &Headers::new())
        .unwrap();
    let busy = wire
        .dialled()
        .offer(now, Some(sdp("offer3")), &Headers::new());
    assert_eq!(busy, Err(usage::invitation::OfferError::Busy));
    let reinvite = wire.request();
    assert_eq!(
        (value(&reinvite, HeaderName::CSeq), reinvite.uri.as_str()),
        ("2 INVITE", "sip:bob@192.0.2.9:5062;fork=b")
    );
    let moved = answer_to(&reinvite, "200 OK", "moved", "answer2");
    wire.receive(&moved);
    assert_eq!(
        wire.request().uri.as_str(),
        "sip:bob@192.0.2.9:5062;fork=moved"
    );
    wire.dialled()
        .offer(now, Some(sdp("offer4")), &Headers::new())
        .unwrap();
    let reinvite = wire.request();
    wire.receive(&answer_to(&reinvite, "100 Trying", "", ""));
    wire.dialled().cancel_offer(now).unwrap();
    assert_eq!(wire.request().method, Method::Cancel);
    wire.receive(&answer_to(&reinvite, "487 Request Terminated", "", ""));
    assert_eq!(wire.dialled().state(), State::Confirmed);
}

#[test]
fn a_reinvite_answered_after_bye_is_acknowledged() {
    // RFC 5407, 3.2.2
    let mut wire = Wire::new();
    let invite = wire.connect();
    let now = wire.now;
    wire.dialled()
        .offer(now, Some(sdp("offer2")), &Headers::new())
        .unwrap();
    let reinvite = wire.request();
    wire.receive(&from_peer(&invite, "BYE", 1, "b", ""));
    assert_eq!(wire.lines(), ["SIP/2.0 200 OK"]);
    wire.receive(&answer_to(&reinvite, "200 OK", "", "answer2"));
    assert_eq!(wire.request().method, Method::Ack);
    wire.wait(Duration::from_secs(64));
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

#[test]
fn a_repeated_2xx_to_a_reinvite_draws_the_same_ack() {
    let mut wire = Wire::new();
    wire.connect();
    let now = wire.now;
    wire.dialled()
        .offer(now, Some(sdp("offer2")), &Headers::new())
        .unwrap();
    let reinvite = wire.request();
    let ok = answer_to(&reinvite, "200 OK", "", "answer2");
    wire.receive(&ok);
    let ack = wire.sent.remove(0).1;
    wire.receive(&ok);
    assert_eq!(wire.sent.remove(0).1, ack);
    let answers = wire.invitation_events();
    let answers = answers
        .iter()
        .filter(|event| matches!(event, InvitationEvent::Answered { .. }));
    assert_eq!(answers.count(), 1);
}

/// A call of ours that stands, and its re-INVITE without an offer.
fn asks() -> (Wire, Request) {
    let mut wire = Wire::new();
    wire.connect();
    let now = wire.now;
    wire.dialled().offer(now, None, &Headers::new()).unwrap();
    let reinvite = wire.request();
    assert!(reinvite.body.is_empty() && !reinvite.headers.contains(HeaderName::ContentType));
    (wire, reinvite)
}

/// RFC 3261, 14.1 and 13.2.2.4: the 2xx to a re-INVITE without an offer brings it, the ACK waits for the answer; what is
/// repeated meanwhile waits, too, and draws the same ACK later.
#[test]
fn inv_11_a_reinvite_asks_for_an_offer() {
    let (mut wire, reinvite) = asks();
    let ok = answer_to(&reinvite, "200 OK", "", "offer2");
    wire.receive(&ok);
    wire.receive(&ok);
    assert_eq!(wire.lines(), [""; 0]);
    let events = wire.invitation_events();
    let mut offers = events.iter().filter_map(|event| match event {
        InvitationEvent::Offered {
            dialog,
            description,
            immediate: true,
            asked: true,
        } => Some((*dialog, description.clone())),
        _ => None,
    });
    let (dialog, offer) = offers.next().unwrap_or_else(|| panic!("{events:#?}"));
    assert_eq!((offer, offers.next()), (sdp("offer2"), None));
    let now = wire.now;
    // Nothing else can be offered before.
    let busy = wire.dialled().offer(now, None, &Headers::new());
    assert_eq!(busy, Err(usage::invitation::OfferError::Busy));
    wire.dialled().answer(now, dialog, sdp("answer2")).unwrap();
    wire.drain();
    let ack = wire.sent.remove(0).1;
    assert!(ack.starts_with("ACK ") && ack.ends_with("answer2"), "{ack}");
    wire.receive(&ok);
    assert_eq!(wire.sent.remove(0).1, ack);
    assert_eq!(wire.dialled().state(), State::Confirmed);
}

/// RFC 3261, 13.2.1: a 2xx that brings no offer leaves nothing to answer: acknowledged, and the call stays as it was; so
/// does a refusal, whose glare says when to ask again.
#[test]
fn inv_11_an_offer_that_does_not_come_changes_nothing() {
    for (status, code) in [
        ("200 OK", 200),
        ("488 Not Acceptable Here", 488),
        ("491 Request Pending", 491),
    ] {
        let (mut wire, reinvite) = asks();
        wire.events.clear();
        wire.receive(&answer_to(&reinvite, status, "", ""));
        assert_eq!(wire.request().method, Method::Ack);
        let events = wire.invitation_events();
        let failed = events.iter().find_map(|event| match event {
            InvitationEvent::OfferFailed { code, retry, .. } => {
                Some((code.code(), retry.is_some()))
            }
            _ => None,
        });
        assert_eq!(failed, Some((code, code == 491)), "{status}");
        assert_eq!(wire.dialled().state(), State::Confirmed);
        let now = wire.now;
        wire.dialled().offer(now, None, &Headers::new()).unwrap();
    }
}

#[test]
fn a_reinvite_that_a_proxy_forgot_ends_with_its_call() {
    for (trying_first, ours) in [(true, true), (false, true), (true, false), (false, false)] {
        let mut wire = Wire::new();
        let invite = wire.connect();
        let now = wire.now;
        wire.dialled()
            .offer(now, Some(sdp("offer2")), &Headers::new())
            .unwrap();
        let reinvite = wire.request();
        let trying = answer_to(&reinvite, "100 Trying", "", "");
        if trying_first {
            wire.receive(&trying);
        }
        if ours {
            let ended = wire.dialled().end(now, &Headers::new());
            ended.unwrap();
            // RFC 3261, 15.1.2: the BYE is what makes the peer answer the re-INVITE, not a CANCEL.
            let bye = wire.request();
            assert_eq!(bye.method, Method::Bye);
            wire.receive(&answer_to(&bye, "200 OK", "", ""));
        } else {
            wire.receive(&from_peer(&invite, "BYE", 1, "b", ""));
            assert_eq!(wire.lines(), ["SIP/2.0 200 OK"]);
        }
        if !trying_first {
            wire.receive(&trying);
        }
        assert!(wire.ended().is_some());
        wire.wait(Duration::from_secs(64));
        assert_eq!(wire.endpoint.stats(), Stats::default());
    }
}
