//! What bodies carry: session descriptions, alone or as a part among others (RFC 5621, RFC 2046).

use super::parse;
use crate::{
    Headers,
    header::{HeaderName, Item, MediaType},
};
use bytes::Bytes;

/// A session description as SIP carries it; this crate never reads it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Description {
    /// Its media type: `application/sdp`.
    pub content_type: String,
    /// The description.
    pub body: Bytes,
}

/// Why a body cannot be understood: 415 answers it (RFC 5621, 8).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unacceptable {
    /// Of an unknown media type, or used in an unknown way, and its sender requires that it is understood.
    #[error("unknown media type or disposition")]
    Type,
    /// Encoded; name `identity` in Accept-Encoding.
    #[error("unknown content encoding")]
    Encoding,
    /// A multipart body that is none, or one beyond the limits.
    #[error("malformed multipart body")]
    Malformed,
}

/// One part of a multipart body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Its own headers.
    pub headers: Headers,
    /// Its content.
    pub body: Bytes,
}

/// Finds the session description in a body; `None` if there is no body, or none of it needs to be understood.
///
/// The description is the body, or the part, of type `application/sdp` whose disposition is `session`, which it
/// is if it says nothing (RFC 3261, 20.11). Of `multipart/alternative` the last part that is understood is taken, of
/// `multipart/related` the root; any other `multipart` is read as `multipart/mixed` (RFC 5621, 3). What is not
/// understood is an error, unless its disposition says `handling=optional`. A body without a Content-Type is
/// taken for a description if it begins as one, `v=0`.
///
/// # Errors
///
/// [`Unacceptable`].
pub fn description(headers: &Headers, body: &Bytes) -> Result<Option<Description>, Unacceptable> {
    if body.is_empty() {
        return Ok(None);
    }
    find(headers, body, 0)
}

/// Cuts a multipart body (RFC 2046, 5.1.1) of that boundary; what stands before the first and behind the last
/// delimiter is left out.
///
/// # Errors
///
/// [`Unacceptable::Malformed`]: no delimiter, no closing one, more than [`MAX_PARTS`] parts, or a part whose
/// headers are none.
pub fn parts(body: &Bytes, boundary: &str) -> Result<Vec<Part>, Unacceptable> {
    let mut parts = Vec::new();
    let (_, mut next) = delimiter(body, 0, boundary).ok_or(Unacceptable::Malformed)?;
    while let Next::Part(start) = next {
        let (end, after) = delimiter(body, start, boundary).ok_or(Unacceptable::Malformed)?;
        if parts.len() == MAX_PARTS {
            return Err(Unacceptable::Malformed);
        }
        let part = body.slice(start..end.max(start));
        let (headers, content) = parse::part(&part).map_err(|_| Unacceptable::Malformed)?;
        parts.push(Part {
            headers,
            body: part.slice(content..),
        });
        next = after;
    }
    Ok(parts)
}

fn find(
    headers: &Headers,
    body: &Bytes,
    depth: usize,
) -> Result<Option<Description>, Unacceptable> {
    let disposition = headers.typed_as::<Item<'_>>(HeaderName::ContentDisposition);
    // RFC 3261, 20.11: an unreadable disposition is an unknown one, and handling is required.
    let disposition = disposition.transpose().map_err(|_| Unacceptable::Type)?;
    let refuse = |why| match disposition.is_some_and(|disposition| disposition.is_optional()) {
        true => Ok(None),
        false => Err(why),
    };
    let identity = |name| {
        headers
            .values(name)
            .all(|coding| IDENTITY.iter().any(|own| coding.eq_ignore_ascii_case(own)))
    };
    if !identity(HeaderName::ContentEncoding) || !identity(HeaderName::ContentTransferEncoding) {
        return refuse(Unacceptable::Encoding);
    }
    let session = disposition.is_none_or(|disposition| disposition.is("session"));
    let media_type = match headers.typed::<MediaType<'_>>() {
        None if depth == 0 && body.starts_with(b"v=0") => None,
        None | Some(Err(_)) => return refuse(Unacceptable::Type),
        Some(Ok(media_type)) => Some(media_type),
    };
    if media_type.is_none_or(|media_type| media_type.is("application", "sdp")) && session {
        return Ok(Some(Description {
            content_type: "application/sdp".to_owned(),
            body: body.clone(),
        }));
    }
    match media_type {
        Some(media_type) if media_type.kind.eq_ignore_ascii_case("multipart") => {
            match find_in_parts(media_type, body, depth) {
                Err(why) => refuse(why),
                found => found,
            }
        }
        _ => refuse(Unacceptable::Type),
    }
}

fn find_in_parts(
    media_type: MediaType<'_>,
    body: &Bytes,
    depth: usize,
) -> Result<Option<Description>, Unacceptable> {
    if depth == MAX_DEPTH {
        return Err(Unacceptable::Malformed);
    }
    let boundary = media_type
        .params
        .text("boundary")
        .ok_or(Unacceptable::Malformed)?;
    let parts = parts(body, &boundary)?;
    let find = |part: &Part| find(&part.headers, &part.body, depth + 1);
    if media_type.is("multipart", "alternative") {
        // RFC 2046, 5.1.4: the last is the best.
        let understood = parts
            .iter()
            .rev()
            .find_map(|part| find(part).transpose()?.ok());
        return understood.map(Some).ok_or(Unacceptable::Type);
    }
    if media_type.is("multipart", "related") {
        // RFC 2387, 3.2: the root is named by `start`, or comes first; it refers to the others.
        let start = media_type.params.text("start");
        let id = |part: &&Part| {
            part.headers.get(HeaderName::ContentId) == start.as_ref().map(|id| id.as_bytes())
        };
        let root = start
            .as_ref()
            .and_then(|_| parts.iter().find(id))
            .or_else(|| parts.first());
        return root.map_or(Ok(None), find);
    }
    let mut description = None;
    for part in &parts {
        let found = find(part)?;
        description = description.or(found);
    }
    Ok(description)
}

enum Next {
    /// Another part begins here.
    Part(usize),
    /// That was the closing delimiter.
    End,
}

/// Finds the next delimiter line from `from` on: where the content before it ends, and what follows.
fn delimiter(body: &[u8], from: usize, boundary: &str) -> Option<(usize, Next)> {
    let mut at = from;
    loop {
        let line_end = body[at..]
            .iter()
            .position(|&b| b == b'\n')
            .map(|len| at + len);
        let line = &body[at..line_end.unwrap_or(body.len())];
        if let Some(tail) = line
            .strip_prefix(b"--")
            .and_then(|rest| rest.strip_prefix(boundary.as_bytes()))
        {
            // The line end before a delimiter belongs to the delimiter.
            let end = match &body[from..at] {
                [.., b'\r', b'\n'] => at - 2,
                [.., b'\n'] => at - 1,
                _ => at,
            };
            match (tail.trim_ascii_end(), line_end) {
                (b"", Some(line_end)) => return Some((end, Next::Part(line_end + 1))),
                (tail, _) if tail.starts_with(b"--") => return Some((end, Next::End)),
                // A longer word that begins like the boundary.
                _ => {}
            }
        }
        at = line_end? + 1;
    }
}

/// Most parts of one multipart body: INVITEs carry a description, a location, an identity; no more.
pub const MAX_PARTS: usize = 32;
/// How deep multipart bodies may nest.
const MAX_DEPTH: usize = 4;
/// Encodings that change nothing (RFC 2045, 6.1; RFC 3261, 20.12).
const IDENTITY: [&[u8]; 4] = [b"identity", b"binary", b"8bit", b"7bit"];

#[cfg(test)]
mod tests;
