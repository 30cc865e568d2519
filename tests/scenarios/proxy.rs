//! The proxy by itself, between peers whose messages are written by hand from RFC 3261.

use base::Transport;
use bytes::Bytes;
use simulator::{
    HostId, World,
    server::{Peer, Proxy, RecordRoute},
};
use sip::{HeaderName, Message, Method, Request, Response, Status, Uri};
use std::{net::IpAddr, time::Duration};

const ALICE: &str = "10.0.0.1:5060";
const PROXY: &str = "10.0.0.9:5060";

struct Stage {
    world: World,
    alice: HostId,
    proxy: HostId,
    phones: Vec<HostId>,
}

fn ip(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

/// Alice, the proxy, and as many phones of Bob as there are contacts: `10.0.0.2`, `10.0.0.3` …
fn stage(contacts: &[&str]) -> Stage {
    let mut world = World::new(1);
    let alice = world.add_host("alice", &[ip(1)], Peer::new(ALICE.parse().unwrap()));
    let mut proxy = Proxy::new(PROXY.parse().unwrap());
    let uris: Vec<Uri> = contacts.iter().map(|uri| uri.parse().unwrap()).collect();
    proxy.bind("bob", &uris);
    let proxy = world.add_host("proxy", &[ip(9)], proxy);
    let phones = (2..2 + contacts.len() as u8)
        .map(|n| {
            let address = format!("10.0.0.{n}:5060").parse().unwrap();
            world.add_host(&format!("bob{n}"), &[ip(n)], Peer::new(address))
        })
        .collect();
    world.run_for(Duration::from_millis(1));
    Stage {
        world,
        alice,
        proxy,
        phones,
    }
}

fn invite(transport: &str) -> String {
    format!(
        "INVITE sip:bob@10.0.0.9 SIP/2.0\r\n\
         Via: SIP/2.0/{transport} 10.0.0.1:5060;branch=z9hG4bKalice1;rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:alice@example.com>;tag=a1\r\n\
         To: <sip:bob@10.0.0.9>\r\n\
         Call-ID: call1@alice\r\n\
         CSeq: 1 INVITE\r\n\
         Contact: <sip:alice@10.0.0.1:5060;transport={transport}>\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

impl Stage {
    fn send(&mut self, transport: Transport, text: &str) {
        let text = Bytes::from(text.to_owned());
        let to = PROXY.parse().unwrap();
        self.world
            .command(self.alice, "send", |peer: &mut Peer, _| {
                peer.send(transport, to, text);
            });
        self.world.run_for(Duration::from_millis(100));
    }

    /// What a peer got, in order.
    fn got(&mut self, host: HostId) -> Vec<Message> {
        self.world
            .command(host, "look", |peer: &mut Peer, _| peer.take_received())
            .into_iter()
            .map(|received| Message::parse(received.bytes).unwrap())
            .collect()
    }

    fn answer(&mut self, phone: usize, request: &Request, status: u16) {
        let status = Status::new(status).unwrap();
        let mut response = Response::to_request(request, status, Some(&format!("b{phone}")));
        response
            .headers
            .copy_from(&request.headers, HeaderName::RecordRoute);
        let transport = request.headers.via().unwrap().known_transport().unwrap();
        let to = PROXY.parse().unwrap();
        let host = self.phones[phone];
        self.world.command(host, "answer", |peer: &mut Peer, _| {
            peer.send(transport, to, response.to_bytes());
        });
        self.world.run_for(Duration::from_millis(100));
    }

    fn request_at(&mut self, phone: usize) -> Request {
        let host = self.phones[phone];
        let requests = requests(&self.got(host));
        requests.first().expect("a request").clone()
    }

    fn statuses(&mut self) -> Vec<u16> {
        let alice = self.alice;
        statuses(&self.got(alice))
    }
}

fn requests(messages: &[Message]) -> Vec<Request> {
    let request = |message: &Message| match message {
        Message::Request(request) => Some(request.clone()),
        Message::Response(_) => None,
    };
    messages.iter().filter_map(request).collect()
}

fn statuses(messages: &[Message]) -> Vec<u16> {
    let status = |message: &Message| match message {
        Message::Response(response) => Some(response.status.code()),
        Message::Request(_) => None,
    };
    messages.iter().filter_map(status).collect()
}

fn methods(messages: &[Message]) -> Vec<String> {
    requests(messages)
        .iter()
        .map(|r| r.method.as_str().to_owned())
        .collect()
}

fn values(request: &Request, name: HeaderName) -> Vec<String> {
    request
        .headers
        .values(name)
        .map(|value| String::from_utf8(value.to_vec()).unwrap())
        .collect()
}

#[test]
fn a_request_is_forwarded_with_via_and_record_route() {
    let mut stage = stage(&["sip:bob@10.0.0.2"]);
    stage.send(Transport::Udp, &invite("UDP"));
    assert_eq!(stage.statuses(), [100]);
    let request = stage.request_at(0);
    assert_eq!(request.uri.as_str(), "sip:bob@10.0.0.2");
    assert_eq!(request.headers.max_forwards(), Ok(Some(69)));
    let vias = values(&request, HeaderName::Via);
    assert!(vias[0].starts_with("SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK"));
    assert_eq!(
        vias[1],
        "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKalice1;received=10.0.0.1;rport=5060"
    );
    let routes = values(&request, HeaderName::RecordRoute);
    assert_eq!(routes, ["<sip:10.0.0.9:5060;transport=udp;lr>"]);
    stage.answer(0, &request, 180);
    stage.answer(0, &request, 200);
    // RFC 6026: every 2xx that comes again goes up again.
    stage.answer(0, &request, 200);
    let alice = stage.alice;
    let responses = stage.got(alice);
    assert_eq!(statuses(&responses), [180, 200, 200]);
    assert_eq!(responses[1].headers().get_all(HeaderName::Via).count(), 1);
}

#[test]
fn a_change_of_transport_is_recorded_twice() {
    let mut stage = stage(&["sip:bob@10.0.0.2;transport=tcp"]);
    stage.send(Transport::Udp, &invite("UDP"));
    let request = stage.request_at(0);
    let routes = values(&request, HeaderName::RecordRoute);
    // RFC 5658, 3.1: the side of the callee stands first.
    assert_eq!(
        routes,
        [
            "<sip:10.0.0.9:5060;transport=tcp;lr;r2=on>",
            "<sip:10.0.0.9:5060;transport=udp;lr;r2=on>"
        ]
    );
    stage.answer(0, &request, 200);
    assert_eq!(stage.statuses(), [100, 200]);
    stage.send(
        Transport::Udp,
        "BYE sip:bob@10.0.0.2;transport=tcp SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKalice2\r\n\
         Route: <sip:10.0.0.9:5060;transport=udp;lr;r2=on>, <sip:10.0.0.9:5060;transport=tcp;lr;r2=on>\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:alice@example.com>;tag=a1\r\n\
         To: <sip:bob@10.0.0.9>;tag=b0\r\n\
         Call-ID: call1@alice\r\n\
         CSeq: 2 BYE\r\n\
         Content-Length: 0\r\n\r\n",
    );
    let bye = stage.request_at(0);
    assert_eq!(bye.method, Method::Bye);
    assert_eq!(values(&bye, HeaderName::Route), [""; 0]);
    assert!(values(&bye, HeaderName::Via)[0].starts_with("SIP/2.0/TCP"));
}

#[test]
fn requests_come_again_until_they_are_answered_and_are_absorbed_upstream() {
    let mut stage = stage(&["sip:bob@10.0.0.2"]);
    stage.send(Transport::Udp, &invite("UDP"));
    stage.send(Transport::Udp, &invite("UDP"));
    assert_eq!(stage.statuses(), [100, 100]);
    stage.world.run_for(Duration::from_secs(40));
    let phone = stage.phones[0];
    // Timer A: 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 s; then Timer B.
    assert_eq!(stage.got(phone).len(), 7);
    assert_eq!(stage.statuses()[0], 408);
    stage.world.run_for(Duration::from_secs(100));
    let proxy = stage.world.node::<Proxy>(stage.proxy);
    assert_eq!(proxy.stats().contexts, 0);
}

#[test]
fn forks_give_one_success_and_cancel_the_others() {
    let mut stage = stage(&["sip:bob@10.0.0.2", "sip:bob@10.0.0.3;transport=tcp"]);
    stage.send(Transport::Udp, &invite("UDP"));
    let (first, second) = (stage.request_at(0), stage.request_at(1));
    let branch = |request: &Request| request.headers.via().unwrap().branch().map(str::to_owned);
    assert_ne!(branch(&first), branch(&second));
    stage.answer(0, &first, 180);
    stage.answer(1, &second, 180);
    stage.answer(0, &first, 200);
    let other = stage.phones[1];
    let cancels = stage.got(other);
    assert_eq!(methods(&cancels), ["CANCEL"]);
    assert_eq!(cancels[0].headers().get_all(HeaderName::Via).count(), 1);
    stage.answer(1, &second, 487);
    assert_eq!(methods(&stage.got(other)), ["ACK"]);
    // A second 2xx, sent before the CANCEL came: up it goes (RFC 3261, 16.7, item 5).
    stage.answer(1, &second, 200);
    assert_eq!(stage.statuses(), [100, 180, 180, 200, 200]);
}

#[test]
fn the_best_failure_goes_up_when_all_have_failed() {
    for (answers, best) in [
        ([503, 404], 404),
        ([503, 503], 500),
        ([486, 603], 603),
        ([408, 407], 407),
    ] {
        let mut stage = stage(&["sip:bob@10.0.0.2", "sip:bob@10.0.0.3"]);
        stage.send(Transport::Udp, &invite("UDP"));
        let requests = [stage.request_at(0), stage.request_at(1)];
        stage.answer(0, &requests[0], answers[0]);
        assert_eq!(stage.statuses(), [100]);
        stage.answer(1, &requests[1], answers[1]);
        stage.world.run_for(Duration::from_secs(2));
        // Timer G: 0.1, 0.6, 1.6 s.
        assert_eq!(stage.statuses(), [best, best, best], "{answers:?}");
    }
}

#[test]
fn a_cancel_is_answered_and_forwarded_once_something_rings() {
    let mut stage = stage(&["sip:bob@10.0.0.2"]);
    stage.send(Transport::Udp, &invite("UDP"));
    let request = stage.request_at(0);
    let cancel = invite("UDP").replace("INVITE", "CANCEL");
    stage.send(Transport::Udp, &cancel);
    assert_eq!(stage.statuses(), [100, 200]);
    let phone = stage.phones[0];
    let before = stage.got(phone);
    // RFC 3261, 9.1: not before a provisional response.
    assert!(!methods(&before).contains(&"CANCEL".to_owned()));
    stage.answer(0, &request, 180);
    assert!(methods(&stage.got(phone)).contains(&"CANCEL".to_owned()));
    stage.answer(0, &request, 487);
    assert_eq!(stage.statuses(), [180, 487]);
    assert_eq!(methods(&stage.got(phone)), ["ACK"]);
}

#[test]
fn what_is_forgotten_is_forwarded_without_state() {
    let mut stage = stage(&["sip:bob@10.0.0.2"]);
    stage.send(Transport::Udp, &invite("UDP"));
    let request = stage.request_at(0);
    let proxy = stage.proxy;
    stage
        .world
        .command(proxy, "forget", |proxy: &mut Proxy, _| proxy.forget());
    stage.answer(0, &request, 180);
    let cancel = invite("UDP").replace("INVITE", "CANCEL");
    stage.send(Transport::Udp, &cancel);
    let phone = stage.phones[0];
    let branch = |request: &Request| request.headers.via().unwrap().branch().map(str::to_owned);
    let cancels = requests(&stage.got(phone));
    assert_eq!(cancels[0].method, Method::Cancel);
    assert_eq!(branch(&cancels[0]), branch(&request));
    stage.answer(0, &request, 487);
    assert_eq!(stage.statuses(), [100, 180, 487]);
}

#[test]
fn a_strict_router_moves_the_next_hop_into_the_request_uri() {
    let mut stage = stage(&["sip:bob@10.0.0.2;transport=tcp"]);
    let proxy = stage.proxy;
    stage
        .world
        .command(proxy, "strict", |proxy: &mut Proxy, _| {
            proxy.set_record_route(RecordRoute::Strict);
        });
    stage.send(Transport::Udp, &invite("UDP"));
    let request = stage.request_at(0);
    let routes = values(&request, HeaderName::RecordRoute);
    assert_eq!(routes[0], "<sip:10.0.0.9:5060;transport=tcp;r2=on>");
    // RFC 3261, 12.2.1.1: the first route is the Request-URI, the target the last Route.
    stage.send(
        Transport::Udp,
        "BYE sip:10.0.0.9:5060;transport=udp;r2=on SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKalice2\r\n\
         Route: <sip:10.0.0.9:5060;transport=tcp;r2=on>, <sip:bob@10.0.0.2;transport=tcp>\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:alice@example.com>;tag=a1\r\n\
         To: <sip:bob@10.0.0.9>;tag=b0\r\n\
         Call-ID: call1@alice\r\n\
         CSeq: 2 BYE\r\n\
         Content-Length: 0\r\n\r\n",
    );
    let bye = stage.request_at(0);
    assert_eq!(bye.uri.as_str(), "sip:bob@10.0.0.2;transport=tcp");
    assert_eq!(values(&bye, HeaderName::Route), [""; 0]);
}

#[test]
fn unknown_users_closed_ports_and_long_ways_are_answered() {
    let mut stage = stage(&["sip:bob@10.0.0.2:5999"]);
    stage.send(Transport::Udp, &invite("UDP"));
    assert_eq!(stage.statuses(), [100, 500]);
    let unknown = invite("UDP")
        .replace("sip:bob@", "sip:eve@")
        .replace("alice1", "alice3");
    stage.send(Transport::Udp, &unknown);
    assert!(stage.statuses().contains(&404));
    let far = invite("UDP")
        .replace(": 70", ": 0")
        .replace("alice1", "alice4");
    stage.send(Transport::Udp, &far);
    assert!(stage.statuses().contains(&483));
}

#[test]
fn timer_c_cancels_what_rings_for_too_long() {
    let mut stage = stage(&["sip:bob@10.0.0.2"]);
    stage.send(Transport::Udp, &invite("UDP"));
    let request = stage.request_at(0);
    stage.answer(0, &request, 180);
    stage.world.run_for(Duration::from_secs(180));
    let phone = stage.phones[0];
    assert_eq!(stage.got(phone).len(), 0);
    stage.world.run_for(Duration::from_secs(2));
    assert_eq!(methods(&stage.got(phone)), ["CANCEL", "CANCEL"]);
}

#[test]
fn streams_carry_what_datagrams_carry() {
    let mut stage = stage(&["sip:bob@10.0.0.2"]);
    stage.send(Transport::Tcp, &invite("TCP"));
    let request = stage.request_at(0);
    stage.answer(0, &request, 200);
    assert_eq!(stage.statuses(), [100, 200]);
    assert_eq!(stage.world.violations(), []);
}

/// Users of the proxy who are other users of the proxy.
fn forwarded(stage: &mut Stage, users: &[(&str, &[&str])]) {
    let uri = |user: &&str| format!("sip:{user}@10.0.0.9").parse().unwrap();
    let proxy = stage.proxy;
    for (user, others) in users {
        let contacts: Vec<Uri> = others.iter().map(uri).collect();
        stage.world.command(proxy, "bind", |proxy: &mut Proxy, _| {
            proxy.bind(user, &contacts);
        });
    }
}

#[test]
fn rfc_5393_4_2_2_a_spiral_goes_on() {
    let mut stage = stage(&["sip:bob@10.0.0.2"]);
    forwarded(&mut stage, &[("sales", &["office"]), ("office", &["bob"])]);
    let text = invite("UDP").replace("sip:bob@", "sip:sales@");
    stage.send(Transport::Udp, &text);
    let request = stage.request_at(0);
    assert_eq!(request.uri.as_str(), "sip:bob@10.0.0.2");
    assert_eq!(request.headers.max_forwards(), Ok(Some(67)));
    // Three times the proxy, each time by another branch.
    let mut vias = values(&request, HeaderName::Via);
    assert_eq!(vias.len(), 4);
    vias.dedup();
    assert_eq!(vias.len(), 4);
    stage.answer(0, &request, 180);
    stage.answer(0, &request, 200);
    assert_eq!(stage.statuses(), [100, 180, 200]);
    let cancelled = text.replace("alice1", "alice2");
    stage.send(Transport::Udp, &cancelled);
    let request = stage.request_at(0);
    stage.answer(0, &request, 180);
    stage.send(Transport::Udp, &cancelled.replace("INVITE", "CANCEL"));
    let phone = stage.phones[0];
    assert!(methods(&stage.got(phone)).contains(&"CANCEL".to_owned()));
    let stats = stage.world.node::<Proxy>(stage.proxy).stats();
    assert_eq!((stats.spirals, stats.loops), (4, 0));
}

#[test]
fn rfc_5393_4_2_2_a_loop_is_refused_however_it_forks() {
    for (users, forwarded_to, loops) in [
        (&[("a", &["b"][..]), ("b", &["a"])][..], 2, 1),
        // RFC 5393, 3: without a check it would be sent some 2^70 times.
        (
            &[("a", &["b", "c"]), ("b", &["a", "c"]), ("c", &["a", "b"])],
            10,
            6,
        ),
    ] {
        let mut stage = stage(&[]);
        forwarded(&mut stage, users);
        let text = invite("UDP").replace("sip:bob@", "sip:a@");
        stage.send(Transport::Udp, &text);
        assert_eq!(stage.statuses(), [100, 482]);
        let stats = stage.world.node::<Proxy>(stage.proxy).stats();
        assert_eq!((stats.forwarded, stats.loops), (forwarded_to, loops));
    }
}
