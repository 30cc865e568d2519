//! Where calls and registrations go by name (RFC 3263; requirements 15 and 16), end to end in virtual
//! time: name servers with zones, agents that ask them, and the servers that the zones name.

mod lookup;
mod servers;

use crate::{
    call::{label, probe, wait},
    runs::play,
};
use simulator::{
    HostId, Setup, Stage,
    server::{Asked, NameServer, Proxy, Registrar, Rules},
};
use sipsimple::{
    agent::{Connect, SessionId, UserAgent},
    event::{Event, LookupEvent},
};
use std::{net::IpAddr, net::SocketAddr, rc::Rc, time::Duration};

/// The callee answers at 10.0.0.2, over UDP and TCP.
const ZONE: &str = r#"
    example.com. 300 SOA 300
    example.com. 300 NAPTR 10 10 "s" "SIP+D2T" "" _sip._tcp.example.com.
    example.com. 300 NAPTR 20 10 "s" "SIP+D2U" "" _sip._udp.example.com.
    _sip._tcp.example.com. 300 SRV 10 0 5060 bob.example.com.
    _sip._udp.example.com. 300 SRV 10 0 5060 bob.example.com.
    bob.example.com. 300 A 10.0.0.2
    example.com. 300 A 10.0.0.77
"#;

pub(crate) fn ip(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

/// A setup whose agents ask the name servers at these addresses.
pub(crate) fn asking(seed: u64, servers: &[u8]) -> Setup {
    let servers: Vec<SocketAddr> = servers
        .iter()
        .map(|&last| SocketAddr::new(ip(last), 53))
        .collect();
    let mut setup = Setup::new(seed);
    setup.configure = Rc::new(move |_, config| config.name_servers.clone_from(&servers));
    setup
}

/// Adds a name server at 10.0.0.`last`.
pub(crate) fn serve(stage: &mut Stage, last: u8, zone: &str) -> HostId {
    let server = NameServer::new(SocketAddr::new(ip(last), 53), zone);
    let id = stage
        .world
        .add_host(&format!("dns{last}"), &[ip(last)], server);
    stage.world.run_for(Duration::from_millis(1));
    id
}

/// What a name server was asked since the last time: `NAPTR example.com`.
pub(crate) fn asked(stage: &mut Stage, server: HostId) -> Vec<String> {
    let asked = stage
        .world
        .command(server, "look", |server: &mut NameServer, _| {
            server.take_asked()
        });
    let text = |asked: Asked| format!("{} {}", asked.kind, asked.name);
    asked.into_iter().map(text).collect()
}

/// Calls a URI; says how the call stood once it was up or over.
pub(crate) fn call(stage: &mut Stage, uri: &str) -> (SessionId, String) {
    let connect = Connect::new(uri.parse().unwrap(), probe());
    let call = stage.agent(stage.alice, "connect", |agent, now| {
        agent.connect(now, connect).unwrap()
    });
    wait(stage, stage.alice, call, Duration::from_secs(100));
    let label = label(stage, stage.alice, call);
    (call, label)
}

/// Every SIP request that left a host: when, over what, to whom.
pub(crate) fn requests(stage: &Stage, host: HostId, method: &str) -> Vec<(Duration, String)> {
    use simulator::Action;
    let start = format!("{method} sip");
    let mut requests = Vec::new();
    for step in stage
        .world
        .trace()
        .steps()
        .iter()
        .filter(|step| step.host == host)
    {
        let (kind, to, payload) = match &step.action {
            Action::Send { to, payload, .. } => ("udp", to, payload),
            Action::Write { to, payload, .. } => ("tcp", to, payload),
            _ => continue,
        };
        if payload.starts_with(start.as_bytes()) {
            requests.push((step.at, format!("{kind} {to}")));
        }
    }
    requests
}

fn answered(stage: &mut Stage) {
    let bob = stage.bob();
    stage.answer(bob, Duration::ZERO, Duration::ZERO);
}

fn called(zone: &'static str, uri: &'static str) -> (String, Vec<String>, Vec<String>) {
    play(&asking(1, &[53]), |stage| {
        let server = serve(stage, 53, zone);
        answered(stage);
        let (_, label) = call(stage, uri);
        let ways = requests(stage, stage.alice, "INVITE");
        let mut ways: Vec<String> = ways.into_iter().map(|(_, way)| way).collect();
        ways.dedup();
        (label, asked(stage, server), ways)
    })
}

/// RFC 3263, 4.1: the order of the domain's NAPTR records chooses TCP, although it would also have UDP.
#[test]
fn dnl_06_a_call_goes_by_naptr_srv_and_address() {
    let (label, asked, ways) = called(ZONE, "sip:bob@example.com");
    assert_eq!(label, "connected");
    assert_eq!(ways, ["tcp 10.0.0.2:5060"]);
    assert_eq!(asked[0], "NAPTR example.com");
    assert!(
        asked.contains(&"SRV _sip._tcp.example.com".to_owned()),
        "{asked:?}"
    );
    // The agents have IPv4 only: no AAAA is asked for.
    assert_eq!(asked.last().map(String::as_str), Some("A bob.example.com"));
}

#[test]
fn dnl_06_without_naptr_srv_decides_and_without_srv_the_address() {
    const SRV_ONLY: &str = "
        _sip._udp.example.com. 60 SRV 1 1 5060 bob.example.com.
        bob.example.com. 60 A 10.0.0.2
        example.com. 60 A 10.0.0.77
    ";
    let (label, _, ways) = called(SRV_ONLY, "sip:bob@example.com");
    assert_eq!(
        (&*label, ways),
        ("connected", vec!["udp 10.0.0.2:5060".to_owned()])
    );
    const ADDRESS_ONLY: &str = "example.com. 60 A 10.0.0.2";
    let (label, asked, ways) = called(ADDRESS_ONLY, "sip:bob@example.com");
    assert_eq!(
        (&*label, ways),
        ("connected", vec!["udp 10.0.0.2:5060".to_owned()])
    );
    let kinds: Vec<&str> = asked
        .iter()
        .filter_map(|text| text.split(' ').next())
        .collect();
    let last_srv = kinds.iter().rposition(|kind| *kind == "SRV");
    assert_eq!(kinds.first(), Some(&"NAPTR"));
    assert!(
        last_srv < kinds.iter().position(|kind| *kind == "A"),
        "{kinds:?}"
    );
}

/// RFC 3263, 4.2: a port, or an address, is asked no NAPTR and no SRV.
#[test]
fn dnl_05_a_port_or_an_address_means_no_naptr_and_no_srv() {
    let (label, asked, ways) = called(ZONE, "sip:bob@bob.example.com:5060");
    assert_eq!(
        (&*label, asked),
        ("connected", vec!["A bob.example.com".to_owned()])
    );
    assert_eq!(ways, ["udp 10.0.0.2:5060"]);
    let (label, asked, _) = called(ZONE, "sip:bob@10.0.0.2");
    assert_eq!((&*label, asked), ("connected", Vec::<String>::new()));
}

/// RFC 3263, 4.1: the parameter makes NAPTR needless; `sips` never leaves TLS.
#[test]
fn dnl_07_the_transport_parameter_and_dnl_08_sips_are_obeyed() {
    let (label, asked, ways) = called(ZONE, "sip:bob@example.com;transport=udp");
    assert_eq!(
        (&*label, ways),
        ("connected", vec!["udp 10.0.0.2:5060".to_owned()])
    );
    assert_eq!(asked, ["SRV _sip._udp.example.com", "A bob.example.com"]);
    // The agents have no TLS.
    let (label, asked, ways) = called(ZONE, "sips:bob@example.com");
    assert_eq!((&*label, ways.len(), asked.len()), ("503", 0, 0));
}

/// DNL-18, RFC 2782: over many seeds a target of weight 30 is first about three times as often as one
/// of weight 10, and all of one priority come before the next.
#[test]
fn dnl_18_srv_weights_decide_over_many_seeds() {
    const WEIGHTED: &str = "
        _sip._udp.example.com. 3600 SRV 1 30 5060 a.example.com.
        _sip._udp.example.com. 3600 SRV 1 10 5060 b.example.com.
        _sip._udp.example.com. 3600 SRV 2 900 5060 c.example.com.
        a.example.com. 3600 A 10.0.0.21
        b.example.com. 3600 A 10.0.0.22
        c.example.com. 3600 A 10.0.0.23
    ";
    let mut firsts = [0; 2];
    for seed in 0..4 {
        let mut stage = Stage::new(asking(seed, &[53]));
        serve(&mut stage, 53, WEIGHTED);
        for _ in 0..100 {
            let targets = lookup::sip(&mut stage, "sip:example.com;transport=udp").unwrap();
            let hosts: Vec<&str> = targets
                .iter()
                .map(|t| &t["udp 10.0.0.".len()..][..2])
                .collect();
            assert_eq!(hosts[2], "23", "{hosts:?}");
            firsts[usize::from(hosts[0] == "22")] += 1;
        }
    }
    // 300 : 100 expected; four standard deviations are 35.
    assert!((265..=335).contains(&firsts[0]), "{firsts:?}");
}

/// A registrar of example.com at 10.0.0.9.
fn registrar(stage: &mut Stage) -> HostId {
    let mut proxy = Proxy::new(SocketAddr::new(ip(9), 5060));
    proxy.add_name("example.com", ip(9));
    proxy.set_registrar(Registrar::new(Rules::default()));
    stage.world.add_host("registrar", &[ip(9)], proxy)
}

/// True if the agent says that it is registered.
pub(crate) fn is_registered(stage: &Stage, host: HostId) -> bool {
    stage.world.node::<UserAgent>(host).is_registered(None)
}

/// RGN by name: the registrar is found like everybody else, over TCP and over UDP, and refreshed without
/// asking again while the answers live.
#[test]
fn dnl_04_a_registration_finds_its_registrar_by_name() {
    const TCP: &str = r#"
        example.com. 3000 NAPTR 1 1 "s" "SIP+D2T" "" _sip._tcp.example.com.
        _sip._tcp.example.com. 3000 SRV 1 1 5060 edge.example.com.
        edge.example.com. 3000 A 10.0.0.9
    "#;
    const UDP: &str = "
        example.com. 3000 SOA 3000
        _sip._udp.example.com. 3000 SRV 1 1 5060 edge.example.com.
        edge.example.com. 3000 A 10.0.0.9
    ";
    for (zone, way) in [(TCP, "tcp 10.0.0.9:5060"), (UDP, "udp 10.0.0.9:5060")] {
        play(&asking(2, &[53]), |stage| {
            let server = serve(stage, 53, zone);
            registrar(stage);
            let alice = stage.alice;
            stage.agent(alice, "register", |agent, now| {
                agent.register(now, None).unwrap()
            });
            stage.world.run_for(Duration::from_secs(1));
            assert!(is_registered(stage, alice), "{zone}");
            assert!(!asked(stage, server).is_empty());
            // 300 s are asked for: several refreshes, by what is known.
            stage.world.run_for(Duration::from_secs(1_000));
            assert_eq!(asked(stage, server), Vec::<String>::new());
            let ways = requests(stage, alice, "REGISTER");
            assert!(ways.len() >= 4, "{ways:?}");
            assert!(ways.iter().all(|(_, other)| other == way), "{ways:?}");
            stage.agent(alice, "unregister", |agent, now| {
                agent.unregister(now, None).unwrap();
            });
            stage.world.run_for(Duration::from_secs(1));
            assert!(!is_registered(stage, alice));
        });
    }
}

/// DNL-14 as a caller sees it (RFC 3261, 8.1.3.1): who has no address cannot be called.
#[test]
fn dnl_14_a_name_that_does_not_exist_fails_the_call() {
    let (label, _, ways) = called(ZONE, "sip:bob@nowhere.example.com");
    assert_eq!((&*label, ways.len()), ("503", 0));
}

/// The events of lookups that a host was told, without those of the application's own commands.
fn traces(stage: &Stage, host: HostId) -> Vec<&LookupEvent> {
    let mut traces = Vec::new();
    for told in &stage.world.host(host).inbox().notifications {
        if let Event::Lookup(_, event) = &told.event {
            traces.push(event);
        }
    }
    traces
}
