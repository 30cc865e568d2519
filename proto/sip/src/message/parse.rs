//! Reading messages (RFC 3261, 7 and 25.1).

use super::{
    MAX_BODY, MAX_HEADERS, Message, Request, Response,
    line::{any_line, find_line_end, next_line, plain_line, read_line, skip_line_ends},
};
use crate::{
    ErrorKind, Headers, Method, ParseError, Status, Uri,
    header::{CSeq, ContactValue, HeaderName, MaxForwards, NameAddr, Parse, Shape, Via, misc},
};
use base::scan::{number, run};
use bytes::Bytes;
use bytestring::ByteString;

impl Message {
    /// Reads one whole message: a datagram, or what [`Framer`](super::frame::Framer) cut from a stream.
    ///
    /// This is the strict entry: what it accepts has exactly one From, To, Call-ID and CSeq, at least
    /// one Via, and every Via, Contact, Route, Record-Route, Max-Forwards, Date and Content-Length is well
    /// formed (RFC 4475, 3.1.2 and 3.3.1, 3.3.8, 3.3.9). It tolerates bare LF as line end, empty lines before
    /// the start line, and a missing Max-Forwards. Other headers are read when somebody asks for them.
    ///
    /// Bytes behind the body that Content-Length announces are ignored (18.3).
    ///
    /// # Errors
    ///
    /// What is wrong; [`ParseError::status`] says what to answer, [`salvage`](super::salvage()) to whom.
    pub fn parse(bytes: Bytes) -> Result<Self, ParseError> {
        let start = skip_line_ends(&bytes);
        let (start_line, head) = StartLine::read(&bytes, start)?;
        let mut headers = Headers::received(bytes.clone());
        let (body, length) = read_head(&bytes, head, &mut headers, start_line.method())?;
        let rest = bytes.len() - body;
        let length = length.unwrap_or(rest);
        if length > MAX_BODY {
            return Err(ParseError::new(ErrorKind::BodyTooLarge, "body", body));
        }
        // RFC 3261, 18.3
        if length > rest {
            return Err(ParseError::new(ErrorKind::Truncated, "body", bytes.len()));
        }
        let body = bytes.slice(body..body + length);
        Ok(match start_line {
            StartLine::Request { method, uri } => Self::Request(Request {
                method,
                uri,
                headers,
                body,
            }),
            StartLine::Response { status, reason } => Self::Response(Response {
                status,
                reason,
                headers,
                body,
            }),
        })
    }
}

/// Reads the headers of a part of a multipart body, and says where its content begins.
pub(super) fn part(bytes: &Bytes) -> Result<(Headers, usize), ParseError> {
    let mut headers = Headers::received(bytes.clone());
    let content = read_lines(bytes, 0, &mut headers)?;
    Ok((headers, content))
}

/// Checks a Call-ID: one word without white space (RFC 3261, 25.1, and whatever visible bytes peers send).
pub(super) fn call_id(value: &[u8]) -> Result<&str, ParseError> {
    let syntax = ParseError::syntax("Call-ID", 0);
    if value.is_empty() {
        return Err(ParseError::new(ErrorKind::Missing, "Call-ID", 0));
    }
    if run(value, 0, |b| b > b' ' && b != 0x7f) != value.len() {
        return Err(syntax);
    }
    std::str::from_utf8(value).map_err(|_| syntax)
}

enum StartLine {
    Request { method: Method, uri: Uri },
    Response { status: Status, reason: ByteString },
}

impl StartLine {
    /// Reads the line that begins at `start`, and returns where the next one does.
    fn read(bytes: &Bytes, start: usize) -> Result<(Self, usize), ParseError> {
        let line = find_line_end(bytes, start)?;
        let text = &bytes[start..line.text];
        let first = text
            .iter()
            .position(|&b| b == b' ')
            .ok_or_else(|| ParseError::syntax("start line", start))?;
        let rest = start + first + 1;
        let start_line = match text
            .get(..4)
            .is_some_and(|text| text.eq_ignore_ascii_case(b"SIP/"))
        {
            true => {
                version(&text[..first], start)?;
                Self::status(bytes, rest, line.text)?
            }
            false => {
                let method = Method::from_bytes(&text[..first]);
                let method = method.ok_or_else(|| ParseError::syntax("method", start))?;
                Self::Request {
                    method,
                    uri: request_uri(bytes, rest, line.text)?,
                }
            }
        };
        Ok((start_line, line.next))
    }

    fn status(bytes: &Bytes, at: usize, end: usize) -> Result<Self, ParseError> {
        let rest = &bytes[at..end];
        let digits = rest.iter().position(|&b| b == b' ').unwrap_or(rest.len());
        let code = number(&rest[..digits], 699)
            .map_err(|error| ParseError::number(error, "status code", at))?;
        let status = if digits == 3 {
            Status::new(code as u16)
        } else {
            None
        };
        Ok(Self::Response {
            status: status
                .ok_or_else(|| ParseError::new(ErrorKind::OutOfRange, "status code", at))?,
            // Without a phrase some leave out the space, too.
            reason: phrase(bytes, (at + digits + 1).min(end), end),
        })
    }

    const fn method(&self) -> Option<&Method> {
        match self {
            Self::Request { method, .. } => Some(method),
            Self::Response { .. } => None,
        }
    }
}

/// Reads the Request-URI and the version behind it, which end at `end`.
fn request_uri(bytes: &Bytes, at: usize, end: usize) -> Result<Uri, ParseError> {
    // A version that is not ours comes before everything else: we know no grammar of it.
    let line = &bytes[at..end];
    let last = line
        .iter()
        .rposition(|&b| b == b' ')
        .ok_or_else(|| ParseError::syntax("SIP version", end))?;
    version(&line[last + 1..], at + last + 1)?;
    let (uri, uri_end) = Uri::read(bytes, at)?;
    // RFC 3261, 7.1: single spaces, and none in the URI (RFC 4475, 3.1.2.8 to 3.1.2.10).
    if uri_end != at + last {
        return Err(ParseError::syntax(
            "single space in the start line",
            uri_end,
        ));
    }
    // RFC 3261, 19.1.1: no headers in a Request-URI (RFC 4475, 3.1.2.11).
    match uri.headers().is_empty() {
        true => Ok(uri),
        false => Err(ParseError::syntax("Request-URI without headers", at)),
    }
}

/// RFC 3261, 7.1: the version is compared in any case, and anything but 2.0 is another protocol.
fn version(text: &[u8], at: usize) -> Result<(), ParseError> {
    if text.eq_ignore_ascii_case(b"SIP/2.0") {
        return Ok(());
    }
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let other = text
        .get(..4)
        .is_some_and(|text| text.eq_ignore_ascii_case(b"SIP/"))
        && text[4..]
            .iter()
            .position(|&b| b == b'.')
            .is_some_and(|dot| digits(&text[4..4 + dot]) && digits(&text[5 + dot..]));
    let kind = if other {
        ErrorKind::Version
    } else {
        ErrorKind::Syntax
    };
    Err(ParseError::new(kind, "SIP version", at))
}

/// The reason phrase; bytes that are no UTF-8 are replaced, for people read it.
fn phrase(bytes: &Bytes, from: usize, to: usize) -> ByteString {
    let known = [Status::OK, Status::RINGING, Status::TRYING];
    if let Some(status) = known
        .iter()
        .find(|status| status.phrase().as_bytes() == &bytes[from..to])
    {
        return ByteString::from_static(status.phrase());
    }
    let slice = bytes.slice(from..to);
    ByteString::try_from(slice).unwrap_or_else(|_| {
        String::from_utf8_lossy(&bytes[from..to])
            .into_owned()
            .into()
    })
}

/// Reads all header lines and returns where the body begins.
fn read_lines(bytes: &[u8], mut at: usize, headers: &mut Headers) -> Result<usize, ParseError> {
    while let Some(next) = read_line(bytes, at, headers)? {
        if headers.len() > MAX_HEADERS {
            return Err(ParseError::new(
                ErrorKind::HeadTooLarge,
                "number of headers",
                at,
            ));
        }
        at = next;
    }
    find_line_end(bytes, at).map(|line| line.next)
}

/// Reads all header lines of a message, checks those that every message must have, and returns where the body
/// begins and what Content-Length says.
fn read_head(
    bytes: &[u8],
    mut at: usize,
    headers: &mut Headers,
    method: Option<&Method>,
) -> Result<(usize, Option<usize>), ParseError> {
    let mut checked = Checked::default();
    loop {
        let located = |error| ParseError { at, ..error };
        if headers.len() == MAX_HEADERS && next_line(bytes, at)?.is_some() {
            return Err(ParseError::new(
                ErrorKind::HeadTooLarge,
                "number of headers",
                at,
            ));
        }
        if let Some(line) = plain_line(bytes, at)
            && let Some(name) = line.known
        {
            let value = &bytes[line.value..line.value_end];
            let shape = checked.value(name, value, method).map_err(located)?;
            headers.push_received(line, true, shape);
            at = line.value_end + "\r\n".len();
            continue;
        }
        let Some(line) = any_line(bytes, at)? else {
            break;
        };
        line.push_to(headers);
        if let Some(name) = line.received.known {
            // What was folded is checked as it stands in the map: unfolded.
            let shape = checked.value(name, headers.last().unwrap_or_default(), method);
            headers.set_last_shape(shape.map_err(located)?);
        }
        at = line.next;
    }
    // RFC 3261, 8.1.1; a missing Max-Forwards is RFC 2543's.
    if checked.seen & MANDATORY != MANDATORY {
        let missing = |name: &&(u32, HeaderName)| checked.seen & name.0 == 0;
        let name = MANDATORY_NAMES
            .iter()
            .find(missing)
            .map_or("header", |(_, name)| name.as_str());
        return Err(ParseError::new(ErrorKind::Missing, name, 0));
    }
    Ok((find_line_end(bytes, at)?.next, checked.length))
}

/// What the headers read so far say about the message.
#[derive(Default)]
struct Checked {
    /// Which of the headers below stood there.
    seen: u32,
    length: Option<usize>,
}

impl Checked {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "all other headers are read when somebody asks"
    )]
    fn value(
        &mut self,
        name: HeaderName,
        value: &[u8],
        method: Option<&Method>,
    ) -> Result<Shape, ParseError> {
        let bit = match name {
            HeaderName::Via => {
                self.seen |= VIA;
                return each::<Via<'_>>(value);
            }
            HeaderName::From | HeaderName::To => {
                self.once(if name == HeaderName::From { FROM } else { TO }, name)?;
                return NameAddr::parse(value).map(|address| address.shape(value));
            }
            HeaderName::Contact => return each::<ContactValue<'_>>(value),
            HeaderName::Route | HeaderName::RecordRoute => return each::<NameAddr<'_>>(value),
            HeaderName::CallId => {
                call_id(value)?;
                CALL_ID
            }
            HeaderName::CSeq => {
                cseq(value, method)?;
                CSEQ
            }
            HeaderName::MaxForwards => {
                MaxForwards::parse(value)?;
                MAX_FORWARDS
            }
            HeaderName::Date => {
                misc::Date::parse(value)?;
                return Ok(Shape::default());
            }
            HeaderName::ContentLength => {
                self.content_length(value)?;
                return Ok(Shape::default());
            }
            // A second line makes these ambiguous (RFC 4475, 3.3.8; RFC 3891, 3; RFC 3515, 2.1).
            HeaderName::ContentType => 1 << 6,
            HeaderName::Event => 1 << 7,
            HeaderName::Expires => 1 << 8,
            HeaderName::ReferTo => 1 << 9,
            HeaderName::Replaces => 1 << 10,
            HeaderName::SessionExpires => 1 << 11,
            _ => return Ok(Shape::default()),
        };
        self.once(bit, name)?;
        Ok(Shape::default())
    }

    #[inline(always)]
    fn once(&mut self, bit: u32, name: HeaderName) -> Result<(), ParseError> {
        let again = self.seen & bit != 0;
        self.seen |= bit;
        match again {
            true => Err(ParseError::new(ErrorKind::Repeated, name.as_str(), 0)),
            false => Ok(()),
        }
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), ParseError> {
        let new = number(value, u64::from(u32::MAX))
            .map_err(|e| ParseError::number(e, "Content-Length", 0))?;
        match self.length.replace(new as usize) {
            // RFC 4475, 3.3.9: nobody can know which of two is right.
            Some(old) if old != new as usize => {
                Err(ParseError::new(ErrorKind::Repeated, "Content-Length", 0))
            }
            _ => Ok(()),
        }
    }
}

fn cseq(value: &[u8], method: Option<&Method>) -> Result<(), ParseError> {
    let (_, cseq_method) = CSeq::split(value)?;
    match method {
        Some(method) if method.as_str().as_bytes() != cseq_method => {
            Err(ParseError::new(ErrorKind::Mismatch, "method of CSeq", 0))
        }
        None if Method::from_bytes(cseq_method).is_none() => {
            Err(ParseError::syntax("method of CSeq", 0))
        }
        _ => Ok(()),
    }
}

/// Checks all elements of a list, of which there is at least one, and says what the first is like.
fn each<'a, T: Parse<'a>>(list: &'a [u8]) -> Result<Shape, ParseError> {
    let (first, mut end) = T::parse_first(list);
    let shape = first?.shape(list);
    let mut rest = list;
    while let Some(tail) = rest.get(end + 1..) {
        rest = tail;
        let (element, element_end) = T::parse_first(rest);
        element?;
        end = element_end;
    }
    Ok(shape)
}

const VIA: u32 = 1;
const FROM: u32 = 1 << 1;
const TO: u32 = 1 << 2;
const CALL_ID: u32 = 1 << 3;
const CSEQ: u32 = 1 << 4;
const MAX_FORWARDS: u32 = 1 << 5;
const MANDATORY: u32 = VIA | FROM | TO | CALL_ID | CSEQ;
const MANDATORY_NAMES: [(u32, HeaderName); 5] = [
    (VIA, HeaderName::Via),
    (FROM, HeaderName::From),
    (TO, HeaderName::To),
    (CALL_ID, HeaderName::CallId),
    (CSEQ, HeaderName::CSeq),
];
