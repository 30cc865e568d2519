//! TLS between two agents: real handshakes over streams that are cut anywhere.

mod matrix;

use super::{World, config, origin};
use crate::{
    agent::{Config, Input, Stats, System, replay},
    event::{AgentEvent, Event},
    tls::{
        Identity, TlsConfig,
        testing::{Authority, provider},
    },
};
use base::{LinkError, TlsError, Transport};
use std::time::Duration;

/// A caller who trusts, and a server who shows; all names lead to the server.
fn world(caller: TlsConfig, server: Identity, names: &[&str]) -> World {
    let mut one = config(1);
    one.tls_port = Some(5061);
    one.tls = Some(caller.clone());
    let mut two = config(2);
    two.tls_port = Some(5061);
    two.tls = Some(with(caller, server));
    started(vec![one, two], names)
}

fn with(mut config: TlsConfig, identity: Identity) -> TlsConfig {
    config.identity = Some(identity);
    config
}

fn started(configs: Vec<Config>, names: &[&str]) -> World {
    let mut world = World::new(configs);
    let host = |name: &&str| ((*name).to_owned(), [10, 0, 0, 2].into());
    let hosts = names.iter().map(host).collect();
    world.input(0, Input::System(System::Hosts(hosts)));
    world.run(Duration::from_secs(1));
    world
}

fn ask(world: &mut World, uri: &str) -> String {
    let to = uri.parse().unwrap();
    world
        .command(0, |agent, now| agent.options(now, None, to))
        .unwrap();
    // As long as it takes, and no longer: an idle connection is closed.
    let answers = |world: &World| {
        let names = world.names(0).into_iter();
        names.filter(|name| name.starts_with("SIPOptions")).count()
    };
    let before = answers(world);
    for _ in 0..40 {
        world.run(Duration::from_secs(1));
        if answers(world) > before {
            break;
        }
    }
    let mut events = world.hosts[0].events.iter();
    let answer = events.rfind(|event| event.name().starts_with("SIPOptions"));
    let answer = answer.expect("an answer");
    format!("{} {}", answer.name(), answer.data())
}

/// The last news of a handshake with a server.
fn news(world: &World) -> AgentEvent {
    let news = world.hosts[0]
        .events
        .iter()
        .rev()
        .find_map(|event| match event {
            Event::Agent(
                event @ (AgentEvent::TlsDidStart { .. } | AgentEvent::TlsDidFail { .. }),
            ) => Some(event.clone()),
            _ => None,
        });
    news.expect("a handshake")
}

fn end(world: &mut World) {
    world.run(Duration::from_secs(100));
    world.command(0, |agent, now| agent.shutdown(now));
    world.command(1, |agent, now| agent.shutdown(now));
    world.run(Duration::from_secs(10));
    for host in &world.hosts {
        assert_eq!(host.agent.stats(), Stats::default());
    }
    assert_eq!(world.names(0).last(), Some(&"SIPEngineDidEnd"));
    assert_eq!(world.names(1).last(), Some(&"SIPEngineDidEnd"));
}

/// ENG-10, ENG-11, ENG-12, BUG-22, BUG-23: verified by default, in TLS 1.3.
#[test]
fn requests_go_by_tls_and_are_answered() {
    let authority = Authority::new("Test");
    let identity = authority.sign(&["dns b.example"], |_| {});
    let mut world = world(authority.trusted(), identity, &["b.example"]);
    for uri in ["sips:bob@b.example", "sip:bob@b.example;transport=tls"] {
        let answer = ask(&mut world, uri);
        assert!(answer.contains(r#""code":200"#), "{answer}");
    }
    match news(&world) {
        AgentEvent::TlsDidStart {
            transport,
            peer,
            wanted,
            security,
        } => {
            assert_eq!(
                (transport, peer),
                (Transport::Tls, ([10, 0, 0, 2], 5061).into())
            );
            assert_eq!((&*wanted, &*security.version), ("b.example", "TLS 1.3"));
            assert_eq!(security.chain[0].dns, ["b.example"]);
            assert_eq!(security.chain[0].issuer, "CN=Test");
            assert_eq!(security.chain[0].subject, "O=Example");
            assert_eq!(security.chain[0].usages, ["serverAuth"]);
            assert_eq!(security.chain[0].not_after, "2027-01-01T00:00:00Z");
        }
        event => panic!("{event:?}"),
    }
    let handshakes = world
        .names(0)
        .iter()
        .filter(|name| **name == "SIPEngineTLSDidStart")
        .count();
    assert_eq!(
        handshakes, 1,
        "the second request goes by the same connection"
    );
    // The wire shows nothing of it.
    let wire: Vec<u8> = world
        .hosts
        .iter()
        .flat_map(|host| host.sent.concat())
        .collect();
    assert!(!wire.windows(7).any(|w| w == b"OPTIONS" || w == b"SIP/2.0"));
    end(&mut world);
}

/// The recorder stands on the inside of the filter: what it wrote is replayed without any key.
#[test]
fn a_recording_of_a_secured_agent_replays_equal_and_holds_no_key() {
    let authority = Authority::new("Test");
    let identity = authority.sign(&["dns b.example"], |_| {});
    let wrong = authority.sign(&["dns c.example"], |_| {});
    for identity in [identity, wrong] {
        let mut world = world(authority.trusted(), identity, &["b.example"]);
        ask(&mut world, "sips:bob@b.example");
        world.command(0, |agent, now| agent.set_trace(now, true));
        ask(&mut world, "sips:bob@b.example");
        end(&mut world);
        for host in &world.hosts {
            let text = String::from_utf8(host.record.clone()).unwrap();
            assert!(
                text.contains(r#"{"secured":"#),
                "the handshake's result is in it"
            );
            let report =
                replay(origin() + Duration::from_secs(3), &host.record, Vec::new()).unwrap();
            assert_eq!(report.difference, None);
            assert!(report.inputs > 5, "{report:?}");
            // A private key in DER begins with its version, and says what it is: P-256.
            assert!(!text.contains("020100301306072a8648ce3d0201"), "no key");
            assert!(!text.contains(r#""payload":"x:1603"#), "no ciphertext");
        }
    }
}

/// The name check is made again in a replay: a recording that was changed is found out.
#[test]
fn names_are_checked_by_the_same_code_in_a_replay() {
    let authority = Authority::new("Test");
    let identity = authority.sign(&["dns b.example"], |_| {});
    let mut world = world(authority.trusted(), identity, &["b.example"]);
    ask(&mut world, "sips:bob@b.example");
    let text = String::from_utf8(world.hosts[0].record.clone()).unwrap();
    let line = text
        .lines()
        .position(|line| line.contains(r#"{"secured":"#))
        .unwrap();
    let changed: Vec<String> = text
        .lines()
        .enumerate()
        .map(|(at, text)| match at == line {
            true => text.replace("b.example", "x.example"),
            false => text.to_owned(),
        })
        .collect();
    let report = replay(origin(), changed.join("\n").as_bytes(), Vec::new()).unwrap();
    let difference = report.difference.unwrap();
    // The input is taken as it is; what it leads to is not what was recorded.
    assert_eq!(difference.line, line + 2);
    let replayed = difference.replayed.unwrap();
    assert!(replayed.contains("SIPEngineTLSDidFail"), "{replayed}");
    assert!(
        replayed.contains("wanted b.example; presented DNS:x.example"),
        "{replayed}"
    );
}

#[test]
fn a_client_certificate_is_shown_to_who_asks_and_is_no_obstacle_to_who_does_not() {
    let authority = Authority::new("Test");
    let identity = authority.sign(&["dns b.example"], |_| {});
    let mut caller = authority.trusted();
    caller.identity = Some(authority.sign(&["uri sip:a.example"], |_| {}));
    let mut world = world(caller, identity, &["b.example"]);
    let answer = ask(&mut world, "sips:bob@b.example");
    assert!(answer.contains(r#""code":200"#), "{answer}");
    // Having a certificate, the caller listens too.
    let listening = world.hosts[0].agent.listening();
    assert!(listening.iter().any(|at| at.transport == Transport::Tls));
    end(&mut world);
}

/// RTE-07: the name to verify may be told.
#[test]
fn a_configured_name_stands_in_for_the_domain() {
    let authority = Authority::new("Test");
    let identity = authority.sign(&["dns hidden.example"], |_| {});
    let mut caller = authority.trusted();
    caller.name = Some("hidden.example".parse().unwrap());
    let mut world = world(caller, identity, &["b.example"]);
    let answer = ask(&mut world, "sips:bob@b.example");
    assert!(answer.contains(r#""code":200"#), "{answer}");
}

#[test]
fn without_a_certificate_nobody_listens_on_tls_and_without_tls_none_is_spoken() {
    let authority = Authority::new("Test");
    let identity = authority.sign(&["dns b.example"], |_| {});
    let mut world = world(authority.trusted(), identity.clone(), &["b.example"]);
    let listening = world.hosts[0].agent.listening();
    assert!(listening.iter().all(|at| at.transport != Transport::Tls));
    end(&mut world);
    let mut off = config(1);
    off.tls_port = None;
    off.tls = Some(with(authority.trusted(), identity));
    let mut world = started(vec![off, config(2)], &["b.example"]);
    assert_eq!(world.hosts[0].agent.listening().len(), 2);
    let answer = ask(&mut world, "sips:bob@b.example");
    assert!(answer.contains("transport not available"), "{answer}");
}

/// wire-rules, everyday noise: plain SIP on the TLS port, a client's hello on the TCP port.
#[test]
fn who_speaks_the_wrong_language_is_let_go_without_a_word_to_the_user() {
    let authority = Authority::new("Test");
    let identity = authority.sign(&["dns b.example"], |_| {});
    let mut world = world(authority.trusted(), identity, &["b.example"]);
    let before = world.hosts[1].events.len();
    // A hello to the TCP port: the server is no server.
    let answer = ask(&mut world, "sips:bob@b.example:5060");
    assert!(answer.contains("transport"), "{answer}");
    let counters = world.hosts[1].agent.counters().links;
    assert_eq!(counters.noise, 1);
    let AgentEvent::TlsDidFail {
        error, presented, ..
    } = news(&world)
    else {
        panic!("it failed");
    };
    assert_eq!(
        (error, presented.len()),
        (LinkError::Tls(TlsError::Closed), 0)
    );
    // SIP to the TLS port.
    ask(&mut world, "sip:bob@b.example:5061;transport=tcp");
    let counters = world.hosts[1].agent.counters().links;
    assert_eq!(counters.handshakes, 1);
    assert_eq!(world.hosts[1].events.len(), before);
    end(&mut world);
}

/// ENG-16: a peer that connects and says nothing is bounded by the time of a handshake, which blocks nobody
/// meanwhile (BUG-06).
#[test]
fn a_silent_client_loses_its_connection() {
    let authority = Authority::new("Test");
    let identity = authority.sign(&["dns b.example"], |_| {});
    let mut world = world(authority.trusted(), identity, &["b.example"]);
    world.connect_silently(1, 5061);
    world.run(Duration::from_secs(9));
    assert_eq!(world.hosts[1].agent.stats().links, 1);
    world.run(Duration::from_secs(2));
    assert_eq!(world.hosts[1].agent.stats().links, 0);
    let counters = world.hosts[1].agent.counters().links;
    assert_eq!((counters.timeouts, counters.handshakes), (1, 1));
}

/// ENG-10, ENG-13, ENG-14, ENG-15, ENG-36: what is trusted and shown, and where, changes while the agents
/// run; what was trusted before is asked again.
#[test]
fn eng_36_tls_options_change_while_the_agent_runs() {
    let (authority, other) = (Authority::new("Test"), Authority::new("Other"));
    let identity = authority.sign(&["dns b.example"], |_| {});
    let mut world = world(authority.trusted(), identity, &["b.example"]);
    let is_answered = |world: &mut World, uri| ask(world, uri).contains(r#""code":200"#);
    assert!(is_answered(&mut world, "sips:bob@b.example"));

    let change = |world: &mut World, host, tls: &TlsConfig, port| {
        let tls = tls.clone();
        let changed = world.command(host, |agent, now| agent.set_tls(now, tls, port));
        assert_eq!(changed, Ok(()));
        world.run(Duration::from_secs(2));
    };
    let shown = with(authority.trusted(), other.sign(&["dns b.example"], |_| {}));
    change(&mut world, 1, &shown, Some(5061));
    assert!(!is_answered(&mut world, "sips:bob@b.example"));
    let AgentEvent::TlsDidFail { error, .. } = news(&world) else {
        panic!("it is another authority's");
    };
    assert_eq!(error, LinkError::Tls(TlsError::UnknownIssuer));
    change(&mut world, 0, &other.trusted(), Some(0));
    assert!(is_answered(&mut world, "sips:bob@b.example"));

    change(&mut world, 1, &shown, Some(5071));
    assert!(!is_answered(&mut world, "sips:bob@b.example"));
    assert!(is_answered(&mut world, "sips:bob@b.example:5071"));
    change(&mut world, 1, &shown, None);
    assert!(!is_answered(&mut world, "sips:bob@b.example:5071"));
    // Off is off both ways.
    change(&mut world, 0, &other.trusted(), None);
    let answer = ask(&mut world, "sips:bob@b.example:5071");
    assert!(answer.contains("transport not available"), "{answer}");
    end(&mut world);
}

/// The clock by which certificates are judged is the agent's, and follows the system's.
#[test]
fn a_certificate_expires_while_we_run() {
    let authority = Authority::new("Test");
    let identity = authority.sign(&["dns b.example"], |_| {});
    let mut world = world(authority.trusted(), identity, &["b.example"]);
    let later = Duration::from_secs(1_830_000_000);
    world.input(0, Input::System(System::UnixTime(later)));
    ask(&mut world, "sips:bob@b.example");
    let AgentEvent::TlsDidFail { error, .. } = news(&world) else {
        panic!("it is 2027");
    };
    assert_eq!(error, LinkError::Tls(TlsError::Expired));
}

/// What cannot be opened is said, and all else goes on.
#[test]
fn app_18_a_tls_port_that_is_taken_is_reported() {
    let authority = Authority::new("Test");
    let mut one = config(1);
    one.tls_port = Some(5061);
    let identity = authority.sign(&["dns a.example"], |_| {});
    one.tls = Some(with(authority.trusted(), identity));
    let mut agent = crate::agent::UserAgent::new(origin(), one);
    let mut links = Vec::new();
    while let Some(output) = agent.poll_output() {
        if let crate::agent::Output::Open { link, how } = output {
            links.push((link, how));
        }
    }
    assert_eq!(links.len(), 3);
    for (n, (link, _)) in links.into_iter().enumerate() {
        let (local, peer) = (([10, 0, 0, 1], 5060).into(), None);
        let error = Some(LinkError::AddressInUse);
        let input = match n {
            2 => Input::Closed { link, error },
            _ => Input::Opened { link, local, peer },
        };
        agent.handle_input(origin(), input);
    }
    let mut events = Vec::new();
    while let Some(output) = agent.poll_output() {
        if let crate::agent::Output::Notify(notification) = output {
            events.push(notification.event.name());
        }
    }
    let names = [
        "SIPEngineLog",
        "SIPApplicationFailedToStartTLS",
        "SIPEngineDidStart",
    ];
    assert_eq!(events, names);
}

#[test]
fn a_key_of_another_certificate_is_no_identity() {
    use crate::tls::IdentityError;
    use rustls::pki_types::PrivateKeyDer;
    let key = || rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::default()
        .self_signed(&key())
        .unwrap();
    let chain = || vec![certificate.der().clone()];
    let other = PrivateKeyDer::try_from(key().serialize_der()).unwrap();
    let new = |chain, key| Identity::new(&provider(), chain, key).unwrap_err();
    assert_eq!(new(chain(), other.clone_key()), IdentityError::Mismatch);
    assert_eq!(
        new(Vec::new(), other.clone_key()),
        IdentityError::Certificate
    );
    assert_eq!(new(vec![vec![1].into()], other), IdentityError::Certificate);
    let none = PrivateKeyDer::Pkcs8(vec![1, 2, 3].into());
    assert_eq!(new(chain(), none), IdentityError::Key);
}
