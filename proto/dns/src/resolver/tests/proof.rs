//! The proof of name servers (requirements DNM).

use super::*;

/// The first two are the system's, the third is configured.
fn world(fates: &[Fate]) -> World {
    let config = Config {
        fallback: vec![ALL[2]],
        probe: Some("example.com".to_owned()),
        ..Config::default()
    };
    let mut world = World::bare(config);
    world.fates = fates.to_vec();
    world.resolver.set_name_servers(at(0), ALL[..2].to_vec());
    world
}

#[test]
fn dnm_02_the_systems_servers_are_proven_by_naptr_and_srv() {
    let mut world = world(&[]);
    assert_eq!(
        world.serve(at(0)),
        ["example.com 35", "_sip._udp.example.com 33"]
    );
    assert_eq!(world.name_servers, [(ALL[..2].to_vec(), true)]);
    assert_eq!(world.resolver.poll_timeout(), None, "proven is proven");
    assert!(world.traces.is_empty(), "a proof is no lookup");
}

#[test]
fn dnm_03_configured_servers_take_over_from_those_that_fail() {
    let mut world = world(&[Fate::Silent, Fate::Silent]);
    world.serve(at(0));
    // 1 s with each of two servers, then they are out.
    world.run_until(at(1_999));
    assert_eq!(world.resolver.name_servers(), &ALL[..2]);
    world.run_until(at(2_000));
    assert_eq!(world.resolver.name_servers(), [ALL[2]]);
    assert_eq!(world.name_servers, [(vec![ALL[2]], true)]);
    // DNM-04: every 15 s the local ones get a chance, each for 1 s, and are taken back when they work.
    world.fates[1] = Fate::Answers;
    world.run_until(at(18_000));
    assert_eq!(world.resolver.name_servers(), &ALL[..2]);
    assert_eq!(world.name_servers[1], (ALL[..2].to_vec(), false));
}

/// Home routers that answer, but know neither NAPTR nor SRV (BUG-15).
#[test]
fn dnm_03_servers_that_do_not_know_srv_have_failed() {
    let mut world = world(&[Fate::Code(4), Fate::Code(4)]);
    for _ in 0..3 {
        world.serve(at(10));
    }
    assert_eq!(world.resolver.name_servers(), [ALL[2]]);
}

#[test]
fn dnm_03_if_nobody_works_the_local_servers_are_kept() {
    let mut world = world(&[Fate::Silent; 3]);
    world.serve(at(0));
    // 2 s with two local servers, 2 s with the configured one.
    world.run_until(at(3_999));
    assert!(world.name_servers.is_empty());
    world.run_until(at(4_000));
    assert_eq!(world.name_servers, [(ALL[..2].to_vec(), true)]);
    let next = world.resolver.poll_timeout().unwrap().at;
    assert_eq!(ms(next), 19_000);
}

#[test]
fn lookups_go_on_while_servers_are_proven() {
    let mut world = world(&[Fate::Code(2), Fate::Answers]);
    let lookup = world.resolver.lookup(at(0), sip("example.com"));
    while !world.serve(at(10)).is_empty() {}
    assert_eq!(world.results(lookup).unwrap().len(), 3);
    // The second one has proven them all.
    assert_eq!(world.resolver.name_servers(), &ALL[..2]);
}
