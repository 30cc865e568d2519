//! RTCP on the wire (RFC 3550, 6.4 to 6.7): compound packets, read without copying.

mod bye;
mod feedback;
mod report;
mod sdes;

pub(crate) use bye::write_bye;
pub use bye::{App, Bye};
pub use feedback::{Feedback, FeedbackKind};
pub(crate) use report::write_report;
pub use report::{ReceiverReport, ReportBlock, ReportBlocks, SenderInfo, SenderReport};
pub(crate) use sdes::write_cname;
pub use sdes::{Chunk, Item, ItemKind, Sdes};

use crate::{ErrorKind, ParseError};
use bytes::{BufMut, BytesMut};

/// A compound packet whose framing has been checked (RFC 3550, A.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Compound<'a> {
    bytes: &'a [u8],
}

impl<'a> Compound<'a> {
    /// Checks the framing of a datagram: version 2 throughout, a report first, lengths that add up,
    /// padding at most in the last packet.
    ///
    /// # Errors
    ///
    /// If any of this does not hold. The content of the packets is checked when they are walked.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let mut at = 0;
        loop {
            let rest = &datagram[at..];
            let Some(head) = rest.first_chunk::<HEADER>() else {
                return Err(ParseError::truncated("RTCP header", at));
            };
            if head[0] >> 6 != 2 {
                return Err(ParseError::new("RTCP header", at, ErrorKind::Version));
            }
            // RFC 3550, A.2: anything else in the first place is most likely not RTCP at all.
            if at == 0 && !matches!(head[1], SENDER_REPORT | RECEIVER_REPORT) {
                return Err(ParseError::new(
                    "first RTCP packet",
                    0,
                    ErrorKind::Unexpected,
                ));
            }
            let len = packet_len(head);
            if len > rest.len() {
                return Err(ParseError::new("RTCP length", at, ErrorKind::Length));
            }
            let last = len == rest.len();
            if head[0] & PADDING != 0 && !last {
                return Err(ParseError::new("RTCP padding", at, ErrorKind::Unexpected));
            }
            if last {
                return Ok(Self { bytes: datagram });
            }
            at += len;
        }
    }

    /// Walks the packets in order. A packet whose content contradicts its length is an error of its
    /// own; the walk goes on behind it.
    pub fn packets(&self) -> impl Iterator<Item = Result<Packet<'a>, ParseError>> + use<'a> {
        let bytes = self.bytes;
        let mut at = 0;
        std::iter::from_fn(move || {
            let head = bytes.get(at..)?.first_chunk::<HEADER>()?;
            let start = at;
            at += packet_len(head);
            Some(Packet::parse(bytes.get(start..at)?, start))
        })
    }
}

/// One packet of a compound packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Packet<'a> {
    /// What a sender sent and heard.
    SenderReport(SenderReport<'a>),
    /// What somebody heard who does not send.
    ReceiverReport(ReceiverReport<'a>),
    /// Who the sources are.
    Sdes(Sdes<'a>),
    /// Sources that leave.
    Bye(Bye<'a>),
    /// Something that an application defined.
    App(App<'a>),
    /// Feedback on transport or payload (RFC 4585, 6.1).
    Feedback(Feedback<'a>),
    /// A type that is not known here, to be ignored.
    Unknown {
        /// The packet type.
        packet_type: u8,
        /// The five bits behind version and padding.
        count: u8,
        /// All behind the four bytes of the header, without padding.
        body: &'a [u8],
    },
}

impl<'a> Packet<'a> {
    /// `bytes` is exactly one packet by its length field, standing at `at` in its datagram.
    fn parse(bytes: &'a [u8], at: usize) -> Result<Self, ParseError> {
        let count = bytes[0] & 0x1f;
        let packet_type = bytes[1];
        let mut body = &bytes[HEADER..];
        if bytes[0] & PADDING != 0 {
            let wrong = ParseError::new("RTCP padding", at + bytes.len() - 1, ErrorKind::Length);
            let padding = usize::from(*body.last().ok_or(wrong)?);
            // RFC 3550, 6.4.1: a multiple of four, its count included.
            if padding == 0 || padding % 4 != 0 || padding > body.len() {
                return Err(wrong);
            }
            body = &body[..body.len() - padding];
        }
        let at = at + HEADER;
        Ok(match packet_type {
            SENDER_REPORT => Self::SenderReport(SenderReport::parse(count, body, at)?),
            RECEIVER_REPORT => Self::ReceiverReport(ReceiverReport::parse(count, body, at)?),
            SDES => Self::Sdes(Sdes::parse(count, body, at)?),
            BYE => Self::Bye(Bye::parse(count, body, at)?),
            APP => Self::App(App::parse(count, body, at)?),
            TRANSPORT_FEEDBACK | PAYLOAD_FEEDBACK => {
                Self::Feedback(Feedback::parse(packet_type, count, body, at)?)
            }
            _ => Self::Unknown {
                packet_type,
                count,
                body,
            },
        })
    }

    /// Appends the packet as it stands on the wire, without padding.
    pub fn write(&self, out: &mut BytesMut) {
        match self {
            Self::SenderReport(report) => report.write(out),
            Self::ReceiverReport(report) => report.write(out),
            Self::Sdes(sdes) => sdes.write(out),
            Self::Bye(bye) => bye.write(out),
            Self::App(app) => app.write(out),
            Self::Feedback(feedback) => feedback.write(out),
            Self::Unknown {
                packet_type,
                count,
                body,
            } => {
                write_packet(out, *packet_type, *count, |out| out.put_slice(body));
            }
        }
    }
}

/// Writes header and body of one packet, pads the body with zeros to a whole word, then sets the length.
fn write_packet(out: &mut BytesMut, packet_type: u8, count: u8, body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u8(2 << 6 | count & 0x1f);
    out.put_u8(packet_type);
    out.put_u16(0);
    body(out);
    let excess = (out.len() - start) % 4;
    if excess > 0 {
        out.put_bytes(0, 4 - excess);
    }
    // Our own packets are small, and a parsed one had a length of 16 bits.
    let words = ((out.len() - start) / 4 - 1) as u16;
    out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
}

/// The length of a packet in bytes, header included.
fn packet_len(head: &[u8; HEADER]) -> usize {
    (usize::from(u16::from_be_bytes([head[2], head[3]])) + 1) * 4
}

/// Splits a word off; `at` is where `bytes` stands in the datagram.
fn take_u32<'a>(
    bytes: &'a [u8],
    what: &'static str,
    at: usize,
) -> Result<(u32, &'a [u8]), ParseError> {
    let (word, rest) = bytes
        .split_first_chunk::<4>()
        .ok_or_else(|| ParseError::truncated(what, at))?;
    Ok((u32::from_be_bytes(*word), rest))
}

/// Bytes of the header that all packets share.
const HEADER: usize = 4;
const PADDING: u8 = 0x20;
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SDES: u8 = 202;
const BYE: u8 = 203;
const APP: u8 = 204;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;

#[cfg(test)]
mod tests;
