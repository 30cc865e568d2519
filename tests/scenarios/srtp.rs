//! Encrypted media between agents: every pair of policies, hold, forks, and an attacker on the wire.

use crate::{
    beside::{end, heard, marks, speak, start},
    call::{both, label, wait},
    hold::set_hold,
    runs::{play, seeds},
};
use base::Transport;
use bytes::Bytes;
use simulator::{Between, HostId, Path, Setup, Stage, Verdict, server::RecordRoute};
use sipsimple::{
    agent::{StreamId, UserAgent},
    event::{Event, StreamEvent},
    rtp,
    sdp::{Attribute, Crypto},
    stream::{
        Encryption, SrtpProfile, StreamSpec,
        audio::{AudioStream, EncryptionInfo, KIND},
    },
};
use std::{cell::Cell, rc::Rc, time::Duration};

/// A setup with a policy for each side.
fn setup(seed: u64, ours: Encryption, theirs: Encryption) -> Setup {
    let mut setup = Setup::new(seed);
    setup.record = true;
    if seed % 2 == 1 {
        setup.between = Between::Proxy(RecordRoute::Loose);
        setup.path.latency = Duration::from_millis(20);
        setup.path.jitter = Duration::from_millis(10);
    }
    if seed % 3 == 2 {
        setup.transport = Transport::Tcp;
        setup.callee_transport = Transport::Tcp;
    }
    setup.configure = Rc::new(move |name, config| {
        config.media.encryption = if name == "alice" { ours } else { theirs };
    });
    setup
}

/// The stream of the only call of a host.
pub(crate) fn stream(stage: &Stage, host: HostId) -> Option<StreamId> {
    let events = &stage.world.host(host).inbox().notifications;
    events.iter().rev().find_map(|told| match told.event {
        Event::Stream(id, StreamEvent::DidStart) => Some(id),
        _ => None,
    })
}

pub(crate) fn encryption(stage: &Stage, host: HostId) -> Option<EncryptionInfo> {
    let agent = stage.world.node::<UserAgent>(host);
    agent
        .stream::<AudioStream>(stream(stage, host)?)?
        .encryption()
}

/// What the agent of a host was told of encryption: the cipher, or a dash for none.
pub(crate) fn told(stage: &Stage, host: HostId) -> Vec<String> {
    let events = &stage.world.host(host).inbox().notifications;
    let said = events.iter().filter_map(|told| match &told.event {
        Event::Stream(_, StreamEvent::DidEnableEncryption { cipher, .. }) => {
            Some(cipher.to_string())
        }
        Event::Stream(_, StreamEvent::DidNotEnableEncryption { .. }) => Some("-".to_owned()),
        _ => None,
    });
    said.collect()
}

/// Speech of both ends: how many frames each of them heard.
pub(crate) fn talk(stage: &mut Stage, frames: u32) -> [usize; 2] {
    let hosts = [stage.alice, stage.bob()];
    let before = marks(stage, hosts);
    speak(stage, hosts, frames);
    stage.world.run_for(Duration::from_millis(200));
    [0, 1].map(|n| heard(stage, hosts[n], before[n]))
}

/// RTP-10, CFG-06: every policy meets every other; what is agreed on is told alike at both ends, and heard.
#[test]
fn rtp_10_every_pair_of_policies() {
    use Encryption::{Off, SdesMandatory, SdesOptional};
    for seed in 0..seeds().min(20) {
        for (ours, theirs, expected) in [
            (Off, Off, "clear"),
            (Off, SdesOptional, "clear"),
            (Off, SdesMandatory, "488"),
            (SdesOptional, Off, "clear"),
            (SdesOptional, SdesOptional, "AEAD_AES_256_GCM"),
            (SdesOptional, SdesMandatory, "AEAD_AES_256_GCM"),
            (SdesMandatory, Off, "488"),
            (SdesMandatory, SdesOptional, "AEAD_AES_256_GCM"),
            (SdesMandatory, SdesMandatory, "AEAD_AES_256_GCM"),
        ] {
            let outcome = play(&setup(seed, ours, theirs), |stage| {
                let call = start(stage, vec![StreamSpec::new(KIND)]);
                let outcome = both(stage, call);
                if outcome != "connected" {
                    return outcome;
                }
                assert_eq!(talk(stage, 25), [25, 25]);
                let (alice, bob) = (stage.alice, stage.bob());
                let agreed = [alice, bob].map(|host| encryption(stage, host));
                let ciphers = agreed.map(|known| known.map(|known| known.cipher));
                assert_eq!(ciphers[0], ciphers[1]);
                for (host, policy) in [(alice, ours), (bob, theirs)] {
                    let expected = match (ciphers[0], policy) {
                        (Some(cipher), _) => vec![cipher.to_string()],
                        (None, Off) => vec![],
                        (None, _) => vec!["-".to_owned()],
                    };
                    assert_eq!(told(stage, host), expected);
                }
                let is_sealed = sound(stage) == 0;
                assert_eq!(is_sealed, ciphers[0].is_some());
                end(stage, call);
                ciphers[0].map_or_else(|| "clear".to_owned(), |cipher| cipher.to_string())
            });
            assert_eq!(outcome, expected, "{ours:?} {theirs:?}");
        }
    }
}

/// Packets on the wire that anybody can hear: speech of [`speak`] is one byte, again and again.
pub(crate) fn sound(stage: &Stage) -> usize {
    let steps = stage.world.trace().steps().iter();
    let is_clear = |payload: &Bytes| {
        let end = payload.get(12..172);
        end.is_some_and(|speech| speech.iter().all(|byte| *byte == speech[0]))
    };
    let clear = steps.filter(|step| match &step.action {
        simulator::Action::Send { payload, .. } => is_clear(payload),
        _ => false,
    });
    clear.count()
}

/// Every suite by name, and the offerer's order counts.
#[test]
fn every_suite_is_spoken() {
    for (seed, suite) in (0..).zip(SrtpProfile::ALL) {
        let mut setup = setup(seed, Encryption::SdesMandatory, Encryption::SdesOptional);
        let configure = Rc::clone(&setup.configure);
        setup.configure = Rc::new(move |name, config| {
            configure(name, config);
            if name == "alice" {
                config.media.srtp_suites = vec![suite];
            }
        });
        let spoken = play(&setup, |stage| {
            let call = start(stage, vec![StreamSpec::new(KIND)]);
            assert_eq!(both(stage, call), "connected");
            assert_eq!(talk(stage, 10), [10, 10]);
            let known = encryption(stage, stage.bob());
            end(stage, call);
            known.map(|known| known.cipher.to_string())
        });
        assert_eq!(spoken.as_deref(), Some(suite.suite()));
    }
}

/// Hold and resume from either side, on paths that lose, double and reorder: no packet is taken for
/// forged, so neither side lost count of the other.
#[test]
fn aus_30_hold_and_re_offers_keep_keys_and_counters() {
    for seed in 0..seeds().min(20) {
        for lossy in [false, true] {
            let mut setup = setup(seed, Encryption::SdesMandatory, Encryption::SdesMandatory);
            if lossy {
                setup.path = Path::lossy(0.1);
                setup.path.duplicate = 0.05;
                setup.path.reorder = 0.05;
            }
            let outcome = play(&setup, |stage| {
                let call = start(stage, vec![StreamSpec::new(KIND)]);
                if both(stage, call) != "connected" {
                    return "not up".to_owned();
                }
                let (alice, bob) = (stage.alice, stage.bob());
                let Some(theirs) = stage.model(bob).alive().into_iter().next() else {
                    return "not up".to_owned();
                };
                let enough = |counts: [usize; 2]| counts.iter().all(|count| *count >= 12);
                let mut label = "connected".to_owned();
                for (host, id) in [(alice, call), (bob, theirs), (alice, call)] {
                    assert!(enough(talk(stage, 20)) || lossy);
                    for hold in [true, false] {
                        set_hold(stage, host, id, hold);
                        stage.world.run_for(Duration::from_secs(5));
                        let _ = talk(stage, 5);
                    }
                }
                stage.world.run_for(Duration::from_secs(20));
                if stage
                    .model(alice)
                    .session(call)
                    .is_some_and(|b| b.held_by_us)
                {
                    label = "held".to_owned();
                }
                for host in [alice, bob] {
                    let known = encryption(stage, host).expect("encrypted");
                    assert_eq!(known.discarded.forged, 0, "{known:?}");
                    assert_eq!(known.discarded.unsent, 0, "{known:?}");
                    assert!(lossy || known.discarded.replayed == 0, "{known:?}");
                    assert_eq!(told(stage, host).len(), 1, "nothing is news");
                }
                if label == "connected" {
                    assert!(enough(talk(stage, 20)), "heard again");
                }
                end(stage, call);
                label
            });
            assert!(lossy || outcome == "connected", "{seed}: {outcome}");
        }
    }
}

/// RFC 4568, 7.3: two phones take one call at once, each with a key of its own. The caller hears the one
/// whose call stands, and takes what the other says for forged.
#[test]
fn forked_answers_have_their_own_keys() {
    for seed in 0..seeds().min(20) {
        let mut setup = setup(
            1 + 2 * seed,
            Encryption::SdesOptional,
            Encryption::SdesOptional,
        );
        setup.phones = 2;
        play(&setup, |stage| {
            let phones = stage.phones.clone();
            for (n, &phone) in phones.iter().enumerate() {
                let later = Duration::from_millis(300 + 7 * n as u64);
                stage.answer(phone, Duration::from_millis(100), later);
            }
            let call = stage.call(vec![StreamSpec::new(KIND)]);
            wait(stage, stage.alice, call, Duration::from_secs(100));
            stage.world.run_for(Duration::from_secs(2));
            let alice = stage.alice;
            assert_eq!(label(stage, alice, call), "connected");
            let up = |phone: &HostId| stage.model(*phone).alive().len() == 1;
            let talker = phones.into_iter().find(up).expect("one phone is up");
            let before = marks(stage, [alice, talker]);
            speak(stage, [alice, talker], 20);
            stage.world.run_for(Duration::from_millis(200));
            assert_eq!(heard(stage, alice, before[0]), 20);
            assert_eq!(heard(stage, talker, before[1]), 20);
            end(stage, call);
        });
    }
}

/// Somebody on the wire adds to every packet one in the clear, one with a flipped bit, and the one before:
/// none of them is played, all are counted, and the speech goes on without a gap.
#[test]
fn rtp_08_what_is_injected_in_mid_call_is_not_played() {
    for seed in 0..seeds().min(20) {
        play(
            &setup(seed, Encryption::SdesMandatory, Encryption::SdesOptional),
            |stage| {
                let call = start(stage, vec![StreamSpec::new(KIND)]);
                assert_eq!(both(stage, call), "connected");
                assert_eq!(talk(stage, 10), [10, 10]);
                let mut before = Bytes::new();
                let forged = Rc::new(Cell::new(0));
                let count = Rc::clone(&forged);
                let bob = stage.bob();
                stage.world.intercept(move |packet| {
                    let is_speech = packet.to == bob && packet.payload.len() == 12 + 160 + 16;
                    if !is_speech {
                        return Verdict::Pass;
                    }
                    count.set(count.get() + 1);
                    let mut flipped = packet.payload.to_vec();
                    let at = count.get() * 31 % (flipped.len() - 12) + 12;
                    flipped[at] ^= 1 << (count.get() % 8);
                    let mut plain = packet.payload[..172].to_vec();
                    plain[12..].fill(7);
                    let replayed = std::mem::replace(&mut before, packet.payload.clone());
                    let injected = [flipped.into(), plain.into(), replayed];
                    Verdict::After(
                        injected
                            .into_iter()
                            .filter(|p: &Bytes| !p.is_empty())
                            .collect(),
                    )
                });
                assert_eq!(talk(stage, 50), [50, 50]);
                let known = encryption(stage, bob).expect("encrypted").discarded;
                assert_eq!(forged.get(), 50);
                // One that is late has the number of one that was heard already.
                assert_eq!(known.forged + known.replayed, 149, "{known:?}");
                let is_late = stage.setup().path.jitter > Duration::ZERO;
                assert!(is_late || known.forged == 100, "{known:?}");
                stage.world.release();
                end(stage, call);
            },
        );
    }
}

/// The key of the answer is another one by a bit: neither end hears the other, and both say so.
#[test]
fn a_key_changed_on_the_way_leaves_silence() {
    for seed in 0..seeds().min(20) {
        // Side by side and over UDP, so that the answer is one datagram.
        let mut setup = Setup::new(seed);
        setup.record = true;
        play(&setup, |stage| {
            stage
                .world
                .intercept(|packet| match changed(packet.payload) {
                    Some(forged) => Verdict::Instead(forged),
                    None => Verdict::Pass,
                });
            let call = start(stage, vec![StreamSpec::new(KIND)]);
            assert_eq!(both(stage, call), "connected");
            stage.world.release();
            let [ours, theirs] = talk(stage, 25);
            // The answer's key is the callee's: what the caller says is still heard.
            assert_eq!((ours, theirs), (0, 25));
            let known = encryption(stage, stage.alice).expect("encrypted");
            assert!(known.discarded.forged >= 25, "{known:?}");
            let stream = stream(stage, stage.alice).expect("a stream");
            let agent = stage.world.node::<UserAgent>(stage.alice);
            let stream = agent.stream::<AudioStream>(stream).expect("it runs");
            assert!(!stream.was_received());
            let statistics: rtp::Statistics = stream.statistics().expect("it runs");
            assert_eq!(statistics.packets_received, 0);
            end(stage, call);
        });
    }
}

/// An answer with another key in it, as long as it was.
fn changed(payload: &Bytes) -> Option<Bytes> {
    let text = std::str::from_utf8(payload).ok()?;
    if !text.starts_with("SIP/2.0 200") {
        return None;
    }
    let line = text.lines().find(|line| line.starts_with("a=crypto:"))?;
    let attribute = Attribute::new("crypto", line.strip_prefix("a=crypto:")?);
    let mut crypto = Crypto::read(&attribute)?;
    crypto.keys[0].material[3] ^= 1;
    let forged = format!("a={}", crypto.attribute().as_str());
    Some(Bytes::from(text.replace(line, &forged)))
}
