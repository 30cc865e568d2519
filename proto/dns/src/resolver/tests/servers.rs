//! Servers that fail, and who is asked next.

use super::*;

/// A query that has one answer, to see who gives it.
fn host() -> Request {
    Request::Host {
        host: "sip1.example.com".parse().unwrap(),
        port: 5060,
        reach: crate::Reach::new(base::Transport::Udp, true, false),
    }
}

fn world(fates: &[Fate]) -> World {
    let mut world = World::new();
    world.fates = fates.to_vec();
    world.resolver.set_name_servers(at(0), ALL.to_vec());
    world
}

#[test]
fn a_server_that_cannot_be_reached_costs_no_time() {
    let mut world = world(&[Fate::Unreachable, Fate::Unreachable]);
    let lookup = world.resolver.lookup(at(0), host());
    for _ in 0..3 {
        world.serve(at(5));
    }
    assert!(world.results(lookup).is_ok());
    assert_eq!(world.traces[0].servers, ALL);
}

#[test]
fn a_server_that_fails_or_refuses_is_not_believed() {
    for code in [1, 2, 4, 5] {
        let mut world = world(&[Fate::Code(code)]);
        let lookup = world.resolver.lookup(at(0), host());
        world.serve(at(5));
        world.serve(at(10));
        assert!(world.results(lookup).is_ok(), "{code}");
    }
    let mut world = world(&[Fate::Code(5); 3]);
    let lookup = world.resolver.lookup(at(0), host());
    while !world.serve(at(5)).is_empty() {}
    assert_eq!(world.results(lookup), Err(LookupError::Refused));
    assert_eq!(world.traces[0].answer, Err(QueryError::Refused));
}

#[test]
fn that_there_is_no_such_name_is_an_answer() {
    let mut world = world(&[Fate::Code(3)]);
    let lookup = world.resolver.lookup(at(0), host());
    world.serve(at(5));
    assert_eq!(world.results(lookup), Err(LookupError::NotFound));
    assert_eq!(world.traces[0].servers, ALL[..1]);
}

#[test]
fn a_silent_server_is_asked_last_for_half_a_minute() {
    let mut world = world(&[Fate::Silent]);
    let lookup = world.resolver.lookup(at(0), host());
    world.serve(at(0));
    world.run_until(at(3_000));
    assert!(world.results(lookup).is_ok());
    let asks = |world: &mut World, time, host: &str| {
        let from = world.sent.len();
        world.resolver.lookup(at(time), sip(host));
        world.serve(at(time));
        world.sent[from].0
    };
    assert_eq!(asks(&mut world, 4_000, "one.example.com"), ALL[1]);
    world.run_until(at(33_000));
    assert_eq!(asks(&mut world, 33_001, "two.example.com"), ALL[0]);
}

#[test]
fn dnm_09_another_network_is_a_new_chance() {
    let mut world = world(&[Fate::Silent]);
    world.resolver.lookup(at(0), host());
    world.serve(at(0));
    world.run_until(at(3_000));
    assert_eq!(world.resolver.cached(), 1);
    world.resolver.network_changed(at(4_000));
    assert_eq!(world.resolver.cached(), 0);
    let from = world.sent.len();
    world.resolver.lookup(at(4_000), host());
    world.serve(at(4_000));
    assert_eq!(world.sent[from].0, ALL[0]);
}

#[test]
fn dnm_07_other_servers_are_told_and_know_another_truth() {
    let mut world = World::new();
    assert_eq!(world.name_servers, [(ALL[..1].to_vec(), true)]);
    world.resolver.lookup(at(0), host());
    world.serve(at(0));
    world.resolver.set_name_servers(at(1), ALL[..1].to_vec());
    world.drain(at(1));
    assert_eq!((world.name_servers.len(), world.resolver.cached()), (1, 1));
    world.resolver.set_name_servers(at(2), ALL[1..].to_vec());
    world.drain(at(2));
    assert_eq!(world.name_servers[1], (ALL[1..].to_vec(), false));
    assert_eq!(world.resolver.cached(), 0);
}

#[test]
fn dnm_08_without_a_probe_domain_the_configured_servers_are_asked_last() {
    let config = Config {
        fallback: vec![ALL[2]],
        ..Config::default()
    };
    let mut world = World::bare(config);
    assert_eq!(world.resolver.name_servers(), [ALL[2]]);
    world.resolver.set_name_servers(at(0), ALL[..1].to_vec());
    assert_eq!(world.resolver.name_servers(), [ALL[0], ALL[2]]);
    let nothing = Config::default();
    assert!(nothing.fallback.is_empty() && nothing.probe.is_none());
}
