//! IPv6: calls and registrations signalled over it, by UDP and by TCP, side by side and through a proxy;
//! and one that stands between the families (RFC 3261, 19.1.1 and 25.1; RFC 4566, 5.7).

use crate::{
    call::{both, label, probe, wait},
    hold::{both_believe, set_hold},
    mixed::talk,
    names::is_registered,
    runs::play,
};
use base::Transport;
use simulator::{
    Action, Between, HostId, ProbeOptions, Setup, Stage,
    server::{Proxy, RecordRoute, Registrar, Rules},
};
use sipsimple::{
    agent::{Connect, Message, SessionId},
    event::{Event, MessageEvent},
    stream::StreamSpec,
};
use std::{
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Duration,
};

const SECOND: Duration = Duration::from_secs(1);

fn six(last: u8) -> IpAddr {
    [0xfd00, 0, 0, 0, 0, 0, 0, u16::from(last)].into()
}

fn four(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

/// Everybody has addresses of IPv6 alone.
fn setup(seed: u64, transport: Transport) -> Setup {
    let mut setup = Setup::new(seed);
    setup.transport = transport;
    setup.callee_transport = transport;
    setup.addresses = |_, last| vec![six(last)];
    setup
}

/// The caller has addresses of IPv4 alone, the callee of IPv6 alone, and what stands between them of both.
fn mixed(name: &str, last: u8) -> Vec<IpAddr> {
    match name {
        "alice" => vec![four(last)],
        "proxy" => vec![four(last), six(last)],
        _ => vec![six(last)],
    }
}

/// Lets both register by a registrar at these addresses; each asks the one of its own family.
fn with_registrar(mut setup: Setup) -> Setup {
    let (transport, addresses) = (setup.transport, setup.addresses);
    setup.configure = Rc::new(move |name, config| {
        let own = addresses(name, 1)[0];
        let registrar = if own.is_ipv4() { four(9) } else { six(9) };
        let registrar = SocketAddr::new(registrar, 5060);
        let uri = format!("sip:{registrar};transport={transport};lr");
        config.accounts[0].outbound_proxy = Some(uri.parse().unwrap());
    });
    setup
}

fn registrar(stage: &mut Stage, addresses: &[IpAddr]) -> HostId {
    let mut proxy = Proxy::new(SocketAddr::new(addresses[0], 5060));
    for &further in &addresses[1..] {
        proxy.add_address(SocketAddr::new(further, 5060));
    }
    proxy.add_name("example.com", addresses[0]);
    proxy.set_registrar(Registrar::new(Rules::default()));
    let host = stage.world.add_host("registrar", addresses, proxy);
    stage.world.run_for(Duration::from_millis(1));
    for agent in [stage.alice, stage.bob()] {
        stage.agent(agent, "register", |agent, now| {
            agent.register(now, None).unwrap();
        });
    }
    stage.world.run_for(2 * SECOND);
    for agent in [stage.alice, stage.bob()] {
        assert!(is_registered(stage, agent));
    }
    host
}

fn unregister(stage: &mut Stage) {
    for agent in [stage.alice, stage.bob()] {
        stage.agent(agent, "unregister", |agent, now| {
            agent.unregister(now, None).unwrap();
        });
    }
    stage.world.run_for(2 * SECOND);
    for agent in [stage.alice, stage.bob()] {
        assert!(!is_registered(stage, agent));
    }
}

/// Where the registrar finds a user.
fn contacts(stage: &mut Stage, registrar: HostId, user: &str) -> Vec<String> {
    stage
        .world
        .command(registrar, "look", |proxy: &mut Proxy, now| {
            let contacts = proxy.registrar().unwrap().contacts(now, user);
            contacts.iter().map(|uri| uri.as_str().to_owned()).collect()
        })
}

/// The sessions of a call that is up at both ends.
fn up(stage: &mut Stage, uri: &str, streams: Vec<StreamSpec>) -> (SessionId, SessionId) {
    let bob = stage.bob();
    stage.answer(bob, Duration::ZERO, Duration::from_millis(100));
    let connect = Connect::new(uri.parse().unwrap(), streams);
    let call = stage.agent(stage.alice, "connect", |agent, now| {
        agent.connect(now, connect).unwrap()
    });
    wait(stage, stage.alice, call, 40 * SECOND);
    assert_eq!(both(stage, call), "connected");
    let theirs = stage.model(bob).alive().into_iter().next();
    (call, theirs.expect("the callee's side"))
}

/// Both sides hold and resume, then one of them hangs up: requests of the dialog go both ways.
fn hold_and_end(stage: &mut Stage, calls: (SessionId, SessionId), by_caller: bool) {
    let (alice, bob) = (stage.alice, stage.bob());
    for (host, id, hold, ours, theirs) in [
        (alice, calls.0, true, true, false),
        (bob, calls.1, true, true, true),
        (alice, calls.0, false, false, true),
        (bob, calls.1, false, false, false),
    ] {
        set_hold(stage, host, id, hold);
        assert!(both_believe(stage, calls, ours, theirs));
    }
    let (host, id) = match by_caller {
        true => (alice, calls.0),
        false => (bob, calls.1),
    };
    stage.agent(host, "end", |agent, now| agent.end(now, id).unwrap());
    stage.world.run_for(2 * SECOND);
    assert_eq!(label(stage, alice, calls.0), "ended");
    assert!(stage.model(bob).alive().is_empty());
}

fn both_streams() -> Vec<StreamSpec> {
    vec![StreamSpec::new("audio"), ProbeOptions::default().spec()]
}

/// True if a host has sent a message that begins so and says `text` somewhere.
fn has_said(stage: &Stage, host: HostId, start: &str, text: &str) -> bool {
    let steps = stage.world.trace().steps().iter();
    let mut sent = steps.filter(|step| step.host == host);
    sent.any(|step| match &step.action {
        Action::Send { payload, .. } | Action::Write { payload, .. } => {
            let message = String::from_utf8_lossy(payload);
            message.starts_with(start) && message.contains(text)
        }
        _ => false,
    })
}

#[test]
fn a_call_from_address_to_address_over_ipv6() {
    for transport in [Transport::Udp, Transport::Tcp] {
        for by_caller in [true, false] {
            play(&setup(1, transport), |stage| {
                let uri = stage.bob_uri().as_str().to_owned();
                assert!(uri.starts_with("sip:bob@[fd00::2]:5060"), "{uri}");
                let calls = up(stage, &uri, both_streams());
                let (at_alice, at_bob) = talk(stage);
                assert!(at_alice > 40 && at_bob > 40, "{at_alice}, {at_bob}");
                for (start, host, contact, connection) in [
                    (
                        "INVITE ",
                        stage.alice,
                        "<sip:alice@[fd00::1]:5060",
                        "c=IN IP6 fd00::1\r\n",
                    ),
                    (
                        "SIP/2.0 200 ",
                        stage.bob(),
                        "<sip:bob@[fd00::2]:5060",
                        "c=IN IP6 fd00::2\r\n",
                    ),
                ] {
                    assert!(has_said(stage, host, start, contact), "{contact}");
                    assert!(has_said(stage, host, start, connection), "{connection}");
                }
                hold_and_end(stage, calls, by_caller);
            });
        }
    }
}

#[test]
fn a_registration_and_a_call_by_the_registrar_over_ipv6() {
    for transport in [Transport::Udp, Transport::Tcp] {
        for by_caller in [true, false] {
            play(&with_registrar(setup(2, transport)), |stage| {
                let registrar = registrar(stage, &[six(9)]);
                let bound = contacts(stage, registrar, "bob");
                assert_eq!(bound.len(), 1);
                assert!(bound[0].contains("@[fd00::2]:5060"), "{bound:?}");
                let calls = up(stage, "sip:bob@example.com", both_streams());
                let (at_alice, at_bob) = talk(stage);
                assert!(at_alice > 40 && at_bob > 40, "{at_alice}, {at_bob}");
                hold_and_end(stage, calls, by_caller);
                unregister(stage);
                assert!(contacts(stage, registrar, "bob").is_empty());
            });
        }
    }
}

/// Signalling passes between the families, and the proxy stays in the path at both of its addresses
/// (RFC 5658, 5).
#[test]
fn a_call_between_the_families_through_a_proxy() {
    for transport in [Transport::Udp, Transport::Tcp] {
        for by_caller in [true, false] {
            let mut setup = setup(3, transport);
            setup.addresses = mixed;
            setup.between = Between::Proxy(RecordRoute::Loose);
            play(&setup, |stage| {
                let uri = stage.bob_uri().as_str().to_owned();
                assert!(uri.starts_with("sip:bob@10.0.0.254:5060"), "{uri}");
                let calls = up(stage, &uri, probe());
                for route in ["<sip:10.0.0.254:5060;", "<sip:[fd00::fe]:5060;"] {
                    let proxy = stage.proxy.unwrap();
                    assert!(has_said(stage, proxy, "INVITE ", route), "{route}");
                }
                hold_and_end(stage, calls, by_caller);
            });
        }
    }
}

#[test]
fn registrations_and_messages_between_the_families() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut setup = setup(4, transport);
        setup.addresses = mixed;
        play(&with_registrar(setup), |stage| {
            let registrar = registrar(stage, &[four(9), six(9)]);
            let alice = contacts(stage, registrar, "alice");
            assert!(alice[0].contains("@10.0.0.1:5060"), "{alice:?}");
            let bob = contacts(stage, registrar, "bob");
            assert!(bob[0].contains("@[fd00::2]:5060"), "{bob:?}");
            for (host, to) in [(stage.alice, "bob"), (stage.bob(), "alice")] {
                let uri = format!("sip:{to}@example.com").parse().unwrap();
                let message = Message::new(uri, "tea");
                stage.agent(host, "message", |agent, now| {
                    agent.send_message(now, message).unwrap();
                });
                stage.world.run_for(2 * SECOND);
                let told = &stage.world.host(host).inbox().notifications;
                let has_come = |event: &Event| {
                    matches!(
                        event,
                        Event::Message(_, MessageEvent::GotResponse { code: 200, .. })
                    )
                };
                assert!(told.iter().any(|told| has_come(&told.event)), "to {to}");
            }
            let calls = up(stage, "sip:bob@example.com", probe());
            hold_and_end(stage, calls, false);
            unregister(stage);
        });
    }
}
