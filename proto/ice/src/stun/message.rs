//! STUN messages as a whole (RFC 8489, 5 and 6).

use super::{
    attribute::{Attribute, AttributeType, Attributes, Raw},
    header::{COOKIE, Class, HEADER, Method, TransactionId, joined, split},
    integrity::{self, Integrity, Key, Protection},
};
use bytes::{Bytes, BytesMut};

/// A message as it came: the header is checked, and every attribute ends where the message does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    class: Class,
    method: Method,
    transaction: TransactionId,
    bytes: &'a [u8],
}

/// What is wrong with a message, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what}: {kind} at byte {at}")]
pub struct ParseError {
    /// The part of the message that is wrong (`"header"`).
    pub what: &'static str,
    /// The offset of that part from the start of the datagram, in bytes.
    pub at: usize,
    /// What is wrong with it.
    pub kind: ErrorKind,
}

/// The ways in which a part of a message can be wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes end before the part does.
    #[error("truncated")]
    Truncated,
    /// The first two bits are not zero, or the cookie is not there: no STUN, or that of RFC 3489.
    #[error("not STUN")]
    Cookie,
    /// A length contradicts the bytes that are there, or is no multiple of four.
    #[error("wrong length")]
    Length,
    /// FINGERPRINT is not that of these bytes.
    #[error("wrong fingerprint")]
    Fingerprint,
}

/// True if a datagram begins as STUN does: two zero bits, and the cookie (RFC 8489, 5; RFC 5626, 8).
/// SIP begins with a letter.
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER && datagram[0] & 0xc0 == 0 && datagram[4..8] == COOKIE
}

impl<'a> Message<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    ///
    /// If it is no STUN of RFC 8489, is shorter or longer than it says, or carries a FINGERPRINT that
    /// is not its own (RFC 8489, 14.7). Unknown attributes are no error.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let error = |what, at, kind| ParseError { what, at, kind };
        if bytes.len() < HEADER {
            return Err(error("header", 0, ErrorKind::Truncated));
        }
        if !is_stun(bytes) {
            return Err(error("header", 0, ErrorKind::Cookie));
        }
        let kind = u16::from_be_bytes([bytes[0], bytes[1]]);
        let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        if !length.is_multiple_of(4) || HEADER + length != bytes.len() {
            return Err(error("length", 2, ErrorKind::Length));
        }
        let mut transaction = [0; 12];
        transaction.copy_from_slice(&bytes[8..HEADER]);
        let (class, method) = split(kind);
        let message = Self {
            class,
            method,
            transaction: TransactionId(transaction),
            bytes,
        };
        let mut at = HEADER;
        while at < bytes.len() {
            // The length is a multiple of four: there is room for the header of an attribute.
            let padded = Raw::padded_len(&bytes[at..]);
            if padded.is_none_or(|padded| padded > bytes.len() - at) {
                return Err(error("attribute", at, ErrorKind::Length));
            }
            at += padded.unwrap_or_default();
        }
        match message.fingerprint() {
            Some((at, value)) if value != integrity::fingerprint(&bytes[..at]) => {
                Err(error("FINGERPRINT", at, ErrorKind::Fingerprint))
            }
            _ => Ok(message),
        }
    }

    /// Request, indication or response.
    pub const fn class(&self) -> Class {
        self.class
    }

    /// What it is about.
    pub const fn method(&self) -> Method {
        self.method
    }

    /// What response and request have in common.
    pub const fn transaction(&self) -> TransactionId {
        self.transaction
    }

    /// Walks the attributes that count: those after MESSAGE-INTEGRITY are ignored, except for
    /// MESSAGE-INTEGRITY-SHA256 and FINGERPRINT (RFC 8489, 14.5, 14.6), and so is all after FINGERPRINT.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.bytes, self.transaction)
    }

    /// The first attribute of a type (RFC 8489, 14: only the first counts).
    pub fn raw(&self, wanted: AttributeType) -> Option<Raw<'a>> {
        self.attributes().find(|raw| raw.kind == wanted)
    }

    /// The first attribute of a type, read; `None` if there is none or its value is wrong.
    pub fn attribute(&self, wanted: AttributeType) -> Option<Attribute<'a>> {
        self.raw(wanted)?.read().ok()
    }

    /// The address that a response tells: XOR-MAPPED-ADDRESS, else MAPPED-ADDRESS of old servers.
    pub fn mapped_address(&self) -> Option<std::net::SocketAddr> {
        [
            AttributeType::XOR_MAPPED_ADDRESS,
            AttributeType::MAPPED_ADDRESS,
        ]
        .into_iter()
        .find_map(|kind| match self.attribute(kind)? {
            Attribute::XorMappedAddress(address) | Attribute::MappedAddress(address) => {
                Some(address)
            }
            _ => None,
        })
    }

    /// The types that must be understood and are not known here: a request with one of them is
    /// answered 420, a response with one has failed (RFC 8489, 6.3).
    pub fn unknown(&self) -> impl Iterator<Item = AttributeType> + use<'a> {
        self.attributes()
            .map(|raw| raw.kind)
            .filter(|kind| kind.is_required() && !kind.is_known())
    }

    /// Compares the protection of the message with what a key makes of it (RFC 8489, 14.5, 14.6).
    pub fn integrity(&self, protection: Protection, key: &Key) -> Integrity {
        match self.raw(protection.attribute()) {
            Some(raw) => match integrity::matches(protection, key, self.bytes, raw.at, raw.value) {
                true => Integrity::Right,
                false => Integrity::Wrong,
            },
            None => Integrity::Missing,
        }
    }

    /// True if it carries a FINGERPRINT, which [`parse`](Self::parse) has verified.
    pub fn has_fingerprint(&self) -> bool {
        self.fingerprint().is_some()
    }

    fn fingerprint(&self) -> Option<(usize, u32)> {
        let raw = self.raw(AttributeType::FINGERPRINT)?;
        let value = raw.value.try_into().ok().map(u32::from_be_bytes);
        // One of the wrong size is none that could be right.
        Some((
            raw.at,
            value.unwrap_or_else(|| !integrity::fingerprint(&self.bytes[..raw.at])),
        ))
    }
}

/// Writes a message, attribute by attribute: protection after what it protects, FINGERPRINT last.
#[derive(Clone, Debug)]
pub struct Writer {
    bytes: BytesMut,
    transaction: TransactionId,
}

impl Writer {
    /// Begins a message.
    pub fn new(class: Class, method: Method, transaction: TransactionId) -> Self {
        let mut bytes = BytesMut::with_capacity(128);
        bytes.extend_from_slice(&joined(class, method).to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&COOKIE);
        bytes.extend_from_slice(&transaction.0);
        Self { bytes, transaction }
    }

    /// Adds an attribute. What does not fit into the 64 KiB of a message is left out.
    #[must_use]
    pub fn attribute(mut self, attribute: &Attribute<'_>) -> Self {
        let transaction = self.transaction;
        self.push(attribute.kind(), |out| attribute.write(transaction, out));
        self
    }

    /// Protects all that stands before (RFC 8489, 14.5, 14.6).
    #[must_use]
    pub fn integrity(mut self, protection: Protection, key: &Key) -> Self {
        let at = self.bytes.len();
        let (value, length) = integrity::of(protection, key, &self.bytes, at);
        self.push(protection.attribute(), |out| {
            out.extend_from_slice(&value[..length])
        });
        self
    }

    /// Ends the message with FINGERPRINT (RFC 8489, 14.7).
    #[must_use]
    pub fn fingerprint(mut self) -> Self {
        let value = integrity::fingerprint(&self.bytes).to_be_bytes();
        self.push(AttributeType::FINGERPRINT, |out| {
            out.extend_from_slice(&value)
        });
        self
    }

    /// The bytes.
    pub fn finish(self) -> Bytes {
        self.bytes.freeze()
    }

    /// Writes an attribute, whose length is known when its value stands there.
    fn push(&mut self, kind: AttributeType, value: impl FnOnce(&mut BytesMut)) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&kind.0.to_be_bytes());
        self.bytes.extend_from_slice(&[0, 0]);
        value(&mut self.bytes);
        let value = self.bytes.len() - at - 4;
        let padding = value.next_multiple_of(4) - value;
        let body = self.bytes.len() + padding - HEADER;
        let (Ok(body), Ok(length)) = (u16::try_from(body), u16::try_from(value)) else {
            return self.bytes.truncate(at);
        };
        self.bytes.extend_from_slice(&[0; 3][..padding]);
        self.bytes[at + 2..at + 4].copy_from_slice(&length.to_be_bytes());
        self.bytes[2..4].copy_from_slice(&body.to_be_bytes());
    }
}
