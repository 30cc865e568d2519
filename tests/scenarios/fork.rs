//! One call, several phones.

use crate::{
    call::{label, probe, wait},
    hold::set_hold,
    runs::{Matrix, Proxied},
};
use simulator::{HostId, Phase, Stage};
use sip::header::Reason;
use sipsimple::event::{Event, Originator, SessionEvent};
use std::time::Duration;

fn up_at(stage: &Stage) -> usize {
    let phones = stage.phones.iter();
    phones
        .map(|&phone| {
            let model = stage.model(phone);
            model
                .sessions()
                .filter(|(_, belief)| belief.phase == Phase::Up)
                .count()
        })
        .sum()
}

/// `connected` if exactly one phone is up.
fn one(stage: &mut Stage, call: sipsimple::agent::SessionId) -> String {
    wait(stage, stage.alice, call, Duration::from_secs(100));
    stage.world.run_for(Duration::from_secs(100));
    match (label(stage, stage.alice, call), up_at(stage)) {
        (label, 1) => label,
        (label, n) => format!("{label}, {n} phones up"),
    }
}

#[test]
fn one_phone_answers_the_others_stop_ringing() {
    Matrix {
        proxy: Proxied::Always,
        phones: 3,
        ..Matrix::new("fork")
    }
    .run("connected", |stage| {
        let phones = stage.phones.clone();
        for &phone in &phones {
            stage.on_call(phone, Duration::from_millis(100), |agent, now, id, _| {
                let _ = agent.ring(now, id);
            });
        }
        stage.on_call(
            phones[1],
            Duration::from_secs(2),
            |agent, now, id, streams| {
                let _ = agent.accept(now, id, streams);
            },
        );
        let call = stage.call(probe());
        let outcome = one(stage, call);
        // RFC 3326, 3.1: who was only rung has missed nothing.
        let missed = [phones[0], phones[2]].map(|phone| given_up(stage, phone));
        for words in missed.iter().flatten() {
            assert_eq!(words, "Call completed elsewhere, elsewhere");
        }
        assert!(missed.iter().all(|words| words.len() <= 1));
        outcome
    });
}

/// What a phone was told of calls that their callers gave up.
fn given_up(stage: &Stage, phone: HostId) -> Vec<String> {
    let events = stage.world.host(phone).inbox().notifications.iter();
    let words = events.filter_map(|told| match &told.event {
        Event::Session(
            _,
            SessionEvent::DidFail {
                originator: Originator::Remote,
                code: 487,
                failure_reason,
                hints,
                ..
            },
        ) => {
            let hints = hints.as_ref();
            let elsewhere = match hints.is_some_and(|hints| hints.is_completed_elsewhere()) {
                true => ", elsewhere",
                false => "",
            };
            Some(format!("{failure_reason}{elsewhere}"))
        }
        _ => None,
    });
    words.collect()
}

/// INV-17, SES-33, RFC 3326: the callee learns why its caller gives up, over a proxy, too.
#[test]
fn inv_17_a_caller_says_why_it_gives_up() {
    for (reason, expected) in [
        (None, "cancelled"),
        (
            Some(Reason::completed_elsewhere()),
            "Call completed elsewhere, elsewhere",
        ),
        (Some(Reason::sip(408, "Too late")), "Too late"),
    ] {
        Matrix {
            losses: &[0.0, 0.1],
            ..Matrix::new("reason of CANCEL")
        }
        .run(expected, |stage| {
            let (alice, bob) = (stage.alice, stage.bob());
            stage.on_call(bob, Duration::ZERO, |agent, now, id, _| {
                let _ = agent.ring(now, id);
            });
            let call = stage.call(probe());
            stage.world.run_for(Duration::from_secs(3));
            let reason = reason.clone();
            let ended = stage.agent(alice, "end", |agent, now| agent.end_for(now, call, reason));
            assert_eq!(ended, Ok(()));
            stage.world.run_for(Duration::from_secs(100));
            given_up(stage, bob).join(" and ")
        });
    }
}

/// INV-21, RFC 3261, 13.2.2.4: every further 2xx is acknowledged, and its dialog ended.
#[test]
fn all_phones_answer_at_once() {
    Matrix {
        proxy: Proxied::Always,
        phones: 3,
        ..Matrix::new("fork race")
    }
    .run("connected", |stage| {
        for phone in stage.phones.clone() {
            let millis = 300 + stage.world.rng().below(50);
            let accept = Duration::from_millis(millis.into());
            stage.answer(phone, Duration::ZERO, accept);
        }
        let call = stage.call(probe());
        one(stage, call)
    });
}

#[test]
fn all_phones_refuse() {
    Matrix {
        proxy: Proxied::Always,
        phones: 2,
        ..Matrix::new("fork refused")
    }
    .run("603", |stage| {
        let phones = stage.phones.clone();
        stage.reject(phones[0], Duration::from_secs(1), 486);
        stage.reject(phones[1], Duration::from_secs(2), 603);
        let call = stage.call(probe());
        wait(stage, stage.alice, call, Duration::from_secs(100));
        label(stage, stage.alice, call)
    });
}

#[test]
fn the_caller_gives_up_while_all_phones_ring() {
    Matrix {
        proxy: Proxied::Always,
        phones: 3,
        ..Matrix::new("fork cancel")
    }
    .run("over", |stage| {
        for phone in stage.phones.clone() {
            stage.on_call(phone, Duration::ZERO, |agent, now, id, _| {
                let _ = agent.ring(now, id);
            });
        }
        let call = stage.call(probe());
        stage.world.run_for(Duration::from_secs(3));
        let _ = stage.agent(stage.alice, "end", |agent, now| agent.end(now, call));
        stage.world.run_for(Duration::from_secs(100));
        let alive = stage
            .agents()
            .into_iter()
            .map(|host| stage.model(host).alive().len());
        match alive.sum() {
            0 => "over".to_owned(),
            n => format!("{n} alive"),
        }
    });
}

// RFC 3261, 12.2.1.1: the next hop stands in the Request-URI, the target last in the Route.
#[test]
fn a_strict_router_is_obeyed() {
    Matrix {
        proxy: Proxied::Strict,
        ..Matrix::new("strict")
    }
    .run("ended", |stage| {
        let bob = stage.bob();
        stage.answer(bob, Duration::ZERO, Duration::from_secs(1));
        let call = stage.call(probe());
        wait(stage, stage.alice, call, Duration::from_secs(100));
        let connected = label(stage, stage.alice, call);
        if connected != "connected" {
            return connected;
        }
        stage.world.run_for(Duration::from_secs(3));
        set_hold(stage, stage.alice, call, true);
        stage.world.run_for(Duration::from_secs(40));
        for id in stage.model(bob).alive() {
            let _ = stage.agent(bob, "end", |agent, now| agent.end(now, id));
        }
        stage.world.run_for(Duration::from_secs(40));
        label(stage, stage.alice, call)
    });
}
