//! Signalling links: the sockets that we listen on, and the flows of the endpoint.

use super::{Link, LinkOutput, Links, Owner, Phase, Secure, web_socket::web_host};
use crate::edge::{Class, Connection, Open, Output};
use crate::id::LinkId;
use base::{LinkError, Target, Transport};
use bytes::Bytes;
use sip::{
    FlowId,
    message::frame::{self, Frame, FrameError, Framer, Noise},
};
use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

impl Links {
    /// Opens a socket to listen on: answered by [`LinkOutput::Listening`] or
    /// [`LinkOutput::NotListening`].
    pub(crate) fn listen(
        &mut self,
        now: Instant,
        transport: Transport,
        bind: SocketAddr,
    ) -> LinkId {
        let class = Class::Signalling;
        let (owner, how) = if transport.is_reliable() {
            (Owner::Listener, Open::Listen { bind, class })
        } else {
            let multicast = None;
            let how = Open::Udp {
                bind,
                class,
                multicast,
            };
            (Owner::Socket(None), how)
        };
        let link = self.table.insert(Link::new(owner, transport, bind, now));
        self.edge(Output::Open { link, how });
        link
    }

    /// Says which flow of the endpoint a socket or an accepted connection is.
    pub(crate) fn set_flow(&mut self, link: LinkId, flow: FlowId) {
        let Some(entry) = self.table.get_mut(link) else {
            return;
        };
        match &mut entry.owner {
            Owner::Socket(slot) | Owner::Connection(slot) => *slot = Some(flow),
            Owner::Listener
            | Owner::Slot(..)
            | Owner::SlotListener(..)
            | Owner::Query(_)
            | Owner::Discovery(_)
            | Owner::Nobody => return,
        }
        self.flows.insert(flow, link);
    }

    /// Opens the connection that the endpoint wants; answered by `FlowUp` or `FlowDown`.
    pub(crate) fn connect(&mut self, now: Instant, flow: FlowId, target: &Target) {
        let is_known = match target.transport {
            Transport::Tcp | Transport::Ws => true,
            Transport::Tls | Transport::Wss => self.policy.is_some(),
            Transport::Udp => false,
        };
        if !is_known {
            // A datagram flow is a socket that we listen on: one that is not there cannot be made.
            let error = Some(LinkError::Unreachable);
            self.tell(sip::Input::FlowDown { flow, error });
            return;
        }
        let to = target.address;
        let mut link = Link::new(Owner::Connection(Some(flow)), target.transport, to, now);
        link.peer = Some(to);
        match target.transport.is_web_socket() {
            true => link.web_socket = Some(web_host(target)),
            false => link.framer = Some(Box::new(Framer::new())),
        }
        if target.transport.is_secure() {
            link.wanted = Some(self.wanted_of(target));
        }
        let side = link
            .wanted
            .clone()
            .map(|name| Secure::Client { name, peer: to });
        let id = self.table.insert(link);
        self.flows.insert(flow, id);
        if let Some(side) = side {
            self.out.push_back(LinkOutput::Secure(id, side));
        }
        let how = Open::Connect {
            from: self.source(to.ip()),
            to,
            class: Class::Signalling,
        };
        self.edge(Output::Open { link: id, how });
        self.rearm(id);
    }

    /// Sends a message of the endpoint; if its link is gone, the endpoint hears or has heard of it by
    /// `FlowDown`.
    pub(crate) fn send(&mut self, flow: FlowId, to: SocketAddr, message: Bytes) {
        let Some(&id) = self.flows.get(&flow) else {
            return;
        };
        let Some(link) = self.table.get(id) else {
            return;
        };
        let reliable = link.transport.is_reliable();
        self.trace(id, true, to, &message);
        if reliable {
            self.write(id, message, self.limits.signalling_budget);
        } else {
            self.edge(Output::Transmit {
                link: id,
                from: None,
                to,
                payload: message,
            });
        }
    }

    /// Lets a flow go that the endpoint needs no more: what is written is still sent.
    pub(crate) fn release(&mut self, now: Instant, flow: FlowId) {
        let Some(&id) = self.flows.get(&flow) else {
            return;
        };
        if matches!(self.table.get(id), Some(link) if matches!(link.owner, Owner::Connection(_))) {
            self.finish(now, id);
        }
    }

    /// Lets the system send what is written, then close.
    pub(super) fn finish(&mut self, now: Instant, id: LinkId) {
        self.stop_hearts(id);
        let Some(link) = self.table.get_mut(id) else {
            return;
        };
        if let Owner::Connection(Some(flow)) = link.owner {
            self.flows.remove(&flow);
        }
        link.owner = Owner::Nobody;
        link.framer = None;
        if matches!(
            link.phase,
            Phase::Open | Phase::Securing { .. } | Phase::Upgrading { .. }
        ) {
            link.phase = Phase::Finishing { since: now };
            self.edge(Output::Finish { link: id });
            self.rearm(id);
        } else {
            self.close(id);
        }
    }

    pub(super) fn accept_signalling(
        &mut self,
        now: Instant,
        listener: LinkId,
        connection: Connection,
        local: SocketAddr,
        peer: SocketAddr,
    ) {
        let transport = self.table.get(listener).map(|listener| listener.transport);
        let transport = transport.unwrap_or(Transport::Tcp);
        let of_peer = self.peers.get(&peer.ip()).copied().unwrap_or(0);
        if self.accepted >= self.limits.connections || of_peer >= self.limits.connections_per_peer {
            self.counters.refused += 1;
            self.edge(Output::Refuse { connection });
            return;
        }
        self.accepted += 1;
        self.peers.insert(peer.ip(), of_peer + 1);
        let mut link = Link::new(Owner::Connection(None), transport, local, now);
        link.phase = match transport.is_secure() {
            true => Phase::Securing { since: now },
            false => Phase::Open,
        };
        link.peer = Some(peer);
        link.framer = Some(Box::new(Framer::new()));
        link.accepted = true;
        // Who connects has something to say.
        link.incomplete = Some(now);
        let id = self.table.insert(link);
        if transport.is_secure() {
            self.out.push_back(LinkOutput::Secure(id, Secure::Server));
        }
        self.edge(Output::Adopt {
            connection,
            link: id,
        });
        if !transport.is_secure() {
            self.new_flow(id);
        }
        self.rearm(id);
    }

    /// Hands an accepted connection to the endpoint.
    pub(super) fn new_flow(&mut self, id: LinkId) {
        if let Some(&Link {
            transport,
            local,
            peer,
            ..
        }) = self.table.get(id)
        {
            self.out.push_back(LinkOutput::NewFlow {
                link: id,
                transport,
                local,
                peer,
            });
        }
    }

    pub(super) fn signalling_datagram(
        &mut self,
        now: Instant,
        link: LinkId,
        flow: FlowId,
        from: SocketAddr,
        message: Bytes,
    ) {
        if let Some(noise) = frame::noise(&message) {
            if noise != Noise::Stun || !self.stun(now, (link, from), &message) {
                self.counters.count(noise);
            }
            return;
        }
        self.trace(link, false, from, &message);
        self.tell(sip::Input::Message {
            flow,
            from,
            message,
        });
    }

    pub(super) fn signalling_bytes(
        &mut self,
        now: Instant,
        id: LinkId,
        flow: FlowId,
        payload: &[u8],
    ) {
        let Some(link) = self.table.get_mut(id) else {
            return;
        };
        if let (Some(_), Some(from)) = (&link.web_socket, link.peer) {
            return self.web_message(now, id, (flow, from), payload);
        }
        let (Some(framer), Some(from)) = (link.framer.as_mut(), link.peer) else {
            return;
        };
        framer.push(payload);
        let mut frames = Vec::new();
        let end = loop {
            match framer.poll() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        link.incomplete = match framer.buffered() {
            0 if end.is_none() => None,
            // The clock of a message runs from its first byte; a slow sender does not wind it up.
            _ if frames.is_empty() => link.incomplete.or(Some(now)),
            _ => Some(now),
        };
        let mut frames = frames.into_iter().peekable();
        let mut is_pair = false;
        while let Some(frame) = frames.next() {
            match frame {
                Frame::Message(message) => {
                    self.trace(id, false, from, &message);
                    self.tell(sip::Input::Message {
                        flow,
                        from,
                        message,
                    });
                }
                // The second line end of two that came apart: answers to two pings of ours, if one is
                // open. The framer knows no time, and counts them as a pair.
                Frame::Ping if !is_pair && self.pong(now, (id, from)) => {}
                // RFC 5626, 3.5.1: a double line end asks for a single one.
                Frame::Ping => {
                    self.counters.keep_alives += 1;
                    let pong = Bytes::from_static(b"\r\n");
                    self.write(id, pong, self.limits.signalling_budget);
                }
                // The first line end of a ping is no answer.
                Frame::Pong if frames.peek() == Some(&Frame::Ping) => {
                    is_pair = true;
                    continue;
                }
                Frame::Pong => {
                    self.pong(now, (id, from));
                }
            }
            is_pair = false;
        }
        match end {
            // Messages are handed on at once and a partial one is bounded by the framer: the peer may
            // send as much again.
            None => self.edge(Output::Receive {
                link: id,
                more: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            }),
            // The endpoint answers if it can, and lets the flow go; no more may come.
            Some(error) => {
                match &error {
                    FrameError::Message { head, .. } => self.trace(id, false, from, head),
                    FrameError::Noise(noise) => self.counters.count(*noise),
                    _ => {}
                }
                self.tell(sip::Input::Broken { flow, from, error });
            }
        }
        self.rearm(id);
    }

    /// The local address to connect from: one that we listen on, so that the peer sees the address
    /// that our Contact names.
    fn source(&self, to: IpAddr) -> Option<IpAddr> {
        let mut sources = self.sources.iter().map(|(_, ip)| *ip);
        sources.find(|ip| ip.is_ipv4() == to.is_ipv4() && ip.is_loopback() == to.is_loopback())
    }
}
