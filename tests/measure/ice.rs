//! Two agents of ICE with nothing between them, from their descriptions to a pair that both have chosen.

use super::Operation;
use base::Rng;
use bytes::Bytes;
use ice::{Agent, BaseId, Config, Output, Role, State};
use std::{
    collections::VecDeque,
    hint::black_box,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// How many candidates each has.
pub(crate) const CANDIDATES: [u8; 2] = [1, 4];

/// Both ends, and what is between them.
pub(crate) struct Pair {
    rng: Rng,
    now: Instant,
    candidates: u8,
}

/// What it took until both had completed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) datagrams: usize,
    /// Of virtual time; datagrams take none.
    pub(crate) time: Duration,
}

struct Ends {
    agents: [Agent; 2],
    bases: [Vec<(BaseId, SocketAddr)>; 2],
    /// To whom, from where, what.
    flying: VecDeque<(SocketAddr, SocketAddr, Bytes)>,
    datagrams: usize,
}

impl Pair {
    pub(crate) fn new(candidates: u8) -> Self {
        Self {
            rng: Rng::from_seed([7; 32]),
            now: Instant::now(),
            candidates,
        }
    }

    /// Makes both agents, tells each of the other, and lets them check until they are done.
    pub(crate) fn agree(&mut self) -> Spent {
        let mut ends = Ends {
            agents: [Role::Controlling, Role::Controlled].map(|role| {
                let tie_breaker = self.rng.u64();
                Agent::new(Config::default(), role, tie_breaker, self.rng.fork())
            }),
            bases: [Vec::new(), Vec::new()],
            flying: VecDeque::new(),
            datagrams: 0,
        };
        for (end, agent) in ends.agents.iter_mut().enumerate() {
            for n in 0..self.candidates {
                let address = ([198, 51, end as u8, n], 5_000).into();
                let base = agent.add_base(1, address, u16::MAX - u16::from(n));
                ends.bases[end].push((base, address));
            }
            agent.gather(self.now, &[]);
        }
        let started = self.now;
        let descriptions = ends.agents.each_ref().map(Agent::local);
        for (agent, description) in ends.agents.iter_mut().rev().zip(descriptions) {
            agent.set_remote(self.now, description);
        }
        ends.drain(self.now);
        while !ends.are_done() {
            let due = ends.agents.iter().filter_map(Agent::poll_timeout).min();
            self.now = self.now.max(due.expect("something to wait for").at);
            for agent in &mut ends.agents {
                agent.handle_timeout(self.now);
            }
            ends.drain(self.now);
        }
        Spent {
            datagrams: ends.datagrams,
            time: self.now - started,
        }
    }
}

impl Ends {
    fn are_done(&self) -> bool {
        let mut agents = self.agents.iter();
        agents.all(|agent| agent.state() == State::Completed)
    }

    /// Carries datagrams to and fro, at once.
    fn drain(&mut self, now: Instant) {
        loop {
            for end in 0..2 {
                while let Some(output) = self.agents[end].poll_output() {
                    if let Output::Transmit { base, to, payload } = output {
                        let from = self.agents[end].base_address(base).expect("a base");
                        self.datagrams += 1;
                        self.flying.push_back((to, from, payload));
                    }
                }
            }
            let Some((to, from, payload)) = self.flying.pop_front() else {
                break;
            };
            for (agent, bases) in self.agents.iter_mut().zip(&self.bases) {
                if let Some((base, _)) = bases.iter().find(|(_, address)| *address == to) {
                    agent.handle_datagram(now, *base, from, &payload);
                }
            }
        }
    }
}

pub(crate) fn operations() -> Vec<Operation> {
    let of = |candidates| {
        let agree = move || {
            let mut pair = Pair::new(candidates);
            move || {
                black_box(pair.agree());
            }
        };
        Operation::new(format!("ice/both ends, {candidates} candidates"), 1, agree)
    };
    CANDIDATES.into_iter().map(of).collect()
}
