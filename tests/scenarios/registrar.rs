//! The registrar and the proxy's gate by themselves, between peers whose messages are written by hand
//! from RFC 3261, 3327, 3608, 5626, 5627 and 7616.

use base::{Transport, digest::HashFunction};
use bytes::Bytes;
use simulator::{
    HostId, World,
    server::{Gate, Peer, Proxy, Quirk, Registrar, Rules},
};
use sip::{
    HeaderName, Message, Response,
    auth::{Asker, Policy},
};
use std::{net::IpAddr, time::Duration};

const REGISTRAR: &str = "10.0.0.9:5060";

struct Stage {
    world: World,
    alice: HostId,
    bob: HostId,
    registrar: HostId,
}

fn ip(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

fn stage(registrar: Registrar) -> Stage {
    let mut world = World::new(1);
    let alice = world.add_host(
        "alice",
        &[ip(1)],
        Peer::new("10.0.0.1:5060".parse().unwrap()),
    );
    let bob = world.add_host("bob", &[ip(2)], Peer::new("10.0.0.2:5060".parse().unwrap()));
    let mut proxy = Proxy::new(REGISTRAR.parse().unwrap());
    proxy.add_name("example.com", ip(9));
    proxy.set_registrar(registrar);
    let registrar = world.add_host("registrar", &[ip(9)], proxy);
    world.run_for(Duration::from_millis(1));
    Stage {
        world,
        alice,
        bob,
        registrar,
    }
}

fn gate(asker: Asker) -> Gate {
    let mut policy = Policy::new("example.com");
    policy.asker = asker;
    let mut gate = Gate::new(policy, [4; 32]);
    gate.add_user("bob", "zanzibar");
    gate.add_user("alice", "wonderland");
    gate
}

fn guarded() -> Registrar {
    let mut registrar = Registrar::new(Rules::default());
    registrar.set_gate(gate(Asker::Server));
    registrar
}

/// A REGISTER of bob from 10.0.0.2; `further` are whole lines.
fn register(number: u32, further: &str) -> String {
    let text = format!(
        "REGISTER sip:example.com SIP/2.0\n\
         Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKr{number}\n\
         Max-Forwards: 70\n\
         From: <sip:bob@example.com>;tag=1\n\
         To: <sip:bob@example.com>\n\
         Call-ID: r@bob\n\
         CSeq: {number} REGISTER\n\
         {further}Content-Length: 0\n\n"
    );
    text.replace('\n', "\r\n")
}

/// Credentials by hand (RFC 7616, 3.4.1).
fn credentials(
    header: &str,
    method: &str,
    uri: &str,
    user: &str,
    password: &str,
    nonce: &str,
) -> String {
    let sha = |text: String| HashFunction::Sha256.hex(&[text.as_bytes()]);
    let ha1 = sha(format!("{user}:example.com:{password}"));
    let ha2 = sha(format!("{method}:{uri}"));
    let proof = sha(format!("{ha1}:{nonce}:00000001:abc:auth:{ha2}"));
    format!(
        "{header}: Digest username=\"{user}\", realm=\"example.com\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{proof}\", algorithm=SHA-256, cnonce=\"abc\", qop=auth, nc=00000001\n"
    )
}

fn values(response: &Response, name: HeaderName) -> Vec<String> {
    response
        .headers
        .values(name)
        .map(|value| String::from_utf8(value.to_vec()).unwrap())
        .collect()
}

fn nonce(response: &Response, name: HeaderName) -> String {
    let value = String::from_utf8(response.headers.get(name).unwrap().to_vec()).unwrap();
    let (_, rest) = value.split_once("nonce=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

impl Stage {
    fn send(&mut self, from: HostId, text: &str) -> Vec<Message> {
        let text = Bytes::from(text.to_owned());
        let to = REGISTRAR.parse().unwrap();
        self.world.command(from, "send", |peer: &mut Peer, _| {
            peer.send(Transport::Udp, to, text);
        });
        self.world.run_for(Duration::from_millis(100));
        self.got(from)
    }

    fn got(&mut self, host: HostId) -> Vec<Message> {
        let received = self
            .world
            .command(host, "look", |peer: &mut Peer, _| peer.take_received());
        let parse = |received: simulator::server::Received| Message::parse(received.bytes).unwrap();
        received.into_iter().map(parse).collect()
    }

    /// The only answer to a REGISTER.
    fn register(&mut self, number: u32, further: &str) -> Response {
        let bob = self.bob;
        let mut answers = self.send(bob, &register(number, further));
        assert_eq!(answers.len(), 1, "{answers:?}");
        match answers.remove(0) {
            Message::Response(response) => response,
            Message::Request(request) => panic!("{request:?}"),
        }
    }

    fn proxy<R>(&mut self, act: impl FnOnce(&mut Proxy, std::time::Instant) -> R) -> R {
        let host = self.registrar;
        self.world.command(host, "act", act)
    }

    fn contacts(&mut self) -> Vec<String> {
        self.proxy(|proxy, now| {
            let registrar = proxy.registrar().unwrap();
            let contacts = registrar.contacts(now, "bob");
            contacts.iter().map(|uri| uri.as_str().to_owned()).collect()
        })
    }
}

/// RFC 3261, 10.3: bindings come, change, and go.
#[test]
fn bindings_are_kept_refreshed_and_removed() {
    let mut stage = stage(Registrar::new(Rules::default()));
    let response = stage.register(1, "Contact: <sip:bob@10.0.0.2>;q=0.5\nExpires: 600\n");
    assert_eq!(response.status.code(), 200);
    assert_eq!(
        values(&response, HeaderName::Contact),
        ["<sip:bob@10.0.0.2>;q=0.5;expires=600"]
    );
    stage.world.run_for(Duration::from_secs(100));
    let response = stage.register(2, "Contact: <sip:bob@10.0.0.7>;expires=90\n");
    assert_eq!(
        values(&response, HeaderName::Contact),
        [
            "<sip:bob@10.0.0.2>;q=0.5;expires=500",
            "<sip:bob@10.0.0.7>;expires=90"
        ]
    );
    // A query changes nothing, and time takes the second away.
    stage.world.run_for(Duration::from_secs(100));
    let response = stage.register(3, "");
    assert_eq!(values(&response, HeaderName::Contact).len(), 1);
    // What comes out of order is refused.
    let late = "Contact: <sip:bob@10.0.0.2>;expires=600\n";
    let response = stage.register(1, late).status.code();
    assert_eq!(response, 500);
    let response = stage.register(4, "Contact: <sip:BOB@10.0.0.2>\nExpires: 0\n");
    assert_eq!(
        values(&response, HeaderName::Contact).len(),
        1,
        "users are told apart by case"
    );
    let response = stage.register(5, "Contact: <sip:bob@10.0.0.2>;expires=0\n");
    assert_eq!(values(&response, HeaderName::Contact).len(), 0);
}

#[test]
fn all_bindings_are_removed_by_a_star() {
    let mut stage = stage(Registrar::new(Rules::default()));
    stage.register(1, "Contact: <sip:bob@10.0.0.2>, <sip:bob@10.0.0.3>\n");
    assert_eq!(stage.contacts().len(), 2);
    assert_eq!(stage.register(2, "Contact: *\n").status.code(), 400);
    assert_eq!(
        stage
            .register(3, "Contact: *\nContact: <sip:a@b>\nExpires: 0\n")
            .status
            .code(),
        400
    );
    assert_eq!(stage.contacts().len(), 2, "all or nothing");
    assert_eq!(
        stage.register(4, "Contact: *\nExpires: 0\n").status.code(),
        200
    );
    assert_eq!(stage.contacts().len(), 0);
}

/// RFC 3261, 10.3, item 7; 8.2.2.3.
#[test]
fn what_is_too_short_or_unknown_is_refused() {
    let mut stage = stage(Registrar::new(Rules::default()));
    let response = stage.register(1, "Contact: <sip:bob@10.0.0.2>;expires=59\n");
    assert_eq!(response.status.code(), 423);
    assert_eq!(values(&response, HeaderName::MinExpires), ["60"]);
    let response = stage.register(2, "Require: path, flying\nContact: <sip:bob@10.0.0.2>\n");
    assert_eq!(response.status.code(), 420);
    assert_eq!(values(&response, HeaderName::Unsupported), ["flying"]);
    let response = stage.register(3, "Contact: <sip:bob@10.0.0.2>;expires=99999\n");
    assert!(values(&response, HeaderName::Contact)[0].ends_with("expires=7200"));
}

/// RFC 3327, 3608, 5626, 5627.
#[test]
fn path_service_route_outbound_and_gruu() {
    let mut rules = Rules::default();
    rules.service_route = vec!["<sip:10.0.0.9;lr>".to_owned()];
    rules.flow_timer = Some(25);
    let mut stage = stage(Registrar::new(rules));
    let instance = "+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\"";
    let further = format!(
        "Supported: path, gruu, outbound\nPath: <sip:10.0.0.8;lr;ob>\n\
         Contact: <sip:bob@10.0.0.2>;{instance};reg-id=1\n"
    );
    let response = stage.register(1, &further);
    assert_eq!(
        values(&response, HeaderName::Path),
        ["<sip:10.0.0.8;lr;ob>"]
    );
    assert_eq!(
        values(&response, HeaderName::ServiceRoute),
        ["<sip:10.0.0.9;lr>"]
    );
    assert_eq!(values(&response, HeaderName::Require), ["outbound"]);
    assert_eq!(response.headers.get("Flow-Timer"), Some(&b"25"[..]));
    let contact = values(&response, HeaderName::Contact).remove(0);
    let gruu = "pub-gruu=\"sip:bob@example.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"";
    assert!(
        contact.contains(gruu) && contact.contains("temp-gruu="),
        "{contact}"
    );
    // The same flow from another address replaces the first.
    let moved = further.replace("10.0.0.2", "10.0.0.3");
    stage.register(2, &moved);
    assert_eq!(stage.contacts(), ["sip:bob@10.0.0.3"]);
    // Another flow of the same instance stands beside it.
    stage.register(3, &further.replace("reg-id=1", "reg-id=2"));
    assert_eq!(stage.contacts().len(), 2);
}

/// RFC 3261, 22.2 and 10.3, items 3 and 4.
#[test]
fn only_the_owner_registers() {
    let mut stage = stage(guarded());
    let contact = "Contact: <sip:bob@10.0.0.2>\n";
    let response = stage.register(1, contact);
    assert_eq!(response.status.code(), 401);
    let first = nonce(&response, HeaderName::WwwAuthenticate);
    let show = |user, password, nonce: &str| {
        let shown = credentials(
            "Authorization",
            "REGISTER",
            "sip:example.com",
            user,
            password,
            nonce,
        );
        format!("{shown}{contact}")
    };
    assert_eq!(
        stage
            .register(2, &show("bob", "guess", &first))
            .status
            .code(),
        401
    );
    assert_eq!(
        stage
            .register(3, &show("alice", "wonderland", &first))
            .status
            .code(),
        403
    );
    assert_eq!(stage.contacts().len(), 0);
    let second = nonce(&stage.register(4, contact), HeaderName::WwwAuthenticate);
    assert_ne!(first, second);
    let response = stage.register(5, &show("bob", "zanzibar", &second));
    assert_eq!(response.status.code(), 200);
    assert!(response.headers.contains(HeaderName::AuthenticationInfo));
    // A replay gets nowhere, nor does an old nonce after a restart; both are stale.
    for restart in [false, true] {
        if restart {
            stage.proxy(|proxy, _| proxy.restart());
        }
        let response = stage.register(6 + u32::from(restart), &show("bob", "zanzibar", &second));
        assert_eq!(response.status.code(), 401);
        assert!(
            values(&response, HeaderName::WwwAuthenticate)
                .join("")
                .contains("stale=true")
        );
    }
    assert_eq!(stage.contacts().len(), 0, "a restart loses bindings");
}

/// A retransmission gets the same answer, and is not a replay (RFC 3261, 17.2.2).
#[test]
fn a_repeated_register_is_answered_from_state() {
    let mut stage = stage(guarded());
    let bob = stage.bob;
    let contact = "Contact: <sip:bob@10.0.0.2>\n";
    let nonce = nonce(&stage.register(1, contact), HeaderName::WwwAuthenticate);
    let shown = credentials(
        "Authorization",
        "REGISTER",
        "sip:example.com",
        "bob",
        "zanzibar",
        &nonce,
    );
    let text = register(2, &format!("{shown}{contact}"));
    for _ in 0..2 {
        let answers = stage.send(bob, &text);
        assert!(
            matches!(&answers[..], [Message::Response(r)] if r.status.code() == 200),
            "{answers:?}"
        );
    }
}

/// RFC 3261, 16.5, 22.3; RFC 5626, 5.3.
#[test]
fn calls_go_to_who_has_registered_from_who_may_call() {
    let mut registrar = guarded();
    registrar.rules().one_binding = true;
    let mut stage = stage(registrar);
    stage.proxy(|proxy, _| proxy.set_gate(gate(Asker::Proxy)));
    let (alice, bob) = (stage.alice, stage.bob);
    let invite = |to: &str, number: u32, further: &str| {
        format!(
            "INVITE sip:{to}@example.com SIP/2.0\n\
             Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKi{number}\n\
             Max-Forwards: 70\n\
             From: <sip:alice@example.com>;tag=a\n\
             To: <sip:{to}@example.com>\n\
             Call-ID: i@alice\n\
             CSeq: {number} INVITE\n\
             Contact: <sip:alice@10.0.0.1>\n\
             {further}Content-Length: 0\n\n"
        )
        .replace('\n', "\r\n")
    };
    let ask = |stage: &mut Stage, to: &str, number: u32, user: &str, password: &str| {
        let answers = stage.send(alice, &invite(to, number, ""));
        let Some(Message::Response(response)) = answers.last() else {
            panic!("{answers:?}");
        };
        assert_eq!(response.status.code(), 407);
        let nonce = nonce(response, HeaderName::ProxyAuthenticate);
        let uri = format!("sip:{to}@example.com");
        let shown = credentials(
            "Proxy-Authorization",
            "INVITE",
            &uri,
            user,
            password,
            &nonce,
        );
        let other = "Proxy-Authorization: Digest username=\"x\", realm=\"elsewhere\", nonce=\"n\", uri=\"sip:y\", response=\"0\"\n";
        let answers = stage.send(alice, &invite(to, number + 1, &format!("{shown}{other}")));
        // Nobody acknowledges here: earlier refusals are repeated.
        let codes = answers.iter().filter_map(|answer| match answer {
            Message::Response(response) => {
                let is_new = response.headers.cseq().unwrap().number == number + 1;
                is_new.then(|| response.status.code())
            }
            Message::Request(_) => None,
        });
        codes.collect::<Vec<u16>>()
    };
    assert_eq!(ask(&mut stage, "bob", 1, "alice", "guess"), [100, 407]);
    assert_eq!(
        ask(&mut stage, "bob", 3, "bob", "zanzibar"),
        [100, 403],
        "not who From says"
    );
    assert_eq!(
        ask(&mut stage, "bob", 5, "alice", "wonderland"),
        [100, 480],
        "not registered"
    );
    assert_eq!(
        ask(&mut stage, "carol", 7, "alice", "wonderland"),
        [100, 404]
    );
    let contact = "Contact: <sip:bob@10.0.0.2:9999>\n";
    let first = nonce(&stage.register(1, contact), HeaderName::WwwAuthenticate);
    let shown = credentials(
        "Authorization",
        "REGISTER",
        "sip:example.com",
        "bob",
        "zanzibar",
        &first,
    );
    assert_eq!(
        stage
            .register(2, &format!("{shown}{contact}"))
            .status
            .code(),
        200
    );
    assert_eq!(ask(&mut stage, "bob", 9, "alice", "wonderland"), [100]);
    let reached = stage.got(bob);
    let [Message::Request(request), ..] = &reached[..] else {
        panic!("{reached:?}");
    };
    // The way back is the one that the REGISTER came, whatever its Contact says.
    assert_eq!(request.uri.as_str(), "sip:bob@10.0.0.2:9999");
    let shown: Vec<&[u8]> = request
        .headers
        .get_all(HeaderName::ProxyAuthorization)
        .collect();
    assert_eq!(shown.len(), 1, "our own credentials stop here");
    assert!(shown[0].windows(9).any(|part| part == b"elsewhere"));
}

#[test]
fn it_misbehaves_when_told_to() {
    let mut stage = stage(Registrar::new(Rules::default()));
    let bob = stage.bob;
    let quirk = |stage: &mut Stage, number: u32, quirk: Quirk| {
        stage.proxy(|proxy, _| proxy.registrar().unwrap().set_quirk(Some(quirk)));
        stage.send(bob, &register(number, "Contact: <sip:bob@10.0.0.2>\n"))
    };
    assert_eq!(quirk(&mut stage, 1, Quirk::Silent), []);
    let answer = |stage: &mut Stage, number, wanted| match quirk(stage, number, wanted).remove(0) {
        Message::Response(response) => response,
        Message::Request(request) => panic!("{request:?}"),
    };
    let busy = sip::Status::SERVICE_UNAVAILABLE;
    assert_eq!(answer(&mut stage, 2, Quirk::Answers(busy)).status, busy);
    let without = answer(&mut stage, 3, Quirk::WithoutBinding);
    assert_eq!(values(&without, HeaderName::Contact), [""; 0]);
    let zero = answer(&mut stage, 4, Quirk::ZeroExpires);
    assert_eq!(
        values(&zero, HeaderName::Contact),
        ["<sip:bob@10.0.0.2>;expires=0"]
    );
    let short = answer(&mut stage, 5, Quirk::Grants(7));
    assert_eq!(
        values(&short, HeaderName::Contact),
        ["<sip:bob@10.0.0.2>;expires=7"]
    );
    let foreign = answer(&mut stage, 6, Quirk::Foreign("sip:x@y".parse().unwrap()));
    assert_eq!(
        values(&foreign, HeaderName::Contact)[0],
        "<sip:x@y>;expires=3600"
    );
}
