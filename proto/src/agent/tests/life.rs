//! Start and end.

use super::{World, config, origin};
use crate::{
    agent::{Account, Input, Interface, InterfaceKind, Output, Stats, System, UserAgent},
    event::{AgentEvent, Event},
};
use base::LinkError;
use std::{net::IpAddr, time::Duration};

const TICK: Duration = Duration::from_millis(10);

#[test]
fn an_agent_says_where_it_listens_and_ends_with_nothing_open() {
    let mut world = World::new(vec![config(1)]);
    world.run(TICK);
    assert_eq!(world.names(0), ["SIPEngineWillStart", "SIPEngineDidStart"]);
    let listening: Vec<String> = world.hosts[0]
        .agent
        .listening()
        .iter()
        .map(|at| format!("{} {}", at.transport, at.address))
        .collect();
    assert_eq!(listening, ["udp 10.0.0.1:5060", "tcp 10.0.0.1:5060"]);
    assert_eq!(world.hosts[0].agent.stats(), Stats::default());
    world.command(0, |agent, now| agent.shutdown(now));
    world.run(TICK);
    world.command(0, |agent, now| agent.shutdown(now));
    assert_eq!(world.names(0)[2..], ["SIPEngineWillEnd", "SIPEngineDidEnd"]);
    assert_eq!(world.hosts[0].agent.stats(), Stats::default());
    assert_eq!(world.hosts[0].agent.poll_timeout(), None);
    assert!(world.hosts[0].agent.listening().is_empty());
}

#[test]
fn debug_shows_no_secret() {
    let mut config = config(1);
    let secret = base::digest::Secret::Password("hunter2".to_owned());
    let credentials = sip::auth::Credentials::new("*", "alice", secret);
    let mut account = Account::default();
    account.credentials.push(credentials);
    config.accounts.push(account);
    config.seed = [0x5a; 32];
    let shown = format!("{config:?}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("90, 90"),
        "{shown}"
    );
    let mut agent = UserAgent::new(origin(), config);
    let shown = format!("{agent:?}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("104, 117, 110"),
        "{shown}"
    );
    let record = String::from_utf8(agent.take_record()).unwrap();
    assert!(record.contains("hunter2"), "a recording can be replayed");
}

#[test]
fn without_addresses_the_interfaces_tell() {
    let mut config = config(1);
    config.addresses = Vec::new();
    config.tcp_port = None;
    let mut agent = UserAgent::new(origin(), config);
    while let Some(output) = agent.poll_output() {
        assert!(matches!(output, Output::Notify(_)), "{output:?}");
    }
    let interface = |address: [u8; 4], kind, default_route| Interface {
        name: String::new(),
        index: 1,
        address: IpAddr::from(address),
        prefix: 24,
        kind,
        default_route,
    };
    let interfaces = vec![
        interface([127, 0, 0, 1], InterfaceKind::Loopback, false),
        interface([10, 9, 9, 9], InterfaceKind::Virtual, false),
        interface([10, 0, 0, 5], InterfaceKind::Wired, true),
    ];
    agent.handle_input(origin(), Input::System(System::Interfaces(interfaces)));
    let outputs: Vec<Output> = std::iter::from_fn(|| agent.poll_output()).collect();
    assert_eq!(outputs.len(), 1);
    let text = format!("{outputs:?}");
    assert!(text.contains("bind: 10.0.0.5:5060"), "{text}");
}

#[test]
fn an_unspecified_address_is_every_address_of_its_family() {
    let mut config = config(1);
    config.addresses = vec!["0.0.0.0".parse().unwrap()];
    config.udp_port = None;
    let mut agent = UserAgent::new(origin(), config);
    let interface = |address: &str| Interface {
        name: String::new(),
        index: 1,
        address: address.parse().unwrap(),
        prefix: 24,
        kind: InterfaceKind::Other,
        default_route: false,
    };
    let interfaces = ["127.0.0.1", "10.0.0.5", "2001:db8::1", "10.0.0.5"].map(interface);
    agent.handle_input(
        origin(),
        Input::System(System::Interfaces(interfaces.into())),
    );
    let outputs: Vec<String> = std::iter::from_fn(|| agent.poll_output())
        .filter(|output| matches!(output, Output::Open { .. }))
        .map(|output| format!("{output:?}"))
        .collect();
    assert_eq!(outputs.len(), 2);
    assert!(outputs[0].contains("127.0.0.1:5060") && outputs[1].contains("10.0.0.5:5060"));
}

#[test]
fn an_agent_that_cannot_open_a_socket_fails_once() {
    let mut agent = UserAgent::new(origin(), config(1));
    let mut links = Vec::new();
    while let Some(output) = agent.poll_output() {
        if let Output::Open { link, .. } = output {
            links.push(link);
        }
    }
    for link in links {
        let error = Some(LinkError::AddressInUse);
        agent.handle_input(origin(), Input::Closed { link, error });
    }
    let outputs = std::iter::from_fn(|| agent.poll_output());
    let failed = outputs.filter(|output| match output {
        Output::Notify(notification) => matches!(
            notification.event,
            Event::Agent(AgentEvent::DidFail {
                error: LinkError::AddressInUse
            })
        ),
        _ => false,
    });
    assert_eq!(failed.count(), 1);
}
