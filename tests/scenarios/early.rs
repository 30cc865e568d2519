//! Early media (RFC 3261, 13.2.1; RFC 3262; RFC 6337, 3.1): heard before the call is taken, from one fork
//! at a time.

use crate::{
    beside::is_lossless,
    call::{both, label, wait},
    line::{PATIENCE, call_without_offer, hears, requests, sent},
    runs::{Matrix, Proxied, play},
};
use bytes::Bytes;
use simulator::{HostId, Setup, Stage, Verdict};
use sip::{
    Message, Method, Response, Status, config::Reliability, usage::invitation::InvitationEvent,
};
use sipsimple::{
    agent::{Config, MediaFrame, SessionId, StreamId},
    event::{Event, StreamEvent},
    stream::{Encryption, StreamSpec, audio::KIND},
};
use std::time::Duration;

/// The stream of a host that was started last.
fn stream(stage: &Stage, host: HostId) -> Option<StreamId> {
    let events = &stage.world.host(host).inbox().notifications;
    events.iter().rev().find_map(|told| match told.event {
        Event::Stream(id, StreamEvent::DidStart) => Some(id),
        _ => None,
    })
}

/// How far what a host was told and heard goes.
fn mark(stage: &Stage, host: HostId) -> usize {
    stage.world.host(host).inbox().media.len()
}

/// Whom a host heard since `from`: how many frames of each voice.
fn voices(stage: &Stage, host: HostId, from: usize) -> [usize; 3] {
    let mut heard = [0; 3];
    for (_, _, frame) in &stage.world.host(host).inbox().media[from..] {
        if frame.payload.len() == 160 {
            heard[usize::from(frame.payload[0])] += 1;
        }
    }
    heard
}

/// All of `hosts` speak, each with the voice of its place, as far as their streams run, until it was heard.
fn speak(stage: &mut Stage, hosts: &[HostId], frames: u32) {
    for n in 0..frames {
        for (voice, &host) in hosts.iter().enumerate() {
            let Some(stream) = stream(stage, host) else {
                continue;
            };
            let payload = Bytes::from(vec![voice as u8; 160]);
            let frame = MediaFrame::new(0, n * 160, payload);
            // A call that was lost has no stream any more.
            let _ = stage.agent(host, "frame", |agent, now| {
                agent.write_media(now, stream, frame)
            });
        }
        stage.world.run_for(Duration::from_millis(20));
    }
    stage.world.run_for(ON_ITS_WAY);
}

/// Longer than a frame is under way and waits to be played.
const ON_ITS_WAY: Duration = Duration::from_millis(200);

/// A host answers calls early, and takes them later.
fn early(stage: &mut Stage, host: HostId, progress: Duration, accept: Duration) {
    shows(stage, host, progress);
    stage.on_call(host, accept, |agent, now, id, streams| {
        // The call may be over by now.
        let _ = agent.accept(now, id, streams);
    });
}

fn shows(stage: &mut Stage, host: HostId, after: Duration) {
    stage.on_call(host, after, |agent, now, id, streams| {
        let _ = agent.progress(now, id, streams);
    });
}

fn call(stage: &mut Stage) -> SessionId {
    stage.call(vec![StreamSpec::new(KIND)])
}

/// The descriptions in a host's responses with this status, each once.
fn described(stage: &Stage, host: HostId, status: Status) -> Vec<Bytes> {
    let wanted = |response: &Response| {
        let is_invite = response
            .headers
            .cseq()
            .is_ok_and(|cseq| cseq.method == Method::Invite);
        is_invite && response.status == status && !response.body.is_empty()
    };
    let mut found: Vec<Bytes> = sent(stage, host)
        .into_iter()
        .filter_map(|message| match message {
            Message::Response(response) if wanted(&response) => Some(response.body),
            _ => None,
        })
        .collect();
    found.dedup();
    found
}

/// How often the caller was told something of its stream.
fn told(stage: &Stage, host: HostId, wants: fn(&StreamEvent) -> bool) -> usize {
    let events = &stage.world.host(host).inbox().notifications;
    let told = events.iter().filter(|told| match &told.event {
        Event::Stream(_, event) => wants(event),
        _ => false,
    });
    told.count()
}

/// What a caller hears of a callee that answers in 183 and takes the call 6 s later.
fn heard_early(name: &'static str, sip: fn(&str, &mut sip::Config), is_reliable: bool) {
    Matrix {
        sip,
        losses: &[0.0, 0.1],
        ..Matrix::new(name)
    }
    .run("connected", |stage| {
        let (alice, bob) = (stage.alice, stage.bob());
        let hosts = [alice, bob];
        early(
            stage,
            bob,
            Duration::from_millis(200),
            Duration::from_secs(6),
        );
        let id = call(stage);
        stage.world.run_for(Duration::from_secs(2));
        let ideal = is_lossless(stage);
        // What was said in the first two seconds of the stream arrives in any case, and later if the caller
        // has acknowledged the 183 (MediaSettings::unacknowledged_media).
        let from = mark(stage, alice);
        speak(stage, &hosts, 10);
        let first = voices(stage, alice, from);
        stage.world.run_for(Duration::from_secs(2));
        let from = mark(stage, alice);
        speak(stage, &hosts, 10);
        let later = voices(stage, alice, from);
        assert_eq!(label(stage, alice, id), "setup");
        if ideal {
            assert_eq!((first[1] >= 9, later[1] >= 9), (true, is_reliable));
        }
        wait(stage, alice, id, PATIENCE);
        let outcome = both(stage, id);
        if outcome != "connected" {
            return outcome;
        }
        let from = [mark(stage, alice), mark(stage, bob)];
        speak(stage, &hosts, 25);
        if ideal {
            assert!(voices(stage, alice, from[0])[1] >= 25);
            assert!(voices(stage, bob, from[1])[0] >= 25);
        }
        let shown = described(stage, bob, Status::SESSION_PROGRESS);
        let said = described(stage, bob, Status::OK);
        assert_eq!(shown.len(), 1);
        match is_reliable {
            // RFC 6337, 3.1.1: the reliable answer is the answer.
            true => assert_eq!(said.len(), 0),
            // RFC 3261, 13.2.1
            false => assert_eq!(said, shown),
        }
        assert_eq!(requests(stage, alice, &Method::Prack) > 0, is_reliable);
        // Nothing restarts, whatever the 2xx says again; and silence before the answer is none.
        for host in hosts {
            let events: [fn(&StreamEvent) -> bool; 2] = [
                |event| matches!(event, StreamEvent::DidChangeRtpParameters),
                |event| matches!(event, StreamEvent::DidStart),
            ];
            assert_eq!(events.map(|event| told(stage, host, event)), [0, 1]);
        }
        outcome
    });
}

/// INV-07, INV-16: with PRACK, early media lasts as long as it rings.
#[test]
fn inv_07_early_media_that_is_acknowledged() {
    heard_early("early, reliable", |_, _| {}, true);
}

/// INV-07: without PRACK nothing proves the caller's address, and two seconds are all that it gets.
#[test]
fn inv_07_early_media_that_nobody_acknowledges() {
    heard_early(
        "early, unreliable",
        |name, sip| {
            if name == "alice" {
                sip.reliable = Reliability::Off;
            }
        },
        false,
    );
}

/// An announcement, and then a refusal.
#[test]
fn a_refusal_is_heard_before_it_is_told() {
    Matrix::new("early, then 486").run("486", |stage| {
        let (alice, bob) = (stage.alice, stage.bob());
        shows(stage, bob, Duration::from_millis(100));
        stage.reject(bob, Duration::from_secs(4), 486);
        let id = call(stage);
        stage.world.run_for(Duration::from_secs(1));
        speak(stage, &[alice, bob], 10);
        wait(stage, alice, id, PATIENCE);
        if is_lossless(stage) {
            assert!(voices(stage, alice, 0)[1] >= 9);
        }
        label(stage, alice, id)
    });
}

/// The caller gives up while it hears the callee.
#[test]
fn a_call_is_given_up_while_the_callee_is_heard() {
    Matrix::new("early, then CANCEL").run("over", |stage| {
        let (alice, bob) = (stage.alice, stage.bob());
        early(stage, bob, Duration::ZERO, Duration::from_secs(60));
        let id = call(stage);
        stage.world.run_for(Duration::from_secs(3));
        speak(stage, &[alice, bob], 5);
        let _ = stage.agent(alice, "end", |agent, now| agent.end(now, id));
        stage.world.run_for(PATIENCE);
        let alive = [alice, bob].map(|host| stage.model(host).alive().len());
        match alive {
            [0, 0] => "over".to_owned(),
            alive => format!("{alive:?} alive"),
        }
    });
}

/// Two phones answer early and speak to one place: the one that was first is heard, until the other one
/// takes the call.
fn one_fork_is_heard(
    name: &'static str,
    sip: fn(&str, &mut sip::Config),
    configure: fn(&str, &mut Config),
) {
    Matrix {
        sip,
        configure,
        proxy: Proxied::Always,
        phones: 2,
        losses: &[0.0, 0.1],
        ..Matrix::new(name)
    }
    .run("connected", |stage| {
        let (alice, phones) = (stage.alice, stage.phones.clone());
        let hosts = [alice, phones[0], phones[1]];
        // Who is followed and who takes the call is not the same.
        let first = (stage.setup().seed % 2) as usize;
        let second = 1 - first;
        shows(stage, phones[first], Duration::from_millis(200));
        early(
            stage,
            phones[second],
            Duration::from_millis(900),
            Duration::from_secs(5),
        );
        let id = call(stage);
        stage.world.run_for(Duration::from_millis(1_500));
        let from = mark(stage, alice);
        speak(stage, &hosts, 20);
        let heard = voices(stage, alice, from);
        let ideal = is_lossless(stage);
        if ideal {
            assert!(heard[1 + first] >= 19, "{heard:?}");
            assert_eq!(heard[1 + second], 0, "two at once");
        }
        wait(stage, alice, id, PATIENCE);
        stage.world.run_for(Duration::from_secs(2));
        let outcome = label(stage, alice, id);
        if outcome == "connected" && ideal {
            let from = [mark(stage, alice), mark(stage, phones[second])];
            speak(stage, &hosts, 20);
            let heard = voices(stage, alice, from[0]);
            assert_eq!((heard[1 + first], heard[1 + second] >= 20), (0, true));
            assert!(voices(stage, phones[second], from[1])[0] >= 20);
            assert!(stage.model(phones[first]).alive().is_empty());
        }
        outcome
    });
}

/// INV-21: with reliable responses each fork has its PRACK, and the answer of the one that wins is in its 183;
/// each has its own keys (RFC 4568, 7.3).
#[test]
fn inv_21_one_fork_is_heard_with_prack() {
    one_fork_is_heard("early forks, reliable", |_, _| {}, |_, _| {});
}

/// INV-21: without them, and in the clear, where nothing but its address tells one voice from the other.
#[test]
fn inv_21_one_fork_is_heard_without_prack() {
    one_fork_is_heard(
        "early forks, unreliable",
        |name, sip| {
            if name == "alice" {
                sip.reliable = Reliability::Off;
            }
        },
        |_, config| config.media.encryption = Encryption::Off,
    );
}

/// INV-21, RFC 5764, 5.1: each has its own handshake with us, of which one counts.
#[test]
fn inv_21_one_fork_is_heard_by_dtls() {
    one_fork_is_heard(
        "early forks, DTLS",
        |_, _| {},
        |_, config| config.media.encryption = Encryption::DtlsMandatory,
    );
}

/// INV-21: one fork is heard, and another one that only rings takes the call.
#[test]
fn inv_21_a_fork_that_only_rings_takes_the_call_from_one_that_is_heard() {
    Matrix {
        proxy: Proxied::Always,
        phones: 2,
        losses: &[0.0, 0.1],
        ..Matrix::new("early fork loses")
    }
    .run("connected", |stage| {
        let (alice, phones) = (stage.alice, stage.phones.clone());
        let hosts = [alice, phones[0], phones[1]];
        shows(stage, phones[0], Duration::from_millis(200));
        stage.answer(
            phones[1],
            Duration::from_millis(100),
            Duration::from_secs(3),
        );
        let id = call(stage);
        stage.world.run_for(Duration::from_secs(1));
        speak(stage, &hosts, 10);
        let ideal = is_lossless(stage);
        if ideal {
            let heard = voices(stage, alice, 0);
            assert!(heard[1] >= 9, "{heard:?}");
        }
        wait(stage, alice, id, PATIENCE);
        stage.world.run_for(Duration::from_secs(2));
        let outcome = label(stage, alice, id);
        if outcome == "connected" && ideal {
            let from = mark(stage, alice);
            speak(stage, &hosts, 20);
            let heard = voices(stage, alice, from);
            assert_eq!((heard[1], heard[2] >= 20), (0, true));
        }
        outcome
    });
}

/// SES-17, INV-07, RFC 3262, 5: who leaves the offer to us gets it in the 183 and answers in PRACK, and hears us
/// before the call is taken. Who cannot is only rung.
#[test]
fn ses_17_a_caller_without_an_offer_hears_us_early_if_it_can() {
    for is_able in [true, false] {
        let sip: fn(&str, &mut sip::Config) = match is_able {
            true => |_, _| {},
            false => |name, sip| {
                if name == "line1" {
                    sip.reliable = Reliability::Off;
                }
            },
        };
        Matrix {
            sip,
            lines: 1,
            configure: |_, config| {
                config.streams_without_offer = vec![StreamSpec::new(KIND)];
            },
            ..Matrix::new("early offer")
        }
        .run("connected", |stage| {
            let bob = stage.bob();
            stage.on_call(
                bob,
                Duration::from_millis(200),
                move |agent, now, id, streams| {
                    let shown = agent.progress(now, id, streams);
                    if shown.is_err() {
                        let _ = agent.ring(now, id);
                    }
                },
            );
            stage.on_call(bob, Duration::from_secs(3), |agent, now, id, streams| {
                let _ = agent.accept(now, id, streams);
            });
            call_without_offer(stage);
            stage.world.run_for(Duration::from_millis(2_500));
            if is_lossless(stage) {
                assert_eq!(stream(stage, bob).is_some(), is_able);
            }
            let confirmed =
                |event: &InvitationEvent| matches!(event, InvitationEvent::Confirmed { .. });
            if !hears(stage, 0, 1, confirmed) {
                return "no answer".to_owned();
            }
            let Some(theirs) = stage.model(bob).alive().into_iter().next() else {
                return "no session".to_owned();
            };
            wait(stage, bob, theirs, PATIENCE);
            let shown = described(stage, bob, Status::SESSION_PROGRESS).len();
            let said = described(stage, bob, Status::OK).len();
            assert_eq!((shown, said), if is_able { (1, 0) } else { (0, 1) });
            label(stage, bob, theirs)
        });
    }
}

/// RFC 3264, 5.1; AUS-01: the answer is lost on its way, and what the callee says meanwhile comes first. It is
/// heard with the answer that is sent again, in the clear and under the keys of that answer.
#[test]
fn aus_01_speech_that_is_faster_than_the_answer_is_heard() {
    for seed in 0..8 {
        let mut setup = Setup::new(seed);
        let encryption = match seed % 4 < 2 {
            true => Encryption::Off,
            false => Encryption::SdesMandatory,
        };
        setup.configure = std::rc::Rc::new(move |_, config| config.media.encryption = encryption);
        play(&setup, |stage| {
            let mut lost = 0;
            stage.world.intercept(move |packet| {
                let is_answer = packet.payload.starts_with(b"SIP/2.0 200");
                lost += u32::from(is_answer);
                match is_answer && lost == 1 {
                    true => Verdict::Drop,
                    false => Verdict::Pass,
                }
            });
            let (alice, bob) = (stage.alice, stage.bob());
            stage.answer(bob, Duration::ZERO, Duration::ZERO);
            let call = stage.call(vec![StreamSpec::new(KIND)]);
            while stream(stage, bob).is_none() {
                stage.world.run_for(Duration::from_millis(5));
            }
            let from = mark(stage, alice);
            speak(stage, &[alice, bob], 10);
            assert_eq!(stream(stage, alice), None, "the answer is not here");
            assert_eq!(voices(stage, alice, from), [0; 3]);
            wait(stage, alice, call, PATIENCE);
            assert_eq!(both(stage, call), "connected");
            assert_eq!(voices(stage, alice, from), [0, 10, 0], "{encryption:?}");
            let agent = stage.world.node::<sipsimple::agent::UserAgent>(alice);
            let id = stream(stage, alice).expect("it runs");
            let audio = agent.stream::<sipsimple::stream::audio::AudioStream>(id);
            let statistics = audio.and_then(|audio| audio.statistics()).expect("it runs");
            assert_eq!(
                (statistics.packets_received, statistics.packets_lost),
                (10, 0)
            );
            stage.world.release();
            crate::beside::end(stage, call);
        });
    }
}
