//! UPDATE (RFC 3311), and offers that cross.

use crate::{
    call::wait,
    line::{PATIENCE, act, answered, audio, hears, latest, requests, told, up},
    runs::Matrix,
};
use simulator::{Line, Path, Stage};
use sip::{
    Description, Headers, Method, Status,
    usage::invitation::{InvitationEvent, OfferError, State},
};
use sipsimple::agent::{SessionId, UserAgent};
use std::time::{Duration, Instant};

fn one_line(name: &'static str) -> Matrix {
    Matrix {
        lines: 1,
        ..Matrix::new(name)
    }
}

/// The answer of line `n` to whatever is offered.
fn mirror(n: usize, offer: &Description, version: u32) -> Description {
    let says = |word: &str| {
        let body = String::from_utf8_lossy(&offer.body).into_owned();
        body.contains(&format!("a={word}"))
    };
    let direction = match () {
        () if says("sendonly") => "recvonly",
        () if says("recvonly") => "sendonly",
        () if says("inactive") => "inactive",
        () => "sendrecv",
    };
    audio(n, version, direction)
}

/// Makes line `n` accept calls, and answer every offer in them at once.
fn agrees(stage: &mut Stage, n: usize) {
    stage.line(n, "agrees", move |line, _| {
        let mut version = 1;
        line.set_habit(move |endpoint, now, id, event| {
            let Some(mut call) = endpoint.invitation(id) else {
                return;
            };
            match event {
                InvitationEvent::Incoming(incoming) if incoming.offer.is_some() => {
                    let description = audio(n, version, "sendrecv");
                    call.accept(now, description, Headers::new()).unwrap();
                }
                InvitationEvent::Offered {
                    dialog,
                    description,
                    ..
                } => {
                    version += 1;
                    let answer = mirror(n, description, version);
                    // The offer may have been withdrawn in the same moment.
                    let _ = call.answer(now, *dialog, answer);
                }
                _ => {}
            }
        });
    });
}

/// Line `n` offers in UPDATE.
fn update(stage: &mut Stage, n: usize, description: Description) -> Result<(), OfferError> {
    let over = Err(OfferError::WrongState(State::Disconnected));
    act(stage, n, "update", |call, now| {
        let info = call.info();
        let dialog = info.and_then(|info| info.confirmed.or_else(|| info.dialogs.first().copied()));
        let Some(dialog) = dialog else { return over };
        call.update(now, dialog, Some(description), &Headers::new())
    })
    .unwrap_or(over)
}

fn is_answered(event: &InvitationEvent) -> bool {
    matches!(event, InvitationEvent::Answered { early: false, .. })
}

fn holds(stage: &Stage, id: SessionId) -> (bool, bool) {
    let agent = stage.world.node::<UserAgent>(stage.alice);
    let info = agent.session(id).expect("alive");
    (info.on_hold_by_local, info.on_hold_by_remote)
}

/// INV-14, INV-15: hold and back by UPDATE: answered at once, and the session follows.
#[test]
fn inv_15_an_offer_in_update_is_answered_and_followed() {
    one_line("UPDATE").run("held and back", |stage| {
        let call = match up(stage) {
            Ok(call) => call,
            Err(label) => return label,
        };
        let (alice, before) = (stage.alice, told(stage, 0, is_answered));
        let mut held = Vec::new();
        for (version, direction) in [(2, "sendonly"), (3, "sendrecv")] {
            update(stage, 0, audio(0, version, direction)).unwrap();
            if !hears(stage, 0, before + version as usize - 1, is_answered) {
                return "no answer".to_owned();
            }
            held.push(holds(stage, call));
        }
        assert!(answered(stage, alice, &Method::Update, Status::OK));
        assert_eq!(requests(stage, stage.lines[0], &Method::Invite), 0);
        match held[..] {
            [(false, true), (false, false)] => "held and back".to_owned(),
            _ => format!("{held:?}"),
        }
    });
}

/// INV-15: an UPDATE without an offer is answered without one, and nothing changes.
#[test]
fn inv_15_update_without_offer_changes_nothing() {
    one_line("UPDATE empty").run("200", |stage| {
        let call = match up(stage) {
            Ok(call) => call,
            Err(label) => return label,
        };
        let agent = stage.world.node::<UserAgent>(stage.alice);
        let before = agent.descriptions(call);
        act(stage, 0, "update", |call, now| {
            let dialog = call.info().unwrap().confirmed.unwrap();
            call.update(now, dialog, None, &Headers::new()).unwrap();
        });
        let done = |event: &InvitationEvent| {
            matches!(event, InvitationEvent::Transaction { method, .. } if *method == Method::Update)
        };
        hears(stage, 0, 1, done);
        let agent = stage.world.node::<UserAgent>(stage.alice);
        assert_eq!(agent.descriptions(call), before);
        let line = stage.world.node::<Line>(stage.lines[0]);
        let code = line.events().iter().find_map(|(_, event)| match event {
            InvitationEvent::Transaction { method, code, .. } if *method == Method::Update => {
                Some(code.to_string())
            }
            _ => None,
        });
        code.unwrap_or_default()
    });
}

/// RFC 3311, 5.1: the caller changes its mind before the call is answered.
#[test]
fn inv_14_update_in_an_early_dialog() {
    Matrix {
        lines: 2,
        ..Matrix::new("early UPDATE")
    }
    .run("Confirmed", |stage| {
        let to = stage.line_uri(1);
        let offer = audio(0, 1, "sendrecv");
        stage
            .line(0, "call", |line, now| line.call(now, to, Some(offer)))
            .unwrap();
        stage.line(1, "answers", |line, _| {
            line.set_habit(|endpoint, now, id, event| {
                let Some(mut call) = endpoint.invitation(id) else {
                    return;
                };
                match event {
                    InvitationEvent::Incoming(_) => {
                        let answer = Some(audio(1, 1, "sendrecv"));
                        let code = Status::SESSION_PROGRESS;
                        call.provisional(now, code, None, Headers::new(), answer)
                            .unwrap();
                    }
                    InvitationEvent::Offered {
                        dialog,
                        description,
                        ..
                    } => {
                        let answer = mirror(1, description, 2);
                        call.answer(now, *dialog, answer).unwrap();
                    }
                    _ => {}
                }
            });
        });
        if !hears(stage, 0, 1, is_answered) {
            return "no answer".to_owned();
        }
        // The PRACK of the 183 is on its way, which the callee may not have seen.
        while update(stage, 0, audio(0, 2, "inactive")) == Err(OfferError::Busy) {
            stage.world.run_for(Duration::from_millis(100));
        }
        let is_second = |event: &InvitationEvent| {
            let second = audio(1, 2, "inactive");
            matches!(event, InvitationEvent::Answered { description, .. } if *description == second)
        };
        if !hears(stage, 0, 1, is_second) {
            return format!("not updated: {:?}", latest(stage, 0));
        }
        act(stage, 1, "accept", |call, now| {
            let _ = call.accept(now, audio(1, 2, "inactive"), Headers::new());
        });
        let acknowledged =
            |event: &InvitationEvent| matches!(event, InvitationEvent::Acknowledged { .. });
        hears(stage, 1, 1, acknowledged);
        match act(stage, 0, "look", |call, _| call.state()) {
            Some(State::Confirmed) => "Confirmed".to_owned(),
            state => format!("{state:?}"),
        }
    });
}

/// A path on which what is sent within 150 ms crosses.
fn long(stage: &mut Stage) {
    let path = Path {
        latency: Duration::from_millis(150),
        ..stage.setup().path.clone()
    };
    stage.world.set_default_path(path);
}

/// When RFC 3261, 14.1 lets line `n` offer again, of its latest offer that failed by glare.
fn retry_of(stage: &Stage, n: usize) -> Option<Instant> {
    let line = stage.world.node::<Line>(stage.lines[n]);
    let mut events = line.events().iter().rev();
    events.find_map(|(_, event)| match event {
        InvitationEvent::OfferFailed { code, retry, .. } if *code == Status::REQUEST_PENDING => {
            *retry
        }
        _ => None,
    })
}

/// INV-20, RFC 3261, 14.1, RFC 3311, 5.2: two UPDATEs cross; both are refused by 491, the caller's comes again
/// after 2.1 to 4 s, the callee's within 2 s, and both are agreed on in the end.
#[test]
fn inv_20_two_updates_cross() {
    Matrix {
        lines: 2,
        losses: &[0.0, 0.1],
        ..Matrix::new("UPDATE glare")
    }
    .run("both", |stage| {
        long(stage);
        agrees(stage, 0);
        agrees(stage, 1);
        let to = stage.line_uri(1);
        let offer = audio(0, 1, "sendrecv");
        stage
            .line(0, "call", |line, now| line.call(now, to, Some(offer)))
            .unwrap();
        let acknowledged =
            |event: &InvitationEvent| matches!(event, InvitationEvent::Acknowledged { .. });
        if !hears(stage, 1, 1, acknowledged) {
            return "not up".to_owned();
        }
        let before = [told(stage, 0, is_answered), told(stage, 1, is_answered)];
        let began = stage.world.now();
        for n in [0, 1] {
            update(stage, n, audio(n, 9, "sendonly")).unwrap();
        }
        let mut again: [Option<Instant>; 2] = [None, None];
        // They may cross once more; what is told of the time is told of the first.
        let mut first = again;
        let end = began + PATIENCE;
        let done = |stage: &Stage, n: usize| told(stage, n, is_answered) > before[n];
        while stage.world.now() < end && !(done(stage, 0) && done(stage, 1)) {
            for n in [0, 1] {
                first[n] = first[n].or_else(|| retry_of(stage, n));
                let retry = retry_of(stage, n).filter(|retry| again[n] != Some(*retry));
                let Some(at) = retry.filter(|at| *at <= stage.world.now() && !done(stage, n))
                else {
                    continue;
                };
                if update(stage, n, audio(n, 9, "sendonly")).is_ok() {
                    again[n] = Some(at);
                }
            }
            stage.world.run_for(Duration::from_millis(10));
        }
        if stage.setup().loss() == 0.0 {
            for (n, range) in [(0, 2_100..=4_300), (1, 0..=2_300)] {
                let waited = first[n].map(|at| (at - began).as_millis() as u64);
                // The answer to the other's may have come before, by the jitter of the path.
                if let Some(waited) = waited {
                    assert!(waited <= *range.end() + 700, "{n}: {waited}");
                    assert!(waited >= *range.start(), "{n}: {waited}");
                }
            }
            assert!(first.iter().any(Option::is_some));
        }
        match (done(stage, 0), done(stage, 1)) {
            (true, true) => "both".to_owned(),
            done => format!("{done:?}"),
        }
    });
}

/// INV-20: the session's re-INVITE (hold) crosses an UPDATE of the peer (its hold): neither is lost.
#[test]
fn inv_20_update_crosses_a_reinvite() {
    Matrix {
        losses: &[0.0, 0.1],
        ..one_line("UPDATE and re-INVITE")
    }
    .run("both hold", |stage| {
        let call = match up(stage) {
            Ok(call) => call,
            Err(label) => return label,
        };
        long(stage);
        agrees(stage, 0);
        let alice = stage.alice;
        let before = told(stage, 0, is_answered);
        stage
            .agent(alice, "hold", |agent, now| agent.hold(now, call))
            .unwrap();
        update(stage, 0, audio(0, 8, "sendonly")).unwrap();
        let end = stage.world.now() + PATIENCE;
        let mut seen = None;
        while stage.world.now() < end {
            let retry = retry_of(stage, 0).filter(|retry| seen != Some(*retry));
            let due = retry.filter(|at| *at <= stage.world.now());
            if let Some(at) = due
                && told(stage, 0, is_answered) == before
                && update(stage, 0, audio(0, 9, "inactive")).is_ok()
            {
                seen = Some(at);
            }
            stage.world.run_for(Duration::from_millis(10));
        }
        match holds(stage, call) {
            (true, true) => "both hold".to_owned(),
            holds => format!("{holds:?}"),
        }
    });
}

/// RFC 3311, 5.2: what needs somebody's consent is refused with 504 at once, and the call goes on as it was.
#[test]
fn inv_15_a_new_stream_in_update_needs_consent() {
    one_line("UPDATE with a new stream").run("504", |stage| {
        let call = match up(stage) {
            Ok(call) => call,
            Err(label) => return label,
        };
        let agent = stage.world.node::<UserAgent>(stage.alice);
        let before = agent.descriptions(call).map(|(local, _)| local);
        let mut more = audio(0, 2, "sendrecv");
        more.body = [&more.body[..], b"m=audio 4002 RTP/AVP 0\r\n"]
            .concat()
            .into();
        update(stage, 0, more).unwrap();
        let failed = |event: &InvitationEvent| matches!(event, InvitationEvent::OfferFailed { .. });
        let settled = |event: &InvitationEvent| failed(event) || is_answered(event);
        hears(stage, 0, 1, settled);
        let agent = stage.world.node::<UserAgent>(stage.alice);
        assert_eq!(agent.descriptions(call).map(|(local, _)| local), before);
        wait(stage, stage.alice, call, PATIENCE);
        let line = stage.world.node::<Line>(stage.lines[0]);
        let code = line.events().iter().find_map(|(_, event)| match event {
            InvitationEvent::OfferFailed { code, .. } => Some(code.to_string()),
            _ => None,
        });
        code.unwrap_or_else(|| "taken".to_owned())
    });
}
