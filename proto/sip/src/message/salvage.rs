//! What can be saved of messages that are refused: enough to answer them.

use super::{
    MAX_HEADERS, Response,
    line::{find_line_end, read_line, skip_line_ends},
};
use crate::{
    Headers, Method, Status,
    header::{HeaderName, Via},
};
use bytes::Bytes;

/// What could be read of a message that [`Message::parse`](super::Message::parse) refused.
#[derive(Clone, Debug)]
pub struct Salvaged {
    /// The method; `None` if it is a response or unreadable.
    pub method: Option<Method>,
    /// True for a response, which is never answered.
    pub is_response: bool,
    /// Every line that looks like a header, wrong values and doubled ones included.
    pub headers: Headers,
}

impl Salvaged {
    /// Transport and sent-by of the topmost Via, if these can be read; its parameters only if all are right.
    pub fn via(&self) -> Option<Via<'_>> {
        let value = self.headers.get(HeaderName::Via)?;
        self.headers.via().ok().or_else(|| Via::salvage(value))
    }

    /// Answers the message, if one may be given: it is a request other than ACK, and has a Via to go by.
    ///
    /// From, To, Call-ID and CSeq are returned as they came, if they came at all.
    pub fn response(&self, status: Status, to_tag: &str) -> Option<Response> {
        // RFC 3261, 17.1.1.3: nothing answers ACK.
        if self.is_response
            || self
                .method
                .as_ref()
                .is_none_or(|method| *method == Method::Ack)
        {
            return None;
        }
        self.via()?;
        Some(Response::echo(&self.headers, status, Some(to_tag)))
    }
}

/// Reads what can be read of a message that [`Message::parse`](super::Message::parse) refused.
///
/// `None` if it does not look like SIP at all: no answer is due, and none would be understood.
pub fn salvage(bytes: &Bytes) -> Option<Salvaged> {
    let start = skip_line_ends(bytes);
    let line = find_line_end(bytes, start).ok()?;
    let text = &bytes[start..line.text];
    let is_response = text
        .get(..4)
        .is_some_and(|text| text.eq_ignore_ascii_case(b"SIP/"));
    if !is_response
        && !text
            .windows(4)
            .any(|window| window.eq_ignore_ascii_case(b"SIP/"))
    {
        return None;
    }
    let name = text.split(|&b| b == b' ').next().unwrap_or_default();
    let method = if is_response {
        None
    } else {
        Method::from_bytes(name)
    };
    let mut headers = Headers::received(bytes.clone());
    let mut at = line.next;
    while headers.len() < MAX_HEADERS {
        match read_line(bytes, at, &mut headers) {
            Ok(Some(next)) => at = next,
            Ok(None) => break,
            // A line that is none is left out.
            Err(_) => match find_line_end(bytes, at) {
                Ok(line) => at = line.next,
                Err(_) => break,
            },
        }
    }
    Some(Salvaged {
        method,
        is_response,
        headers,
    })
}
