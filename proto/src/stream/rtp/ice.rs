//! ICE for an RTP stream (RFC 8445, 8839): the addresses that it has, and the pair that carries it.

mod describe;
#[cfg(test)]
mod tests;

use super::{RTCP, RTP, ports::Ports};
use crate::{
    edge::{Class, Interface},
    event::IcePair,
    stream::{Lookup, MediaSettings, Slot, SlotOpen, StreamOutput},
};
use ::ice::{Agent, BaseId, Component, Event, Kind, Output, Role, State};
use base::{Deadline, Rng, Target, earliest};
use serde::Serialize;
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

/// What became of ICE, for whoever describes the stream.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum News {
    /// All addresses are known that will be.
    Ready,
    /// The agent moved on (RTP-14).
    State {
        /// From where.
        before: State,
        /// To where.
        after: State,
    },
    /// Each component has a chosen pair. `is_default` unless the peer has to be told which (RFC 8839,
    /// 4.4.1.2.2).
    Succeeded {
        /// How long it took, from the peer's description on.
        duration: Duration,
        /// The choice is what both descriptions say.
        is_default: bool,
    },
    /// No pair works.
    Failed,
    /// The peer has not proved for too long that it wants what we send (RFC 7675, 5.1).
    Lost,
}

/// The addresses of one RTP stream, and what is known of those of its peer.
#[derive(Debug)]
pub(crate) struct Ice {
    settings: Arc<MediaSettings>,
    rng: Rng,
    tie_breaker: u64,
    agent: Agent,
    interfaces: Arc<[Interface]>,
    phase: Phase,
    /// Sockets beside the pair that the description names.
    others: Vec<Other>,
    /// Which socket an address of the agent has.
    bases: Vec<(BaseId, Slot)>,
    /// The questions for servers that are not answered.
    asked: u16,
    servers: Vec<SocketAddr>,
    /// Until when sockets and servers' addresses are waited for.
    deadline: Option<Instant>,
    /// Both descriptions have ICE.
    is_agreed: bool,
    /// Both descriptions put RTCP on the port of RTP: there is one component (RFC 5761, 5.1.3).
    is_muxed: bool,
    /// When the peer's description came.
    since: Option<Instant>,
    /// Where our last description says that we are, RTP and RTCP.
    described: Vec<SocketAddr>,
    /// The peer needs no offer that repeats what was chosen (RFC 8445, 10).
    is_peer_modern: bool,
    news: VecDeque<News>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Idle,
    /// Sockets open, names are looked up.
    Opening,
    Gathering,
    Ready,
}

/// A socket beside the pair that the description names.
#[derive(Debug)]
struct Other {
    component: Component,
    state: Socket,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Socket {
    Opening,
    Open(SocketAddr),
    Closed,
}

/// How far ICE is, and over what media go.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct IceInfo {
    /// `new`, `gathering`, `gathered`, `running`, `completed` or `failed`.
    pub state: String,
    /// The pair that carries RTP.
    pub rtp: Option<IcePair>,
    /// The pair that carries RTCP.
    pub rtcp: Option<IcePair>,
    /// Every pair of the checklist, the best one first, and why it is where it is.
    pub checked: Vec<IcePair>,
}

impl Ice {
    /// `None` if the settings do without.
    pub(crate) fn new(
        settings: &Arc<MediaSettings>,
        interfaces: &Arc<[Interface]>,
        tie_breaker: u64,
        mut rng: Rng,
    ) -> Option<Self> {
        settings.ice.then(|| Self {
            settings: Arc::clone(settings),
            agent: agent(settings, tie_breaker, &mut rng),
            rng,
            tie_breaker,
            interfaces: Arc::clone(interfaces),
            phase: Phase::Idle,
            others: Vec::new(),
            bases: Vec::new(),
            asked: 0,
            servers: Vec::new(),
            deadline: None,
            is_agreed: false,
            is_muxed: false,
            since: None,
            described: Vec::new(),
            is_peer_modern: false,
            news: VecDeque::new(),
        })
    }

    /// Takes what the system says of its interfaces; they count when sockets are next opened.
    pub(crate) fn set_interfaces(&mut self, interfaces: Vec<Interface>) {
        self.interfaces = interfaces.into();
    }

    /// Opens a socket on each address beside `local`, and asks where the servers are. Called again it
    /// begins from nothing: what the peer told of the old addresses does not count any more.
    pub(crate) fn open(&mut self, now: Instant, local: IpAddr, out: &mut VecDeque<StreamOutput>) {
        self.close(out);
        // A peer that has agreed on ICE gets nothing until there is a pair again (RFC 7675, 5.1).
        self.since = None;
        (self.described, self.servers) = (Vec::new(), Vec::new());
        self.phase = Phase::Opening;
        self.deadline = now.checked_add(OPENING);
        let mut addresses: Vec<IpAddr> = Vec::new();
        for interface in self.interfaces.iter() {
            let ip = interface.address;
            if ip != local && !addresses.contains(&ip) && self.is_usable(ip) {
                addresses.push(ip);
            }
        }
        addresses.truncate(MAX_OTHERS);
        for address in addresses {
            for component in [RTP_COMPONENT, RTCP_COMPONENT] {
                let slot = slot_of(self.others.len());
                self.others.push(Other {
                    component,
                    state: Socket::Opening,
                });
                // RTP-15: with ICE, any port.
                out.push_back(StreamOutput::Open {
                    slot,
                    how: SlotOpen::Udp {
                        bind: SocketAddr::new(address, 0),
                        class: Class::Voice,
                    },
                });
            }
        }
        self.asked = 0;
        for server in self.settings.stun_servers.iter().take(MAX_SERVERS) {
            out.push_back(StreamOutput::Resolve {
                lookup: self.asked,
                what: Lookup::Service {
                    service: dns::Service::Stun,
                    host: server.host.clone(),
                    port: server.port,
                },
            });
            self.asked += 1;
        }
    }

    /// RFC 8445, 5.1.1.1: no loopback, no link-local addresses where there are others.
    fn is_usable(&self, ip: IpAddr) -> bool {
        let is_link_local = match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        let is_loopback = ip.is_loopback() && !self.settings.ice_allow_loopback;
        !is_link_local && !is_loopback && !ip.is_unspecified() && !ip.is_multicast()
    }

    /// True for a socket that this has asked for.
    pub(crate) fn owns(&self, slot: Slot) -> bool {
        self.other(slot).is_some()
    }

    fn other(&self, slot: Slot) -> Option<usize> {
        let at = usize::from(slot.0).checked_sub(FIRST_SLOT)?;
        (at < self.others.len()).then_some(at)
    }

    /// A socket beside the pair is there.
    pub(crate) fn opened(&mut self, slot: Slot, local: SocketAddr) {
        if let Some(at) = self.other(slot) {
            self.others[at].state = Socket::Open(local);
        }
    }

    /// A socket beside the pair is not to be had, or gone: one candidate less.
    pub(crate) fn closed(&mut self, slot: Slot) {
        if let Some(at) = self.other(slot) {
            self.others[at].state = Socket::Closed;
        }
    }

    /// A server's addresses are known, or that there are none (BUG-01: its failure is its own).
    pub(crate) fn resolved(&mut self, targets: Vec<Target>) {
        self.asked = self.asked.saturating_sub(1);
        let addresses = targets.into_iter().map(|target| target.address);
        self.servers.extend(addresses.take(ADDRESSES_A_SERVER));
    }

    /// Asks the servers as soon as there is something to ask from.
    pub(super) fn advance(
        &mut self,
        now: Instant,
        ports: &Ports,
        out: &mut VecDeque<StreamOutput>,
    ) {
        let is_late = self.deadline.is_some_and(|at| at <= now);
        let opens = |other: &Other| other.state == Socket::Opening;
        let is_waiting = self.asked > 0 || self.others.iter().any(opens);
        if self.phase == Phase::Opening
            && (is_late || !is_waiting)
            && let Some((rtp, rtcp)) = ports.pair()
        {
            self.deadline = None;
            self.phase = Phase::Gathering;
            if self.is_usable(rtp.ip()) {
                self.add_base(RTP_COMPONENT, rtp, RTP);
                self.add_base(RTCP_COMPONENT, rtcp, RTCP);
            }
            for at in 0..self.others.len() {
                if let Socket::Open(local) = self.others[at].state {
                    let component = self.others[at].component;
                    self.add_base(component, local, slot_of(at));
                }
            }
            self.agent.gather(now, &self.servers);
        }
        self.drain(now, out);
    }

    fn add_base(&mut self, component: Component, local: SocketAddr, slot: Slot) {
        // RFC 8445, 5.1.2.1: the address that signalling uses first.
        let preference = u16::MAX - (self.bases.len() / 2) as u16;
        let base = self.agent.add_base(component, local, preference);
        self.bases.push((base, slot));
    }

    /// Takes a STUN message that came to a socket.
    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        slot: Slot,
        from: SocketAddr,
        datagram: &[u8],
        out: &mut VecDeque<StreamOutput>,
    ) {
        let base = self.bases.iter().find(|(_, own)| *own == slot);
        if let Some((base, _)) = base {
            self.agent.handle_datagram(now, *base, from, datagram);
        }
        self.drain(now, out);
    }

    /// Where a packet of RTP or RTCP goes, and from which socket; `None` while no way is known.
    pub(crate) fn way(&self, slot: Slot) -> Option<(Slot, SocketAddr)> {
        let selected = self.agent.route(component_of(slot))?;
        Some((self.slot(selected.base)?, selected.remote))
    }

    fn slot(&self, base: BaseId) -> Option<Slot> {
        let found = self.bases.iter().find(|(own, _)| *own == base);
        found.map(|(_, slot)| *slot)
    }

    /// True while packets go where ICE says.
    pub(crate) const fn is_agreed(&self) -> bool {
        self.is_agreed
    }

    /// True if a pair is chosen for each component.
    pub(crate) fn is_completed(&self) -> bool {
        self.is_agreed && self.agent.state() == State::Completed
    }

    /// From here on as if there had never been ICE.
    pub(crate) fn leave(&mut self) {
        self.is_agreed = false;
    }

    /// Begins anew with other credentials, as who offers (RFC 8445, 9).
    pub(crate) fn restart(&mut self, role: Role) {
        self.agent.restart(role);
        self.since = None;
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        let own = earliest([(self.deadline, "ICE sockets")]);
        own.into_iter().chain(self.agent.poll_timeout()).min()
    }

    /// Does what is due.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        ports: &Ports,
        out: &mut VecDeque<StreamOutput>,
    ) {
        self.agent.handle_timeout(now);
        self.advance(now, ports, out);
    }

    /// Closes the sockets beside the pair.
    pub(crate) fn close(&mut self, out: &mut VecDeque<StreamOutput>) {
        for (at, other) in self.others.iter().enumerate() {
            if other.state != Socket::Closed {
                out.push_back(StreamOutput::Close { slot: slot_of(at) });
            }
        }
        self.others.clear();
        self.bases.clear();
        self.deadline = None;
        self.phase = Phase::Idle;
        self.agent = agent(&self.settings, self.tie_breaker, &mut self.rng);
    }

    /// Takes the next piece of news.
    pub(crate) fn poll_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// How far it is.
    pub(crate) fn info(&self) -> IceInfo {
        let chosen = |component| {
            let selected = self.agent.selected(component)?;
            Some(IcePair::chosen(component, &selected))
        };
        IceInfo {
            state: self.agent.state().to_string(),
            rtp: chosen(RTP_COMPONENT),
            rtcp: chosen(RTCP_COMPONENT),
            checked: self.agent.pairs().iter().map(IcePair::from).collect(),
        }
    }

    pub(super) fn drain(&mut self, now: Instant, out: &mut VecDeque<StreamOutput>) {
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Transmit { base, to, payload } => {
                    if let Some(slot) = self.slot(base) {
                        out.push_back(StreamOutput::Transmit { slot, to, payload });
                    }
                }
                Output::Event(event) => self.heard(now, &event),
                _ => {}
            }
        }
        let is_gathered = self.agent.state() >= State::Gathered;
        if self.phase == Phase::Gathering && is_gathered {
            self.phase = Phase::Ready;
            self.news.push_back(News::Ready);
        }
    }

    fn heard(&mut self, now: Instant, event: &Event) {
        match event {
            Event::StateDidChange { before, after } => {
                let (before, after) = (*before, *after);
                self.news.push_back(News::State { before, after });
                match after {
                    State::Completed => self.news.push_back(News::Succeeded {
                        duration: self
                            .since
                            .map_or(Duration::ZERO, |since| now.duration_since(since)),
                        is_default: self.is_default(),
                    }),
                    State::Failed => self.news.push_back(News::Failed),
                    _ => {}
                }
            }
            // Both components fall silent together, as a rule: the first is news enough.
            Event::ConsentExpired { .. } if self.news.back() != Some(&News::Lost) => {
                self.news.push_back(News::Lost);
            }
            _ => {}
        }
    }

    /// RFC 8839, 4.4.1.2.2: the other side needs an updated offer if what was chosen is not what our
    /// description says, and only of who controls. RFC 8445, 10: one of two modern agents sends none.
    fn is_default(&self) -> bool {
        let selected = |&component: &Component| self.agent.selected(component);
        let chosen: Vec<SocketAddr> = components(self.is_muxed)
            .iter()
            .filter_map(selected)
            .map(|selected| selected.local)
            .collect();
        self.agent.role() == Role::Controlled
            || self.is_peer_modern
            || self.described.starts_with(&chosen)
    }
}

fn agent(settings: &MediaSettings, tie_breaker: u64, rng: &mut Rng) -> Agent {
    let mut config = ::ice::Config::default();
    if settings.ice_fallback {
        // Before the session gives the stream up (SES-12).
        config.patience = FALLBACK;
    }
    Agent::new(config, Role::Controlled, tie_breaker, rng.fork())
}

fn slot_of(other: usize) -> Slot {
    Slot((FIRST_SLOT + other) as u16)
}

/// Which component a socket carries: even numbers are of RTP.
pub(super) const fn component_of(slot: Slot) -> Component {
    match slot.0 % 2 {
        0 => RTP_COMPONENT,
        _ => RTCP_COMPONENT,
    }
}

/// RFC 8445, 4.
const RTP_COMPONENT: Component = 1;
const RTCP_COMPONENT: Component = 2;
const COMPONENTS: [Component; 2] = [RTP_COMPONENT, RTCP_COMPONENT];

/// The components that there are.
fn components(is_muxed: bool) -> &'static [Component] {
    match is_muxed {
        true => &COMPONENTS[..1],
        false => &COMPONENTS,
    }
}

/// The first of our slots; those of the described pair are before it.
const FIRST_SLOT: usize = 2;
/// Interfaces beside the one of signalling.
const MAX_OTHERS: usize = 7;
const MAX_SERVERS: usize = 4;
/// Of one server.
const ADDRESSES_A_SERVER: usize = 2;
/// How long no pair may work until the described addresses are used.
const FALLBACK: Duration = Duration::from_secs(8);
/// How long sockets and names are waited for.
const OPENING: Duration = Duration::from_secs(2);
/// What media may go over before ICE is done, the most likely first (RFC 8839, 4.2.1.2).
const DEFAULTS: [Kind; 3] = [Kind::Relayed, Kind::ServerReflexive, Kind::Host];
