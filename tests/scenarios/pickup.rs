//! Calls that change hands twice, and calls that somebody else picks up (requirements 12; RFC 3891, 5589).

use crate::{
    call::{draw, probe, wait},
    runs::Matrix,
    transfer::{PATIENCE, accept, call, on_transfer, settle, told, transfer, up},
};
use simulator::Stage;
use sip::config::Reliability;
use sipsimple::{
    agent::{Connect, SessionId, UserAgent},
    event::{Event, SessionEvent},
};
use std::time::Duration;

/// XFR-01, XFR-02: Bob, whom Alice has transferred to Carol, is transferred on to Dave, with whom Carol has
/// spoken meanwhile.
#[test]
fn xfr_01_a_transferred_call_is_transferred_on() {
    Matrix {
        phones: 3,
        apart: true,
        losses: &[0.0, 0.1],
        ..Matrix::new("transferred on")
    }
    .run("Dave has Bob", |stage| {
        let alice = stage.alice;
        let (bob, carol, dave) = (stage.phones[0], stage.phones[1], stage.phones[2]);
        for host in [bob, carol, dave] {
            stage.answer(host, Duration::ZERO, Duration::from_millis(200));
        }
        let thinks = draw(stage, 500);
        on_transfer(stage, bob, thinks, accept);
        let Some((ours, _)) = call(stage, 0) else {
            return "no call".to_owned();
        };
        let to_carol = stage.phone_uri(1);
        transfer(stage, alice, ours, Some(to_carol), None).unwrap();
        settle(stage);
        let Some(first) = stage.model(carol).alive().into_iter().next() else {
            return format!("Carol has nobody: {}", told(stage, alice));
        };
        let to_dave = stage.phone_uri(2);
        let second = stage.agent(carol, "connect", |agent, now| {
            agent.connect(now, Connect::new(to_dave, probe())).unwrap()
        });
        wait(stage, carol, second, PATIENCE);
        stage.world.run_for(Duration::from_secs(20));
        if let Err(error) = transfer(stage, carol, first, None, Some(second)) {
            return error.to_string();
        }
        settle(stage);
        let counts = [alice, bob, carol, dave].map(|host| up(stage, host));
        match counts {
            [0, 1, 0, 1] if told(stage, carol).ends_with("DidEnd") => "Dave has Bob".to_owned(),
            counts => format!("{counts:?} {}", told(stage, carol)),
        }
    });
}

/// How a session of a host failed.
fn failure(stage: &Stage, host: simulator::HostId, id: SessionId) -> Option<String> {
    let events = &stage.world.host(host).inbox().notifications;
    events.iter().find_map(|heard| match &heard.event {
        Event::Session(
            session,
            SessionEvent::DidFail {
                code,
                failure_reason,
                ..
            },
        ) if *session == id => Some(format!("{code} {failure_reason}")),
        _ => None,
    })
}

/// XFR-07, RFC 3891, 1: it rings at Bob's, and Carol takes the call: her call to Alice takes the place of Alice's
/// to Bob, who is not bothered any more.
#[test]
fn xfr_07_a_ringing_call_is_picked_up() {
    Matrix {
        phones: 2,
        apart: true,
        losses: &[0.0, 0.1],
        // Who does not know that it rings cannot be asked for that call: 180 has to arrive.
        sip: |_, sip| sip.reliable = Reliability::Required,
        ..Matrix::new("picked up")
    }
    .run("Carol has Alice", |stage| {
        let (alice, bob, carol) = (stage.alice, stage.phones[0], stage.phones[1]);
        stage.on_call(bob, Duration::ZERO, |agent, now, id, _| {
            let _ = agent.ring(now, id);
        });
        stage.answer(alice, Duration::ZERO, Duration::ZERO);
        let to_bob = stage.phone_uri(0);
        let ours = stage.agent(alice, "connect", |agent, now| {
            agent.connect(now, Connect::new(to_bob, probe())).unwrap()
        });
        let rings = |stage: &Stage| {
            stage
                .model(alice)
                .session(ours)
                .is_some_and(|call| call.rang)
        };
        for _ in 0..400 {
            if rings(stage) {
                break;
            }
            stage.world.run_for(Duration::from_millis(100));
        }
        let Some(theirs) = stage.model(bob).alive().into_iter().next() else {
            return "it does not ring".to_owned();
        };
        // What a package of dialogs would tell Carol (RFC 4235).
        let agent = stage.world.node::<UserAgent>(bob);
        let dialog = agent.session(theirs).and_then(|info| info.call).unwrap();
        let (to, from) = (dialog.remote_tag.unwrap(), dialog.local_tag);
        let mut pick = Connect::new(stage.alice_uri(), probe());
        pick.replaces = Some(format!("{};to-tag={to};from-tag={from}", dialog.call_id));
        let picked = stage.agent(carol, "pick up", |agent, now| {
            agent.connect(now, pick).unwrap()
        });
        wait(stage, carol, picked, PATIENCE);
        stage.world.run_for(Duration::from_secs(40));
        let new = stage.model(alice).alive().into_iter().next();
        let agent = stage.world.node::<UserAgent>(alice);
        let replaced = new.and_then(|new| agent.session(new)?.replaced_session);
        match [alice, bob, carol].map(|host| up(stage, host)) {
            [1, 0, 1] => {
                assert_eq!(replaced, Some(ours));
                let cancelled = failure(stage, bob, theirs).unwrap_or_default();
                assert!(cancelled.starts_with("487 "), "{cancelled}");
                assert!(failure(stage, alice, ours).is_some());
                "Carol has Alice".to_owned()
            }
            counts => format!("{counts:?} {:?}", failure(stage, carol, picked)),
        }
    });
}

/// XFR-07, RFC 3891, 3: who does not know the call does not get it, and nobody notices.
#[test]
fn xfr_07_a_call_that_is_not_there_is_not_picked_up() {
    Matrix {
        phones: 2,
        apart: true,
        ..Matrix::new("wrong Replaces")
    }
    .run("481", |stage| {
        let carol = stage.phones[1];
        let mut pick = Connect::new(stage.alice_uri(), probe());
        pick.replaces = Some("nobody@nowhere;to-tag=a;from-tag=b".to_owned());
        let picked = stage.agent(carol, "pick up", |agent, now| {
            agent.connect(now, pick).unwrap()
        });
        wait(stage, carol, picked, PATIENCE);
        assert_eq!(stage.model(stage.alice).sessions().count(), 0);
        crate::call::label(stage, carol, picked)
    });
}
