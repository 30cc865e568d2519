//! Feedback packets by their common header (RFC 4585, 6.1).

use super::{PAYLOAD_FEEDBACK, TRANSPORT_FEEDBACK, take_u32, write_packet};
use crate::ParseError;
use bytes::{BufMut, BytesMut};

/// A feedback packet; what it says is left to whoever knows its format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Feedback<'a> {
    /// Whether it is about the transport or about the payload.
    pub kind: FeedbackKind,
    /// The format of the message, 0 to 31.
    pub format: u8,
    /// Who says it.
    pub sender: u32,
    /// Which source it is about.
    pub media: u32,
    /// The message itself, a multiple of 4 bytes.
    pub information: &'a [u8],
}

/// What a feedback packet is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FeedbackKind {
    /// The transport: generic NACK and the like (packet type 205).
    Transport,
    /// The payload: picture loss and the like (packet type 206).
    Payload,
}

impl<'a> Feedback<'a> {
    pub(super) fn parse(
        packet_type: u8,
        format: u8,
        body: &'a [u8],
        at: usize,
    ) -> Result<Self, ParseError> {
        let kind = match packet_type {
            TRANSPORT_FEEDBACK => FeedbackKind::Transport,
            _ => FeedbackKind::Payload,
        };
        let (sender, rest) = take_u32(body, "feedback sender", at)?;
        let (media, information) = take_u32(rest, "feedback media source", at + 4)?;
        Ok(Self {
            kind,
            format,
            sender,
            media,
            information,
        })
    }

    /// The sequence numbers that a generic NACK says are missing (RFC 4585, 6.2.1), in the order of the
    /// message; nothing of any other feedback.
    pub fn missing(&self) -> impl Iterator<Item = u16> + use<'a> {
        let is_nack = self.kind == FeedbackKind::Transport && self.format == GENERIC_NACK;
        let information = if is_nack { self.information } else { &[] };
        information.chunks_exact(4).flat_map(|entry| {
            let first = u16::from_be_bytes([entry[0], entry[1]]);
            let others = u16::from_be_bytes([entry[2], entry[3]]);
            let others = (0..16).filter(move |bit| others >> bit & 1 != 0);
            std::iter::once(first).chain(others.map(move |bit| first.wrapping_add(bit + 1)))
        })
    }

    /// True for a picture loss indication (RFC 4585, 6.3.1).
    pub const fn is_picture_loss(&self) -> bool {
        matches!(self.kind, FeedbackKind::Payload) && self.format == PICTURE_LOSS
    }

    /// Appends the packet as it stands on the wire.
    pub fn write(&self, out: &mut BytesMut) {
        let packet_type = match self.kind {
            FeedbackKind::Transport => TRANSPORT_FEEDBACK,
            FeedbackKind::Payload => PAYLOAD_FEEDBACK,
        };
        write_packet(out, packet_type, self.format, |out| {
            out.put_u32(self.sender);
            out.put_u32(self.media);
            out.put_slice(self.information);
        });
    }
}

/// Formats of transport and payload feedback (RFC 4585, 6.2 and 6.3).
const GENERIC_NACK: u8 = 1;
const PICTURE_LOSS: u8 = 1;
