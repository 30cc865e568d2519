//! What gets lost for good: ACKs, peers, paths, state.

use crate::{
    call::{label, probe, wait},
    hold::{set_hold, up},
    runs::{Matrix, Proxied},
};
use simulator::{Crash, Stage, server::Proxy};
use sip::{Message, Method};
use sipsimple::agent::UserAgent;
use std::time::Duration;

/// Lets the proxy drop the ACKs for which `lose` says true, counted from 1.
fn lose_acks(stage: &mut Stage, lose: impl Fn(u32) -> bool + 'static) {
    let proxy = stage.proxy.unwrap();
    stage
        .world
        .command(proxy, "lose ACKs", |proxy: &mut Proxy, _| {
            let mut acks = 0;
            proxy.set_filter(move |message| {
                let ack =
                    matches!(message, Message::Request(request) if request.method == Method::Ack);
                acks += u32::from(ack);
                ack && lose(acks)
            });
        });
}

#[test]
fn lost_acks_are_sent_again() {
    Matrix {
        proxy: Proxied::Always,
        losses: &[0.0, 0.1],
        ..Matrix::new("lost ACK")
    }
    .run("connected", |stage| {
        lose_acks(stage, |n| n <= 2);
        let bob = stage.bob();
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        let call = stage.call(probe());
        wait(stage, stage.alice, call, Duration::from_secs(100));
        stage.world.run_for(Duration::from_secs(40));
        label(stage, stage.alice, call)
    });
}

// RFC 3261, 13.3.1.4: no ACK within 64*T1, so the callee says BYE.
#[test]
fn a_call_without_any_ack_is_ended_by_the_callee() {
    Matrix {
        proxy: Proxied::Always,
        losses: &[0.0],
        ..Matrix::new("no ACK")
    }
    .run("ended", |stage| {
        lose_acks(stage, |_| true);
        let bob = stage.bob();
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        let call = stage.call(probe());
        stage.world.run_for(Duration::from_secs(60));
        let theirs = stage.model(bob);
        assert!(
            theirs
                .sessions()
                .all(|(_, belief)| matches!(belief.phase, simulator::Phase::Failed { .. })),
            "{theirs:?}"
        );
        label(stage, stage.alice, call)
    });
}

#[test]
fn a_peer_that_restarted_does_not_know_the_call() {
    Matrix {
        losses: &[0.0, 0.1],
        ..Matrix::new("restart")
    }
    .run("ended", |stage| {
        let Ok((call, _)) = up(stage) else {
            return "ended".to_owned();
        };
        let (alice, bob) = (stage.alice, stage.bob());
        let crash = match stage.setup().seed % 2 {
            0 => Crash::Process,
            _ => Crash::Power,
        };
        stage.world.crash(bob, crash);
        stage.world.run_for(Duration::from_secs(5));
        let agent = UserAgent::new(stage.world.now(), stage.config("bob", 1));
        stage.world.restart(bob, agent);
        stage.world.run_for(Duration::from_secs(1));
        // The offer is answered 481, which ends the call (RFC 3261, 12.2.1.2). Over a connection that
        // died with the power the first offer gets no further than a reset, which ends nothing.
        for hold in [true, false, true] {
            set_hold(stage, alice, call, hold);
            stage.world.run_for(Duration::from_secs(50));
        }
        label(stage, alice, call)
    });
}

#[test]
fn a_peer_that_is_gone_is_given_up() {
    Matrix {
        losses: &[0.0],
        ..Matrix::new("gone")
    }
    .run("ended", |stage| {
        let (call, _) = match up(stage) {
            Ok(calls) => calls,
            Err(label) => return label,
        };
        let (alice, bob) = (stage.alice, stage.bob());
        stage.world.crash(bob, Crash::Power);
        let _ = stage.agent(alice, "end", |agent, now| agent.end(now, call));
        stage.world.run_for(Duration::from_secs(5));
        // The user is told soon (SES-34), the transaction lives on.
        label(stage, alice, call)
    });
}

#[test]
fn a_proxy_that_forgets_does_no_harm() {
    // With loss it does harm: having answered 100, it owes the caller the retransmissions.
    Matrix {
        proxy: Proxied::Always,
        losses: &[0.0],
        ..Matrix::new("forgetful")
    }
    .run("connected", |stage| {
        let bob = stage.bob();
        stage.answer(bob, Duration::from_millis(200), Duration::from_secs(2));
        let call = stage.call(probe());
        let proxy = stage.proxy.unwrap();
        for _ in 0..30 {
            stage.world.run_for(Duration::from_millis(100));
            stage
                .world
                .command(proxy, "forget", |proxy: &mut Proxy, _| proxy.forget());
        }
        wait(stage, stage.alice, call, Duration::from_secs(100));
        stage.world.run_for(Duration::from_secs(5));
        label(stage, stage.alice, call)
    });
}
