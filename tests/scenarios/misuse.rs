//! Commands that the state does not allow: refused, and nothing has happened (GEN-06).

use crate::{call::probe, hold::up, runs::Matrix};
use simulator::{HostId, Path, Stage};
use sipsimple::agent::{SessionId, StreamId};
use std::time::Duration;

/// Gives every command that makes no sense now, and says which were taken all the same.
fn misuse(stage: &mut Stage, host: HostId, id: SessionId, allowed: &[&str]) {
    let before = stage.world.host(host).inbox().notifications.len();
    let links = stage.world.host(host).open_links();
    let none: [StreamId; 0] = [];
    let taken = stage.agent(host, "misuse", |agent, now| {
        let mut taken = Vec::new();
        let mut give = |name: &'static str, refused: bool| {
            if !refused {
                taken.push(name);
            }
        };
        if !allowed.contains(&"ring") {
            give("ring", agent.ring(now, id).is_err());
            give("reject", agent.reject(now, id, 486, None).is_err());
        }
        give("accept nothing", agent.accept(now, id, &none).is_err());
        give(
            "reject with success",
            agent.reject(now, id, 200, None).is_err(),
        );
        if !allowed.contains(&"hold") {
            give("hold", agent.hold(now, id).is_err());
            give("unhold", agent.unhold(now, id).is_err());
        }
        taken
    });
    assert_eq!(taken, Vec::<&str>::new());
    assert_eq!(stage.world.host(host).inbox().notifications.len(), before);
    assert_eq!(stage.world.host(host).open_links(), links);
}

#[test]
fn what_makes_no_sense_is_refused() {
    Matrix {
        losses: &[0.0],
        ..Matrix::new("misuse")
    }
    .run("ended", |stage| {
        stage.world.set_default_path(Path {
            latency: Duration::from_millis(50),
            ..Path::ideal()
        });
        let (alice, bob) = (stage.alice, stage.bob());
        let refused = stage.call(probe());
        misuse(stage, alice, refused, &["hold"]);
        stage.world.run_for(Duration::from_secs(1));
        let theirs = stage.model(bob).alive().into_iter().next().unwrap();
        misuse(stage, bob, theirs, &["ring", "hold"]);
        stage
            .agent(bob, "reject", |agent, now| {
                agent.reject(now, theirs, 486, None)
            })
            .unwrap();
        misuse(stage, bob, theirs, &[]);
        stage.world.run_for(Duration::from_secs(5));
        // Gone for good: the id means nothing any more.
        misuse(stage, bob, theirs, &[]);
        misuse(stage, alice, refused, &[]);

        let Ok((ours, theirs)) = up(stage) else {
            return "not up".to_owned();
        };
        for (host, id) in [(alice, ours), (bob, theirs)] {
            misuse(stage, host, id, &["hold"]);
        }
        let _ = stage.agent(alice, "hold", |agent, now| agent.hold(now, ours));
        misuse(stage, alice, ours, &["hold"]);
        stage.world.run_for(Duration::from_secs(2));
        let _ = stage.agent(alice, "end", |agent, now| agent.end(now, ours));
        misuse(stage, alice, ours, &[]);
        // Ended twice is ended.
        let _ = stage.agent(alice, "end", |agent, now| agent.end(now, ours));
        stage.world.run_for(Duration::from_secs(5));
        misuse(stage, bob, theirs, &[]);
        crate::call::label(stage, alice, ours)
    });
}

#[test]
fn an_accepted_call_is_not_answered_again() {
    Matrix {
        losses: &[0.0],
        ..Matrix::new("misuse 2xx")
    }
    .run("connected", |stage| {
        stage.world.set_default_path(Path {
            latency: Duration::from_millis(50),
            ..Path::ideal()
        });
        let (alice, bob) = (stage.alice, stage.bob());
        stage.on_call(bob, Duration::ZERO, |agent, now, id, streams| {
            agent.accept(now, id, streams).unwrap();
            for _ in 0..2 {
                assert!(agent.accept(now, id, streams).is_err());
                assert!(agent.ring(now, id).is_err());
                assert!(agent.reject(now, id, 486, None).is_err());
            }
            // A wish of the user's counts once the call stands.
            agent.hold(now, id).unwrap();
            agent.unhold(now, id).unwrap();
        });
        let call = stage.call(probe());
        crate::call::wait(stage, alice, call, Duration::from_secs(50));
        stage.world.run_for(Duration::from_secs(5));
        crate::call::label(stage, alice, call)
    });
}
