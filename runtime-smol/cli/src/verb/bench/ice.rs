//! Two agents of ICE that find each other, again and again: real work in virtual time, on a network that
//! takes none.

use super::rounded;
use bytes::Bytes;
use serde_json::{Value, json};
use sipsimple::{
    base::Rng,
    ice::{
        Agent, BaseId, Config, Output, Role, State,
        stun::{Attribute, Class, Key, Message, Method, Protection, TransactionId, Writer},
    },
};
use std::{
    hint::black_box,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// A session with one host candidate at each end, and one with four; and a check, made and read.
pub(super) fn find(time: Duration) -> Result<Value, String> {
    let mut sessions = serde_json::Map::new();
    for candidates in [1, 4] {
        let (took, session) = best(time / 4, || Session::run(candidates))?;
        let figures = json!({
            "session_us": rounded(took * 1e6),
            "datagrams": session.datagrams,
            "nominated_ms": session.nominated.as_secs_f64() * 1e3,
            "sessions_per_core_second": (1.0 / took).round(),
        });
        sessions.insert(candidates.to_string(), figures);
    }
    let key = Key::short_term("a-password-of-twenty-four");
    let check = check(&key);
    let (write, _) = best(time / 4, || Ok(black_box(self::check(black_box(&key)))))?;
    let (read, _) = best(time / 4, || {
        let message = Message::parse(black_box(&check)).map_err(|error| error.to_string())?;
        Ok(message.integrity(Protection::Sha1, black_box(&key)))
    })?;
    Ok(json!({
        "candidates": sessions,
        "check_bytes": check.len(),
        "check_write_ns": rounded(write * 1e9),
        "check_read_ns": rounded(read * 1e9),
    }))
}

/// Seconds of one run, the best of several rounds, and what the last one brought.
fn best<T>(
    time: Duration,
    mut work: impl FnMut() -> Result<T, String>,
) -> Result<(f64, T), String> {
    let until = Instant::now() + time;
    let mut last = work()?;
    let mut best = f64::MAX;
    loop {
        let begun = Instant::now();
        for _ in 0..ROUND {
            last = work()?;
        }
        best = best.min(begun.elapsed().as_secs_f64() / f64::from(ROUND));
        if Instant::now() >= until {
            return Ok((best, last));
        }
    }
}

/// Two agents and the network between them.
struct Session {
    agents: [Agent; 2],
    /// Their addresses.
    bases: [Vec<(SocketAddr, BaseId)>; 2],
    now: Instant,
    datagrams: u32,
    nominated: Duration,
}

impl Session {
    fn run(candidates: u8) -> Result<Self, String> {
        let begun = Instant::now();
        let mut rng = Rng::from_seed([7; 32]);
        let mut agent = |role| Agent::new(Config::default(), role, rng.u64(), rng.fork());
        let mut session = Self {
            agents: [agent(Role::Controlling), agent(Role::Controlled)],
            bases: [Vec::new(), Vec::new()],
            now: begun,
            datagrams: 0,
            nominated: Duration::ZERO,
        };
        for (end, agent) in session.agents.iter_mut().enumerate() {
            for n in 0..candidates {
                let address = address(end, n);
                let base = agent.add_base(1, address, 65_535 - u16::from(n));
                session.bases[end].push((address, base));
            }
        }
        let [offer, answer] = [0, 1].map(|end| session.agents[end].local());
        session.agents[1].set_remote(begun, offer);
        session.agents[0].set_remote(begun, answer);
        let is_over = |agent: &Agent| agent.state() == State::Completed;
        loop {
            while session.deliver() {}
            if session.agents.iter().all(is_over) {
                session.nominated = session.now - begun;
                return Ok(session);
            }
            let deadlines = session.agents.iter().filter_map(Agent::poll_timeout);
            let next = deadlines.map(|deadline| deadline.at).min();
            session.now = next.ok_or("nothing is left to wait for")?.max(session.now);
            if session.now > begun + PATIENCE {
                return Err("the agents do not find each other".to_owned());
            }
            for agent in &mut session.agents {
                agent.handle_timeout(session.now);
            }
        }
    }

    /// Takes what both say to where it goes; false if they said nothing.
    fn deliver(&mut self) -> bool {
        let mut has_spoken = false;
        for end in 0..2 {
            while let Some(output) = self.agents[end].poll_output() {
                has_spoken = true;
                if let Output::Transmit { base, to, payload } = output {
                    self.datagrams += 1;
                    self.carry(end, base, to, &payload);
                }
            }
        }
        has_spoken
    }

    fn carry(&mut self, end: usize, base: BaseId, to: SocketAddr, payload: &Bytes) {
        let Ok(from) = self.agents[end].base_address(base) else {
            return;
        };
        let other = 1 - end;
        let there = self.bases[other].iter().find(|(address, _)| *address == to);
        if let Some(&(_, base)) = there {
            self.agents[other].handle_datagram(self.now, base, from, payload);
        }
    }
}

/// A check as RFC 8445, 7.1 has it.
fn check(key: &Key) -> Bytes {
    Writer::new(Class::Request, Method::BINDING, TransactionId([7; 12]))
        .attribute(&Attribute::Username("abcdefgh:ijklmnop"))
        .attribute(&Attribute::Priority(1_862_270_975))
        .attribute(&Attribute::IceControlling(0x1234_5678_9abc_def0))
        .integrity(Protection::Sha1, key)
        .fingerprint()
        .finish()
}

fn address(end: usize, n: u8) -> SocketAddr {
    let ip = IpAddr::from([198, 51, 100, end as u8 * 100 + n + 1]);
    SocketAddr::new(ip, 5_000)
}

/// Runs between two looks at the clock.
const ROUND: u32 = 50;
/// Of virtual time.
const PATIENCE: Duration = Duration::from_secs(60);
