//! An agent that wants to know who calls, writes and subscribes (RFC 3261, 22.2): with and without a proxy
//! between, through loss, over UDP and TCP.

use crate::{
    call::{label, probe, wait},
    names::ip,
    runs::Matrix,
};
use base::{Transport, digest::Secret};
use bytes::Bytes;
use simulator::{Action, HostId, Stage, server::Peer};
use sip::{
    Package,
    auth::{Credentials, Guard},
};
use sipsimple::{
    agent::{Config, Connect, Message, Subscribe},
    event::{
        Event, IncomingSubscriptionEvent, MessageEvent, Particulars, SessionEvent,
        SubscriptionEvent,
    },
};
use std::{net::SocketAddr, time::Duration};

const REALM: &str = "callee.example";
const THIEF: u8 = 66;

/// Alice has the right password, the callee's neighbour guesses, and bob hears who is subscribed to him.
fn configure(name: &str, config: &mut Config) {
    let password = match name {
        "alice" => "wonderland",
        _ => "guess",
    };
    let secret = Secret::Password(password.to_owned());
    config.accounts[0].credentials = vec![Credentials::new(REALM, "alice", secret)];
    if name == "bob" {
        config.packages.push(Package::new("presence", Vec::new()));
    }
}

/// What bob was told of who calls, writes and subscribes.
fn told(stage: &Stage) -> Vec<Particulars> {
    let told = &stage.world.host(stage.bob()).inbox().notifications;
    told.iter()
        .filter_map(|told| match &told.event {
            Event::Session(_, SessionEvent::NewIncoming { particulars, .. }) => {
                Some((**particulars).clone())
            }
            Event::Message(_, MessageEvent::GotMessage(message)) => {
                Some((*message.particulars).clone())
            }
            Event::IncomingSubscription(_, IncomingSubscriptionEvent::GotSubscribe(got)) => {
                Some((*got.particulars).clone())
            }
            _ => None,
        })
        .collect()
}

/// Calls, writes and subscribes: how the call stands, and the codes of the others.
fn reach(stage: &mut Stage, host: HostId) -> String {
    let bob = stage.phone_uri(0);
    let connect = Connect::new(bob.clone(), probe());
    let call = stage.agent(host, "connect", |agent, now| {
        agent.connect(now, connect).unwrap()
    });
    wait(stage, host, call, Duration::from_secs(70));
    let state = label(stage, host, call);
    stage.agent(host, "end", |agent, now| {
        let _ = agent.end(now, call);
    });
    let message = Message::new(bob.clone(), "hi");
    stage.agent(host, "write", |agent, now| {
        agent.send_message(now, message).unwrap()
    });
    // Once, so that nobody tries it again.
    let mut subscribe = Subscribe::new(bob, "presence");
    subscribe.expires = Duration::ZERO;
    stage.agent(host, "subscribe", |agent, now| {
        agent.subscribe(now, subscribe).unwrap()
    });
    stage.world.run_for(Duration::from_secs(70));
    let events = &stage.world.host(host).inbox().notifications;
    let mut written = None;
    let mut refused = None;
    for told in events {
        match &told.event {
            Event::Message(_, MessageEvent::GotResponse { code, .. }) => written = Some(*code),
            Event::Subscription(
                _,
                SubscriptionEvent::DidFail {
                    code,
                    is_authentication: true,
                    ..
                },
            ) => refused = *code,
            _ => {}
        }
    }
    let written = written.expect("a result");
    let subscribed = refused.map_or_else(|| "subscribed".to_owned(), |code| code.to_string());
    format!("{state} {written} {subscribed}")
}

/// What alice has shown for her message, as it stood on the wire.
fn seen(stage: &Stage) -> Option<String> {
    let mut steps = stage.world.trace().steps().iter().rev();
    steps.find_map(|step| {
        let (Action::Send { payload, .. } | Action::Write { payload, .. }) = &step.action else {
            return None;
        };
        let text = String::from_utf8_lossy(payload);
        let is_it = step.host == stage.alice
            && text.starts_with("MESSAGE")
            && text.contains("\r\nAuthorization:");
        is_it.then(|| text.into_owned())
    })
}

/// Somebody who stood on the way says the same again, to bob and by way of the proxy.
fn steal(stage: &mut Stage, seen: &str) -> Vec<String> {
    let thief = Peer::new(SocketAddr::new(ip(THIEF), 5060));
    let thief = stage.world.add_host("thief", &[ip(THIEF)], thief);
    let way = match stage.proxy {
        Some(_) => vec![2, 254],
        None => vec![2],
    };
    for (n, last) in way.into_iter().enumerate() {
        let text = seen
            .replace("z9hG4bK", &format!("z9hG4bKthief{n}"))
            .replace("Call-ID: ", &format!("Call-ID: thief{n}"))
            .replace("SIP/2.0/TCP", "SIP/2.0/UDP");
        stage.world.command(thief, "send", |peer: &mut Peer, _| {
            let to = SocketAddr::new(ip(last), 5060);
            peer.send(Transport::Udp, to, Bytes::from(text));
        });
        stage.world.run_for(Duration::from_secs(40));
    }
    let answers = stage
        .world
        .command(thief, "look", |peer: &mut Peer, _| peer.take_received());
    answers
        .iter()
        .map(|answer| String::from_utf8_lossy(&answer.bytes).into_owned())
        .collect()
}

/// The right password is let in and named, a wrong one is not even told, and what was right once is no good
/// to anybody else (RFC 7616, 5.8).
#[test]
fn rfc_3261_22_2_an_agent_authenticates_its_callers() {
    let matrix = Matrix {
        phones: 2,
        apart: true,
        configure,
        ..Matrix::new("guard")
    };
    matrix.run("connected 200 subscribed, 401 401 401", |stage| {
        let users = vec![(
            "alice".to_owned(),
            Secret::Password("wonderland".to_owned()),
        )];
        let (bob, neighbour) = (stage.bob(), stage.phones[1]);
        stage.agent(bob, "guard", |agent, now| {
            agent.set_guard(now, Some(Guard::new(REALM, users)));
        });
        stage.answer(bob, Duration::from_millis(100), Duration::from_secs(1));
        let right = reach(stage, stage.alice);
        let known = told(stage);
        let is_alice = |told: &Particulars| told.caller.as_deref() == Some("alice");
        assert!(known.iter().all(is_alice), "{known:?}");
        let is_ideal = stage.setup().loss() == 0.0;
        if is_ideal {
            assert_eq!(known.len(), 3);
        }
        let wrong = reach(stage, neighbour);
        if let Some(seen) = seen(stage) {
            let answers = steal(stage, &seen);
            if is_ideal {
                assert!(!answers.is_empty());
            }
            for answer in answers {
                let first = answer.lines().next().unwrap();
                let is_hold = first.starts_with("SIP/2.0 1");
                assert!(is_hold || first.starts_with("SIP/2.0 401"), "{answer}");
                assert!(is_hold || answer.contains("stale=true"), "{answer}");
            }
        }
        assert_eq!(told(stage), known, "of others nothing is told");
        format!("{right}, {wrong}")
    });
}
