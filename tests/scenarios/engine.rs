//! What the documents say of Engine, its options and what belongs to it, where a [`UserAgent`] has it in
//! another shape than theirs; [`documented`](crate::documented) has the rest.

use crate::{
    call::{both, probe, wait},
    documented::{configured, said},
    names::{asking, ip, is_registered, serve},
    runs::play,
};
use base::{LinkError, Transport, digest::Secret};
use runtime_std::CallError;
use simulator::{
    HostId, Setup, Stage, World,
    server::{Compositor, Gate, Peer, Proxy, Registrar, Rules},
};
use sip::auth::{Asker, Credentials, Policy};
use sipsimple::{
    agent::{Config, Connect, Message, Publish, SetPortError, Subscribe, UserAgent},
    event::{AccountEvent, AgentEvent, Event, Listening, PublicationEvent},
    stream::{Lookup, MediaSettings, StreamSpec, audio::KIND},
};
use std::{net::SocketAddr, rc::Rc, time::Duration};

/// A proxy for `example.com` at 10.0.0.9, with a registrar and a compositor; with a gate it asks everybody
/// for a password.
fn server(stage: &mut Stage, gate: Option<fn(Asker) -> Gate>) -> HostId {
    let mut registrar = Registrar::new(Rules::default());
    let mut proxy = Proxy::new(SocketAddr::new(ip(9), 5060));
    proxy.add_name("example.com", ip(9));
    if let Some(gate) = gate {
        registrar.set_gate(gate(Asker::Server));
        proxy.set_gate(gate(Asker::Proxy));
    }
    proxy.set_registrar(registrar);
    proxy.set_compositor(Compositor::new());
    let host = stage.world.add_host("server", &[ip(9)], proxy);
    stage.world.run_for(Duration::from_millis(1));
    host
}

fn call(stage: &mut Stage, uri: &str, streams: Vec<StreamSpec>) -> String {
    let bob = stage.bob();
    stage.answer(bob, Duration::ZERO, Duration::ZERO);
    let connect = Connect::new(uri.parse().unwrap(), streams);
    let call = stage.agent(stage.alice, "connect", |agent, now| {
        agent.connect(now, connect).unwrap()
    });
    wait(stage, stage.alice, call, Duration::from_secs(50));
    both(stage, call)
}

fn hang_up(stage: &mut Stage) {
    let alice = stage.alice;
    for id in stage.model(alice).alive() {
        let _ = stage.agent(alice, "end", |agent, now| agent.end(now, id));
    }
    stage.world.run_for(Duration::from_secs(2));
}

fn events<T>(world: &World, host: HostId, choose: impl Fn(&Event) -> Option<T>) -> Vec<T> {
    let notifications = world.host(host).inbox().notifications.iter();
    notifications
        .filter_map(|told| choose(&told.event))
        .collect()
}

/// ENG-01: the documents allow one engine in a process, since theirs holds the process' only SIP stack.
/// Nothing of a user agent is global, so there may be any number: each has its own names, ports and end.
#[test]
fn eng_01_agents_live_beside_each_other_on_their_own() {
    play(&Setup::new(1), |stage| {
        assert_eq!(call(stage, "sip:bob@10.0.0.2", probe()), "connected");
        hang_up(stage);
        let (alice, bob) = (stage.alice, stage.bob());
        stage.agent(alice, "shutdown", |agent, now| agent.shutdown(now));
        stage.world.run_for(Duration::from_secs(5));
        // The end of one is not that of the other.
        assert_eq!(stage.world.node::<UserAgent>(alice).listening(), []);
        assert_eq!(stage.world.node::<UserAgent>(bob).listening().len(), 2);
    });
}

/// ENG-02: the options that are not told have values that can be read before the start, and are those
/// that the agent runs with. Ports are chosen by the system, TLS verifies, everything is reported, media
/// have an even hundred of ports.
#[test]
fn eng_02_the_default_options_are_read_before_the_start() {
    let config = Config::new([7; 32], Duration::ZERO);
    let ports = [config.udp_port, config.tcp_port, config.tls_port];
    assert_eq!(ports, [Some(0); 3]);
    assert!(config.addresses.is_empty() && config.tls.is_none());
    assert_eq!((config.trace, config.log_level), (false, 5));
    assert!(config.sip.user_agent.starts_with("sipsimple/"));
    let media = config.media.clone();
    assert_eq!(media.rtp_port_range, (50_000, 50_500));
    let names: Vec<&str> = media.codecs.iter().map(|codec| &*codec.name).collect();
    assert_eq!(names, ["PCMU", "PCMA"]);
    let mut world = World::new(1);
    let agent = UserAgent::new(world.now(), config);
    let host = world.add_host("agent", &[ip(1)], agent);
    world.run_for(Duration::from_secs(1));
    let agent = world.node::<UserAgent>(host);
    assert_eq!(*agent.media(), media);
    assert_eq!(agent.listening().len(), 2);
}

/// ENG-19: records above the level are not told; it changes while the agent runs.
#[test]
fn eng_19_the_log_has_a_level() {
    play(&configured(|config| config.log_level = 3), |stage| {
        let alice = stage.alice;
        let peer = Peer::new(SocketAddr::new(ip(66), 5060));
        let peer = stage.world.add_host("peer", &[ip(66)], peer);
        stage.world.run_for(Duration::from_millis(1));
        let levels = |stage: &mut Stage| {
            stage.world.command(peer, "send", |peer: &mut Peer, _| {
                let to = SocketAddr::new(ip(1), 5060);
                let nonsense = "INVITE sip:alice@10.0.0.1 SIP/2.0\r\nFrom: nobody\r\n\r\n";
                peer.send(Transport::Udp, to, nonsense);
            });
            stage.world.run_for(Duration::from_secs(1));
            events(&stage.world, alice, |event| match event {
                Event::Agent(AgentEvent::Log { level, .. }) => Some(*level),
                _ => None,
            })
        };
        assert_eq!(levels(stage), [0_u8; 0]);
        stage.agent(alice, "level", |agent, now| agent.set_log_level(now, 4));
        assert_eq!(levels(stage), [4]);
        stage.agent(alice, "level", |agent, now| agent.set_log_level(now, 0));
        assert_eq!(levels(stage), [4]);
    });
}

/// ENG-23, ENG-24: RTP ports are chosen from a range, and codecs offered in an order, that change while
/// the agent runs; a call that stands keeps its own. Names of codecs are compared without case.
#[test]
fn eng_23_ports_and_eng_24_codecs_change_for_calls_to_come() {
    let setup = configured(|config| config.media.rtp_port_range = (40_000, 40_100));
    play(&setup, |stage| {
        let alice = stage.alice;
        let lines = |stage: &Stage| -> Vec<String> {
            let agent = stage.world.node::<UserAgent>(alice);
            let calls = stage.model(alice).alive();
            let media = |id| {
                let (local, _) = agent.descriptions(id).unwrap();
                let text = String::from_utf8(local.to_vec()).unwrap();
                text.lines()
                    .find(|line| line.starts_with("m="))
                    .unwrap()
                    .to_owned()
            };
            calls.into_iter().map(media).collect()
        };
        let port = |line: &str| -> u16 { line.split(' ').nth(1).unwrap().parse().unwrap() };
        let audio = || vec![StreamSpec::new(KIND)];
        assert_eq!(call(stage, "sip:bob@10.0.0.2", audio()), "connected");
        let first = lines(stage)[0].clone();
        assert!((40_000..=40_100).contains(&port(&first)), "{first}");
        assert_eq!(port(&first) % 2, 0, "{first}");
        assert!(first.contains(" 0 8"), "{first}");
        let mut media: MediaSettings = stage.world.node::<UserAgent>(alice).media().clone();
        media.rtp_port_range = (41_000, 41_010);
        media.codecs.reverse();
        media.codecs[1].name.make_ascii_lowercase();
        stage.agent(alice, "media", |agent, now| agent.set_media(now, media));
        assert_eq!(call(stage, "sip:bob@10.0.0.2", audio()), "connected");
        let both = lines(stage);
        assert_eq!(both[0], first, "the call that stands keeps its own");
        assert!((41_000..=41_010).contains(&port(&both[1])), "{both:?}");
        assert!(both[1].contains(" 8 0"), "{both:?}");
        hang_up(stage);
    });
}

/// ENG-35: another port, the system's choice, and none, each followed by registrations and calls; what is
/// off is off both ways.
#[test]
fn eng_35_ports_change_while_the_agent_runs() {
    let setup =
        configured(|config| config.accounts[0].outbound_proxy = "sip:10.0.0.9".parse().ok());
    play(&setup, |stage| {
        server(stage, None);
        let alice = stage.alice;
        stage.agent(alice, "register", |agent, now| {
            agent.register(now, None).unwrap()
        });
        stage.world.run_for(Duration::from_secs(1));
        let change = |stage: &mut Stage, transport, port| {
            let changed = stage.agent(alice, "port", |agent, now| {
                agent.set_port(now, transport, port)
            });
            stage.world.run_for(Duration::from_secs(3));
            changed
        };
        let listening = |stage: &Stage| -> Vec<(Transport, u16)> {
            let agent = stage.world.node::<UserAgent>(alice);
            let at = |at: &Listening| (at.transport, at.address.port());
            let mut all: Vec<_> = agent.listening().iter().map(at).collect();
            all.sort_unstable();
            all
        };
        let (udp, tcp) = (Transport::Udp, Transport::Tcp);
        assert_eq!(change(stage, udp, Some(5080)), Ok(()));
        assert_eq!(listening(stage), [(udp, 5080), (tcp, 5060)]);
        assert!(is_registered(stage, alice));
        let contacts: Vec<String> = said(stage, alice)
            .into_iter()
            .filter(|text| text.starts_with("REGISTER"))
            .collect();
        assert!(
            contacts.last().unwrap().contains("@10.0.0.1:5080"),
            "{contacts:?}"
        );
        let told = events(&stage.world, alice, |event| match event {
            Event::Agent(AgentEvent::NetworkConditionsDidChange { listening, .. }) => {
                Some(listening.len())
            }
            _ => None,
        });
        assert_eq!(told, [2]);
        assert_eq!(change(stage, tcp, Some(0)), Ok(()));
        let chosen = listening(stage)[1];
        assert!(chosen.0 == tcp && chosen.1 != 5060, "{chosen:?}");
        // Nobody is there any more who was, and calls go out and come in by the new ports.
        assert_eq!(call(stage, "sip:bob@10.0.0.2", probe()), "connected");
        hang_up(stage);
        assert_eq!(change(stage, tcp, None), Ok(()));
        assert_eq!(listening(stage), [(udp, 5080)]);
        let refused = stage.agent(alice, "lookup", |agent, now| {
            let uri = "sip:bob@10.0.0.2;transport=tcp".parse().unwrap();
            agent.lookup(now, Lookup::Sip { uri }).unwrap()
        });
        stage.world.run_for(Duration::from_secs(1));
        let failed = events(&stage.world, alice, |event| match event {
            Event::Lookup(id, told) if *id == refused => Some(format!("{told:?}")),
            _ => None,
        });
        assert!(failed[0].contains("NoTransport"), "{failed:?}");
        for transport in [Transport::Tls, Transport::Ws, Transport::Wss] {
            assert_eq!(
                change(stage, transport, Some(1)),
                Err(SetPortError::Transport)
            );
        }
        stage.agent(alice, "unregister", |agent, now| {
            agent.unregister(now, None).unwrap();
        });
        stage.world.run_for(Duration::from_secs(40));
        stage.agent(alice, "shutdown", |agent, now| {
            agent.shutdown(now);
            assert_eq!(
                agent.set_port(now, udp, None),
                Err(SetPortError::NotRunning)
            );
        });
        stage.world.run_for(Duration::from_secs(5));
    });
}

/// DNL-10: of UDP, TCP and TLS a lookup takes those that the agent has, which are a choice of its
/// configuration; none at all is an error, and so is one that nobody knows.
#[test]
fn dnl_10_the_transports_are_those_of_the_agent() {
    const ZONE: &str = r#"
        example.com. 300 NAPTR 10 10 "s" "SIP+D2T" "" _sip._tcp.example.com.
        example.com. 300 NAPTR 20 10 "s" "SIP+D2U" "" _sip._udp.example.com.
        _sip._tcp.example.com. 300 SRV 10 0 5060 bob.example.com.
        _sip._udp.example.com. 300 SRV 10 0 5062 bob.example.com.
        bob.example.com. 300 A 10.0.0.2
    "#;
    for (is_udp, is_tcp, expected) in [
        (true, true, &["tcp 10.0.0.2:5060", "udp 10.0.0.2:5062"][..]),
        (true, false, &["udp 10.0.0.2:5062"]),
        (false, true, &["tcp 10.0.0.2:5060"]),
    ] {
        let mut setup = asking(1, &[53]);
        let servers = Rc::clone(&setup.configure);
        setup.configure = Rc::new(move |name, config| {
            servers(name, config);
            if name == "alice" {
                config.udp_port = config.udp_port.filter(|_| is_udp);
                config.tcp_port = config.tcp_port.filter(|_| is_tcp);
            }
        });
        play(&setup, |stage| {
            serve(stage, 53, ZONE);
            let alice = stage.alice;
            let mut ask = |uri: &str| {
                let uri = uri.parse().unwrap();
                let result = stage.agent(alice, "lookup", |agent, now| {
                    agent.lookup(now, Lookup::Sip { uri })
                });
                stage.world.run_for(Duration::from_secs(20));
                let id = result.map_err(|error| vec![error.to_string()])?;
                let told = events(&stage.world, alice, |event| match event {
                    Event::Lookup(of, told) if *of == id => Some(told.clone()),
                    _ => None,
                });
                match told.last() {
                    Some(sipsimple::event::LookupEvent::DidSucceed {
                        result: sipsimple::dns::Found::Targets(targets),
                    }) => {
                        let text = |target: &base::Target| {
                            format!("{} {}", target.transport, target.address)
                        };
                        Ok(targets.iter().map(text).collect::<Vec<_>>())
                    }
                    other => Err(vec![format!("{other:?}")]),
                }
            };
            assert_eq!(ask("sip:bob@example.com").unwrap(), expected);
            // Supported ones are obeyed, others are errors.
            for (transport, is_on) in [("udp", is_udp), ("tcp", is_tcp), ("sctp", false)] {
                let uri = format!("sip:bob@example.com;transport={transport}");
                assert_eq!(ask(&uri).is_ok(), is_on, "{uri}");
            }
        });
    }
    let mut world = World::new(1);
    let mut config = Config::new([7; 32], Duration::ZERO);
    (config.udp_port, config.tcp_port, config.tls_port) = (None, None, None);
    let agent = UserAgent::new(world.now(), config);
    let host = world.add_host("mute", &[ip(1)], agent);
    world.run_for(Duration::from_secs(1));
    let failed = events(&world, host, |event| match event {
        Event::Agent(AgentEvent::DidFail { error }) => Some(*error),
        _ => None,
    });
    assert_eq!(failed, [LinkError::AddressGone]);
}

fn gate(asker: Asker) -> Gate {
    let mut policy = Policy::new("example.com");
    policy.asker = asker;
    let mut gate = Gate::new(policy, [4; 32]);
    gate.add_user("alice", "wonderland");
    gate
}

/// CRD-02, CRD-04: every request that begins something needs the credentials of its account, and has them: a
/// copy that is changed does not change the account's. RTE-06: so with the route.
#[test]
fn crd_04_credentials_are_needed_by_everything_and_crd_02_copies_are_their_own() {
    for password in ["wonderland", "looking-glass"] {
        let is_right = password == "wonderland";
        let setup = configured(move |config| {
            let account = &mut config.accounts[0];
            account.uri = "sip:alice@example.com".parse().ok();
            account.outbound_proxy = "sip:10.0.0.9;lr".parse().ok();
            let secret = Secret::Password(password.to_owned());
            account.credentials = vec![Credentials::new("example.com", "alice", secret)];
        });
        play(&setup, |stage| {
            server(stage, Some(gate));
            let alice = stage.alice;
            stage.agent(alice, "copy", |agent, _| {
                let id = agent.default_account().unwrap();
                let own = agent.account(id).unwrap().clone();
                let mut copy = own.clone();
                assert_eq!(copy.credentials, own.credentials);
                copy.credentials[0].username = "mallory".to_owned();
                copy.outbound_proxy = None;
                let still = agent.account(id).unwrap();
                assert_ne!(copy.credentials, still.credentials);
                assert_eq!(still.outbound_proxy, own.outbound_proxy);
            });
            stage.agent(alice, "everything", |agent, now| {
                let bob: sip::Uri = "sip:bob@example.com".parse().unwrap();
                agent.register(now, None).unwrap();
                let publish = Publish::new("presence", "application/pidf+xml", "<presence/>");
                agent.publish(now, publish).unwrap();
                let subscribe = Subscribe::new(bob.clone(), "presence");
                agent.subscribe(now, subscribe).unwrap();
                agent
                    .send_message(now, Message::new(bob.clone(), "hello"))
                    .unwrap();
                agent.options(now, None, bob.clone()).unwrap();
                agent.connect(now, Connect::new(bob, probe())).unwrap();
            });
            stage.world.run_for(Duration::from_secs(5));
            let sent = said(stage, alice);
            for method in [
                "REGISTER",
                "PUBLISH",
                "SUBSCRIBE",
                "MESSAGE",
                "OPTIONS",
                "INVITE",
            ] {
                let all: Vec<&String> = sent
                    .iter()
                    .filter(|text| text.starts_with(method))
                    .collect();
                let proved = all
                    .iter()
                    .filter(|text| text.contains("uthorization: Digest"));
                assert!(!all[0].contains("uthorization: Digest"), "{method}");
                assert!(proved.count() > 0, "{method}: {all:?}");
            }
            assert_eq!(is_registered(stage, alice), is_right);
            hang_up(stage);
            // One that is refused is tried again until the end.
            stage.agent(alice, "shutdown", |agent, now| agent.shutdown(now));
            stage.world.run_for(Duration::from_secs(60));
        });
    }
}

/// ENG-46: the documents tell an exception within the engine by `SIPEngineGotException`, with a traceback.
/// Nothing within an agent throws; the only foreign code that a runtime runs in it is a closure, whose panic
/// is given back, whole, to whoever called it, and is fatal: no event follows.
#[test]
fn eng_46_a_panic_is_given_to_its_caller_and_is_fatal() {
    let mut config = Config::new([7; 32], Duration::ZERO);
    config.addresses = vec![[127, 0, 0, 1].into()];
    let (handle, events) = runtime_std::start(config, runtime_std::Storage::Memory).unwrap();
    let result: Result<(), CallError> = handle.call(|_, _| panic!("on purpose"));
    let Err(CallError::Panicked(panic)) = result else {
        panic!("{result:?}");
    };
    assert_eq!(*panic.downcast::<&str>().unwrap(), "on purpose");
    assert!(matches!(handle.call(|_, _| ()), Err(CallError::Ended)));
    let names: Vec<&str> = events.map(|told| told.event.name()).collect();
    assert!(!names.contains(&"SIPEngineDidEnd"), "{names:?}");
}

/// RGN-09: what the older documents call DidSucceed, DidFail, WillExpire, DidEnd and DidNotEnd is told of the
/// account; WillEnd is the application's own command.
#[test]
fn rgn_09_the_older_events_of_registrations_are_told() {
    let setup =
        configured(|config| config.accounts[0].outbound_proxy = "sip:10.0.0.9".parse().ok());
    play(&setup, |stage| {
        let server = server(stage, None);
        let alice = stage.alice;
        let register = |stage: &mut Stage, is_wanted: bool, time| {
            stage.agent(alice, "register", |agent, now| match is_wanted {
                true => agent.register(now, None).unwrap(),
                false => agent.unregister(now, None).unwrap(),
            });
            stage.world.run_for(Duration::from_secs(time));
            let told = events(&stage.world, alice, |event| match event {
                Event::Account(_, told) => match told {
                    AccountEvent::RegistrationWillRefresh => Some("WillExpire"),
                    AccountEvent::RegistrationDidSucceed { .. } => Some("DidSucceed"),
                    AccountEvent::RegistrationDidFail { .. } => Some("DidFail"),
                    AccountEvent::RegistrationDidEnd { .. } => Some("DidEnd"),
                    AccountEvent::RegistrationDidNotEnd { .. } => Some("DidNotEnd"),
                    _ => None,
                },
                _ => None,
            });
            stage.world.take_inbox(alice);
            told
        };
        let told = register(stage, true, 400);
        assert_eq!(told[..3], ["DidSucceed", "WillExpire", "DidSucceed"]);
        assert_eq!(register(stage, false, 2), ["DidEnd"]);
        assert_eq!(register(stage, true, 2), ["DidSucceed"]);
        stage.world.cut_path(alice, server);
        assert_eq!(register(stage, false, 40), ["DidNotEnd"]);
        assert!(register(stage, true, 40).contains(&"DidFail"));
        stage.world.mend_path(alice, server);
        register(stage, false, 40);
    });
}

/// PUB-08: what the older documents call DidSucceed, DidFail, WillEnd and DidEnd are the changes of the
/// state, which the newer ones tell instead: to published, to unpublished with a code that refuses, to
/// unpublishing, to unpublished.
#[test]
fn pub_08_the_older_events_of_publications_are_changes_of_state() {
    let setup =
        configured(|config| config.accounts[0].outbound_proxy = "sip:10.0.0.9".parse().ok());
    play(&setup, |stage| {
        let server = server(stage, None);
        let alice = stage.alice;
        let told = |stage: &mut Stage, time| {
            stage.world.run_for(Duration::from_secs(time));
            let told = events(&stage.world, alice, |event| match event {
                Event::Publication(_, PublicationEvent::ChangedState { state, code, .. }) => {
                    let text = serde_json::to_value(state).unwrap();
                    Some((text.as_str().unwrap().to_owned(), *code))
                }
                _ => None,
            });
            stage.world.take_inbox(alice);
            told
        };
        let publish = |stage: &mut Stage| {
            let publish = Publish::new("presence", "application/pidf+xml", "<presence/>");
            stage.agent(alice, "publish", |agent, now| {
                agent.publish(now, publish).unwrap();
            });
        };
        let is = |told: &[(String, Option<u16>)], expected: &[(&str, Option<u16>)]| {
            let told: Vec<_> = told.iter().map(|(state, code)| (&**state, *code)).collect();
            assert_eq!(told, expected);
        };
        publish(stage);
        is(
            &told(stage, 2),
            &[("publishing", None), ("published", Some(200))],
        );
        stage.agent(alice, "unpublish", |agent, now| {
            agent.unpublish(now, None, "presence").unwrap();
        });
        is(
            &told(stage, 2),
            &[("unpublishing", None), ("unpublished", Some(200))],
        );
        stage.world.cut_path(alice, server);
        publish(stage);
        is(
            &told(stage, 40),
            &[("publishing", None), ("unpublished", Some(408))],
        );
        stage.world.mend_path(alice, server);
    });
}
