//! Which name servers are used: proof, fall-back, and what a change of the network means (DNM).

use super::{
    ZONE, asked, asking, ip,
    lookup::{look_up, sip},
    serve,
};
use crate::runs::play;
use simulator::{
    HostId, Setup, Stage,
    server::{DnsFault, NameServer},
};
use sipsimple::{
    agent::{Input, System, UserAgent},
    dns::LookupError,
    event::{Event, ResolverEvent},
    stream::Lookup,
};
use std::{net::SocketAddr, rc::Rc, time::Duration};

/// What home routers know: addresses, and nothing else.
const ROUTER: &str = "probe.example. 60 A 10.0.0.1";
const PROVEN: &str = r#"
    probe.example. 60 NAPTR 1 1 "s" "SIP+D2U" "" _sip._udp.probe.example.
    _sip._udp.probe.example. 60 SRV 1 1 5060 probe.example.
    probe.example. 60 A 10.0.0.1
"#;

fn address(last: u8) -> SocketAddr {
    SocketAddr::new(ip(last), 53)
}

/// An agent that is told the system's server 10.0.0.53, proves it, and may ask 10.0.0.88.
fn proving() -> Setup {
    let mut setup = asking(1, &[]);
    setup.configure = Rc::new(|_, config| {
        config.dns.probe = Some("probe.example".to_owned());
        config.dns.fallback = vec![address(88)];
    });
    setup
}

fn told_servers(stage: &mut Stage, last: u8) {
    let alice = stage.alice;
    stage.agent(alice, "name servers", |agent: &mut UserAgent, now| {
        agent.handle_input(now, Input::System(System::NameServers(vec![address(last)])));
    });
}

fn in_use(stage: &Stage) -> Vec<SocketAddr> {
    stage.world.node::<UserAgent>(stage.alice).name_servers()
}

/// What the application was told about servers (DNM-06, DNM-07).
fn told(stage: &Stage) -> Vec<String> {
    let notifications = &stage.world.host(stage.alice).inbox().notifications;
    let text = |event: &Event| match event {
        Event::Resolver(ResolverEvent::DidInitialize { nameservers }) => {
            Some(format!("initialized {nameservers:?}"))
        }
        Event::Resolver(ResolverEvent::NameserversDidChange { nameservers }) => {
            Some(format!("changed {nameservers:?}"))
        }
        _ => None,
    };
    notifications
        .iter()
        .filter_map(|told| text(&told.event))
        .collect()
}

fn fault(stage: &mut Stage, server: HostId, fault: Option<DnsFault>) {
    stage
        .world
        .command(server, "fault", |server: &mut NameServer, _| {
            server.set_fault(fault)
        });
}

/// DNM-01, DNM-02, DNM-06: the system's servers, proven by what broken routers do not know.
#[test]
fn dnm_02_the_servers_of_the_system_are_proven_and_used() {
    play(&proving(), |stage| {
        let system = serve(stage, 53, PROVEN);
        let other = serve(stage, 88, PROVEN);
        told_servers(stage, 53);
        stage.world.run_for(Duration::from_secs(1));
        let mut questions = asked(stage, system);
        questions.sort();
        assert_eq!(
            questions,
            ["NAPTR probe.example", "SRV _sip._udp.probe.example"]
        );
        assert_eq!(in_use(stage), [address(53)]);
        assert_eq!(told(stage), [format!("initialized {:?}", [address(53)])]);
        // Nobody else was asked, and nothing is proven again without need.
        stage.world.run_for(Duration::from_secs(300));
        assert_eq!(asked(stage, other).len() + asked(stage, system).len(), 0);
    });
}

/// DNM-03, DNM-04, DNM-07, BUG-15: a router that knows addresses only is passed by, tried again every
/// 15 s, and taken back as soon as it works.
#[test]
fn dnm_03_broken_servers_are_replaced_and_dnm_04_taken_back() {
    play(&proving(), |stage| {
        let system = serve(stage, 53, ROUTER);
        serve(stage, 88, &format!("{PROVEN}{ZONE}"));
        told_servers(stage, 53);
        stage.world.run_for(Duration::from_secs(8));
        assert_eq!(in_use(stage), [address(88)]);
        assert_eq!(
            sip(stage, "sip:example.com;transport=udp").unwrap(),
            ["udp 10.0.0.2:5060"]
        );
        stage.world.run_for(Duration::from_secs(20));
        assert_eq!(in_use(stage), [address(88)]);
        stage
            .world
            .command(system, "mend", |server: &mut NameServer, _| {
                server.set_zone(PROVEN)
            });
        stage.world.run_for(Duration::from_secs(20));
        assert_eq!(in_use(stage), [address(53)]);
        let told = told(stage);
        assert_eq!(
            told,
            [
                format!("initialized {:?}", [address(88)]),
                format!("changed {:?}", [address(53)])
            ]
        );
    });
}

/// DNM-06: servers that are configured are told when the agent starts, before anybody asks.
#[test]
fn dnm_06_configured_servers_are_told_at_the_start() {
    let stage = Stage::new(asking(1, &[53]));
    assert_eq!(told(&stage), [format!("initialized {:?}", [address(53)])]);
}

/// DNM-03: if the others do not work either, the system's stay.
#[test]
fn dnm_03_the_servers_of_the_system_stay_if_no_other_works() {
    play(&proving(), |stage| {
        serve(stage, 53, ROUTER);
        let other = serve(stage, 88, PROVEN);
        fault(stage, other, Some(DnsFault::Silent));
        told_servers(stage, 53);
        stage.world.run_for(Duration::from_secs(40));
        assert_eq!(in_use(stage), [address(53)]);
    });
}

/// DNM-08: nothing is proven and nobody else is asked unless it is configured.
#[test]
fn dnm_08_nothing_is_probed_by_default() {
    play(&asking(1, &[]), |stage| {
        let system = serve(stage, 53, ROUTER);
        told_servers(stage, 53);
        stage.world.run_for(Duration::from_secs(60));
        assert_eq!(asked(stage, system), Vec::<String>::new());
        assert_eq!(in_use(stage), [address(53)]);
        assert_eq!(
            sip(stage, "sip:probe.example:5060").unwrap(),
            ["udp 10.0.0.1:5060"]
        );
    });
}

/// DNM-09: another address and another network forget what names meant and prove the servers again; so
/// does waking up.
#[test]
fn dnm_09_servers_are_proven_again_on_another_network_and_after_sleep() {
    play(&proving(), |stage| {
        let system = serve(stage, 53, &format!("{PROVEN}{ZONE}"));
        serve(stage, 88, PROVEN);
        told_servers(stage, 53);
        stage.world.run_for(Duration::from_secs(2));
        let uri = "sip:bob.example.com:5060";
        sip(stage, uri).unwrap();
        let asks_again = |stage: &mut Stage| {
            let proof = asked(stage, system);
            let (_, result) = look_up(
                stage,
                Lookup::Sip {
                    uri: uri.parse().unwrap(),
                },
            );
            assert_eq!(result.unwrap(), ["udp 10.0.0.2:5060"]);
            let fresh = asked(stage, system);
            (
                proof.iter().any(|text| text == "NAPTR probe.example"),
                fresh.len(),
            )
        };
        assert_eq!(asks_again(stage), (true, 0), "known");
        let alice = stage.alice;
        stage.world.set_addresses(alice, &[ip(91)]);
        stage.world.run_for(Duration::from_secs(3));
        assert_eq!(asks_again(stage), (true, 1), "another network");
        stage.world.suspend(alice, Duration::from_secs(60));
        stage.world.run_for(Duration::from_secs(63));
        assert_eq!(asks_again(stage), (true, 1), "awake again");
        assert_eq!(asks_again(stage), (false, 0), "known");
    });
}

/// DNM-05: at the end nobody is asked any more, and no socket stays.
#[test]
fn dnm_05_the_end_of_the_agent_ends_all_lookups() {
    play(&proving(), |stage| {
        let system = serve(stage, 53, PROVEN);
        fault(stage, system, Some(DnsFault::Silent));
        told_servers(stage, 53);
        let alice = stage.alice;
        let uri = "sip:example.com".parse().unwrap();
        stage.agent(alice, "lookup", |agent, now| {
            agent.lookup(now, Lookup::Sip { uri }).unwrap()
        });
        stage.world.run_for(Duration::from_millis(500));
        stage.agent(alice, "shutdown", UserAgent::shutdown);
        stage.world.run_for(Duration::from_secs(3));
        asked(stage, system);
        stage.world.run_for(Duration::from_secs(120));
        assert_eq!(asked(stage, system), Vec::<String>::new());
        assert_eq!(stage.world.host(alice).open_links(), 0);
    });
}

/// Without any server a lookup says so, at once.
#[test]
fn dnl_14_without_a_name_server_a_lookup_fails_at_once() {
    play(&asking(1, &[]), |stage| {
        let uri = "sip:bob.example.com".parse().unwrap();
        let (took, result) = look_up(stage, Lookup::Sip { uri });
        assert_eq!((took, result), (Duration::ZERO, Err(LookupError::NoServer)));
    });
}
