//! Links: the sockets of the runtime, what they carry, and for whom.
//!
//! A link belongs to the agent itself (what it listens on), to a flow of the endpoint, or to a slot of
//! a stream. Streams get raw bytes; of signalling links the table cuts messages, answers keep-alives
//! and drops noise, so that the endpoint sees whole messages and nothing else.

mod credit;
mod discovery;
mod entry;
mod filter;
mod gone;
mod keepalive;
mod limits;
mod query;
mod secured;
mod signalling;
mod slot;
#[cfg(test)]
mod tests;
mod verified;
mod web_socket;

pub(crate) use discovery::DiscoveryInput;
pub(crate) use filter::{Filtered, Filters, Secure};
pub use limits::{LinkCounters, LinkLimits};
pub(crate) use verified::Verified;

use crate::{
    edge::{Connection, Input, Output, Trace},
    id::{LinkId, NatDetectionId, StreamId},
    stream::{Slot, StreamInput},
    tls::TlsConfig,
};
use base::{Deadline, HostPort, Index, LinkError, Rng, Table, Timers, TlsError, Transport};
use bytes::Bytes;
use dns::ExchangeId;
use entry::{Link, Owner, Phase};
use keepalive::{Heart, Way};
use sip::FlowId;
use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
    time::Instant,
};
use verified::TlsPolicy;

/// The table of links: a machine between the runtime's sockets and their owners.
///
/// Feed it every link's part of [`Input`] and the wishes of the endpoint and of the streams; it says
/// [`LinkOutput`]; wake it at [`poll_timeout`](Self::poll_timeout) for connections that do not come up,
/// messages that do not end, and peers that do not read the end. Idle connections are the endpoint's.
#[derive(Debug)]
pub(crate) struct Links {
    table: Table<LinkId, Link>,
    flows: Index<FlowId, LinkId>,
    slots: Index<StreamId, Vec<(Slot, LinkId)>>,
    /// The sockets of the resolver.
    queries: BTreeMap<ExchangeId, LinkId>,
    /// The sockets by which the kind of NAT is found out.
    discoveries: BTreeMap<NatDetectionId, LinkId>,
    /// How many connections each address has to us.
    peers: Index<IpAddr, usize>,
    /// The addresses where connections are accepted, in the order in which they came up.
    sources: Vec<(LinkId, IpAddr)>,
    /// How many connections were accepted and are still there.
    accepted: usize,
    /// The ways that are kept open: no more than there are registrations.
    hearts: BTreeMap<Way, Heart>,
    timers: Timers<Due>,
    rng: Rng,
    limits: LinkLimits,
    /// What certificates must prove; `None` if nothing is secured.
    policy: Option<TlsPolicy>,
    trace: bool,
    counters: LinkCounters,
    out: VecDeque<LinkOutput>,
}

/// What the table says.
#[derive(Debug)]
pub(crate) enum LinkOutput {
    /// For the runtime.
    Edge(Output),
    /// We listen on a link: what was asked for by [`Links::listen`] is there.
    Listening {
        transport: Transport,
        local: SocketAddr,
        link: LinkId,
    },
    /// A socket that we listen on could not be opened, or is gone.
    NotListening {
        link: LinkId,
        transport: Transport,
        local: SocketAddr,
        error: LinkError,
    },
    /// A connection came in: the endpoint shall give it a flow, by [`Links::set_flow`].
    NewFlow {
        link: LinkId,
        transport: Transport,
        local: SocketAddr,
        peer: Option<SocketAddr>,
    },
    /// For the endpoint.
    Flow(sip::Input),
    /// For a stream.
    Stream(StreamId, StreamInput),
    /// For the resolver.
    Query(dns::Input),
    /// For a detection of the kind of NAT.
    Discovery(NatDetectionId, DiscoveryInput),
    /// A link needs a filter: said before it is opened or adopted.
    Secure(LinkId, Secure),
    /// A link needs a WebSocket to this host: said when it is connected, and secured if it must be.
    Upgrade(LinkId, HostPort),
    /// A handshake with a server that we wanted is over.
    Verified(Box<Verified>),
}

/// What has a deadline of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Due {
    Link(LinkId),
    Heart(Way),
}

impl Links {
    pub(crate) fn new(
        limits: LinkLimits,
        tls: Option<&TlsConfig>,
        trace: bool,
        rng: &mut Rng,
    ) -> Self {
        Self {
            table: Table::new(),
            flows: Index::new(rng),
            slots: Index::new(rng),
            queries: BTreeMap::new(),
            discoveries: BTreeMap::new(),
            peers: Index::new(rng),
            sources: Vec::new(),
            accepted: 0,
            hearts: BTreeMap::new(),
            timers: Timers::new(),
            rng: rng.fork(),
            limits,
            policy: tls.map(TlsPolicy::from),
            trace,
            counters: LinkCounters::default(),
            out: VecDeque::new(),
        }
    }

    /// Takes what happened to a link; inputs of dead links and of other machines are ignored.
    pub(crate) fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Datagram {
                link,
                from,
                payload,
                ..
            } => match self.table.get(link).map(|link| link.owner) {
                Some(Owner::Slot(stream, slot)) => {
                    let input = StreamInput::Datagram {
                        slot,
                        from,
                        payload,
                    };
                    self.out.push_back(LinkOutput::Stream(stream, input));
                }
                Some(Owner::Socket(Some(flow))) => {
                    self.signalling_datagram(now, link, flow, from, payload.freeze());
                }
                Some(Owner::Query(exchange)) => self.answer(dns::Input::Datagram {
                    exchange,
                    from,
                    payload: payload.freeze(),
                }),
                Some(Owner::Discovery(id)) => {
                    self.discovery(id, DiscoveryInput::Datagram { from, payload })
                }
                _ => {}
            },
            Input::Undeliverable { link, to, error } => {
                match self.table.get(link).map(|link| link.owner) {
                    Some(Owner::Slot(stream, slot)) => {
                        let input = StreamInput::Undeliverable { slot, to, error };
                        self.out.push_back(LinkOutput::Stream(stream, input));
                    }
                    Some(Owner::Socket(Some(flow))) => {
                        self.tell(sip::Input::Undeliverable { flow, to, error })
                    }
                    Some(Owner::Query(exchange)) => {
                        self.answer(dns::Input::Failed { exchange });
                    }
                    Some(Owner::Discovery(id)) => {
                        self.discovery(id, DiscoveryInput::Undeliverable { to })
                    }
                    _ => {}
                }
            }
            Input::Bytes { link, payload } => match self.table.get_mut(link) {
                Some(Link {
                    owner: Owner::Slot(stream, slot),
                    ..
                }) => {
                    let (stream, slot) = (*stream, *slot);
                    let input = StreamInput::Bytes { slot, payload };
                    self.out.push_back(LinkOutput::Stream(stream, input));
                }
                Some(Link {
                    owner: Owner::Connection(Some(flow)),
                    phase: Phase::Open,
                    ..
                }) => {
                    let flow = *flow;
                    self.signalling_bytes(now, link, flow, &payload);
                }
                Some(Link {
                    owner: Owner::Query(exchange),
                    ..
                }) => {
                    let exchange = *exchange;
                    self.query_bytes(link, exchange, payload.freeze());
                }
                _ => {}
            },
            Input::Sent { link, total } => self.sent(link, total),
            Input::Opened { link, local, peer } => self.opened(now, link, local, peer),
            Input::Secured { link, result } => self.secured(now, link, result),
            Input::Upgraded { link } => self.upgraded(link),
            Input::Accepted {
                listener,
                connection,
                local,
                peer,
            } => self.accept(now, listener, connection, local, peer),
            Input::Closed { link, error } => self.closed(link, error),
            Input::Timeout | Input::System(_) | Input::Stored { .. } | Input::File { .. } => {}
        }
    }

    /// Fires what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some((due, _)) = self.timers.pop_due(now) {
            let id = match due {
                Due::Link(id) => id,
                Due::Heart(way) => {
                    self.beat(now, way);
                    continue;
                }
            };
            let Some(link) = self.table.get(id) else {
                continue;
            };
            self.counters.timeouts += 1;
            match link.phase {
                Phase::Finishing { .. } => self.close(id),
                Phase::Opening { .. }
                | Phase::Securing { .. }
                | Phase::Upgrading { .. }
                | Phase::Open => self.fail(id, LinkError::TimedOut),
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        self.timers.next()
    }

    pub(crate) fn poll_output(&mut self) -> Option<LinkOutput> {
        let output = self.out.pop_front();
        if self.out.is_empty() && self.out.capacity() > SHRINK_ABOVE {
            self.out.shrink_to(SHRINK_ABOVE);
        }
        output
    }

    /// Switches the trace of messages on or off (ENG-20).
    pub(crate) fn set_trace(&mut self, trace: bool) {
        self.trace = trace;
    }

    /// Closes everything: the end of the agent. Connections still send what is written.
    pub(crate) fn close_all(&mut self, now: Instant) {
        for id in self.table.keys() {
            match self.table.get(id).map(|link| link.owner) {
                Some(Owner::Connection(_)) => self.finish(now, id),
                Some(Owner::Nobody) | None => {}
                Some(_) => self.close(id),
            }
        }
    }

    /// Changes what certificates must prove; nothing is secured without it.
    pub(crate) fn set_tls(&mut self, tls: Option<&TlsConfig>) {
        self.policy = tls.map(TlsPolicy::from);
    }

    /// Closes a link that nobody wants.
    pub(crate) fn drop_link(&mut self, id: LinkId) {
        self.close(id);
    }

    /// How many links live besides those that we listen on.
    pub(crate) fn len(&self) -> usize {
        self.table
            .iter()
            .filter(|(_, link)| !matches!(link.owner, Owner::Socket(_) | Owner::Listener))
            .count()
    }

    pub(crate) const fn counters(&self) -> LinkCounters {
        self.counters
    }

    fn opened(&mut self, now: Instant, id: LinkId, local: SocketAddr, peer: Option<SocketAddr>) {
        let Some(link) = self.table.get_mut(id) else {
            return;
        };
        if !matches!(link.phase, Phase::Opening { .. }) {
            return;
        }
        link.local = local;
        link.peer = peer.or(link.peer);
        if link.wanted.is_some() {
            link.phase = Phase::Securing { since: now };
            return self.rearm(id);
        }
        if link.web_socket.is_some() {
            return self.upgrade(now, id);
        }
        link.phase = Phase::Open;
        let (owner, transport, peer) = (link.owner, link.transport, link.peer);
        match owner {
            Owner::Socket(_) | Owner::Listener => {
                if owner == Owner::Listener {
                    self.sources.push((id, local.ip()));
                }
                self.out.push_back(LinkOutput::Listening {
                    transport,
                    local,
                    link: id,
                });
            }
            Owner::Connection(Some(flow)) => {
                self.tell(sip::Input::FlowUp { flow, local, peer });
            }
            Owner::Slot(stream, slot) => {
                let input = StreamInput::Opened { slot, local, peer };
                self.out.push_back(LinkOutput::Stream(stream, input));
                if transport.is_reliable() {
                    self.say_writable(id);
                }
            }
            Owner::SlotListener(stream, slot) => {
                let peer = None;
                let input = StreamInput::Opened { slot, local, peer };
                self.out.push_back(LinkOutput::Stream(stream, input));
            }
            Owner::Query(exchange) => self.answer(dns::Input::Opened { exchange }),
            Owner::Discovery(id) => self.discovery(id, DiscoveryInput::Opened(local)),
            Owner::Connection(None) | Owner::Nobody => {}
        }
        self.rearm(id);
    }

    fn sent(&mut self, id: LinkId, total: u64) {
        let Some(link) = self.table.get_mut(id) else {
            return;
        };
        if !link.credit.take(total) {
            return;
        }
        if matches!(link.owner, Owner::Slot(..)) {
            self.say_writable(id);
        }
    }

    fn accept(
        &mut self,
        now: Instant,
        listener: LinkId,
        connection: Connection,
        local: SocketAddr,
        peer: SocketAddr,
    ) {
        match self.table.get(listener).map(|link| link.owner) {
            Some(Owner::Listener) => {
                self.accept_signalling(now, listener, connection, local, peer);
            }
            Some(Owner::SlotListener(stream, slot)) => {
                self.accept_slot(now, listener, (stream, slot), connection, local, peer);
            }
            _ => self.edge(Output::Refuse { connection }),
        }
    }

    fn closed(&mut self, id: LinkId, error: Option<LinkError>) {
        let Some(link) = self.forget(id) else {
            return;
        };
        let error = match link.phase {
            Phase::Securing { .. } => Some(error.unwrap_or(LinkError::Tls(TlsError::Closed))),
            Phase::Upgrading { .. } => Some(error.unwrap_or(LinkError::Reset)),
            _ => error,
        };
        if let (Phase::Securing { .. }, Some(error)) = (link.phase, error) {
            self.not_secured(link.sought(), error, None);
        }
        match link.owner {
            Owner::Socket(flow) => {
                if let Some(flow) = flow {
                    self.tell(sip::Input::FlowDown { flow, error });
                }
                self.not_listening(id, &link, error);
            }
            Owner::Listener => self.not_listening(id, &link, error),
            Owner::Connection(Some(flow)) => self.tell(sip::Input::FlowDown { flow, error }),
            Owner::Slot(stream, slot) | Owner::SlotListener(stream, slot) => {
                let input = StreamInput::Closed { slot, error };
                self.out.push_back(LinkOutput::Stream(stream, input));
            }
            Owner::Query(exchange) => self.answer(dns::Input::Failed { exchange }),
            Owner::Discovery(id) => {
                let error = error.unwrap_or(LinkError::AddressGone);
                self.discovery(id, DiscoveryInput::Closed(error));
            }
            Owner::Connection(None) | Owner::Nobody => {}
        }
    }

    fn not_listening(&mut self, id: LinkId, link: &Link, error: Option<LinkError>) {
        self.out.push_back(LinkOutput::NotListening {
            link: id,
            transport: link.transport,
            local: link.local,
            error: error.unwrap_or(LinkError::AddressGone),
        });
    }

    /// Closes a link and tells its owner why.
    fn fail(&mut self, id: LinkId, error: LinkError) {
        self.edge(Output::Close { link: id });
        self.closed(id, Some(error));
    }

    /// Closes a link whose owner knows.
    fn close(&mut self, id: LinkId) {
        if self.forget(id).is_some() {
            self.edge(Output::Close { link: id });
        }
    }

    /// Takes a link out of every table.
    fn forget(&mut self, id: LinkId) -> Option<Link> {
        let link = self.table.remove(id)?;
        self.timers.set(Due::Link(id), None);
        self.stop_hearts(id);
        match link.owner {
            Owner::Socket(Some(flow)) | Owner::Connection(Some(flow)) => {
                self.flows.remove(&flow);
            }
            Owner::Slot(stream, slot) | Owner::SlotListener(stream, slot) => {
                self.forget_slot(stream, slot);
            }
            Owner::Listener => self.sources.retain(|(listener, _)| *listener != id),
            Owner::Query(exchange) => {
                self.queries.remove(&exchange);
            }
            Owner::Discovery(id) => {
                self.discoveries.remove(&id);
            }
            Owner::Socket(None) | Owner::Connection(None) | Owner::Nobody => {}
        }
        if let (true, Some(peer)) = (link.accepted, link.peer) {
            self.accepted -= 1;
            let count = self.peers.get_mut(&peer.ip()).map(|count| {
                *count -= 1;
                *count
            });
            if count == Some(0) {
                self.peers.remove(&peer.ip());
            }
        }
        Some(link)
    }

    /// Writes to a connection within `budget`, or closes it: a peer that does not read must not fill
    /// our memory.
    fn write(&mut self, id: LinkId, payload: Bytes, budget: usize) {
        let Some(link) = self.table.get_mut(id) else {
            return;
        };
        if link.phase != Phase::Open {
            return;
        }
        if payload.len() > link.credit.room(budget) {
            self.counters.overruns += 1;
            self.fail(id, LinkError::Overrun);
            return;
        }
        link.credit.write(payload.len());
        self.edge(Output::Write { link: id, payload });
    }

    fn edge(&mut self, output: Output) {
        self.out.push_back(LinkOutput::Edge(output));
    }

    fn tell(&mut self, input: sip::Input) {
        self.out.push_back(LinkOutput::Flow(input));
    }

    fn trace(&mut self, id: LinkId, sent: bool, peer: SocketAddr, plaintext: &Bytes) {
        let Some(link) = self.table.get(id).filter(|_| self.trace) else {
            return;
        };
        let trace = Trace {
            link: id,
            sent,
            local: link.local,
            peer,
            transport: link.transport,
            plaintext: plaintext.clone(),
        };
        self.edge(Output::Trace(trace));
    }

    fn rearm(&mut self, id: LinkId) {
        self.timers.set(Due::Link(id), self.deadline(id));
    }

    /// When a link must be looked at again.
    fn deadline(&self, id: LinkId) -> Option<Deadline> {
        let link = self.table.get(id)?;
        let limits = &self.limits;
        let (since, limit, why) = match (link.phase, link.owner) {
            (Phase::Opening { since }, Owner::Connection(_) | Owner::Slot(..)) => {
                (since, limits.connect_time, "connect")
            }
            (Phase::Securing { since } | Phase::Upgrading { since }, _) => {
                (since, limits.handshake_time, "handshake")
            }
            (Phase::Finishing { since }, _) => (since, limits.finish_time, "finish"),
            (Phase::Open, Owner::Connection(_)) => {
                (link.incomplete?, limits.message_time, "message")
            }
            _ => return None,
        };
        let at = since.checked_add(limit)?;
        Some(Deadline::new(at, why))
    }
}

/// The queue is empty between inputs; a burst must not pin its memory for ever.
const SHRINK_ABOVE: usize = 256;
