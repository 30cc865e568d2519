//! What comes and goes over relays.

use super::{COMPONENTS, Ice, News, relays::Told};
use crate::stream::{Slot, StreamInput, StreamOutput};
use ::ice::stun;
use bytes::BytesMut;
use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Instant,
};

impl Ice {
    /// True for a socket that leads to a TURN server.
    pub(crate) fn is_relay(&self, slot: Slot) -> bool {
        self.relays.owns(slot)
    }

    /// True while addresses are given back after the end.
    pub(crate) fn is_leaving(&self) -> bool {
        self.relays.is_leaving()
    }

    /// Takes an input after the end.
    pub(crate) fn handle_leaving(
        &mut self,
        now: Instant,
        input: StreamInput,
        out: &mut VecDeque<StreamOutput>,
    ) {
        match input.slot() {
            Some(slot) => self.relays.handle_input(now, slot, input, out),
            None => self.relays.handle_timeout(now),
        }
        self.drain(now, out);
    }

    /// Takes an input of a socket that leads to a TURN server.
    pub(crate) fn handle_relay(
        &mut self,
        now: Instant,
        slot: Slot,
        input: StreamInput,
        out: &mut VecDeque<StreamOutput>,
    ) {
        self.relays.handle_input(now, slot, input, out);
        self.drain(now, out);
    }

    /// Sends media from an address at a relay.
    pub(crate) fn send_relayed(
        &mut self,
        now: Instant,
        slot: Slot,
        to: SocketAddr,
        payload: &[u8],
        out: &mut VecDeque<StreamOutput>,
    ) {
        self.relays.send(now, slot, to, payload);
        self.drain(now, out);
    }

    /// Takes the next packet of media that came over a relay: which socket, from whom, what.
    pub(crate) fn poll_relayed(&mut self) -> Option<(Slot, SocketAddr, BytesMut)> {
        self.relayed.pop_front()
    }

    /// Follows what a relay says.
    pub(super) fn told(&mut self, now: Instant, told: Told) {
        match told {
            Told::Allocated {
                slot,
                server,
                component,
                relayed,
                mapped,
            } => {
                // RFC 8839, 5.1: who wants to be hidden tells nothing of where he is.
                let related = match self.is_relay_only() {
                    true => SocketAddr::new(unspecified(relayed.ip()), HIDDEN_PORT),
                    false => mapped,
                };
                let preference = u16::MAX - server as u16;
                let base = self
                    .agent
                    .add_relayed(component, relayed, related, preference);
                self.bases.push((base, slot));
            }
            Told::Data {
                slot,
                peer,
                payload,
            } => match self.base(slot) {
                // RFC 7983, 7.
                Some(base) if stun::is_stun(&payload) => {
                    self.agent.handle_datagram(now, base, peer, &payload);
                }
                Some(_) => self.relayed.push_back((slot, peer, payload)),
                None => {}
            },
            Told::Gone { slot } => {
                let Some(base) = self.base(slot) else {
                    return;
                };
                self.bases.retain(|(_, own)| *own != slot);
                let mut chosen = COMPONENTS
                    .iter()
                    .filter_map(|&component| self.agent.selected(component));
                let is_in_use = chosen.any(|pair| pair.base == base);
                self.agent.remove_base(now, base);
                // Both components lose theirs together, as a rule.
                if is_in_use && !self.is_stale {
                    self.is_stale = true;
                    self.news.push_back(News::RelayLost);
                }
            }
        }
    }
}

const fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// RFC 8839, 5.1: of an address that is not told.
const HIDDEN_PORT: u16 = 9;
