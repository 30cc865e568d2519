//! The sockets of streams: raw bytes both ways, with credit both ways.

use super::{Link, LinkOutput, Links, Owner, Phase, Secure};
use crate::{
    edge::{Connection, Open, Output},
    id::{LinkId, StreamId},
    stream::{Slot, SlotOpen, StreamInput},
};
use base::{LinkError, Transport};
use bytes::Bytes;
use std::{net::SocketAddr, time::Instant};

impl Links {
    /// Opens a socket for a stream; answered by `Opened` or `Closed`. A slot that is in use, and one
    /// slot too many, are answered by `Closed`.
    pub(crate) fn open_slot(&mut self, now: Instant, stream: StreamId, slot: Slot, how: SlotOpen) {
        let used = self.slots.get(&stream).map_or(&[][..], Vec::as_slice);
        let is_too_many =
            used.len() >= self.limits.slots_per_stream || used.iter().any(|&(at, _)| at == slot);
        let is_insecure = matches!(how, SlotOpen::ConnectTls { .. }) && self.policy.is_none();
        if is_too_many || is_insecure {
            let error = Some(match is_too_many {
                true => LinkError::TooMany,
                false => LinkError::Unreachable,
            });
            let input = StreamInput::Closed { slot, error };
            self.out.push_back(LinkOutput::Stream(stream, input));
            return;
        }
        let slot_owner = Owner::Slot(stream, slot);
        let (mut link, how) = match how {
            SlotOpen::Udp { bind, class } => {
                let multicast = None;
                let how = Open::Udp {
                    bind,
                    class,
                    multicast,
                };
                (Link::new(slot_owner, Transport::Udp, bind, now), how)
            }
            SlotOpen::Connect { to, class } => {
                let from = None;
                let how = Open::Connect { from, to, class };
                (Link::new(slot_owner, Transport::Tcp, to, now), how)
            }
            SlotOpen::ConnectTls { to, name, class } => {
                let from = None;
                let how = Open::Connect { from, to, class };
                let mut link = Link::new(slot_owner, Transport::Tls, to, now);
                link.wanted = Some(name);
                (link, how)
            }
            SlotOpen::Accept { bind, class } => {
                let owner = Owner::SlotListener(stream, slot);
                let how = Open::Listen { bind, class };
                (Link::new(owner, Transport::Tcp, bind, now), how)
            }
        };
        if let Open::Connect { to, .. } = how {
            link.peer = Some(to);
        }
        let side = link
            .sought()
            .map(|(_, name, peer)| Secure::Client { name, peer });
        let id = self.table.insert(link);
        self.remember_slot(stream, slot, id);
        if let Some(side) = side {
            self.out.push_back(LinkOutput::Secure(id, side));
        }
        self.edge(Output::Open { link: id, how });
        self.rearm(id);
    }

    /// Sends a datagram of a stream.
    pub(crate) fn transmit(
        &mut self,
        stream: StreamId,
        slot: Slot,
        to: SocketAddr,
        payload: Bytes,
    ) {
        let Some(id) = self.slot(stream, slot) else {
            return;
        };
        let open = |link: &Link| link.phase == Phase::Open && link.transport == Transport::Udp;
        if self.table.get(id).is_some_and(open) {
            self.edge(Output::Transmit {
                link: id,
                from: None,
                to,
                payload,
            });
        }
    }

    /// Writes to a connection of a stream. A stream that writes more than its room loses the link.
    pub(crate) fn write_slot(&mut self, stream: StreamId, slot: Slot, payload: Bytes) {
        if let Some(id) = self.slot(stream, slot) {
            self.write(id, payload, self.limits.slot_budget);
        }
    }

    /// Lets more bytes of a connection come in.
    pub(crate) fn receive(&mut self, stream: StreamId, slot: Slot, more: u32) {
        if let Some(link) = self.slot(stream, slot) {
            self.edge(Output::Receive { link, more });
        }
    }

    /// Closes a socket of a stream at once.
    pub(crate) fn close_slot(&mut self, stream: StreamId, slot: Slot) {
        if let Some(id) = self.slot(stream, slot) {
            self.close(id);
        }
    }

    /// Closes all sockets of a stream that is gone.
    pub(crate) fn close_stream(&mut self, stream: StreamId) {
        for (_, id) in self.slots.remove(&stream).unwrap_or_default() {
            self.close(id);
        }
    }

    /// A slot wants one connection: the listener goes when it is there.
    pub(super) fn accept_slot(
        &mut self,
        now: Instant,
        listener: LinkId,
        (stream, slot): (StreamId, Slot),
        connection: Connection,
        local: SocketAddr,
        peer: SocketAddr,
    ) {
        self.close(listener);
        let mut link = Link::new(Owner::Slot(stream, slot), Transport::Tcp, local, now);
        link.phase = Phase::Open;
        link.peer = Some(peer);
        let id = self.table.insert(link);
        self.remember_slot(stream, slot, id);
        self.edge(Output::Adopt {
            connection,
            link: id,
        });
        let peer = Some(peer);
        let input = StreamInput::Opened { slot, local, peer };
        self.out.push_back(LinkOutput::Stream(stream, input));
        self.say_writable(id);
    }

    /// Tells a stream how much it may write.
    pub(super) fn say_writable(&mut self, id: LinkId) {
        let Some(link) = self.table.get(id) else {
            return;
        };
        let Owner::Slot(stream, slot) = link.owner else {
            return;
        };
        let room = link.credit.room(self.limits.slot_budget);
        let input = StreamInput::Writable { slot, room };
        self.out.push_back(LinkOutput::Stream(stream, input));
    }

    pub(super) fn forget_slot(&mut self, stream: StreamId, slot: Slot) {
        let Some(slots) = self.slots.get_mut(&stream) else {
            return;
        };
        slots.retain(|&(at, _)| at != slot);
        if slots.is_empty() {
            self.slots.remove(&stream);
        }
    }

    fn remember_slot(&mut self, stream: StreamId, slot: Slot, id: LinkId) {
        match self.slots.get_mut(&stream) {
            Some(slots) => slots.push((slot, id)),
            None => {
                self.slots.insert(stream, vec![(slot, id)]);
            }
        }
    }

    fn slot(&self, stream: StreamId, slot: Slot) -> Option<LinkId> {
        let slots = self.slots.get(&stream)?;
        slots.iter().find(|&&(at, _)| at == slot).map(|&(_, id)| id)
    }
}
