//! ICE for an RTP stream (RFC 8445, 8839): the addresses that it has, and the pair that carries it.

mod describe;
mod gather;
mod info;
mod relayed;
mod relays;
#[cfg(test)]
mod tests;
mod trickle;

pub use info::{IceInfo, RelayInfo};

use super::ports::Ports;
use crate::{
    edge::Interface,
    event::{CheckedPair, IcePair},
    stream::{MediaSettings, Slot, StreamOutput},
};
use ::ice::{Agent, BaseId, Component, Event, Kind, Output, Role, State};
use base::{Deadline, Rng, Target, earliest};
use bytes::BytesMut;
use relays::Relays;
use sdp::Fragment;
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// What became of ICE, for whoever describes the stream.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum News {
    /// All addresses are known that will be.
    Ready,
    /// No relay gives an address, and no other one may be used.
    NoRelay,
    /// The relay that carries media is gone.
    RelayLost,
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
    /// Who controls in the session, once that is known (RFC 8445, 6.1.1).
    role: Option<Role>,
    /// It was changed after another stream.
    has_followed: bool,
    agent: Agent,
    interfaces: Arc<[Interface]>,
    phase: Phase,
    /// Sockets beside the pair that the description names.
    others: Vec<Other>,
    /// Which socket an address of the agent has.
    bases: Vec<(BaseId, Slot)>,
    relays: Relays,
    /// Media that came over relays.
    relayed: VecDeque<(Slot, SocketAddr, BytesMut)>,
    /// The relay that carried media is gone: everything is to be looked for anew.
    is_stale: bool,
    /// The questions for servers that are not answered.
    asked: Vec<u16>,
    /// STUN servers.
    servers: Vec<SocketAddr>,
    /// TURN servers, and where they are.
    turn_servers: Vec<(usize, Option<Vec<Target>>)>,
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
    /// Which m-line is ours, once it was agreed on.
    place: Option<Place>,
    /// What trickled in before the description that it belongs to, the oldest first.
    early: VecDeque<Fragment>,
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

/// Where descriptions tell of us.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Place {
    /// Which m-line.
    index: usize,
    /// Its tag, if it has one (RFC 5888).
    mid: Option<String>,
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
            relays: Relays::new(settings, rng.fork()),
            relayed: VecDeque::new(),
            is_stale: false,
            rng,
            tie_breaker,
            role: None,
            has_followed: false,
            interfaces: Arc::clone(interfaces),
            phase: Phase::Idle,
            others: Vec::new(),
            bases: Vec::new(),
            asked: Vec::new(),
            servers: Vec::new(),
            turn_servers: Vec::new(),
            deadline: None,
            is_agreed: false,
            is_muxed: false,
            since: None,
            described: Vec::new(),
            is_peer_modern: false,
            place: None,
            early: VecDeque::new(),
            news: VecDeque::new(),
        })
    }

    /// Takes what the system says of its interfaces; they count when sockets are next opened.
    pub(crate) fn set_interfaces(&mut self, interfaces: Vec<Interface>) {
        self.interfaces = interfaces.into();
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
        if let Some(base) = self.base(slot) {
            self.agent.handle_datagram(now, base, from, datagram);
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

    fn base(&self, slot: Slot) -> Option<BaseId> {
        let found = self.bases.iter().find(|(_, own)| *own == slot);
        found.map(|(base, _)| *base)
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

    /// Begins anew with other credentials (RFC 8445, 9); who controls goes on (6.1.1).
    pub(crate) fn restart(&mut self) {
        self.agent.restart(self.agent.role());
        self.since = None;
    }

    /// Takes what another stream has found out: who controls in the session (RFC 8445, 6.1.1), or that it has
    /// changed (7.3.1.1). A change is followed once: a peer whose streams do not agree among themselves would
    /// let ours change for ever.
    pub(crate) fn follow_role(&mut self, now: Instant, role: Role) {
        let is_change = self.role.is_some_and(|known| known != role);
        if is_change && std::mem::replace(&mut self.has_followed, true) {
            return;
        }
        self.role = Some(role);
        self.agent.set_role(role);
        self.agent.handle_timeout(now);
    }

    /// Tells the other streams who controls, if they do not know it.
    fn tell_role(&mut self, out: &mut VecDeque<StreamOutput>) {
        let role = self.agent.role();
        if self.role.replace(role) != Some(role) {
            out.push_back(StreamOutput::IceRole(role));
        }
    }

    /// True if there should be relays that there are not, or if the one in use may be gone: another attempt to
    /// find a way begins with them.
    pub(crate) fn wants_relays(&self) -> bool {
        let mut selected = COMPONENTS
            .iter()
            .filter_map(|&component| self.agent.selected(component));
        self.relays.is_short() || selected.any(|pair| pair.local_kind == Kind::Relayed)
    }

    /// Addresses of before do not count any more: the next preparation begins from nothing.
    pub(crate) const fn set_stale(&mut self) {
        self.is_stale = true;
    }

    /// True if [`open`](Self::open) is to be called again.
    pub(crate) const fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        let own = earliest([(self.deadline, "ICE sockets")]);
        let parts = [own, self.agent.poll_timeout(), self.relays.poll_timeout()];
        parts.into_iter().flatten().min()
    }

    /// Does what is due.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        ports: &Ports,
        out: &mut VecDeque<StreamOutput>,
    ) {
        self.agent.handle_timeout(now);
        self.relays.handle_timeout(now);
        self.advance(now, ports, out);
    }

    /// Closes the sockets beside the pair, and gives addresses at relays back.
    pub(crate) fn close(&mut self, now: Instant, out: &mut VecDeque<StreamOutput>) {
        for (at, other) in self.others.iter().enumerate() {
            if other.state != Socket::Closed {
                out.push_back(StreamOutput::Close { slot: slot_of(at) });
            }
        }
        self.others.clear();
        self.bases.clear();
        self.relays.close(now, out);
        self.relayed.clear();
        self.early.clear();
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
            controls: self.agent.role() == Role::Controlling,
            rtp: chosen(RTP_COMPONENT),
            rtcp: chosen(RTCP_COMPONENT),
            checked: self.checked(),
            relays: self.relays.info(),
        }
    }

    /// Every pair that was looked at.
    pub(crate) fn checked(&self) -> Vec<CheckedPair> {
        let start = self.since.iter();
        let all = start.flat_map(|start| {
            let pairs = self.agent.pairs().into_iter();
            pairs.map(|pair| CheckedPair::new(&pair, *start))
        });
        all.collect()
    }

    pub(super) fn drain(&mut self, now: Instant, out: &mut VecDeque<StreamOutput>) {
        self.drain_agent(now, out);
        while let Some(told) = self.relays.poll(now, out) {
            self.told(now, told);
            self.drain_agent(now, out);
        }
        if self.phase == Phase::Gathering {
            self.agent.await_relayed(self.relays.is_trying());
            self.drain_agent(now, out);
            self.gathered(now, out);
        }
    }

    fn drain_agent(&mut self, now: Instant, out: &mut VecDeque<StreamOutput>) {
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Transmit { base, to, payload } => match self.slot(base) {
                    Some(slot) if self.relays.owns(slot) => {
                        self.relays.send(now, slot, to, &payload);
                    }
                    Some(slot) => out.push_back(StreamOutput::Transmit { slot, to, payload }),
                    None => {}
                },
                Output::Event(Event::RoleDidChange(_)) => self.tell_role(out),
                Output::Event(event) => self.heard(now, &event),
                _ => {}
            }
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
            // Both components fall silent together, as a rule: the first is news enough, and what is left of
            // the pairs before a restart is none.
            Event::ConsentExpired { .. }
                if self.agent.state() == State::Completed
                    && !self.is_stale
                    && self.news.back() != Some(&News::Lost) =>
            {
                self.news.push_back(News::Lost);
            }
            Event::DidSelect { pair, .. } => {
                if let Some(slot) = self.slot(pair.base) {
                    self.relays.bind(now, slot, pair.remote);
                }
            }
            // RFC 8445, 8.3.1: they could go. They stay, since a peer that restarts is answered at once, and
            // then every way must still be there.
            Event::CandidatesFree => {}
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
/// Of each kind.
const MAX_SERVERS: usize = 4;
/// The number of the first question for a TURN server.
const FIRST_TURN: u16 = MAX_SERVERS as u16;
/// Of one server.
const ADDRESSES_A_SERVER: usize = 2;
/// How long no pair may work until the described addresses are used.
const FALLBACK: Duration = Duration::from_secs(8);
/// How long sockets and names are waited for.
const OPENING: Duration = Duration::from_secs(2);
/// What media may go over before ICE is done, the most likely first (RFC 8839, 4.2.1.2).
const DEFAULTS: [Kind; 3] = [Kind::Relayed, Kind::ServerReflexive, Kind::Host];
