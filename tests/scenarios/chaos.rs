//! Chaos: calls, a registration, a publication, subscriptions and messages while links die, addresses change, servers
//! restart, the clock jumps and machines sleep, with up to 40 % of all packets lost. Whatever happened,
//! it heals: what is wanted is there again, and in the end nothing is left, neither in tables nor on
//! the heap.

use crate::{
    call::probe,
    heap,
    names::ip,
    runs::{Elsewhere, seeds, show},
    subscription::{grant, publish, tell},
};
use base::Transport;
use simulator::{
    HostId, Path, ProbeOptions, Setup, Stage,
    server::{Compositor, Proxy, Registrar, Rules},
};
use sipsimple::agent::{Connect, Message, Publish, Subscribe, SubscriptionId, UserAgent};
use std::{net::SocketAddr, rc::Rc, time::Duration};

/// What may happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Happening {
    Call,
    Answer,
    End,
    Hold,
    Unhold,
    Register,
    Publish,
    Unpublish,
    Write,
    Cut,
    Mend,
    Loss,
    Reset,
    Move,
    Sleep,
    ClockJumps,
    ServerRestarts,
    ServerForgets,
    Watch,
    Unwatch,
    Tell,
}

const ALL: [Happening; 21] = [
    Happening::Call,
    Happening::Answer,
    Happening::End,
    Happening::Hold,
    Happening::Unhold,
    Happening::Register,
    Happening::Publish,
    Happening::Unpublish,
    Happening::Write,
    Happening::Cut,
    Happening::Mend,
    Happening::Loss,
    Happening::Reset,
    Happening::Move,
    Happening::Sleep,
    Happening::ClockJumps,
    Happening::ServerRestarts,
    Happening::ServerForgets,
    Happening::Watch,
    Happening::Unwatch,
    Happening::Tell,
];

/// How many things happen in one run.
const HAPPENINGS: usize = 24;

fn setup(seed: u64) -> Setup {
    let mut setup = Setup::new(seed);
    let transport = match seed % 2 {
        0 => Transport::Udp,
        _ => Transport::Tcp,
    };
    setup.record = true;
    setup.configure = Rc::new(move |_, config| {
        let proxy = format!("sip:10.0.0.9;lr;transport={transport}");
        config.accounts[0].outbound_proxy = proxy.parse().ok();
    });
    setup
}

fn server(stage: &mut Stage) -> HostId {
    let mut proxy = Proxy::new(SocketAddr::new(ip(9), 5060));
    proxy.add_name("example.com", ip(9));
    proxy.set_registrar(Registrar::new(Rules::default()));
    proxy.set_compositor(Compositor::new());
    stage.world.add_host("server", &[ip(9)], proxy)
}

/// What an agent is wanted to be, whatever happens to it.
#[derive(Clone, Copy, Default)]
struct Wanted {
    registered: bool,
}

struct Chaos {
    stage: Stage,
    server: HostId,
    wanted: [Wanted; 2],
    watching: [Vec<SubscriptionId>; 2],
}

impl Chaos {
    fn new(setup: Setup) -> Self {
        let mut stage = Stage::new(setup);
        let server = server(&mut stage);
        stage.world.run_for(Duration::from_millis(10));
        for host in stage.agents() {
            publish(&mut stage, host, "presence");
            grant(&mut stage, host, Duration::from_millis(10), "open");
        }
        Self {
            stage,
            server,
            wanted: [Wanted::default(); 2],
            watching: [Vec::new(), Vec::new()],
        }
    }

    fn draw(&mut self, bound: u32) -> u32 {
        self.stage.world.rng().below(bound)
    }

    /// Lets something happen to somebody, and some time pass.
    fn step(&mut self) {
        let happening = ALL[self.draw(ALL.len() as u32) as usize];
        let who = self.draw(2) as usize;
        let host = self.stage.agents()[who];
        self.happen(happening, who, host);
        // From an instant to what outlasts most timers.
        let scale = [1, 20, 400, 2_000][self.draw(4) as usize];
        let pause = self.draw(64) * scale;
        self.stage
            .world
            .run_for(Duration::from_millis(pause.into()));
    }

    fn happen(&mut self, happening: Happening, who: usize, host: HostId) {
        let name = ["alice", "bob"];
        let peer = format!("sip:{}@example.com", name[1 - who]);
        let peer: sip::Uri = peer.parse().unwrap();
        let alive: Vec<_> = self.stage.model(host).alive().into_iter().collect();
        let last = alive.last().copied();
        let far = self.draw(100);
        let server = self.server;
        let stage = &mut self.stage;
        // What the state does not allow is refused, and nothing has happened.
        match happening {
            Happening::Call => {
                stage.agent(host, "call", |agent, now| {
                    let _ = agent.connect(now, Connect::new(peer, probe()));
                });
            }
            Happening::Answer => {
                let Some(id) = last else { return };
                stage.agent(host, "answer", |agent, now| {
                    let streams = agent.session(id).map(|info| info.streams);
                    let _ = agent.accept(now, id, &streams.unwrap_or_default());
                });
            }
            Happening::End | Happening::Hold | Happening::Unhold => {
                let Some(id) = last else { return };
                stage.agent(host, "call", |agent, now| {
                    let _ = match happening {
                        Happening::End => agent.end(now, id),
                        Happening::Hold => agent.hold(now, id),
                        _ => agent.unhold(now, id),
                    };
                });
            }
            Happening::Register => {
                self.wanted[who].registered = true;
                stage.agent(host, "register", |agent, now| {
                    drop(agent.register(now, None))
                });
            }
            Happening::Publish => {
                let publish = Publish::new("presence", "application/pidf+xml", "<presence/>");
                stage.agent(host, "publish", |agent, now| {
                    drop(agent.publish(now, publish))
                });
            }
            Happening::Unpublish => {
                stage.agent(host, "unpublish", |agent, now| {
                    drop(agent.unpublish(now, None, "presence"));
                });
            }
            Happening::Watch => {
                let subscribe = Subscribe::new(peer, "presence");
                let watching = &mut self.watching[who];
                stage.agent(host, "watch", |agent, now| {
                    watching.extend(agent.subscribe(now, subscribe));
                });
            }
            Happening::Unwatch => {
                let Some(id) = self.watching[who].pop() else {
                    return;
                };
                stage.agent(host, "unwatch", |agent, now| {
                    let _ = agent.unsubscribe(now, id);
                });
            }
            Happening::Tell => tell(stage, host, "busy"),
            Happening::Write => {
                let message = Message::new(peer, "are you there?");
                stage.agent(host, "write", |agent, now| {
                    drop(agent.send_message(now, message));
                });
            }
            Happening::Cut => stage.world.cut_path(host, server),
            Happening::Mend => stage.world.mend_path(host, server),
            Happening::Loss => {
                let loss = f64::from(far.min(40)) / 100.0;
                stage.world.set_default_path(Path::lossy(loss));
            }
            Happening::Reset => stage.world.reset_connections(host, server),
            Happening::Move => {
                let address = ip(101 + 40 * who as u8 + far as u8 % 40);
                stage.world.set_addresses(host, &[address]);
            }
            Happening::Sleep => {
                let asleep = Duration::from_secs(1 + u64::from(far));
                stage.world.suspend(host, asleep);
                stage.world.run_for(asleep);
            }
            Happening::ClockJumps => {
                let unix = Duration::from_secs(1_735_689_600 + u64::from(far) * 86_400 * 30);
                stage.world.set_wall_clock(host, unix);
            }
            Happening::ServerRestarts => {
                stage
                    .world
                    .command(server, "restart", |proxy: &mut Proxy, _| proxy.restart());
            }
            Happening::ServerForgets => {
                stage
                    .world
                    .command(server, "forget", |proxy: &mut Proxy, _| proxy.forget());
            }
        }
    }

    /// Both watch each other as often as they will in no round: tables have the room then that they
    /// keep.
    fn fill(&mut self) {
        for _ in 0..HAPPENINGS {
            for (who, host) in self.stage.agents().into_iter().enumerate() {
                self.happen(Happening::Watch, who, host);
            }
        }
        self.stage.world.run_for(Duration::from_secs(10));
    }

    /// Everything works again; says what is not as it is wanted.
    fn heal(&mut self) -> Vec<String> {
        let all: Vec<HostId> = self.stage.world.hosts().map(|(id, _)| id).collect();
        for &host in &all {
            self.stage.world.join(&[host]);
        }
        self.stage.world.set_default_path(Path::ideal());
        // RFC 5626, 4.5: half an hour is the longest wait after many failures.
        self.stage.world.run_for(Duration::from_secs(2_000));
        let mut complaints = Vec::new();
        for (who, host) in self.stage.agents().into_iter().enumerate() {
            let agent = self.stage.world.node::<UserAgent>(host);
            if agent.is_registered(None) != self.wanted[who].registered {
                let name = self.stage.world.host(host).name();
                complaints.push(format!("{name}: registered {}", agent.is_registered(None)));
            }
        }
        complaints
    }

    /// Nobody wants anything any more.
    fn rest(&mut self) {
        for (who, host) in self.stage.agents().into_iter().enumerate() {
            for id in std::mem::take(&mut self.watching[who]) {
                self.stage.agent(host, "unwatch", |agent, now| {
                    let _ = agent.unsubscribe(now, id);
                });
            }
            for id in self.stage.model(host).alive() {
                self.stage.agent(host, "end", |agent, now| {
                    let _ = agent.end(now, id);
                });
            }
            self.stage.agent(host, "rest", |agent, now| {
                drop(agent.unregister(now, None));
                drop(agent.unpublish(now, None, "presence"));
            });
        }
        self.wanted = [Wanted::default(); 2];
        self.stage.world.run_for(Duration::from_secs(400));
    }
}

fn play(setup: &Setup) -> (Stage, Vec<String>) {
    let mut chaos = Chaos::new(setup.clone());
    for _ in 0..HAPPENINGS {
        chaos.step();
    }
    let mut complaints = chaos.heal();
    chaos.rest();
    complaints.extend(chaos.stage.wind_up());
    (chaos.stage, complaints)
}

#[test]
fn chaos_heals_and_leaves_nothing_in_the_tables() {
    let mut elsewhere = Elsewhere::start();
    let only: Option<u64> = std::env::var("SIPSIMPLE_ONLY")
        .ok()
        .and_then(|n| n.parse().ok());
    for seed in 0..seeds() * 2 {
        if only.is_some_and(|only| only != seed) {
            continue;
        }
        let setup = setup(seed);
        let (stage, complaints) = play(&setup);
        assert!(
            complaints.is_empty(),
            "seed {seed}: {complaints:#?}\n{}",
            show(&stage)
        );
        let unrecorded = Setup {
            record: false,
            ..setup
        };
        let (again, _) = play(&unrecorded);
        let difference = stage.world.trace().first_difference(again.world.trace());
        assert_eq!(difference, None, "seed {seed}: not twice alike");
        elsewhere.replay_all(&stage, &ProbeOptions::default());
    }
    if only.is_none() {
        elsewhere.finish();
    }
}

/// What may be on the heap at rest beyond what was there before the first call: caches, tables that
/// keep their room, and what the world itself remembers of every link.
const AT_REST: isize = 128 * 1024;

/// Ten rounds of chaos on one stage: what is alive on the heap at rest is what was there before.
#[test]
fn chaos_leaves_nothing_on_the_heap() {
    for seed in 0..2 {
        let mut setup = setup(seed);
        setup.record = false;
        let mut chaos = Chaos::new(setup);
        chaos.stage.world.set_tracing(false);
        let clear = |chaos: &mut Chaos| {
            chaos.rest();
            for host in chaos.stage.agents() {
                drop(chaos.stage.world.take_inbox(host));
            }
            heap::live()
        };
        chaos.fill();
        let before = clear(&mut chaos);
        let mut after = Vec::new();
        for _ in 0..10 {
            for _ in 0..HAPPENINGS {
                chaos.step();
            }
            assert_eq!(chaos.heal(), Vec::<String>::new(), "seed {seed}");
            after.push(clear(&mut chaos) - before);
        }
        println!("chaos, seed {seed}: bytes at rest beyond those before: {after:?}");
        assert!(after.iter().all(|more| *more < AT_REST), "{after:?}");
    }
}
