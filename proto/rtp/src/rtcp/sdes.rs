//! Source descriptions (RFC 3550, 6.5).

use super::{SDES, write_packet};
use crate::{ErrorKind, ParseError};
use bytes::{BufMut, BytesMut};

/// Descriptions of up to 31 sources.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sdes<'a> {
    count: u8,
    bytes: &'a [u8],
}

impl<'a> Sdes<'a> {
    pub(super) fn parse(count: u8, bytes: &'a [u8], at: usize) -> Result<Self, ParseError> {
        let mut rest = bytes;
        for _ in 0..count {
            let at = at + bytes.len() - rest.len();
            let (_, len) = Chunk::split(rest, at)?;
            rest = &rest[len..];
        }
        let used = bytes.len() - rest.len();
        if used != bytes.len() {
            return Err(ParseError::new("SDES packet", at + used, ErrorKind::Length));
        }
        Ok(Self { count, bytes })
    }

    /// Walks the chunks, one for each source.
    pub fn chunks(&self) -> impl Iterator<Item = Chunk<'a>> + use<'a> {
        let mut rest = self.bytes;
        (0..self.count).map_while(move |_| {
            let (chunk, len) = Chunk::split(rest, 0).ok()?;
            rest = &rest[len..];
            Some(chunk)
        })
    }

    /// Appends the packet as it stands on the wire.
    pub fn write(&self, out: &mut BytesMut) {
        write_packet(out, SDES, self.count, |out| out.put_slice(self.bytes));
    }
}

/// What is said about one source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chunk<'a> {
    /// The source.
    pub ssrc: u32,
    items: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// Cuts the first chunk off `bytes`; also returns its length with the padding behind it.
    fn split(bytes: &'a [u8], at: usize) -> Result<(Self, usize), ParseError> {
        let truncated = ParseError::truncated("SDES chunk", at);
        let (ssrc, body) = bytes.split_first_chunk::<4>().ok_or(truncated)?;
        let mut end = 0;
        loop {
            match body.get(end) {
                None => return Err(truncated),
                // One zero ends the list, more follow up to the word's end.
                Some(0) => break,
                Some(_) => {
                    let len = usize::from(*body.get(end + 1).ok_or(truncated)?);
                    end += 2 + len;
                }
            }
        }
        // The list starts on a word, so its end rounded up (past at least one zero) is the chunk's.
        let len = 4 + (end / 4 + 1) * 4;
        if len > bytes.len() {
            return Err(truncated);
        }
        let chunk = Self {
            ssrc: u32::from_be_bytes(*ssrc),
            items: &body[..end],
        };
        Ok((chunk, len))
    }

    /// Walks the items in order.
    pub fn items(&self) -> impl Iterator<Item = Item<'a>> + use<'a> {
        let mut rest = self.items;
        std::iter::from_fn(move || {
            let (head, tail) = rest.split_first_chunk::<2>()?;
            let (value, tail) = tail.split_at_checked(usize::from(head[1]))?;
            rest = tail;
            Some(Item {
                kind: ItemKind::from_code(head[0]),
                value,
            })
        })
    }

    /// The canonical name, which every source must tell.
    pub fn cname(&self) -> Option<&'a [u8]> {
        self.items()
            .find(|item| item.kind == ItemKind::Cname)
            .map(|item| item.value)
    }
}

/// One statement about a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Item<'a> {
    /// What is told.
    pub kind: ItemKind,
    /// The text, UTF-8 by its author's word, at most 255 bytes.
    pub value: &'a [u8],
}

/// What an item tells about a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ItemKind {
    /// The canonical name.
    Cname,
    /// The user's name.
    Name,
    /// The user's electronic mail address.
    Email,
    /// The user's phone number.
    Phone,
    /// Where the user is.
    Location,
    /// The program.
    Tool,
    /// What the user is doing.
    Note,
    /// A private extension.
    Private,
    /// Anything else.
    Other(u8),
}

impl ItemKind {
    const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Cname,
            2 => Self::Name,
            3 => Self::Email,
            4 => Self::Phone,
            5 => Self::Location,
            6 => Self::Tool,
            7 => Self::Note,
            8 => Self::Private,
            other => Self::Other(other),
        }
    }
}

/// Appends a description with nothing but the canonical name, which is cut at 255 bytes.
pub(crate) fn write_cname(out: &mut BytesMut, ssrc: u32, cname: &str) {
    let name = &cname.as_bytes()[..cname.len().min(255)];
    write_packet(out, SDES, 1, |out| {
        out.put_u32(ssrc);
        out.put_u8(1);
        out.put_u8(name.len() as u8);
        out.put_slice(name);
        // The end of the list; the packet's own padding completes the word.
        out.put_u8(0);
    });
}
