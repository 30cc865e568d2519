//! What the documents say of Engine, send_message, SIPURI, Route, Registration, Publication and
//! Invitation, as an application of a [`UserAgent`] meets it.

use crate::{
    call::{both, probe, wait},
    names::{ip, is_registered, requests},
    runs::play,
};
use base::{Host, Transport};
use simulator::{
    Action, HostId, Setup, Stage, World,
    server::{Compositor, Peer, Proxy, Registrar, Rules},
};
use sip::{SipUri, Uri};
use sipsimple::{
    agent::{
        AccountError, Config, Connect, ConnectError, Message, OptionsError, Publish, UserAgent,
    },
    event::{AgentEvent, Event, MessageEvent},
};
use std::{net::SocketAddr, rc::Rc, time::Duration};

/// A stage whose caller is configured so.
pub(crate) fn configured(change: impl Fn(&mut Config) + 'static) -> Setup {
    let mut setup = Setup::new(5);
    setup.configure = Rc::new(move |name, config| {
        if name == "alice" {
            change(config);
        }
    });
    setup
}

/// Everything that left a host, as text: requests and responses.
pub(crate) fn said(stage: &Stage, host: HostId) -> Vec<String> {
    let steps = stage.world.trace().steps().iter();
    let text = |step: &simulator::Step| match &step.action {
        Action::Send { payload, .. } | Action::Write { payload, .. } if step.host == host => {
            Some(String::from_utf8_lossy(payload).into_owned())
        }
        _ => None,
    };
    steps.filter_map(text).collect()
}

/// The names of what an application was told about the agent itself, without its log.
fn told(world: &World, host: HostId) -> Vec<&'static str> {
    let notifications = world.host(host).inbox().notifications.iter();
    notifications
        .filter(|told| matches!(told.event, Event::Agent(_)))
        .map(|told| told.event.name())
        .filter(|name| *name != "SIPEngineLog")
        .collect()
}

fn server(stage: &mut Stage) -> HostId {
    let mut proxy = Proxy::new(SocketAddr::new(ip(9), 5060));
    proxy.add_name("example.com", ip(9));
    proxy.set_registrar(Registrar::new(Rules::default()));
    proxy.set_compositor(Compositor::new());
    let host = stage.world.add_host("server", &[ip(9)], proxy);
    stage.world.run_for(Duration::from_millis(1));
    host
}

fn call(stage: &mut Stage, connect: Connect) -> String {
    let bob = stage.bob();
    stage.answer(bob, Duration::ZERO, Duration::ZERO);
    let call = stage.agent(stage.alice, "connect", |agent, now| {
        agent.connect(now, connect).unwrap()
    });
    wait(stage, stage.alice, call, Duration::from_secs(50));
    both(stage, call)
}

/// ENG-03, ENG-05, ENG-27, ENG-38, ENG-40, BUG-08: each state is told once; afterwards nothing can be
/// asked for any more, and nothing happens.
#[test]
fn eng_38_an_agent_starts_and_eng_40_ends_once_and_for_all() {
    play(&Setup::new(1), |stage| {
        let alice = stage.alice;
        assert_eq!(
            told(&stage.world, alice),
            [
                "SIPEngineWillStart",
                "SIPAccountManagerDidAddAccount",
                "SIPAccountManagerDidChangeDefaultAccount",
                "SIPEngineDidStart"
            ]
        );
        stage.agent(alice, "shutdown", |agent, now| {
            agent.shutdown(now);
            agent.shutdown(now);
        });
        stage.world.run_for(Duration::from_secs(10));
        assert_eq!(
            told(&stage.world, alice)[4..],
            ["SIPEngineWillEnd", "SIPEngineDidEnd"]
        );
        let to = stage.bob_uri();
        stage.agent(alice, "afterwards", |agent, now| {
            let call = Connect::new(to.clone(), probe());
            assert_eq!(agent.connect(now, call), Err(ConnectError::NotRunning));
            assert_eq!(
                agent.options(now, None, to.clone()),
                Err(OptionsError::NotRunning)
            );
            assert_eq!(agent.register(now, None), Err(AccountError::NotRunning));
            let message = Message::new(to, "too late");
            assert!(agent.send_message(now, message).is_err());
        });
        stage.world.run_for(Duration::from_secs(60));
        assert_eq!(told(&stage.world, alice).len(), 6);
        assert_eq!(stage.world.host(alice).open_links(), 0);
    });
}

/// ENG-27: with a call standing, the end takes a while; whoever asks for it again in the meantime changes
/// nothing.
#[test]
fn eng_27_the_end_ends_the_calls_first() {
    play(&Setup::new(1), |stage| {
        let (alice, to) = (stage.alice, stage.bob_uri());
        assert_eq!(call(stage, Connect::new(to, probe())), "connected");
        for _ in 0..2 {
            stage.agent(alice, "shutdown", |agent, now| agent.shutdown(now));
        }
        stage.world.run_for(Duration::from_secs(10));
        let notifications = stage.world.host(alice).inbox().notifications.iter();
        let names: Vec<_> = notifications.map(|told| told.event.name()).collect();
        let at = |name: &str| names.iter().position(|told| *told == name).unwrap();
        let [begin, call, end] =
            ["SIPEngineWillEnd", "SIPSessionDidEnd", "SIPEngineDidEnd"].map(at);
        assert!(begin < call && call < end, "{names:?}");
        let begun = names.iter().filter(|name| **name == "SIPEngineWillEnd");
        assert_eq!((begun.count(), end), (1, names.len() - 1), "{names:?}");
        assert!(stage.model(stage.bob()).alive().is_empty());
    });
}

/// ENG-04, ENG-39: what cannot start says so, and why.
#[test]
fn eng_39_an_agent_without_a_socket_fails() {
    let mut world = World::new(1);
    let mut config = Config::new([1; 32], Duration::from_secs(1_735_689_600));
    config.addresses = vec![ip(99)];
    let agent = UserAgent::new(world.now(), config);
    let host = world.add_host("alice", &[ip(1)], agent);
    world.run_for(Duration::from_secs(5));
    assert_eq!(
        told(&world, host)[..2],
        ["SIPEngineWillStart", "SIPEngineDidFail"]
    );
    let agent = world.node::<UserAgent>(host);
    assert_eq!(agent.listening(), []);
}

/// ENG-07, ENG-08, ENG-09: only the address and the transports that were asked for, both ways.
#[test]
fn eng_08_a_transport_that_is_off_is_off_both_ways() {
    let setup = configured(|config| {
        config.addresses = vec![ip(1)];
        config.udp_port = None;
        config.tcp_port = Some(5080);
    });
    play(&setup, |stage| {
        let listening = stage.world.node::<UserAgent>(stage.alice).listening();
        let at: Vec<_> = listening
            .iter()
            .map(|at| (at.transport, at.address))
            .collect();
        assert_eq!(at, [(Transport::Tcp, SocketAddr::new(ip(1), 5080))]);
        let to: Uri = "sip:bob@10.0.0.2;transport=udp".parse().unwrap();
        assert_eq!(call(stage, Connect::new(to, probe())), "503");
        let to: Uri = "sip:bob@10.0.0.2;transport=tcp".parse().unwrap();
        assert_eq!(call(stage, Connect::new(to, probe())), "connected");
    });
}

/// ENG-18: in every request as User-Agent, in every response as Server; INV-12: the ACK comes by itself.
#[test]
fn eng_18_the_name_of_the_agent_is_in_every_message() {
    let mut setup = Setup::new(5);
    setup.configure = Rc::new(|name, config| config.sip.user_agent = format!("Toaster of {name}"));
    play(&setup, |stage| {
        let to = stage.bob_uri();
        assert_eq!(call(stage, Connect::new(to, probe())), "connected");
        for id in stage.model(stage.bob()).alive() {
            let bob = stage.bob();
            let _ = stage.agent(bob, "end", |agent, now| agent.end(now, id));
        }
        stage.world.run_for(Duration::from_secs(5));
        let mut methods = Vec::new();
        for (host, name) in [(stage.alice, "alice"), (stage.bob(), "bob")] {
            for text in said(stage, host)
                .iter()
                .filter(|text| text.contains("SIP/2.0"))
            {
                let header = match text.starts_with("SIP/2.0") {
                    true => format!("\r\nServer: Toaster of {name}\r\n"),
                    false => format!("\r\nUser-Agent: Toaster of {name}\r\n"),
                };
                let is_trying = text.starts_with("SIP/2.0 100");
                assert!(is_trying || text.contains(&header), "{text}");
                methods.push(text.split(' ').next().unwrap().to_owned());
            }
        }
        for method in ["INVITE", "ACK", "BYE"] {
            assert!(methods.iter().any(|other| other == method), "{methods:?}");
        }
    });
}

/// ENG-20, ENG-42: messages are shown only while that is wanted, with both addresses.
#[test]
fn eng_20_messages_are_traced_while_that_is_wanted() {
    play(&Setup::new(5), |stage| {
        let alice = stage.alice;
        let ask = |stage: &mut Stage| {
            let to = stage.bob_uri();
            stage.agent(alice, "options", |agent, now| {
                agent.options(now, None, to).unwrap()
            });
            stage.world.run_for(Duration::from_secs(1));
            stage.world.take_inbox(alice).traces
        };
        assert_eq!(ask(stage).len(), 0);
        stage.agent(alice, "trace", |agent, now| agent.set_trace(now, true));
        let traces = ask(stage);
        assert_eq!(traces.len(), 2);
        assert!(
            traces[0].plaintext.starts_with(b"OPTIONS")
                && traces[1].plaintext.starts_with(b"SIP/2.0 200")
        );
        stage.agent(alice, "trace", |agent, now| agent.set_trace(now, false));
        assert_eq!(ask(stage).len(), 0);
    });
}

/// ENG-41: what was wrong with a message is told by its sender's name and a level.
#[test]
fn eng_41_what_is_malformed_is_logged_for_the_application() {
    play(&Setup::new(5), |stage| {
        let peer = Peer::new(SocketAddr::new(ip(66), 5060));
        let peer = stage.world.add_host("peer", &[ip(66)], peer);
        stage.world.run_for(Duration::from_millis(1));
        stage.world.command(peer, "send", |peer: &mut Peer, _| {
            let to = SocketAddr::new(ip(1), 5060);
            let nonsense = "INVITE sip:alice@10.0.0.1 SIP/2.0\r\nFrom: nobody\r\n\r\n";
            peer.send(Transport::Udp, to, nonsense);
        });
        stage.world.run_for(Duration::from_secs(1));
        let notifications = &stage.world.host(stage.alice).inbox().notifications;
        let logs: Vec<_> = notifications
            .iter()
            .filter_map(|told| match &told.event {
                Event::Agent(AgentEvent::Log {
                    sender,
                    level,
                    message,
                }) => {
                    assert_eq!(told.event.name(), "SIPEngineLog");
                    Some((*sender, *level, message.contains("10.0.0.66")))
                }
                _ => None,
            })
            .collect();
        assert_eq!(logs, [("endpoint", 4, true)]);
    });
}

/// ENG-43, ENG-44, MSG-03: a message arrives with its whole type, and its sender hears the result, also
/// if it is silence.
#[test]
fn eng_44_a_message_has_one_result_and_eng_43_arrives_whole() {
    play(&Setup::new(5), |stage| {
        let (alice, bob) = (stage.alice, stage.bob());
        let results = |stage: &Stage| -> Vec<u16> {
            let notifications = &stage.world.host(alice).inbox().notifications;
            let result = |event: &Event| match event {
                Event::Message(_, MessageEvent::GotResponse { code, .. }) => {
                    assert_eq!(event.name(), "SIPEngineGotMessageResponse");
                    Some(*code)
                }
                _ => None,
            };
            notifications
                .iter()
                .filter_map(|told| result(&told.event))
                .collect()
        };
        let write = |stage: &mut Stage| {
            let message = Message::new(stage.bob_uri(), "hello");
            stage.agent(alice, "write", |agent, now| {
                agent.send_message(now, message).unwrap()
            });
            stage.world.run_for(Duration::from_secs(40));
        };
        write(stage);
        assert_eq!(results(stage), [200]);
        let notifications = &stage.world.host(bob).inbox().notifications;
        let got = notifications
            .iter()
            .find(|told| told.event.name() == "SIPEngineGotMessage");
        let data = got.unwrap().event.data();
        assert_eq!(data["body"], "hello");
        assert_eq!(data["content_type"], "text/plain;charset=utf-8");
        stage.world.cut_path(alice, bob);
        write(stage);
        assert_eq!(results(stage), [200, 408]);
        stage.world.mend_path(alice, bob);
    });
}

/// ENG-49, RFC 3261, 18.1.1: what is too large for a datagram goes by TCP, unless that is switched off.
#[test]
fn eng_49_large_requests_go_by_tcp_by_choice() {
    for (limit, way) in [(Some(1_300), "tcp"), (None, "udp")] {
        let setup = configured(move |config| config.sip.oversize = limit);
        play(&setup, |stage| {
            let mut connect = Connect::new(stage.bob_uri(), probe());
            connect.headers = vec![("X-Long".to_owned(), "x".repeat(1_400))];
            assert_eq!(call(stage, connect), "connected");
            let ways = requests(stage, stage.alice, "INVITE");
            assert_eq!(ways.last().unwrap().1, format!("{way} 10.0.0.2:5060"));
        });
    }
}

/// RTE-01, RTE-02, RTE-03, RTE-05: an outbound proxy is a Route with `lr`, its port and transport are
/// obeyed in any case; RGN-10: the REGISTER for the domain goes through it.
#[test]
fn rte_05_requests_go_through_the_route_and_rgn_10_so_does_the_register() {
    for (proxy, way) in [
        ("sip:10.0.0.9", "udp 10.0.0.9:5060"),
        ("sip:10.0.0.9;lr;transport=TCP", "tcp 10.0.0.9:5060"),
    ] {
        let setup =
            configured(move |config| config.accounts[0].outbound_proxy = proxy.parse().ok());
        play(&setup, |stage| {
            server(stage);
            let alice = stage.alice;
            stage.agent(alice, "register", |agent, now| {
                agent.register(now, None).unwrap()
            });
            stage.world.run_for(Duration::from_secs(1));
            assert!(is_registered(stage, alice), "{proxy}");
            let ways = requests(stage, alice, "REGISTER");
            assert!(ways.iter().all(|(_, other)| other == way), "{ways:?}");
            let said = said(stage, alice);
            let register = said
                .iter()
                .find(|text| text.starts_with("REGISTER"))
                .unwrap();
            assert!(
                register.starts_with("REGISTER sip:example.com SIP/2.0\r\n"),
                "{register}"
            );
            assert!(
                register.contains("\r\nRoute: <sip:10.0.0.9") && register.contains(";lr"),
                "{register}"
            );
            stage.agent(alice, "unregister", |agent, now| {
                agent.unregister(now, None).unwrap()
            });
            stage.world.run_for(Duration::from_secs(1));
            assert!(!is_registered(stage, alice));
        });
    }
}

/// RGN-03: registered by one command and refreshed without another; unregistered after a failure.
#[test]
fn rgn_03_a_registration_refreshes_itself_until_it_fails() {
    let setup =
        configured(|config| config.accounts[0].outbound_proxy = "sip:10.0.0.9;lr".parse().ok());
    play(&setup, |stage| {
        let server = server(stage);
        let alice = stage.alice;
        stage.agent(alice, "register", |agent, now| {
            agent.register(now, None).unwrap()
        });
        stage.world.run_for(Duration::from_secs(1_000));
        assert!(is_registered(stage, alice));
        assert!(requests(stage, alice, "REGISTER").len() >= 4);
        stage.world.cut_path(alice, server);
        stage.world.run_for(Duration::from_secs(400));
        assert!(!is_registered(stage, alice));
        stage.world.mend_path(alice, server);
        stage.agent(alice, "unregister", |agent, now| {
            agent.unregister(now, None).unwrap()
        });
        stage.world.run_for(Duration::from_secs(40));
    });
}

/// PUB-03, PUB-04, PUB-07: published, changed, refreshed by itself, removed; any event package will do.
#[test]
fn pub_03_a_publication_changes_refreshes_itself_and_pub_04_ends() {
    let setup =
        configured(|config| config.accounts[0].outbound_proxy = "sip:10.0.0.9;lr".parse().ok());
    play(&setup, |stage| {
        let server = server(stage);
        let alice = stage.alice;
        let published = |stage: &mut Stage| {
            stage
                .world
                .command(server, "look", |proxy: &mut Proxy, now| {
                    proxy.compositor().unwrap().published(now)
                })
        };
        let say = |stage: &mut Stage, event: &str, text: &'static str| {
            let publish = Publish::new(event, "application/pidf+xml", text);
            stage.agent(alice, "publish", |agent, now| {
                agent.publish(now, publish).unwrap()
            });
            stage.world.run_for(Duration::from_secs(1));
        };
        say(stage, "presence", "<presence/>");
        say(stage, "presence", "<presence>away</presence>");
        say(stage, "toast", "<toast/>");
        assert_eq!(published(stage), 2);
        stage.world.run_for(Duration::from_secs(1_000));
        assert_eq!(published(stage), 2);
        let said = said(stage, alice);
        let all: Vec<&String> = said
            .iter()
            .filter(|text| text.starts_with("PUBLISH"))
            .collect();
        // RFC 3903, 4.1: all but the first of each name the tag, and a refresh has no body.
        let first = all
            .iter()
            .filter(|text| !text.contains("SIP-If-Match"))
            .count();
        assert_eq!(first, 2);
        assert!(all.iter().filter(|text| text.ends_with("\r\n\r\n")).count() >= 6);
        stage.agent(alice, "unpublish", |agent, now| {
            agent.unpublish(now, None, "presence").unwrap();
            agent.unpublish(now, None, "toast").unwrap();
        });
        stage.world.run_for(Duration::from_secs(1));
        assert_eq!(published(stage), 0);
    });
}

/// INV-02, INV-03, INV-04: what is known of a call, at both ends.
#[test]
fn inv_03_a_call_knows_its_parties_and_inv_04_its_descriptions() {
    play(&Setup::new(5), |stage| {
        let to = stage.bob_uri();
        assert_eq!(call(stage, Connect::new(to, probe())), "connected");
        let (alice, bob) = (stage.alice, stage.bob());
        let [ours, theirs] = [alice, bob].map(|host| {
            let id = *stage.model(host).alive().first().unwrap();
            let agent = stage.world.node::<UserAgent>(host);
            (
                agent.session(id).unwrap().call.unwrap(),
                agent.descriptions(id).unwrap(),
            )
        });
        assert_eq!(ours.0.call_id, theirs.0.call_id);
        assert_eq!(Some(ours.0.local_tag), theirs.0.remote_tag);
        assert_eq!(ours.0.remote_tag, Some(theirs.0.local_tag));
        // What one calls local the other calls remote.
        assert_eq!((&ours.1.0, &ours.1.1), (&theirs.1.1, &theirs.1.0));
        let local = String::from_utf8(ours.1.0.to_vec()).unwrap();
        assert!(local.starts_with("v=0\r\no="), "{local}");
        assert!(local.contains(" IN IP4 10.0.0.1\r\n"), "{local}");
    });
}

/// ENG-37, URI-01, URI-02, URI-03, URI-04, URI-05, URI-06: made of parts, printed, read, compared.
#[test]
fn uri_01_a_uri_has_parts_and_uri_06_is_compared_as_rfc_3261_says() {
    let mut parts = SipUri::new(Host::Name("example.com".to_owned()));
    assert_eq!(parts.to_uri().unwrap().as_str(), "sip:example.com");
    parts.user = Some("al ice".to_owned());
    parts.port = Some(5070);
    parts.secure = true;
    parts
        .params
        .push(("transport".to_owned(), Some("tcp".to_owned())));
    let uri = parts.to_uri().unwrap();
    assert_eq!(uri.as_str(), "sips:al%20ice@example.com:5070;transport=tcp");
    let copy = uri.clone();
    assert_eq!(copy, uri);
    let read: Uri = "SIPS:al%20ice@EXAMPLE.com:5070;Transport=TCP"
        .parse()
        .unwrap();
    assert!(read.as_ref().equivalent(uri.as_ref()));
    let other: Uri = "sips:AL%20ice@example.com:5070;transport=tcp"
        .parse()
        .unwrap();
    assert!(
        !other.as_ref().equivalent(uri.as_ref()),
        "users are told apart by case"
    );
    for wrong in [
        "sip:",
        "alice@example.com",
        "sip:a@b:99999",
        "sip:a b@c",
        "",
    ] {
        assert!(wrong.parse::<Uri>().is_err(), "{wrong}");
    }
}
