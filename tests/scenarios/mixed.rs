//! Audio and an application's own stream in one call: what happens to one does not happen to the other.

use crate::{
    call::{both, label, wait},
    hold::{set_hold, streams_up},
    runs::{Matrix, Proxied},
};
use bytes::Bytes;
use simulator::{HostId, ProbeCommand, ProbeOptions, ProbeStream, Stage};
use sipsimple::{
    agent::{MediaFrame, SessionId, StreamId, UserAgent},
    event::Event,
    stream::{StreamSpec, audio::AudioStream},
};
use std::time::Duration;

/// Audio and a probe, in this order.
fn streams(options: &ProbeOptions) -> Vec<StreamSpec> {
    vec![StreamSpec::new("audio"), options.spec()]
}

/// A call with both that is up at both ends.
fn up(stage: &mut Stage, options: &ProbeOptions) -> Result<SessionId, String> {
    let bob = stage.bob();
    stage.answer(bob, Duration::ZERO, Duration::from_millis(300));
    let call = stage.call(streams(options));
    wait(stage, stage.alice, call, Duration::from_secs(100));
    match both(stage, call) {
        label if label == "connected" => Ok(call),
        label => Err(label),
    }
}

fn audio(stage: &Stage, host: HostId) -> Option<StreamId> {
    let agent = stage.world.node::<UserAgent>(host);
    let mut running = streams_up(stage, host).into_iter();
    running.find(|&id| agent.stream::<AudioStream>(id).is_some())
}

fn probe(stage: &Stage, host: HostId) -> Option<StreamId> {
    let agent = stage.world.node::<UserAgent>(host);
    let mut running = streams_up(stage, host).into_iter();
    running.find(|&id| agent.stream::<ProbeStream>(id).is_some())
}

/// Talks for a second in 20 ms frames, both ways at once, and says how many frames each end heard.
pub(crate) fn talk(stage: &mut Stage) -> (usize, usize) {
    let (alice, bob) = (stage.alice, stage.bob());
    let heard = |stage: &Stage, host| stage.world.host(host).inbox().media.len();
    let before = (heard(stage, alice), heard(stage, bob));
    for n in 0..50 {
        for host in [alice, bob] {
            let Some(stream) = audio(stage, host) else {
                continue;
            };
            let frame = MediaFrame::new(0, n * 160, Bytes::from_static(&[0xff; 160]));
            let _ = stage.agent(host, "talk", |agent, now| {
                agent.write_media(now, stream, frame)
            });
        }
        stage.world.run_for(Duration::from_millis(20));
    }
    stage.world.run_for(Duration::from_millis(500));
    (heard(stage, alice) - before.0, heard(stage, bob) - before.1)
}

fn has_event(stage: &Stage, host: HostId, name: &str) -> bool {
    let events = &stage.world.host(host).inbox().notifications;
    events.iter().any(|n| n.event.name() == name)
}

#[test]
fn both_run_are_held_and_resumed() {
    Matrix {
        one_in: 4,
        ..Matrix::new("beside")
    }
    .run("connected", |stage| {
        let call = match up(stage, &ProbeOptions::default()) {
            Ok(call) => call,
            Err(label) => return label,
        };
        let (alice, bob) = (stage.alice, stage.bob());
        let loss = stage.setup().loss();
        let (from_bob, from_alice) = talk(stage);
        let floor = if loss > 0.0 { 10 } else { 50 };
        assert!(
            from_bob >= floor && from_alice >= floor,
            "{from_bob} {from_alice}"
        );
        set_hold(stage, alice, call, true);
        stage.world.run_for(Duration::from_secs(30));
        let held = stage
            .model(bob)
            .sessions()
            .any(|(_, belief)| belief.held_by_peer);
        if !held {
            return format!("not held, {}", label(stage, alice, call));
        }
        // Who holds neither sends nor hears.
        assert_eq!(talk(stage), (0, 0));
        set_hold(stage, alice, call, false);
        stage.world.run_for(Duration::from_secs(30));
        let (from_bob, from_alice) = talk(stage);
        match from_bob > 0 && from_alice > 0 {
            true => label(stage, alice, call),
            false => format!("silent, {}", label(stage, alice, call)),
        }
    });
}

// STR-17: one of several fails; the peer is told by an offer, and the other runs on.
#[test]
fn the_probe_fails_and_audio_goes_on() {
    Matrix {
        losses: &[0.0, 0.1],
        one_in: 4,
        ..Matrix::new("one fails")
    }
    .run("connected", |stage| {
        let call = match up(stage, &ProbeOptions::default()) {
            Ok(call) => call,
            Err(label) => return label,
        };
        let (alice, bob) = (stage.alice, stage.bob());
        let failing = match stage.world.rng().below(2) {
            0 => alice,
            _ => bob,
        };
        let Some(stream) = probe(stage, failing) else {
            return "no probe".to_owned();
        };
        let _ = stage.agent(failing, "fail", |agent, now| {
            agent.command(now, stream, ProbeCommand::Fail)
        });
        stage.world.run_for(Duration::from_secs(40));
        for host in [alice, bob] {
            if probe(stage, host).is_some() || audio(stage, host).is_none() {
                return format!("not removed, {}", label(stage, alice, call));
            }
        }
        let (from_bob, from_alice) = talk(stage);
        assert!(from_bob > 0 && from_alice > 0);
        label(stage, alice, call)
    });
}

// SES-15: the callee takes one of two; the other m-line is refused by port 0.
#[test]
fn the_callee_takes_one_of_both() {
    Matrix {
        losses: &[0.0],
        ..Matrix::new("one taken")
    }
    .run("connected", |stage| {
        let bob = stage.bob();
        let wanted = stage.world.rng().below(2) as usize;
        stage.on_call(
            bob,
            Duration::from_millis(300),
            move |agent, now, id, proposed| {
                agent.accept(now, id, &proposed[wanted..=wanted]).unwrap();
            },
        );
        let call = stage.call(streams(&ProbeOptions::default()));
        wait(stage, stage.alice, call, Duration::from_secs(100));
        stage.world.run_for(Duration::from_secs(3));
        for host in [stage.alice, bob] {
            assert_eq!(audio(stage, host).is_some(), wanted == 0);
            assert_eq!(probe(stage, host).is_some(), wanted == 1);
        }
        label(stage, stage.alice, call)
    });
}

// A probe that takes 12 s holds the offer of both back, and does not lose the audio.
#[test]
fn a_slow_probe_delays_the_audio_beside_it() {
    Matrix {
        losses: &[0.0, 0.1],
        one_in: 4,
        ..Matrix::new("slow beside")
    }
    .run("connected", |stage| {
        let slow = ProbeOptions {
            prepare_ms: 12_000,
            ..ProbeOptions::default()
        };
        let call = match up(stage, &slow) {
            Ok(call) => call,
            Err(label) => return label,
        };
        let (from_bob, from_alice) = talk(stage);
        assert!(from_bob > 0 && from_alice > 0);
        label(stage, stage.alice, call)
    });
}

// A file, a wish for a new offer from both ends at once, and speech, all in one call.
#[test]
fn everything_at_once() {
    Matrix {
        losses: &[0.0, 0.1],
        one_in: 20,
        proxy: Proxied::Both,
        ..Matrix::new("everything")
    }
    .run("connected", |stage| {
        let (alice, bob) = (stage.alice, stage.bob());
        let (size, seed) = (100_000, 5);
        let song = simulator::FileContent::Pattern { size, seed };
        stage.world.put_file(alice, "song", song);
        let options = ProbeOptions {
            byte_stream: true,
            send_file: Some("song".to_owned()),
            stall_ms: 3_000,
            ..ProbeOptions::default()
        };
        let call = match up(stage, &options) {
            Ok(call) => call,
            Err(label) => return label,
        };
        for host in [alice, bob] {
            if let Some(stream) = probe(stage, host) {
                let prepare = host == alice;
                let reoffer = ProbeCommand::Reoffer { prepare };
                let _ = stage.agent(host, "re-offer", |agent, now| {
                    agent.command(now, stream, reoffer)
                });
            }
        }
        let (from_bob, from_alice) = talk(stage);
        assert!(from_bob > 0 && from_alice > 0);
        stage.world.run_for(Duration::from_secs(60));
        assert!(has_event(stage, bob, "ProbeStreamDidReceiveFile"));
        let sent = |event: &Event| event.name() == "ProbeStreamDidSendFile";
        let events = &stage.world.host(alice).inbox().notifications;
        assert!(events.iter().any(|n| sent(&n.event)));
        label(stage, alice, call)
    });
}
