//! Calls that are made, refused and ended.

use crate::runs::Matrix;
use simulator::{HostId, Phase, ProbeOptions, Stage};
use sipsimple::{agent::SessionId, stream::StreamSpec};
use std::time::Duration;

pub(crate) fn probe() -> Vec<StreamSpec> {
    vec![ProbeOptions::default().spec()]
}

/// How the caller believes its call to stand.
pub(crate) fn label(stage: &Stage, host: HostId, id: SessionId) -> String {
    match stage
        .model(host)
        .session(id)
        .map(|belief| belief.phase.clone())
    {
        Some(Phase::Up) => "connected".to_owned(),
        Some(Phase::Failed { code }) => code.to_string(),
        Some(Phase::Ended { .. }) => "ended".to_owned(),
        Some(Phase::Setup) => "setup".to_owned(),
        None => "nothing".to_owned(),
    }
}

/// A number below `bound`, from the seed.
pub(crate) fn draw(stage: &mut Stage, bound: u64) -> Duration {
    let millis = stage.world.rng().below(bound as u32);
    Duration::from_millis(u64::from(millis))
}

/// Waits until the call is up, or over, at the caller.
pub(crate) fn wait(stage: &mut Stage, host: HostId, id: SessionId, limit: Duration) {
    let step = Duration::from_millis(100);
    let mut waited = Duration::ZERO;
    while waited < limit && label(stage, host, id) == "setup" {
        stage.world.run_for(step);
        waited += step;
    }
}

/// How the call stands once the callee has its ACK or has given up waiting for it.
pub(crate) fn both(stage: &mut Stage, id: SessionId) -> String {
    for _ in 0..400 {
        let bob = stage.model(stage.bob());
        let waiting = bob
            .sessions()
            .any(|(_, belief)| belief.phase == Phase::Setup);
        if !waiting || label(stage, stage.alice, id) != "connected" {
            break;
        }
        stage.world.run_for(Duration::from_millis(100));
    }
    let bob = stage.model(stage.bob());
    let up = bob.sessions().any(|(_, belief)| belief.phase == Phase::Up);
    match (label(stage, stage.alice, id), up) {
        (label, true) => label,
        (label, false) if label == "connected" => "no ACK".to_owned(),
        (label, false) => label,
    }
}

const PATIENCE: Duration = Duration::from_secs(100);

#[test]
fn a_call_is_made_and_ended_by_the_caller() {
    Matrix::new("call").run("connected", |stage| {
        let bob = stage.bob();
        stage.answer(bob, Duration::from_millis(200), Duration::from_secs(2));
        let call = stage.call(probe());
        wait(stage, stage.alice, call, PATIENCE);
        let label = both(stage, call);
        let talk = draw(stage, 5_000);
        stage.world.run_for(talk);
        let _ = stage.agent(stage.alice, "end", |agent, now| agent.end(now, call));
        label
    });
}

#[test]
fn a_call_is_ended_by_the_callee() {
    Matrix::new("callee ends").run("connected", |stage| {
        let bob = stage.bob();
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        let call = stage.call(probe());
        wait(stage, stage.alice, call, PATIENCE);
        let label = both(stage, call);
        let talk = draw(stage, 5_000);
        stage.world.run_for(talk);
        for id in stage.model(bob).alive() {
            let _ = stage.agent(bob, "end", |agent, now| agent.end(now, id));
        }
        label
    });
}

#[test]
fn a_call_is_refused() {
    Matrix::new("reject").run("486", |stage| {
        let bob = stage.bob();
        let after = draw(stage, 3_000);
        stage.reject(bob, after, 486);
        let call = stage.call(probe());
        wait(stage, stage.alice, call, PATIENCE);
        label(stage, stage.alice, call)
    });
}

#[test]
fn nobody_answers() {
    let mut matrix = Matrix::new("no answer");
    matrix.losses = &[0.0, 0.4];
    matrix.run("408", |stage| {
        let bob = stage.bob();
        stage.on_call(bob, Duration::ZERO, |agent, now, session, _| {
            agent.ring(now, session).unwrap();
        });
        let call = stage.call(probe());
        wait(stage, stage.alice, call, Duration::from_secs(300));
        label(stage, stage.alice, call)
    });
}
