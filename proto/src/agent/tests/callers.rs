//! What an agent learns of who calls, writes or subscribes, what a refusal says, and what an anonymous
//! caller does not say.

use super::{World, config, origin, stream::ProbeFactory};
use crate::{
    agent::{
        Account, Config, Connect, ConnectError, Input, Message, Publish, SessionId, Subscribe,
        replay,
    },
    event::{
        Event, Hints, IncomingSubscriptionEvent, MessageEvent, Particulars, PublicationEvent,
        SessionEvent, SubscriptionEvent,
    },
    session::{SessionError, Warning},
    stream::StreamSpec,
};
use base::digest::Secret;
use bytes::BytesMut;
use sip::{
    HeaderName, Package,
    auth::{Credentials, Guard},
};
use std::time::Duration;

const NAMES: [&str; 3] = [
    "SIPSessionNewIncoming",
    "SIPIncomingSubscriptionGotSubscribe",
    "SIPEngineGotMessage",
];
const TICK: Duration = Duration::from_millis(100);

fn secret(text: &str) -> Secret {
    Secret::Password(text.to_owned())
}

fn alice() -> Config {
    let mut config = config(1);
    config.factories.push(Box::new(ProbeFactory));
    config.accounts.push(Account {
        uri: "sip:alice@example.com".parse().ok(),
        display_name: Some("Alice".to_owned()),
        credentials: vec![Credentials::new(
            "biloxi.com",
            "alice",
            secret("wonderland"),
        )],
        ..Account::default()
    });
    config
}

fn bob() -> Config {
    let mut config = config(2);
    config.factories.push(Box::new(ProbeFactory));
    config.packages.push(Package::new("presence", Vec::new()));
    config
}

impl World {
    fn of(configs: Vec<Config>) -> Self {
        let mut world = Self::new(configs);
        world.run(TICK);
        world
    }

    /// The first host calls, writes and subscribes to the second.
    fn reach(&mut self, headers: &[(&str, &str)]) {
        let own: Vec<_> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let to: sip::Uri = "sip:bob@10.0.0.2".parse().unwrap();
        let mut call = Connect::new(to.clone(), vec![StreamSpec::new("probe")]);
        call.headers.clone_from(&own);
        self.command(0, |agent, now| agent.connect(now, call))
            .unwrap();
        self.command(0, |agent, now| {
            agent.send_message(now, Message::new(to.clone(), "hi"))
        })
        .unwrap();
        let mut subscribe = Subscribe::new(to, "presence");
        subscribe.headers = own;
        self.command(0, |agent, now| agent.subscribe(now, subscribe))
            .unwrap();
        self.run(TICK);
    }

    /// What the second host was told of who sends calls, subscriptions and messages, in this order.
    fn particulars(&self) -> Vec<Particulars> {
        let events = self.hosts[1].events.iter();
        let told = events.filter_map(|event| match event {
            Event::Session(_, SessionEvent::NewIncoming { particulars, .. }) => {
                Some((event.name(), (**particulars).clone()))
            }
            Event::Message(_, MessageEvent::GotMessage(message)) => {
                Some((event.name(), (*message.particulars).clone()))
            }
            Event::IncomingSubscription(_, IncomingSubscriptionEvent::GotSubscribe(got)) => {
                Some((event.name(), (*got.particulars).clone()))
            }
            _ => None,
        });
        let mut told: Vec<_> = told.collect();
        let order = |name: &str| NAMES.iter().position(|known| *known == name);
        told.sort_by_key(|(name, _)| order(name));
        told.into_iter().map(|(_, told)| told).collect()
    }

    fn incoming_call(&self) -> SessionId {
        let mut events = self.hosts[1].events.iter();
        let incoming = events.find_map(|event| match event {
            Event::Session(id, SessionEvent::NewIncoming { .. }) => Some(*id),
            _ => None,
        });
        incoming.expect("a call")
    }

    /// What a host sent last with this method.
    fn last(&self, host: usize, method: &str) -> String {
        let mut sent = self.hosts[host].sent.iter().rev();
        let last = sent.find(|bytes| bytes.starts_with(method.as_bytes()));
        String::from_utf8_lossy(last.expect(method)).into_owned()
    }

    /// A server at 10.0.0.9 answers the last request of the first host.
    fn answer(&mut self, method: &str, lines: &str) {
        let request = self.last(0, method);
        let line = |name: &str| {
            let line = request.lines().find(|line| line.starts_with(name));
            line.unwrap().to_owned()
        };
        let answer = format!(
            "SIP/2.0 {lines}\r\n{}\r\n{}\r\n{};tag=theirs\r\n{}\r\n{}\r\nContent-Length: 0\r\n\r\n",
            line("Via:"),
            line("From:"),
            line("To:"),
            line("Call-ID:"),
            line("CSeq:"),
        );
        self.datagram(0, "10.0.0.9:5060", &answer);
    }

    fn datagram(&mut self, host: usize, from: &str, text: &str) {
        let input = Input::Datagram {
            link: self.udp(host),
            from: from.parse().unwrap(),
            to: None,
            payload: BytesMut::from(text.as_bytes()),
        };
        self.input(host, input);
        self.run(TICK);
    }

    fn replays(&self) {
        for host in &self.hosts {
            let report = replay(origin(), &host.record, vec![Box::new(ProbeFactory)]).unwrap();
            assert_eq!(report.difference, None);
        }
    }
}

/// Wire rules, "copied or honoured": what a caller says of itself is handed over, and proves nothing.
#[test]
fn ses_54_eng_43_sub_09_headers_of_callers_reach_the_application() {
    let mut world = World::of(vec![alice(), bob()]);
    world.reach(&[
        ("Alert-Info", "<http://example.com/ring.wav>"),
        ("Call-Info", "<http://example.com/card>;purpose=card"),
        ("P-Asserted-Identity", "<sip:mallory@example.com>"),
        ("X-Order", "4711"),
    ]);
    world.datagram(
        1,
        "10.0.0.9:5060",
        "MESSAGE sip:bob@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKx\r\n\
         From: <sip:carol@example.com>;tag=1\r\nTo: <sip:bob@10.0.0.2>\r\nCall-ID: x\r\n\
         CSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\nAuthorization: Digest username=\"carol\"\r\n\
         Privacy: id\r\nX-Order: 4712\r\nContent-Length: 0\r\n\r\n",
    );
    let told = world.particulars();
    let said = |index: usize, name: &str| {
        let value = told[index].headers.get(name);
        value.map(|value| String::from_utf8_lossy(value).into_owned())
    };
    assert_eq!(told.len(), 4);
    for call in [0, 1] {
        let ring = said(call, "Alert-Info");
        assert_eq!(ring.as_deref(), Some("<http://example.com/ring.wav>"));
        let card = said(call, "Call-Info");
        assert_eq!(
            card.as_deref(),
            Some("<http://example.com/card>;purpose=card")
        );
        assert_eq!(said(call, "X-Order").as_deref(), Some("4711"));
    }
    assert_eq!(said(3, "X-Order").as_deref(), Some("4712"));
    assert_eq!(said(3, "Privacy").as_deref(), Some("id"));
    for told in &told {
        assert_eq!((&told.caller, told.asserted.len()), (&None, 0));
        assert!(!told.headers.contains(HeaderName::Via));
        assert!(!told.headers.contains(HeaderName::Authorization));
    }
    let events = world.hosts[1].events.iter();
    for event in events.filter(|event| NAMES.contains(&event.name())) {
        let data = event.data();
        assert!(data["caller"].is_null(), "{data}");
        let headers = data["headers"].as_array().unwrap();
        assert!(!headers.is_empty(), "{data}");
    }
    world.replays();
}

/// RFC 3325, 5: the word of a hop that is trusted, and of no other.
#[test]
fn a_trusted_hop_says_who_calls() {
    for (trusted, expected) in [
        (vec![], None),
        (vec!["10.0.0.9".parse().unwrap()], None),
        (
            vec!["10.0.0.1".parse().unwrap()],
            Some("sip:carol@example.com"),
        ),
        (
            vec!["::ffff:10.0.0.1".parse().unwrap()],
            Some("sip:carol@example.com"),
        ),
    ] {
        let mut bob = bob();
        bob.trusted = trusted;
        let mut world = World::of(vec![alice(), bob]);
        world.reach(&[("P-Asserted-Identity", "\"Carol\" <sip:carol@example.com>")]);
        let told = world.particulars();
        let asserted = |index: usize| told[index].asserted.first();
        for index in [0, 1] {
            assert_eq!(asserted(index).map(|own| own.uri.as_str()), expected);
        }
        world.replays();
    }
}

/// RFC 3261, 21.4: what would be accepted, and when another try makes sense.
#[test]
fn eng_44_pub_05_sub_10_a_refusal_says_more_than_its_code() {
    let mut alice = alice();
    alice.accounts[0].outbound_proxy = "sip:10.0.0.9".parse().ok();
    let mut world = World::of(vec![alice]);
    let to: sip::Uri = "sip:bob@example.net".parse().unwrap();
    let refusal = "415 Unsupported Media Type\r\nAccept: text/html\r\nRetry-After: 77\r\n\
        Warning: 399 a \"not so\"";
    let is_told = |hints: &Option<Box<Hints>>| {
        let hints = hints.as_deref().expect("hints");
        assert_eq!(hints.accept, ["text/html"]);
        assert_eq!(hints.retry_after, Some(77));
        assert_eq!(hints.warnings, ["399 not so"]);
    };
    world
        .command(0, |agent, now| {
            agent.send_message(now, Message::new(to.clone(), "hi"))
        })
        .unwrap();
    world.run(TICK);
    world.answer("MESSAGE", refusal);
    let publish = Publish::new("presence", "application/pidf+xml", "<presence/>");
    world
        .command(0, |agent, now| agent.publish(now, publish))
        .unwrap();
    world.run(TICK);
    world.answer("PUBLISH", refusal);
    world
        .command(0, |agent, now| {
            agent.subscribe(now, Subscribe::new(to, "presence"))
        })
        .unwrap();
    world.run(TICK);
    world.answer("SUBSCRIBE", refusal);
    let mut told = Vec::new();
    for event in &world.hosts[0].events {
        match event {
            Event::Message(
                _,
                MessageEvent::GotResponse {
                    code: 415, hints, ..
                },
            )
            | Event::Publication(
                _,
                PublicationEvent::ChangedState {
                    code: Some(415),
                    hints,
                    ..
                },
            )
            | Event::Subscription(
                _,
                SubscriptionEvent::DidFail {
                    code: Some(415),
                    hints,
                    ..
                },
            ) => {
                is_told(hints);
                assert_eq!(event.data()["hints"]["retry_after"], 77);
                told.push(event.name());
            }
            _ => {}
        }
    }
    assert_eq!(
        told,
        [
            "SIPEngineGotMessageResponse",
            "SIPPublicationChangedState",
            "SIPSubscriptionDidFail"
        ]
    );
    world.replays();
}

/// RFC 3261, 22.2: who is let in is named, who is not is not even told; and the recording of the guard is
/// one that replays.
#[test]
fn an_agent_authenticates_its_callers() {
    for (password, callers) in [("wonderland", 3), ("guess", 0)] {
        let mut alice = alice();
        alice.accounts[0].credentials =
            vec![Credentials::new("biloxi.com", "alice", secret(password))];
        let mut world = World::new(vec![alice, bob()]);
        let guard = Guard::new(
            "biloxi.com",
            vec![("alice".to_owned(), secret("wonderland"))],
        );
        let shown = format!("{guard:?}");
        assert!(!shown.contains("wonderland"), "{shown}");
        world.command(1, |agent, now| agent.set_guard(now, Some(guard)));
        world.run(TICK);
        world.reach(&[]);
        let told = world.particulars();
        assert_eq!(told.len(), callers, "{password}");
        for told in told {
            assert_eq!(told.caller.as_deref(), Some("alice"));
        }
        world.command(1, |agent, now| agent.set_guard(now, None));
        world.hosts[1].events.clear();
        world.reach(&[]);
        assert!(world.particulars().iter().all(|told| told.caller.is_none()));
        assert_eq!(world.particulars().len(), 3);
        world.replays();
    }
}

/// RFC 3261, 21.4.26 and 21.6.4: which part of an offer cannot be taken.
#[test]
fn a_call_is_refused_with_a_warning() {
    for code in [488, 606] {
        let mut world = World::of(vec![alice(), bob()]);
        world.reach(&[]);
        let bob = world.incoming_call();
        for wrong in [
            Warning::new(299, "code"),
            Warning::new(400, "code"),
            Warning::new(399, "line\r\nX-Own: header"),
            Warning::new(399, "a".repeat(257)),
        ] {
            let refused = world.command(1, |agent, now| {
                agent.reject_for(now, bob, code, None, Some(wrong))
            });
            assert_eq!(refused, Err(SessionError::BadWarning));
        }
        let warning = Warning::new(370, "64 kbit/s are not there");
        world
            .command(1, |agent, now| {
                agent.reject_for(now, bob, code, None, Some(warning))
            })
            .unwrap();
        world.run(TICK);
        let failed = world.hosts[0].events.iter().find_map(|event| match event {
            Event::Session(_, SessionEvent::DidFail { code, hints, .. }) => {
                Some((*code, hints.as_ref()?.warnings.clone()))
            }
            _ => None,
        });
        let warnings = vec!["370 64 kbit/s are not there".to_owned()];
        assert_eq!(failed, Some((code, warnings)));
        world.run(Duration::from_secs(100));
        world.replays();
    }
}

/// RFC 3323, 4.1.1 and RFC 3325, 9.3: nothing names the account but its credentials, for its proxy.
#[test]
fn anonymous_calls_and_messages_of_an_account() {
    for is_trusted in [false, true] {
        let mut alice = alice();
        alice.accounts[0].outbound_proxy = "sip:10.0.0.9".parse().ok();
        if is_trusted {
            alice.trusted = vec!["10.0.0.9".parse().unwrap()];
        }
        let mut world = World::of(vec![alice]);
        let to: sip::Uri = "sip:bob@example.net".parse().unwrap();
        let mut call = Connect::new(to.clone(), vec![StreamSpec::new("probe")]);
        call.anonymous = true;
        world
            .command(0, |agent, now| agent.connect(now, call))
            .unwrap();
        let mut message = Message::new(to, "hi");
        message.anonymous = true;
        world
            .command(0, |agent, now| agent.send_message(now, message))
            .unwrap();
        world.run(TICK);
        for method in ["INVITE", "MESSAGE"] {
            let is_anonymous = |request: &str| {
                assert!(
                    request
                        .contains("\r\nFrom: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=")
                );
                assert!(request.contains("\r\nPrivacy: id\r\n"), "{request}");
                assert!(
                    request.contains("\r\nRoute: <sip:10.0.0.9;lr>\r\n"),
                    "{request}"
                );
                let preferred = "\r\nP-Preferred-Identity: \"Alice\" <sip:alice@example.com>\r\n";
                assert_eq!(request.contains(preferred), is_trusted, "{request}");
            };
            let request = world.last(0, method);
            is_anonymous(&request);
            let named = request.to_ascii_lowercase().matches("alice").count();
            assert_eq!(named, if is_trusted { 2 } else { 0 }, "{request}");
            world.answer(
                method,
                "407 Proxy Authentication Required\r\n\
                 Proxy-Authenticate: Digest realm=\"biloxi.com\", nonce=\"1\", qop=\"auth\"",
            );
            let again = world.last(0, method);
            is_anonymous(&again);
            assert!(again.contains("\r\nProxy-Authorization: Digest username=\"alice\""));
        }
        world.replays();
    }
}

/// RFC 3323, 4.2: an application that wants more than we ask for says so itself.
#[test]
fn the_privacy_of_an_application_takes_the_place_of_ours() {
    let mut world = World::of(vec![alice(), bob()]);
    let to: sip::Uri = "sip:bob@10.0.0.2".parse().unwrap();
    let mut call = Connect::new(to.clone(), vec![StreamSpec::new("probe")]);
    call.anonymous = true;
    call.headers = vec![("Privacy".to_owned(), "header;id;critical".to_owned())];
    world
        .command(0, |agent, now| agent.connect(now, call))
        .unwrap();
    world.run(TICK);
    let told = world.particulars();
    let privacy: Vec<_> = told[0].headers.get_all(HeaderName::Privacy).collect();
    assert_eq!(privacy, [b"header;id;critical"]);
    // Being anonymous opens no way around SES-13.
    let mut call = Connect::new(to, vec![StreamSpec::new("probe")]);
    call.anonymous = true;
    call.headers = vec![("From".to_owned(), "<sip:alice@example.com>".to_owned())];
    let refused = world.command(0, |agent, now| agent.connect(now, call));
    assert_eq!(refused, Err(ConnectError::Header("From".to_owned())));
}
