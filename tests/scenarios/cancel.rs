//! The caller changes its mind at every point of a call that is being made.

use crate::{
    call::{label, probe},
    runs::Matrix,
};
use simulator::Path;
use std::time::Duration;

/// `over` if both ends know that there is no call.
fn over(stage: &mut simulator::Stage, call: sipsimple::agent::SessionId) -> String {
    stage.world.run_for(Duration::from_secs(100));
    let alice = stage.model(stage.alice).alive().is_empty();
    let bob = stage.model(stage.bob()).alive().is_empty();
    match (alice, bob) {
        (true, true) => "over".to_owned(),
        (true, false) => "up at the callee".to_owned(),
        _ => format!("{} at the caller", label(stage, stage.alice, call)),
    }
}

#[test]
fn a_call_is_cancelled_at_every_point() {
    for step in 0..12 {
        Matrix {
            one_in: 4,
            ..Matrix::new("cancel")
        }
        .run("over", |stage| {
            let path = Path {
                latency: Duration::from_millis(50),
                ..stage.setup().path.clone()
            };
            stage.world.set_default_path(path);
            let bob = stage.bob();
            stage.answer(bob, Duration::from_millis(100), Duration::from_millis(300));
            let call = stage.call(probe());
            // Before the INVITE leaves, while it flies, before and after 180, while the 200 flies,
            // while the ACK flies, and after it.
            stage.world.run_for(Duration::from_millis(step * 50));
            let _ = stage.agent(stage.alice, "end", |agent, now| agent.end(now, call));
            over(stage, call)
        });
    }
}

#[test]
fn a_call_is_cancelled_while_the_callee_refuses_or_ends_it() {
    for step in 0..6 {
        Matrix {
            one_in: 4,
            ..Matrix::new("cancel race")
        }
        .run("over", |stage| {
            let path = Path {
                latency: Duration::from_millis(50),
                ..stage.setup().path.clone()
            };
            stage.world.set_default_path(path);
            let bob = stage.bob();
            match stage.setup().seed % 2 {
                0 => stage.reject(bob, Duration::from_millis(100), 603),
                _ => stage.on_call(bob, Duration::from_millis(100), |agent, now, id, _| {
                    let _ = agent.end(now, id);
                }),
            }
            let call = stage.call(probe());
            stage.world.run_for(Duration::from_millis(step * 50));
            let _ = stage.agent(stage.alice, "end", |agent, now| agent.end(now, call));
            over(stage, call)
        });
    }
}
