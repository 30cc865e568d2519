//! Offers that one end asks the other for, and proposals that are taken back (RFC 3261, 14; RFC 6337, 5.2.5).

use crate::{
    beside::is_lossless,
    call::label,
    hold,
    line::{PATIENCE, act, audio, hears, requests, sent, told, up, words},
    runs::Matrix,
};
use simulator::{HostId, Line, Path, Stage};
use sip::{
    Description, Headers, Message, Method, Status,
    usage::invitation::{InvitationEvent, OfferError},
};
use sipsimple::{
    agent::{SessionId, UserAgent},
    event::SessionEvent,
    session::State,
};
use std::time::Duration;

pub(crate) fn one_line(name: &'static str) -> Matrix {
    Matrix {
        lines: 1,
        losses: &[0.0, 0.1],
        ..Matrix::new(name)
    }
}

/// How many exchanges a host was told of: that were agreed on, and that failed.
pub(crate) fn updates(stage: &Stage, host: HostId) -> (usize, usize) {
    let told = words(stage, host, |event| match event {
        SessionEvent::GotSdpUpdate {
            succeeded,
            error,
            local_sdp,
            remote_sdp,
        } => {
            assert_eq!(*succeeded, error.is_none());
            assert_eq!(*succeeded, local_sdp.is_some() && remote_sdp.is_some());
            Some(succeeded.to_string())
        }
        _ => None,
    });
    let agreed = told.iter().filter(|word| *word == "true").count();
    (agreed, told.len() - agreed)
}

/// Waits until a host was told of so many agreements.
pub(crate) fn agrees(stage: &mut Stage, host: HostId, count: usize) -> bool {
    let end = stage.world.now() + PATIENCE;
    while updates(stage, host).0 < count && stage.world.now() < end {
        stage.world.run_for(Duration::from_millis(50));
    }
    updates(stage, host).0 >= count
}

/// The codes of the proposals of a host that were refused.
fn refusals(stage: &Stage, host: HostId) -> Vec<String> {
    words(stage, host, |event| match event {
        SessionEvent::GotRejectProposal { code, .. } => Some(code.to_string()),
        _ => None,
    })
}

/// Waits until no exchange runs at either end: an ACK may be on its way for long.
fn rest(stage: &mut Stage, ends: [(HostId, SessionId); 2]) {
    let end = stage.world.now() + PATIENCE;
    let is_free = |stage: &Stage, (host, id)| {
        let info = stage.world.node::<UserAgent>(host).session(id);
        info.is_some_and(|info| info.state == State::Connected)
    };
    while !ends.iter().all(|who| is_free(stage, *who)) && stage.world.now() < end {
        stage.world.run_for(Duration::from_millis(50));
    }
}

pub(crate) fn request(stage: &mut Stage, host: HostId, id: SessionId) {
    let asked = stage.agent(host, "request", |agent, now| {
        agent.request_proposal(now, id)
    });
    asked.unwrap();
}

/// The body of the last message of a host that is `wanted`.
pub(crate) fn last_body(stage: &Stage, host: HostId, wanted: impl Fn(&Message) -> bool) -> String {
    let mut said = sent(stage, host).into_iter().rev();
    let body = match said.find(wanted) {
        Some(Message::Request(request)) => request.body,
        Some(Message::Response(response)) => response.body,
        None => return "nothing".to_owned(),
    };
    String::from_utf8_lossy(&body).into_owned()
}

pub(crate) fn is_request(method: Method) -> impl Fn(&Message) -> bool {
    move |message| matches!(message, Message::Request(request) if request.method == method)
}

/// INV-11, INV-14: either end asks the other for an offer: the re-INVITE has none, the 2xx brings it, the ACK answers,
/// and both are told of both descriptions; who holds goes on holding.
#[test]
fn inv_14_either_end_asks_for_an_offer() {
    Matrix {
        losses: &[0.0, 0.1],
        ..Matrix::new("asked for an offer")
    }
    .run("held, resumed", |stage| {
        let (call, other) = match hold::up(stage) {
            Ok(calls) => calls,
            Err(label) => return label,
        };
        let (alice, bob) = (stage.alice, stage.bob());
        assert_eq!(
            (updates(stage, alice), updates(stage, bob)),
            ((1, 0), (1, 0))
        );
        let mut known = 1;
        let both = [(alice, call), (bob, other)];
        for (hold, (host, id)) in [true, false]
            .into_iter()
            .flat_map(|hold| both.map(|who| (hold, who)))
        {
            if host == alice {
                hold::set_hold(stage, alice, call, hold);
                known += 1;
                if !agrees(stage, alice, known) || !agrees(stage, bob, known) {
                    return "no hold".to_owned();
                }
            }
            // The ACK may be on its way.
            stage.world.run_for(Duration::from_secs(3));
            rest(stage, both);
            request(stage, host, id);
            known += 1;
            if !agrees(stage, alice, known) || !agrees(stage, bob, known) {
                return format!("no offer: {:?}", refusals(stage, host));
            }
            assert_eq!(last_body(stage, host, is_request(Method::Invite)), "");
            assert!(last_body(stage, host, is_request(Method::Ack)).contains("m="));
            for (host, id) in both {
                let agent = stage.world.node::<UserAgent>(host);
                let info = agent.session(id).unwrap();
                let held = (info.on_hold_by_local, info.on_hold_by_remote);
                assert_eq!(held, (hold && host == alice, hold && host == bob));
            }
        }
        assert_eq!((updates(stage, alice).1, updates(stage, bob).1), (0, 0));
        let agent = stage.world.node::<UserAgent>(alice);
        let (local, remote) = agent.descriptions(call).unwrap();
        let last = words(stage, alice, |event| match event {
            SessionEvent::GotSdpUpdate {
                local_sdp: Some(local_sdp),
                remote_sdp: Some(remote_sdp),
                ..
            } => Some((*local_sdp.bytes() == local && *remote_sdp.bytes() == remote).to_string()),
            _ => None,
        });
        assert_eq!(last.last().map(String::as_str), Some("true"));
        "held, resumed".to_owned()
    });
}

/// INV-20: both ask at once, which is a glare like any other: both are answered in the end.
#[test]
fn inv_20_both_ask_at_once() {
    Matrix {
        losses: &[0.0, 0.1],
        ..Matrix::new("both ask")
    }
    .run("both", |stage| {
        let [(alice, call), (bob, other)] = match far_apart(stage) {
            Ok(ends) => ends,
            Err(label) => return label,
        };
        request(stage, alice, call);
        request(stage, bob, other);
        let is_answered = |stage: &mut Stage, host| agrees(stage, host, 3);
        match (is_answered(stage, alice), is_answered(stage, bob)) {
            (true, true) => "both".to_owned(),
            answered => format!("{answered:?}"),
        }
    });
}

/// INV-20: a wish for an offer crosses a hold: the hold is agreed on, and the wish is granted, by one exchange where the
/// hold itself came to nothing and the offer that was wished for says it.
#[test]
fn inv_20_a_wish_for_an_offer_crosses_a_hold() {
    Matrix {
        losses: &[0.0, 0.1],
        ..Matrix::new("asks, and is held")
    }
    .run("held", |stage| {
        let [(alice, call), (bob, other)] = match far_apart(stage) {
            Ok(ends) => ends,
            Err(label) => return label,
        };
        request(stage, alice, call);
        hold::set_hold(stage, bob, other, true);
        let is_granted = |stage: &Stage| {
            let mut acks = sent(stage, alice).into_iter();
            acks.any(|message| match message {
                Message::Request(request) => {
                    request.method == Method::Ack && !request.body.is_empty()
                }
                Message::Response(_) => false,
            })
        };
        let is_held = |stage: &Stage| {
            let info = stage.world.node::<UserAgent>(alice).session(call);
            info.is_some_and(|info| info.on_hold_by_remote)
        };
        let end = stage.world.now() + PATIENCE;
        while !(is_granted(stage) && is_held(stage)) && stage.world.now() < end {
            stage.world.run_for(Duration::from_millis(50));
        }
        rest(stage, [(alice, call), (bob, other)]);
        let (ours, theirs) = (updates(stage, alice), updates(stage, bob));
        // Two exchanges, or one, beside that of the call.
        let is_told = ours.0 == theirs.0 && [2, 3].contains(&ours.0);
        match is_granted(stage) && is_held(stage) && is_told {
            true => "held".to_owned(),
            false => format!("{ours:?} {theirs:?}"),
        }
    });
}

/// A call between ends on whose path messages cross, at rest.
fn far_apart(stage: &mut Stage) -> Result<[(HostId, SessionId); 2], String> {
    let (call, other) = hold::up(stage)?;
    long(stage);
    let ends = [(stage.alice, call), (stage.bob(), other)];
    rest(stage, ends);
    Ok(ends)
}

/// A path on which what is sent within 150 ms crosses.
fn long(stage: &mut Stage) {
    let path = Path {
        latency: Duration::from_millis(150),
        ..stage.setup().path.clone()
    };
    stage.world.set_default_path(path);
}

/// Line 0 accepts calls, and does with wishes for an offer what `reply` says.
fn offers(stage: &mut Stage, reply: fn() -> Result<Description, Status>) {
    stage.line(0, "offers", move |line, _| {
        line.set_habit(move |endpoint, now, id, event| {
            let Some(mut call) = endpoint.invitation(id) else {
                return;
            };
            if let InvitationEvent::OfferRequested { dialog } = event {
                match reply() {
                    Ok(description) => call.offer(now, Some(description), &Headers::new()).unwrap(),
                    Err(code) => call.refuse(now, *dialog, code, None).unwrap(),
                }
            }
        });
    });
}

/// RFC 3261, 14.2: an offer with a new stream is answered in the ACK: nobody was asked, so it is refused, and all else
/// goes on.
#[test]
fn inv_11_a_new_stream_in_the_offer_is_refused() {
    one_line("offered more").run("connected", |stage| {
        let call = match up(stage) {
            Ok(call) => call,
            Err(label) => return label,
        };
        let alice = stage.alice;
        offers(stage, || {
            let mut more = audio(0, 2, "sendonly");
            more.body = [&more.body[..], b"m=video 4002 RTP/AVP 96\r\n"]
                .concat()
                .into();
            Ok(more)
        });
        request(stage, alice, call);
        if !agrees(stage, alice, 2) {
            return "no offer".to_owned();
        }
        let answer = last_body(stage, alice, is_request(Method::Ack));
        assert!(answer.contains("m=video 0 "), "{answer}");
        assert!(!answer.contains("m=audio 0 "), "{answer}");
        let info = stage.world.node::<UserAgent>(alice).session(call).unwrap();
        assert!(info.on_hold_by_remote);
        label(stage, alice, call)
    });
}

/// RFC 3261, 13.2.2.4: what cannot be accepted is refused by a valid answer in the ACK, and the call is over.
#[test]
fn inv_11_an_offer_that_cannot_be_accepted_ends_the_call() {
    one_line("offered nothing good").run("ended", |stage| {
        let call = match up(stage) {
            Ok(call) => call,
            Err(label) => return label,
        };
        let alice = stage.alice;
        offers(stage, || {
            let mut strange = audio(0, 2, "sendrecv");
            let text = String::from_utf8_lossy(&strange.body).into_owned();
            strange.body = text.replace("RTP/AVP 0", "RTP/AVP 96").into();
            Ok(strange)
        });
        request(stage, alice, call);
        let is_bye = |event: &InvitationEvent| matches!(event, InvitationEvent::Ended { .. });
        if !hears(stage, 0, 1, is_bye) {
            return "goes on".to_owned();
        }
        let answer = last_body(stage, alice, is_request(Method::Ack));
        assert!(answer.contains("m=audio 0 "), "{answer}");
        assert_eq!(updates(stage, alice), (1, 1));
        stage.world.run_for(Duration::from_secs(2));
        label(stage, alice, call)
    });
}

/// RFC 3261, 14.1: who is asked may refuse; the call stays as it was.
#[test]
fn inv_14_a_wish_for_an_offer_is_refused() {
    one_line("asked in vain").run("488", |stage| {
        let call = match up(stage) {
            Ok(call) => call,
            Err(label) => return label,
        };
        let alice = stage.alice;
        let before = stage.world.node::<UserAgent>(alice).descriptions(call);
        offers(stage, || Err(Status::NOT_ACCEPTABLE_HERE));
        request(stage, alice, call);
        stage.world.run_for(Duration::from_secs(20));
        assert_eq!(label(stage, alice, call), "connected");
        assert_eq!(updates(stage, alice), (1, 1));
        let after = stage.world.node::<UserAgent>(alice).descriptions(call);
        assert_eq!(before, after);
        refusals(stage, alice).join(" ")
    });
}

/// Line 0 asks the caller for an offer and answers with `answer` in the ACK.
fn asks(stage: &mut Stage, answer: fn() -> Description) {
    stage.line(0, "answers", move |line, _| {
        line.set_habit(move |endpoint, now, id, event| {
            if let InvitationEvent::Offered { dialog, asked, .. } = event
                && let Some(mut call) = endpoint.invitation(id)
            {
                assert!(asked);
                call.answer(now, *dialog, answer()).unwrap();
            }
        });
    });
    // The ACK of the call may be on its way to the line.
    let ask = |stage: &mut Stage| {
        act(stage, 0, "ask", |call, now| {
            call.offer(now, None, &Headers::new())
        })
        .unwrap()
    };
    while ask(stage) == Err(OfferError::Busy) {
        stage.world.run_for(Duration::from_millis(100));
    }
}

/// INV-10, INV-14: a peer asks for an offer: all that we can is offered (RFC 6337, 5.2.5), and the answer in the
/// ACK is followed.
#[test]
fn inv_10_the_answer_in_an_ack_is_followed() {
    one_line("asked by a line").run("held", |stage| {
        let call = match up(stage) {
            Ok(call) => call,
            Err(label) => return label,
        };
        let alice = stage.alice;
        asks(stage, || audio(0, 2, "sendonly"));
        if !agrees(stage, alice, 2) {
            return "no answer".to_owned();
        }
        let is_offer = |message: &Message| match message {
            Message::Response(response) => {
                response.status == Status::OK && response.body.starts_with(b"v=0")
            }
            Message::Request(_) => false,
        };
        let offer = last_body(stage, alice, is_offer);
        // More than the one codec that stands.
        assert!(
            offer.contains("a=sendrecv") && offer.contains("RTP/AVP"),
            "{offer}"
        );
        let codecs = offer.matches("a=rtpmap:").count();
        assert!(codecs > 2, "{offer}");
        let info = stage.world.node::<UserAgent>(alice).session(call).unwrap();
        match (info.on_hold_by_local, info.on_hold_by_remote) {
            (false, true) => "held".to_owned(),
            holds => format!("{holds:?}"),
        }
    });
}

/// An answer in an ACK that answers something else ends the call: nobody can be told otherwise.
#[test]
fn inv_14_a_bad_answer_in_an_ack_ends_the_call() {
    one_line("answered badly").run("ended", |stage| {
        let call = match up(stage) {
            Ok(call) => call,
            Err(label) => return label,
        };
        let alice = stage.alice;
        asks(stage, || {
            let mut more = audio(0, 2, "sendrecv");
            more.body = [&more.body[..], b"m=audio 4002 RTP/AVP 0\r\n"]
                .concat()
                .into();
            more
        });
        let is_bye = |event: &InvitationEvent| matches!(event, InvitationEvent::Ended { .. });
        if !hears(stage, 0, 1, is_bye) {
            return "goes on".to_owned();
        }
        stage.world.run_for(Duration::from_secs(2));
        assert_eq!(updates(stage, alice), (1, 1));
        label(stage, alice, call)
    });
}

fn cancel(stage: &mut Stage, id: SessionId) {
    let alice = stage.alice;
    let cancelled = stage.agent(alice, "cancel", |agent, now| agent.cancel_proposal(now, id));
    cancelled.unwrap();
}

/// How line 0 was last offered audio.
fn last_offer(stage: &Stage) -> String {
    let line = stage.world.node::<Line>(stage.lines[0]);
    let mut events = line.events().iter().rev();
    let body = events.find_map(|(_, event)| match event {
        InvitationEvent::Offered { description, .. } => Some(description.body.clone()),
        _ => None,
    });
    let text = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
    let directions = ["sendrecv", "sendonly", "recvonly", "inactive"];
    let said = directions
        .into_iter()
        .find(|word| text.contains(&format!("a={word}")));
    said.unwrap_or_default().to_owned()
}

fn is_offered(event: &InvitationEvent) -> bool {
    matches!(event, InvitationEvent::Offered { .. })
}

/// SES-27: a hold that nobody has answered is taken back: CANCEL, 487, and nothing is held.
#[test]
fn a_hold_is_taken_back() {
    one_line("hold taken back").run("487", |stage| {
        let call = match up(stage) {
            Ok(call) => call,
            Err(label) => return label,
        };
        let alice = stage.alice;
        hold::set_hold(stage, alice, call, true);
        if !hears(stage, 0, 1, is_offered) {
            return "not offered".to_owned();
        }
        // 100 comes after 200 ms.
        stage.world.run_for(Duration::from_millis(500));
        cancel(stage, call);
        let twice = stage.agent(alice, "twice", |agent, now| {
            agent.cancel_proposal(now, call)
        });
        assert!(twice.is_err());
        stage.world.run_for(Duration::from_secs(40));
        assert_eq!(label(stage, alice, call), "connected");
        assert_eq!(requests(stage, alice, &Method::Cancel), 1);
        assert_eq!(requests(stage, alice, &Method::Invite), 2);
        let info = stage.world.node::<UserAgent>(alice).session(call).unwrap();
        assert!(!info.hold_intent && !info.on_hold, "{info:?}");
        // The next one is one like any other.
        refusals(stage, alice).join(" ")
    });
}

/// SES-27: so is a wish for an offer.
#[test]
fn a_wish_for_an_offer_is_taken_back() {
    one_line("wish taken back").run("487", |stage| {
        let call = match up(stage) {
            Ok(call) => call,
            Err(label) => return label,
        };
        let alice = stage.alice;
        let early = stage.agent(alice, "early", |agent, now| {
            agent.cancel_proposal(now, call)
        });
        assert!(early.is_err());
        request(stage, alice, call);
        let again = stage.agent(alice, "again", |agent, now| {
            agent.request_proposal(now, call)
        });
        assert!(again.is_err());
        stage.world.run_for(Duration::from_millis(500));
        cancel(stage, call);
        stage.world.run_for(Duration::from_secs(40));
        assert_eq!(label(stage, alice, call), "connected");
        assert_eq!(requests(stage, alice, &Method::Invite), 2);
        refusals(stage, alice).join(" ")
    });
}

/// SES-28, BUG-27: the line accepts the hold `after` it was offered, and the caller takes it back `at` its own time: where the
/// 2xx was faster, another re-INVITE brings everything back, and the call goes on.
fn the_answer_wins(name: &'static str, after: Duration, at: Duration) {
    one_line(name).run("back", |stage| {
        let call = match up(stage) {
            Ok(call) => call,
            Err(label) => return label,
        };
        long(stage);
        let alice = stage.alice;
        hold::set_hold(stage, alice, call, true);
        let begun = stage.world.now();
        let mut is_cancelled = false;
        let mut offered = None;
        let mut answered = 0;
        while stage.world.now() < begun + Duration::from_secs(60) {
            let now = stage.world.now();
            if !is_cancelled && now >= begun + at {
                // On a bad path it may be refused by now, or agreed on.
                is_cancelled = true;
                let _ = stage.agent(alice, "cancel", |agent, now| {
                    agent.cancel_proposal(now, call)
                });
            }
            if told(stage, 0, is_offered) > answered {
                let since = *offered.get_or_insert(now);
                if now >= since + after {
                    offered = None;
                    answered = told(stage, 0, is_offered);
                    let direction = match last_offer(stage).as_str() {
                        "sendonly" => "recvonly",
                        _ => "sendrecv",
                    };
                    act(stage, 0, "answer", |call, now| {
                        let Some(dialog) = call.info().and_then(|info| info.confirmed) else {
                            return;
                        };
                        // It may be withdrawn.
                        let answer = audio(0, answered as u32 + 1, direction);
                        let _ = call.answer(now, dialog, answer);
                    });
                }
            }
            stage.world.run_for(Duration::from_millis(10));
        }
        if is_lossless(stage) {
            assert_eq!(requests(stage, alice, &Method::Invite), 3);
            assert_eq!(updates(stage, alice), (3, 0));
        }
        let info = stage.world.node::<UserAgent>(alice).session(call);
        let Some(info) = info else {
            return label(stage, alice, call);
        };
        match (info.hold_intent, info.on_hold, last_offer(stage).as_str()) {
            (false, false, "sendrecv") => "back".to_owned(),
            // The CANCEL was faster.
            (false, false, _) if !is_lossless(stage) => "back".to_owned(),
            state => format!("{state:?}"),
        }
    });
}

#[test]
fn what_was_agreed_on_before_cancel_left_is_brought_back() {
    let after = Duration::ZERO;
    the_answer_wins("2xx before CANCEL", after, Duration::from_millis(100));
}

#[test]
fn what_was_agreed_on_while_cancel_was_under_way_is_brought_back() {
    // 100 leaves 200 ms after the request came.
    let after = Duration::from_millis(550);
    the_answer_wins("2xx crosses CANCEL", after, Duration::from_millis(620));
}
