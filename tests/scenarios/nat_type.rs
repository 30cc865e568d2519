//! Which kind of NAT there is (ENG-34, RFC 5780), behind translators of all kinds.

use crate::{
    names::{self, ip},
    runs::{play, seeds},
};
use base::HostPort;
use serde_json::{Value, json};
use simulator::{Crash, Depends, HostId, Loss, Nat, Path, Setup, Stage, World, server::StunServer};
use sipsimple::{
    agent::{DetectNatError, NatDetectionId, UserAgent},
    event::{Event, NatDetectionEvent},
};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
const ALL: [Depends; 3] = [
    Depends::EndpointIndependent,
    Depends::Address,
    Depends::AddressAndPort,
];

fn setup(seed: u64) -> Setup {
    let mut setup = Setup::new(seed);
    setup.path.latency = Duration::from_millis(seed % 5 * 20);
    setup
}

/// A server of two addresses outside.
fn server(stage: &mut Stage) -> HostId {
    let (address, other) = (SocketAddr::new(ip(8), 3_478), SocketAddr::new(ip(7), 3_479));
    let server = StunServer::with_other(address, other);
    let host = stage.world.add_host("stun", &[ip(8), ip(7)], server);
    stage.world.run_for(Duration::from_millis(1));
    host
}

fn begin(stage: &mut Stage, server: &str, user_data: Value) -> NatDetectionId {
    let server: HostPort = server.parse().unwrap();
    stage.agent(stage.alice, "detect", |agent, now| {
        agent.detect_nat_type(now, server, user_data).unwrap()
    })
}

/// What was told of detections, in order.
fn told(world: &World, host: HostId) -> Vec<(NatDetectionId, Value)> {
    let events = &world.host(host).inbox().notifications;
    let detected = |event: &Event| match event {
        Event::NatDetection(id, told) => {
            assert_eq!(event.name(), "SIPEngineDetectedNATType");
            assert!(matches!(**told, NatDetectionEvent::DetectedNatType { .. }));
            Some((*id, event.data()))
        }
        _ => None,
    };
    events
        .iter()
        .filter_map(|told| detected(&told.event))
        .collect()
}

/// Asks the server of two addresses; returns what was told, once.
fn detect(stage: &mut Stage) -> Value {
    let id = begin(stage, "10.0.0.8:3478", json!("ticket"));
    stage.world.run_for(Duration::from_secs(30));
    let mut told = told(&stage.world, stage.alice);
    assert_eq!(told.len(), 1, "one event for each call");
    let (of, data) = told.remove(0);
    assert_eq!(of, id);
    assert_eq!(data["user_data"], "ticket");
    data
}

fn words(depends: Depends) -> &'static str {
    match depends {
        Depends::EndpointIndependent => "Endpoint-Independent",
        Depends::Address => "Address-Dependent",
        Depends::AddressAndPort => "Address and Port-Dependent",
    }
}

/// RFC 3489, 5.
fn class(mapping: Depends, filtering: Depends) -> &'static str {
    match (mapping, filtering) {
        (Depends::EndpointIndependent, Depends::EndpointIndependent) => "Full Cone",
        (Depends::EndpointIndependent, Depends::Address) => "Restricted Cone",
        (Depends::EndpointIndependent, Depends::AddressAndPort) => "Port Restricted Cone",
        _ => "Symmetric",
    }
}

/// ENG-34, ENG-45, APP-11, RFC 5780 4.3 and 4.4: mapping and filtering of every translator, and the class.
#[test]
fn eng_34_each_translator_is_known_by_its_behaviour() {
    for seed in 0..seeds().div_ceil(4) {
        for mapping in ALL {
            for filtering in ALL {
                play(&setup(seed), |stage| {
                    let nat = Nat {
                        mapping,
                        filtering,
                        ..Nat::new(OUTSIDE)
                    };
                    stage.world.set_nat(nat, &[stage.alice]);
                    server(stage);
                    let data = detect(stage);
                    let name = format!("{mapping:?} {filtering:?}: {data}");
                    assert_eq!(data["succeeded"], true, "{name}");
                    assert_eq!(data["error"], Value::Null, "{name}");
                    assert_eq!(data["nat_type"], class(mapping, filtering), "{name}");
                    let behaviour = &data["behaviour"];
                    assert_eq!(behaviour["mapping"], words(mapping), "{name}");
                    assert_eq!(behaviour["filtering"], words(filtering), "{name}");
                    assert_eq!(behaviour["server"], "10.0.0.8:3478");
                    assert_eq!(behaviour["other_address"], "10.0.0.7:3479");
                    let mapped = behaviour["mapped_address"].as_str().unwrap();
                    assert!(mapped.starts_with("203.0.113.1:"), "{name}");
                    let agent = stage.world.node::<UserAgent>(stage.alice);
                    assert_eq!(agent.local_nat_type(), data["nat_type"].as_str());
                    // The socket is gone, too.
                    assert_eq!(agent.stats().links, 0);
                });
            }
        }
    }
}

/// ENG-34: a path that loses a tenth of all packets changes next to nothing.
#[test]
fn eng_34_loss_is_no_filter() {
    let (mut right, mut all) = (0, 0);
    for seed in 0..seeds() {
        for filtering in ALL {
            let mut setup = setup(seed);
            setup.path = Path {
                loss: Loss::Random(0.1),
                ..setup.path
            };
            let found = play(&setup, |stage| {
                let nat = Nat {
                    filtering,
                    ..Nat::new(OUTSIDE)
                };
                stage.world.set_nat(nat, &[stage.alice]);
                server(stage);
                detect(stage)["nat_type"].clone()
            });
            all += 1;
            right += u64::from(found == class(Depends::EndpointIndependent, filtering));
        }
    }
    assert!(right * 100 >= all * 98, "{right} of {all}");
}

/// RFC 3489, 10.1: nothing in between, and nobody there.
#[test]
fn eng_34_the_open_internet_and_a_dead_server() {
    play(&setup(1), |stage| {
        server(stage);
        let data = detect(stage);
        assert_eq!(data["nat_type"], "Open Internet");
        assert_eq!(data["behaviour"]["mapping"], "Direct");
        let behaviour = &data["behaviour"];
        assert_eq!(behaviour["mapped_address"], behaviour["local_address"]);
    });
    play(&setup(1), |stage| {
        let server = server(stage);
        stage.world.crash(server, Crash::Power);
        let data = detect(stage);
        assert_eq!(
            (&data["succeeded"], &data["nat_type"]),
            (&json!(true), &json!("UDP Blocked"))
        );
        assert_eq!(data["behaviour"]["mapped_address"], Value::Null);
    });
    // A machine on which nothing listens there says so.
    play(&setup(1), |stage| {
        server(stage);
        begin(stage, "10.0.0.8:9999", Value::Null);
        stage.world.run_for(Duration::from_secs(30));
        let data = &told(&stage.world, stage.alice)[0].1;
        assert_eq!(
            (&data["succeeded"], &data["nat_type"]),
            (&json!(false), &Value::Null)
        );
        assert_eq!(data["error"], "the STUN server cannot be reached");
    });
}

/// RFC 5780, 6: what a server of one address, and one that does not change it, can tell.
#[test]
fn rfc_5780_a_server_of_one_address_tells_half_of_it() {
    for is_translated in [false, true] {
        play(&setup(1), |stage| {
            if is_translated {
                stage.world.set_nat(Nat::new(OUTSIDE), &[stage.alice]);
            }
            let one = StunServer::new(SocketAddr::new(ip(8), 3_478));
            stage.world.add_host("stun", &[ip(8)], one);
            stage.world.run_for(Duration::from_millis(1));
            let data = detect(stage);
            assert_eq!(
                (&data["succeeded"], &data["nat_type"]),
                (&json!(true), &json!("Unknown"))
            );
            let direct = if is_translated {
                Value::Null
            } else {
                json!("Direct")
            };
            assert_eq!(data["behaviour"]["mapping"], direct);
            assert_eq!(data["behaviour"]["other_address"], Value::Null);
        });
    }
    play(&setup(1), |stage| {
        stage.world.set_nat(Nat::new(OUTSIDE), &[stage.alice]);
        let server = server(stage);
        stage
            .world
            .command(server, "keep", |server: &mut StunServer, _| {
                server.keep_its_address();
            });
        let data = detect(stage);
        assert_eq!(data["nat_type"], "Unknown");
        assert_eq!(data["behaviour"]["mapping"], "Endpoint-Independent");
        assert_eq!(data["behaviour"]["filtering"], Value::Null);
    });
}

/// ENG-34, BUG-03: several run at once, each with its own result; above the limit none begins; the end
/// of the agent is the end of them, told as such.
#[test]
fn bug_03_each_detection_has_its_own_result() {
    play(&setup(1), |stage| {
        server(stage);
        let one = StunServer::new(SocketAddr::new(ip(6), 3_478));
        stage.world.add_host("old", &[ip(6)], one);
        stage.world.run_for(Duration::from_millis(1));
        let first = begin(stage, "10.0.0.8", json!({"n": 1}));
        let second = begin(stage, "10.0.0.6", json!({"n": 2}));
        assert_ne!(first, second);
        stage.world.run_for(Duration::from_secs(30));
        let told = told(&stage.world, stage.alice);
        assert_eq!(told.len(), 2);
        for (id, data) in told {
            let (n, nat_type) = match id == first {
                true => (1, "Open Internet"),
                false => (2, "Unknown"),
            };
            assert_eq!(
                (&data["user_data"]["n"], &data["nat_type"]),
                (&json!(n), &json!(nat_type))
            );
        }
    });
    play(&setup(2), |stage| {
        let server = server(stage);
        stage.world.crash(server, Crash::Power);
        let alice = stage.alice;
        for _ in 0..16 {
            begin(stage, "10.0.0.8", Value::Null);
        }
        let server: HostPort = "10.0.0.8".parse().unwrap();
        let more = server.clone();
        let refused = stage.agent(alice, "one more", |agent, now| {
            agent.detect_nat_type(now, more, Value::Null)
        });
        assert_eq!(refused, Err(DetectNatError::TooMany));
        stage.world.run_for(Duration::from_secs(1));
        let late = stage.agent(alice, "shutdown", |agent, now| {
            agent.shutdown(now);
            agent.detect_nat_type(now, server, Value::Null)
        });
        assert_eq!(late, Err(DetectNatError::NotRunning));
        stage.world.run_for(Duration::from_secs(10));
        let told = told(&stage.world, alice);
        assert_eq!(told.len(), 16);
        assert!(
            told.iter()
                .all(|(_, data)| data["error"] == "the agent ends")
        );
    });
}

/// ENG-34, RFC 8489 8: a domain is looked for by SRV; the server that answers is asked.
#[test]
fn rfc_8489_the_server_is_found_by_srv_and_a_dead_one_is_left() {
    play(&names::asking(1, &[53]), |stage| {
        names::serve(
            stage,
            53,
            r#"
            _stun._udp.example.com. 60 SRV 1 1 3478 dead.example.com.
            _stun._udp.example.com. 60 SRV 2 1 3478 stun.example.com.
            dead.example.com. 60 A 10.0.0.99
            stun.example.com. 60 A 10.0.0.8
            "#,
        );
        server(stage);
        begin(stage, "example.com", Value::Null);
        stage.world.run_for(Duration::from_secs(40));
        let told = told(&stage.world, stage.alice);
        assert_eq!(told[0].1["nat_type"], "Open Internet", "{told:?}");
        begin(stage, "nobody.example.com", Value::Null);
        stage.world.run_for(Duration::from_secs(40));
        let told = self::told(&stage.world, stage.alice);
        assert_eq!((told.len(), &told[1].1["succeeded"]), (2, &json!(false)));
        assert!(told[1].1["error"].as_str().unwrap().len() > 5);
    });
}
