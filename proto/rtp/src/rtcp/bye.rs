//! Leaving (RFC 3550, 6.6), and packets that applications define (6.7).

use super::{APP, BYE, take_u32, write_packet};
use crate::{ErrorKind, ParseError};
use bytes::{BufMut, BytesMut};

/// Sources that leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bye<'a> {
    ssrcs: &'a [u8],
    reason: Option<&'a [u8]>,
}

impl<'a> Bye<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8], at: usize) -> Result<Self, ParseError> {
        let truncated = ParseError::truncated("BYE sources", at);
        let (ssrcs, rest) = body
            .split_at_checked(usize::from(count) * 4)
            .ok_or(truncated)?;
        let reason = match rest {
            [] => None,
            [len, text @ ..] => {
                let wrong = ParseError::new("BYE reason", at + ssrcs.len(), ErrorKind::Length);
                Some(text.get(..usize::from(*len)).ok_or(wrong)?)
            }
        };
        Ok(Self { ssrcs, reason })
    }

    /// Walks the sources that leave, at most 31; none is legal and useless.
    pub fn ssrcs(&self) -> impl ExactSizeIterator<Item = u32> + use<'a> {
        self.ssrcs
            .chunks_exact(4)
            .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// Why they leave, in UTF-8 by the sender's word.
    pub const fn reason(&self) -> Option<&'a [u8]> {
        self.reason
    }

    /// Appends the packet as it stands on the wire.
    pub fn write(&self, out: &mut BytesMut) {
        write_packet(out, BYE, (self.ssrcs.len() / 4) as u8, |out| {
            out.put_slice(self.ssrcs);
            if let Some(reason) = self.reason {
                // A parsed reason has at most 255 bytes.
                out.put_u8(reason.len() as u8);
                out.put_slice(reason);
            }
        });
    }
}

/// Appends a BYE of one source without a reason.
pub(crate) fn write_bye(out: &mut BytesMut, ssrc: u32) {
    Bye {
        ssrcs: &ssrc.to_be_bytes(),
        reason: None,
    }
    .write(out);
}

/// A packet that an application defined (RFC 3550, 6.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct App<'a> {
    /// A number from 0 to 31 of the application's choice.
    pub subtype: u8,
    /// The source.
    pub ssrc: u32,
    /// Four characters that name the application.
    pub name: [u8; 4],
    /// The content, a multiple of 4 bytes.
    pub data: &'a [u8],
}

impl<'a> App<'a> {
    pub(super) fn parse(subtype: u8, body: &'a [u8], at: usize) -> Result<Self, ParseError> {
        let (ssrc, rest) = take_u32(body, "APP source", at)?;
        let (name, data) = rest
            .split_first_chunk::<4>()
            .ok_or_else(|| ParseError::truncated("APP name", at + 4))?;
        Ok(Self {
            subtype,
            ssrc,
            name: *name,
            data,
        })
    }

    /// Appends the packet as it stands on the wire.
    pub fn write(&self, out: &mut BytesMut) {
        write_packet(out, APP, self.subtype, |out| {
            out.put_u32(self.ssrc);
            out.put_slice(&self.name);
            out.put_slice(self.data);
        });
    }
}
