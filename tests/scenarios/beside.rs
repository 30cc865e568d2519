//! Audio in the simulator, alone and beside an application's own stream in the same call.

use crate::{
    call::{both, draw, label, wait},
    hold::set_hold,
    runs::{Matrix, Proxied},
};
use bytes::Bytes;
use simulator::{HostId, Loss, ProbeCommand, ProbeOptions, Stage};
use sipsimple::{
    agent::{MediaFrame, SessionId, StreamId, UserAgent},
    event::{Event, StreamEvent},
    rtp::Digit,
    stream::{
        StreamSpec,
        audio::{AudioStream, KIND, SendDtmf},
    },
};
use std::time::Duration;

/// The stream of a kind that runs on a host: audio, or the application's own.
fn stream(stage: &Stage, host: HostId, is_audio: bool) -> StreamId {
    let agent = stage.world.node::<UserAgent>(host);
    let events = &stage.world.host(host).inbox().notifications;
    let mut started = events.iter().filter_map(|told| match told.event {
        Event::Stream(id, StreamEvent::DidStart) => Some(id),
        _ => None,
    });
    let found = started.rfind(|id| agent.stream::<AudioStream>(*id).is_some() == is_audio);
    found.expect("a stream of this kind runs")
}

/// Frames that a host heard since `from`, in places that hold sound.
pub(crate) fn heard(stage: &Stage, host: HostId, from: usize) -> usize {
    let media = &stage.world.host(host).inbox().media;
    media[from..]
        .iter()
        .filter(|(_, _, frame)| frame.payload.len() == 160)
        .count()
}

pub(crate) fn marks(stage: &Stage, hosts: [HostId; 2]) -> [usize; 2] {
    hosts.map(|host| stage.world.host(host).inbox().media.len())
}

/// Both ends speak: a frame every 20 ms.
pub(crate) fn speak(stage: &mut Stage, hosts: [HostId; 2], frames: u32) {
    let streams = hosts.map(|host| stream(stage, host, true));
    for n in 0..frames {
        for (host, stream) in hosts.into_iter().zip(streams) {
            let payload = Bytes::from(vec![n as u8; 160]);
            let frame = MediaFrame::new(0, n * 160, payload);
            let written = stage.agent(host, "frame", |agent, now| {
                agent.write_media(now, stream, frame)
            });
            written.expect("the stream runs");
        }
        stage.world.run_for(Duration::from_millis(20));
    }
}

pub(crate) fn is_lossless(stage: &Stage) -> bool {
    stage.setup().path.loss == Loss::None
}

pub(crate) fn start(stage: &mut Stage, streams: Vec<StreamSpec>) -> SessionId {
    let bob = stage.bob();
    stage.answer(bob, Duration::from_millis(100), Duration::from_millis(500));
    let call = stage.call(streams);
    wait(stage, stage.alice, call, Duration::from_secs(100));
    call
}

pub(crate) fn end(stage: &mut Stage, call: SessionId) {
    let _ = stage.agent(stage.alice, "end", |agent, now| agent.end(now, call));
}

fn digits(stage: &Stage, host: HostId) -> String {
    let events = &stage.world.host(host).inbox().notifications;
    let digit = |event: &Event| match event {
        Event::Stream(_, StreamEvent::GotDtmf { digit }) => Some(*digit),
        _ => None,
    };
    events
        .iter()
        .filter_map(|told| digit(&told.event))
        .collect()
}

#[test]
fn audio_speaks_dials_holds_and_resumes() {
    let mut matrix = Matrix::new("audio");
    matrix.one_in = 4;
    matrix.run("connected", |stage| {
        let call = start(stage, vec![StreamSpec::new(KIND)]);
        let outcome = both(stage, call);
        if outcome != "connected" {
            return outcome;
        }
        let hosts = [stage.alice, stage.bob()];
        let before = marks(stage, hosts);
        speak(stage, hosts, 100);
        stage.world.run_for(Duration::from_millis(500));
        if is_lossless(stage) {
            // Doubled packets are the jitter buffer's to drop: none may be missing here.
            assert!(heard(stage, hosts[0], before[0]) >= 100);
            assert!(heard(stage, hosts[1], before[1]) >= 100);
        }
        let dialled = stream(stage, stage.alice, true);
        for digit in "1159#*0D".chars() {
            let command = SendDtmf::new(Digit::try_from(digit).expect("a digit"));
            let sent = stage.agent(stage.alice, "digit", |agent, now| {
                agent.command(now, dialled, command)
            });
            sent.expect("the stream runs")
                .expect("the peer takes digits");
        }
        stage.world.run_for(Duration::from_secs(3));
        if is_lossless(stage) {
            assert_eq!(digits(stage, stage.bob()), "1159#*0D");
        }
        set_hold(stage, stage.alice, call, true);
        stage.world.run_for(Duration::from_secs(2));
        let before = marks(stage, hosts);
        speak(stage, hosts, 20);
        // Our own sending stops whatever the peer says to it.
        assert_eq!(heard(stage, hosts[1], before[1]), 0);
        stage.world.run_for(Duration::from_secs(10));
        set_hold(stage, stage.alice, call, false);
        stage.world.run_for(Duration::from_secs(10));
        let outcome = label(stage, stage.alice, call);
        if is_lossless(stage) {
            let before = marks(stage, hosts);
            speak(stage, hosts, 20);
            stage.world.run_for(Duration::from_millis(500));
            assert!(heard(stage, hosts[1], before[1]) >= 20);
        }
        end(stage, call);
        outcome
    });
}

/// The application's stream asks for one offer after the other, with and without preparation: not a
/// packet of the audio beside it is lost.
#[test]
fn audio_goes_on_while_its_neighbour_changes() {
    let mut matrix = Matrix::new("audio beside");
    matrix.losses = &[0.0, 0.1];
    matrix.one_in = 4;
    matrix.run("connected", |stage| {
        let call = start(
            stage,
            vec![StreamSpec::new(KIND), ProbeOptions::default().spec()],
        );
        let outcome = both(stage, call);
        if outcome != "connected" {
            return outcome;
        }
        let hosts = [stage.alice, stage.bob()];
        let probes = hosts.map(|host| stream(stage, host, false));
        let before = marks(stage, hosts);
        for (n, (host, probe)) in hosts.into_iter().zip(probes).cycle().take(4).enumerate() {
            let reoffer = ProbeCommand::Reoffer {
                prepare: n % 2 == 1,
            };
            let asked = stage.agent(host, "reoffer", |agent, now| {
                agent.command(now, probe, reoffer)
            });
            asked.expect("the stream runs");
            speak(stage, hosts, 50);
        }
        stage.world.run_for(Duration::from_millis(500));
        if is_lossless(stage) {
            assert!(heard(stage, hosts[0], before[0]) >= 200);
            assert!(heard(stage, hosts[1], before[1]) >= 200);
        }
        let outcome = label(stage, stage.alice, call);
        end(stage, call);
        outcome
    });
}

/// Several phones ring, one takes the call: both streams follow it.
#[test]
fn both_streams_follow_the_phone_that_answers() {
    let mut matrix = Matrix::new("forked pair");
    matrix.phones = 2;
    matrix.proxy = Proxied::Always;
    matrix.losses = &[0.0, 0.1];
    matrix.run("connected", |stage| {
        let first = stage.bob();
        let second = stage.phones[1];
        let answer = Duration::from_secs(1) + draw(stage, 1_000);
        stage.on_call(
            first,
            Duration::from_millis(100),
            |agent, now, session, _| {
                // The call may have been cancelled; then the command says so.
                let _ = agent.ring(now, session);
            },
        );
        stage.answer(second, Duration::from_millis(150), answer);
        let call = stage.call(vec![ProbeOptions::default().spec(), StreamSpec::new(KIND)]);
        wait(stage, stage.alice, call, Duration::from_secs(100));
        stage.world.run_for(Duration::from_secs(2));
        let outcome = label(stage, stage.alice, call);
        if outcome == "connected" && is_lossless(stage) {
            let hosts = [stage.alice, second];
            let before = marks(stage, hosts);
            speak(stage, hosts, 25);
            stage.world.run_for(Duration::from_millis(200));
            assert!(heard(stage, hosts[0], before[0]) >= 25);
            assert!(heard(stage, hosts[1], before[1]) >= 25);
        }
        end(stage, call);
        outcome
    });
}
