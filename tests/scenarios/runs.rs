//! Running scenarios: under which conditions, how often, twice alike, and once more elsewhere.

use crate::coverage::{self, cover};
use base::Transport;
use simulator::{
    Between, Cut, Loss, Outcomes, Path, ProbeFactory, ProbeOptions, Setup, Stage,
    server::RecordRoute,
};
use sipsimple::{
    agent::Config,
    stream::{StreamFactory, audio::AudioFactory},
};
use std::{
    collections::BTreeSet,
    env,
    io::{Read, Write},
    process::{Child, Command, Stdio},
    rc::Rc,
    time::{Duration, Instant},
};

/// Under which conditions a scenario runs.
pub(crate) struct Matrix {
    pub(crate) name: &'static str,
    pub(crate) losses: &'static [f64],
    /// Scenarios that take long run with one of so many seeds.
    pub(crate) one_in: u64,
    pub(crate) phones: usize,
    /// The phones belong to different people.
    pub(crate) apart: bool,
    /// Endpoints without agents.
    pub(crate) lines: usize,
    /// How agents and lines do SIP; told the name of each.
    pub(crate) sip: fn(&str, &mut sip::Config),
    /// What else agents are told.
    pub(crate) configure: fn(&str, &mut Config),
    /// With and without a proxy; only with.
    pub(crate) proxy: Proxied,
    /// What probes do that a peer proposed to the callee.
    pub(crate) incoming: ProbeOptions,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proxied {
    Both,
    Never,
    Always,
    Strict,
}

/// What most scenarios suffer.
pub(crate) const LOSSES: &[f64] = &[0.0, 0.1, 0.4];

impl Matrix {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            losses: LOSSES,
            one_in: 1,
            phones: 1,
            apart: false,
            lines: 0,
            sip: |_, _| {},
            configure: |_, _| {},
            proxy: Proxied::Both,
            incoming: ProbeOptions::default(),
        }
    }

    /// Runs `scenario` under all conditions with all seeds, each of many in one of the ways to connect. It returns how it ended; `outcome` is
    /// what it should be: always without loss, 99.9 % with 10 %, 90 % with 40 %.
    pub(crate) fn run(self, outcome: &str, scenario: impl Fn(&mut Stage) -> String) {
        let mut outcomes = Outcomes::new(self.name);
        let mut elsewhere = Elsewhere::start();
        for &loss in self.losses {
            let condition = format!("{:.0} % loss", loss * 100.0);
            let floor = match loss {
                0.0 => 1.0,
                loss if loss <= 0.1 => 0.999,
                _ => 0.9,
            };
            outcomes.floor(&condition, outcome, floor);
            let runs = seeds().div_ceil(self.one_in);
            for seed in 0..runs {
                for setup in chosen(self.setups(seed, loss), seed, runs) {
                    if only().is_some_and(|only| only != setup.seed) {
                        continue;
                    }
                    let label = self.run_one(&setup, &scenario, &mut elsewhere);
                    outcomes.count(&condition, &label);
                }
            }
        }
        if coverage::is_counting() {
            return;
        }
        print!("{outcomes}");
        if only().is_some() {
            return;
        }
        assert_eq!(outcomes.failures(), Vec::<String>::new());
        elsewhere.finish();
    }

    fn setups(&self, seed: u64, loss: f64) -> Vec<Setup> {
        let betweens: &[Between] = match self.proxy {
            Proxied::Both => &[Between::Nothing, Between::Proxy(RecordRoute::Loose)],
            Proxied::Never => &[Between::Nothing],
            Proxied::Always => &[Between::Proxy(RecordRoute::Loose)],
            Proxied::Strict => &[Between::Proxy(RecordRoute::Strict)],
        };
        let mut setups = Vec::new();
        for transport in [Transport::Udp, Transport::Tcp] {
            for &between in betweens {
                // No two runs share their luck.
                let number = [
                    seed,
                    (loss * 100.0) as u64,
                    setups.len() as u64,
                    transport as u64,
                ];
                let mut setup = Setup::new(number.iter().fold(0, |n, part| n * 101 + part));
                setup.transport = transport;
                setup.between = between;
                setup.phones = self.phones;
                setup.apart = self.apart;
                setup.lines = self.lines;
                setup.configure_line = self.sip;
                setup.record = !coverage::is_counting();
                let incoming = self.incoming.clone();
                let (sip, configure) = (self.sip, self.configure);
                setup.configure = Rc::new(move |name, config| {
                    config.factories = factories(name, &incoming);
                    sip(name, &mut config.sip);
                    configure(name, config);
                });
                // Every second seed changes the transport at the proxy.
                setup.callee_transport = match (seed % 2, transport) {
                    (0, transport) => transport,
                    (_, Transport::Udp) => Transport::Tcp,
                    _ => Transport::Udp,
                };
                setup.path = path(seed, loss, between);
                setup.cut = if seed % 3 == 2 {
                    Cut::Whole
                } else {
                    Cut::Random
                };
                setups.push(setup);
            }
        }
        setups
    }

    fn run_one(
        &self,
        setup: &Setup,
        scenario: &impl Fn(&mut Stage) -> String,
        elsewhere: &mut Elsewhere,
    ) -> String {
        let play = |setup: &Setup| {
            let mut stage = Stage::new(setup.clone());
            let label = scenario(&mut stage);
            let complaints = stage.finish();
            (stage, label, complaints)
        };
        let (stage, label, complaints) = play(setup);
        assert!(
            complaints.is_empty(),
            "{}, {setup:?}: {complaints:#?}\n{}",
            self.name,
            show(&stage),
        );
        cover(&stage);
        if coverage::is_counting() {
            return label;
        }
        // Whether somebody records makes no difference, either.
        let unrecorded = Setup {
            record: false,
            ..setup.clone()
        };
        let (again, ..) = play(&unrecorded);
        let difference = stage.world.trace().first_difference(again.world.trace());
        assert_eq!(
            difference, None,
            "{}, {setup:?}: not twice alike",
            self.name
        );
        if label != "connected" && env::var("SIPSIMPLE_SHOW").as_deref() == Ok(label.as_str()) {
            panic!("{}, {setup:?}: {label}\n{}", self.name, show(&stage));
        }
        elsewhere.replay_all(&stage, &self.incoming);
        label
    }
}

/// Plays one scenario under one setup: to its end with nothing left, twice alike, and once more in
/// another process from what it recorded. Returns what the scenario said.
pub(crate) fn play<T: PartialEq + std::fmt::Debug>(
    setup: &Setup,
    scenario: impl Fn(&mut Stage) -> T,
) -> T {
    let mut setup = setup.clone();
    let configure = Rc::clone(&setup.configure);
    setup.configure = Rc::new(move |name, config| {
        config.factories = factories(name, &ProbeOptions::default());
        configure(name, config);
    });
    let run = |record| {
        let mut stage = Stage::new(Setup {
            record,
            ..setup.clone()
        });
        let said = scenario(&mut stage);
        let complaints = stage.finish();
        assert!(
            complaints.is_empty(),
            "{setup:?}: {complaints:#?}\n{}",
            show(&stage)
        );
        (stage, said)
    };
    let (stage, said) = run(true);
    let (again, _) = run(false);
    let difference = stage.world.trace().first_difference(again.world.trace());
    assert_eq!(difference, None, "{setup:?}: not twice alike");
    let mut elsewhere = Elsewhere::start();
    elsewhere.replay_all(&stage, &ProbeOptions::default());
    elsewhere.finish();
    said
}

/// Of the ways to connect, those that a seed runs with: with each, or of many seeds with one.
fn chosen(mut ways: Vec<Setup>, seed: u64, seeds: u64) -> Vec<Setup> {
    if seeds < SQUARE || coverage::is_counting() {
        return ways;
    }
    let way = way(seed, ways.len());
    vec![ways.swap_remove(way)]
}

/// What else follows from a seed goes by its remainders of two, three and four, so the way must not.
const fn way(seed: u64, ways: usize) -> usize {
    ((seed + seed / 4) % ways as u64) as usize
}

#[test]
fn every_remainder_meets_every_way() {
    for ways in [2, 4] {
        for first in [0, 5, 48] {
            let seeds = first..first + SQUARE;
            let met: BTreeSet<_> = seeds.map(|seed| (seed % 4, way(seed, ways))).collect();
            assert_eq!(met.len(), 4 * ways, "{ways} ways from {first}");
        }
    }
}

/// The ladder of a run; every step of it if `SIPSIMPLE_LADDER` is set.
pub(crate) fn show(stage: &Stage) -> String {
    match env::var_os("SIPSIMPLE_LADDER") {
        Some(_) => stage.world.trace().lines(),
        None => stage.world.trace().ladder(),
    }
}

/// A path with some of everything. `loss` is that of the whole way from one user to the other: the
/// two hops over a proxy share it.
fn path(seed: u64, loss: f64, between: Between) -> Path {
    let loss = match between {
        Between::Nothing => loss,
        Between::Proxy(_) => 1.0 - (1.0 - loss).sqrt(),
    };
    let mut path = match loss {
        0.0 => Path::ideal(),
        loss => Path::lossy(loss),
    };
    // Bursts of the same mean loss, every fourth seed.
    if seed % 4 == 3 && loss > 0.0 && loss < 0.2 {
        path.loss = Loss::Burst {
            to_bad: 0.05,
            to_good: 0.2,
            good: 0.0,
            bad: loss * 5.0,
        };
    }
    if seed % 2 == 1 {
        path.latency = Duration::from_millis(20);
        path.jitter = Duration::from_millis(10);
        path.duplicate = 0.05;
        path.reorder = 0.05;
    }
    path
}

/// How many seeds a scenario runs with: one here, 200 at the gate, 2,000 on demand.
pub(crate) fn seeds() -> u64 {
    if coverage::is_counting() {
        return coverage::SEEDS;
    }
    let seeds = env::var("SIPSIMPLE_SEEDS")
        .ok()
        .and_then(|n| n.parse().ok());
    seeds.unwrap_or(1)
}

/// The one run to make again: the seed that a failure names.
fn only() -> Option<u64> {
    env::var("SIPSIMPLE_ONLY").ok()?.parse().ok()
}

/// A second process that replays recordings.
pub(crate) struct Elsewhere {
    child: Child,
    count: u64,
}

impl Elsewhere {
    pub(crate) fn start() -> Self {
        let child = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "runs::replays_what_another_process_recorded",
                "--nocapture",
            ])
            .env(CHILD, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, count: 0 }
    }

    /// Hands all recordings of a run over.
    pub(crate) fn replay_all(&mut self, stage: &Stage, incoming: &ProbeOptions) {
        for (_, host) in stage.world.hosts() {
            for recording in host.recordings() {
                self.replay(host.name(), incoming, recording);
            }
        }
    }

    /// Hands a recording over; empty ones are those of nodes that record nothing.
    fn replay(&mut self, name: &str, incoming: &ProbeOptions, recording: &[u8]) {
        if recording.is_empty() {
            return;
        }
        self.count += 1;
        let incoming = serde_json::to_vec(incoming).unwrap();
        let pipe = self.child.stdin.as_mut().unwrap();
        for part in [name.as_bytes(), &incoming, recording] {
            // It has gone if it found a difference, and has said so on its standard error.
            let written = pipe
                .write_all(&(part.len() as u64).to_be_bytes())
                .and_then(|()| pipe.write_all(part));
            assert!(written.is_ok(), "the second process found a difference");
        }
    }

    pub(crate) fn finish(mut self) {
        assert!(self.count > 0, "nothing was recorded");
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn replays_what_another_process_recorded() {
    if env::var_os(CHILD).is_none() {
        return;
    }
    let mut pipe = std::io::stdin().lock();
    let mut part = || {
        let mut len = [0; 8];
        pipe.read_exact(&mut len).ok()?;
        let mut part = vec![0; u64::from_be_bytes(len) as usize];
        pipe.read_exact(&mut part).unwrap();
        Some(part)
    };
    while let Some(name) = part() {
        let incoming = serde_json::from_slice(&part().unwrap()).unwrap();
        let factories = factories(&String::from_utf8(name).unwrap(), &incoming);
        let recording = part().unwrap();
        let report = sipsimple::agent::replay(Instant::now(), &recording, factories).unwrap();
        assert_eq!(report.difference, None);
        assert!(report.inputs > 0);
    }
}

/// What the agent of a host is made with; a recording holds no code.
pub(crate) fn factories(name: &str, incoming: &ProbeOptions) -> Vec<Box<dyn StreamFactory>> {
    let incoming = match name {
        "alice" => ProbeOptions::default(),
        _ => incoming.clone(),
    };
    vec![
        Box::new(ProbeFactory { incoming }),
        Box::new(AudioFactory::new()),
    ]
}

/// So many seeds in a row have each way with each remainder of four.
const SQUARE: u64 = 16;
const CHILD: &str = "SIPSIMPLE_REPLAY_CHILD";
