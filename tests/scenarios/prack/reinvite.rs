//! Who is asked for an offer in mid-call makes it in a reliable provisional response (RFC 3262, 5; RFC 6337, 5.2.5): PRACK
//! answers, before the 2xx.

use super::accept;
use crate::{
    call::label,
    hold,
    line::{audio, hears, requests, told, up},
    proposal::{agrees, is_request, last_body, one_line, request, updates},
};
use simulator::Stage;
use sip::{
    Description, Headers, Method, Status,
    usage::invitation::{InvitationEvent, State},
};
use sipsimple::{agent::UserAgent, session};
use std::time::Duration;

/// Line 0 makes its offer in a 183 where it is asked for one, and answers those of the peer.
fn offers_early(stage: &mut Stage, offer: fn() -> Description) {
    stage.line(0, "offers early", move |line, _| {
        line.set_habit(move |endpoint, now, id, event| {
            let Some(mut call) = endpoint.invitation(id) else {
                return;
            };
            match event {
                InvitationEvent::OfferRequested { .. } => {
                    let (code, none) = (Status::SESSION_PROGRESS, Headers::new());
                    let said = call.provisional(now, code, None, none, Some(offer()));
                    said.unwrap();
                }
                InvitationEvent::Offered { dialog, .. } => {
                    // It may have been withdrawn in the same moment.
                    let _ = call.answer(now, *dialog, audio(0, 3, "inactive"));
                }
                _ => {}
            }
        });
    });
}

fn is_answered(event: &InvitationEvent) -> bool {
    matches!(event, InvitationEvent::Answered { early: false, .. })
}

fn is_acknowledged(event: &InvitationEvent) -> bool {
    matches!(event, InvitationEvent::Acknowledged { .. })
}

/// INV-14, INV-16: the session is as was agreed as soon as PRACK has answered. The 2xx brings nothing more, and a hold that
/// is wished before it waits for it.
#[test]
fn inv_16_a_wish_for_an_offer_is_granted_in_183() {
    one_line("offered in 183, asked").run("held by both", |stage| {
        let call = match up(stage) {
            Ok(call) => call,
            Err(label) => return label,
        };
        let alice = stage.alice;
        offers_early(stage, || audio(0, 2, "sendonly"));
        let before = told(stage, 0, is_acknowledged);
        request(stage, alice, call);
        if !agrees(stage, alice, 2) || !hears(stage, 0, 1, is_answered) {
            return "no offer".to_owned();
        }
        let answer = last_body(stage, alice, is_request(Method::Prack));
        assert!(answer.contains("a=recvonly"), "{answer}");
        let session = |stage: &Stage| stage.world.node::<UserAgent>(alice).session(call);
        let info = session(stage).expect("alive");
        assert!(info.on_hold_by_remote && !info.on_hold_by_local);
        assert_eq!(info.state, session::State::Connected);
        let invitation = info.call.expect("it has one");
        assert_eq!(invitation.state, State::Reinviting);
        hold::set_hold(stage, alice, call, true);
        stage.world.run_for(Duration::from_secs(4));
        assert_eq!(requests(stage, alice, &Method::Invite), 2);
        accept(stage, 0);
        if !hears(stage, 0, before + 1, is_acknowledged) {
            return "no ACK".to_owned();
        }
        assert_eq!(last_body(stage, alice, is_request(Method::Ack)), "");
        assert_eq!(requests(stage, alice, &Method::Prack), 1);
        if !agrees(stage, alice, 3) {
            return "no hold".to_owned();
        }
        assert_eq!(updates(stage, alice), (3, 0));
        match session(stage).map(|info| (info.on_hold_by_local, info.on_hold_by_remote)) {
            Some((true, true)) => "held by both".to_owned(),
            held => format!("{held:?}"),
        }
    });
}

/// RFC 3261, 13.2.2.4, for PRACK: what nobody can accept is answered by a refusal of every stream, and the call is over.
#[test]
fn inv_16_an_offer_in_183_that_cannot_be_accepted_ends_the_call() {
    one_line("offered nothing good in 183").run("ended", |stage| {
        let call = match up(stage) {
            Ok(call) => call,
            Err(label) => return label,
        };
        let alice = stage.alice;
        offers_early(stage, || {
            let mut strange = audio(0, 2, "sendrecv");
            let text = String::from_utf8_lossy(&strange.body).into_owned();
            strange.body = text.replace("RTP/AVP 0", "RTP/AVP 96").into();
            strange
        });
        request(stage, alice, call);
        let is_bye = |event: &InvitationEvent| matches!(event, InvitationEvent::Ended { .. });
        if !hears(stage, 0, 1, is_bye) {
            return "goes on".to_owned();
        }
        let answer = last_body(stage, alice, is_request(Method::Prack));
        assert!(answer.contains("m=audio 0 "), "{answer}");
        assert_eq!(updates(stage, alice), (1, 1));
        stage.world.run_for(Duration::from_secs(40));
        label(stage, alice, call)
    });
}
