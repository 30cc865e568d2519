//! The resolver against name servers that are byte strings (RFC 1035, 4).

mod hostile;
mod proof;
mod servers;
mod world;

use super::*;
use crate::Kind;
use std::time::Duration;
use world::{ALL, Fate, World, at, ms, name, place, sip};

const A: u16 = 1;

#[test]
fn dnl_04_a_lookup_goes_from_naptr_to_srv_to_addresses() {
    let mut world = World::new();
    let lookup = world.resolver.lookup(at(0), sip("example.com"));
    let asked = world.serve(at(10));
    assert_eq!(asked, ["example.com 35"]);
    assert_eq!(
        world.serve(at(20)),
        ["_sip._tcp.example.com 33", "_sip._udp.example.com 33"]
    );
    assert_eq!(
        world.serve(at(30)),
        [
            "sip1.example.com 28",
            "sip1.example.com 1",
            "sip2.example.com 28",
            "sip2.example.com 1"
        ]
    );
    assert_eq!(
        world.results(lookup).unwrap(),
        [
            "tcp 192.0.2.1:5060 example.com",
            "udp 192.0.2.1:5060 example.com",
            "udp 192.0.2.2:5070 example.com",
        ]
    );
    // Every query went from a socket of its own, and none is left.
    assert_eq!(world.opened, 7);
    assert_eq!(world.resolver.stats(), Stats::default());
    assert_eq!(world.resolver.poll_timeout(), None);
}

#[test]
fn dnl_16_what_is_known_is_not_asked_again() {
    let mut world = World::new();
    world.resolver.lookup(at(0), sip("example.com"));
    while !world.serve(at(10)).is_empty() {}
    let again = world.resolver.lookup(at(59_000), sip("EXAMPLE.com"));
    assert_eq!(world.serve(at(59_000)), [""; 0]);
    assert_eq!(world.results(again).unwrap().len(), 3);
    // Known without a server: the trace names none (DNL-15).
    let cached = |trace: &&Trace| trace.lookup == again && trace.servers.is_empty();
    assert_eq!(world.traces.iter().filter(cached).count(), 7);
    // A minute after the answers their time is over; what does not exist is known for longer.
    let later = world.resolver.lookup(at(61_000), sip("example.com"));
    while !world.serve(at(61_000)).is_empty() {}
    assert_eq!(world.results(later).unwrap().len(), 3);
    let asked = |trace: &&Trace| trace.lookup == later && !trace.servers.is_empty();
    assert_eq!(world.traces.iter().filter(asked).count(), 5);
}

#[test]
fn equal_questions_are_asked_once() {
    let mut world = World::new();
    let both = [(); 2].map(|()| world.resolver.lookup(at(0), sip("example.com")));
    assert_eq!(world.serve(at(10)).len(), 1);
    while !world.serve(at(20)).is_empty() {}
    for lookup in both {
        assert_eq!(world.results(lookup).unwrap().len(), 3);
    }
}

#[test]
fn dnl_15_every_query_is_told_of() {
    let mut world = World::new();
    let host = "stun.example.com".parse().unwrap();
    let request = Request::Service {
        service: crate::Service::Stun,
        host,
        port: None,
        v4: true,
        v6: false,
    };
    let lookup = world.resolver.lookup(at(0), request);
    while !world.serve(at(10)).is_empty() {}
    let srv = &world.traces[0];
    assert_eq!(srv.lookup, lookup);
    assert_eq!(
        srv.question,
        Question::new(name("_stun._udp.stun.example.com"), Kind::Srv)
    );
    assert_eq!(srv.answer, Err(QueryError::NoName));
    assert_eq!(srv.operation, "lookup_service");
    assert_eq!(srv.service, Some("stun"));
    assert_eq!(srv.subject, "stun.example.com");
    assert_eq!(srv.servers, ALL[..1]);
    assert_eq!(world.results(lookup), Err(LookupError::NotFound));
}

#[test]
fn a_lost_datagram_is_sent_again_and_nothing_else_is() {
    let mut world = World::new();
    world.fates = vec![Fate::Silent];
    world.resolver.lookup(at(0), sip("192.0.2.1.example.com"));
    world.serve(at(0));
    let first = world.sent.clone();
    assert_eq!(first.len(), 1);
    world.wake(at(1_000));
    assert_eq!(world.sent.len(), 2);
    assert_eq!(world.sent[0].1, world.sent[1].1, "the same bytes");
    assert_eq!(world.opened, 1, "from the same port");
}

/// DNL-12: `timeout` is for one server, `lifetime` for the whole lookup.
#[test]
fn dnl_12_timeout_and_lifetime_are_spent_as_said() {
    let mut world = World::new();
    world.resolver.set_name_servers(at(0), ALL.to_vec());
    world.fates = vec![Fate::Silent; 3];
    let lookup = world.resolver.lookup(at(0), sip("example.com"));
    world.serve(at(0));
    // NAPTR: 3 s with each of three servers.
    for (time, server) in [(3_000, 1), (6_000, 2)] {
        world.run_until(at(time));
        assert_eq!(world.sent.last().unwrap().0, ALL[server], "at {time}");
    }
    // Then SRV; at 15 s the life of the lookup is over, whoever is being asked.
    world.run_until(at(14_999));
    assert!(world.is_open(lookup));
    world.run_until(at(15_000));
    assert_eq!(world.results(lookup), Err(LookupError::TimedOut));
    assert_eq!(world.resolver.stats(), Stats::default());
    assert_eq!(world.resolver.poll_timeout(), None);
}

#[test]
fn dnl_12_what_is_known_when_the_time_is_over_is_the_result() {
    let mut world = World::new();
    let lookup = world.resolver.lookup(at(0), sip("example.com"));
    world.serve(at(10));
    world.serve(at(20));
    // Of the addresses only those of the first host are answered.
    world.mute.push("sip2.example.com");
    world.resolver.set_name_servers(at(30), ALL.to_vec());
    world.serve(at(30));
    world.run_until(at(15_000));
    assert_eq!(
        world.results(lookup).unwrap(),
        [
            "tcp 192.0.2.1:5060 example.com",
            "udp 192.0.2.1:5060 example.com"
        ]
    );
}

#[test]
fn a_truncated_answer_comes_over_tcp() {
    let mut world = World::new();
    world.truncates = true;
    let request = Request::Host {
        host: "sip1.example.com".parse().unwrap(),
        port: 5060,
        reach: crate::Reach::new(base::Transport::Udp, true, false),
    };
    let lookup = world.resolver.lookup(at(0), request);
    world.serve(at(10));
    assert_eq!(world.streams, 1);
    world.serve(at(20));
    assert_eq!(
        world.results(lookup).unwrap(),
        ["udp 192.0.2.1:5060 sip1.example.com"]
    );
    assert_eq!(world.resolver.stats(), Stats::default());
}

#[test]
fn an_alias_that_leads_out_of_an_answer_is_followed() {
    let mut world = World::new();
    let request = Request::Host {
        host: "alias.example.com".parse().unwrap(),
        port: 5060,
        reach: crate::Reach::new(base::Transport::Udp, true, false),
    };
    let lookup = world.resolver.lookup(at(0), request.clone());
    assert_eq!(world.serve(at(10)), ["alias.example.com 1"]);
    assert_eq!(world.serve(at(20)), ["sip1.example.com 1"]);
    assert_eq!(
        world.results(lookup).unwrap(),
        ["udp 192.0.2.1:5060 alias.example.com"]
    );
    // One that leads to itself ends.
    let Request::Host { port, reach, .. } = request else {
        unreachable!()
    };
    let host = "circle.example.com".parse().unwrap();
    let lookup = world
        .resolver
        .lookup(at(0), Request::Host { host, port, reach });
    while !world.serve(at(10)).is_empty() {}
    assert_eq!(world.results(lookup), Err(LookupError::Refused));
}

#[test]
fn without_a_server_the_lookup_ends_at_once() {
    let mut world = World::bare(Config::default());
    let lookup = world.resolver.lookup(at(0), sip("example.com"));
    world.drain(at(0));
    assert_eq!(world.results(lookup), Err(LookupError::NoServer));
    let lookup = world.resolver.lookup(at(0), sip("192.0.2.1"));
    world.drain(at(0));
    assert_eq!(
        world.results(lookup).unwrap(),
        ["udp 192.0.2.1:5060 192.0.2.1"]
    );
}

#[test]
fn there_is_a_limit_to_everything() {
    let mut world = World::new();
    let lookups: Vec<LookupId> = (0..1_100)
        .map(|n| {
            world
                .resolver
                .lookup(at(0), sip(&format!("h{n}.example.com")))
        })
        .collect();
    world.drain(at(0));
    assert_eq!(world.resolver.stats().lookups, 1_024);
    assert_eq!(world.resolver.stats().exchanges, 64);
    assert_eq!(world.results(lookups[1_099]), Err(LookupError::TooMany));
    // All that wait get their turn.
    for step in 0..400 {
        world.serve(at(step));
    }
    assert_eq!(world.resolver.stats(), Stats::default());
    assert_eq!(world.results(lookups[1_000]), Err(LookupError::NotFound));
}

#[test]
fn dnm_05_a_stopped_resolver_holds_nothing() {
    let mut world = World::new();
    world.resolver.lookup(at(0), sip("example.com"));
    world.drain(at(0));
    world.resolver.stop();
    world.drain(at(0));
    assert_eq!(world.resolver.stats(), Stats::default());
    assert_eq!(world.sockets.len(), 0);
    assert_eq!(world.resolver.poll_timeout(), None);
}

#[test]
fn place_prints_as_the_uri_it_stands_for() {
    let mut place = place("example.com");
    place.port = Some(5070);
    place.secure = true;
    place.transport = Some(base::Transport::Tcp);
    assert_eq!(place.to_string(), "sips:example.com:5070;transport=tcp");
}

/// The header and question of a query that was sent: id, name, type.
fn parts(query: &[u8]) -> (u16, String, u16) {
    let id = u16::from_be_bytes([query[0], query[1]]);
    let mut at = 12;
    let mut labels = Vec::new();
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8(query[at + 1..end].to_vec()).unwrap());
        at = end;
    }
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    (id, labels.join("."), kind)
}

fn after(start: Instant, time: u64) -> Instant {
    start + Duration::from_millis(time)
}
