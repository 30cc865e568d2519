//! The link table by itself: credit, limits, clocks.

use super::*;
use crate::tls::{Certificate, Security};
use crate::{
    edge::{Class, Open},
    stream::SlotOpen,
};
use base::{Host, Key, Target};
use bytes::BytesMut;
use std::{sync::OnceLock, time::Duration};

#[expect(clippy::disallowed_methods, reason = "an arbitrary origin")]
fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

fn links(limits: LinkLimits) -> Links {
    Links::new(limits, None, false, &mut Rng::from_seed([3; 32]))
}

fn small() -> LinkLimits {
    LinkLimits {
        connections: 3,
        connections_per_peer: 2,
        signalling_budget: 100,
        slot_budget: 100,
        slots_per_stream: 2,
        ..LinkLimits::default()
    }
}

fn drain(links: &mut Links) -> Vec<LinkOutput> {
    std::iter::from_fn(|| links.poll_output()).collect()
}

fn text(links: &mut Links) -> String {
    format!("{:?}", drain(links))
}

fn address(last: u8, port: u16) -> SocketAddr {
    ([10, 0, 0, last], port).into()
}

/// A listener that is open.
fn listener(links: &mut Links) -> LinkId {
    let local = address(1, 5060);
    let link = links.listen(origin(), Transport::Tcp, local);
    let peer = None;
    links.handle_input(origin(), Input::Opened { link, local, peer });
    drain(links);
    link
}

/// A connection of 10.0.0.`host`, with a flow of its own.
fn accept(links: &mut Links, listener: LinkId, host: u8, number: u64) -> Option<LinkId> {
    let input = Input::Accepted {
        listener,
        connection: Connection(number),
        local: address(1, 5060),
        peer: address(host, 40_000),
    };
    links.handle_input(origin(), input);
    let adopted = drain(links).into_iter().find_map(|output| match output {
        LinkOutput::Edge(Output::Adopt { link, .. }) => Some(link),
        _ => None,
    })?;
    let flow = FlowId::from_parts(0, u32::try_from(number).unwrap());
    links.set_flow(adopted, flow);
    Some(adopted)
}

fn bytes(links: &mut Links, now: Instant, link: LinkId, payload: &[u8]) {
    let payload = BytesMut::from(payload);
    links.handle_input(now, Input::Bytes { link, payload });
}

#[test]
fn connections_are_limited_in_all_and_by_peer() {
    let mut links = links(small());
    let listener = listener(&mut links);
    let first = accept(&mut links, listener, 2, 1).unwrap();
    assert!(accept(&mut links, listener, 2, 2).is_some());
    assert!(accept(&mut links, listener, 2, 3).is_none(), "per peer");
    assert!(accept(&mut links, listener, 3, 4).is_some());
    assert!(accept(&mut links, listener, 4, 5).is_none(), "in all");
    assert_eq!(links.counters().refused, 2);
    let error = None;
    links.handle_input(origin(), Input::Closed { link: first, error });
    assert!(text(&mut links).contains("FlowDown"));
    assert!(
        accept(&mut links, listener, 2, 6).is_some(),
        "a place is free"
    );
}

#[test]
fn a_peer_that_does_not_read_loses_its_connection_at_the_budget() {
    let mut links = links(small());
    let listener = listener(&mut links);
    let link = accept(&mut links, listener, 2, 1).unwrap();
    let flow = FlowId::from_parts(0, 1);
    let message = || Bytes::from(vec![b'x'; 60]);
    links.send(flow, address(2, 40_000), message());
    assert!(text(&mut links).contains("Write"));
    links.handle_input(origin(), Input::Sent { link, total: 60 });
    links.send(flow, address(2, 40_000), message());
    assert!(text(&mut links).contains("Write"), "the first is gone");
    links.send(flow, address(2, 40_000), message());
    let said = text(&mut links);
    assert!(
        said.contains("Close {") && said.contains("Overrun"),
        "{said}"
    );
    assert_eq!((links.len(), links.counters().overruns), (0, 1));
}

#[test]
fn a_message_has_a_time_from_its_first_byte() {
    let mut links = links(LinkLimits::default());
    let listener = listener(&mut links);
    let link = accept(&mut links, listener, 2, 1).unwrap();
    let second = Duration::from_secs(1);
    // Who connects has something to say.
    assert_eq!(links.poll_timeout().unwrap().at, origin() + 32 * second);
    let at = origin() + 10 * second;
    bytes(
        &mut links,
        at,
        link,
        b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n",
    );
    assert!(text(&mut links).contains("Message"));
    assert_eq!(links.poll_timeout(), None, "idle connections are not ours");
    // A byte a second does not keep it open.
    for n in 0..32 {
        bytes(&mut links, at + n * second, link, b"A");
        drain(&mut links);
        assert_eq!(links.poll_timeout().unwrap().at, at + 32 * second);
    }
    links.handle_timeout(at + 32 * second);
    let said = text(&mut links);
    assert!(
        said.contains("Close {") && said.contains("TimedOut"),
        "{said}"
    );
    assert_eq!(links.poll_timeout(), None);
}

#[test]
fn received_bytes_are_credited_and_pings_answered() {
    let mut links = links(LinkLimits::default());
    let listener = listener(&mut links);
    let link = accept(&mut links, listener, 2, 1).unwrap();
    bytes(&mut links, origin(), link, b"\r\n\r\n");
    let said = text(&mut links);
    assert!(said.contains(r#"payload: b"\r\n""#), "{said}");
    assert!(said.contains("more: 4"), "{said}");
}

#[test]
fn a_connection_that_does_not_come_up_is_given_up() {
    let mut links = links(LinkLimits::default());
    let target = Target {
        transport: Transport::Tcp,
        address: address(2, 5060),
        name: Host::Ip(address(2, 0).ip()),
    };
    links.connect(origin(), FlowId::from_parts(0, 1), &target);
    assert!(text(&mut links).contains("Connect"));
    let at = links.poll_timeout().unwrap().at;
    links.handle_timeout(at);
    let said = text(&mut links);
    assert!(
        said.contains("FlowDown") && said.contains("TimedOut"),
        "{said}"
    );
    assert_eq!(links.len(), 0);
}

#[test]
fn a_released_flow_sends_what_is_written() {
    let mut links = links(LinkLimits::default());
    let listener = listener(&mut links);
    let link = accept(&mut links, listener, 2, 1).unwrap();
    let flow = FlowId::from_parts(0, 1);
    links.send(flow, address(2, 40_000), Bytes::from_static(b"x"));
    links.release(origin(), flow);
    let said = text(&mut links);
    assert!(said.contains("Write") && said.contains("Finish"), "{said}");
    links.send(flow, address(2, 40_000), Bytes::from_static(b"y"));
    bytes(&mut links, origin(), link, b"OPTIONS");
    assert_eq!(text(&mut links), "[]", "nobody listens any more");
    // A peer that reads nothing does not keep it.
    let at = links.poll_timeout().unwrap().at;
    assert_eq!(at, origin() + Duration::from_secs(5));
    links.handle_timeout(at);
    assert!(text(&mut links).contains("Close {"));
    assert_eq!(links.len(), 0);
}

#[test]
fn a_slot_has_credit_both_ways() {
    let mut links = links(small());
    let stream = StreamId::from_parts(0, 1);
    let to = address(2, 2855);
    let class = Class::Bulk;
    links.open_slot(origin(), stream, Slot(0), SlotOpen::Connect { to, class });
    let link = match drain(&mut links).pop() {
        Some(LinkOutput::Edge(Output::Open { link, how })) => {
            assert!(matches!(how, Open::Connect { .. }));
            link
        }
        other => panic!("{other:?}"),
    };
    links.write_slot(stream, Slot(0), Bytes::from_static(b"too early"));
    assert_eq!(text(&mut links), "[]");
    let (local, peer) = (address(1, 40_000), None);
    links.handle_input(origin(), Input::Opened { link, local, peer });
    let said = text(&mut links);
    assert!(
        said.contains("peer: Some(10.0.0.2:2855)") && said.contains("room: 100"),
        "{said}"
    );
    links.write_slot(stream, Slot(0), Bytes::from(vec![0; 70]));
    drain(&mut links);
    links.handle_input(origin(), Input::Sent { link, total: 50 });
    assert!(text(&mut links).contains("room: 80"));
    links.handle_input(origin(), Input::Sent { link, total: 50 });
    assert_eq!(text(&mut links), "[]", "a level that did not rise");
    bytes(&mut links, origin(), link, b"hello");
    let said = text(&mut links);
    assert!(
        said.contains("hello") && !said.contains("Receive"),
        "{said}"
    );
    links.receive(stream, Slot(0), 5);
    assert!(text(&mut links).contains("Receive"));
    links.write_slot(stream, Slot(0), Bytes::from(vec![0; 81]));
    assert!(text(&mut links).contains("Overrun"));
    assert_eq!(links.len(), 0);
}

#[test]
fn a_slot_that_listens_takes_one_connection() {
    let mut links = links(small());
    let stream = StreamId::from_parts(0, 1);
    let (bind, class) = (address(1, 0), Class::Bulk);
    links.open_slot(origin(), stream, Slot(3), SlotOpen::Accept { bind, class });
    let Some(LinkOutput::Edge(Output::Open { link, .. })) = drain(&mut links).pop() else {
        panic!("not opened");
    };
    let (local, peer) = (address(1, 2855), None);
    links.handle_input(origin(), Input::Opened { link, local, peer });
    assert!(text(&mut links).contains("10.0.0.1:2855"));
    let accepted = |number| Input::Accepted {
        listener: link,
        connection: Connection(number),
        local,
        peer: address(2, 40_000),
    };
    links.handle_input(origin(), accepted(1));
    let said = text(&mut links);
    assert!(said.contains("Close {") && said.contains("Adopt"), "{said}");
    assert!(said.contains("peer: Some(10.0.0.2:40000)"), "{said}");
    links.handle_input(origin(), accepted(2));
    assert!(text(&mut links).contains("Refuse"));
    links.close_stream(stream);
    assert!(text(&mut links).contains("Close {"));
    assert_eq!(links.len(), 0);
}

#[test]
fn slots_are_limited_and_not_opened_twice() {
    let mut links = links(small());
    let stream = StreamId::from_parts(0, 1);
    let (bind, class) = (address(1, 0), Class::Voice);
    let mut open = |slot| {
        links.open_slot(origin(), stream, Slot(slot), SlotOpen::Udp { bind, class });
        text(&mut links)
    };
    assert!(open(0).contains("Open {"));
    assert!(open(0).contains("TooMany"));
    assert!(open(1).contains("Open {"));
    assert!(open(2).contains("TooMany"));
}

#[test]
fn inputs_of_dead_links_are_ignored() {
    let mut links = links(LinkLimits::default());
    let link = LinkId::from_parts(7, 7);
    let error = None;
    links.handle_input(origin(), Input::Closed { link, error });
    links.handle_input(origin(), Input::Sent { link, total: 1 });
    bytes(&mut links, origin(), link, b"x");
    let input = Input::Accepted {
        listener: link,
        connection: Connection(1),
        local: address(1, 1),
        peer: address(2, 2),
    };
    links.handle_input(origin(), input);
    let said = text(&mut links);
    assert!(said.starts_with("[Edge(Refuse"), "{said}");
}

fn tls() -> TlsConfig {
    crate::tls::testing::Authority::new("Test").trusted()
}

fn secured(names: &[&str]) -> Result<Security, crate::tls::Refusal> {
    let mut security = Security::default();
    let certificate = Certificate {
        dns: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Certificate::default()
    };
    security.chain.push(certificate);
    Ok(security)
}

/// A link that wants `b.example` by TLS and is connected.
fn securing(links: &mut Links) -> LinkId {
    let target = Target {
        transport: Transport::Tls,
        address: address(2, 5061),
        name: Host::Name("b.example".to_owned()),
    };
    links.connect(origin(), FlowId::from_parts(0, 1), &target);
    let link = match &drain(links)[..] {
        [
            LinkOutput::Secure(link, Secure::Client { name, .. }),
            LinkOutput::Edge(Output::Open { .. }),
        ] => {
            assert_eq!(*name, target.name, "the filter is there before the link");
            *link
        }
        other => panic!("{other:?}"),
    };
    let (local, peer) = (address(1, 40_000), None);
    links.handle_input(origin(), Input::Opened { link, local, peer });
    assert_eq!(text(links), "[]", "the flow is not up");
    link
}

/// What the filter, or a recording, says about a handshake decides about the flow.
#[test]
fn a_flow_is_up_when_its_server_has_proven_its_name() {
    let config = tls();
    let mut links = Links::new(
        LinkLimits::default(),
        Some(&config),
        false,
        &mut Rng::from_seed([3; 32]),
    );
    let link = securing(&mut links);
    let result = secured(&["b.example"]);
    links.handle_input(origin(), Input::Secured { link, result });
    assert!(text(&mut links).contains("FlowUp"));
    // Once only.
    let result = secured(&["x.example"]);
    links.handle_input(origin(), Input::Secured { link, result });
    assert_eq!(text(&mut links), "[]");
}

#[test]
fn a_server_with_another_name_gets_nothing() {
    let config = tls();
    let mut links = Links::new(
        LinkLimits::default(),
        Some(&config),
        false,
        &mut Rng::from_seed([3; 32]),
    );
    let link = securing(&mut links);
    links.send(
        FlowId::from_parts(0, 1),
        address(2, 5061),
        Bytes::from_static(b"early"),
    );
    assert_eq!(text(&mut links), "[]");
    let result = secured(&["x.example"]);
    links.handle_input(origin(), Input::Secured { link, result });
    let said = text(&mut links);
    for part in ["Verified", "x.example", "Finish", "FlowDown", "WrongName"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("Write"), "{said}");
}

#[test]
fn a_handshake_has_its_time() {
    let config = tls();
    let mut links = Links::new(
        LinkLimits::default(),
        Some(&config),
        false,
        &mut Rng::from_seed([3; 32]),
    );
    securing(&mut links);
    let deadline = links.poll_timeout().unwrap();
    assert_eq!(
        (deadline.at, deadline.why),
        (origin() + Duration::from_secs(10), "handshake")
    );
    links.handle_timeout(deadline.at);
    let said = text(&mut links);
    assert!(
        said.contains("FlowDown") && said.contains("TimedOut") && said.contains("Verified"),
        "{said}"
    );
    assert_eq!(links.len(), 0);
}

#[test]
fn a_connection_that_is_lost_in_the_handshake_says_so() {
    let config = tls();
    let mut links = Links::new(
        LinkLimits::default(),
        Some(&config),
        false,
        &mut Rng::from_seed([3; 32]),
    );
    let link = securing(&mut links);
    links.handle_input(origin(), Input::Closed { link, error: None });
    let said = text(&mut links);
    assert!(
        said.contains("FlowDown") && said.contains("Tls(Closed)"),
        "{said}"
    );
}
