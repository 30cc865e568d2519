//! What bodies carry (RFC 5621).

use crate::{Headers, header::HeaderName};
use bytes::Bytes;

/// A session description as SIP carries it; this crate never reads it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Description {
    /// Its media type, `application/sdp` in practice.
    pub content_type: String,
    /// The description.
    pub body: Bytes,
}

/// Why a body cannot be understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unacceptable {
    /// A media type that is not known.
    #[error("media type")]
    Type,
    /// A Content-Encoding other than identity.
    #[error("content encoding")]
    Encoding,
    /// A multipart body that is none.
    #[error("malformed multipart body")]
    Malformed,
}

/// Finds the session description.
///
/// # Errors
///
/// [`Unacceptable`].
pub fn description(headers: &Headers, body: &Bytes) -> Result<Option<Description>, Unacceptable> {
    if body.is_empty() {
        return Ok(None);
    }
    let content_type = headers.get(HeaderName::ContentType).unwrap_or_default();
    Ok(Some(Description {
        content_type: String::from_utf8_lossy(content_type).into_owned(),
        body: body.clone(),
    }))
}
