//! Inside an incoming call, with a caller written by hand; the races of RFC 5407.

use super::{uas::*, *};
use crate::{
    HeaderName, Headers, Method, Status,
    usage::invitation::{EndCause, OfferError},
};

#[test]
fn requests_inside_the_dialog() {
    let mut wire = Wire::new();
    let tag = wire.establish();
    wire.receive(&inside("OPTIONS", 314_160, &tag, ""));
    assert_eq!(wire.status(), 200);
    // RFC 3261, 12.2.2
    wire.receive(&inside("OPTIONS", 314_100, &tag, ""));
    assert_eq!(wire.status(), 500);
    wire.receive(&inside("PUBLISH", 314_161, &tag, ""));
    assert_eq!(wire.status(), 405);
    // RFC 4916: addresses may change.
    let renamed =
        inside("OPTIONS", 314_170, &tag, "").replace("alice@atlanta.com", "carol@example.org");
    wire.receive(&renamed);
    assert_eq!(wire.status(), 200);
    wire.receive(&inside("BYE", 314_180, &tag, ""));
    assert_eq!(wire.status(), 200);
    let events = wire.invitation_events();
    assert!(
        matches!(
            events.last(),
            Some(InvitationEvent::Ended {
                cause: EndCause::Bye,
                ..
            })
        ),
        "{events:#?}"
    );
    wire.wait(Duration::from_secs(60));
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

#[test]
fn reinvites_of_the_peer() {
    let mut wire = Wire::new();
    let tag = wire.establish();
    wire.receive(&inside("INVITE", 314_160, &tag, "offer2"));
    let events = wire.invitation_events();
    let Some(InvitationEvent::Offered {
        dialog,
        description,
        ..
    }) = events.last()
    else {
        panic!("{events:#?}")
    };
    assert_eq!(description, &sdp("offer2"));
    // RFC 3261, 14.2: a second one while the first is open.
    wire.receive(&inside("INVITE", 314_161, &tag, "offer3"));
    let overlap = wire.response();
    assert_eq!(overlap.status.code(), 500);
    let seconds: u32 = value(&overlap, HeaderName::RetryAfter).parse().unwrap();
    assert!(seconds <= 10);
    let now = wire.now;
    wire.call()
        .refuse(now, *dialog, Status::NOT_ACCEPTABLE_HERE, Some("no codec"))
        .unwrap();
    let refused = wire.response();
    assert_eq!(refused.status.code(), 488);
    assert_eq!(
        value(&refused, HeaderName::Warning),
        "399 sipsimple \"no codec\""
    );
    assert_eq!(wire.call().state(), State::Confirmed);
    // Without an offer: ours comes in the 2xx, theirs in the ACK.
    wire.receive(&inside("INVITE", 314_162, &tag, ""));
    let events = wire.invitation_events();
    assert!(
        matches!(events.last(), Some(InvitationEvent::OfferRequested { .. })),
        "{events:#?}"
    );
    let now = wire.now;
    wire.call()
        .offer(now, Some(sdp("offer4")), &Headers::new())
        .unwrap();
    let ok = wire.response();
    assert_eq!((ok.status.code(), &ok.body[..]), (200, &b"offer4"[..]));
    wire.receive(&inside("ACK", 314_162, &tag, "answer4"));
    let events = wire.invitation_events();
    let answered = events.iter().any(|event| {
        matches!(event, InvitationEvent::Answered { description, early: false, .. } if *description == sdp("answer4"))
    });
    assert!(answered, "{events:#?}");
}

#[test]
fn a_reinvite_crosses_ours() {
    // RFC 3261, 14.2; RFC 5407, 3.3.2
    let mut wire = Wire::new();
    let tag = wire.establish();
    let now = wire.now;
    wire.call()
        .offer(now, Some(sdp("ours")), &Headers::new())
        .unwrap();
    assert_eq!(wire.request().method, Method::Invite);
    wire.receive(&inside("INVITE", 314_160, &tag, "theirs"));
    assert_eq!(wire.status(), 491);
    assert_eq!(wire.call().state(), State::Reinviting);
}

#[test]
fn a_reinvite_before_the_ack() {
    // RFC 5407, 3.1.4: the offer of the INVITE is answered, so the next one may come.
    let mut wire = Wire::new();
    let tag = wire.accept();
    wire.receive(&inside("INVITE", 314_160, &tag, "offer2"));
    assert_eq!(wire.call().state(), State::Reinvited);
    wire.receive(&inside("ACK", 314_159, &tag, ""));
    let now = wire.now;
    wire.call()
        .accept(now, sdp("answer2"), Headers::new())
        .unwrap();
    assert_eq!(wire.status(), 200);
    wire.receive(&inside("ACK", 314_160, &tag, ""));
    wire.wait(Duration::from_secs(5));
    assert_eq!(wire.lines(), [""; 0]);

    // RFC 5407, 3.1.5: our offer in the 2xx is not answered.
    let mut wire = Wire::new();
    wire.receive(
        &invite("1", "")
            .replace("Content-Type: application/sdp\n", "")
            .replace("Content-Length: 5", "Content-Length: 0"),
    );
    let now = wire.now;
    wire.call()
        .accept(now, sdp("offer"), Headers::new())
        .unwrap();
    let tag = tag_of(&mut wire);
    wire.receive(&inside("INVITE", 314_160, &tag, "offer2"));
    assert_eq!(wire.status(), 491);
}

#[test]
fn bye_crosses_everything() {
    // RFC 5407, 3.1.3: before the ACK.
    let mut wire = Wire::new();
    let tag = wire.accept();
    wire.receive(&inside("BYE", 314_160, &tag, ""));
    assert_eq!(wire.lines(), ["SIP/2.0 200 OK"]);
    wire.receive(&inside("ACK", 314_159, &tag, ""));
    wire.wait(Duration::from_secs(64));
    assert_eq!(wire.lines(), [""; 0]);
    assert_eq!(wire.endpoint.stats(), Stats::default());

    // RFC 5407, 3.2.1 and 3.2.3: after our BYE a re-INVITE is 481, a BYE is 200.
    let mut wire = Wire::new();
    let tag = wire.establish();
    let now = wire.now;
    wire.call().end(now, &Headers::new()).unwrap();
    assert_eq!(wire.request().method, Method::Bye);
    wire.receive(&inside("INVITE", 314_160, &tag, "offer2"));
    assert_eq!(wire.status(), 481);
    wire.receive(&inside("BYE", 314_161, &tag, ""));
    assert_eq!(wire.status(), 200);
    let events = wire.invitation_events();
    assert!(
        matches!(
            events.last(),
            Some(InvitationEvent::Ended {
                cause: EndCause::UserRequest,
                ..
            })
        ),
        "{events:#?}"
    );

    // RFC 3261, 15.1.2: a re-INVITE that waits gets 487.
    let mut wire = Wire::new();
    let tag = wire.establish();
    wire.receive(&inside("INVITE", 314_160, &tag, "offer2"));
    wire.receive(&inside("BYE", 314_161, &tag, ""));
    assert_eq!(
        wire.lines(),
        ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]
    );
}

#[test]
fn the_peer_takes_its_reinvite_back() {
    let mut wire = Wire::new();
    let tag = wire.establish();
    wire.receive(&inside("INVITE", 314_160, &tag, "offer2"));
    let cancel = inside("CANCEL", 314_160, &tag, "").replace("z9hG4bKCANCEL", "z9hG4bKINVITE");
    wire.receive(&cancel);
    assert_eq!(
        wire.lines(),
        ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]
    );
    let events = wire.invitation_events();
    assert!(
        events
            .iter()
            .any(|event| matches!(event, InvitationEvent::OfferWithdrawn { .. })),
        "{events:#?}"
    );
    assert_eq!(wire.call().state(), State::Confirmed);
}

#[test]
fn a_call_without_an_answer_in_its_ack_is_ended() {
    let mut wire = Wire::new();
    wire.receive(
        &invite("1", "")
            .replace("Content-Type: application/sdp\n", "")
            .replace("Content-Length: 5", "Content-Length: 0"),
    );
    let now = wire.now;
    wire.call()
        .accept(now, sdp("offer"), Headers::new())
        .unwrap();
    let tag = tag_of(&mut wire);
    wire.receive(&inside("ACK", 314_159, &tag, ""));
    assert_eq!(wire.request().method, Method::Bye);
}

/// RFC 3261, 14.1: the same of a re-INVITE leaves the call as it was; only an ACK that never comes ends it.
#[test]
fn inv_10_a_reinvite_without_an_answer_in_its_ack_changes_nothing() {
    let mut wire = Wire::new();
    let tag = wire.establish();
    wire.receive(&inside("INVITE", 314_160, &tag, ""));
    let now = wire.now;
    wire.call()
        .offer(now, Some(sdp("offer2")), &Headers::new())
        .unwrap();
    assert_eq!(wire.status(), 200);
    // What crosses it is refused as any offer is (RFC 6337, 4.3).
    wire.receive(&inside("UPDATE", 314_161, &tag, "offer3"));
    assert_eq!(wire.status(), 491);
    wire.events.clear();
    wire.receive(&inside("ACK", 314_160, &tag, ""));
    let events = wire.invitation_events();
    let is_void = |event: &InvitationEvent| matches!(event, InvitationEvent::OfferFailed { code, retry: None, .. } if code.code() == 488);
    assert!(events.iter().any(is_void), "{events:#?}");
    assert_eq!(wire.lines(), [""; 0]);
    assert_eq!(wire.call().state(), State::Confirmed);
    wire.receive(&inside("INVITE", 314_162, &tag, "offer4"));
    assert_eq!(wire.call().state(), State::Reinvited);
}

/// RFC 5407, 3.1.4: an ACK that comes late belongs to its own re-INVITE, and answers no offer of a later 2xx.
#[test]
fn inv_10_a_late_ack_is_no_answer_to_a_later_offer() {
    let mut wire = Wire::new();
    let tag = wire.establish();
    wire.receive(&inside("INVITE", 314_160, &tag, "offer2"));
    let now = wire.now;
    let accepted = wire.call().accept(now, sdp("answer2"), Headers::new());
    accepted.unwrap();
    assert_eq!(wire.status(), 200);
    wire.receive(&inside("INVITE", 314_161, &tag, ""));
    let offered = wire.call().offer(now, Some(sdp("offer3")), &Headers::new());
    offered.unwrap();
    assert_eq!(wire.status(), 200);
    wire.events.clear();
    wire.receive(&inside("ACK", 314_160, &tag, ""));
    let of_offers = |event: &InvitationEvent| {
        matches!(
            event,
            InvitationEvent::OfferFailed { .. } | InvitationEvent::Answered { .. }
        )
    };
    let events = wire.invitation_events();
    assert!(!events.iter().any(of_offers), "{events:#?}");
    wire.receive(&inside("ACK", 314_161, &tag, "answer3"));
    let events = wire.invitation_events();
    let is_answer = |event: &InvitationEvent| matches!(event, InvitationEvent::Answered { description, .. } if description.body == "answer3");
    assert!(events.iter().any(is_answer), "{events:#?}");
}

#[test]
fn an_accepted_reinvite_moves_the_target_and_blocks_offers_until_its_ack() {
    let mut wire = Wire::new();
    let tag = wire.establish();
    let moved =
        inside("INVITE", 314_160, &tag, "offer2").replace("<sip:alice@pc33", "<sip:alice@moved");
    wire.receive(&moved);
    let now = wire.now;
    wire.call()
        .accept(now, sdp("answer2"), Headers::new())
        .unwrap();
    assert_eq!(wire.status(), 200);
    // RFC 3261, 14.1: no INVITE while another one is in progress.
    let busy = wire.call().offer(now, Some(sdp("offer3")), &Headers::new());
    assert_eq!(busy, Err(OfferError::Busy));
    // RFC 3261, 15 makes BYE wait for the ACK of the first INVITE only.
    wire.call().end(now, &Headers::new()).unwrap();
    let bye = wire.request();
    assert_eq!(
        (bye.method, bye.uri.as_str()),
        (Method::Bye, "sip:alice@moved.atlanta.com")
    );
}
