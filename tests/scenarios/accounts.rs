//! Several accounts of one agent, at a registrar and behind a proxy.

use simulator::{
    HostId, PROBE, ProbeFactory, World,
    server::{Gate, Proxy, Registrar, Rules},
};
use sip::{
    AccountId,
    auth::{Asker, Credentials, Policy},
};
use sipsimple::{
    agent::{Account, Config, Connect, ConnectError, Message, UserAgent, replay},
    event::{AccountEvent, AgentEvent, Event, MessageEvent, SessionEvent},
    stream::{StreamFactory, StreamSpec},
};
use std::{net::IpAddr, time::Duration};

const PROXY: &str = "10.0.0.9:5060";
const USERS: [(&str, &str); 2] = [("alice", "wonderland"), ("bob", "zanzibar")];

fn ip(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

fn account(user: &str, password: &str) -> Account {
    let secret = base::digest::Secret::Password(password.to_owned());
    let mut account = Account::default();
    account.uri = format!("sip:{user}@example.com").parse().ok();
    account.credentials = vec![Credentials::new("example.com", user, secret)];
    account.outbound_proxy = format!("sip:{PROXY};lr").parse().ok();
    account
}

struct Stage {
    world: World,
    host: HostId,
    proxy: HostId,
}

impl Stage {
    /// An agent with two accounts, each registered with its own password.
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let mut config = Config::new([7; 32], Duration::from_secs(1_735_689_600));
        config.udp_port = Some(5060);
        config.tcp_port = Some(5060);
        config.record = true;
        config.factories.push(Box::new(ProbeFactory::default()));
        config.accounts = USERS.map(|(user, password)| account(user, password)).into();
        let agent = UserAgent::new(world.now(), config);
        let host = world.add_host("agent", &[ip(1)], agent);
        let mut proxy = Proxy::new(PROXY.parse().unwrap());
        proxy.add_name("example.com", ip(9));
        let gate = |asker| {
            let mut policy = Policy::new("example.com");
            policy.asker = asker;
            let mut gate = Gate::new(policy, [4; 32]);
            for (user, password) in USERS {
                gate.add_user(user, password);
            }
            gate
        };
        let mut registrar = Registrar::new(Rules::default());
        registrar.set_gate(gate(Asker::Server));
        proxy.set_registrar(registrar);
        proxy.set_gate(gate(Asker::Proxy));
        let proxy = world.add_host("proxy", &[ip(9)], proxy);
        let mut stage = Self { world, host, proxy };
        stage.world.run_for(Duration::from_secs(1));
        for account in stage.accounts() {
            stage
                .agent(|agent, now| agent.register(now, Some(account)))
                .unwrap();
        }
        stage.world.run_for(Duration::from_secs(1));
        stage
    }

    fn agent<R>(&mut self, act: impl FnOnce(&mut UserAgent, std::time::Instant) -> R) -> R {
        self.world.command(self.host, "command", act)
    }

    fn accounts(&self) -> Vec<AccountId> {
        self.world.node::<UserAgent>(self.host).accounts().to_vec()
    }

    fn events(&self) -> impl Iterator<Item = &Event> {
        let told = &self.world.host(self.host).inbox().notifications;
        told.iter().map(|told| &told.event)
    }

    fn registered(&self) -> Vec<bool> {
        let agent = self.world.node::<UserAgent>(self.host);
        let all = agent.accounts().iter();
        all.map(|&id| agent.is_registered(Some(id))).collect()
    }

    /// The recording says the same again.
    fn replay(&self) {
        for recording in self.world.host(self.host).recordings() {
            let factories: Vec<Box<dyn StreamFactory>> = vec![Box::new(ProbeFactory::default())];
            let report = replay(self.world.start(), recording, factories).unwrap();
            assert_eq!(report.difference, None);
        }
    }
}

/// One account calls the other: the proxy brings the INVITE back to the agent that sent it, with the
/// same Call-ID, From tag and CSeq. That is neither a loop nor a merged request; and if another name of the
/// callee is called, the request passes the proxy twice, which is a spiral (RFC 3261, 6).
fn spiral(callee: &str) -> Stage {
    let mut stage = Stage::new(3);
    let proxy = stage.proxy;
    stage.world.command(proxy, "bind", |proxy: &mut Proxy, _| {
        proxy.bind("reception", &["sip:bob@example.com".parse().unwrap()]);
    });
    assert_eq!(stage.registered(), [true, true]);
    let [alice, bob] = stage.accounts()[..] else {
        panic!("two accounts");
    };
    let incoming =
        |event: &Event| matches!(event, Event::Session(_, SessionEvent::NewIncoming { .. }));
    let host = stage.host;
    stage.world.react(
        host,
        Duration::from_millis(100),
        incoming,
        |world, host, event| {
            if let Event::Session(id, SessionEvent::NewIncoming { streams, .. }) = event {
                world.command(host, "accept", |agent: &mut UserAgent, now| {
                    agent.accept(now, *id, streams).unwrap();
                });
            }
        },
    );
    let mut call = Connect::new(
        format!("sip:{callee}@example.com").parse().unwrap(),
        vec![StreamSpec::new(PROBE)],
    );
    call.account = Some(alice);
    let outgoing = stage.agent(|agent, now| agent.connect(now, call)).unwrap();
    stage.world.run_for(Duration::from_secs(2));
    let incoming = stage.events().find_map(|event| match event {
        Event::Session(id, SessionEvent::NewIncoming { .. }) => Some(*id),
        _ => None,
    });
    let incoming = incoming.expect("a call");
    assert_ne!(incoming, outgoing);
    let agent = stage.world.node::<UserAgent>(host);
    let infos = [outgoing, incoming].map(|id| agent.session(id).expect("both live"));
    assert_eq!(infos[0].account, Some(alice));
    assert_eq!(infos[1].account, Some(bob));
    let calls = infos.map(|info| info.call.unwrap());
    assert_eq!(calls[0].call_id, calls[1].call_id);
    for id in [outgoing, incoming] {
        let started = |event: &Event| matches!(event, Event::Session(of, SessionEvent::DidStart { .. }) if *of == id);
        assert!(stage.events().any(started));
    }
    stage.agent(|agent, now| agent.end(now, incoming)).unwrap();
    stage.world.run_for(Duration::from_secs(2));
    for id in [outgoing, incoming] {
        let ended = |event: &Event| matches!(event, Event::Session(of, SessionEvent::DidEnd { .. }) if *of == id);
        assert!(stage.events().any(ended));
    }
    stage
}

#[test]
fn acc_05_12_16_smg_05_accounts_of_one_agent_call_each_other() {
    for (callee, spirals) in [("bob", 0), ("reception", 1)] {
        let (first, second) = (spiral(callee), spiral(callee));
        let difference = first.world.trace().first_difference(second.world.trace());
        assert_eq!(difference, None, "not twice alike");
        first.replay();
        let stats = first.world.node::<Proxy>(first.proxy).stats();
        assert_eq!((stats.spirals, stats.loops), (spirals, 0));
    }
}

/// SMG-05: 404 for users that no account has; messages say whose they are.
#[test]
fn amg_08_smg_05_requests_find_their_account() {
    let mut stage = Stage::new(4);
    let [alice, bob] = stage.accounts()[..] else {
        panic!("two accounts");
    };
    let mut message = Message::new("sip:alice@example.com".parse().unwrap(), "hi");
    message.account = Some(bob);
    stage
        .agent(|agent, now| agent.send_message(now, message))
        .unwrap();
    // Nobody but the agent itself can be asked for by that name.
    let mut config = Config::new([8; 32], Duration::from_secs(1_735_689_600));
    config.udp_port = Some(5060);
    let stranger = UserAgent::new(stage.world.now(), config);
    let stranger = stage.world.add_host("stranger", &[ip(3)], stranger);
    stage.world.run_for(Duration::from_secs(1));
    for user in ["carol", "alice"] {
        let to = format!("sip:{user}@10.0.0.1").parse().unwrap();
        stage
            .world
            .command(stranger, "send", |agent: &mut UserAgent, now| {
                agent.send_message(now, Message::new(to, "hello")).unwrap()
            });
    }
    stage.world.run_for(Duration::from_secs(1));
    let got: Vec<_> = stage
        .events()
        .filter_map(|event| match event {
            Event::Message(_, MessageEvent::GotMessage(message)) => message.account,
            _ => None,
        })
        .collect();
    assert_eq!(got, [alice, alice]);
    let told = &stage.world.host(stranger).inbox().notifications;
    let codes: Vec<_> = told
        .iter()
        .filter_map(|told| match &told.event {
            Event::Message(_, MessageEvent::GotResponse { code, .. }) => Some(*code),
            _ => None,
        })
        .collect();
    assert_eq!(codes, [404, 200]);
}

/// AMG-09 to AMG-12: an account that is removed takes its binding with it, and nobody speaks for it.
#[test]
fn amg_09_10_11_12_accounts_come_and_go() {
    let mut stage = Stage::new(5);
    let [alice, bob] = stage.accounts()[..] else {
        panic!("two accounts");
    };
    let told = |stage: &Stage| -> Vec<AgentEvent> {
        let agent = stage.events().filter_map(|event| match event {
            Event::Agent(event) => Some(event.clone()),
            _ => None,
        });
        agent
            .filter(|event| {
                matches!(
                    event,
                    AgentEvent::DidAddAccount { .. }
                        | AgentEvent::DidRemoveAccount { .. }
                        | AgentEvent::DidChangeDefaultAccount { .. }
                )
            })
            .collect()
    };
    stage
        .agent(|agent, now| agent.remove_account(now, alice))
        .unwrap();
    let agent = stage.world.node::<UserAgent>(stage.host);
    assert_eq!(agent.default_account(), Some(bob));
    assert!(agent.account(alice).is_none());
    let mut call = Connect::new(
        "sip:bob@example.com".parse().unwrap(),
        vec![StreamSpec::new(PROBE)],
    );
    call.account = Some(alice);
    let refused = stage.agent(|agent, now| agent.connect(now, call));
    assert_eq!(refused, Err(ConnectError::UnknownAccount));
    stage.world.run_for(Duration::from_secs(1));
    let contacts = |stage: &mut Stage, user: &str| {
        let (proxy, user) = (stage.proxy, user.to_owned());
        stage
            .world
            .command(proxy, "look", |proxy: &mut Proxy, now| {
                proxy.registrar().unwrap().contacts(now, &user).len()
            })
    };
    assert_eq!(contacts(&mut stage, "alice"), 0);
    assert_eq!(contacts(&mut stage, "bob"), 1);
    let ended = |event: &Event| matches!(event, Event::Account(id, AccountEvent::RegistrationDidEnd { .. }) if *id == alice);
    assert!(stage.events().any(ended));
    let added = stage
        .agent(|agent, now| agent.add_account(now, account("alice", "wonderland")))
        .unwrap();
    assert_ne!(added, alice, "ids are never used again");
    stage
        .agent(|agent, now| agent.set_default_account(now, added))
        .unwrap();
    stage.agent(|agent, now| agent.register(now, None)).unwrap();
    stage.world.run_for(Duration::from_secs(1));
    assert_eq!(stage.registered(), [true, true]);
    assert_eq!(contacts(&mut stage, "alice"), 1);
    let default = |old_account, account| AgentEvent::DidChangeDefaultAccount {
        old_account,
        account,
    };
    assert_eq!(
        told(&stage),
        [
            AgentEvent::DidAddAccount { account: alice },
            default(None, Some(alice)),
            AgentEvent::DidAddAccount { account: bob },
            AgentEvent::DidRemoveAccount { account: alice },
            default(Some(alice), Some(bob)),
            AgentEvent::DidAddAccount { account: added },
            default(Some(bob), Some(added)),
        ]
    );
    stage.replay();
}
