//! Agents, and what may stand between them: the stage of most scenarios.

use base::Transport;
use sipsimple::{
    agent::{Account, Config, Connect, SessionId, UserAgent},
    event::{AgentEvent, Event, SessionEvent},
    sip::Uri,
    stream::StreamSpec,
};
use std::{
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use crate::{
    Cut, HostId, Line, Path, ProbeFactory, World,
    server::{Proxy, RecordRoute},
};

/// What stands between caller and callee.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Between {
    /// Nothing: the caller knows where the callee is.
    Nothing,
    /// A [`Proxy`] in the path of the whole call, which forks to all phones of the callee.
    Proxy(RecordRoute),
}

/// What changes a configuration, told the name of its host.
pub type Configure = Rc<dyn Fn(&str, &mut Config)>;

/// How a [`Stage`] is set up.
#[derive(Clone)]
pub struct Setup {
    /// Decides everything that chance decides.
    pub seed: u64,
    /// Over what the caller calls.
    pub transport: Transport,
    /// Over what the proxy reaches the callee; without a proxy, the caller's transport counts.
    pub callee_transport: Transport,
    /// What stands between them.
    pub between: Between,
    /// How packets travel, between all hosts.
    pub path: Path,
    /// How byte streams are cut.
    pub cut: Cut,
    /// How many phones the callee has, at least one.
    pub phones: usize,
    /// The phones belong to different people: each has an address of its own, and a call for the callee
    /// goes to the first alone.
    pub apart: bool,
    /// How many [`Line`]s there are besides.
    pub lines: usize,
    /// The addresses of a host, by its name and the last number of the first of them: `10.0.0.n` of
    /// every host at first.
    pub addresses: fn(&str, u8) -> Vec<IpAddr>,
    /// The agents record everything.
    pub record: bool,
    /// Changes the configuration of an agent before it starts; told its name.
    pub configure: Configure,
    /// The same for a line.
    pub configure_line: fn(&str, &mut sip::Config),
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            seed,
            transport,
            callee_transport,
            between,
            ..
        } = self;
        write!(
            f,
            "seed {seed}, {transport} to {callee_transport}, {between:?}, {:?}",
            self.path.loss
        )
    }
}

impl Setup {
    /// Two agents, side by side, over UDP on an ideal path.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            transport: Transport::Udp,
            callee_transport: Transport::Udp,
            between: Between::Nothing,
            path: Path::ideal(),
            cut: Cut::Random,
            phones: 1,
            apart: false,
            lines: 0,
            addresses: |_, last| vec![[10, 0, 0, last].into()],
            record: false,
            configure: Rc::new(|_, _| {}),
            configure_line: |_, _| {},
        }
    }

    fn ip(&self, name: &str, last: u8) -> IpAddr {
        (self.addresses)(name, last)[0]
    }

    /// The address of the proxy that a host can reach.
    fn proxy_for(&self, host: IpAddr) -> IpAddr {
        let all = (self.addresses)(PROXY_NAME, PROXY);
        let same = |ip: &&IpAddr| ip.is_ipv4() == host.is_ipv4();
        *all.iter().find(same).unwrap_or(&all[0])
    }

    /// The mean share of packets that the path loses.
    pub fn loss(&self) -> f64 {
        self.path.loss.mean()
    }
}

/// A world with a caller, a callee with one or more phones, and perhaps a proxy between them.
///
/// All agents know [`ProbeStream`](crate::ProbeStream)s, and whatever
/// [`configure`](Setup::configure) adds.
#[derive(Debug)]
pub struct Stage {
    /// The world, to be run.
    pub world: World,
    /// The caller.
    pub alice: HostId,
    /// The callee's phones.
    pub phones: Vec<HostId>,
    /// Endpoints without agents.
    pub lines: Vec<HostId>,
    /// The proxy.
    pub proxy: Option<HostId>,
    setup: Setup,
}

impl Stage {
    /// Sets the stage, and lets the agents start on a path that loses nothing.
    ///
    /// # Panics
    ///
    /// An agent does not start.
    pub fn new(setup: Setup) -> Self {
        let mut world = World::new(setup.seed);
        world.set_cut(setup.cut);
        let alice = add_agent(&mut world, &setup, "alice", 1);
        let phones: Vec<HostId> = (0..setup.phones.max(1))
            .map(|n| add_agent(&mut world, &setup, &phone_name(n), phone_host(n)))
            .collect();
        let lines: Vec<HostId> = (0..setup.lines)
            .map(|n| add_line(&mut world, &setup, n))
            .collect();
        let proxy = match setup.between {
            Between::Nothing => None,
            Between::Proxy(record_route) => {
                let addresses = (setup.addresses)(PROXY_NAME, PROXY);
                let mut proxy = Proxy::new(SocketAddr::new(addresses[0], PORT));
                for &further in &addresses[1..] {
                    proxy.add_address(SocketAddr::new(further, PORT));
                }
                proxy.set_record_route(record_route);
                let reach = |n| {
                    let user = match setup.apart {
                        true => phone_name(n),
                        false => phone_name(0),
                    };
                    let ip = setup.ip(&phone_name(n), phone_host(n));
                    contact(&user, ip, setup.callee_transport)
                };
                let contacts: Vec<Uri> = (0..phones.len()).map(reach).collect();
                match setup.apart {
                    false => proxy.bind("bob", &contacts),
                    true => {
                        for (n, contact) in contacts.into_iter().enumerate() {
                            proxy.bind(&phone_name(n), &[contact]);
                        }
                    }
                }
                let alice = setup.ip("alice", 1);
                proxy.bind("alice", &[contact("alice", alice, setup.transport)]);
                for n in 0..lines.len() {
                    let user = line_name(n);
                    let ip = setup.ip(&user, line_host(n));
                    let reached = contact(&user, ip, setup.callee_transport);
                    proxy.bind(&user, &[reached]);
                }
                Some(world.add_host(PROXY_NAME, &addresses, proxy))
            }
        };
        let started = |world: &World, host: HostId| {
            let events = &world.host(host).inbox().notifications;
            let did = |event: &Event| matches!(event, Event::Agent(AgentEvent::DidStart { .. }));
            events.iter().any(|notification| did(&notification.event))
        };
        world.run_for(Duration::from_secs(1));
        for &host in phones.iter().chain([&alice]) {
            assert!(started(&world, host), "{}", world.trace().lines());
        }
        world.set_default_path(setup.path.clone());
        Self {
            world,
            alice,
            phones,
            lines,
            proxy,
            setup,
        }
    }

    /// How it was set up.
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The callee's first phone.
    pub fn bob(&self) -> HostId {
        self.phones[0]
    }

    /// All agents.
    pub fn agents(&self) -> Vec<HostId> {
        [&[self.alice][..], &self.phones].concat()
    }

    /// Where the caller finds `user`: at `direct`, or at the proxy.
    fn reached(&self, user: &str, direct: IpAddr, has_proxy: bool) -> Uri {
        let host = match has_proxy {
            true => self.setup.proxy_for(self.setup.ip("alice", 1)),
            false => direct,
        };
        contact(user, host, self.setup.transport)
    }

    /// The address that calls for the callee go to.
    pub fn bob_uri(&self) -> Uri {
        self.reached("bob", self.phone_address(0), self.proxy.is_some())
    }

    /// The address that calls for one phone go to: by the proxy only where phones are
    /// [`apart`](Setup::apart).
    pub fn phone_uri(&self, n: usize) -> Uri {
        let has_proxy = self.proxy.is_some() && self.setup.apart;
        self.reached(&phone_name(n), self.phone_address(n), has_proxy)
    }

    /// The address that calls for a line go to.
    pub fn line_uri(&self, n: usize) -> Uri {
        let user = line_name(n);
        let direct = self.setup.ip(&user, line_host(n));
        self.reached(&user, direct, self.proxy.is_some())
    }

    /// Acts as a line.
    pub fn line<R>(
        &mut self,
        n: usize,
        what: &str,
        act: impl FnOnce(&mut Line, std::time::Instant) -> R,
    ) -> R {
        self.world.command(self.lines[n], what, act)
    }

    /// The address that calls for the caller go to.
    pub fn alice_uri(&self) -> Uri {
        let transport = match self.setup.between {
            Between::Nothing => self.setup.transport,
            Between::Proxy(_) => self.setup.callee_transport,
        };
        let host = match self.proxy {
            Some(_) => self.setup.proxy_for(self.phone_address(0)),
            None => self.setup.ip("alice", 1),
        };
        contact("alice", host, transport)
    }

    /// Lets the caller call the callee.
    ///
    /// # Panics
    ///
    /// The agent refuses the command.
    pub fn call(&mut self, streams: Vec<StreamSpec>) -> SessionId {
        let connect = Connect::new(self.bob_uri(), streams);
        self.agent(self.alice, "connect", |agent, now| {
            agent.connect(now, connect).expect("the agent runs")
        })
    }

    /// Commands an agent.
    pub fn agent<R>(
        &mut self,
        host: HostId,
        what: &str,
        command: impl FnOnce(&mut UserAgent, std::time::Instant) -> R,
    ) -> R {
        self.world.command(host, what, command)
    }

    /// Makes a host ring and accept every call, `ring` and `accept` after it came.
    pub fn answer(&mut self, host: HostId, ring: Duration, accept: Duration) {
        self.on_call(host, ring, |agent, now, session, _| {
            // The call may be over by now; then the command says so, and that is well.
            let _ = agent.ring(now, session);
        });
        self.on_call(host, accept, |agent, now, session, streams| {
            let _ = agent.accept(now, session, streams);
        });
    }

    /// Makes a host refuse every call with `code`.
    pub fn reject(&mut self, host: HostId, after: Duration, code: u16) {
        self.on_call(host, after, move |agent, now, session, _| {
            let _ = agent.reject(now, session, code, None);
        });
    }

    /// Does something with an agent, a while after each call that comes in.
    pub fn on_call(
        &mut self,
        host: HostId,
        after: Duration,
        act: impl Fn(&mut UserAgent, std::time::Instant, SessionId, &[sipsimple::agent::StreamId])
        + 'static,
    ) {
        let incoming =
            |event: &Event| matches!(event, Event::Session(_, SessionEvent::NewIncoming { .. }));
        self.world
            .react(host, after, incoming, move |world, host, event| {
                if let Event::Session(session, SessionEvent::NewIncoming { streams, .. }) = event {
                    world.command(host, "reaction", |agent: &mut UserAgent, now| {
                        act(agent, now, *session, streams);
                    });
                }
            });
    }

    /// The configuration of a new agent on the host called `name`, for a restart.
    pub fn config(&self, name: &str, generation: u64) -> Config {
        config(&self.setup, name, generation)
    }

    /// Where the sockets of a call's second agent are: the address of a phone.
    pub fn phone_address(&self, n: usize) -> IpAddr {
        self.setup.ip(&phone_name(n), phone_host(n))
    }
}

fn add_agent(world: &mut World, setup: &Setup, name: &str, last: u8) -> HostId {
    let agent = UserAgent::new(world.now(), config(setup, name, 0));
    world.add_host(name, &(setup.addresses)(name, last), agent)
}

fn add_line(world: &mut World, setup: &Setup, n: usize) -> HostId {
    let name = line_name(n);
    let mut config = sip::Config::new("line");
    (setup.configure_line)(&name, &mut config);
    let address = SocketAddr::new(setup.ip(&name, line_host(n)), PORT);
    let line = Line::new(world.now(), config, address, &name, seed(setup, &name, 0));
    world.add_host(&name, &[address.ip()], line)
}

fn seed(setup: &Setup, name: &str, generation: u64) -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&setup.seed.to_le_bytes());
    seed[8..16].copy_from_slice(&generation.to_le_bytes());
    for (to, from) in seed[16..].iter_mut().zip(name.bytes()) {
        *to = from;
    }
    seed
}

fn config(setup: &Setup, name: &str, generation: u64) -> Config {
    let mut config = Config::new(seed(setup, name, generation), START);
    config.udp_port = Some(PORT);
    config.tcp_port = Some(PORT);
    config.record = setup.record;
    // Phones of one callee share his address, unless each is somebody.
    let user = match name {
        "alice" => "alice",
        name if setup.apart => name,
        _ => "bob",
    };
    let mut account = Account::default();
    account.uri = format!("sip:{user}@example.com").parse().ok();
    config.accounts.push(account);
    config.factories.push(Box::new(ProbeFactory::default()));
    // RTCP shares the port of RTP in every other world.
    config.media.rtcp_mux = setup.seed.is_multiple_of(2);
    (setup.configure)(name, &mut config);
    config
}

fn contact(user: &str, ip: IpAddr, transport: Transport) -> Uri {
    let host = SocketAddr::new(ip, PORT);
    let text = format!("sip:{user}@{host};transport={transport}");
    text.parse().expect("a URI")
}

fn phone_name(n: usize) -> String {
    match n {
        0 => "bob".to_owned(),
        n => format!("bob{}", n + 1),
    }
}

/// More phones than fit into one network are a mistake of the test.
fn phone_host(n: usize) -> u8 {
    u8::try_from(n + 2).unwrap_or(u8::MAX)
}

fn line_name(n: usize) -> String {
    format!("line{}", n + 1)
}

fn line_host(n: usize) -> u8 {
    u8::try_from(n + 100).unwrap_or(u8::MAX)
}

const PORT: u16 = 5060;
const PROXY: u8 = 254;
const PROXY_NAME: &str = "proxy";
/// 2025-01-01: what the wall clock says at the beginning.
const START: Duration = Duration::from_secs(1_735_689_600);
