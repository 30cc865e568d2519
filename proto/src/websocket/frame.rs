//! Frames, both ways (RFC 6455, 5).

use super::CloseCode;
use bytes::{Buf as _, Bytes, BytesMut};

/// What a frame is (RFC 6455, 5.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// One whole frame of a server.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Frame {
    pub(super) is_final: bool,
    pub(super) opcode: Opcode,
    pub(super) payload: Bytes,
}

/// Cuts the frames of a server out of a stream: whole frames, each of which the buffer holds once.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    buffer: BytesMut,
}

impl Cutter {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The bytes that are no frame yet.
    pub(super) const fn rest(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next frame, if it is whole; `room` is how much a message may still grow.
    pub(super) fn poll(&mut self, room: usize) -> Result<Option<Frame>, CloseCode> {
        let [first, second, ..] = self.buffer[..] else {
            return Ok(None);
        };
        let opcode = Opcode::from_bits(first & 0x0f).ok_or(CloseCode::PROTOCOL_ERROR)?;
        let is_final = first & 0x80 != 0;
        let length = second & 0x7f;
        let is_masked = second & 0x80 != 0;
        // RFC 6455, 5.2: no extension was agreed; 5.1: a server does not mask; 5.5: control frames are
        // short and whole.
        let is_wrong = first & 0x70 != 0
            || is_masked
            || opcode.is_control() && (!is_final || length > LONGEST_CONTROL);
        if is_wrong {
            return Err(CloseCode::PROTOCOL_ERROR);
        }
        let Some((header, length)) = self.length(length)? else {
            return Ok(None);
        };
        if !opcode.is_control() && length > room as u64 {
            return Err(CloseCode::TOO_BIG);
        }
        // It is not above `room`, or at most 125.
        let length = usize::try_from(length).map_err(|_| CloseCode::TOO_BIG)?;
        if self.buffer.len() - header < length {
            return Ok(None);
        }
        self.buffer.advance(header);
        // A copy of its own: a message must not pin the buffer.
        let payload = Bytes::copy_from_slice(&self.buffer[..length]);
        self.buffer.advance(length);
        Ok(Some(Frame {
            is_final,
            opcode,
            payload,
        }))
    }

    /// How long header and payload are; `None` if that is not there yet.
    fn length(&self, short: u8) -> Result<Option<(usize, u64)>, CloseCode> {
        let (header, length, least) = match short {
            126 => match self.buffer.get(2..4) {
                Some(&[a, b]) => (4, u16::from_be_bytes([a, b]).into(), 126),
                _ => return Ok(None),
            },
            127 => match self.buffer.get(2..10).map(<[u8; 8]>::try_from) {
                Some(Ok(bytes)) => (10, u64::from_be_bytes(bytes), 0x1_0000),
                _ => return Ok(None),
            },
            short => (2, u64::from(short), 0),
        };
        // RFC 6455, 5.2: in as few bytes as it takes.
        match length < least {
            true => Err(CloseCode::PROTOCOL_ERROR),
            false => Ok(Some((header, length))),
        }
    }
}

/// Writes one whole frame of a client, masked (RFC 6455, 5.3).
pub(super) fn write(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], mask: [u8; 4]) {
    out.push(0x80 | opcode.bits());
    match payload.len() {
        // Whatever fits is exact.
        short @ 0..=125 => out.push(0x80 | short as u8),
        medium @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    let masked = payload.iter().zip(mask.iter().cycle());
    out.extend(masked.map(|(byte, mask)| byte ^ mask));
}

/// RFC 6455, 5.5
pub(super) const LONGEST_CONTROL: u8 = 125;
