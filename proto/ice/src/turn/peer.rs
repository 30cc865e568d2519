//! Peers: who may send to us, and what we send to them (RFC 8656, 9 to 11).

use super::{CannotSend, Client, Output, Permission, State, request::Purpose};
use crate::stun::{Attribute, AttributeType, Class, Message, Method, TransactionId, Writer};
use bytes::Bytes;
use std::{
    collections::{VecDeque, btree_map::Entry},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// Somebody whom we speak with.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// Its number, once the server knows it.
    pub(super) channel: Option<u16>,
    /// When the server wants to hear of that number again.
    pub(super) rebind: Option<Instant>,
    /// What waits for its permission.
    waiting: VecDeque<Bytes>,
}

impl Client {
    /// Lets a peer send to us, and keeps it so (RFC 8656, 9). What it sends is heard once the server has
    /// agreed.
    ///
    /// # Errors
    ///
    /// See [`CannotSend`].
    pub fn permit(&mut self, now: Instant, peer: SocketAddr) -> Result<(), CannotSend> {
        if self.state != State::Allocated || peer.is_ipv6() != self.config.is_v6 {
            return Err(CannotSend::NoAddress);
        }
        if !self.peers.contains_key(&peer) {
            if self.peers.len() >= self.config.peers {
                return Err(CannotSend::TooManyPeers);
            }
            self.peers.insert(peer, Peer::default());
        }
        if let Entry::Vacant(place) = self.permissions.entry(peer.ip()) {
            place.insert(Permission {
                refresh: None,
                is_given: false,
            });
            self.ask(now, Purpose::Permission(peer.ip()));
        }
        Ok(())
    }

    /// Sends to a peer: over its channel, else in an indication, once the server lets it (RFC 8656, 11.1
    /// and 12.5).
    ///
    /// # Errors
    ///
    /// See [`CannotSend`].
    pub fn send(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        payload: &[u8],
    ) -> Result<(), CannotSend> {
        if payload.len() > MAX_PAYLOAD {
            return Err(CannotSend::TooLarge);
        }
        self.permit(now, peer)?;
        let is_given = self
            .permissions
            .get(&peer.ip())
            .is_some_and(|permission| permission.is_given);
        let Some(entry) = self.peers.get_mut(&peer) else {
            return Ok(());
        };
        if let Some(channel) = entry.channel {
            let message = super::channel::framed(channel, payload, self.config.is_stream);
            self.out.push_back(Output::Transmit(message));
        } else if is_given {
            self.indicate(peer, payload);
        } else {
            if entry.waiting.len() >= self.config.waiting {
                entry.waiting.pop_front();
            }
            entry.waiting.push_back(Bytes::copy_from_slice(payload));
        }
        Ok(())
    }

    fn indicate(&mut self, peer: SocketAddr, payload: &[u8]) {
        let mut id = [0; 12];
        self.rng.fill(&mut id);
        let message = Writer::new(Class::Indication, Method::SEND, TransactionId(id))
            .attribute(&Attribute::XorPeerAddress(peer))
            .attribute(&Attribute::Data(payload))
            .finish();
        self.out.push_back(Output::Transmit(message));
    }

    /// RFC 8656, 11.4. Who has no permission the server would not have let in; nobody else counts.
    pub(super) fn handle_data(&mut self, bytes: &Bytes, message: &Message<'_>) {
        let (Some(Attribute::XorPeerAddress(peer)), Some(Attribute::Data(data))) = (
            message.attribute(AttributeType::XOR_PEER_ADDRESS),
            message.attribute(AttributeType::DATA),
        ) else {
            return;
        };
        if self.permissions.contains_key(&peer.ip()) {
            let payload = bytes.slice_ref(data);
            self.out.push_back(Output::Data { peer, payload });
        }
    }

    pub(super) fn permitted(&mut self, now: Instant, peer: IpAddr) {
        let Some(permission) = self.permissions.get_mut(&peer) else {
            return;
        };
        permission.is_given = true;
        permission.refresh = now.checked_add(PERMISSION);
        let waiting: Vec<(SocketAddr, VecDeque<Bytes>)> = self
            .peers
            .iter_mut()
            .filter(|(address, _)| address.ip() == peer)
            .map(|(address, entry)| (*address, std::mem::take(&mut entry.waiting)))
            .collect();
        for (address, payloads) in waiting {
            for payload in payloads {
                self.indicate(address, &payload);
            }
        }
    }

    /// RFC 8656, 10.2: 403 for a peer that the server's rules forbid, 443 for one of another family.
    pub(super) fn forbidden(&mut self, peer: IpAddr, code: u16) {
        self.permissions.remove(&peer);
        self.peers.retain(|address, _| address.ip() != peer);
        self.out.push_back(Output::Forbidden { peer, code });
    }

    /// RFC 8656, 10.2: the server has no room (508), or cannot read the request (400); nothing of that is about
    /// the peer. What was given before lasts, and it is asked again.
    pub(super) fn postponed(&mut self, now: Instant, peer: IpAddr) {
        if let Some(permission) = self.permissions.get_mut(&peer) {
            permission.refresh = now.checked_add(AGAIN);
        }
    }

    pub(super) fn permissions_due(&mut self, now: Instant) {
        let due = |(peer, permission): (&IpAddr, &mut Permission)| {
            permission.refresh.take_if(|at| *at <= now).map(|_| *peer)
        };
        let due: Vec<IpAddr> = self.permissions.iter_mut().filter_map(due).collect();
        for peer in due {
            self.ask(now, Purpose::Permission(peer));
        }
    }
}

/// RFC 8656, 9: a permission lives five minutes.
const PERMISSION: Duration = Duration::from_secs(240);
/// Between a permission that was not given and the next request for it.
const AGAIN: Duration = Duration::from_secs(10);
/// What fits into a message beside two attributes.
const MAX_PAYLOAD: usize = 65_000;
