//! Flows: what the endpoint knows of sockets and connections, and which one leads to a target.

use crate::{FlowId, IdentityId, TransactionId, attempt::AttemptId};
use base::{Host, HostPort, Table, Target, Transport};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

/// A way for messages.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) transport: Transport,
    /// Our end; for a connection its ephemeral port.
    pub(crate) local: SocketAddr,
    /// The other end of a connection.
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) state: State,
    /// What a secured connection of ours was opened for.
    pub(crate) proven: Option<Proven>,
    /// Who waits for it to come up.
    pub(crate) waiting: Vec<Waiter>,
    /// The last message in either direction.
    pub(crate) used: Instant,
    /// How long it is kept without users and messages; `None` for sockets.
    pub(crate) idle: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Connecting,
    Up,
}

/// Who waits for a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waiter {
    /// A request.
    Attempt(AttemptId),
    /// A response.
    Server(TransactionId),
    /// The CANCEL of an INVITE.
    Cancel(TransactionId),
}

/// Which name a certificate has proven to us, and which of our certificates was shown.
pub(crate) type Proven = (Host, Option<IdentityId>);
type PeerKey = (Transport, SocketAddr, Option<Proven>);

fn proven(target: &Target, identity: Option<IdentityId>) -> Option<Proven> {
    target
        .transport
        .is_secure()
        .then(|| (target.name.clone(), identity))
}

/// All flows, and where we listen.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    pub(crate) table: Table<FlowId, Flow>,
    /// Connections by their other end, so that they are used again.
    by_peer: BTreeMap<PeerKey, FlowId>,
    /// The flows that carry datagrams: few, and walked.
    sockets: Vec<FlowId>,
    connections: usize,
    /// What we are called where nobody can connect to us (RFC 7118, 5): drawn for the first WebSocket.
    alias: Option<String>,
    listeners: Vec<(Transport, SocketAddr)>,
}

impl Flows {
    pub(crate) fn add_listener(&mut self, transport: Transport, local: SocketAddr) {
        if !self.listeners.contains(&(transport, local)) {
            self.listeners.push((transport, local));
        }
    }

    pub(crate) fn remove_listener(&mut self, transport: Transport, local: SocketAddr) {
        self.listeners
            .retain(|listener| *listener != (transport, local));
    }

    pub(crate) fn insert(&mut self, flow: Flow) -> FlowId {
        let key = flow.key();
        let id = self.table.insert(flow);
        match key {
            Some(key) => {
                self.connections += 1;
                self.by_peer.insert(key, id);
            }
            None => self.sockets.push(id),
        }
        id
    }

    pub(crate) fn remove(&mut self, id: FlowId) -> Option<Flow> {
        let flow = self.table.remove(id)?;
        self.sockets.retain(|socket| *socket != id);
        if let Some(key) = flow.key() {
            self.connections -= 1;
            if self.by_peer.get(&key) == Some(&id) {
                self.by_peer.remove(&key);
            }
        }
        Some(flow)
    }

    pub(crate) const fn connections(&self) -> usize {
        self.connections
    }

    /// A connection to exactly this target, up or coming up. One that is secured proves one name to
    /// us and shows one certificate of ours, so it serves no other.
    pub(crate) fn connection_to(
        &self,
        target: &Target,
        identity: Option<IdentityId>,
    ) -> Option<FlowId> {
        let proven = proven(target, identity);
        self.by_peer
            .get(&(target.transport, target.address, proven))
            .copied()
    }

    /// A secured connection of ours to this target that is up: to exactly its address, whatever name was
    /// proven on it, if the target has none. It serves dialogs: the target is one that their server named
    /// over it.
    pub(crate) fn proven_connection_to(
        &self,
        target: &Target,
        identity: Option<IdentityId>,
    ) -> Option<FlowId> {
        let transport = match target.transport {
            // RFC 7118, 8.2: in URIs there is one name for WebSockets, plain and secured.
            Transport::Ws => Transport::Wss,
            transport => transport,
        };
        if !transport.is_secure() {
            return None;
        }
        let to_it = (transport, target.address, None)..;
        let connections = self
            .by_peer
            .range(to_it)
            .take_while(|(key, _)| (key.0, key.1) == (transport, target.address));
        let fits = |proven: &Option<Proven>| {
            proven.as_ref().is_some_and(|(name, shown)| {
                let is_named = matches!(target.name, Host::Ip(_)) || *name == target.name;
                is_named && *shown == identity
            })
        };
        connections
            .filter(|((.., proven), _)| fits(proven))
            .map(|(_, id)| *id)
            .find(|id| self.is_up(*id))
    }

    /// True if messages can be sent over it.
    pub(crate) fn is_up(&self, id: FlowId) -> bool {
        self.table
            .get(id)
            .is_some_and(|flow| flow.state == State::Up)
    }

    fn sockets(&self) -> impl Iterator<Item = (FlowId, &Flow)> {
        self.sockets
            .iter()
            .filter_map(|&id| Some((id, self.table.get(id)?)))
    }

    /// The socket from which datagrams best reach `to`: of its family, on its side of the
    /// loopback border, with the longest prefix in common; the first of equals.
    pub(crate) fn socket_for(&self, to: SocketAddr) -> Option<FlowId> {
        let fitting = self
            .sockets()
            .filter(|(_, flow)| flow.local.is_ipv4() == to.is_ipv4());
        let better = |a: (u32, FlowId), b: (u32, FlowId)| if b.0 > a.0 { b } else { a };
        fitting
            .map(|(id, flow)| (nearness(flow.local.ip(), to.ip()), id))
            .reduce(better)
            .map(|(_, id)| id)
    }

    /// What our Via and Contact say on this flow: where a peer that got a message over it can
    /// reach us. For a connection that is the port where we listen, not its own.
    pub(crate) fn address_of(&self, id: FlowId) -> Option<HostPort> {
        let flow = self.table.get(id)?;
        let ip = flow.local.ip();
        if flow.transport.is_web_socket() {
            return Some(HostPort::new(Host::Name(self.alias.clone()?), None));
        }
        if !flow.transport.is_reliable() {
            return Some(flow.local.into());
        }
        let listening = self
            .listeners
            .iter()
            .filter(|(transport, _)| *transport == flow.transport);
        let same_family = listening.filter(|(_, local)| local.is_ipv4() == ip.is_ipv4());
        // A listener on this very address, else one on all of them.
        let nearest =
            same_family.max_by_key(|(_, local)| (local.ip() == ip, local.ip().is_unspecified()));
        let port = nearest
            .filter(|(_, local)| local.ip() == ip || local.ip().is_unspecified())
            .map_or_else(|| flow.local.port(), |(_, local)| local.port());
        Some(SocketAddr::new(ip, port).into())
    }

    /// True if a response with this sent-by, which came in by `flow`, is for us (RFC 3261, 18.1.2).
    pub(crate) fn is_ours(&self, sent_by: &HostPort, transport: Transport, flow: FlowId) -> bool {
        let port = sent_by.port_or_default(transport);
        let ip = match &sent_by.host {
            Host::Ip(ip) => *ip,
            Host::Name(name) => {
                let alias = self.alias.as_deref().filter(|_| transport.is_web_socket());
                return alias.is_some_and(|alias| alias.eq_ignore_ascii_case(name));
            }
        };
        let at = |local: SocketAddr| {
            local.port() == port && (local.ip() == ip || local.ip().is_unspecified())
        };
        let here = self
            .table
            .get(flow)
            .map(|flow| (flow.transport, flow.local));
        let sockets = self.sockets().map(|(_, flow)| (flow.transport, flow.local));
        let listeners = self.listeners.iter().copied();
        here.into_iter()
            .chain(listeners)
            .chain(sockets)
            .any(|(over, local)| over == transport && at(local))
    }

    /// The name that stands for us in Via and Contact where peers reach us by the connection alone; `draw`
    /// makes it the first time.
    pub(crate) fn name_us(&mut self, draw: impl FnOnce() -> String) {
        // RFC 7118, 5: a random name below `invalid`, which tells nothing about us.
        self.alias.get_or_insert_with(|| draw() + ".invalid");
    }

    /// Begins a connection to `target`.
    pub(crate) fn connect(
        &mut self,
        now: Instant,
        target: &Target,
        identity: Option<IdentityId>,
        idle: Duration,
        waiter: Waiter,
    ) -> FlowId {
        // The local end is not known before the connection is up, and nobody asks for it.
        let local = SocketAddr::new(unspecified(target.address), 0);
        self.insert(Flow {
            transport: target.transport,
            local,
            peer: Some(target.address),
            state: State::Connecting,
            proven: proven(target, identity),
            waiting: vec![waiter],
            used: now,
            idle: Some(idle),
        })
    }
}

impl Flow {
    /// What finds a connection.
    fn key(&self) -> Option<PeerKey> {
        Some((self.transport, self.peer?, self.proven.clone()))
    }

    /// When it is to be closed if nothing more happens on it; `None` for sockets and young connections.
    pub(crate) fn idle_until(&self) -> Option<Instant> {
        let idle = self.idle.filter(|_| self.state == State::Up)?;
        self.used.checked_add(idle)
    }
}

const fn unspecified(like: SocketAddr) -> IpAddr {
    match like {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// How likely a packet to `to` leaves from `local`.
fn nearness(local: IpAddr, to: IpAddr) -> u32 {
    if local.is_unspecified() {
        return 1;
    }
    if local.is_loopback() != to.is_loopback() {
        return 0;
    }
    let common = match (local, to) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => 0,
    };
    2 + common
}
