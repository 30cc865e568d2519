//! Behind address translators (RFC 4787): registrations and calls by UDP, through a registrar that
//! leads back the way that the REGISTER came (RFC 5626, 5.3; RFC 3581).

use crate::{
    call::{both, label, probe, wait},
    names::{ip, is_registered, requests},
    runs::play,
    srtp::talk,
};
use simulator::{
    Depends, HostId, Nat, Setup, Stage,
    server::{Proxy, Registrar, Rules},
};
use sipsimple::{
    agent::{Connect, UserAgent},
    event::{Event, StreamEvent},
    stream::{
        StreamSpec,
        audio::{AudioStream, KIND},
    },
};
use std::{
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Duration,
};

const ALICES: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1));
const BOBS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 2));

/// Both register and call by the proxy, over UDP only.
fn setup(seed: u64) -> Setup {
    let mut setup = Setup::new(seed);
    setup.configure = Rc::new(|_, config| {
        config.accounts[0].outbound_proxy = "sip:10.0.0.9;lr".parse().ok();
    });
    setup
}

/// A registrar outside, which writes the address that it sees into Contacts, as edge proxies do.
fn outside(stage: &mut Stage) -> HostId {
    let mut proxy = Proxy::new(SocketAddr::new(ip(9), 5060));
    proxy.add_name("example.com", ip(9));
    proxy.set_registrar(Registrar::new(Rules::default()));
    proxy.set_mends_contacts(true);
    let host = stage.world.add_host("registrar", &[ip(9)], proxy);
    stage.world.run_for(Duration::from_millis(1));
    host
}

fn register(stage: &mut Stage) {
    for host in [stage.alice, stage.bob()] {
        stage.agent(host, "register", |agent, now| {
            agent.register(now, None).unwrap()
        });
    }
    stage.world.run_for(Duration::from_secs(2));
    for host in [stage.alice, stage.bob()] {
        assert!(is_registered(stage, host));
    }
}

fn unregister(stage: &mut Stage) {
    for host in [stage.alice, stage.bob()] {
        stage.agent(host, "unregister", |agent, now| {
            agent.unregister(now, None).unwrap()
        });
    }
    stage.world.run_for(Duration::from_secs(40));
}

/// The bindings of a user.
fn contacts(stage: &mut Stage, registrar: HostId, user: &str) -> Vec<String> {
    stage
        .world
        .command(registrar, "look", |proxy: &mut Proxy, now| {
            let contacts = proxy.registrar().unwrap().contacts(now, user);
            contacts.iter().map(|uri| uri.as_str().to_owned()).collect()
        })
}

/// Alice calls bob, who answers and hangs up: requests of the dialog go both ways.
fn call_and_hang_up(stage: &mut Stage) -> String {
    let connect = Connect::new("sip:bob@example.com".parse().unwrap(), probe());
    let call = stage.agent(stage.alice, "connect", |agent, now| {
        agent.connect(now, connect).unwrap()
    });
    wait(stage, stage.alice, call, Duration::from_secs(100));
    let said = both(stage, call);
    if said != "connected" {
        return said;
    }
    let bob = stage.bob();
    for id in stage.model(bob).alive() {
        let _ = stage.agent(bob, "end", |agent, now| agent.end(now, id));
    }
    stage.world.run_for(Duration::from_secs(2));
    label(stage, stage.alice, call)
}

const ALL: [Depends; 3] = [
    Depends::EndpointIndependent,
    Depends::Address,
    Depends::AddressAndPort,
];

/// RFC 4787, RFC 3581: whatever the translators are like, calls through the registrar stand, and its
/// answers find the port that they came from.
#[test]
fn rfc_4787_calls_and_registrations_pass_translators_of_all_kinds() {
    for (n, mapping) in ALL.into_iter().enumerate() {
        for (m, filtering) in ALL.into_iter().enumerate() {
            let seed = (n * 3 + m) as u64;
            play(&setup(seed), |stage| {
                let (alice, bob) = (stage.alice, stage.bob());
                for (address, host) in [(ALICES, alice), (BOBS, bob)] {
                    let nat = Nat {
                        mapping,
                        filtering,
                        ..Nat::new(address)
                    };
                    stage.world.set_nat(nat, &[host]);
                }
                let registrar = outside(stage);
                stage.answer(bob, Duration::ZERO, Duration::from_millis(100));
                register(stage);
                let contacts = contacts(stage, registrar, "bob");
                assert_eq!(contacts.len(), 1);
                assert!(contacts[0].contains("@203.0.113.2:50001"), "{contacts:?}");
                assert_eq!(
                    call_and_hang_up(stage),
                    "ended",
                    "{mapping:?} {filtering:?}"
                );
                unregister(stage);
            });
        }
    }
}

/// Two phones behind one translator meet by its outer address.
#[test]
fn rfc_4787_two_phones_behind_one_translator_meet_at_the_proxy() {
    for hairpin in [true, false] {
        play(&setup(1), |stage| {
            let bob = stage.bob();
            let both = [stage.alice, bob];
            stage.world.set_nat(
                Nat {
                    hairpin,
                    ..Nat::new(ALICES)
                },
                &both,
            );
            outside(stage);
            stage.answer(bob, Duration::ZERO, Duration::ZERO);
            register(stage);
            assert_eq!(call_and_hang_up(stage), "ended");
            unregister(stage);
        });
    }
}

/// Wire rules, "Registration": the Contact becomes what the registrar has seen, once; it stays so as
/// long as the translator keeps its port, and does not go to and fro between two ports.
#[test]
fn rfc_3581_the_contact_is_rewritten_once_and_does_not_flap() {
    play(&setup(1), |stage| {
        let alice = stage.alice;
        stage.world.set_nat(Nat::new(ALICES), &[alice]);
        let registrar = outside(stage);
        register(stage);
        // The first REGISTER names the address inside, the second what was seen, and that is that.
        let first = requests(stage, alice, "REGISTER").len();
        assert!(first <= 2, "{first}");
        stage.world.run_for(Duration::from_secs(1_200));
        assert_eq!(contacts(stage, registrar, "alice").len(), 1);
        assert!(is_registered(stage, alice));
        let all = requests(stage, alice, "REGISTER").len();
        // 300 s are granted, refreshed some 70 s before their end.
        assert!((first + 4..=first + 7).contains(&all), "{first} {all}");
        unregister(stage);
    });
    // A translator that gives another port for each address outside, and forgets fast.
    play(&setup(2), |stage| {
        let alice = stage.alice;
        let nat = Nat {
            mapping: Depends::AddressAndPort,
            filtering: Depends::AddressAndPort,
            expiry: Duration::from_secs(5),
            ..Nat::new(ALICES)
        };
        stage.world.set_nat(nat, &[alice]);
        let registrar = outside(stage);
        register(stage);
        stage.world.run_for(Duration::from_secs(1_200));
        let all = requests(stage, alice, "REGISTER");
        assert!(all.len() <= 60, "no storm: {}", all.len());
        assert!(contacts(stage, registrar, "alice").len() <= 2);
        assert!(is_registered(stage, alice));
        unregister(stage);
    });
}

/// RFC 5626, 4.4: keep-alives hold the binding, so that calls come in after any time; without them the
/// translator would have forgotten it between two refreshes.
#[test]
fn rfc_5626_keep_alives_hold_the_binding_for_calls_that_come_in() {
    play(&setup(1), |stage| {
        let (alice, bob) = (stage.alice, stage.bob());
        for (address, host) in [(ALICES, alice), (BOBS, bob)] {
            let nat = Nat {
                filtering: Depends::AddressAndPort,
                expiry: Duration::from_secs(40),
                ..Nat::new(address)
            };
            stage.world.set_nat(nat, &[host]);
        }
        outside(stage);
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        register(stage);
        stage.world.run_for(Duration::from_secs(150));
        assert_eq!(call_and_hang_up(stage), "ended");
        unregister(stage);
    });
}

/// A translator that has restarted has given everybody another port: who is registered is found again
/// after the next message that leaves, at the latest with the refresh.
#[test]
fn a_restart_of_the_translator_is_survived_by_the_next_refresh() {
    play(&setup(1), |stage| {
        let (alice, bob) = (stage.alice, stage.bob());
        stage.world.set_nat(Nat::new(BOBS), &[bob]);
        outside(stage);
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        register(stage);
        stage.world.forget_bindings(BOBS);
        stage.world.run_for(Duration::from_secs(300));
        assert!(is_registered(stage, alice) && is_registered(stage, bob));
        assert_eq!(call_and_hang_up(stage), "ended");
        unregister(stage);
    });
}

/// The audio of the call that runs at a host.
fn audio(stage: &Stage, host: HostId) -> &AudioStream {
    let id = crate::srtp::stream(stage, host).expect("a stream runs");
    let agent = stage.world.node::<UserAgent>(host);
    agent.stream(id).expect("it is audio")
}

/// Calls bob, who answers.
fn connect(stage: &mut Stage) {
    let audio = vec![StreamSpec::new(KIND)];
    let connect = Connect::new("sip:bob@example.com".parse().unwrap(), audio);
    let call = stage.agent(stage.alice, "connect", |agent, now| {
        agent.connect(now, connect).unwrap()
    });
    wait(stage, stage.alice, call, Duration::from_secs(100));
    assert_eq!(both(stage, call), "connected");
}

fn hang_up(stage: &mut Stage) {
    for id in stage.model(stage.alice).alive() {
        let _ = stage.agent(stage.alice, "end", |agent, now| agent.end(now, id));
    }
    stage.world.run_for(Duration::from_secs(2));
    unregister(stage);
}

/// AUS-13, AUS-14; RFC 4961: one of both sits behind a translator of any kind, and there is no ICE. Whoever is
/// outside sends to where speech comes from rather than to what was described, RTCP apart where it has a port
/// of its own: both are heard.
#[test]
fn aus_14_speech_without_ice_reaches_who_sits_behind_a_translator() {
    for (n, mapping) in ALL.into_iter().enumerate() {
        for (m, filtering) in ALL.into_iter().enumerate() {
            for inner in 0..2 {
                // The seed decides whether RTCP shares the port.
                let seed = (n * 6 + m * 2 + inner) as u64 + (n % 2) as u64;
                play(&setup(seed), |stage| {
                    let hosts = [stage.alice, stage.bob()];
                    let inside = hosts[inner];
                    let other = hosts[1 - inner];
                    let nat = Nat {
                        mapping,
                        filtering,
                        ..Nat::new(ALICES)
                    };
                    stage.world.set_nat(nat, &[inside]);
                    outside(stage);
                    stage.answer(hosts[1], Duration::ZERO, Duration::from_millis(100));
                    register(stage);
                    connect(stage);
                    let case = format!("{mapping:?} {filtering:?} {inner}");
                    // The first packets find nobody; by then three of the others have come.
                    talk(stage, 10);
                    assert_eq!(talk(stage, 50), [50, 50], "{case}");
                    // Reports of both follow, within a few of them; the next one has a block for what is said.
                    stage.world.run_for(Duration::from_secs(60));
                    assert_eq!(talk(stage, 50), [50, 50], "{case}");
                    stage.world.run_for(Duration::from_secs(8));
                    let stream = audio(stage, other);
                    let described = stream.remote_address_described().unwrap();
                    let received = stream.remote_address_received().unwrap();
                    assert_eq!(received.ip(), ALICES, "{case}");
                    assert_ne!(described.ip(), ALICES, "{case}");
                    for host in hosts {
                        let statistics = audio(stage, host).statistics().unwrap();
                        assert!(statistics.reports_received > 0, "{case} {statistics:?}");
                        assert!(statistics.remote.is_some(), "{case} {statistics:?}");
                    }
                    hang_up(stage);
                });
            }
        }
    }
}

/// Both behind translators, without ICE: neither reaches the other, and both are told that nothing comes.
#[test]
fn ses_74_without_ice_two_translators_are_one_too_many() {
    play(&setup(3), |stage| {
        let hosts = [stage.alice, stage.bob()];
        for (address, host) in [ALICES, BOBS].into_iter().zip(hosts) {
            stage.world.set_nat(Nat::new(address), &[host]);
        }
        outside(stage);
        stage.answer(hosts[1], Duration::ZERO, Duration::from_millis(100));
        register(stage);
        connect(stage);
        assert_eq!(talk(stage, 300), [0, 0]);
        for host in hosts {
            let events = &stage.world.host(host).inbox().notifications;
            let told = events.iter().filter_map(|told| match &told.event {
                Event::Stream(_, StreamEvent::GotDiagnosis(diagnosis)) => Some(diagnosis.reason),
                _ => None,
            });
            let told: Vec<_> = told.collect();
            assert_eq!(told, [rtp::Silence::NothingComes]);
        }
        hang_up(stage);
    });
}
