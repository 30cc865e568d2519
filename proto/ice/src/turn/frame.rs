//! What a stream from the server is cut into (RFC 8656, 12.5; RFC 8489, 6.2.2).

use bytes::{Buf as _, Bytes, BytesMut};

/// Cuts a stream into messages and pieces of channel data.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
}

/// The stream is none of STUN and channel data: it cannot be cut any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("neither STUN nor channel data")]
pub struct TooLong;

impl Framer {
    /// Takes bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message or piece of channel data; at most 64 KiB and four bytes are kept for it.
    ///
    /// # Errors
    ///
    /// If what comes is neither.
    pub fn poll(&mut self) -> Result<Option<Bytes>, TooLong> {
        let Some(&[first, _, high, low]) = self.buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (whole, padded) = match first >> 6 {
            0 => (20 + length, 20 + length),
            1 => (4 + length, 4 + length.next_multiple_of(4)),
            _ => return Err(TooLong),
        };
        if self.buffer.len() < padded {
            return Ok(None);
        }
        let message = self.buffer.split_to(whole).freeze();
        self.buffer.advance(padded - whole);
        Ok(Some(message))
    }
}
