//! UPDATE (RFC 3311), with the other side written by hand.

use super::{
    prack::reliable,
    uac::*,
    uas::{inside, invite, tag},
    *,
};
use crate::{
    HeaderName, Headers, Method, Status,
    usage::invitation::{EndCause, OfferError},
};

const ALLOW: &str = "Allow: INVITE, ACK, BYE, CANCEL, PRACK, UPDATE\n";

impl Wire {
    /// A call of ours to a peer that takes UPDATE.
    pub(super) fn connect_updatable(&mut self) -> (Request, DialogId) {
        let invite = self.dial();
        self.receive(&answer_with(&invite, "200 OK", "b", ALLOW, "answer"));
        assert_eq!(self.request().method, Method::Ack);
        self.events.clear();
        let dialog = self.dialled().info().unwrap().confirmed.unwrap();
        (invite, dialog)
    }

    pub(super) fn update(
        &mut self,
        dialog: DialogId,
        offer: Option<&str>,
    ) -> Result<(), OfferError> {
        let now = self.now;
        let result = self
            .dialled()
            .update(now, dialog, offer.map(sdp), &Headers::new());
        self.drain();
        result
    }
}

#[test]
fn inv_15_update_without_body_refreshes_the_target() {
    let mut wire = Wire::new();
    let tag = wire.establish();
    let moved = inside("UPDATE", 314_160, &tag, "")
        .replace("alice@pc33.atlanta.com>", "alice@pc34.atlanta.com>");
    wire.receive(&moved);
    let ok = wire.response();
    assert_eq!((ok.status, ok.body.len()), (Status::OK, 0));
    assert!(ok.headers.contains(HeaderName::Contact));
    assert!(wire.invitation_events().is_empty());
    let now = wire.now;
    wire.call().end(now, &Headers::new()).unwrap();
    assert_eq!(wire.request().uri.as_str(), "sip:alice@pc34.atlanta.com");
}

#[test]
fn inv_14_an_offer_in_update_is_answered_or_refused() {
    let mut wire = Wire::new();
    let tag = wire.establish();
    let offered = |wire: &mut Wire, number| {
        wire.receive(&inside("UPDATE", number, &tag, "offer2"));
        assert_eq!(wire.lines(), [""; 0]);
        match wire.invitation_events().pop() {
            Some(InvitationEvent::Offered {
                dialog, immediate, ..
            }) => {
                assert!(immediate);
                dialog
            }
            event => panic!("{event:?}"),
        }
    };
    let dialog = offered(&mut wire, 314_160);
    // RFC 3311, 5.2: before its answer neither a second one nor a re-INVITE, nor an offer of ours.
    for method in ["UPDATE", "INVITE"] {
        wire.receive(&inside(method, 314_161, &tag, "offer3"));
        let refused = wire.response();
        let after = uas::value(&refused, HeaderName::RetryAfter);
        assert_eq!(refused.status, Status::SERVER_INTERNAL_ERROR);
        assert!((0..=10).contains(&after.parse::<u32>().unwrap()));
        if method == "INVITE" {
            wire.receive(&inside("ACK", 314_161, &tag, ""));
        }
    }
    let now = wire.now;
    let busy = wire.call().offer(now, Some(sdp("ours")), &Headers::new());
    assert_eq!(busy, Err(OfferError::Busy));
    wire.call().answer(now, dialog, sdp("answer2")).unwrap();
    let ok = wire.response();
    assert_eq!((ok.status, &ok.body[..]), (Status::OK, &b"answer2"[..]));
    let dialog = offered(&mut wire, 314_162);
    wire.call()
        .refuse(now, dialog, Status::SERVER_TIMEOUT, Some("ask again"))
        .unwrap();
    let refused = wire.response();
    assert_eq!(refused.status, Status::SERVER_TIMEOUT);
    assert!(uas::value(&refused, HeaderName::Warning).contains("ask again"));
    // A BYE leaves nothing unanswered.
    offered(&mut wire, 314_163);
    wire.receive(&inside("BYE", 314_164, &tag, ""));
    let mut lines = wire.lines();
    lines.sort();
    assert_eq!(lines, ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]);
    wire.wait(Duration::from_secs(64));
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

#[test]
fn update_crosses_offers_of_ours() {
    // RFC 3311, 5.2
    let mut wire = Wire::new();
    let (invite, dialog) = wire.connect_updatable();
    wire.update(dialog, Some("offer2")).unwrap();
    let ours = wire.request();
    assert_eq!(
        (&ours.method, &ours.body[..]),
        (&Method::Update, &b"offer2"[..])
    );
    assert!(ours.headers.contains(HeaderName::Contact));
    wire.receive(&from_peer(&invite, "UPDATE", 1, "b", "theirs"));
    assert_eq!(wire.status(), 491);
    wire.receive(&from_peer(&invite, "INVITE", 2, "b", "theirs"));
    assert_eq!(wire.status(), 491);
    // Without an offer it crosses nothing.
    wire.receive(&from_peer(&invite, "UPDATE", 3, "b", ""));
    assert_eq!(wire.status(), 200);
    assert_eq!(wire.update(dialog, Some("offer3")), Err(OfferError::Busy));
    let moved = answer_to(&ours, "200 OK", "moved", "answer2");
    wire.receive(&moved);
    let answered = wire.invitation_events().into_iter().any(|event| {
        matches!(event, InvitationEvent::Answered { description, .. } if description == sdp("answer2"))
    });
    assert!(answered);
    wire.update(dialog, None).unwrap();
    let next = wire.request();
    assert_eq!(next.uri.as_str(), "sip:bob@192.0.2.9:5062;fork=moved");
}

#[test]
fn failures_of_update_leave_the_call_or_end_it() {
    for (status, ends) in [
        (405, false),
        (408, true),
        (481, true),
        (488, false),
        (491, false),
        (500, false),
        (501, false),
        (504, false),
    ] {
        let mut wire = Wire::new();
        let (_, dialog) = wire.connect_updatable();
        wire.update(dialog, Some("offer2")).unwrap();
        let update = wire.request();
        let line = format!("{status} Whatever");
        wire.receive(&answer_with(&update, &line, "", "Retry-After: 7\n", ""));
        let failed = wire
            .invitation_events()
            .into_iter()
            .find_map(|event| match event {
                InvitationEvent::OfferFailed { code, retry, .. } => Some((code.code(), retry)),
                _ => None,
            });
        let (code, retry) = failed.unwrap();
        let wait = retry.unwrap() - wire.now;
        assert_eq!(code, status);
        match status {
            // We made the Call-ID.
            491 => assert!(wait >= ms(2_100) && wait <= ms(4_000)),
            405 | 501 => assert_eq!(wait, Duration::ZERO),
            _ => assert_eq!(wait, Duration::from_secs(7)),
        }
        let lines = wire.lines();
        assert_eq!(lines.iter().any(|line| line.starts_with("BYE ")), ends);
        if matches!(status, 405 | 501) {
            // It goes by re-INVITE from here on.
            wire.update(dialog, Some("offer2")).unwrap();
            assert_eq!(wire.request().method, Method::Invite);
        }
    }
}

#[test]
fn peers_without_update_get_a_reinvite() {
    let mut wire = Wire::new();
    wire.connect();
    let dialog = wire.dialled().info().unwrap().confirmed.unwrap();
    // Without an offer of its own it repeats what was agreed.
    wire.update(dialog, None).unwrap();
    let reinvite = wire.request();
    assert_eq!(
        (&reinvite.method, &reinvite.body[..]),
        (&Method::Invite, &b"offer"[..])
    );
    let mut wire = Wire::new();
    let invite = wire.dial();
    wire.receive(&answer_to(&invite, "180 Ringing", "b", ""));
    let dialog = wire.dialled().info().unwrap().dialogs[0];
    assert_eq!(wire.update(dialog, None), Err(OfferError::NoUpdate));
}

#[test]
fn update_in_an_early_dialog() {
    let mut wire = Wire::new();
    let invite_sent = wire.dial();
    let further = format!("{ALLOW}Require: 100rel\nRSeq: 1\n");
    wire.receive(&answer_with(&invite_sent, "180 Ringing", "b", &further, ""));
    let dialog = wire.dialled().info().unwrap().dialogs[0];
    // It would overtake the PRACK (RFC 3261, 12.2.2).
    assert_eq!(wire.update(dialog, None), Err(OfferError::Busy));
    let acknowledge = |wire: &mut Wire| {
        let prack = wire.request();
        assert_eq!(prack.method, Method::Prack);
        wire.receive(&answer_to(&prack, "200 OK", "", ""));
    };
    acknowledge(&mut wire);
    // Our first offer is open (RFC 3311, 5.1).
    assert_eq!(wire.update(dialog, Some("offer2")), Err(OfferError::Busy));
    wire.update(dialog, None).unwrap();
    let bare = wire.request();
    wire.receive(&answer_to(&bare, "200 OK", "", ""));
    wire.receive(&reliable(
        &invite_sent,
        "183 Session Progress",
        "b",
        2,
        "answer",
    ));
    acknowledge(&mut wire);
    wire.update(dialog, Some("offer2")).unwrap();
    let update = wire.request();
    // The INVITE is accepted meanwhile.
    wire.receive(&answer_to(&invite_sent, "200 OK", "b", ""));
    assert_eq!(wire.request().method, Method::Ack);
    wire.events.clear();
    wire.receive(&answer_to(&update, "200 OK", "", "answer2"));
    let events = wire.invitation_events();
    assert!(
        events
            .iter()
            .any(|event| matches!(event, InvitationEvent::Answered { .. })),
        "{events:#?}"
    );
    // The peer's: its offer is not answered yet, so it may not make another.
    let mut wire = Wire::new();
    wire.receive(&invite("1", ALLOW));
    let now = wire.now;
    wire.call().ring(now).unwrap();
    let ours = tag(&wire.response());
    wire.receive(&inside("UPDATE", 314_160, &ours, "offer2"));
    assert_eq!(wire.status(), 500);
    wire.receive(&inside("UPDATE", 314_161, &ours, ""));
    assert_eq!(wire.status(), 200);
}

#[test]
fn an_update_into_a_lost_early_dialog_ends_that_fork() {
    let mut wire = Wire::new();
    let invite = wire.dial();
    wire.receive(&answer_with(&invite, "180 Ringing", "b", ALLOW, ""));
    let dialog = wire.dialled().info().unwrap().dialogs[0];
    wire.update(dialog, None).unwrap();
    let update = wire.request();
    wire.receive(&answer_to(&update, "481 Gone", "", ""));
    assert!(wire.lines()[0].starts_with("CANCEL "));
    wire.receive(&answer_to(&invite, "487 Request Terminated", "b", ""));
    assert_eq!(
        wire.ended().map(|ended| ended.0),
        Some(EndCause::DialogGone)
    );
}
