//! A machine in the world: a node, its addresses, its sockets, its inbox.

use base::LinkError;
use sipsimple::{
    agent::{Connection, Frame, Interface, InterfaceKind, LinkId, Open, StreamId, Trace},
    event::Notification,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use crate::{files::Files, node::Node};

/// A host of a [`World`](crate::World); in the order in which they were added.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct HostId(u32);

impl HostId {
    pub(crate) fn new(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What the application on a host was told, until somebody takes it.
#[derive(Clone, Debug, Default)]
pub struct Inbox {
    /// Events in order.
    pub notifications: Vec<Notification>,
    /// Media frames, with the moment of their output.
    pub media: Vec<(Instant, StreamId, Frame)>,
    /// Traced messages, if the node traces.
    pub traces: Vec<Trace>,
}

/// A machine: a node behind an edge that behaves like a kernel.
pub struct Host {
    pub(crate) name: String,
    /// `None` after a crash, until the restart.
    pub(crate) node: Option<Box<dyn Node>>,
    /// Counts restarts: what was on its way to the node before is not for the one after.
    pub(crate) epoch: u32,
    pub(crate) asleep: bool,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) sockets: BTreeMap<LinkId, Socket>,
    pub(crate) udp: Ports,
    pub(crate) listeners: Ports,
    /// Connections that a listener got and the node has not taken yet.
    pub(crate) pending: BTreeMap<Connection, u64>,
    pub(crate) files: Files,
    pub(crate) inbox: Inbox,
    pub(crate) recordings: Vec<Vec<u8>>,
    /// The last generation of each index that a link's id had: none may come back, and each is of a later
    /// generation than the one before it, so that the last stands for all.
    pub(crate) links_seen: BTreeMap<u32, u32>,
    /// Links that could not be opened, of which the node will hear: it may close them before.
    pub(crate) failing: BTreeSet<LinkId>,
    /// The link of which the node is being told that it is closed: timers that are due in the same step
    /// fire before it hears of it, and what they say about the link is not its fault.
    pub(crate) closing: Option<LinkId>,
    /// How often it was woken by its deadline in a row without time moving.
    pub(crate) spins: u32,
    pub(crate) woken_at: Option<Instant>,
    next_port: u16,
    next_connection: u64,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("name", &self.name)
            .field("addresses", &self.addresses)
            .field("sockets", &self.sockets)
            .finish_non_exhaustive()
    }
}

/// A socket of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Socket {
    Udp {
        bound: SocketAddr,
    },
    Listener {
        bound: SocketAddr,
    },
    /// `side` of the connection `tcp`.
    Stream {
        tcp: u64,
        side: usize,
    },
}

impl Host {
    pub(crate) fn new(name: &str, addresses: Vec<IpAddr>, node: Box<dyn Node>) -> Self {
        Self {
            name: name.to_owned(),
            node: Some(node),
            epoch: 0,
            asleep: false,
            addresses,
            sockets: BTreeMap::new(),
            udp: Ports::default(),
            listeners: Ports::default(),
            pending: BTreeMap::new(),
            files: Files::default(),
            inbox: Inbox::default(),
            recordings: vec![Vec::new()],
            links_seen: BTreeMap::new(),
            failing: BTreeSet::new(),
            closing: None,
            spins: 0,
            woken_at: None,
            next_port: FIRST_EPHEMERAL,
            next_connection: 0,
        }
    }

    /// Its name in traces.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its addresses; the first of a family is the source of what is sent.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// False after a crash, until the restart.
    pub const fn is_up(&self) -> bool {
        self.node.is_some()
    }

    /// What the application was told and has not taken.
    pub const fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// What its nodes recorded, one recording for each start; empty ones of nodes that do not record.
    pub fn recordings(&self) -> &[Vec<u8>] {
        &self.recordings
    }

    /// How many sockets the node has open.
    pub fn open_links(&self) -> usize {
        self.sockets.len()
    }

    /// Its interfaces, as the system would list them.
    pub fn interfaces(&self) -> Vec<Interface> {
        let numbered = (1..).zip(&self.addresses);
        numbered
            .map(|(index, &address)| Interface {
                name: format!("eth{}", index - 1),
                index,
                address,
                prefix: if address.is_ipv4() { 24 } else { 64 },
                kind: InterfaceKind::Wired,
                default_route: index == 1,
            })
            .collect()
    }

    /// The local address that the kernel would choose to reach `to`.
    pub(crate) fn source(&self, to: IpAddr) -> Option<IpAddr> {
        if self.addresses.contains(&to) {
            return Some(to);
        }
        let family = |address: &&IpAddr| address.is_ipv4() == to.is_ipv4();
        self.addresses.iter().find(family).copied()
    }

    /// Binds a UDP socket or a listener.
    pub(crate) fn bind(&mut self, link: LinkId, how: &Open) -> Result<SocketAddr, LinkError> {
        let (bind, listener, shared) = match how {
            Open::Udp {
                bind, multicast, ..
            } => (*bind, false, multicast.is_some()),
            Open::Listen { bind, .. } => (*bind, true, false),
            Open::Connect { .. } | _ => return Err(LinkError::Denied),
        };
        if !bind.ip().is_unspecified()
            && !bind.ip().is_multicast()
            && !self.addresses.contains(&bind.ip())
        {
            return Err(LinkError::AddressGone);
        }
        let bound = if bind.port() == 0 {
            self.ephemeral(bind.ip(), listener)
                .ok_or(LinkError::TooMany)?
        } else {
            bind
        };
        let ports = if listener {
            &mut self.listeners
        } else {
            &mut self.udp
        };
        ports.add(bound, link, shared)?;
        let socket = if listener {
            Socket::Listener { bound }
        } else {
            Socket::Udp { bound }
        };
        self.sockets.insert(link, socket);
        Ok(bound)
    }

    /// An ephemeral port for `ip` that nothing else has.
    pub(crate) fn ephemeral(&mut self, ip: IpAddr, tcp: bool) -> Option<SocketAddr> {
        for _ in FIRST_EPHEMERAL..=u16::MAX {
            let address = SocketAddr::new(ip, self.next_port);
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_EPHEMERAL);
            let ports = if tcp { &self.listeners } else { &self.udp };
            if ports.find(address).is_none() {
                return Some(address);
            }
        }
        None
    }

    pub(crate) fn next_connection(&mut self) -> Connection {
        self.next_connection += 1;
        Connection(self.next_connection)
    }

    /// Forgets a socket and its port.
    pub(crate) fn release(&mut self, link: LinkId) -> Option<Socket> {
        let socket = self.sockets.remove(&link)?;
        match socket {
            Socket::Udp { bound } => self.udp.remove(bound.port(), link),
            Socket::Listener { bound } => self.listeners.remove(bound.port(), link),
            Socket::Stream { .. } => {}
        }
        Some(socket)
    }
}

/// Which socket has which port of one protocol.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ports(BTreeMap<u16, Vec<Bound>>);

#[derive(Clone, Copy, Debug)]
struct Bound {
    ip: IpAddr,
    link: LinkId,
    shared: bool,
}

impl Ports {
    fn add(&mut self, bound: SocketAddr, link: LinkId, shared: bool) -> Result<(), LinkError> {
        let sockets = self.0.entry(bound.port()).or_default();
        let overlaps = |other: &Bound| {
            other.ip.is_ipv4() == bound.is_ipv4()
                && (other.ip == bound.ip()
                    || other.ip.is_unspecified()
                    || bound.ip().is_unspecified())
        };
        if sockets
            .iter()
            .any(|other| overlaps(other) && !(shared && other.shared))
        {
            return Err(LinkError::AddressInUse);
        }
        sockets.push(Bound {
            ip: bound.ip(),
            link,
            shared,
        });
        Ok(())
    }

    fn remove(&mut self, port: u16, link: LinkId) {
        if let Some(sockets) = self.0.get_mut(&port) {
            sockets.retain(|bound| bound.link != link);
            if sockets.is_empty() {
                self.0.remove(&port);
            }
        }
    }

    /// The socket that gets what is sent to `address`.
    pub(crate) fn find(&self, address: SocketAddr) -> Option<LinkId> {
        let sockets = self.0.get(&address.port())?;
        let takes = |bound: &&Bound| {
            bound.ip == address.ip()
                || (bound.ip.is_unspecified() && bound.ip.is_ipv4() == address.is_ipv4())
        };
        sockets.iter().find(takes).map(|bound| bound.link)
    }

    /// All sockets that share `port` for a multicast group.
    pub(crate) fn shared(&self, port: u16) -> Vec<LinkId> {
        let sockets = self.0.get(&port).into_iter().flatten();
        sockets
            .filter(|bound| bound.shared)
            .map(|bound| bound.link)
            .collect()
    }
}

/// Where Linux begins.
const FIRST_EPHEMERAL: u16 = 32_768;
