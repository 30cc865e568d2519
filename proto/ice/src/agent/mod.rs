//! One media stream's ICE (RFC 8445).

mod check;
mod checklist;
mod conclude;
mod consent;
mod description;
mod gather;
mod request;
mod response;
#[cfg(test)]
mod tests;
mod types;

pub use types::{
    BaseId, Component, Config, Credentials, Description, Event, Output, Selected, State,
    UnknownBase,
};

use crate::{
    Candidate, PairInfo,
    candidate::{self, Kind},
    pair::Pair,
    role::Role,
    stun::{Class, Key, Message, Method},
};
use base::{Deadline, Rng, earliest};
use check::Check;
use consent::Consent;
use gather::Gathering;
use request::Early;
use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Finds out which pair of addresses works for one media stream, and watches it (RFC 8445, 7675).
///
/// It is a full agent for one checklist. Give it its own addresses ([`Agent::add_base`],
/// [`Agent::add_relayed`]), let it ask STUN servers ([`Agent::gather`]), tell the peer
/// [`Agent::local`] and it what the peer tells ([`Agent::set_remote`]). Feed it every STUN datagram of
/// those addresses; send what [`Agent::poll_output`] says; wake it when [`Agent::poll_timeout`] says. It
/// says which pair carries each component, and when that pair is dead.
///
/// What fails, fails alone: a silent server, a candidate that nobody understands, a peer that sends
/// garbage. All tables are bounded by [`Config`].
#[derive(Debug)]
pub struct Agent {
    config: Config,
    /// How many run together.
    agents: u32,
    rng: Rng,
    role: Role,
    tie_breaker: u64,
    state: State,
    local: Credentials,
    /// The key that proves requests to us and responses of ours.
    local_key: Key,
    remote: Option<Remote>,
    bases: Vec<Base>,
    locals: Vec<Local>,
    /// What a foundation of ours stands for, in the order of their numbers (RFC 8445, 5.1.1.3).
    foundations: Vec<(Kind, std::net::IpAddr, Option<std::net::IpAddr>)>,
    remotes: Vec<Candidate>,
    pairs: Vec<Pair>,
    triggered: VecDeque<usize>,
    checks: Vec<Check>,
    gathering: Gathering,
    /// Requests that came before the peer's description.
    early: VecDeque<Early>,
    /// When the next check may go (RFC 8445, 14.2).
    next_check: Option<Instant>,
    /// Until when no failure is final (RFC 8863).
    patience: Option<Instant>,
    /// When the controlling side stops waiting for something better.
    decision: Option<Instant>,
    /// When candidates that were not chosen may go (RFC 8445, 8.3.1).
    release: Option<Instant>,
    selected: Vec<Chosen>,
    /// Datagrams that were no use.
    ignored: u64,
    out: VecDeque<Output>,
}

/// What the peer told.
#[derive(Debug)]
struct Remote {
    credentials: Credentials,
    key: Key,
    /// More candidates may come (RFC 8838).
    is_trickling: bool,
    /// The last component that there is.
    components: Component,
}

/// An address that packets leave from.
#[derive(Debug)]
struct Base {
    component: Component,
    address: SocketAddr,
    kind: Kind,
    preference: u16,
    is_gone: bool,
}

/// A candidate of ours.
#[derive(Debug)]
struct Local {
    candidate: Candidate,
    base: usize,
}

/// The pair that carries a component.
#[derive(Debug)]
struct Chosen {
    component: Component,
    selected: Selected,
    /// Of the checklist that stands; a restart leaves the pair of the one before.
    is_current: bool,
    consent: Consent,
}

impl Agent {
    /// An agent without addresses. `role` is controlling for who offers (RFC 8839, 4.2), `tie_breaker`
    /// the same for all streams of a session.
    pub fn new(config: Config, role: Role, tie_breaker: u64, mut rng: Rng) -> Self {
        let local = Credentials::random(&mut rng);
        Self {
            local_key: Key::short_term(&local.pwd),
            local,
            config,
            agents: 1,
            rng,
            role,
            tie_breaker,
            state: State::New,
            remote: None,
            bases: Vec::new(),
            locals: Vec::new(),
            foundations: Vec::new(),
            remotes: Vec::new(),
            pairs: Vec::new(),
            triggered: VecDeque::new(),
            checks: Vec::new(),
            gathering: Gathering::default(),
            early: VecDeque::new(),
            next_check: None,
            patience: None,
            decision: None,
            release: None,
            selected: Vec::new(),
            ignored: 0,
            out: VecDeque::new(),
        }
    }

    /// How far it is.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Who chooses.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Takes another role, as another stream of the session has learnt (RFC 8445, 7.3.1.1).
    pub fn set_role(&mut self, role: Role) {
        if self.role != role {
            self.role = role;
            self.reorder();
            self.decision = None;
            for pair in &mut self.pairs {
                pair.nominate = false;
            }
        }
    }

    /// Says how many agents of one session run together, this one included: they share the pace of their
    /// checks (RFC 8445, 14.2).
    pub const fn set_agents(&mut self, agents: u32) {
        self.agents = if agents == 0 { 1 } else { agents };
    }

    /// Between two checks of this agent.
    const fn pace(&self) -> Duration {
        self.config.ta.saturating_mul(self.agents)
    }

    /// What settles who controls; it changes when a peer insists (RFC 8445, 7.2.5.1).
    pub const fn tie_breaker(&self) -> u64 {
        self.tie_breaker
    }

    /// The pair to send a component's packets over: the chosen one, else the best that works, else none.
    pub fn route(&self, component: Component) -> Option<Selected> {
        let chosen = self
            .selected
            .iter()
            .find(|chosen| chosen.component == component);
        if let Some(chosen) = chosen {
            return chosen.consent.is_given().then_some(chosen.selected);
        }
        if self.state == State::Failed {
            return None;
        }
        // RFC 8445, 12.1: data may go over any valid pair before one is chosen.
        self.best_valid(component).map(|pair| self.selection(pair))
    }

    /// The chosen pair of a component.
    pub fn selected(&self, component: Component) -> Option<Selected> {
        let mut all = self.selected.iter();
        let chosen = all.find(|chosen| chosen.component == component && chosen.is_current)?;
        Some(chosen.selected)
    }

    /// All pairs and what became of each, best first.
    pub fn pairs(&self) -> Vec<PairInfo> {
        let mut order: Vec<&Pair> = self.pairs.iter().collect();
        order.sort_by_key(|pair| std::cmp::Reverse(pair.priority));
        let info = |pair: &Pair| {
            let local = &self.locals[pair.seen_as.unwrap_or(pair.local)].candidate;
            let remote = &self.remotes[pair.remote];
            PairInfo {
                component: pair.component,
                local: local.address,
                local_kind: local.kind,
                remote: remote.address,
                remote_kind: remote.kind,
                state: pair.state,
                nominated: pair.nominated,
                timeline: pair.timeline.to_vec(),
            }
        };
        order.into_iter().map(info).collect()
    }

    /// Datagrams that were no use: no STUN, not for us, forged.
    pub const fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Takes a datagram that came to one of our addresses. What is no STUN is not ICE's, and counted.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        base: BaseId,
        from: SocketAddr,
        datagram: &[u8],
    ) {
        let message = match Message::parse(datagram) {
            Ok(message) if base.0 < self.bases.len() => message,
            _ => {
                self.ignored += 1;
                return;
            }
        };
        let is_taken = match (message.class(), message.method()) {
            (Class::Request, Method::BINDING) => self.handle_request(now, base.0, from, &message),
            (Class::Success | Class::Error, Method::BINDING) => {
                self.handle_response(now, base.0, from, &message)
            }
            // RFC 8445, 11: keep-alives of others say nothing.
            _ => true,
        };
        self.ignored += u64::from(!is_taken);
        self.conclude(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.gathering_due(now);
        self.checks_due(now);
        self.schedule(now);
        self.consent_due(now);
        if self.release.is_some_and(|at| at <= now) {
            self.release = None;
            self.out.push_back(Output::Event(Event::CandidatesFree));
        }
        self.conclude(now);
    }

    /// When to call [`Agent::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let checks = self.checks.iter().map(|check| check.next).min();
        let consent = self
            .selected
            .iter()
            .filter_map(|chosen| chosen.consent.poll_timeout())
            .min();
        earliest([
            (self.gathering.poll_timeout(), "ICE gathering"),
            (checks, "ICE check"),
            (self.next_check, "ICE pacing"),
            (self.decision, "ICE nomination"),
            (self.patience, "ICE patience"),
            (consent, "ICE consent"),
            (self.release, "ICE release"),
        ])
    }

    /// What to send and to tell, in the order of causes.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn set_state(&mut self, state: State) {
        if self.state != state {
            let before = std::mem::replace(&mut self.state, state);
            let event = Event::StateDidChange {
                before,
                after: state,
            };
            self.out.push_back(Output::Event(event));
        }
    }

    fn selection(&self, pair: &Pair) -> Selected {
        let seen = &self.locals[pair.seen_as.unwrap_or(pair.local)].candidate;
        let remote = &self.remotes[pair.remote];
        Selected {
            base: BaseId(self.locals[pair.local].base),
            local: seen.address,
            local_kind: seen.kind,
            remote: remote.address,
            remote_kind: remote.kind,
        }
    }

    fn best_valid(&self, component: Component) -> Option<&Pair> {
        self.pairs
            .iter()
            .filter(|pair| pair.component == component && pair.is_valid())
            .max_by_key(|pair| pair.priority)
    }

    /// The components that there are, in order.
    fn components(&self) -> Vec<Component> {
        let mut all: Vec<Component> = self.bases.iter().map(|base| base.component).collect();
        all.sort_unstable();
        all.dedup();
        // RFC 8445, 6.1.2.2: what the peer does not have cannot be paired.
        let Some(remote) = &self.remote else {
            return all;
        };
        all.retain(|component| *component <= remote.components);
        if !remote.is_trickling && !self.remotes.is_empty() {
            all.retain(|component| {
                let mut remotes = self.remotes.iter();
                remotes.any(|remote| remote.component == *component)
            });
        }
        all
    }

    /// Pairs are worth something else in the other role (RFC 8445, 7.2.5.1).
    fn reorder(&mut self) {
        for pair in &mut self.pairs {
            let local = self.locals[pair.local].candidate.priority;
            let remote = self.remotes[pair.remote].priority;
            pair.priority = crate::pair::priority(self.role, local, remote);
        }
    }

    fn add_local(&mut self, candidate: Local) -> Option<usize> {
        if self.locals.len() >= self.config.candidates {
            return None;
        }
        self.locals.push(candidate);
        Some(self.locals.len() - 1)
    }

    /// RFC 8445, 5.1.1.3: the same number for the same kind, base address and server.
    fn foundation(
        &mut self,
        kind: Kind,
        base: std::net::IpAddr,
        server: Option<std::net::IpAddr>,
    ) -> String {
        let wanted = (kind, base, server);
        let at = self.foundations.iter().position(|known| *known == wanted);
        let at = at.unwrap_or_else(|| {
            self.foundations.push(wanted);
            self.foundations.len() - 1
        });
        (at + 1).to_string()
    }

    fn priority_of(&self, base: usize, kind: Kind) -> u32 {
        let base = &self.bases[base];
        candidate::priority(kind, base.preference, base.component)
    }
}

/// RFC 8445, 8.3.1.
const RELEASE: Duration = Duration::from_secs(3);
