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
