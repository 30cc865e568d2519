//! Why bytes are not what they should be.

use crate::Status;
use base::scan::NumberError;
use serde::Serialize;

/// Says what is wrong with a text, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error, Serialize)]
#[error("{what} at byte {at}")]
pub struct ParseError {
    /// What was expected or is wrong: `"CSeq"`, `"host"`.
    pub what: &'static str,
    /// How many bytes into the text that was to be parsed.
    ///
    /// For a header of a message: where its line begins, as the value may have been unfolded.
    pub at: usize,
    /// The sort of error, which decides the answer.
    pub kind: ErrorKind,
}

/// The sort of a [`ParseError`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The grammar does not allow it.
    Syntax,
    /// A number that the field cannot hold.
    OutOfRange,
    /// SIP, but not version 2.0.
    Version,
    /// A mandatory header is missing.
    Missing,
    /// A header that may stand once stands twice, or with two different values.
    Repeated,
    /// The method of the CSeq is not the method of the request.
    Mismatch,
    /// The datagram ends before the body does.
    Truncated,
    /// Start line and headers exceed [`MAX_HEAD`](crate::message::MAX_HEAD), or
    /// [`MAX_HEADERS`](crate::message::MAX_HEADERS).
    HeadTooLarge,
    /// The body exceeds [`MAX_BODY`](crate::message::MAX_BODY).
    BodyTooLarge,
}

impl ParseError {
    pub(crate) const fn new(kind: ErrorKind, what: &'static str, at: usize) -> Self {
        Self { what, at, kind }
    }

    pub(crate) const fn syntax(what: &'static str, at: usize) -> Self {
        Self::new(ErrorKind::Syntax, what, at)
    }

    pub(crate) const fn number(error: NumberError, what: &'static str, at: usize) -> Self {
        match error {
            NumberError::NotANumber => Self::syntax(what, at),
            NumberError::OutOfRange => Self::new(ErrorKind::OutOfRange, what, at),
        }
    }

    pub(crate) const fn shifted(mut self, by: usize) -> Self {
        self.at += by;
        self
    }

    /// The status that answers a request with this error, where an answer is possible.
    pub const fn status(&self) -> Status {
        match self.kind {
            // RFC 3261, 21.5.6
            ErrorKind::Version => Status::VERSION_NOT_SUPPORTED,
            // RFC 3261, 21.5.7
            ErrorKind::HeadTooLarge => Status::MESSAGE_TOO_LARGE,
            // RFC 3261, 21.4.11
            ErrorKind::BodyTooLarge => Status::REQUEST_ENTITY_TOO_LARGE,
            ErrorKind::Syntax
            | ErrorKind::OutOfRange
            | ErrorKind::Missing
            | ErrorKind::Repeated
            | ErrorKind::Mismatch
            | ErrorKind::Truncated => Status::BAD_REQUEST,
        }
    }
}
