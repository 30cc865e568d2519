//! Why bytes are no RTP and no RTCP.

/// What is wrong with a packet, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what}: {kind} at byte {at}")]
pub struct ParseError {
    /// The part of the packet that is wrong (`"CSRC list"`).
    pub what: &'static str,
    /// The offset of that part from the start of the datagram, in bytes.
    pub at: usize,
    /// What is wrong with it.
    pub kind: ErrorKind,
}

impl ParseError {
    pub(crate) const fn new(what: &'static str, at: usize, kind: ErrorKind) -> Self {
        Self { what, at, kind }
    }

    pub(crate) const fn truncated(what: &'static str, at: usize) -> Self {
        Self::new(what, at, ErrorKind::Truncated)
    }
}

/// The ways in which a part of a packet can be wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes end before the part does.
    #[error("truncated")]
    Truncated,
    /// The protocol version is not 2.
    #[error("not version 2")]
    Version,
    /// A length or count contradicts the bytes that are there.
    #[error("wrong length")]
    Length,
    /// A value that is not allowed in this place.
    #[error("not allowed here")]
    Unexpected,
}
