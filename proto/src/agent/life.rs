//! The start and the end of an agent.

use super::{
    Account, Child, Config, Interface, InterfaceKind, LinkId, Retired, UserAgent,
    accounts::Accounts, coverage_of, subscriptions::Subscriptions,
};
use crate::event::{AgentEvent, Event, Listening};
use base::{Deadline, LinkError, Transport};
use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

/// Where an agent is between its start and its end.
#[derive(Debug)]
pub(super) struct Life {
    phase: Phase,
    /// The configured addresses.
    addresses: Vec<IpAddr>,
    /// What we listen on, in the order in which it was asked for.
    listeners: Vec<Listener>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// No address was configured, or all of them: the interfaces will tell.
    WaitingForInterfaces,
    /// So many sockets have not opened or failed.
    Opening {
        pending: usize,
        error: LinkError,
    },
    Running,
    /// Sessions are ending; at the deadline the rest is cut off.
    Ending {
        until: Instant,
    },
    /// What was written is being sent, then every link is closed.
    Closing,
    /// `DidEnd` or `DidFail` was said.
    Over,
}

#[derive(Debug)]
struct Listener {
    link: LinkId,
    /// The address that was asked for.
    bind: IpAddr,
    open: Option<Listening>,
}

impl Life {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            phase: Phase::WaitingForInterfaces,
            addresses: config.addresses.clone(),
            listeners: Vec::new(),
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    pub(super) fn listening(&self) -> Vec<Listening> {
        self.listeners.iter().filter_map(|at| at.open).collect()
    }

    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        match self.phase {
            Phase::Ending { until } => Some(Deadline::new(until, "shutdown")),
            Phase::WaitingForInterfaces
            | Phase::Opening { .. }
            | Phase::Running
            | Phase::Closing
            | Phase::Over => None,
        }
    }

    /// The addresses of all sockets that we listen on, or will.
    pub(super) fn bound(&self) -> Vec<IpAddr> {
        let mut bound: Vec<IpAddr> = self.listeners.iter().map(|at| at.bind).collect();
        bound.sort_unstable();
        bound.dedup();
        bound
    }

    /// A socket was asked for.
    pub(super) fn expect(&mut self, link: LinkId, bind: IpAddr) {
        let open = None;
        self.listeners.push(Listener { link, bind, open });
    }

    /// True while the end waits for others.
    pub(super) const fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Ending { .. } | Phase::Closing)
    }
}

impl UserAgent {
    pub(super) fn start(&mut self, accounts: Vec<Account>, packages: Vec<sip::Package>) {
        self.notify(Event::Agent(AgentEvent::WillStart));
        for package in packages {
            let name = package.name.clone();
            if let Err(error) = self.endpoint.add_package(package) {
                self.log("subscriptions", 2, format!("package {name}: {error}"));
            }
        }
        for account in accounts {
            self.add_known_account(account);
        }
        let addresses = &self.life.addresses;
        if !addresses.is_empty() && !addresses.iter().any(IpAddr::is_unspecified) {
            let addresses = addresses.clone();
            self.open_listeners(&addresses);
        }
    }

    /// The system told its interfaces.
    pub(super) fn interfaces_known(&mut self) {
        match self.life.phase {
            Phase::WaitingForInterfaces => {
                let addresses = addresses_of(&self.life, &self.interfaces);
                self.open_listeners(&addresses);
            }
            Phase::Running => self.interfaces_changed(),
            Phase::Opening { .. } | Phase::Ending { .. } | Phase::Closing | Phase::Over => {}
        }
    }

    pub(super) fn now_listening(
        &mut self,
        link: LinkId,
        transport: Transport,
        address: SocketAddr,
    ) {
        if transport.is_reliable() {
            self.endpoint.add_listener(transport, address);
        } else {
            self.add_flow(link, transport, address, None);
        }
        let mut listeners = self.life.listeners.iter_mut();
        if let Some(listener) = listeners.find(|listener| listener.link == link) {
            listener.open = Some(Listening { transport, address });
        }
        self.resolver.set_listening(&self.reach());
        self.opened(None);
    }

    /// Gives a socket or a connection to the endpoint.
    pub(super) fn add_flow(
        &mut self,
        link: LinkId,
        transport: Transport,
        local: SocketAddr,
        peer: Option<SocketAddr>,
    ) {
        match self.endpoint.add_flow(self.now, transport, local, peer) {
            Ok(flow) => self.links.set_flow(link, flow),
            Err(error) => {
                tracing::debug!(%error, "the endpoint takes no flow");
                self.links.drop_link(link);
            }
        }
    }

    pub(super) fn not_listening(
        &mut self,
        link: LinkId,
        transport: Transport,
        address: SocketAddr,
        error: LinkError,
    ) {
        let listeners = &mut self.life.listeners;
        let was_open = listeners
            .iter()
            .any(|at| at.link == link && at.open.is_some());
        listeners.retain(|listener| listener.link != link);
        if transport.is_reliable() {
            self.endpoint.remove_listener(transport, address);
        }
        self.resolver.set_listening(&self.reach());
        self.log("links", 2, format!("{transport} {address}: {error}"));
        if transport == Transport::Tls && !was_open {
            self.notify(Event::Agent(AgentEvent::FailedToStartTls { error }));
        }
        if !was_open {
            self.opened(Some(error));
        }
    }

    /// Ends everything (ENG-27).
    pub(super) fn apply_shutdown(&mut self) {
        match self.life.phase {
            Phase::Ending { .. } | Phase::Closing | Phase::Over => return,
            Phase::WaitingForInterfaces | Phase::Opening { .. } | Phase::Running => {}
        }
        self.notify(Event::Agent(AgentEvent::WillEnd));
        let limit = self.config.limits.shutdown;
        let until = self.now.checked_add(limit).unwrap_or(self.now);
        self.life.phase = Phase::Ending { until };
        for id in self.sessions.keys() {
            // A session that is over already needs no end.
            let _ = self.with_session(id, |session, now, streams| session.end(now, streams, None));
        }
        self.leave_accounts();
        self.leave_subscriptions(|_| true);
        self.end_detections();
        self.touch(Child::Life);
    }

    /// Goes on with the end when everybody else has had his say.
    pub(super) fn life_settled(&mut self) {
        if !self.dirty.is_empty() {
            if self.life.is_ending() {
                self.touch(Child::Life);
            }
            return;
        }
        match self.life.phase {
            Phase::Ending { until }
                if self.session_count == 0
                    && self.accounts.is_at_rest()
                    && self.subscriptions.is_at_rest()
                    || self.now >= until =>
            {
                self.close();
            }
            Phase::Closing if self.links.len() == 0 => {
                self.life.phase = Phase::Over;
                self.notify(Event::Agent(AgentEvent::DidEnd));
            }
            _ => {}
        }
    }

    fn close(&mut self) {
        self.life.phase = Phase::Closing;
        self.life.listeners.clear();
        self.accounts = Accounts::default();
        self.subscriptions = Subscriptions::new();
        for id in self.sessions.keys() {
            self.remove_session(id);
        }
        self.resolver.stop();
        self.touch(Child::Resolver);
        self.links.close_all(self.now);
        self.retired = Some(Retired {
            counters: self.endpoint.counters(),
            coverage: coverage_of(&self.endpoint),
        });
        // Transactions that were only waiting for late retransmissions end here: nothing can come.
        self.endpoint = sip::Endpoint::new(self.now, self.config.sip.clone(), self.rng.fork());
        self.touch(Child::Endpoint);
        self.touch(Child::Links);
        self.touch(Child::Life);
    }

    /// What can be spoken, and in which family: where we listen, and by TLS and WebSockets also from where
    /// we do not.
    pub(super) fn reach(&self) -> Vec<Listening> {
        let mut reach = self.life.listening();
        let families: Vec<SocketAddr> = reach.iter().map(|at| at.address).collect();
        let further: &[Transport] = match self.config.tls.is_some() {
            true => &[Transport::Tls, Transport::Ws, Transport::Wss],
            false => &[Transport::Ws],
        };
        for &transport in further {
            let spoken = |&address| Listening { transport, address };
            reach.extend(families.iter().map(spoken));
        }
        reach
    }

    pub(super) fn log(&mut self, sender: &'static str, level: u8, message: String) {
        tracing::debug!(sender, level, message);
        if level > self.config.log_level {
            return;
        }
        self.notify(Event::Agent(AgentEvent::Log {
            sender,
            level,
            message,
        }));
    }

    /// The local address from which `peer` is most likely reached: one that we listen on, of its
    /// family, on its side of the loopback border, with the longest prefix in common.
    pub(super) fn local_address_for(&self, peer: Option<IpAddr>) -> IpAddr {
        let listening = self.life.listening();
        let own = listening.iter().map(|at| at.address.ip());
        // The first of equals: what was configured first is preferred.
        let better = |a: IpAddr, b: IpAddr| match nearness(b, peer) > nearness(a, peer) {
            true => b,
            false => a,
        };
        own.reduce(better)
            .unwrap_or_else(|| IpAddr::from([127, 0, 0, 1]))
    }

    fn open_listeners(&mut self, addresses: &[IpAddr]) {
        let pending = self.listen_on(addresses);
        self.life.phase = Phase::Opening {
            pending,
            error: LinkError::AddressGone,
        };
        if self.life.listeners.is_empty() {
            self.fail(LinkError::AddressGone);
        }
    }

    /// One of the sockets that we asked for is there, or cannot be.
    fn opened(&mut self, failed: Option<LinkError>) {
        let Phase::Opening { pending, error } = &mut self.life.phase else {
            return self.network_opened(1);
        };
        *pending -= 1;
        *error = failed.unwrap_or(*error);
        if *pending > 0 {
            return;
        }
        let error = *error;
        let listening = self.life.listening();
        if listening.is_empty() {
            return self.fail(error);
        }
        self.life.phase = Phase::Running;
        self.notify(Event::Agent(AgentEvent::DidStart { listening }));
    }

    fn fail(&mut self, error: LinkError) {
        self.life.phase = Phase::Over;
        self.notify(Event::Agent(AgentEvent::DidFail { error }));
    }
}

/// How likely a packet to `peer` leaves from `local`; compared field by field.
fn nearness(local: IpAddr, peer: Option<IpAddr>) -> (bool, bool, u32) {
    match (local, peer) {
        (IpAddr::V4(a), Some(IpAddr::V4(b))) => {
            let common = (a.to_bits() ^ b.to_bits()).leading_zeros();
            (true, a.is_loopback() == b.is_loopback(), common)
        }
        (IpAddr::V6(a), Some(IpAddr::V6(b))) => {
            let common = (a.to_bits() ^ b.to_bits()).leading_zeros();
            (true, a.is_loopback() == b.is_loopback(), common)
        }
        (_, Some(_)) => (false, false, 0),
        // Nobody knows where a name leads: probably not to this machine.
        (_, None) => (local.is_ipv4(), !local.is_loopback(), 0),
    }
}

/// The addresses to listen on. One that was configured and is not there is not tried again and
/// again: it is listened on when an interface has it. The first time all are tried, so that the
/// failure is told.
pub(super) fn addresses_of(life: &Life, interfaces: &[Interface]) -> Vec<IpAddr> {
    if life.addresses.is_empty() {
        return leading_somewhere(interfaces);
    }
    let mut addresses = every_one(&life.addresses, interfaces);
    if life.is_running() {
        let is_there = |ip: &IpAddr| interfaces.iter().any(|interface| interface.address == *ip);
        addresses.retain(|ip| is_there(ip) || ip.is_loopback());
    }
    addresses
}

/// The addresses to listen on when none is configured: those of interfaces with a default route, else
/// of any that is not the loopback, else the loopback.
fn leading_somewhere(interfaces: &[Interface]) -> Vec<IpAddr> {
    let outside = |interface: &&Interface| interface.kind != InterfaceKind::Loopback;
    let routed = |interface: &&Interface| interface.default_route;
    let addresses = |wanted: &dyn Fn(&&Interface) -> bool| -> Vec<IpAddr> {
        let interfaces = interfaces.iter().filter(wanted);
        interfaces
            .map(|interface| interface.address)
            .filter(|ip| !is_link_local(ip))
            .collect()
    };
    [&routed as &dyn Fn(&&Interface) -> bool, &outside, &|_| true]
        .into_iter()
        .map(addresses)
        .find(|addresses| !addresses.is_empty())
        .unwrap_or_default()
}

/// What is configured, with all addresses of the interfaces in the place of an unspecified one: it
/// is no address that a peer can answer to.
fn every_one(wanted: &[IpAddr], interfaces: &[Interface]) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for wanted in wanted {
        let of_family = interfaces
            .iter()
            .map(|interface| interface.address)
            .filter(|ip| ip.is_ipv4() == wanted.is_ipv4() && !is_link_local(ip));
        let meant: Vec<IpAddr> = match wanted.is_unspecified() {
            true => of_family.collect(),
            false => vec![*wanted],
        };
        for address in meant {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    addresses
}

/// An IPv6 address that means nothing without a scope cannot stand in a Contact.
const fn is_link_local(ip: &IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}
