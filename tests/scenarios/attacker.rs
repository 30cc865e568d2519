//! Who asks for passwords, and gets none (wire rules, "Digest leak" and "Choice of challenge"; RFC 7616,
//! 5; RFC 8760): peers, proxies and registrars that lie, and thieves of what was on the wire.

use crate::{
    call::{label, probe, wait},
    names::{ip, is_registered},
    runs::play,
};
use base::{
    Transport,
    digest::{Algorithm, Qop, Secret},
};
use bytes::Bytes;
use simulator::{
    Action, HostId, Setup, Stage,
    server::{Gate, Peer, Proxy, Quirk, RecordRoute, Registrar, Rules},
};
use sip::{
    HeaderName, Message, Method, Request, Response, Status,
    auth::{Asker, Credentials, Policy},
};
use sipsimple::{
    agent::{Connect, SessionId},
    event::{AccountEvent, AgentEvent, Event},
};
use std::{net::SocketAddr, rc::Rc, time::Duration};

const REGISTRAR: u8 = 9;
const MALLORY: u8 = 66;

/// Alice has a password for whatever her own registrar is called (CRD-03), and goes by it.
fn setup() -> Setup {
    let mut setup = Setup::new(3);
    setup.configure = Rc::new(|name, config| {
        if name == "alice" {
            let secret = Secret::Password("wonderland".to_owned());
            config.accounts[0].credentials = vec![Credentials::new("*", "alice", secret)];
            config.accounts[0].outbound_proxy = "sip:10.0.0.9;lr".parse().ok();
        }
    });
    setup
}

fn algorithms(names: &[&str]) -> Vec<Algorithm> {
    let algorithm = |name: &&str| Algorithm::from_name(name.as_bytes()).unwrap();
    names.iter().map(algorithm).collect()
}

fn gate(asker: Asker, names: &[&str]) -> Gate {
    let mut policy = Policy::new("example.com");
    policy.asker = asker;
    policy.algorithms = algorithms(names);
    let mut gate = Gate::new(policy, [4; 32]);
    gate.add_user("alice", "wonderland");
    gate
}

fn registrar(stage: &mut Stage, gate: Gate) -> HostId {
    let mut proxy = Proxy::new(SocketAddr::new(ip(REGISTRAR), 5060));
    proxy.add_name("example.com", ip(REGISTRAR));
    let mut registrar = Registrar::new(Rules::default());
    registrar.set_gate(gate);
    proxy.set_registrar(registrar);
    proxy.set_record_route(RecordRoute::Off);
    let host = stage.world.add_host("registrar", &[ip(REGISTRAR)], proxy);
    stage.world.run_for(Duration::from_millis(1));
    host
}

fn proxy<R>(stage: &mut Stage, host: HostId, act: impl FnOnce(&mut Proxy) -> R) -> R {
    stage
        .world
        .command(host, "act", |proxy: &mut Proxy, _| act(proxy))
}

fn register(stage: &mut Stage) {
    let alice = stage.alice;
    stage.agent(alice, "register", |agent, now| {
        agent.register(now, None).unwrap()
    });
    stage.world.run_for(Duration::from_secs(1));
}

fn unregister(stage: &mut Stage) {
    let alice = stage.alice;
    stage.agent(alice, "unregister", |agent, now| {
        agent.unregister(now, None).unwrap();
    });
    stage.world.run_for(Duration::from_secs(40));
}

/// A challenge by hand (RFC 7616, 3.3).
fn challenge(request: &Request, realm: &str) -> Response {
    let mut response = Response::to_request(request, Status::UNAUTHORIZED, Some("m"));
    let value =
        format!("Digest realm=\"{realm}\", nonce=\"gotcha\", algorithm=SHA-256, qop=\"auth\"");
    response
        .headers
        .push(HeaderName::WwwAuthenticate, value.as_str());
    response
}

/// Mallory accepts calls and wants to be told the password of example.com in everything else.
fn mallory(stage: &mut Stage, answer: impl Fn(&Request) -> Response + 'static) -> HostId {
    let mut peer = Peer::new(SocketAddr::new(ip(MALLORY), 5060));
    peer.set_answer(move |message, _| match message {
        Message::Request(request) if request.method != Method::Ack => {
            vec![answer(request).to_bytes()]
        }
        _ => Vec::new(),
    });
    stage.world.add_host("mallory", &[ip(MALLORY)], peer)
}

/// Takes the call, with the offer as the answer.
fn accept(request: &Request) -> Response {
    let mut response = Response::to_request(request, Status::OK, Some("m"));
    response
        .headers
        .push(HeaderName::Contact, "<sip:mallory@10.0.0.66>");
    response
        .headers
        .push(HeaderName::ContentType, "application/sdp");
    response.body = request.body.clone();
    response
}

fn call_mallory(stage: &mut Stage) -> SessionId {
    let connect = Connect::new("sip:mallory@10.0.0.66".parse().unwrap(), probe());
    let call = stage.agent(stage.alice, "connect", |agent, now| {
        agent.connect(now, connect).unwrap()
    });
    wait(stage, stage.alice, call, Duration::from_secs(40));
    call
}

/// Every message that left alice for a host, as text.
fn said_to(stage: &Stage, last: u8) -> Vec<String> {
    let mut said = Vec::new();
    for step in stage.world.trace().steps() {
        let (Action::Send { to, payload, .. } | Action::Write { to, payload, .. }) = &step.action
        else {
            continue;
        };
        if step.host == stage.alice && to.ip() == ip(last) {
            said.push(String::from_utf8_lossy(payload).into_owned());
        }
    }
    said
}

fn credentials_in(said: &[String]) -> Vec<&str> {
    let lines = said.iter().flat_map(|text| text.split("\r\n"));
    lines
        .filter(|line| line.contains("Authorization:"))
        .collect()
}

/// What alice was told about credentials.
fn told(stage: &Stage) -> Vec<String> {
    let notifications = &stage.world.host(stage.alice).inbox().notifications;
    let text = |event: &Event| match event {
        Event::Agent(AgentEvent::Log { message, .. }) if message.contains("authenticated") => {
            Some(message.clone())
        }
        _ => None,
    };
    notifications
        .iter()
        .filter_map(|told| text(&told.event))
        .collect()
}

fn failures(stage: &Stage) -> Vec<(u16, bool, Option<u64>)> {
    let notifications = &stage.world.host(stage.alice).inbox().notifications;
    let failure = |event: &Event| match event {
        Event::Account(
            _,
            AccountEvent::RegistrationDidFail {
                code,
                is_authentication,
                retry_after,
                ..
            },
        ) => Some((
            *code,
            *is_authentication,
            retry_after.map(|wait| wait as u64),
        )),
        _ => None,
    };
    notifications
        .iter()
        .filter_map(|told| failure(&told.event))
        .collect()
}

/// A peer that is reached without our proxy challenges a BYE, by the very realm that our registrar has:
/// neither what was learnt nor what was shown on our own route goes there.
#[test]
fn crd_03_a_peer_reached_directly_gets_no_credentials_in_a_dialog() {
    for asks in [false, true] {
        play(&setup(), |stage| {
            let server = registrar(stage, gate(Asker::Server, &["SHA-256"]));
            if asks {
                // Our proxy has asked for the INVITE of this very call.
                proxy(stage, server, |proxy| {
                    proxy.set_gate(gate(Asker::Proxy, &["SHA-256"]))
                });
            }
            mallory(stage, |request| match request.method {
                Method::Invite => accept(request),
                _ => challenge(request, "example.com"),
            });
            register(stage);
            assert!(is_registered(stage, stage.alice));
            let call = call_mallory(stage);
            assert_eq!(label(stage, stage.alice, call), "connected");
            stage.agent(stage.alice, "end", |agent, now| {
                agent.end(now, call).unwrap()
            });
            stage.world.run_for(Duration::from_secs(40));
            let said = said_to(stage, MALLORY);
            assert!(said.iter().any(|text| text.starts_with("BYE")), "{said:?}");
            assert_eq!(credentials_in(&said), [""; 0]);
            assert_eq!(
                told(stage),
                [
                    "BYE is not authenticated: the challenge does not come from the account's own server"
                ]
            );
            // Our own servers got what they asked for.
            assert!(!credentials_in(&said_to(stage, REGISTRAR)).is_empty());
            unregister(stage);
        });
    }
}

/// Behind our proxy somebody asks in the name of a realm that our servers never used.
#[test]
fn crd_03_a_realm_never_seen_on_our_route_gets_no_credentials() {
    play(&setup(), |stage| {
        registrar(stage, gate(Asker::Server, &["SHA-256"]));
        mallory(stage, |request| challenge(request, "evil.example"));
        register(stage);
        let call = call_mallory(stage);
        assert_eq!(label(stage, stage.alice, call), "401");
        let said = said_to(stage, REGISTRAR);
        let shown = credentials_in(&said);
        assert!(
            shown
                .iter()
                .all(|line| line.contains("realm=\"example.com\"")),
            "{shown:?}"
        );
        assert_eq!(
            told(stage),
            [
                "INVITE is not authenticated: the challenge does not come from the account's own server"
            ]
        );
        unregister(stage);
    });
}

/// Before anything is learnt, a stranger that is called directly learns nothing either.
#[test]
fn crd_03_a_stranger_called_directly_gets_no_credentials() {
    let mut setup = setup();
    let configure = Rc::clone(&setup.configure);
    setup.configure = Rc::new(move |name, config| {
        configure(name, config);
        config.accounts[0].outbound_proxy = None;
    });
    play(&setup, |stage| {
        mallory(stage, |request| challenge(request, "example.com"));
        let call = call_mallory(stage);
        assert_eq!(label(stage, stage.alice, call), "401");
        assert_eq!(credentials_in(&said_to(stage, MALLORY)), [""; 0]);
    });
}

/// RFC 8760, 2.4 and its local policy: of MD5 above SHA-256 the stronger is answered; once it was
/// accepted, a server (or who stands before it) that only knows MD5 gets nothing.
#[test]
fn rfc_8760_a_realm_that_lowers_its_algorithm_gets_no_credentials() {
    play(&setup(), |stage| {
        let server = registrar(stage, gate(Asker::Server, &["MD5", "SHA-256"]));
        register(stage);
        assert!(is_registered(stage, stage.alice));
        proxy(stage, server, |proxy| {
            let registrar = proxy.registrar().unwrap();
            registrar.set_gate(gate(Asker::Server, &["MD5"]));
        });
        // The refresh shows the old nonce, is turned down, and challenged with MD5.
        stage.world.run_for(Duration::from_secs(400));
        let said = said_to(stage, REGISTRAR);
        let shown = credentials_in(&said);
        assert!(shown.len() >= 2, "{shown:?}");
        assert!(
            shown.iter().all(|line| line.contains("algorithm=SHA-256")),
            "{shown:?}"
        );
        assert!(!is_registered(stage, stage.alice));
        let failures = failures(stage);
        assert_eq!(failures[0].0, 401);
        assert!(failures[0].1);
        let told = told(stage);
        assert_eq!(
            told[0],
            "REGISTER is not authenticated: the challenge is weaker than before"
        );
        unregister(stage);
    });
}

/// RFC 7616, 3.5: who proves the knowledge of another secret may not be our registrar: the application is
/// told each time, and decides.
#[test]
fn rfc_7616_a_wrong_proof_of_the_server_is_told() {
    play(&setup(), |stage| {
        let server = registrar(stage, gate(Asker::Server, &["SHA-256"]));
        proxy(stage, server, |proxy| {
            let registrar = proxy.registrar().unwrap();
            registrar.set_quirk(Some(Quirk::WrongProof));
        });
        register(stage);
        assert_eq!(
            told(stage),
            ["REGISTER is not authenticated: the server does not know the secret"]
        );
        unregister(stage);
    });
}

/// ACC-37: a wrong password is shown once, the next try comes after a minute or two.
#[test]
fn acc_37_a_wrong_password_is_shown_once_and_again_after_a_minute() {
    play(&setup(), |stage| {
        let mut gate = gate(Asker::Server, &["SHA-256"]);
        gate.add_user("alice", "another");
        registrar(stage, gate);
        register(stage);
        let failures = failures(stage);
        assert_eq!(failures.len(), 1);
        let (code, is_authentication, wait) = failures[0];
        assert_eq!((code, is_authentication), (401, true));
        assert!((60..=120).contains(&wait.unwrap()), "{wait:?}");
        assert_eq!(credentials_in(&said_to(stage, REGISTRAR)).len(), 1);
        unregister(stage);
    });
}

/// A nonce that outlived its time is replaced without a word to the user: `stale` says that the
/// password was right (RFC 7616, 3.3).
#[test]
fn rfc_7616_a_stale_nonce_costs_one_more_request_and_no_failure() {
    play(&setup(), |stage| {
        let mut policy = Policy::new("example.com");
        policy.nonce_life = Duration::from_secs(30);
        policy.next_nonce = false;
        let mut gate = Gate::new(policy, [4; 32]);
        gate.add_user("alice", "wonderland");
        registrar(stage, gate);
        register(stage);
        stage.world.run_for(Duration::from_secs(1_000));
        assert!(is_registered(stage, stage.alice));
        assert_eq!(failures(stage), []);
        assert_eq!(told(stage), [""; 0]);
        unregister(stage);
    });
}

/// The form of RFC 2069, without qop, is still answered.
#[test]
fn crd_01_a_challenge_without_qop_is_answered() {
    play(&setup(), |stage| {
        let mut policy = Policy::new("example.com");
        policy.algorithms = algorithms(&["MD5"]);
        policy.protection = Vec::new();
        let mut gate = Gate::new(policy, [4; 32]);
        gate.add_user("alice", "wonderland");
        registrar(stage, gate);
        register(stage);
        assert!(is_registered(stage, stage.alice));
        let said = said_to(stage, REGISTRAR);
        let shown = credentials_in(&said);
        assert!(shown.iter().all(|line| !line.contains("qop")), "{shown:?}");
        unregister(stage);
    });
}

/// With `auth-int` the body is protected, too (RFC 7616, 3.4.3).
#[test]
fn crd_01_a_challenge_of_auth_int_is_answered() {
    play(&setup(), |stage| {
        let mut policy = Policy::new("example.com");
        policy.protection = vec![Qop::AuthInt];
        let mut gate = Gate::new(policy, [4; 32]);
        gate.add_user("alice", "wonderland");
        registrar(stage, gate);
        register(stage);
        assert!(is_registered(stage, stage.alice));
        unregister(stage);
    });
}

/// RFC 7616, 5.8: a thief who has seen a REGISTER on the wire sends it again, with a Contact of his
/// own: the server's side ([`sip::auth::Challenger`]) calls it stale and changes nothing.
#[test]
fn rfc_7616_stolen_credentials_are_good_for_nothing() {
    play(&setup(), |stage| {
        let server = registrar(stage, gate(Asker::Server, &["SHA-256", "MD5"]));
        let thief = Peer::new(SocketAddr::new(ip(MALLORY), 5060));
        let thief = stage.world.add_host("thief", &[ip(MALLORY)], thief);
        register(stage);
        let said = said_to(stage, REGISTRAR);
        let seen = said.iter().rfind(|text| text.contains("Authorization:"));
        let seen = seen.unwrap().clone();
        let contacts = |stage: &mut Stage| {
            stage
                .world
                .command(server, "look", |proxy: &mut Proxy, now| {
                    proxy.registrar().unwrap().contacts(now, "alice")
                })
        };
        let before = contacts(stage);
        assert_eq!(before.len(), 1);
        let contact = seen.split("\r\n").find(|line| line.starts_with("Contact:"));
        // Word by word, with another Contact, and with the count of the next use, which the proof
        // does not cover as it stands there.
        let again = seen.replace("z9hG4bK", "z9hG4bKthief");
        let moved = again.replace(contact.unwrap(), "Contact: <sip:thief@10.0.0.66>");
        let counted = moved.replace("nc=00000001", "nc=00000002");
        for (n, (text, is_stale)) in [(again, true), (moved, true), (counted, false)]
            .into_iter()
            .enumerate()
        {
            let text = text.replace("z9hG4bKthief", &format!("z9hG4bKthief{n}"));
            stage.world.command(thief, "send", |peer: &mut Peer, _| {
                let to = SocketAddr::new(ip(REGISTRAR), 5060);
                peer.send(Transport::Udp, to, Bytes::from(text));
            });
            stage.world.run_for(Duration::from_millis(100));
            let answers = stage
                .world
                .command(thief, "look", |peer: &mut Peer, _| peer.take_received());
            assert_eq!(answers.len(), 1);
            let answer = String::from_utf8_lossy(&answers[0].bytes).into_owned();
            assert!(answer.starts_with("SIP/2.0 401"), "{answer}");
            assert_eq!(answer.contains("stale=true"), is_stale, "{answer}");
        }
        assert_eq!(contacts(stage), before);
        unregister(stage);
    });
}
