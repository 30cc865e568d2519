//! Media whose keys a handshake gives (DTLS-SRTP), between agents, and with peers and paths that are difficult.

mod attack;
mod echo;
mod renewal;
mod way;

use crate::{
    beside::{end, start},
    call::both,
    hold::set_hold,
    runs::{play, seeds},
    srtp::{encryption, sound, talk, told},
};
use bytes::Bytes;
use simulator::{Action, Between, HostId, Path, Setup, Stage, server::RecordRoute};
use sipsimple::{
    event::KeyMethod,
    stream::{Encryption, StreamSpec, audio::KIND},
};
use std::{rc::Rc, time::Duration};

/// A setup in which one world in two goes through a proxy, one in two has one port for RTP and RTCP, and one
/// in three finds its way by ICE.
fn setup(seed: u64, ours: Encryption, theirs: Encryption) -> Setup {
    let mut setup = Setup::new(seed);
    setup.record = true;
    if is_far(seed) {
        setup.between = Between::Proxy(RecordRoute::Loose);
        setup.path.latency = Duration::from_millis(20);
    }
    setup.configure = Rc::new(move |name, config| {
        config.media.encryption = if name == "alice" { ours } else { theirs };
        config.media.rtcp_mux = is_muxed(seed);
        config.media.ice = is_ice(seed);
    });
    setup
}

const fn is_far(seed: u64) -> bool {
    seed % 2 == 1
}

const fn is_muxed(seed: u64) -> bool {
    seed % 4 < 2
}

const fn is_ice(seed: u64) -> bool {
    seed % 3 == 2
}

/// Datagrams of handshakes that a host sent.
fn shaken(stage: &Stage, host: HostId, is_hello: bool) -> usize {
    let steps = stage.world.trace().steps().iter();
    let counts = |payload: &Bytes| {
        let is_dtls = matches!(payload.first(), Some(20..=63));
        is_dtls && (!is_hello || (payload[0] == 22 && payload.get(13) == Some(&1)))
    };
    let sent = steps.filter(|step| match &step.action {
        Action::Send { payload, .. } => step.host == host && counts(payload),
        _ => false,
    });
    sent.count()
}

/// AUS-11, RTP-08, CFG-06: calls are keyed by DTLS at both ends alike, over one port or two, by ICE or without,
/// and nobody on the wire hears a thing. A hello that overtakes the answer is kept: none is repeated.
#[test]
fn aus_11_calls_are_keyed_by_handshakes() {
    for seed in 0..seeds().min(12) {
        let setup = setup(seed, Encryption::DtlsMandatory, Encryption::DtlsMandatory);
        play(&setup, |stage| {
            let call = start(stage, vec![StreamSpec::new(KIND)]);
            assert_eq!(both(stage, call), "connected");
            stage.world.run_for(Duration::from_secs(2));
            assert_eq!(talk(stage, 25), [25, 25]);
            let (alice, bob) = (stage.alice, stage.bob());
            for host in [alice, bob] {
                let known = encryption(stage, host).expect("encrypted");
                assert_eq!(known.method, KeyMethod::Dtls);
                assert!(!known.keys_in_clear);
                assert_eq!(told(stage, host), [known.cipher.to_string()]);
                stage.world.run_for(Duration::from_secs(6));
                let known = encryption(stage, host).expect("encrypted");
                assert_eq!(known.discarded.forged, 0, "{known:?}");
                assert_eq!(known.discarded.replayed, 0, "{known:?}");
            }
            assert_eq!(sound(stage), 0);
            let components = if is_muxed(seed) { 1 } else { 2 };
            // One before the cookie, one with it; the answerer begins.
            assert_eq!(shaken(stage, bob, true), 2 * components, "{seed}");
            assert_eq!(shaken(stage, alice, true), 0);
            let before = [alice, bob].map(|host| shaken(stage, host, false));
            end(stage, call);
            stage.world.run_for(Duration::from_secs(1));
            // RFC 8446, 6.1: each says that it is over, once for each association.
            let after = [alice, bob].map(|host| shaken(stage, host, false));
            assert_eq!(after, before.map(|count| count + components), "{seed}");
        });
    }
}

/// RTP-10, CFG-06: what each policy offers, and which way both take. SDES and DTLS may stand in one offer, and
/// exactly one is used.
#[test]
fn rtp_10_policies_of_both_ways_meet() {
    use Encryption::{DtlsMandatory, Off, Opportunistic, SdesMandatory, SdesOptional};
    let rows = [
        (Off, DtlsMandatory, "488"),
        (SdesOptional, DtlsMandatory, "488"),
        (SdesMandatory, Opportunistic, "sdes"),
        (Opportunistic, Off, "clear"),
        (Opportunistic, SdesOptional, "sdes"),
        (Opportunistic, Opportunistic, "dtls"),
        (Opportunistic, DtlsMandatory, "dtls"),
        (DtlsMandatory, Off, "488"),
        (DtlsMandatory, SdesOptional, "dtls"),
        (DtlsMandatory, SdesMandatory, "dtls"),
    ];
    for (seed, (ours, theirs, expected)) in (0..).zip(rows) {
        let outcome = play(&setup(seed, ours, theirs), |stage| {
            let call = start(stage, vec![StreamSpec::new(KIND)]);
            let outcome = both(stage, call);
            if outcome != "connected" {
                return outcome;
            }
            stage.world.run_for(Duration::from_secs(2));
            assert_eq!(talk(stage, 25), [25, 25]);
            let hosts = [stage.alice, stage.bob()];
            let known = hosts.map(|host| encryption(stage, host).map(|known| known.method));
            assert_eq!(known[0], known[1]);
            assert_eq!(sound(stage) == 0, known[0].is_some());
            end(stage, call);
            match known[0] {
                Some(KeyMethod::Sdes) => "sdes".to_owned(),
                Some(KeyMethod::Dtls) => "dtls".to_owned(),
                _ => "clear".to_owned(),
            }
        });
        assert_eq!(outcome, expected, "{ours:?} {theirs:?}");
    }
}

/// AUS-30: hold and resume from either side keep the association: nothing is shaken again, no counter is lost.
#[test]
fn aus_30_hold_and_re_offers_keep_the_association() {
    for seed in 0..seeds().min(6) {
        let setup = setup(seed, Encryption::DtlsMandatory, Encryption::DtlsMandatory);
        play(&setup, |stage| {
            let call = start(stage, vec![StreamSpec::new(KIND)]);
            assert_eq!(both(stage, call), "connected");
            stage.world.run_for(Duration::from_secs(2));
            let (alice, bob) = (stage.alice, stage.bob());
            let theirs = stage.model(bob).alive().into_iter().next().expect("a call");
            let before = [alice, bob].map(|host| shaken(stage, host, false));
            for (host, id) in [(alice, call), (bob, theirs)] {
                for hold in [true, false] {
                    set_hold(stage, host, id, hold);
                    stage.world.run_for(Duration::from_secs(5));
                    let _ = talk(stage, 5);
                }
                assert_eq!(talk(stage, 20), [20, 20]);
            }
            let after = [alice, bob].map(|host| shaken(stage, host, false));
            assert_eq!(before, after);
            for host in [alice, bob] {
                let known = encryption(stage, host).expect("encrypted");
                assert_eq!(known.discarded.forged, 0, "{known:?}");
                assert_eq!(told(stage, host).len(), 1, "nothing is news");
            }
            end(stage, call);
        });
    }
}

/// Flights that get lost are repeated; however long it takes, nothing is heard in the clear meanwhile.
#[test]
fn lost_flights_are_repeated() {
    let mut late = 0;
    for seed in 0..seeds().min(12) {
        let mut setup = setup(seed, Encryption::DtlsMandatory, Encryption::DtlsMandatory);
        setup.path = Path::lossy(0.2);
        let (outcome, is_late) = play(&setup, |stage| {
            let call = start(stage, vec![StreamSpec::new(KIND)]);
            if both(stage, call) != "connected" {
                return ("not up".to_owned(), false);
            }
            let hosts = [stage.alice, stage.bob()];
            let keyed = |stage: &Stage| hosts.map(|host| encryption(stage, host).is_some());
            stage.world.run_for(Duration::from_millis(500));
            let is_late = keyed(stage) != [true, true];
            let _ = talk(stage, 20);
            stage.world.run_for(Duration::from_secs(20));
            let _ = talk(stage, 20);
            assert_eq!(sound(stage), 0);
            let is_up = hosts
                .iter()
                .all(|host| stage.model(*host).alive().len() == 1);
            let outcome = match (is_up, keyed(stage)) {
                (true, [true, true]) => "keyed",
                (false, _) => "ended",
                (true, _) => "unkeyed",
            };
            end(stage, call);
            (outcome.to_owned(), is_late)
        });
        assert_ne!(outcome, "unkeyed", "{seed}");
        late += usize::from(is_late && outcome == "keyed");
    }
    assert!(late > 0, "no flight was lost in any world");
}
