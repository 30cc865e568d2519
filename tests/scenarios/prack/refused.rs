//! PRACK that is refused, and what follows (RFC 3262, 3 and 4; RFC 5057, 5.1).

use super::{accept, is_incoming, progress};
use crate::{
    beside::is_lossless,
    call::{label, wait},
    line::{PATIENCE, act, answered, audio, call_line, hears, requests},
    runs::Matrix,
};
use simulator::{Line, Phase, Stage};
use sip::{
    HeaderName, Message, Method, Status,
    config::Reliability,
    header::RAck,
    usage::invitation::{InvitationEvent, State},
};
use sipsimple::agent::SessionId;
use std::time::Duration;

fn one_line(name: &'static str) -> Matrix {
    Matrix {
        lines: 1,
        ..Matrix::new(name)
    }
}

/// Line 0 answers each PRACK by `status`, and goes on as if it had taken it.
fn refuses(stage: &mut Stage, status: Status) {
    stage.line(0, "refuses", move |line, _| {
        line.set_slip(move |message| {
            if let Message::Response(response) = message
                && response
                    .headers
                    .cseq()
                    .is_ok_and(|cseq| cseq.method == Method::Prack)
            {
                response.status = status;
                response.reason = status.phrase().into();
            }
            true
        });
    });
}

/// The caller calls line 0, which answers in a 183 and refuses its PRACK; `None` if it was not called.
fn refused(stage: &mut Stage, status: Status) -> Option<SessionId> {
    refuses(stage, status);
    let call = call_line(stage, 0);
    if !hears(stage, 0, 1, is_incoming) {
        return None;
    }
    progress(stage, 0, Some(audio(0, 1, "sendrecv")));
    Some(call)
}

fn is_acknowledged(event: &InvitationEvent) -> bool {
    matches!(event, InvitationEvent::Acknowledged { .. })
}

fn is_over(event: &InvitationEvent) -> bool {
    matches!(event, InvitationEvent::Ended { .. })
}

/// RFC 5057, 5.1: 500 is about the PRACK alone. The response was acknowledged as well as it can be, its answer counts,
/// and the call is taken.
#[test]
fn inv_16_a_prack_that_fails_alone_leaves_the_call_alone() {
    one_line("PRACK meets 500").run("connected", |stage| {
        let Some(call) = refused(stage, Status::SERVER_INTERNAL_ERROR) else {
            return "not called".to_owned();
        };
        accept(stage, 0);
        let alice = stage.alice;
        wait(stage, alice, call, PATIENCE);
        if !hears(stage, 0, 1, is_acknowledged) {
            return "no ACK".to_owned();
        }
        let label = label(stage, alice, call);
        if label == "connected" {
            assert_eq!(requests(stage, alice, &Method::Prack), 1);
            assert_eq!(requests(stage, alice, &Method::Cancel), 0);
            let agent = stage.world.node::<sipsimple::agent::UserAgent>(alice);
            let (_, remote) = agent.descriptions(call).expect("agreed");
            assert_eq!(remote, audio(0, 1, "sendrecv").body);
        }
        label
    });
}

/// The peer does not know the dialog in which it was asked: nobody is left who could answer, and CANCEL ends the INVITE.
fn gone(name: &'static str, outcome: &str, status: Status) {
    one_line(name).run(outcome, |stage| {
        let Some(call) = refused(stage, status) else {
            return "not called".to_owned();
        };
        if !hears(stage, 0, 1, is_over) {
            return "goes on".to_owned();
        }
        let alice = stage.alice;
        wait(stage, alice, call, PATIENCE);
        let label = label(stage, alice, call);
        if label == outcome {
            assert_eq!(requests(stage, alice, &Method::Prack), 1);
            assert_eq!(requests(stage, alice, &Method::Cancel), 1);
            assert_eq!(requests(stage, alice, &Method::Bye), 0);
        }
        label
    });
}

/// RFC 3261, 12.2.1.2
#[test]
fn inv_16_a_prack_that_meets_481_gives_the_call_up() {
    gone(
        "PRACK meets 481",
        "481",
        Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST,
    );
}

/// RFC 5057, 5.1
#[test]
fn inv_16_a_prack_that_meets_404_gives_the_call_up() {
    gone("PRACK meets 404", "404", Status::NOT_FOUND);
}

/// RFC 3261, 9.1 and 15: the 2xx follows the 481 at once, and crosses the CANCEL: it is acknowledged, and BYE ends what
/// nobody wants any more.
#[test]
fn inv_16_a_2xx_that_crosses_the_cancel_is_left_by_bye() {
    one_line("PRACK meets 481, and 2xx").run("left", |stage| {
        let Some(call) = refused(stage, Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST) else {
            return "not called".to_owned();
        };
        // It waits for the PRACK.
        accept(stage, 0);
        if !hears(stage, 0, 1, is_over) {
            return "goes on".to_owned();
        }
        // The answer to its BYE may be on its way for long.
        stage.world.run_for(Duration::from_secs(40));
        let alice = stage.alice;
        match label(stage, alice, call).as_str() {
            "481" => {}
            // The 2xx overtook the 481.
            "ended" if !is_lossless(stage) || stage.setup().path.reorder > 0.0 => {}
            label => return label.to_owned(),
        }
        assert_eq!(requests(stage, alice, &Method::Bye), 1);
        assert!(requests(stage, alice, &Method::Ack) >= 1);
        "left".to_owned()
    });
}

/// Line 0 calls the callee, who rings reliably, and names in its PRACK what `change` makes of it.
fn misnames(stage: &mut Stage, change: fn(RAck) -> Vec<u8>) {
    stage.line(0, "misnames", move |line, _| {
        line.set_slip(move |message| {
            if let Message::Request(request) = message
                && let Some(Ok(rack)) = request.headers.typed::<RAck>()
            {
                let rack = change(rack);
                request.headers.insert(HeaderName::RAck, &rack[..]);
            }
            true
        });
    });
    let to = stage.bob_uri();
    stage
        .line(0, "call", |line, now| {
            line.call(now, to, Some(audio(0, 1, "sendrecv")))
        })
        .unwrap();
}

/// A caller who insists, and a callee who rings and takes the call `after`.
fn insisting(
    name: &'static str,
    outcome: &str,
    after: Duration,
    change: fn(RAck) -> Vec<u8>,
    look: fn(&mut Stage) -> String,
) {
    Matrix {
        sip: |name, sip| {
            if name == "line1" {
                sip.reliable = Reliability::Required;
            }
        },
        ..one_line(name)
    }
    .run(outcome, |stage| {
        let bob = stage.bob();
        stage.answer(bob, Duration::from_millis(100), after);
        misnames(stage, change);
        look(stage)
    });
}

/// How line 0 was told that its call ended.
fn end_of_line(stage: &mut Stage) -> String {
    if !hears(stage, 0, 1, is_over) {
        return "goes on".to_owned();
    }
    let line = stage.world.node::<Line>(stage.lines[0]);
    match line.events().last() {
        Some((_, InvitationEvent::Ended { code, .. })) => {
            code.map_or_else(String::new, |code| code.code().to_string())
        }
        event => format!("{event:?}"),
    }
}

/// RFC 3262, 3: a PRACK that names no response which is outstanding is answered by 481, and the caller leaves.
fn unmatched(name: &'static str, change: fn(RAck) -> Vec<u8>) {
    let late = Duration::from_secs(20);
    insisting(name, "481", late, change, |stage| {
        let label = end_of_line(stage);
        let bob = stage.bob();
        if label == "481" {
            let unknown = Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
            assert!(answered(stage, bob, &Method::Prack, unknown));
            assert!(!answered(stage, bob, &Method::Prack, Status::OK));
        }
        stage.world.run_for(Duration::from_secs(40));
        let is_up = stage
            .model(bob)
            .sessions()
            .any(|(_, belief)| belief.phase == Phase::Up);
        assert!(!is_up);
        label
    });
}

fn print(rack: RAck) -> Vec<u8> {
    format!("{} {} {}", rack.response, rack.number, rack.method).into_bytes()
}

#[test]
fn inv_16_a_prack_for_another_response_meets_481() {
    unmatched("PRACK of another RSeq", |mut rack| {
        rack.response += 1;
        print(rack)
    });
}

#[test]
fn inv_16_a_prack_for_another_request_meets_481() {
    unmatched("PRACK of another CSeq", |mut rack| {
        rack.number += 1;
        print(rack)
    });
}

#[test]
fn inv_16_a_prack_for_another_method_meets_481() {
    unmatched("PRACK of another method", |mut rack| {
        rack.method = Method::Options;
        print(rack)
    });
}

fn senseless(_: RAck) -> Vec<u8> {
    b"x".to_vec()
}

/// What names nothing acknowledges nothing: the ringing is repeated, and 64·T1 later the call is given up (RFC 3262, 3).
#[test]
fn inv_16_a_prack_without_sense_acknowledges_nothing() {
    let late = Duration::from_secs(60);
    insisting("PRACK without sense", "504", late, senseless, |stage| {
        let label = end_of_line(stage);
        if label == "504" {
            let bob = stage.bob();
            assert!(answered(stage, bob, &Method::Prack, Status::BAD_REQUEST));
            assert_eq!(requests(stage, stage.lines[0], &Method::Prack), 1);
        }
        label
    });
}

/// RFC 3262, 3: a 2xx does not wait for the PRACK of a response without a description.
#[test]
fn inv_16_a_call_is_taken_whose_ringing_nobody_acknowledges() {
    let soon = Duration::from_secs(4);
    insisting(
        "taken without PRACK",
        "connected",
        soon,
        senseless,
        |stage| {
            let confirmed =
                |event: &InvitationEvent| matches!(event, InvitationEvent::Confirmed { .. });
            if !hears(stage, 0, 1, confirmed) {
                return "not taken".to_owned();
            }
            stage.world.run_for(Duration::from_secs(40));
            let state = act(stage, 0, "look", |call, _| call.state());
            let bob = stage.bob();
            let is_up = stage
                .model(bob)
                .sessions()
                .any(|(_, belief)| belief.phase == Phase::Up);
            match (state, is_up) {
                (Some(State::Confirmed), true) => "connected".to_owned(),
                state => format!("{state:?}"),
            }
        },
    );
}
