//! Channels: four bytes before a payload instead of a message around it (RFC 8656, 12).

use super::{CannotSend, Client, FIRST_CHANNEL, Output, request::Purpose};
use bytes::{BufMut, Bytes, BytesMut};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

impl Client {
    /// Gives a peer a number, so that packets to it cost four bytes each (RFC 8656, 12.1); it may send to us,
    /// too. Until the server has agreed, and if it does not, indications go.
    ///
    /// # Errors
    ///
    /// See [`CannotSend`].
    pub fn bind(&mut self, now: Instant, peer: SocketAddr) -> Result<(), CannotSend> {
        self.permit(now, peer)?;
        let is_bound = self
            .peers
            .get(&peer)
            .is_some_and(|entry| entry.channel.is_some());
        let is_asking = self.is_asking(
            |purpose| matches!(purpose, Purpose::Channel(address, _) if address == peer),
        );
        // RFC 8656, 12: numbers are not used again within five minutes of their end: here, never.
        if !is_bound && !is_asking && self.next_channel <= LAST_CHANNEL {
            let number = self.next_channel;
            self.next_channel += 1;
            self.ask(now, Purpose::Channel(peer, number));
        }
        Ok(())
    }

    pub(super) fn bound(&mut self, now: Instant, peer: SocketAddr, number: u16) {
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.channel = Some(number);
            entry.rebind = now.checked_add(BINDING);
            self.permitted(now, peer.ip());
        }
    }

    /// True if the server has agreed to this number for the peer.
    pub(super) fn is_bound(&self, peer: SocketAddr, number: u16) -> bool {
        let entry = self.peers.get(&peer);
        entry.is_some_and(|entry| entry.channel == Some(number))
    }

    /// Without its channel a peer is spoken with by indications.
    pub(super) fn unbound(&mut self, peer: SocketAddr) {
        if let Some(entry) = self.peers.get_mut(&peer) {
            (entry.channel, entry.rebind) = (None, None);
        }
    }

    pub(super) fn channels_due(&mut self, now: Instant) {
        let mut due = Vec::new();
        for (peer, entry) in &mut self.peers {
            if let (Some(_), Some(number)) = (entry.rebind.take_if(|at| *at <= now), entry.channel)
            {
                due.push((*peer, number));
            }
        }
        for (peer, number) in due {
            self.ask(now, Purpose::Channel(peer, number));
        }
    }

    /// RFC 8656, 12.6.
    pub(super) fn handle_channel_data(&mut self, bytes: &Bytes) {
        let Some(&[a, b, c, d]) = bytes.first_chunk::<4>() else {
            return;
        };
        let number = u16::from_be_bytes([a, b]);
        let length = usize::from(u16::from_be_bytes([c, d]));
        if !(FIRST_CHANNEL..=LAST_CHANNEL).contains(&number) || bytes.len() < 4 + length {
            return;
        }
        let known = self
            .peers
            .iter()
            .find(|(_, entry)| entry.channel == Some(number));
        if let Some((&peer, _)) = known {
            let payload = bytes.slice(4..4 + length);
            self.out.push_back(Output::Data { peer, payload });
        }
    }
}

/// RFC 8656, 12.5: over a stream with padding to four bytes, which the length does not count.
pub(super) fn framed(number: u16, payload: &[u8], is_stream: bool) -> Bytes {
    let padding = match is_stream {
        true => payload.len().next_multiple_of(4) - payload.len(),
        false => 0,
    };
    let mut message = BytesMut::with_capacity(4 + payload.len() + padding);
    message.put_u16(number);
    // The caller has bounded it.
    message.put_u16(payload.len() as u16);
    message.put_slice(payload);
    message.put_bytes(0, padding);
    message.freeze()
}

/// RFC 8656, 12.
const LAST_CHANNEL: u16 = 0x4fff;
/// RFC 8656, 12: a binding lives ten minutes.
const BINDING: Duration = Duration::from_secs(540);
