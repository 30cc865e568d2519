//! The way to the registrar: kept open, found dead, begun anew; and what becomes of a call meanwhile
//! (RFC 5626, 4.4 and 4.5).

use base::Transport;
use simulator::{
    Action, HostId, World,
    server::{Proxy, Registrar, Rules},
};
use sipsimple::{
    agent::{Account, Config, Publish, UserAgent},
    event::{AccountEvent, AgentEvent, Event, Notification},
};
use std::{net::IpAddr, time::Duration};

const SECOND: Duration = Duration::from_secs(1);
const REGISTRAR: &str = "10.0.0.9:5060";

struct Stage {
    world: World,
    bob: HostId,
    registrar: HostId,
}

fn ip(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

fn registrar() -> Proxy {
    let mut proxy = Proxy::new(REGISTRAR.parse().unwrap());
    proxy.add_name("example.com", ip(9));
    proxy.set_registrar(Registrar::new(Rules::default()));
    proxy
}

impl Stage {
    /// Bob, registered for a long time.
    fn new(transport: Transport, instance: bool, configure: impl Fn(&mut Config)) -> Self {
        let mut world = World::new(5);
        let mut config = Config::new([6; 32], Duration::from_secs(1_735_689_600));
        config.udp_port = Some(5060);
        config.tcp_port = Some(5060);
        let mut account = Account::default();
        account.uri = Some("sip:bob@example.com".parse().unwrap());
        let proxy = format!("sip:{REGISTRAR};lr;transport={transport}");
        account.outbound_proxy = Some(proxy.parse().unwrap());
        account.register_expires = 3_600 * SECOND;
        account.instance_id =
            instance.then(|| "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6".to_owned());
        config.accounts.push(account);
        configure(&mut config);
        let agent = UserAgent::new(world.now(), config);
        let bob = world.add_host("bob", &[ip(2)], agent);
        let registrar = world.add_host("registrar", &[ip(9)], registrar());
        world.run_for(SECOND);
        let mut stage = Self {
            world,
            bob,
            registrar,
        };
        stage.agent(|agent, now| agent.register(now, None).unwrap());
        stage.world.run_for(SECOND);
        assert!(stage.agent(|agent, _| agent.is_registered(None)));
        stage
    }

    fn agent<R>(&mut self, act: impl FnOnce(&mut UserAgent, std::time::Instant) -> R) -> R {
        self.world.command(self.bob, "act", act)
    }

    /// What bob was told since the last time, as far as `pick` wants it, with its moment.
    fn told<T>(&mut self, pick: impl Fn(&Event) -> Option<T>) -> Vec<(Duration, T)> {
        let start = self.world.start();
        let told = self.world.take_inbox(self.bob).notifications.into_iter();
        let at = |told: Notification| Some((told.at - start, pick(&told.event)?));
        told.filter_map(at).collect()
    }

    /// The steps of the trace from `from` on that `wants` picks.
    fn steps(&self, from: usize, wants: impl Fn(&Action) -> bool) -> usize {
        let steps = self.world.trace().steps()[from..].iter();
        steps.filter(|step| wants(&step.action)).count()
    }

    fn now(&self) -> usize {
        self.world.trace().steps().len()
    }
}

/// `flow failed` and `registered`.
fn story(event: &Event) -> Option<&'static str> {
    match event {
        Event::Account(_, AccountEvent::RegistrationFlowDidFail { .. }) => Some("flow failed"),
        Event::Account(_, AccountEvent::RegistrationDidSucceed { .. }) => Some("registered"),
        Event::Account(_, AccountEvent::RegistrationDidFail { .. }) => Some("not registered"),
        _ => None,
    }
}

/// A translator forgets a connection, and nobody is told: pings find out within their pause and 10 s, and
/// the registrar is reached anew after 15 to 30 s (users of other stacks wait for ever).
#[test]
fn rfc_5626_a_half_open_connection_is_found_and_replaced() {
    let mut stage = Stage::new(Transport::Tcp, true, |_| {});
    // As long as the peer answers, nothing happens.
    stage.world.run_for(600 * SECOND);
    assert_eq!(stage.told(story).len(), 1);
    let before = stage.world.elapsed();
    stage.world.cut_path(stage.bob, stage.registrar);
    let mut told = Vec::new();
    while told.is_empty() && stage.world.elapsed() < before + 131 * SECOND {
        stage.world.run_for(SECOND);
        told = stage.told(story);
    }
    stage.world.mend_path(stage.bob, stage.registrar);
    stage.world.run_for(60 * SECOND);
    told.extend(stage.told(story));
    let names: Vec<_> = told.iter().map(|(_, name)| *name).collect();
    assert_eq!(names, ["flow failed", "registered"], "{told:?}");
    let found = told[0].0 - before;
    assert!(found <= 131 * SECOND, "{found:?}");
    let wait = told[1].0 - told[0].0;
    assert!((14 * SECOND..=31 * SECOND).contains(&wait), "{wait:?}");
    let ends = stage.world.connection_ends();
    assert_eq!(ends.len(), 1, "one connection, not two: {ends:?}");
}

#[test]
fn who_does_not_want_it_sends_no_sign_of_life() {
    for (transport, wanted) in [
        (Transport::Tcp, true),
        (Transport::Udp, true),
        (Transport::Tcp, false),
        (Transport::Udp, false),
    ] {
        let mut stage = Stage::new(transport, false, |config| {
            config.sip.keep_alive.without_outbound = wanted;
        });
        let from = stage.now();
        stage.world.run_for(600 * SECOND);
        let signs = stage.steps(from, |action| {
            matches!(action, Action::Send { to, .. } | Action::Write { to, .. }
                if to.to_string() == REGISTRAR)
        });
        let expected = match (transport, wanted) {
            (_, false) => 0..=0,
            (Transport::Udp, _) => 20..=26,
            (_, true) => 5..=7,
        };
        assert!(expected.contains(&signs), "{transport}: {signs}");
    }
}

/// RFC 5626, 4.5: a registrar that restarts is not met by everybody at once, and our binding is there
/// again before a minute has passed.
#[test]
fn rfc_5626_a_registrar_that_restarts_gets_its_binding_back() {
    let mut stage = Stage::new(Transport::Tcp, false, |_| {});
    stage.world.reset_connections(stage.bob, stage.registrar);
    stage
        .world
        .command(stage.registrar, "restart", |proxy: &mut Proxy, _| {
            proxy.restart();
        });
    stage.world.run_for(60 * SECOND);
    let told = stage.told(story);
    let names: Vec<_> = told.iter().map(|(_, name)| *name).collect();
    assert_eq!(names, ["registered", "flow failed", "registered"]);
    let now = stage.world.now();
    let contacts = stage
        .world
        .command(stage.registrar, "look", |proxy: &mut Proxy, _| {
            proxy.registrar().unwrap().contacts(now, "bob").len()
        });
    assert_eq!(contacts, 1);
}

/// APP-20: a machine that slept has dead connections, whatever its kernel believes.
#[test]
fn app_20_after_a_sleep_the_account_is_registered_over_a_new_connection() {
    let mut stage = Stage::new(Transport::Tcp, true, |_| {});
    let before = stage.world.connection_ends();
    stage.told(story);
    stage.world.suspend(stage.bob, 300 * SECOND);
    stage.world.run_for(305 * SECOND);
    let woke = stage.world.elapsed() - 5 * SECOND;
    let told = stage.told(|event| match event {
        Event::Agent(AgentEvent::NetworkConditionsDidChange { .. }) => Some("network"),
        event => story(event),
    });
    let last = told.last().unwrap();
    assert_eq!(last.1, "registered", "{told:?}");
    assert!(last.0 >= woke && last.0 <= woke + 5 * SECOND, "{told:?}");
    assert!(told.iter().any(|(_, name)| *name == "network"));
    let after = stage.world.connection_ends();
    assert!(before.iter().all(|end| !after.contains(end)), "{after:?}");
}

/// The start lines of the requests that bob sent since `from`, with the address that he sent them from.
fn requests(stage: &Stage, from: usize) -> Vec<(String, IpAddr)> {
    let steps = stage.world.trace().steps()[from..].iter();
    let sent = steps.filter_map(|step| match &step.action {
        Action::Send { from, payload, .. } if step.host == stage.bob => Some((from, payload)),
        Action::Write { from, payload, .. } if step.host == stage.bob => Some((from, payload)),
        _ => None,
    });
    let requests = sent.filter_map(|(from, payload)| {
        let text = String::from_utf8_lossy(payload).into_owned();
        let method = text.split(' ').next().unwrap_or_default().to_owned();
        (text.contains("SIP/2.0\r\n") && !method.starts_with("SIP")).then_some((method, from.ip()))
    });
    requests.collect()
}

/// APP-20: another address. The registrar hears of it first, then who publishes for us; the binding of the
/// old address does not stay, and nothing comes from it any more.
#[test]
fn app_20_another_address_is_registered_first_and_the_old_one_taken_back() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut stage = Stage::new(transport, false, |_| {});
        stage.agent(|agent, now| {
            let publish = Publish::new("presence", "application/pidf+xml", "<presence/>");
            agent.publish(now, publish).unwrap();
        });
        stage.world.run_for(SECOND);
        stage.told(story);
        let (from, moved) = (stage.now(), stage.world.elapsed());
        stage.world.set_addresses(stage.bob, &[ip(77)]);
        stage.world.run_for(5 * SECOND);
        let told = stage.told(|event| match event {
            Event::Agent(AgentEvent::NetworkConditionsDidChange { changed, .. }) => {
                assert_eq!(changed, &["ip"]);
                Some("network")
            }
            event => story(event).filter(|name| *name == "registered"),
        });
        let names: Vec<_> = told.iter().map(|(_, name)| *name).collect();
        // The second takes the old binding back.
        assert_eq!(
            names,
            ["network", "registered", "registered"],
            "{transport}"
        );
        assert!(told[1].0 - moved < 5 * SECOND, "{told:?}");
        let requests = requests(&stage, from);
        let methods: Vec<_> = requests.iter().map(|(method, _)| method.as_str()).collect();
        assert_eq!(methods[..2], ["REGISTER", "PUBLISH"], "{transport}");
        assert!(
            requests.iter().all(|(_, from)| *from == ip(77)),
            "{requests:?}"
        );
        let now = stage.world.now();
        let contacts = stage
            .world
            .command(stage.registrar, "look", |proxy: &mut Proxy, _| {
                let contacts = proxy.registrar().unwrap().contacts(now, "bob");
                contacts
                    .iter()
                    .map(|uri| uri.host().unwrap())
                    .collect::<Vec<_>>()
            });
        assert_eq!(contacts, [base::Host::Ip(ip(77))], "{transport}");
    }
}

/// Other name servers alone move nothing: the application is told, and what names meant is asked again.
#[test]
fn app_20_other_name_servers_are_told_and_nothing_moves() {
    let mut stage = Stage::new(Transport::Udp, false, |_| {});
    let servers = |last| [(ip(last), 53).into()];
    stage.world.set_name_servers(stage.bob, &servers(53));
    stage.world.run_for(5 * SECOND);
    stage.told(story);
    let from = stage.now();
    stage.world.set_name_servers(stage.bob, &servers(54));
    stage.world.run_for(5 * SECOND);
    let told = stage.told(|event| match event {
        Event::Agent(AgentEvent::NetworkConditionsDidChange { changed, .. }) => {
            Some(changed.clone())
        }
        _ => None,
    });
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].1, ["dns"]);
    assert_eq!(requests(&stage, from), []);
}
