//! Calls over TURN servers (RFC 8656): where nothing else helps, and what happens when one fails.

use crate::{
    beside::speak,
    call::{both, label},
    ice::{self, ALL, Behind, begin_with, call, count, finish, info, kinds},
    names::ip,
    runs::{play, seeds},
};
use base::Transport;
use simulator::{Crash, HostId, Setup, Stage, server::TurnServer};
use sipsimple::ice::stun::Method;
use sipsimple::{
    agent::{Config, SessionId},
    event::StreamEvent,
    stream::{IcePolicy, TurnServer as Server},
};
use std::{net::SocketAddr, rc::Rc, time::Duration};

fn address(host: u8) -> SocketAddr {
    SocketAddr::new(ip(host), 3_478)
}

fn server(host: u8, password: &str) -> Server {
    let mut server: Server = format!("turn:{}", address(host)).parse().unwrap();
    (server.username, server.password) = ("alice".to_owned(), password.to_owned());
    server
}

/// ICE with one TURN server. Who stands behind a firewall signals over TCP.
pub(crate) fn setup(seed: u64, behind: [Behind; 2], more: fn(&str, &mut Config)) -> Setup {
    let mut setup = Setup::new(seed);
    setup.path.latency = Duration::from_millis(seed % 5 * 20);
    setup.configure = Rc::new(move |name, config| {
        let is_blocked = behind[usize::from(name != "alice")] == Behind::Blocked;
        let proxy = match is_blocked {
            true => "sip:10.0.0.9;transport=tcp;lr",
            false => "sip:10.0.0.9;lr",
        };
        config.accounts[0].outbound_proxy = proxy.parse().ok();
        config.media.ice = true;
        config.media.turn_servers = vec![server(8, "secret")];
        more(name, config);
    });
    setup
}

fn nothing(_: &str, _: &mut Config) {}

fn relay_only(_: &str, config: &mut Config) {
    config.media.ice_policy = IcePolicy::RelayOnly;
}

fn add_server(stage: &mut Stage, host: u8, seconds: u32) -> HostId {
    let server = TurnServer::new(address(host)).with_user("alice", "secret");
    let server = server.with_lifetime(seconds);
    let name = format!("turn{host}");
    stage.world.add_host(&name, &[ip(host)], server)
}

fn turn(stage: &Stage, host: HostId) -> &TurnServer {
    stage.world.node::<TurnServer>(host)
}

/// Speech is heard at both ends.
fn talk(stage: &mut Stage, name: &str) {
    let hosts = [stage.alice, stage.bob()];
    ice::talk(stage, hosts, name);
}

/// A call that stands, and its TURN server.
pub(crate) fn connected(stage: &mut Stage, behind: [Behind; 2]) -> (SessionId, HostId) {
    let server = add_server(stage, 8, 600);
    begin_with(stage, behind);
    let call = call(stage);
    assert_eq!(both(stage, call), "connected", "{behind:?}");
    (call, server)
}

/// RFC 8445, 5.1.1.2; wire-rules.md: over a relay where nothing else helps, at both ends alike; direct
/// wherever that is possible. Nothing stays lent after the call.
#[test]
fn rfc_8656_a_relay_carries_what_passes_no_other_way() {
    let all = [&ALL[..], &[Behind::Blocked]].concat();
    for seed in 0..seeds().div_ceil(20) {
        for (n, &ours) in all.iter().enumerate() {
            for (m, &theirs) in all.iter().enumerate() {
                let seed = seed * 100 + (n * 6 + m) as u64;
                play(&setup(seed, [ours, theirs], nothing), |stage| {
                    let (call, server) = connected(stage, [ours, theirs]);
                    let hosts = [stage.alice, stage.bob()];
                    let name = format!("{ours:?} {theirs:?}");
                    let (mut our, mut their) = (ours.kind(), theirs.kind());
                    if !ours.meets(theirs) && ours != Behind::Blocked {
                        // Who controls prefers that the other one pays for the relay.
                        their = "relay";
                    } else if ours == Behind::Blocked && theirs != Behind::Blocked {
                        our = "relay";
                    }
                    assert_eq!(kinds(stage, hosts[0]), (our, their), "{name}");
                    assert_eq!(kinds(stage, hosts[1]), (their, our), "{name}");
                    let before = turn(stage, server).relayed();
                    talk(stage, &name);
                    let relayed = turn(stage, server).relayed() - before;
                    assert_eq!(relayed >= 40, !ours.meets(theirs), "{name}: {relayed}");
                    finish(stage, call);
                    assert_eq!(turn(stage, server).lent(), 0, "{name}");
                });
            }
        }
    }
}

/// RFC 8828, 5.2 (mode 4 of its kind): with relays alone the peer learns no other address, and media of both
/// ends come from the relay.
#[test]
fn rfc_8828_of_relays_alone_the_peer_sees_the_relay() {
    for seed in 0..seeds().div_ceil(10) {
        let behind = [Behind::Nothing, Behind::PortRestricted];
        play(&setup(seed, behind, relay_only), |stage| {
            let (call, server) = connected(stage, behind);
            for host in [stage.alice, stage.bob()] {
                assert_eq!(kinds(stage, host), ("relay", "relay"));
                let rtp = info(stage, host).rtp.unwrap();
                assert_eq!(rtp.remote.ip(), ip(8));
            }
            talk(stage, "relays alone");
            assert!(turn(stage, server).relayed() >= 80);
            finish(stage, call);
        });
    }
}

/// Without a relay there is no call that would give an address away, and it says why.
#[test]
fn rfc_8828_of_relays_alone_nothing_goes_without_one() {
    for seed in 0..seeds().div_ceil(20) {
        let behind = [Behind::Nothing; 2];
        let relay_only = |name: &str, config: &mut Config| {
            if name == "alice" {
                relay_only(name, config);
            }
        };
        play(&setup(seed, behind, relay_only), |stage| {
            begin_with(stage, behind);
            let call = call(stage);
            let (alice, bob) = (stage.alice, stage.bob());
            assert_ne!(label(stage, alice, call), "connected");
            let failed =
                |event: &StreamEvent| format!("{event:?}").contains("no relay gives us an address");
            assert_eq!(count(stage, alice, failed), 1);
            let ringing = &stage.world.host(bob).inbox().notifications;
            assert!(
                !ringing
                    .iter()
                    .any(|told| told.event.name() == "SIPSessionNewIncoming")
            );
            finish(stage, call);
        });
    }
}

/// BUG-01: a server that is dead, and one that does not know us, cost the call nothing but time.
#[test]
fn bug_01_a_server_that_fails_does_not_cost_the_call() {
    let wrong = |_: &str, config: &mut Config| config.media.turn_servers[0].password.push('x');
    for seed in 0..seeds().div_ceil(10) {
        let behind = [Behind::PortRestricted, Behind::FullCone];
        play(&setup(seed, behind, wrong), |stage| {
            let (call, server) = connected(stage, behind);
            for host in [stage.alice, stage.bob()] {
                let info = info(stage, host);
                assert_eq!(info.rtp.unwrap().local_type, "srflx");
                for relay in info.relays {
                    let error = relay.error.as_deref();
                    assert_eq!((relay.relayed, error), (None, Some("not authenticated")));
                }
            }
            assert_eq!(turn(stage, server).granted(), 0);
            finish(stage, call);
        });
        let behind = [Behind::Nothing; 2];
        play(&setup(seed, behind, nothing), |stage| {
            let server = add_server(stage, 8, 600);
            begin_with(stage, behind);
            stage.world.crash(server, Crash::Power);
            let before = stage.world.now();
            let call = call(stage);
            assert_eq!(both(stage, call), "connected");
            let took = stage.world.now().duration_since(before);
            assert!(took < Duration::from_secs(7), "{took:?}");
            finish(stage, call);
        });
    }
}

/// RFC 8656, 7.4; RFC 8489, 10: a server that refuses is asked again as its answer says, or another one is.
#[test]
fn rfc_8656_each_refusal_of_an_allocation_has_its_answer() {
    let second = |_: &str, config: &mut Config| config.media.turn_servers.push(server(7, "secret"));
    for seed in 0..seeds().div_ceil(20) {
        // What alice's first two questions get; how many addresses she then has at the first server, and
        // over what.
        for (code, at_first, transport) in [
            (300, 2, Transport::Udp),
            (400, 2, Transport::Tcp),
            (437, 2, Transport::Udp),
            (441, 0, Transport::Udp),
            (486, 2, Transport::Tcp),
            (508, 2, Transport::Tcp),
        ] {
            let behind = [Behind::Symmetric; 2];
            play(&setup(seed * 10, behind, second), |stage| {
                let first = add_server(stage, 8, 600);
                add_server(stage, 7, 600);
                begin_with(stage, behind);
                let refuse = |server: &mut TurnServer, _| {
                    server.set_alternate(address(7));
                    for _ in 0..2 {
                        server.refuse(Method::ALLOCATE, code);
                    }
                };
                stage.world.command(first, "refuse", refuse);
                let call = call(stage);
                assert_eq!(both(stage, call), "connected", "{code}");
                talk(stage, &code.to_string());
                let relays = info(stage, stage.alice).relays;
                let lent = relays[..2].iter().filter(|relay| relay.relayed.is_some());
                assert_eq!(lent.count(), at_first, "{code}: {relays:#?}");
                assert!(
                    relays[..2]
                        .iter()
                        .all(|relay| relay.transport == Some(transport))
                );
                assert!(relays[2..].iter().all(|relay| relay.relayed.is_some()));
                if code == 300 {
                    assert!(
                        relays[..2]
                            .iter()
                            .all(|relay| relay.relayed.unwrap().ip() == ip(7))
                    );
                }
                finish(stage, call);
            });
        }
    }
}

/// RFC 8656, 3.2, 9 and 12: an allocation, its permissions and its channels live as long as the call does,
/// whatever becomes of the nonce.
#[test]
fn rfc_8656_an_allocation_lives_as_long_as_the_call() {
    for seed in 0..seeds().div_ceil(10) {
        let behind = [Behind::Symmetric; 2];
        play(&setup(seed, behind, nothing), |stage| {
            let server = add_server(stage, 8, 120);
            begin_with(stage, behind);
            let call = call(stage);
            assert_eq!(both(stage, call), "connected");
            for _ in 0..16 {
                stage.world.run_for(Duration::from_secs(90));
                let expire = |server: &mut TurnServer, _| server.expire_nonces();
                stage.world.command(server, "expire", expire);
                talk(stage, "long");
            }
            assert_eq!(turn(stage, server).granted(), 4);
            // RFC 8656, 8.3: what gives an address back meets a stale nonce, too.
            let expire = |server: &mut TurnServer, _| server.expire_nonces();
            stage.world.command(server, "expire", expire);
            finish(stage, call);
            assert_eq!(turn(stage, server).lent(), 0);
        });
    }
}

/// Issue 4: a server dies in mid-call. A direct pair does not notice; a relayed one goes on over another
/// server, or the call ends and says why.
#[test]
fn a_server_that_dies_in_mid_call_costs_only_what_it_carried() {
    let second = |_: &str, config: &mut Config| config.media.turn_servers.push(server(7, "secret"));
    for seed in 0..seeds().div_ceil(10) {
        for crash in [Crash::Process, Crash::Power] {
            let behind = [Behind::PortRestricted, Behind::Nothing];
            play(&setup(seed, behind, nothing), |stage| {
                let (call, server) = connected(stage, behind);
                stage.world.crash(server, crash);
                for _ in 0..10 {
                    stage.world.run_for(Duration::from_secs(60));
                    talk(stage, "direct");
                }
                let lost = |event: &StreamEvent| {
                    matches!(event, StreamEvent::IceNegotiationDidFail { .. })
                };
                assert_eq!(count(stage, stage.alice, lost), 0);
                assert_eq!(both(stage, call), "connected");
                finish(stage, call);
            });
            let behind = [Behind::Symmetric; 2];
            play(&setup(seed, behind, second), |stage| {
                let spare = add_server(stage, 7, 600);
                let (call, server) = connected(stage, behind);
                let is_first = info(stage, stage.alice).rtp.unwrap().remote.ip() == ip(8);
                stage
                    .world
                    .crash(if is_first { server } else { spare }, crash);
                // Speech on its way tells at once; silence, when consent ends (RFC 7675, 5.1).
                speak(stage, [stage.alice, stage.bob()], 5);
                stage.world.run_for(Duration::from_secs(50));
                assert_eq!(both(stage, call), "connected", "{crash:?}");
                talk(stage, "the second server");
                finish(stage, call);
            });
            play(&setup(seed, behind, nothing), |stage| {
                let (call, server) = connected(stage, behind);
                stage.world.crash(server, crash);
                speak(stage, [stage.alice, stage.bob()], 5);
                stage.world.run_for(Duration::from_secs(150));
                for host in [stage.alice, stage.bob()] {
                    assert_ne!(label(stage, host, call), "connected");
                    let failed = |event: &StreamEvent| {
                        matches!(event, StreamEvent::IceNegotiationDidFail { .. })
                    };
                    assert!(count(stage, host, failed) > 0 || host != stage.alice);
                }
                finish(stage, call);
            });
        }
    }
}
