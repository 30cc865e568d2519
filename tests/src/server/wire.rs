//! The sockets of a SIP server: one UDP socket and one TCP listener of each address, any number of
//! connections.

use base::{Key as _, Transport};
use bytes::Bytes;
use sip::message::frame::{Frame, Framer, noise};
use sipsimple::agent::{Class, Input, LinkId, Open, Output};
use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
};

/// Opens the sockets, frames what arrives, finds or makes the connection for what leaves.
#[derive(Debug)]
pub(crate) struct Wire {
    /// Where it listens, at most one address of each family, and the UDP socket there.
    binds: Vec<(SocketAddr, LinkId)>,
    /// What streams are called.
    stream: Transport,
    streams: BTreeMap<LinkId, Stream>,
    by_peer: BTreeMap<SocketAddr, LinkId>,
    links: u32,
    out: VecDeque<Output>,
    heard: VecDeque<Heard>,
}

/// The way that a message took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Flow {
    pub(crate) transport: Transport,
    pub(crate) peer: SocketAddr,
    /// The connection, for streams.
    pub(crate) link: Option<LinkId>,
}

/// What the wire says.
#[derive(Debug)]
pub(crate) enum Heard {
    Message(Flow, Bytes),
    /// Nothing gets there over this transport.
    Unreachable(Transport, SocketAddr),
}

#[derive(Debug)]
struct Stream {
    peer: SocketAddr,
    open: bool,
    framer: Framer,
    /// What waits for the connection.
    queue: Vec<Bytes>,
}

impl Wire {
    /// Wants a UDP socket and a TCP listener on `bind`.
    pub(crate) fn new(bind: SocketAddr) -> Self {
        let mut wire = Self {
            binds: Vec::new(),
            stream: Transport::Tcp,
            streams: BTreeMap::new(),
            by_peer: BTreeMap::new(),
            links: 0,
            out: VecDeque::new(),
            heard: VecDeque::new(),
        };
        wire.add(bind);
        wire
    }

    /// Wants the same on an address of the other family.
    pub(crate) fn add(&mut self, bind: SocketAddr) {
        let class = Class::Signalling;
        let multicast = None;
        let udp = self.open(Open::Udp {
            bind,
            class,
            multicast,
        });
        self.open(Open::Listen { bind, class });
        self.binds.push((bind, udp));
    }

    /// Whoever carries the streams secures them.
    pub(crate) const fn set_secured(&mut self) {
        self.stream = Transport::Tls;
    }

    /// TCP, or TLS.
    pub(crate) const fn stream(&self) -> Transport {
        self.stream
    }

    /// The first of its addresses.
    pub(crate) fn address(&self) -> SocketAddr {
        self.binds[0].0
    }

    /// The one that `peer` can reach.
    pub(crate) fn address_for(&self, peer: SocketAddr) -> SocketAddr {
        self.bind_for(peer).0
    }

    /// All of them.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.binds.iter().map(|(address, _)| *address)
    }

    fn bind_for(&self, peer: SocketAddr) -> (SocketAddr, LinkId) {
        let same = |(own, _): &&(SocketAddr, LinkId)| own.is_ipv4() == peer.is_ipv4();
        *self.binds.iter().find(same).unwrap_or(&self.binds[0])
    }

    pub(crate) fn handle(&mut self, input: Input) {
        match input {
            Input::Datagram { from, payload, .. } if noise(&payload).is_none() => {
                let flow = Flow {
                    transport: Transport::Udp,
                    peer: from,
                    link: None,
                };
                let message = payload.freeze();
                self.heard.push_back(Heard::Message(flow, message));
            }
            Input::Undeliverable { to, .. } => {
                let heard = Heard::Unreachable(Transport::Udp, to);
                self.heard.push_back(heard);
            }
            Input::Accepted {
                connection, peer, ..
            } => {
                let link = self.next_link();
                self.out.push_back(Output::Adopt { connection, link });
                self.add_stream(link, peer, true);
            }
            Input::Opened { link, .. } => self.opened(link),
            Input::Bytes { link, payload } => self.bytes(link, &payload),
            Input::Closed { link, .. } => self.closed(link),
            _ => {}
        }
    }

    pub(crate) fn poll_heard(&mut self) -> Option<Heard> {
        self.heard.pop_front()
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Sends to `to`: on the connection `via` if it lives, else on one to the same peer, else on a new one.
    pub(crate) fn send(
        &mut self,
        transport: Transport,
        to: SocketAddr,
        via: Option<LinkId>,
        payload: Bytes,
    ) {
        if transport == Transport::Udp {
            let (_, link) = self.bind_for(to);
            return self.out.push_back(Output::Transmit {
                link,
                from: None,
                to,
                payload,
            });
        }
        let alive = via.filter(|link| self.streams.contains_key(link));
        let link = alive
            .or_else(|| self.by_peer.get(&to).copied())
            .unwrap_or_else(|| {
                let class = Class::Signalling;
                let from = None;
                let link = self.open(Open::Connect { from, to, class });
                self.add_stream(link, to, false);
                link
            });
        let Some(stream) = self.streams.get_mut(&link) else {
            return;
        };
        if stream.open {
            self.out.push_back(Output::Write { link, payload });
        } else {
            stream.queue.push(payload);
        }
    }

    /// Closes all connections.
    pub(crate) fn close_streams(&mut self) {
        for link in self.streams.keys() {
            self.out.push_back(Output::Close { link: *link });
        }
        self.streams.clear();
        self.by_peer.clear();
    }

    /// True if a message to `to` needs no new connection.
    pub(crate) fn is_alive(
        &self,
        transport: Transport,
        link: Option<LinkId>,
        to: SocketAddr,
    ) -> bool {
        transport == Transport::Udp
            || link.is_some_and(|link| self.streams.contains_key(&link))
            || self.by_peer.contains_key(&to)
    }

    fn opened(&mut self, link: LinkId) {
        let Some(stream) = self.streams.get_mut(&link) else {
            return;
        };
        stream.open = true;
        for payload in std::mem::take(&mut stream.queue) {
            self.out.push_back(Output::Write { link, payload });
        }
    }

    fn bytes(&mut self, link: LinkId, payload: &[u8]) {
        let Some(stream) = self.streams.get_mut(&link) else {
            return;
        };
        let flow = Flow {
            transport: self.stream,
            peer: stream.peer,
            link: Some(link),
        };
        let more = payload.len() as u32;
        self.out.push_back(Output::Receive { link, more });
        stream.framer.push(payload);
        loop {
            match stream.framer.poll() {
                Ok(Some(Frame::Message(message))) => {
                    self.heard.push_back(Heard::Message(flow, message));
                }
                // RFC 5626, 4.4.1
                Ok(Some(Frame::Ping)) => {
                    let payload = Bytes::from_static(b"\r\n");
                    self.out.push_back(Output::Write { link, payload });
                }
                Ok(Some(Frame::Pong)) => {}
                Ok(None) => return,
                Err(_) => {
                    self.out.push_back(Output::Close { link });
                    return self.forget(link);
                }
            }
        }
    }

    fn closed(&mut self, link: LinkId) {
        let waiting = self
            .streams
            .get(&link)
            .filter(|stream| !stream.queue.is_empty());
        if let Some(stream) = waiting {
            let heard = Heard::Unreachable(self.stream, stream.peer);
            self.heard.push_back(heard);
        }
        self.forget(link);
    }

    fn forget(&mut self, link: LinkId) {
        if let Some(stream) = self.streams.remove(&link)
            && self.by_peer.get(&stream.peer) == Some(&link)
        {
            self.by_peer.remove(&stream.peer);
        }
    }

    fn add_stream(&mut self, link: LinkId, peer: SocketAddr, open: bool) {
        self.by_peer.insert(peer, link);
        let framer = Framer::new();
        let queue = Vec::new();
        let stream = Stream {
            peer,
            open,
            framer,
            queue,
        };
        self.streams.insert(link, stream);
    }

    fn open(&mut self, how: Open) -> LinkId {
        let link = self.next_link();
        self.out.push_back(Output::Open { link, how });
        link
    }

    fn next_link(&mut self) -> LinkId {
        self.links += 1;
        // One index: who remembers ids by their last generation remembers one.
        LinkId::from_parts(self.links, 0)
    }
}
