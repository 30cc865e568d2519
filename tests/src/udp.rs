//! The datagram half of the edge: sockets, packets, ICMP.

use base::LinkError;
use bytes::{Bytes, BytesMut};
use sipsimple::agent::{Input, LinkId, Open};
use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use crate::{
    host::{HostId, Socket},
    trace::{Action, Fate},
    world::{Delivery, World},
};

/// What a test decides about a datagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The path decides.
    Pass,
    /// It is lost.
    Drop,
    /// The path gets it so much later.
    Delay(Duration),
    /// This is on the wire in its place.
    Instead(Bytes),
    /// These are on the wire before it, from and to the same addresses.
    After(Vec<Bytes>),
}

/// A datagram that leaves a host.
#[derive(Clone, Copy, Debug)]
pub struct OnWire<'a> {
    /// Whose it is.
    pub from: HostId,
    /// For whom.
    pub to: HostId,
    /// What.
    pub payload: &'a Bytes,
}

pub(crate) type Judge = Box<dyn FnMut(&OnWire<'_>) -> Verdict>;

/// A datagram on its way.
#[derive(Debug)]
pub(crate) struct Packet {
    number: u64,
    from: SocketAddr,
    to: SocketAddr,
    payload: Bytes,
    /// Who hears of an ICMP error.
    sender: (HostId, LinkId),
    /// Who gets a copy, if the destination is a group.
    member: Option<(HostId, LinkId)>,
}

impl World {
    pub(crate) fn bind(&mut self, host: HostId, link: LinkId, how: &Open) {
        let input = match self.host_mut(host).bind(link, how) {
            Ok(local) => Input::Opened {
                link,
                local,
                peer: None,
            },
            Err(error) => Input::Closed {
                link,
                error: Some(error),
            },
        };
        self.tell_soon(host, input);
    }

    pub(crate) fn transmit(
        &mut self,
        host: HostId,
        link: LinkId,
        from: Option<IpAddr>,
        to: SocketAddr,
        payload: Bytes,
    ) {
        let Some(Socket::Udp { bound }) = self.host(host).sockets.get(&link).copied() else {
            return self.not_open(host, link, "a datagram on");
        };
        let source =
            from.or_else(
                || match bound.ip().is_unspecified() || bound.ip().is_multicast() {
                    true => self.host(host).source(to.ip()),
                    false => Some(bound.ip()),
                },
            );
        let number = self.next_packet();
        let source = match source {
            Some(ip) if self.host(host).addresses.contains(&ip) => {
                SocketAddr::new(ip, bound.port())
            }
            // The interface that had the socket's address is gone.
            _ => {
                return self.undeliverable(host, link, to, LinkError::AddressGone);
            }
        };
        let mut packet = Packet {
            number,
            from: source,
            to,
            payload,
            sender: (host, link),
            member: None,
        };
        if packet.payload.len() > MAX_DATAGRAM {
            self.trace_send(host, &packet, Fate::TooLarge);
            return self.undeliverable(host, link, to, LinkError::TooLarge);
        }
        if to.ip().is_multicast() {
            for member in self.members(to.port()) {
                packet.member = Some(member);
                self.put_on_wire(host, member.0, &packet);
            }
            return;
        }
        let Some((seen, to)) = self.translate(host, source, to) else {
            return self.trace_send(host, &packet, Fate::Filtered);
        };
        (packet.from, packet.to) = (seen, to);
        let Some(receiver) = self.owner(to.ip()) else {
            self.trace_send(host, &packet, Fate::NoRoute);
            if self.icmp(host) {
                self.undeliverable(host, link, to, LinkError::Unreachable);
            }
            return;
        };
        self.put_on_wire(host, receiver, &packet);
    }

    /// Lets `judge` decide about every datagram between two hosts before the path does: for races
    /// and losses that a test wants at exactly one place.
    pub fn intercept(&mut self, judge: impl FnMut(&OnWire<'_>) -> Verdict + 'static) {
        self.set_judge(Some(Box::new(judge)));
    }

    /// Leaves all datagrams to their paths again.
    pub fn release(&mut self) {
        self.set_judge(None);
    }

    fn put_on_wire(&mut self, host: HostId, receiver: HostId, packet: &Packet) {
        let mut now = self.now();
        let on_wire = OnWire {
            from: host,
            to: receiver,
            payload: &packet.payload,
        };
        match self.judge(&on_wire) {
            Verdict::Pass => {}
            Verdict::Drop => return self.trace_send(host, packet, Fate::Intercepted),
            Verdict::Delay(delay) => now += delay,
            Verdict::Instead(payload) => {
                return self.travel(host, receiver, now, &Packet { payload, ..*packet });
            }
            Verdict::After(forged) => {
                for payload in forged {
                    self.travel(host, receiver, now, &Packet { payload, ..*packet });
                }
            }
        }
        self.travel(host, receiver, now, packet);
    }

    fn travel(&mut self, host: HostId, receiver: HostId, now: Instant, packet: &Packet) {
        let (first, second) = self.link(host, receiver).send(now, packet.payload.len());
        for fate in [Some(first), second].into_iter().flatten() {
            self.trace_send(host, packet, fate);
            if let Fate::Arrives(after) = fate {
                let copy = Packet {
                    payload: packet.payload.clone(),
                    ..*packet
                };
                self.schedule(now + after, Delivery::Packet(copy));
            }
        }
    }

    pub(crate) fn arrive(&mut self, packet: Packet) {
        let Some(host) = packet
            .member
            .map(|member| member.0)
            .or_else(|| self.owner(packet.to.ip()))
        else {
            return;
        };
        let number = packet.number;
        let entry = self.host(host);
        if entry.asleep || entry.node.is_none() {
            return self.trace_arrival(host, number, Fate::Down);
        }
        let socket = match packet.member {
            Some((_, link)) => entry.sockets.contains_key(&link).then_some(link),
            None => entry.udp.find(packet.to),
        };
        let Some(link) = socket else {
            self.trace_arrival(host, number, Fate::Refused);
            return self.port_unreachable(host, &packet);
        };
        self.trace_arrival(host, number, Fate::Delivered);
        let input = Input::Datagram {
            link,
            from: packet.from,
            to: Some(packet.to.ip()),
            payload: BytesMut::from(&packet.payload[..]),
        };
        self.handle(host, input);
    }

    /// Sends the ICMP error of a closed port back, if the way back lets it pass.
    fn port_unreachable(&mut self, host: HostId, packet: &Packet) {
        let (sender, socket) = packet.sender;
        let link = self.link(host, sender);
        if !link.path.icmp || link.cut || link.lose() {
            return;
        }
        let latency = link.path.latency;
        let input = Input::Undeliverable {
            link: socket,
            to: packet.to,
            error: LinkError::Refused,
        };
        self.tell_after(latency, sender, input);
    }

    fn icmp(&mut self, host: HostId) -> bool {
        self.link(host, host).path.icmp
    }

    fn undeliverable(&mut self, host: HostId, link: LinkId, to: SocketAddr, error: LinkError) {
        self.tell_soon(host, Input::Undeliverable { link, to, error });
    }

    fn trace_send(&mut self, host: HostId, packet: &Packet, fate: Fate) {
        self.record(
            host,
            Action::Send {
                packet: packet.number,
                from: packet.from,
                to: packet.to,
                payload: packet.payload.clone(),
                fate,
            },
        );
    }

    fn trace_arrival(&mut self, host: HostId, packet: u64, fate: Fate) {
        self.record(host, Action::Arrive { packet, fate });
    }
}

/// The largest payload of a UDP datagram over IPv4.
const MAX_DATAGRAM: usize = 65_507;
