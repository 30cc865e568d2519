//! Hold from either side, from both, and at the same moment.

use crate::{
    call::{label, probe, wait},
    runs::Matrix,
};
use simulator::{Belief, HostId, ProbeStream, Stage};
use sipsimple::{
    agent::{SessionId, StreamId},
    event::{Event, StreamEvent},
};
use std::time::Duration;

/// A call that is up: the caller's session and the callee's.
pub(crate) fn up(stage: &mut Stage) -> Result<(SessionId, SessionId), String> {
    let bob = stage.bob();
    stage.answer(bob, Duration::ZERO, Duration::ZERO);
    let call = stage.call(probe());
    wait(stage, stage.alice, call, Duration::from_secs(100));
    let label = label(stage, stage.alice, call);
    // The callee is up with the ACK, a little later.
    stage.world.run_for(Duration::from_secs(3));
    let theirs = stage.model(bob).alive().into_iter().next();
    match theirs {
        Some(theirs) if label == "connected" => Ok((call, theirs)),
        _ => Err(label),
    }
}

pub(crate) fn set_hold(stage: &mut Stage, host: HostId, id: SessionId, hold: bool) {
    let _ = stage.agent(
        host,
        if hold { "hold" } else { "unhold" },
        |agent, now| match hold {
            true => agent.hold(now, id),
            false => agent.unhold(now, id),
        },
    );
}

/// Waits until a belief holds; says whether it ever did.
fn believes(
    stage: &mut Stage,
    host: HostId,
    id: SessionId,
    what: impl Fn(&Belief) -> bool,
) -> bool {
    for _ in 0..600 {
        if stage.model(host).session(id).is_some_and(&what) {
            return true;
        }
        stage.world.run_for(Duration::from_millis(100));
    }
    false
}

/// Both ends believe that the caller (`ours`) and the callee (`theirs`) hold.
pub(crate) fn both_believe(
    stage: &mut Stage,
    (call, other): (SessionId, SessionId),
    ours: bool,
    theirs: bool,
) -> bool {
    let (alice, bob) = (stage.alice, stage.bob());
    believes(stage, alice, call, |b| {
        (b.held_by_us, b.held_by_peer) == (ours, theirs)
    }) && believes(stage, bob, other, |b| {
        (b.held_by_us, b.held_by_peer) == (theirs, ours)
    })
}

/// The streams that run on a host.
pub(crate) fn streams_up(stage: &Stage, host: HostId) -> Vec<StreamId> {
    let events = &stage.world.host(host).inbox().notifications;
    let mut running = Vec::new();
    for notification in events {
        match &notification.event {
            Event::Stream(id, StreamEvent::DidStart) => running.push(*id),
            Event::Stream(id, StreamEvent::DidEnd) => running.retain(|other| other != id),
            _ => {}
        }
    }
    running
}

/// The heartbeats that a host has heard.
fn beats(stage: &Stage, host: HostId) -> u64 {
    let agent = stage.world.node::<sipsimple::agent::UserAgent>(host);
    let streams = streams_up(stage, host).into_iter();
    let probes = streams.filter_map(|id| agent.stream::<ProbeStream>(id));
    probes.map(|probe| probe.beats().received).sum()
}

#[test]
fn hold_and_resume_from_either_side() {
    Matrix::new("hold").run("connected", |stage| {
        let calls = match up(stage) {
            Ok(calls) => calls,
            Err(label) => return label,
        };
        let (alice, bob) = (stage.alice, stage.bob());
        for (step, (host, id, hold, ours, theirs)) in [
            (alice, calls.0, true, true, false),
            (bob, calls.1, true, true, true),
            // Both hold; one resumes; still held.
            (alice, calls.0, false, false, true),
            (bob, calls.1, false, false, false),
        ]
        .into_iter()
        .enumerate()
        {
            set_hold(stage, host, id, hold);
            if !both_believe(stage, calls, ours, theirs) {
                return format!("step {step}: {}", label(stage, alice, calls.0));
            }
        }
        let before = (beats(stage, alice), beats(stage, bob));
        stage.world.run_for(Duration::from_secs(20));
        let after = (beats(stage, alice), beats(stage, bob));
        match after.0 > before.0 && after.1 > before.1 {
            true => label(stage, alice, calls.0),
            false => "silent".to_owned(),
        }
    });
}

#[test]
fn who_holds_is_silent_at_once() {
    Matrix::new("silence").run("connected", |stage| {
        let calls = match up(stage) {
            Ok(calls) => calls,
            Err(label) => return label,
        };
        let (alice, bob) = (stage.alice, stage.bob());
        set_hold(stage, alice, calls.0, true);
        // What was on its way may still arrive.
        stage.world.run_for(Duration::from_millis(200));
        let before = beats(stage, bob);
        stage.world.run_for(Duration::from_secs(4));
        match beats(stage, bob) == before {
            true => label(stage, alice, calls.0),
            false => "heard".to_owned(),
        }
    });
}

#[test]
fn both_hold_at_the_same_moment() {
    Matrix::new("glare").run("connected", |stage| {
        let calls = match up(stage) {
            Ok(calls) => calls,
            Err(label) => return label,
        };
        let (alice, bob) = (stage.alice, stage.bob());
        for hold in [true, false] {
            set_hold(stage, alice, calls.0, hold);
            set_hold(stage, bob, calls.1, hold);
            // 491, and again after the random times of RFC 3261, 14.1.
            if !both_believe(stage, calls, hold, hold) {
                return format!("{hold}: {}", label(stage, alice, calls.0));
            }
        }
        label(stage, alice, calls.0)
    });
}

#[test]
fn the_last_wish_counts() {
    Matrix::new("wishes").run("connected", |stage| {
        let calls = match up(stage) {
            Ok(calls) => calls,
            Err(label) => return label,
        };
        let (alice, bob) = (stage.alice, stage.bob());
        let wishes = stage.world.rng().below(7) + 1;
        let mut hold = false;
        for _ in 0..wishes {
            hold = !hold;
            set_hold(stage, alice, calls.0, hold);
            let pause = stage.world.rng().below(80);
            stage.world.run_for(Duration::from_millis(pause.into()));
        }
        stage.world.run_for(Duration::from_secs(20));
        let ok = believes(stage, alice, calls.0, |b| b.held_by_us == hold)
            && believes(stage, bob, calls.1, |b| b.held_by_peer == hold);
        match ok {
            true => label(stage, alice, calls.0),
            false => format!("{wishes} wishes: {}", label(stage, alice, calls.0)),
        }
    });
}
