//! GRUUs as Contact (RFC 5627, 4.4), and what follows from them: requests of a dialog find the one device
//! by its registrar, and a REFER to it goes outside of the dialog (RFC 7647, 4).

use crate::{
    call::{both, label, probe, wait},
    names::{ip, is_registered, serve},
    runs::play,
    transfer::{accept, on_transfer, told, transfer, up},
};
use base::{Transport, digest::Secret};
use simulator::{
    Action, HostId, Setup, Stage,
    server::{Gate, Proxy, RecordRoute, Registrar, Rules},
};
use sip::auth::{Asker, Credentials, Policy};
use sipsimple::agent::{Connect, SessionId};
use std::{net::SocketAddr, rc::Rc, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

/// The instance of a device, by the name of its host.
fn instance(name: &str) -> String {
    let number = match name {
        "alice" => 1,
        "bob" => 2,
        _ => 3,
    };
    format!("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf{number}")
}

/// Two phones of the callee, or of two people; all register by the proxy, which they find by its address
/// and by its name.
fn setup(seed: u64, transport: Transport, apart: bool) -> Setup {
    let mut setup = Setup::new(seed);
    setup.transport = transport;
    setup.callee_transport = transport;
    setup.phones = 2;
    setup.apart = apart;
    setup.configure = Rc::new(move |name, config| {
        config.name_servers = vec![SocketAddr::new(ip(53), 53)];
        let account = &mut config.accounts[0];
        let proxy = format!("sip:10.0.0.9;transport={transport};lr");
        account.outbound_proxy = Some(proxy.parse().unwrap());
        account.instance_id = Some(instance(name));
        let user = account.uri.as_ref().and_then(|uri| uri.user()).unwrap();
        let secret = Secret::Password("secret".to_owned());
        account.credentials = vec![Credentials::new("example.com", user, secret)];
    });
    setup
}

/// The registrar, which stays in the path of dialogs or does not, and perhaps wants to know who asks.
fn registrar(stage: &mut Stage, record_route: RecordRoute, is_gated: bool) -> HostId {
    let mut proxy = Proxy::new(SocketAddr::new(ip(9), 5060));
    proxy.add_name("example.com", ip(9));
    proxy.set_registrar(Registrar::new(Rules::default()));
    proxy.set_record_route(record_route);
    if is_gated {
        let mut policy = Policy::new("example.com");
        policy.asker = Asker::Proxy;
        let mut gate = Gate::new(policy, [4; 32]);
        for user in ["alice", "bob", "bob2"] {
            gate.add_user(user, "secret");
        }
        proxy.set_gate(gate);
    }
    let host = stage.world.add_host("registrar", &[ip(9)], proxy);
    serve(stage, 53, "example.com. 3000 A 10.0.0.9");
    for agent in stage.agents() {
        stage.agent(agent, "register", |agent, now| {
            agent.register(now, None).unwrap();
        });
    }
    stage.world.run_for(2 * SECOND);
    for agent in stage.agents() {
        assert!(is_registered(stage, agent));
    }
    host
}

fn unregister(stage: &mut Stage) {
    for agent in stage.agents() {
        stage.agent(agent, "unregister", |agent, now| {
            agent.unregister(now, None).unwrap();
        });
    }
    stage.world.run_for(2 * SECOND);
}

/// A call that the first phone takes; its sessions.
fn called(stage: &mut Stage, uri: &str) -> (SessionId, SessionId) {
    let connect = Connect::new(uri.parse().unwrap(), probe());
    let call = stage.agent(stage.alice, "connect", |agent, now| {
        agent.connect(now, connect).unwrap()
    });
    wait(stage, stage.alice, call, 40 * SECOND);
    assert_eq!(both(stage, call), "connected");
    let bob = stage.bob();
    let theirs = stage.model(bob).alive().into_iter().next_back();
    (call, theirs.expect("the callee's side"))
}

/// The messages with this beginning that a host has sent, in their order, those of retransmissions too.
fn sent(stage: &Stage, host: HostId, start: &str) -> Vec<String> {
    let steps = stage.world.trace().steps().iter();
    let of_host = steps.filter(|step| step.host == host);
    let texts = of_host.filter_map(|step| match &step.action {
        Action::Send { payload, .. } | Action::Write { payload, .. } => {
            Some(String::from_utf8_lossy(payload).into_owned())
        }
        _ => None,
    });
    texts.filter(|text| text.starts_with(start)).collect()
}

/// Nobody records a route: the requests of the dialog go to the domain, which knows the one device of the
/// callee that has taken the call.
#[test]
fn rfc_5627_the_requests_of_a_dialog_find_the_device() {
    for transport in [Transport::Udp, Transport::Tcp] {
        for by_caller in [true, false] {
            play(&setup(1, transport, false), |stage| {
                registrar(stage, RecordRoute::Off, false);
                let (alice, bob) = (stage.alice, stage.bob());
                stage.answer(bob, Duration::ZERO, Duration::from_millis(100));
                let (call, theirs) = called(stage, "sip:bob@example.com");
                let ours = format!("<sip:alice@example.com;gr={}>", instance("alice"));
                let invite = sent(stage, alice, "INVITE ");
                assert!(
                    invite[0].contains(&format!("\r\nContact: {ours}\r\n")),
                    "{}",
                    invite[0]
                );
                let device = format!("sip:bob@example.com;gr={}", instance("bob"));
                let start = match by_caller {
                    true => format!("BYE {device} "),
                    false => format!("BYE sip:alice@example.com;gr={} ", instance("alice")),
                };
                let (host, id) = if by_caller {
                    (alice, call)
                } else {
                    (bob, theirs)
                };
                stage.agent(host, "end", |agent, now| agent.end(now, id).unwrap());
                stage.world.run_for(2 * SECOND);
                assert!(!sent(stage, host, &start).is_empty(), "{start}");
                assert_eq!(label(stage, alice, call), "ended");
                assert!(stage.model(bob).alive().is_empty());
                // The other phone heard of the call, as a fork, and of one to the device nothing.
                let other = stage.phones[1];
                let heard = |stage: &Stage| stage.model(other).sessions().count();
                let before = heard(stage);
                called(stage, &device);
                assert_eq!(heard(stage), before);
                for id in stage.model(alice).alive() {
                    stage.agent(alice, "end", |agent, now| agent.end(now, id).unwrap());
                }
                stage.world.run_for(2 * SECOND);
                unregister(stage);
            });
        }
    }
}

/// RFC 5627, 4.4: a GRUU ends with its registration, and who has been told it is told the address instead.
#[test]
fn rfc_5627_a_call_outlives_the_registration() {
    for transport in [Transport::Udp, Transport::Tcp] {
        play(&setup(3, transport, false), |stage| {
            registrar(stage, RecordRoute::Off, false);
            let (alice, bob) = (stage.alice, stage.bob());
            stage.answer(bob, Duration::ZERO, Duration::from_millis(100));
            let (call, theirs) = called(stage, "sip:bob@example.com");
            stage.agent(alice, "unregister", |agent, now| {
                agent.unregister(now, None).unwrap();
            });
            stage.world.run_for(5 * SECOND);
            assert_eq!(label(stage, alice, call), "connected");
            stage.agent(bob, "end", |agent, now| agent.end(now, theirs).unwrap());
            stage.world.run_for(2 * SECOND);
            assert!(!sent(stage, bob, "BYE sip:alice@10.0.0.1:5060").is_empty());
            assert_eq!(label(stage, alice, call), "ended");
            unregister(stage);
        });
    }
}

/// RFC 7647, 4; RFC 4538: who transfers asks outside of the dialog, by the account's own proxy, which wants
/// to know who asks; the transferee finds its session by Target-Dialog.
#[test]
fn rfc_7647_a_transfer_of_who_is_reached_by_a_gruu() {
    for transport in [Transport::Udp, Transport::Tcp] {
        play(&setup(2, transport, true), |stage| {
            let registrar = registrar(stage, RecordRoute::Loose, true);
            let (alice, bob, carol) = (stage.alice, stage.bob(), stage.phones[1]);
            for phone in [bob, carol] {
                stage.answer(phone, Duration::ZERO, Duration::from_millis(100));
            }
            on_transfer(stage, bob, Duration::from_millis(100), accept);
            let (call, _) = called(stage, "sip:bob@example.com");
            let target = "sip:bob2@example.com".parse().unwrap();
            transfer(stage, alice, call, Some(target), None).unwrap();
            stage.world.run_for(20 * SECOND);
            let refers = sent(stage, alice, "REFER ");
            assert_eq!(refers.len(), 2, "{refers:#?}");
            for refer in &refers {
                for text in [
                    &*format!("REFER sip:bob@example.com;gr={} ", instance("bob")),
                    "\r\nRoute: <sip:10.0.0.9;",
                    "\r\nTarget-Dialog: ",
                    "\r\nRequire: tdialog\r\n",
                ] {
                    assert!(refer.contains(text), "{text} in {refer}");
                }
            }
            assert!(!refers[0].contains("\r\nProxy-Authorization: "));
            assert!(refers[1].contains("\r\nProxy-Authorization: "));
            let gone = sent(stage, registrar, "SIP/2.0 407 ").into_iter();
            assert!(gone.into_iter().any(|text| text.contains(" REFER\r\n")));
            assert!(
                told(stage, alice).ends_with("DidEnd"),
                "{}",
                told(stage, alice)
            );
            assert_eq!([bob, carol].map(|host| up(stage, host)), [1, 1]);
            for host in [alice, bob, carol] {
                for id in stage.model(host).alive() {
                    let _ = stage.agent(host, "end", |agent, now| agent.end(now, id));
                }
            }
            stage.world.run_for(40 * SECOND);
            unregister(stage);
        });
    }
}
