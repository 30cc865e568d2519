//! ICE: a peer that knows the passwords and may say anything, and strangers who know nothing.

use bytes::Bytes;
use ice::{
    Agent, BaseId, Candidate, Config, Credentials, Description, Kind, Output, Role, State,
    stun::{Attribute, Class, Key, Message, Method, Protection, TransactionId, Writer},
};
use sipsimple::base::Rng;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Cuts the input into steps: checks and answers of the peer, datagrams as they are, candidates, time.
///
/// # Panics
/// The agent panics, does not move on, keeps more than it may, or answers a stranger at length.
pub fn ice(data: &[u8]) {
    let mut world = World::new(data.first().is_some_and(|first| first & 1 == 1));
    let mut rest = data.get(1..).unwrap_or_default();
    while let [what, len, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        world.step(*what, bytes);
    }
    // Whatever the peer did, it comes to an end when it has told all: an hour later nothing but consent is
    // left to ask for.
    world.agent.end_of_candidates(world.now);
    for _ in 0..200 {
        world.wait(Duration::from_secs(20));
    }
    assert_ne!(world.agent.state(), State::Running, "{:?}", world.agent);
}

struct World {
    agent: Agent,
    base: BaseId,
    now: Instant,
    /// The last request that the agent sent.
    asked: Option<(SocketAddr, Bytes)>,
    count: u32,
}

impl World {
    fn new(controls: bool) -> Self {
        let role = match controls {
            true => Role::Controlling,
            false => Role::Controlled,
        };
        let mut agent = Agent::new(Config::default(), role, 500, Rng::from_seed([3; 32]));
        let base = agent.add_base(1, address(0, 0), 65_535);
        Self {
            agent,
            base,
            now: Instant::now(),
            asked: None,
            count: 0,
        }
    }

    fn step(&mut self, what: u8, bytes: &[u8]) {
        let from = address(what >> 4, bytes.first().copied().unwrap_or(1));
        let before = self.agent.pairs().len();
        match what % 8 {
            0 => {
                let sent = self.hear(from, bytes);
                assert!(
                    sent <= bytes.len() + 48,
                    "a stranger gets no more than that"
                );
                assert_eq!(self.agent.pairs().len(), before);
            }
            1 | 2 => {
                let request = self.request(bytes, what % 8 == 2);
                self.hear(from, &request);
            }
            3 | 4 => self.answer(bytes, what % 8 == 4),
            5 => {
                let candidates = bytes.iter().map(|&n| candidate(n)).collect();
                let mut description = Description::new(peer(), candidates);
                description.is_trickling = what & 8 != 0;
                self.agent.set_remote(self.now, description);
            }
            6 => {
                let candidates = bytes.iter().map(|&n| candidate(n));
                self.agent.add_remote_candidates(self.now, candidates);
            }
            _ => {
                let time = bytes.first().copied().unwrap_or(1);
                self.wait(Duration::from_millis(u64::from(time) * 20));
            }
        }
        self.drain();
        assert!(self.agent.pairs().len() <= 200);
    }

    fn request(&mut self, bytes: &[u8], chooses: bool) -> Vec<u8> {
        self.count += 1;
        let mut id = [0; 12];
        id[..4].copy_from_slice(&self.count.to_be_bytes());
        let local = self.agent.local().credentials;
        let username = format!("{}:peer", local.ufrag);
        let tie_breaker = u64::from(bytes.get(1).copied().unwrap_or(9)) * 10;
        let role = match bytes.get(2).is_some_and(|byte| byte & 1 == 1) {
            true => Attribute::IceControlled(tie_breaker),
            false => Attribute::IceControlling(tie_breaker),
        };
        let mut writer = Writer::new(Class::Request, Method::BINDING, TransactionId(id))
            .attribute(&Attribute::Username(&username))
            .attribute(&Attribute::Priority(u32::from(bytes.len() as u8) << 20))
            .attribute(&role);
        if chooses {
            writer = writer.attribute(&Attribute::UseCandidate);
        }
        writer
            .integrity(Protection::Sha1, &Key::short_term(&local.pwd))
            .fingerprint()
            .finish()
            .to_vec()
    }

    /// Answers the last request, as it should be or not.
    fn answer(&mut self, bytes: &[u8], refuses: bool) {
        let Some((to, request)) = self.asked.take() else {
            return;
        };
        let Ok(request) = Message::parse(&request) else {
            return;
        };
        let class = match refuses {
            true => Class::Error,
            false => Class::Success,
        };
        let mapped = address(0, bytes.first().copied().unwrap_or_default() % 3);
        let code = 300 + u16::from(bytes.get(1).copied().unwrap_or(187));
        let error = ice::stun::ErrorCode { code, reason: "" };
        let attribute = match refuses {
            true => Attribute::ErrorCode(error),
            false => Attribute::XorMappedAddress(mapped),
        };
        let answer = Writer::new(class, Method::BINDING, request.transaction())
            .attribute(&attribute)
            .integrity(Protection::Sha1, &Key::short_term(&peer().pwd))
            .fingerprint()
            .finish();
        self.hear(to, &answer);
    }

    /// Bytes that it said at once.
    fn hear(&mut self, from: SocketAddr, datagram: &[u8]) -> usize {
        self.agent
            .handle_datagram(self.now, self.base, from, datagram);
        self.drain()
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(deadline) = self.agent.poll_timeout()
            && deadline.at <= until
        {
            self.now = self.now.max(deadline.at);
            self.agent.handle_timeout(self.now);
            self.drain();
            let next = self.agent.poll_timeout();
            assert!(next.is_none_or(|next| next.at > self.now), "{next:?}");
        }
        self.now = until;
    }

    fn drain(&mut self) -> usize {
        let mut sent = 0;
        while let Some(output) = self.agent.poll_output() {
            if let Output::Transmit { to, payload, .. } = output {
                sent += payload.len();
                if Message::parse(&payload).is_ok_and(|message| message.class() == Class::Request) {
                    self.asked = Some((to, payload));
                }
            }
        }
        sent
    }
}

fn address(host: u8, port: u8) -> SocketAddr {
    ([192, 0, 2, host], 5_000 + u16::from(port)).into()
}

fn candidate(n: u8) -> Candidate {
    Candidate {
        foundation: (n % 5).to_string(),
        component: 1 + n % 2,
        priority: u32::from(n) << 16,
        address: address(n >> 4, n),
        kind: Kind::Host,
        related: None,
    }
}

fn peer() -> Credentials {
    Credentials {
        ufrag: "peer".to_owned(),
        pwd: "the-password-of-the-peer".to_owned(),
    }
}
