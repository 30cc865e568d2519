//! TLS, by rustls itself at both ends of every connection.
//!
//! What passes on the wire is different in every run, and is not compared; its shape is the same. What is
//! compared is what the agents hear and say inside, byte by byte: their recordings, of two runs and of a
//! replay, which has no cryptography at all and takes what the filter said.

mod authority;
mod terminator;

use crate::runs::seeds;
use authority::{STRANGE, Shown, TRUSTED};
use base::{LinkError, TlsError};
use simulator::{
    Cut, HostId, PROBE, Path, ProbeFactory, World,
    server::{NameServer, Proxy, Registrar, Rules},
};
use sipsimple::{
    agent::{Account, Config, Connect, Message, SessionId, Stats, UserAgent, replay},
    event::{AccountEvent, AgentEvent, Event, MessageEvent, SessionEvent},
    stream::{StreamFactory, StreamSpec},
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::LazyLock,
    time::{Duration, Instant},
};
use terminator::Terminator;

/// Two agents, and the server of their domain or none.
struct Stage {
    world: World,
    alice: HostId,
    bob: HostId,
    server: HostId,
}

/// How a stage is set up.
#[derive(Clone, Copy, Debug)]
struct Setup {
    seed: u64,
    loss: f64,
    /// What the server shows.
    shown: &'static LazyLock<Shown>,
    /// One agent calls the other without the server.
    is_direct: bool,
}

impl Setup {
    /// All conditions under which everything must be as it should be.
    fn all(shown: &'static LazyLock<Shown>) -> impl Iterator<Item = Self> {
        let of_seed = move |seed| {
            [0.0, 0.1].map(|loss| Self {
                seed: seed * 2 + u64::from(loss > 0.0),
                loss,
                shown,
                is_direct: false,
            })
        };
        (0..seeds()).flat_map(of_seed)
    }
}

impl Stage {
    fn new(setup: Setup) -> Self {
        let mut world = World::new(setup.seed);
        world.set_cut(match setup.seed % 3 {
            0 => Cut::Whole,
            _ => Cut::Random,
        });
        let [alice, bob] = [("alice", 1), ("bob", 2)].map(|(user, last)| {
            let agent = UserAgent::new(world.now(), config(setup, user));
            world.add_host(user, &[ip(last)], agent)
        });
        let names = NameServer::new(SocketAddr::new(ip(53), 53), ZONE);
        world.add_host("names", &[ip(53)], names);
        let mut proxy = Proxy::new(SocketAddr::new(ip(9), 5061));
        proxy.set_secured();
        proxy.add_name("example.com", ip(9));
        proxy.set_registrar(Registrar::new(Rules::default()));
        let server = Terminator::new(proxy, setup.shown.server());
        let server = world.add_host("server", &[ip(9)], server);
        world.run_for(SECOND);
        if setup.loss > 0.0 {
            world.set_default_path(Path::lossy(setup.loss));
        }
        Self {
            world,
            alice,
            bob,
            server,
        }
    }

    fn agent<R>(&mut self, host: HostId, act: impl FnOnce(&mut UserAgent, Instant) -> R) -> R {
        self.world.command(host, "command", act)
    }

    fn events(&self, host: HostId) -> impl Iterator<Item = &Event> {
        let told = &self.world.host(host).inbox().notifications;
        told.iter().map(|told| &told.event)
    }

    /// Runs until a host has been told that.
    fn until(&mut self, host: HostId, what: &str, is_it: impl Fn(&Event) -> bool) {
        for _ in 0..1_200 {
            if self.events(host).any(&is_it) {
                return;
            }
            self.world.run_for(SECOND / 10);
        }
        panic!("no {what}:\n{}", self.world.trace().ladder());
    }

    fn register(&mut self, host: HostId) {
        self.agent(host, |agent, now| agent.register(now, None))
            .unwrap();
    }

    /// One writes to the other, and again where the name could not be found: each question is asked three times
    /// only, and all of them may be lost.
    fn message(&mut self, to: &str) {
        let is_it = |event: &Event| {
            let Event::Message(_, MessageEvent::GotMessage(message)) = event else {
                return false;
            };
            let content = message.content.as_ref();
            content.is_some_and(|content| content.body == TEXT)
        };
        let is_lost = |event: &Event| {
            let Event::Message(_, MessageEvent::GotResponse { reason, .. }) = event else {
                return false;
            };
            reason.starts_with("name resolution")
        };
        let (alice, bob) = (self.alice, self.bob);
        let mut sent = 0;
        for _ in 0..1_200 {
            if self.events(bob).any(is_it) {
                return;
            }
            if sent < MESSAGES && self.events(alice).filter(|event| is_lost(event)).count() == sent
            {
                let message = Message::new(to.parse().unwrap(), TEXT);
                self.agent(alice, |agent, now| agent.send_message(now, message))
                    .unwrap();
                sent += 1;
            }
            self.world.run_for(SECOND / 10);
        }
        panic!("no message:\n{}", self.world.trace().ladder());
    }

    /// One calls the other, and one of them ends it.
    fn call(&mut self, to: &str, caller_ends: bool) {
        let (alice, bob) = (self.alice, self.bob);
        let is_new =
            |event: &Event| matches!(event, Event::Session(_, SessionEvent::NewIncoming { .. }));
        self.world
            .react(bob, SECOND / 10, is_new, |world, host, event| {
                if let Event::Session(id, SessionEvent::NewIncoming { streams, .. }) = event {
                    world.command(host, "accept", |agent: &mut UserAgent, now| {
                        agent.accept(now, *id, streams).unwrap();
                    });
                }
            });
        let connect = Connect::new(to.parse().unwrap(), vec![StreamSpec::new(PROBE)]);
        let outgoing = self
            .agent(alice, |agent, now| agent.connect(now, connect))
            .unwrap();
        let has_begun =
            |event: &Event| matches!(event, Event::Session(_, SessionEvent::DidStart { .. }));
        for host in [alice, bob] {
            self.until(host, "call", has_begun);
        }
        self.world.run_for(5 * SECOND);
        let incoming = self.events(bob).find_map(|event| match event {
            Event::Session(id, SessionEvent::NewIncoming { .. }) => Some(*id),
            _ => None,
        });
        let (host, id): (HostId, SessionId) = match caller_ends {
            true => (alice, outgoing),
            false => (bob, incoming.unwrap()),
        };
        self.agent(host, |agent, now| agent.end(now, id)).unwrap();
        let is_over =
            |event: &Event| matches!(event, Event::Session(_, SessionEvent::DidEnd { .. }));
        for host in [alice, bob] {
            self.until(host, "end of the call", is_over);
        }
    }

    /// What the handshakes of an agent have led to: whom it wanted, and the error.
    fn handshakes(&self, host: HostId) -> Vec<(String, Option<LinkError>)> {
        let handshakes = self.events(host).filter_map(|event| match event {
            Event::Agent(AgentEvent::TlsDidStart { wanted, .. }) => Some((wanted.clone(), None)),
            Event::Agent(AgentEvent::TlsDidFail { wanted, error, .. }) => {
                Some((wanted.clone(), Some(*error)))
            }
            _ => None,
        });
        handshakes.collect()
    }

    /// Ends everything: nothing is left, nothing was wrong, and nothing could be read on the way.
    fn finish(mut self) -> Vec<Vec<u8>> {
        for host in [self.alice, self.bob] {
            self.agent(host, |agent, now| agent.shutdown(now));
        }
        self.world.run_for(200 * SECOND);
        let mut recordings = Vec::new();
        for host in [self.alice, self.bob] {
            let agent = self.world.node::<UserAgent>(host);
            assert_eq!(agent.stats(), Stats::default());
            recordings.extend(self.world.host(host).recordings().iter().cloned());
        }
        assert_eq!(self.world.violations(), []);
        let wire = self.world.trace().lines();
        assert!(!wire.contains("SIP/2.0"), "{wire}");
        for recording in &recordings {
            let factories: Vec<Box<dyn StreamFactory>> = vec![Box::new(ProbeFactory::default())];
            let report = replay(self.world.start(), recording, factories).unwrap();
            assert_eq!(report.difference, None);
        }
        recordings
    }
}

/// Plays a scenario twice: inside of TLS both runs are the same, byte by byte.
fn play(setup: Setup, scenario: impl Fn(&mut Stage)) {
    let run = || {
        let mut stage = Stage::new(setup);
        scenario(&mut stage);
        stage.finish()
    };
    let (first, second) = (run(), run());
    assert!(first.iter().all(|recording| !recording.is_empty()));
    assert!(first == second, "{setup:?}: not twice alike");
}

fn config(setup: Setup, user: &str) -> Config {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&setup.seed.to_le_bytes());
    seed[8] = user.len() as u8;
    let mut config = Config::new(seed, Duration::from_secs(1_735_689_600));
    // Of datagrams there is only what names are asked by.
    config.udp_port = Some(5060);
    config.tcp_port = None;
    config.tls_port = Some(5061);
    let mut tls = TRUSTED.config();
    // Who has a certificate listens, and is connected to; who has none is reached by his own connection.
    if setup.is_direct && user == "bob" {
        tls.identity = Some(BOB.identity());
    }
    config.tls = Some(tls);
    config.name_servers = vec![SocketAddr::new(ip(53), 53)];
    config.record = true;
    config.factories.push(Box::new(ProbeFactory::default()));
    let mut account = Account::default();
    account.uri = format!("sip:{user}@example.com").parse().ok();
    if !setup.is_direct {
        account.outbound_proxy = "sip:example.com;transport=tls;lr".parse().ok();
    }
    config.accounts.push(account);
    config
}

fn ip(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

/// ENG-10, ENG-12: a domain's server is found by name and proves it; registrations, messages and calls both
/// ways go by the connections of the registrations.
#[test]
fn eng_10_12_everything_goes_by_the_server_over_tls() {
    for setup in Setup::all(&SERVER) {
        play(setup, |stage| {
            let hosts = [stage.alice, stage.bob];
            for host in hosts {
                stage.register(host);
                stage.until(host, "registration", |event| {
                    let Event::Account(_, event) = event else {
                        return false;
                    };
                    matches!(event, AccountEvent::RegistrationDidSucceed { .. })
                });
            }
            stage.message("sip:bob@example.com");
            stage.call("sip:bob@example.com", setup.seed % 4 < 2);
            for host in hosts {
                let wanted = ("example.com".to_owned(), None);
                assert_eq!(stage.handshakes(host), [wanted]);
            }
        });
    }
}

/// One agent listens and shows a certificate for its name, the other one connects to it.
#[test]
fn eng_14_an_agent_that_shows_a_certificate_is_called_over_tls() {
    for setup in Setup::all(&SERVER) {
        let setup = Setup {
            is_direct: true,
            ..setup
        };
        play(setup, |stage| {
            stage.message("sips:bob@bob.example");
            stage.call("sips:bob@bob.example", setup.seed % 4 < 2);
            let wanted = ("bob.example".to_owned(), None);
            assert_eq!(stage.handshakes(stage.alice), [wanted]);
        });
    }
}

/// RFC 5922, 7: a server with another name, of another authority, or too old hears nothing from us.
#[test]
fn eng_12_a_server_that_proves_nothing_hears_nothing() {
    for (shown, error) in [
        (&OTHER, TlsError::WrongName),
        (&UNKNOWN, TlsError::UnknownIssuer),
        (&OLD, TlsError::Expired),
    ] {
        for setup in Setup::all(shown) {
            play(setup, |stage| {
                let alice = stage.alice;
                stage.register(alice);
                // The name may be found at a later try only.
                stage.until(alice, "refusal", |event| {
                    matches!(event, Event::Agent(AgentEvent::TlsDidFail { .. }))
                });
                stage.until(alice, "failure", |event| {
                    let Event::Account(_, event) = event else {
                        return false;
                    };
                    matches!(event, AccountEvent::RegistrationDidFail { .. })
                });
                let refused = ("example.com".to_owned(), Some(LinkError::Tls(error)));
                assert_eq!(stage.handshakes(alice), [refused]);
                let server = stage.world.node::<Terminator<Proxy>>(stage.server);
                assert_eq!(server.heard, 0);
            });
        }
    }
}

/// Where one packet in ten is lost, one question in 150 has no answer.
const MESSAGES: usize = 5;
const SECOND: Duration = Duration::from_secs(1);
const TEXT: &str = "under the rose";
const ZONE: &str = "example.com. 3600 A 10.0.0.9\nbob.example. 3600 A 10.0.0.2";
static SERVER: LazyLock<Shown> = LazyLock::new(|| TRUSTED.sign("example.com", 2030));
static BOB: LazyLock<Shown> = LazyLock::new(|| TRUSTED.sign("bob.example", 2030));
static OTHER: LazyLock<Shown> = LazyLock::new(|| TRUSTED.sign("example.org", 2030));
static UNKNOWN: LazyLock<Shown> = LazyLock::new(|| STRANGE.sign("example.com", 2030));
static OLD: LazyLock<Shown> = LazyLock::new(|| TRUSTED.sign("example.com", 2025));
