//! The stream half of the edge: connections that deliver bytes in order, cut anywhere, with back-pressure.

mod flow;

use base::LinkError;
use bytes::{Bytes, BytesMut};
use sipsimple::agent::{Connection, INITIAL_CREDIT, Input, LinkId};
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use crate::{
    host::{HostId, Socket},
    trace::Action,
    world::{Delivery, World},
};

/// How the bytes of a connection are cut into segments. They arrive in order whatever the cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// Every write arrives as it was written.
    Whole,
    /// At most so many bytes at once.
    AtMost(usize),
    /// Anything from single bytes to several writes at once, as the seed says.
    Random,
}

/// A connection; side 0 connected, side 1 accepted.
#[derive(Debug)]
pub(crate) struct Tcp {
    pub(crate) ends: [End; 2],
    /// Pipe `n` leads from side `n` to the other.
    pipes: [Pipe; 2],
    started: Instant,
}

#[derive(Debug)]
pub(crate) struct End {
    pub(crate) host: HostId,
    pub(crate) address: SocketAddr,
    state: EndState,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum EndState {
    /// Side 0 before the answer of the listener, side 1 before the SYN.
    Connecting(Option<LinkId>),
    /// A listener got it; the node has neither taken nor refused it.
    Pending(Connection),
    Open(LinkId),
    /// Our kernel still reads; what comes is thrown away.
    Closed,
}

/// One direction.
#[derive(Debug)]
struct Pipe {
    /// Written by the node, not taken by the kernel.
    queue: VecDeque<Bytes>,
    /// Taken by the kernel: the level of [`Input::Sent`].
    taken: u64,
    /// Handed to the receiving node.
    consumed: u64,
    flight: VecDeque<Flight>,
    inbox: BytesMut,
    /// How many more bytes the receiving node wants.
    credit: u64,
    last_arrival: Instant,
    finish: bool,
    fin_sent: bool,
    fin_arrived: bool,
    read_scheduled: bool,
    sent_scheduled: bool,
    /// The path has been cut since then.
    stalled: Option<Instant>,
}

#[derive(Debug)]
enum Flight {
    Data(Bytes),
    Fin,
    Reset,
}

/// What happens to a connection at some moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TcpEvent {
    Syn,
    SynAck,
    Refused,
    /// The front of the flight towards `side` arrives.
    Arrive {
        side: usize,
    },
    /// The runtime of `side` reads.
    Read {
        side: usize,
    },
    /// The window of `side` opened.
    Pump {
        side: usize,
    },
    /// The runtime of `side` reports its level.
    Sent {
        side: usize,
    },
}

impl Pipe {
    fn new(now: Instant) -> Self {
        Self {
            queue: VecDeque::new(),
            taken: 0,
            consumed: 0,
            flight: VecDeque::new(),
            inbox: BytesMut::new(),
            credit: u64::from(INITIAL_CREDIT),
            last_arrival: now,
            finish: false,
            fin_sent: false,
            fin_arrived: false,
            read_scheduled: false,
            sent_scheduled: false,
            stalled: None,
        }
    }
}

impl World {
    pub(crate) fn connect(
        &mut self,
        host: HostId,
        link: LinkId,
        from: Option<IpAddr>,
        to: SocketAddr,
    ) {
        let now = self.now();
        let source = from.or_else(|| self.host(host).source(to.ip()));
        let failed = |error| Input::Closed {
            link,
            error: Some(error),
        };
        let Some(source) = source.filter(|ip| self.host(host).addresses.contains(ip)) else {
            return self.tell_soon(host, failed(LinkError::AddressGone));
        };
        let Some(local) = self.host_mut(host).ephemeral(source, true) else {
            return self.tell_soon(host, failed(LinkError::TooMany));
        };
        let Some(peer) = self.owner(to.ip()) else {
            return self.tell_soon(host, failed(LinkError::Unreachable));
        };
        let end = |host, address, state| End {
            host,
            address,
            state,
        };
        let tcp = Tcp {
            ends: [
                end(host, local, EndState::Connecting(Some(link))),
                end(peer, to, EndState::Connecting(None)),
            ],
            pipes: [Pipe::new(now), Pipe::new(now)],
            started: now,
        };
        let tcp = self.add_tcp(tcp);
        let socket = Socket::Stream { tcp, side: 0 };
        self.host_mut(host).sockets.insert(link, socket);
        let after = self.link(host, peer).segment_delay(now, SYN);
        self.schedule(now + after, Delivery::Tcp(tcp, TcpEvent::Syn));
    }

    pub(crate) fn adopt(&mut self, host: HostId, connection: Connection, link: LinkId) {
        let Some(id) = self.host_mut(host).pending.remove(&connection) else {
            return self.violated(host, format!("{connection:?} is not there to be taken"));
        };
        let alive = self
            .tcp(id)
            .is_some_and(|tcp| tcp.ends[1].state == EndState::Pending(connection));
        if !alive {
            // It broke between the listener's report and the node's decision.
            let error = Some(LinkError::Reset);
            return self.tell_soon(host, Input::Closed { link, error });
        }
        let socket = Socket::Stream { tcp: id, side: 1 };
        self.host_mut(host).sockets.insert(link, socket);
        if let Some(tcp) = self.tcp(id) {
            tcp.ends[1].state = EndState::Open(link);
        }
        self.read_soon(id, 1);
    }

    pub(crate) fn refuse(&mut self, host: HostId, connection: Connection) {
        match self.host_mut(host).pending.remove(&connection) {
            Some(id) => self.shut(id, 1),
            None => self.violated(host, format!("{connection:?} is not there to be refused")),
        }
    }

    pub(crate) fn write(&mut self, host: HostId, link: LinkId, payload: Bytes) {
        let Some((id, side)) = self.open_side(host, link) else {
            return self.not_open(host, link, "bytes for");
        };
        let limit = self.limits().write_backlog;
        let now = self.now();
        let Some(tcp) = self.tcp(id) else { return };
        let (from, to) = (tcp.ends[side].address, tcp.ends[1 - side].address);
        let pipe = &mut tcp.pipes[side];
        let finished = pipe.finish;
        pipe.queue.push_back(payload.clone());
        let backlog: usize = pipe.queue.iter().map(Bytes::len).sum();
        self.record(host, Action::Write { from, to, payload });
        if finished {
            self.violated(
                host,
                format!("bytes for {link:?} after its end was announced"),
            );
        }
        if backlog > limit {
            let text = format!("{backlog} bytes wait for {link:?}, whose window is closed");
            self.violated(host, text);
        }
        self.pump(now, id, side);
    }

    pub(crate) fn receive(&mut self, host: HostId, link: LinkId, more: u32) {
        let Some((id, side)) = self.open_side(host, link) else {
            return self.not_open(host, link, "credit for");
        };
        if let Some(tcp) = self.tcp(id) {
            tcp.pipes[1 - side].credit += u64::from(more);
        }
        self.read_soon(id, side);
    }

    pub(crate) fn finish(&mut self, host: HostId, link: LinkId) {
        let Some((id, side)) = self.open_side(host, link) else {
            return self.not_open(host, link, "the end of");
        };
        let now = self.now();
        if let Some(tcp) = self.tcp(id) {
            tcp.pipes[side].finish = true;
        }
        self.pump(now, id, side);
    }

    /// Closes a socket of any kind at once.
    pub(crate) fn close(&mut self, host: HostId, link: LinkId) {
        match self.host_mut(host).release(link) {
            None if self.host_mut(host).failing.remove(&link) => {}
            None => self.not_open(host, link, "the close of"),
            Some(Socket::Stream { tcp, side }) => self.shut(tcp, side),
            // The connections that a listener got live on, as those of a kernel do.
            Some(Socket::Udp { .. } | Socket::Listener { .. }) => {}
        }
    }

    /// Ends one side as a kernel does when the program closes the socket: unread data means a reset.
    pub(crate) fn shut(&mut self, id: u64, side: usize) {
        let now = self.now();
        let Some(tcp) = self.tcp(id) else { return };
        let unread = !tcp.pipes[1 - side].inbox.is_empty();
        tcp.ends[side].state = EndState::Closed;
        let pipe = &mut tcp.pipes[side];
        pipe.queue.clear();
        if unread {
            self.launch(now, id, side, Flight::Reset);
        } else if !pipe.fin_sent {
            pipe.fin_sent = true;
            self.launch(now, id, side, Flight::Fin);
        }
        self.forget_done(id);
    }

    /// Breaks one side without a word to the node, which is gone: the peer is reset when it sends.
    pub(crate) fn orphan(&mut self, id: u64, side: usize) {
        if let Some(tcp) = self.tcp(id) {
            tcp.ends[side].state = EndState::Closed;
            tcp.pipes[side].queue.clear();
        }
        self.forget_done(id);
    }

    /// Resets a connection from outside, as a middlebox does: both sides hear of it.
    pub(crate) fn reset(&mut self, id: u64) {
        for side in 0..2 {
            self.close_side(id, side, Some(LinkError::Reset));
        }
        self.forget_done(id);
    }

    pub(crate) fn handle_tcp(&mut self, id: u64, event: TcpEvent) {
        match event {
            TcpEvent::Syn => self.syn(id),
            TcpEvent::SynAck => self.syn_ack(id),
            TcpEvent::Refused => self.close_side(id, 0, Some(LinkError::Refused)),
            TcpEvent::Arrive { side } => self.flight_arrives(id, side),
            TcpEvent::Read { side } => self.read(id, side),
            TcpEvent::Pump { side } => {
                let now = self.now();
                self.pump(now, id, side);
            }
            TcpEvent::Sent { side } => self.report_level(id, side),
        }
        self.forget_done(id);
    }

    /// Forgets a connection that both sides closed and on which nothing travels.
    fn forget_done(&mut self, id: u64) {
        let done = |tcp: &mut Tcp| {
            let closed = |end: &End| end.state == EndState::Closed;
            tcp.ends.iter().all(closed) && tcp.pipes.iter().all(|pipe| pipe.flight.is_empty())
        };
        if self.tcp(id).is_some_and(done) {
            self.remove_tcp(id);
        }
    }

    fn syn(&mut self, id: u64) {
        let now = self.now();
        let Some(tcp) = self.tcp(id) else { return };
        let started = tcp.started;
        let (client, server) = (tcp.ends[0].host, tcp.ends[1].host);
        let (peer, local) = (tcp.ends[0].address, tcp.ends[1].address);
        if tcp.ends[0].state == EndState::Closed {
            return self.remove_tcp(id);
        }
        let down = self.host(server).asleep || self.host(server).node.is_none();
        let routed = self.owner(local.ip()) == Some(server);
        if down || !routed || self.is_cut(client, server) {
            let waited = now.saturating_duration_since(started);
            if waited >= CONNECT_TIMEOUT {
                return self.close_side(id, 0, Some(LinkError::TimedOut));
            }
            // RFC 6298, 2 and 5.5: one second, then twice as long each time.
            let again = waited.max(Duration::from_secs(1));
            return self.schedule(now + again, Delivery::Tcp(id, TcpEvent::Syn));
        }
        let answer = self.link(server, client).segment_delay(now, SYN);
        let Some(listener) = self.host(server).listeners.find(local) else {
            return self.schedule(now + answer, Delivery::Tcp(id, TcpEvent::Refused));
        };
        self.schedule(now + answer, Delivery::Tcp(id, TcpEvent::SynAck));
        let connection = self.host_mut(server).next_connection();
        self.host_mut(server).pending.insert(connection, id);
        if let Some(tcp) = self.tcp(id) {
            tcp.ends[1].state = EndState::Pending(connection);
        }
        self.handle(
            server,
            Input::Accepted {
                listener,
                connection,
                local,
                peer,
            },
        );
    }

    fn syn_ack(&mut self, id: u64) {
        let Some(tcp) = self.tcp(id) else { return };
        let EndState::Connecting(Some(link)) = tcp.ends[0].state else {
            return;
        };
        tcp.ends[0].state = EndState::Open(link);
        let (host, local) = (tcp.ends[0].host, tcp.ends[0].address);
        let peer = Some(tcp.ends[1].address);
        self.handle(host, Input::Opened { link, local, peer });
        self.read_soon(id, 0);
    }

    /// Something is wanted of a link that is not there.
    pub(crate) fn not_open(&mut self, host: HostId, link: LinkId, what: &str) {
        if self.host(host).closing != Some(link) {
            self.violated(host, format!("{what} {link:?}, which is not open"));
        }
    }

    fn open_side(&mut self, host: HostId, link: LinkId) -> Option<(u64, usize)> {
        let Socket::Stream { tcp, side } = *self.host(host).sockets.get(&link)? else {
            return None;
        };
        let open = self.tcp(tcp)?.ends[side].state == EndState::Open(link);
        open.then_some((tcp, side))
    }
}

/// The size of a segment without data.
const SYN: usize = 0;
/// Linux sends six SYNs.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(127);
