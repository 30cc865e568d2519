//! The races of RFC 5407, on a path long enough for messages to cross.

use crate::{
    call::{both, label, probe, wait},
    hold::{set_hold, up},
    runs::Matrix,
};
use bytes::Bytes;
use simulator::{Path, Stage, Verdict};
use sipsimple::agent::SessionId;
use std::time::Duration;

const LATENCY: Duration = Duration::from_millis(150);

/// A path on which everything that is sent within 150 ms crosses.
fn long(stage: &mut Stage) {
    let path = Path {
        latency: LATENCY,
        ..stage.setup().path.clone()
    };
    stage.world.set_default_path(path);
}

fn end(stage: &mut Stage, host: simulator::HostId, id: SessionId) {
    let _ = stage.agent(host, "end", |agent, now| agent.end(now, id));
}

/// `over` if no end believes in a call after all transactions.
fn over(stage: &mut Stage) -> String {
    stage.world.run_for(Duration::from_secs(100));
    let left: usize = stage
        .up()
        .into_iter()
        .map(|host| stage.model(host).alive().len())
        .sum();
    match left {
        0 => "over".to_owned(),
        left => format!("{left} left"),
    }
}

fn is(payload: &Bytes, method: &str) -> bool {
    payload.starts_with(method.as_bytes())
}

/// The races need both ends up; without loss they always are.
fn race(
    name: &'static str,
    outcome: &str,
    act: impl Fn(&mut Stage, SessionId, SessionId) -> String,
) {
    Matrix::new(name).run(outcome, |stage| {
        long(stage);
        match up(stage) {
            Ok((ours, theirs)) => act(stage, ours, theirs),
            // The race did not take place.
            Err(_) => outcome.to_owned(),
        }
    });
}

// RFC 5407, 3.1.1: with 300 ms each way the INVITE comes again (T1) before the answer is there.
#[test]
fn invite_again_after_the_answer() {
    Matrix::new("race 3.1.1").run("connected", |stage| {
        let path = Path {
            latency: Duration::from_millis(300),
            ..stage.setup().path.clone()
        };
        stage.world.set_default_path(path);
        let bob = stage.bob();
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        let call = stage.call(probe());
        wait(stage, stage.alice, call, Duration::from_secs(100));
        both(stage, call)
    });
}

// RFC 5407, 3.1.2
#[test]
fn cancel_crosses_the_answer() {
    Matrix::new("race 3.1.2").run("over", |stage| {
        long(stage);
        let bob = stage.bob();
        stage.answer(bob, Duration::ZERO, Duration::from_millis(500));
        let call = stage.call(probe());
        let offset = stage.world.rng().below(300);
        stage
            .world
            .run_for(Duration::from_millis(500 + u64::from(offset)));
        end(stage, stage.alice, call);
        over(stage)
    });
}

// RFC 5407, 3.1.4 and 3.1.5: the first ACK is lost, a re-INVITE follows at once.
#[test]
fn a_new_offer_overtakes_the_ack() {
    Matrix::new("race 3.1.4").run("connected", |stage| {
        long(stage);
        let bob = stage.bob();
        let mut acks = 0;
        stage.world.intercept(move |packet| {
            let ack = is(packet.payload, "ACK");
            acks += u32::from(ack);
            match ack && acks == 1 {
                true => Verdict::Drop,
                false => Verdict::Pass,
            }
        });
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        let call = stage.call(probe());
        wait(stage, stage.alice, call, Duration::from_secs(100));
        set_hold(stage, stage.alice, call, true);
        stage.world.run_for(Duration::from_secs(60));
        label(stage, stage.alice, call)
    });
}

// RFC 5407, 3.1.6: the ACK is lost, BYE follows at once.
#[test]
fn bye_overtakes_the_ack() {
    Matrix::new("race 3.1.6").run("over", |stage| {
        long(stage);
        let bob = stage.bob();
        let mut acks = 0;
        stage.world.intercept(move |packet| {
            let ack = is(packet.payload, "ACK");
            acks += u32::from(ack);
            match ack && acks < 3 {
                true => Verdict::Drop,
                false => Verdict::Pass,
            }
        });
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        let call = stage.call(probe());
        wait(stage, stage.alice, call, Duration::from_secs(100));
        end(stage, stage.alice, call);
        over(stage)
    });
}

// RFC 5407, 3.2.1
#[test]
fn bye_crosses_bye() {
    race("race 3.2.1", "over", |stage, ours, theirs| {
        let (alice, bob) = (stage.alice, stage.bob());
        end(stage, alice, ours);
        end(stage, bob, theirs);
        over(stage)
    });
}

// RFC 5407, 3.2.2
#[test]
fn bye_crosses_a_new_offer() {
    race("race 3.2.2", "over", |stage, ours, theirs| {
        let (alice, bob) = (stage.alice, stage.bob());
        match stage.setup().seed % 2 {
            0 => {
                end(stage, alice, ours);
                set_hold(stage, bob, theirs, true);
            }
            _ => {
                set_hold(stage, alice, ours, true);
                end(stage, bob, theirs);
            }
        }
        over(stage)
    });
}

// RFC 5407, 3.2.3: the offer has arrived, its answer is on the way, BYE crosses it.
#[test]
fn bye_crosses_the_answer_of_an_offer() {
    race("race 3.2.3", "over", |stage, ours, theirs| {
        let (alice, bob) = (stage.alice, stage.bob());
        set_hold(stage, alice, ours, true);
        let after = 100 + stage.world.rng().below(250);
        stage.world.run_for(Duration::from_millis(after.into()));
        match stage.setup().seed % 2 {
            0 => end(stage, alice, ours),
            _ => end(stage, bob, theirs),
        }
        over(stage)
    });
}

// RFC 5407, 3.2.4: the callee ends the call before the ACK is there; BYE waits for it.
#[test]
fn the_callee_ends_before_the_ack() {
    Matrix::new("race 3.2.4").run("over", |stage| {
        long(stage);
        let bob = stage.bob();
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        let after = Duration::from_millis(stage.world.rng().below(400).into());
        stage.on_call(bob, after, |agent, now, id, _| {
            let _ = agent.end(now, id);
        });
        stage.call(probe());
        over(stage)
    });
}

// RFC 5407, 3.3.1, and what follows it: both offer, both are told 491, both end.
#[test]
fn offers_cross_and_both_end() {
    race("race 3.3.1", "over", |stage, ours, theirs| {
        let (alice, bob) = (stage.alice, stage.bob());
        set_hold(stage, alice, ours, true);
        set_hold(stage, bob, theirs, true);
        let after = stage.world.rng().below(4_000);
        stage.world.run_for(Duration::from_millis(after.into()));
        end(stage, alice, ours);
        end(stage, bob, theirs);
        over(stage)
    });
}
