//! Reliable provisional responses (RFC 3262): every one arrives, whatever the network loses, and
//! carries what offer and answer allow.

mod order;
mod refused;
mod reinvite;

use crate::{
    call::{both, label, probe, wait},
    line::{
        PATIENCE, act, answered, audio, call_line, call_without_offer, hears, requests, sent, told,
    },
    runs::Matrix,
};
use simulator::{Crash, Line, Stage};
use sip::{
    Headers, Message, Method, Status,
    config::Reliability,
    usage::invitation::{InvitationEvent, State},
};
use std::time::Duration;

/// INV-16: a caller who insists hears of the ringing for sure, and says that it has.
#[test]
fn inv_16_ringing_is_acknowledged_to_who_insists() {
    Matrix {
        sip: |name, sip| {
            if name == "alice" {
                sip.reliable = Reliability::Required;
            }
        },
        ..Matrix::new("100rel required")
    }
    .run("connected", |stage| {
        let (alice, bob) = (stage.alice, stage.bob());
        stage.answer(bob, Duration::from_millis(200), Duration::from_secs(30));
        let call = stage.call(probe());
        wait(stage, alice, call, PATIENCE);
        let label = both(stage, call);
        if label == "connected" {
            let rang = stage.model(alice).session(call).unwrap().rang;
            // RFC 3262, 3: seven times in 30 s, and the answer does not wait for it; all may be lost.
            assert!(rang || stage.setup().loss() > 0.1);
            let acknowledged = requests(stage, alice, &Method::Prack);
            assert_eq!(acknowledged, usize::from(rang));
            assert_eq!(answered(stage, bob, &Method::Prack, Status::OK), rang);
        }
        label
    });
}

/// Who can but does not insist gets no more than it needs: ringing says nothing that must not be lost.
#[test]
fn inv_16_plain_ringing_stays_plain() {
    Matrix::new("100rel supported").run("connected", |stage| {
        let (alice, bob) = (stage.alice, stage.bob());
        stage.answer(bob, Duration::from_millis(200), Duration::from_secs(2));
        let call = stage.call(probe());
        wait(stage, alice, call, PATIENCE);
        assert_eq!(requests(stage, alice, &Method::Prack), 0);
        both(stage, call)
    });
}

/// RFC 3262, 3: who insists on what the callee does not do is told so, and calls no more.
#[test]
fn inv_16_who_insists_in_vain_is_refused() {
    Matrix {
        sip: |name, sip| {
            sip.reliable = match name {
                "alice" => Reliability::Required,
                _ => Reliability::Off,
            };
        },
        ..Matrix::new("100rel refused")
    }
    .run("420", |stage| {
        let (alice, bob) = (stage.alice, stage.bob());
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        let call = stage.call(probe());
        wait(stage, alice, call, PATIENCE);
        label(stage, alice, call)
    });
}

/// RFC 3262, 3: the callee insists, and the caller cannot.
#[test]
fn inv_16_a_callee_that_insists_refuses_who_cannot() {
    Matrix {
        sip: |name, sip| {
            sip.reliable = match name {
                "alice" => Reliability::Off,
                _ => Reliability::Required,
            };
        },
        ..Matrix::new("100rel demanded")
    }
    .run("421", |stage| {
        let (alice, bob) = (stage.alice, stage.bob());
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        let call = stage.call(probe());
        wait(stage, alice, call, PATIENCE);
        label(stage, alice, call)
    });
}

fn is_incoming(event: &InvitationEvent) -> bool {
    matches!(event, InvitationEvent::Incoming(_))
}

fn progress(stage: &mut Stage, n: usize, description: Option<sip::Description>) {
    act(stage, n, "progress", |call, now| {
        // The call may be over by now.
        let code = Status::SESSION_PROGRESS;
        let _ = call.provisional(now, code, None, Headers::new(), description);
    });
}

fn accept(stage: &mut Stage, n: usize) {
    act(stage, n, "accept", |call, now| {
        let description = audio(n, 1, "sendrecv");
        let _ = call.accept(now, description, Headers::new());
    });
}

/// RFC 3262, 5 and RFC 6337, 3.1.1: the answer is in the 183, and the 2xx has no other; streams run before it.
#[test]
fn inv_16_an_answer_in_183_is_the_answer() {
    Matrix {
        lines: 1,
        ..Matrix::new("answer in 183")
    }
    .run("connected", |stage| {
        let (alice, line) = (stage.alice, stage.lines[0]);
        let call = call_line(stage, 0);
        if !hears(stage, 0, 1, is_incoming) {
            return "not called".to_owned();
        }
        progress(stage, 0, Some(audio(0, 1, "sendrecv")));
        // Repeated until its PRACK; the 2xx waits for that.
        accept(stage, 0);
        wait(stage, alice, call, PATIENCE);
        let label = label(stage, alice, call);
        if label == "connected" {
            assert_eq!(requests(stage, alice, &Method::Prack), 1);
            let with_body = |message: &Message| match message {
                Message::Response(response) => {
                    response.status == Status::OK && !response.body.is_empty()
                }
                Message::Request(_) => false,
            };
            assert!(!sent(stage, line).iter().any(with_body));
            let agent = stage.world.node::<sipsimple::agent::UserAgent>(alice);
            let (_, remote) = agent.descriptions(call).expect("agreed");
            assert_eq!(remote, audio(0, 1, "sendrecv").body);
        }
        label
    });
}

/// INV-07, INV-08, INV-16, RFC 3262, 5: a call without an offer is offered something in the 183, answers in PRACK,
/// and needs nothing more; a second 183 waits for the PRACK of the first.
#[test]
fn inv_16_an_offer_in_183_is_answered_in_prack() {
    Matrix {
        lines: 2,
        ..Matrix::new("offer in 183")
    }
    .run("Confirmed", |stage| {
        stage.line(0, "answers", |line, _| {
            line.set_habit(|endpoint, now, id, event| {
                if let InvitationEvent::Offered {
                    dialog, immediate, ..
                } = event
                {
                    assert!(immediate, "PRACK cannot wait for people");
                    let mut call = endpoint.invitation(id).unwrap();
                    call.answer(now, *dialog, audio(0, 1, "sendrecv")).unwrap();
                }
            });
        });
        let to = stage.line_uri(1);
        stage
            .line(0, "call", |line, now| line.call(now, to, None))
            .unwrap();
        if !hears(stage, 1, 1, is_incoming) {
            return "not called".to_owned();
        }
        progress(stage, 1, Some(audio(1, 1, "sendrecv")));
        progress(stage, 1, None);
        let is_answer = |event: &InvitationEvent| {
            matches!(event, InvitationEvent::Answered { description, early: false, .. }
                if description.body == audio(0, 1, "sendrecv").body)
        };
        if !hears(stage, 1, 1, is_answer) {
            return "no answer".to_owned();
        }
        accept(stage, 1);
        let is_acknowledged =
            |event: &InvitationEvent| matches!(event, InvitationEvent::Acknowledged { .. });
        hears(stage, 1, 1, is_acknowledged);
        let offers = |event: &InvitationEvent| matches!(event, InvitationEvent::Offered { .. });
        assert_eq!((told(stage, 0, offers), told(stage, 1, is_answer)), (1, 1));
        let state = |stage: &mut Stage, n| act(stage, n, "look", |call, _| call.state());
        match (state(stage, 0), state(stage, 1)) {
            (Some(State::Confirmed), Some(State::Confirmed)) => "Confirmed".to_owned(),
            states => format!("{states:?}"),
        }
    });
}

/// SES-17, RFC 3261, 13.2.1: without reliable responses the 2xx offers, and ACK answers.
#[test]
fn ses_17_a_call_without_offer_is_offered_something_in_the_2xx() {
    Matrix {
        lines: 1,
        configure: |_, config| {
            config.streams_without_offer = vec![sipsimple::stream::StreamSpec::new(
                sipsimple::stream::audio::KIND,
            )];
        },
        ..Matrix::new("offerless call")
    }
    .run("connected", |stage| {
        let bob = stage.bob();
        stage.answer(bob, Duration::from_millis(100), Duration::from_secs(1));
        call_without_offer(stage);
        let confirmed =
            |event: &InvitationEvent| matches!(event, InvitationEvent::Confirmed { .. });
        if !hears(stage, 0, 1, confirmed) {
            return "no answer".to_owned();
        }
        let Some(theirs) = stage.model(bob).alive().into_iter().next() else {
            return "no session".to_owned();
        };
        wait(stage, bob, theirs, PATIENCE);
        label(stage, bob, theirs)
    });
}

/// RFC 3262, 3: a caller that is gone acknowledges nothing; the callee gives the call up after 64·T1.
#[test]
fn inv_16_nobody_acknowledges() {
    Matrix {
        lines: 1,
        ..Matrix::new("no PRACK")
    }
    .run("missing PRACK", |stage| {
        call_line(stage, 0);
        if !hears(stage, 0, 1, is_incoming) {
            return "missing PRACK".to_owned();
        }
        stage.world.crash(stage.alice, Crash::Power);
        progress(stage, 0, Some(audio(0, 1, "sendrecv")));
        stage.world.run_for(Duration::from_secs(40));
        let line = stage.world.node::<Line>(stage.lines[0]);
        match line.events().last() {
            Some((_, InvitationEvent::Ended { code, cause, .. })) => {
                assert_eq!(*code, Some(Status::SERVER_TIMEOUT));
                cause.to_string()
            }
            event => format!("{event:?}"),
        }
    });
}
