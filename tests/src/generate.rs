//! Scenarios made of bytes: from a seeded generator in tests, from libFuzzer in `fuzz`.

use arbitrary::{Arbitrary, Unstructured};
use base::{Rng, Transport};
use sipsimple::{
    agent::{SessionId, StreamId, UserAgent},
    event::{Event, SessionEvent, StreamEvent},
};
use std::time::Duration;

use crate::{
    Between, HostId, Loss, Path, ProbeCommand, ProbeOptions, Setup, Stage,
    server::{Proxy, RecordRoute},
};

/// A scenario: a stage, and what happens on it.
///
/// Bytes are consumed positionally, eight for the stage and four for each [`Move`], whatever they
/// mean: a failing case stays the same case when a kind of move is added at the end, and cutting
/// bytes off cuts moves off.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The stage.
    pub setup: Setup,
    /// What happens, in order.
    pub moves: Vec<Move>,
}

/// Something that happens, and how long it is quiet afterwards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move {
    /// What.
    pub kind: MoveKind,
    /// Which of the agents does it, or suffers it.
    pub who: u8,
    /// How long nothing else happens.
    pub pause: Duration,
}

/// What happens in a [`Move`]. What makes no sense at the moment does nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MoveKind {
    /// The caller calls; anybody else calls back.
    Call,
    /// Ring for the last call that came in.
    Ring,
    /// Accept it.
    Accept,
    /// Refuse it.
    Reject,
    /// End the last call that is alive.
    End,
    /// Hold it.
    Hold,
    /// Take it off hold.
    Unhold,
    /// Its stream wants a new offer.
    Reoffer,
    /// Its stream wants to prepare and then a new offer.
    Prepare,
    /// Its stream fails.
    Fail,
    /// Ask a peer what it can.
    Options,
    /// Nothing passes between all hosts.
    Cut,
    /// Everything passes again.
    Mend,
    /// All connections are reset.
    Reset,
    /// The host sleeps for two seconds.
    Sleep,
    /// The proxy forgets its transactions.
    Forget,
    /// Ask the peer for an offer.
    Request,
    /// Take the proposal that runs back.
    CancelProposal,
}

impl<'a> Arbitrary<'a> for Plan {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let mut head = [0; HEAD];
        u.fill_buffer(&mut head)?;
        let mut moves = Vec::new();
        while u.len() >= MOVE && moves.len() < MAX_MOVES {
            let mut bytes = [0; MOVE];
            u.fill_buffer(&mut bytes)?;
            moves.push(Move::read(bytes));
        }
        let setup = setup(head);
        Ok(Self { setup, moves })
    }
}

impl Plan {
    /// Makes the plan number `seed` with `moves` moves.
    pub fn generate(seed: u64, moves: usize) -> Self {
        let bytes = Self::bytes(seed, moves);
        let mut u = Unstructured::new(&bytes);
        Self::arbitrary(&mut u).expect("as many bytes as the plan needs")
    }

    /// The bytes that [`generate`](Self::generate) reads: a file for the corpus, if the plan fails.
    pub fn bytes(seed: u64, moves: usize) -> Vec<u8> {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut bytes = vec![0; HEAD + MOVE * moves];
        Rng::from_seed(key).fill(&mut bytes);
        bytes
    }

    /// Plays the plan to its end and says everything that was wrong, with the stage as it is then.
    pub fn play(&self) -> (Stage, Vec<String>) {
        let mut stage = Stage::new(self.setup.clone());
        // Who cuts, resets or sleeps makes ends disagree that nobody can bring together again.
        let mut is_fair = true;
        for step in &self.moves {
            let agents = stage.agents();
            let host = agents[usize::from(step.who) % agents.len()];
            is_fair &= !step.kind.is_fault();
            perform(&mut stage, host, *step);
            stage.world.run_for(step.pause);
        }
        let all: Vec<HostId> = stage.world.hosts().map(|(id, _)| id).collect();
        for &host in &all {
            stage.world.join(&[host]);
        }
        let complaints = match is_fair {
            true => stage.finish(),
            false => stage.wind_up(),
        };
        (stage, complaints)
    }
}

impl Move {
    fn read([kind, who, pause, scale]: [u8; MOVE]) -> Self {
        let kinds = MoveKind::ALL;
        // Most pauses are short enough for messages to cross, some outlast every timer.
        let unit = match scale % 8 {
            0..=3 => Duration::from_millis(1),
            4..=6 => Duration::from_millis(20),
            _ => Duration::from_millis(400),
        };
        Self {
            kind: kinds[usize::from(kind) % kinds.len()],
            who,
            pause: unit * u32::from(pause),
        }
    }
}

impl MoveKind {
    /// All kinds; new ones stand at the end.
    pub const ALL: &[Self] = &[
        Self::Call,
        Self::Ring,
        Self::Accept,
        Self::Reject,
        Self::End,
        Self::Hold,
        Self::Unhold,
        Self::Reoffer,
        Self::Prepare,
        Self::Fail,
        Self::Options,
        Self::Cut,
        Self::Mend,
        Self::Reset,
        Self::Sleep,
        Self::Forget,
        // Twice, since without calls nothing happens.
        Self::Call,
        Self::Accept,
        Self::Request,
        Self::CancelProposal,
    ];

    const fn is_fault(self) -> bool {
        matches!(self, Self::Cut | Self::Reset | Self::Sleep | Self::Forget)
    }
}

fn setup(head: [u8; HEAD]) -> Setup {
    let [s0, s1, s2, s3, transports, between, loss, phones] = head;
    let mut setup = Setup::new(u64::from(u32::from_le_bytes([s0, s1, s2, s3])));
    let transport = |bit| {
        if bit == 0 {
            Transport::Udp
        } else {
            Transport::Tcp
        }
    };
    setup.transport = transport(transports & 1);
    setup.callee_transport = transport(transports & 2);
    setup.between = match between % 4 {
        0 => Between::Nothing,
        1 => Between::Proxy(RecordRoute::Loose),
        2 => Between::Proxy(RecordRoute::Strict),
        _ => Between::Proxy(RecordRoute::Off),
    };
    setup.path = Path {
        duplicate: if loss & 4 == 0 { 0.0 } else { 0.1 },
        reorder: if loss & 8 == 0 { 0.0 } else { 0.1 },
        loss: Loss::Random([0.0, 0.05, 0.15, 0.3][usize::from(loss % 4)]),
        ..Path::lossy(0.0)
    };
    setup.phones = match setup.between {
        Between::Nothing => 1,
        Between::Proxy(_) => 1 + usize::from(phones % 3),
    };
    setup.record = true;
    setup
}

fn perform(stage: &mut Stage, host: HostId, step: Move) {
    match step.kind {
        MoveKind::Call => call(stage, host, step.who),
        MoveKind::Cut => stage.world.partition(&[host]),
        MoveKind::Mend => stage.world.join(&[host]),
        MoveKind::Reset => {
            let all: Vec<HostId> = stage.world.hosts().map(|(id, _)| id).collect();
            for other in all {
                stage.world.reset_connections(host, other);
            }
        }
        MoveKind::Sleep => stage.world.suspend(host, Duration::from_secs(2)),
        MoveKind::Forget => {
            if let Some(proxy) = stage.proxy {
                stage
                    .world
                    .command(proxy, "forget", |proxy: &mut Proxy, _| proxy.forget());
            }
        }
        kind => command(stage, host, kind),
    }
}

/// Does what needs a call, on the last one that is alive.
fn command(stage: &mut Stage, host: HostId, kind: MoveKind) {
    let alive = stage.model(host).alive();
    let Some(&id) = alive.last() else { return };
    let (proposed, streams) = streams_of(stage, host, id);
    let to = stage.bob_uri();
    // What the state does not allow is refused, and that is well: nothing has happened.
    stage.agent(host, "move", |agent: &mut UserAgent, now| {
        let mut tell = |command: ProbeCommand| {
            for &stream in &streams {
                let _ = agent.command(now, stream, command.clone());
            }
        };
        match kind {
            MoveKind::Reoffer => tell(ProbeCommand::Reoffer { prepare: false }),
            MoveKind::Prepare => tell(ProbeCommand::Reoffer { prepare: true }),
            MoveKind::Fail => tell(ProbeCommand::Fail),
            MoveKind::Ring => drop(agent.ring(now, id)),
            MoveKind::Accept => drop(agent.accept(now, id, &proposed)),
            MoveKind::Reject => drop(agent.reject(now, id, 480, None)),
            MoveKind::End => drop(agent.end(now, id)),
            MoveKind::Hold => drop(agent.hold(now, id)),
            MoveKind::Unhold => drop(agent.unhold(now, id)),
            MoveKind::Request => drop(agent.request_proposal(now, id)),
            MoveKind::CancelProposal => drop(agent.cancel_proposal(now, id)),
            MoveKind::Options => drop(agent.options(now, None, to)),
            MoveKind::Call
            | MoveKind::Cut
            | MoveKind::Mend
            | MoveKind::Reset
            | MoveKind::Sleep
            | MoveKind::Forget => {}
        }
    });
}

fn call(stage: &mut Stage, host: HostId, who: u8) {
    let options = ProbeOptions {
        prepare_ms: if who & 16 == 0 { 0 } else { 500 },
        byte_stream: who & 32 != 0,
        ..ProbeOptions::default()
    };
    if host == stage.alice {
        stage.call(vec![options.spec()]);
    } else {
        let connect = sipsimple::agent::Connect::new(stage.alice_uri(), vec![options.spec()]);
        stage.agent(host, "call back", |agent, now| {
            let _ = agent.connect(now, connect);
        });
    }
}

/// The streams that a call proposed, and those that run.
fn streams_of(stage: &Stage, host: HostId, call: SessionId) -> (Vec<StreamId>, Vec<StreamId>) {
    let events = &stage.world.host(host).inbox().notifications;
    let mut proposed = Vec::new();
    let mut running = Vec::new();
    for notification in events {
        match &notification.event {
            Event::Session(id, SessionEvent::NewIncoming { streams, .. })
            | Event::Session(id, SessionEvent::NewOutgoing { streams })
                if *id == call =>
            {
                proposed.clone_from(streams);
            }
            Event::Stream(id, StreamEvent::DidStart) if proposed.contains(id) => running.push(*id),
            Event::Stream(id, StreamEvent::DidEnd) => running.retain(|other| other != id),
            _ => {}
        }
    }
    (proposed, running)
}

const HEAD: usize = 8;
const MOVE: usize = 4;
/// More would only be slower.
const MAX_MOVES: usize = 64;
