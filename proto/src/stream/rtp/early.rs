//! Media that come before the answer (RFC 3264, 5.1).

use super::{Heard, RtpTransport};
use crate::stream::Slot;
use bytes::BytesMut;
use std::{collections::VecDeque, net::SocketAddr, time::Instant};

/// The latest packets of RTP from before the first answer to an offer of ours.
///
/// An answerer may speak as soon as its answer has left, and the answer may come later than what is said
/// (RFC 3264, 5.1). Nothing of it can be read before: which codecs and which keys count stands in the answer.
/// That holds for keys of the description, too. The key in our offer is that of what *we* send; what the
/// peer sends has the one of its answer (RFC 4568, 5.1.1 and 6.1), so that an offerer who plays such media
/// at once does not exist. They wait, and are opened with what the answer says, as if they came then.
#[derive(Debug, Default)]
pub(super) struct Early {
    is_listening: bool,
    packets: VecDeque<Packet>,
    lost: u64,
}

#[derive(Debug)]
struct Packet {
    at: Instant,
    slot: Slot,
    from: SocketAddr,
    payload: BytesMut,
}

impl Early {
    fn keep(&mut self, packet: Packet) {
        let is_kept = rtp::Kind::of(&packet.payload) == rtp::Kind::Rtp
            && super::ice::component_of(packet.slot) == 1
            && packet.payload.len() <= MAX_LEN;
        if !self.is_listening || !is_kept {
            return;
        }
        if self.packets.len() == MAX_PACKETS {
            self.packets.pop_front();
            self.lost += 1;
        }
        self.packets.push_back(packet);
    }

    pub(super) fn clear(&mut self) {
        self.is_listening = false;
        self.packets.clear();
    }
}

impl RtpTransport {
    /// An offer leaves: media may come before its answer.
    pub(crate) const fn expect_early(&mut self) {
        self.early.is_listening = self.flow.is_none();
    }

    /// Keeps a packet from before the first agreement.
    pub(super) fn keep_early(&mut self, at: Instant, slot: Slot, from: SocketAddr, payload: &[u8]) {
        self.early.keep(Packet {
            at,
            slot,
            from,
            // The datagram may be a piece of a larger buffer.
            payload: payload.into(),
        });
    }

    /// Opens the next of the packets that waited for an agreement, as if it came at its own time.
    pub(crate) fn poll_early(&mut self) -> Option<Heard> {
        self.flow.as_ref()?;
        self.early.is_listening = false;
        let packet = self.early.packets.pop_front()?;
        Some(self.media(packet.at, packet.slot, packet.from, packet.payload))
    }

    /// How many packets came before the first agreement and gave way to later ones.
    pub(crate) const fn early_lost(&self) -> u64 {
        self.early.lost
    }
}

/// More than half a second of speech: whose answer is later than that is not understood by playing its
/// beginning.
const MAX_PACKETS: usize = 32;
/// As much as the largest packet of speech.
const MAX_LEN: usize = 2_048;
