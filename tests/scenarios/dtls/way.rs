//! Associations over ICE: across translators and relays, in another network, and where the way was lost.

use super::{is_muxed, shaken};
use crate::{
    call::both,
    ice::{self, Behind, begin, call, finish, kinds},
    names::ip,
    runs::{play, seeds},
    srtp::{encryption, sound, told},
    turn::{self, connected},
};
use simulator::{Action, HostId, Setup, Stage, Verdict};
use sipsimple::{agent::SessionId, event::KeyMethod, stream::Encryption};
use std::{rc::Rc, time::Duration};

/// A setup whose media are keyed by DTLS, over one port or two.
fn keyed(setup: Setup) -> Setup {
    let (configure, seed) = (Rc::clone(&setup.configure), setup.seed);
    let configure = move |name: &str, config: &mut sipsimple::agent::Config| {
        configure(name, config);
        config.media.encryption = Encryption::DtlsMandatory;
        config.media.rtcp_mux = is_muxed(seed);
    };
    Setup {
        record: true,
        configure: Rc::new(configure),
        ..setup
    }
}

/// Speech is heard at both ends, and keyed by DTLS; nothing of it was taken for forged.
fn talk(stage: &mut Stage, name: &str) {
    let hosts = [stage.alice, stage.bob()];
    ice::talk(stage, hosts, name);
    for host in hosts {
        let known = encryption(stage, host).unwrap();
        assert_eq!(known.method, KeyMethod::Dtls, "{name}");
        assert_eq!(known.discarded.forged, 0, "{name}: {known:?}");
        assert_eq!(told(stage, host).len(), 1, "{name}: nothing is news");
    }
}

/// RFC 8445, 12.1: no handshake goes ahead of the checks. Whoever sends one has got an answer before.
fn is_checked_first(stage: &Stage) -> bool {
    let [alice, bob] = hosts(stage);
    [(alice, bob), (bob, alice)].iter().all(|(host, peer)| {
        let first = |host: &HostId, fits: fn(&[u8]) -> bool| {
            let steps = stage.world.trace().steps().iter();
            steps.enumerate().find_map(|(at, step)| match &step.action {
                Action::Send { payload, .. } => (step.host == *host && fits(payload)).then_some(at),
                _ => None,
            })
        };
        let hello = first(host, |payload| matches!(payload.first(), Some(20..=63)));
        // A Binding success response (RFC 8489, 5).
        let answer = first(peer, |payload| payload.starts_with(&[1, 1]));
        matches!((answer, hello), (Some(answer), Some(hello)) if answer < hello)
    })
}

fn hosts(stage: &Stage) -> [HostId; 2] {
    [stage.alice, stage.bob()]
}

fn up(stage: &mut Stage, behind: [Behind; 2]) -> SessionId {
    begin(stage, behind);
    let call = call(stage);
    assert_eq!(both(stage, call), "connected");
    stage.world.run_for(Duration::from_secs(3));
    call
}

/// AUS-25, RTP-10: each kind of pair carries the handshake as it carries speech.
#[test]
fn aus_25_handshakes_cross_translators() {
    use Behind::{AddressRestricted, FullCone, Nothing, PortRestricted, Symmetric};
    for seed in 0..seeds().div_ceil(10) {
        for (n, behind) in (0..).zip([
            [Nothing, PortRestricted],
            [FullCone, Symmetric],
            [AddressRestricted, PortRestricted],
            [Symmetric, Nothing],
        ]) {
            play(&keyed(ice::setup(seed * 100 + n)), |stage| {
                let call = up(stage, behind);
                let name = format!("{behind:?}");
                let (our, their) = (behind[0].kind(), behind[1].kind());
                assert_eq!(kinds(stage, stage.alice), (our, their), "{name}");
                talk(stage, &name);
                assert!(is_checked_first(stage), "{name}");
                assert_eq!(sound(stage), 0, "{name}");
                finish(stage, call);
            });
        }
    }
}

/// RFC 8656: and so does a relay, where nothing else helps.
#[test]
fn rfc_8656_handshakes_go_over_a_relay() {
    let behind = [Behind::Symmetric; 2];
    for seed in 0..seeds().div_ceil(10) {
        play(&keyed(turn::setup(seed, behind, |_, _| {})), |stage| {
            let (call, _) = connected(stage, behind);
            stage.world.run_for(Duration::from_secs(3));
            let (ours, theirs) = kinds(stage, stage.alice);
            assert!([ours, theirs].contains(&"relay"), "{ours} {theirs}");
            talk(stage, "over a relay");
            assert_eq!(sound(stage), 0);
            finish(stage, call);
        });
    }
}

/// RFC 8842, 4: ICE that begins again is no other association; in another network the keys are what they were,
/// and nothing is shaken again.
#[test]
fn rfc_8842_the_association_goes_along_to_another_network() {
    for seed in 0..seeds().div_ceil(10) {
        for mover in 0..2 {
            play(&keyed(ice::setup(seed * 10 + mover as u64)), |stage| {
                let call = up(stage, [Behind::Nothing, Behind::PortRestricted]);
                talk(stage, "at first");
                let hosts = hosts(stage);
                let before = hosts.map(|host| shaken(stage, host, false));
                stage.world.set_addresses(hosts[mover], &[ip(21)]);
                stage.world.run_for(Duration::from_secs(5));
                talk(stage, &format!("{mover} has moved"));
                let after = hosts.map(|host| shaken(stage, host, false));
                assert_eq!(before, after, "{mover} has moved");
                finish(stage, call);
            });
        }
    }
}

/// RFC 7675, 5.1: consent that nobody gives for a while has ICE begin again; once there is a way the keys are
/// what they were.
#[test]
fn rfc_7675_the_association_outlives_a_way_that_is_lost() {
    for seed in 0..seeds().div_ceil(10) {
        play(&keyed(ice::setup(seed)), |stage| {
            let call = up(stage, [Behind::Nothing, Behind::PortRestricted]);
            talk(stage, "at first");
            let hosts = hosts(stage);
            let before = hosts.map(|host| shaken(stage, host, false));
            stage.world.intercept(move |packet| {
                let is_theirs = hosts.contains(&packet.from) && hosts.contains(&packet.to);
                // Signalling is text.
                let is_text = packet.payload.first().is_some_and(u8::is_ascii_alphabetic);
                match is_theirs && !is_text {
                    true => Verdict::Drop,
                    false => Verdict::Pass,
                }
            });
            stage.world.run_for(Duration::from_secs(33));
            stage.world.release();
            stage.world.run_for(Duration::from_secs(10));
            assert_eq!(both(stage, call), "connected");
            talk(stage, "there is a way again");
            let after = hosts.map(|host| shaken(stage, host, false));
            assert_eq!(before, after);
            finish(stage, call);
        });
    }
}
