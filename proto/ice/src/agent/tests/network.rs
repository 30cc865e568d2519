//! Two sides, a STUN server, relays and NATs, in virtual time.

use super::*;
use crate::stun::{Attribute, AttributeType, Protection, Writer};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

/// What stands before a side (RFC 4787: mapping and filtering).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Nat {
    /// Nothing.
    None,
    /// One port for all, open to all.
    FullCone,
    /// One port for all, open to whom we have written.
    PortRestricted,
    /// A port for each, open to him alone.
    Symmetric,
}

pub(super) struct Side {
    pub(super) agent: Agent,
    nat: Nat,
    /// By number of the base.
    addresses: Vec<(SocketAddr, bool)>,
    /// Inner address (and peer, if symmetric) to outer one.
    mappings: BTreeMap<(SocketAddr, Option<SocketAddr>), SocketAddr>,
    /// Whom a mapping has written to.
    opened: BTreeSet<(SocketAddr, SocketAddr)>,
    next_port: u16,
    number: u8,
    lite: Option<Credentials>,
}

pub(super) struct Network {
    pub(super) sides: [Side; 2],
    pub(super) loss: f64,
    pub(super) is_server_silent: bool,
    /// Side 1 says of every check that it chooses its pair (RFC 5245).
    pub(super) is_aggressive: bool,
    /// Datagrams that the sides sent to each other.
    pub(super) sent: usize,
    begin: Instant,
    now: Instant,
    started: Instant,
    completed: Option<Instant>,
    flying: BTreeMap<(Instant, u64), (SocketAddr, SocketAddr, Bytes)>,
    count: u64,
    rng: Rng,
    events: Vec<Event>,
}

fn at(host: [u8; 4], port: u16) -> SocketAddr {
    (Ipv4Addr::from(host), port).into()
}

#[expect(clippy::disallowed_methods, reason = "an origin for a virtual clock")]
fn start() -> Instant {
    Instant::now()
}

impl Side {
    fn new(number: u8, nat: Nat, role: Role, components: u8, rng: &mut Rng) -> Self {
        let mut side = Self {
            agent: Agent::new(Config::default(), role, rng.u64(), rng.fork()),
            nat,
            addresses: Vec::new(),
            mappings: BTreeMap::new(),
            opened: BTreeSet::new(),
            next_port: 40_000,
            number,
            lite: None,
        };
        for component in 1..=components {
            side.add_base(component, 10, 65_535);
        }
        side
    }

    pub(super) fn add_base(&mut self, component: Component, host: u8, preference: u16) {
        let inner = match self.nat {
            Nat::None => [198, 51, self.number, host],
            _ => [10, 0, self.number, host],
        };
        let address = at(inner, 5_000 + u16::from(component));
        self.agent.add_base(component, address, preference);
        self.addresses.push((address, false));
    }

    pub(super) fn components(&self) -> Vec<Component> {
        self.agent.components()
    }

    pub(super) fn address(&self, base: BaseId) -> SocketAddr {
        self.agent.base_address(base).unwrap()
    }

    /// Where a datagram of ours seems to come from.
    fn outer(&mut self, inner: SocketAddr, to: SocketAddr) -> SocketAddr {
        if self.nat == Nat::None || self.is_relay(inner) {
            return inner;
        }
        let key = (inner, (self.nat == Nat::Symmetric).then_some(to));
        let port = self.next_port;
        let outer = *self
            .mappings
            .entry(key)
            .or_insert_with(|| at([203, 0, 113, self.number], port));
        self.next_port += 1;
        self.opened.insert((outer, to));
        outer
    }

    /// Which base a datagram reaches, if any.
    fn inner(&self, to: SocketAddr, from: SocketAddr) -> Option<usize> {
        let base = |wanted: SocketAddr| {
            self.addresses
                .iter()
                .position(|(address, _)| *address == wanted)
        };
        if self.nat == Nat::None || self.is_relay(to) {
            return base(to);
        }
        let (key, _) = self.mappings.iter().find(|(_, outer)| **outer == to)?;
        let is_open = self.nat == Nat::FullCone || self.opened.contains(&(to, from));
        is_open.then(|| base(key.0)).flatten()
    }

    fn is_relay(&self, address: SocketAddr) -> bool {
        self.addresses.contains(&(address, true))
    }
}

impl Network {
    pub(super) fn new(seed: u64, nats: [Nat; 2], components: u8) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let mut rng = Rng::from_seed(bytes);
        let now = start();
        let sides = [
            Side::new(1, nats[0], Role::Controlling, components, &mut rng),
            Side::new(2, nats[1], Role::Controlled, components, &mut rng),
        ];
        Self {
            sides,
            loss: 0.0,
            is_server_silent: false,
            is_aggressive: false,
            sent: 0,
            begin: now,
            now,
            started: now,
            completed: None,
            flying: BTreeMap::new(),
            count: 0,
            rng,
            events: Vec::new(),
        }
    }

    pub(super) const fn now(&self) -> Instant {
        self.now
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.now - self.begin
    }

    /// From the description to the moment when both had completed.
    pub(super) fn completed_after(&self) -> Option<Duration> {
        Some(self.completed? - self.started)
    }

    pub(super) fn events(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| wanted(event)).count()
    }

    /// Each side gets an address of a relay for its first component.
    pub(super) fn add_relays(&mut self) {
        for side in &mut self.sides {
            let relayed = at([192, 0, 2, side.number], 49_152);
            let mapped = at([203, 0, 113, side.number], 39_999);
            side.agent.add_relayed(1, relayed, mapped, 65_535);
            side.addresses.push((relayed, true));
        }
    }

    /// Lets both sides find their candidates.
    pub(super) fn gather(&mut self) {
        for side in &mut self.sides {
            side.agent.gather(self.now, &[SERVER]);
        }
        let is_ready = |network: &Self| {
            let mut sides = network.sides.iter();
            sides.all(|side| side.agent.state() == State::Gathered)
        };
        let limit = self.now + Duration::from_secs(10);
        while !is_ready(self) {
            assert!(self.step(limit), "gathering does not end");
        }
    }

    pub(super) fn offer_and_answer(&mut self) {
        (self.started, self.completed, self.sent) = (self.now, None, 0);
        self.tell(0, 1);
        self.tell(1, 0);
    }

    pub(super) fn tell(&mut self, from: usize, to: usize) {
        let description = self.sides[from].agent.local();
        self.sides[to].agent.set_remote(self.now, description);
    }

    /// Tells everything but candidates.
    pub(super) fn trickle(&mut self, from: usize, to: usize) {
        let mut description = self.sides[from].agent.local();
        description.candidates.clear();
        description.is_trickling = true;
        self.sides[to].agent.set_remote(self.now, description);
    }

    pub(super) fn trickle_candidates(&mut self, from: usize, to: usize) {
        for candidate in self.sides[from].agent.local().candidates {
            self.run(Duration::from_millis(30));
            self.sides[to]
                .agent
                .add_remote_candidates(self.now, [candidate]);
        }
        self.sides[to].agent.end_of_candidates(self.now);
    }

    /// Side `at` becomes one that only answers.
    pub(super) fn lite(&mut self, at: usize) {
        let mut description = self.sides[at].agent.local();
        description.is_lite = true;
        self.sides[at].lite = Some(description.credentials.clone());
        self.sides[1 - at].agent.set_remote(self.now, description);
    }

    pub(super) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
        self.now = until;
    }

    /// Where a packet over the selected pair of a side arrives at the other one.
    pub(super) fn arrives(&self, from: usize, selected: Selected) -> Option<SocketAddr> {
        let side = &self.sides[from];
        let inner = side.address(selected.base);
        let outer = match side.nat {
            Nat::None => inner,
            _ if side.is_relay(inner) => inner,
            nat => {
                let key = (inner, (nat == Nat::Symmetric).then_some(selected.remote));
                *side.mappings.get(&key)?
            }
        };
        let other = &self.sides[1 - from];
        let base = other.inner(selected.remote, outer)?;
        Some(other.addresses[base].0)
    }

    /// The next thing that happens; false if that is later than `until`.
    fn step(&mut self, until: Instant) -> bool {
        self.drain();
        let flying = self.flying.keys().next().map(|(at, _)| *at);
        let deadlines = self.sides.iter().enumerate().filter_map(|(n, side)| {
            if side.lite.is_some() {
                return None;
            }
            Some((side.agent.poll_timeout()?.at, n))
        });
        let deadline = deadlines.min();
        match (flying, deadline) {
            (Some(at), timer) if timer.is_none_or(|(timer, _)| at <= timer) => {
                if at > until {
                    return false;
                }
                self.now = at;
                if let Some((_, (from, to, payload))) = self.flying.pop_first() {
                    self.deliver(from, to, &payload);
                }
            }
            (_, Some((at, n))) => {
                if at > until {
                    return false;
                }
                self.now = self.now.max(at);
                self.sides[n].agent.handle_timeout(self.now);
                let again = self.sides[n].agent.poll_timeout();
                assert!(
                    again.is_none_or(|again| again.at > self.now),
                    "{again:?} does not move on"
                );
            }
            _ => return false,
        }
        self.drain();
        true
    }

    fn drain(&mut self) {
        for n in 0..2 {
            while let Some(output) = self.sides[n].agent.poll_output() {
                match output {
                    Output::Transmit { base, to, payload } => self.send(n, base, to, payload),
                    Output::Event(event) => self.events.push(event),
                }
            }
        }
        let is_complete = |side: &Side| side.agent.state() == State::Completed;
        if self.completed.is_none() && self.sides.iter().all(is_complete) {
            self.completed = Some(self.now);
        }
    }

    fn send(&mut self, n: usize, base: BaseId, to: SocketAddr, mut payload: Bytes) {
        if n == 1 && self.is_aggressive {
            payload = self.aggressive(payload);
        }
        let inner = self.sides[n].address(base);
        let outer = self.sides[n].outer(inner, to);
        if to != SERVER {
            self.sent += 1;
        }
        if self.rng.unit() >= self.loss {
            self.fly(outer, to, payload);
        }
    }

    fn fly(&mut self, from: SocketAddr, to: SocketAddr, payload: Bytes) {
        self.count += 1;
        let at = self.now + Duration::from_millis(10);
        self.flying.insert((at, self.count), (from, to, payload));
    }

    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        if to == SERVER {
            if !self.is_server_silent {
                let message = Message::parse(payload).unwrap();
                let answer = Writer::new(Class::Success, Method::BINDING, message.transaction())
                    .attribute(&Attribute::XorMappedAddress(from))
                    .fingerprint()
                    .finish();
                self.fly(SERVER, from, answer);
            }
            return;
        }
        for n in 0..2 {
            let Some(base) = self.sides[n].inner(to, from) else {
                continue;
            };
            match self.sides[n].lite.clone() {
                Some(credentials) => self.answer_lite(&credentials, from, to, payload),
                None => {
                    let agent = &mut self.sides[n].agent;
                    agent.handle_datagram(self.now, BaseId(base), from, payload);
                }
            }
        }
    }

    fn answer_lite(
        &mut self,
        credentials: &Credentials,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
    ) {
        let message = Message::parse(payload).unwrap();
        assert_eq!(message.class(), Class::Request, "nobody asked");
        let key = Key::short_term(&credentials.pwd);
        let answer = Writer::new(Class::Success, Method::BINDING, message.transaction())
            .attribute(&Attribute::XorMappedAddress(from))
            .integrity(Protection::Sha1, &key)
            .fingerprint()
            .finish();
        self.fly(to, from, answer);
    }

    /// What RFC 5245 allowed: every check chooses.
    fn aggressive(&self, payload: Bytes) -> Bytes {
        let message = Message::parse(&payload).unwrap();
        if message.class() != Class::Request
            || message.raw(AttributeType::ICE_CONTROLLING).is_none()
        {
            return payload;
        }
        let key = Key::short_term(&self.sides[0].agent.local().credentials.pwd);
        let mut writer = Writer::new(message.class(), message.method(), message.transaction());
        for raw in message.attributes() {
            let is_kept = ![
                AttributeType::MESSAGE_INTEGRITY,
                AttributeType::FINGERPRINT,
                AttributeType::USE_CANDIDATE,
            ]
            .contains(&raw.kind);
            if let (true, Ok(attribute)) = (is_kept, raw.read()) {
                writer = writer.attribute(&attribute);
            }
        }
        writer
            .attribute(&Attribute::UseCandidate)
            .integrity(Protection::Sha1, &key)
            .fingerprint()
            .finish()
    }
}

const SERVER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 200)), 3_478);
