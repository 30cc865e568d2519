//! Reading messages (RFC 3261, 7 and 25.1).

use super::{MAX_BODY, MAX_HEAD, MAX_HEADERS, Message, Request, Response};
use crate::{
    ErrorKind, Headers, Method, ParseError, Status, Uri,
    header::{CSeq, ContactValue, HeaderName, MaxForwards, NameAddr, Parse, Via, misc},
    headers::{Elements, ReceivedLine},
};
use base::scan::{is_token, number};
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
    /// What is wrong; [`ParseError::status`] says what to answer, [`salvage`] to whom.
    pub fn parse(bytes: Bytes) -> Result<Self, ParseError> {
        let start = skip_line_ends(&bytes);
        let line_end = find_line_end(&bytes, start)?;
        let start_line = StartLine::read(&bytes, start, line_end.text)?;
        let mut headers = Headers::received(bytes.clone());
        let body = read_lines(&bytes, line_end.next, &mut headers)?;
        let length = check(&headers, start_line.method())?;
        let rest = bytes.len() - body;
        if length.unwrap_or(rest) > MAX_BODY {
            return Err(ParseError::new(ErrorKind::BodyTooLarge, "body", body));
        }
        // RFC 3261, 18.3
        if length.is_some_and(|length| length > rest) {
            return Err(ParseError::new(ErrorKind::Truncated, "body", bytes.len()));
        }
        let body = bytes.slice(body..body + length.unwrap_or(rest));
        Ok(match start_line {
            StartLine::Request {
                method,
                uri: (from, to),
            } => Self::Request(Request {
                method,
                uri: request_uri(&bytes, from, to)?,
                headers,
                body,
            }),
            StartLine::Response {
                status,
                reason: (from, to),
            } => Self::Response(Response {
                status,
                reason: phrase(&bytes, from, to),
                headers,
                body,
            }),
        })
    }
}

/// RFC 3261, 19.1.1: no headers in a Request-URI (RFC 4475, 3.1.2.11).
fn request_uri(bytes: &Bytes, from: usize, to: usize) -> Result<Uri, ParseError> {
    let uri = Uri::from_bytes(bytes.slice(from..to)).map_err(|error| error.shifted(from))?;
    match uri.headers().is_empty() {
        true => Ok(uri),
        false => Err(ParseError::syntax("Request-URI without headers", from)),
    }
}

/// What could be read of a message that [`Message::parse`] refused.
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

/// Reads what can be read of a message that [`Message::parse`] refused.
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
    if !value.iter().all(|&b| b > b' ' && b != 0x7f) {
        return Err(syntax);
    }
    std::str::from_utf8(value).map_err(|_| syntax)
}

enum StartLine {
    Request {
        method: Method,
        uri: (usize, usize),
    },
    Response {
        status: Status,
        reason: (usize, usize),
    },
}

impl StartLine {
    fn read(bytes: &[u8], start: usize, end: usize) -> Result<Self, ParseError> {
        let line = &bytes[start..end];
        if let Some(rest) = line.strip_prefix(b"SIP/2.0 ") {
            return Self::status(rest, end);
        }
        let space = |from: usize| {
            line[from..]
                .iter()
                .position(|&b| b == b' ')
                .map(|len| from + len)
        };
        let first = space(0).ok_or_else(|| ParseError::syntax("start line", start))?;
        if line
            .get(..4)
            .is_some_and(|text| text.eq_ignore_ascii_case(b"SIP/"))
        {
            version(&line[..first], start)?;
            return Self::status(&line[first + 1..], end);
        }
        let method = Method::from_bytes(&line[..first])
            .ok_or_else(|| ParseError::syntax("method", start))?;
        // RFC 3261, 7.1: single spaces, and none in the URI (RFC 4475, 3.1.2.8 to 3.1.2.10).
        let last = line.iter().rposition(|&b| b == b' ').unwrap_or(first);
        if last == first {
            return Err(ParseError::syntax("SIP version", end));
        }
        version(&line[last + 1..], start + last + 1)?;
        let uri = &line[first + 1..last];
        if let Some(at) = uri.iter().position(|&b| matches!(b, b' ' | b'\t')) {
            return Err(ParseError::syntax(
                "single space in the start line",
                start + first + 1 + at,
            ));
        }
        Ok(Self::Request {
            method,
            uri: (start + first + 1, start + last),
        })
    }

    /// `rest` is the line behind the version and ends at `end`.
    fn status(rest: &[u8], end: usize) -> Result<Self, ParseError> {
        let at = end - rest.len();
        let digits = rest.iter().position(|&b| b == b' ').unwrap_or(rest.len());
        let code = number(&rest[..digits], 699)
            .map_err(|error| ParseError::number(error, "status code", at))?;
        let status = match digits {
            3 => Status::new(code as u16),
            _ => None,
        };
        Ok(Self::Response {
            status: status
                .ok_or_else(|| ParseError::new(ErrorKind::OutOfRange, "status code", at))?,
            // Without a phrase some leave out the space, too.
            reason: ((at + digits + 1).min(end), end),
        })
    }

    const fn method(&self) -> Option<&Method> {
        match self {
            Self::Request { method, .. } => Some(method),
            Self::Response { .. } => None,
        }
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

/// Reads one header line with its continuations into `headers`; `None` at the empty line.
fn read_line(
    bytes: &[u8],
    start: usize,
    headers: &mut Headers,
) -> Result<Option<usize>, ParseError> {
    let Some(line) = next_line(bytes, start)? else {
        return Ok(None);
    };
    match line.form {
        Form::Folded => headers.push_unfolded(line.received),
        Form::Clean => headers.push_received(line.received, true),
        Form::Other => headers.push_received(line.received, false),
    }
    Ok(Some(line.next))
}

/// One header line with its continuations.
pub(super) struct Line {
    pub(super) received: ReceivedLine,
    form: Form,
    /// Where the next line begins.
    pub(super) next: usize,
}

enum Form {
    /// `Name: value CRLF`, as it is printed.
    Clean,
    /// With other white space.
    Other,
    /// Over several lines.
    Folded,
}

/// Finds name and value of the line that begins at `start`; `None` at the empty line.
#[inline]
pub(super) fn next_line(bytes: &[u8], start: usize) -> Result<Option<Line>, ParseError> {
    let mut at = start;
    while bytes.get(at).is_some_and(|&b| is_token(b)) {
        at += 1;
    }
    let name = &bytes[start..at];
    if name.is_empty() && matches!(bytes.get(at), Some(b'\r' | b'\n') | None) {
        return find_line_end(bytes, start).map(|_| None);
    }
    let tight = bytes.get(at) == Some(&b':');
    at = skip_space(bytes, at);
    if name.is_empty() || name.len() > usize::from(u16::MAX) || bytes.get(at) != Some(&b':') {
        return Err(ParseError::syntax("header", at));
    }
    let value = skip_space(bytes, at + 1);
    let mut line = find_line_end(bytes, value)?;
    // RFC 3261, 7.3.1: a line that begins with white space continues the one before.
    let folded = matches!(bytes.get(line.next), Some(b' ' | b'\t'));
    while matches!(bytes.get(line.next), Some(b' ' | b'\t')) {
        line = find_line_end(bytes, line.next)?;
    }
    let mut value_end = line.text;
    while value_end > value && matches!(bytes[value_end - 1], b' ' | b'\t') {
        value_end -= 1;
    }
    let clean = tight && value == at + 2 && bytes[at + 1] == b' ' && value_end + 2 == line.next;
    Ok(Some(Line {
        received: ReceivedLine {
            start,
            name_len: name.len(),
            known: HeaderName::from_bytes(name),
            value,
            value_end,
        },
        form: match (folded, clean) {
            (true, _) => Form::Folded,
            (false, true) => Form::Clean,
            (false, false) => Form::Other,
        },
        next: line.next,
    }))
}

/// Where a line ends.
#[derive(Clone, Copy)]
pub(super) struct LineEnd {
    /// Behind the last byte of its text.
    pub(super) text: usize,
    /// At the first byte of the next line.
    pub(super) next: usize,
}

/// Finds the end of the line; a bare LF is one, a bare CR is an error.
#[inline]
pub(super) fn find_line_end(bytes: &[u8], from: usize) -> Result<LineEnd, ParseError> {
    let limit = bytes.len().min(MAX_HEAD);
    let head = &bytes[..limit];
    let missing = || match limit < bytes.len() {
        true => ParseError::new(ErrorKind::HeadTooLarge, "length of the headers", limit),
        false => ParseError::syntax("end of line", limit),
    };
    let at = find_cr_or_lf(head, from).ok_or_else(missing)?;
    match (head[at], head.get(at + 1)) {
        (b'\n', _) => Ok(LineEnd {
            text: at,
            next: at + 1,
        }),
        (_, Some(b'\n')) => Ok(LineEnd {
            text: at,
            next: at + 2,
        }),
        (_, None) => Err(missing()),
        _ => Err(ParseError::syntax("LF behind CR", at + 1)),
    }
}

/// Finds the first CR or LF, eight bytes at a time.
#[inline]
fn find_cr_or_lf(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        // Makes 0x0a and 0x0d (and 0x08, 0x09, 0x0b, 0x0c) less than 6, which a subtraction finds; only
        // bytes above a hit can be wrong hits.
        let moved = word ^ (ONES * 0x08);
        let hits = moved.wrapping_sub(ONES * 0x06) & !moved & (ONES * 0x80);
        if hits == 0 {
            at += 8;
            continue;
        }
        at += hits.trailing_zeros() as usize / 8;
        match bytes[at] {
            b'\r' | b'\n' => return Some(at),
            _ => at += 1,
        }
    }
    let tail = bytes.get(at..)?;
    tail.iter()
        .position(|&b| matches!(b, b'\r' | b'\n'))
        .map(|len| at + len)
}

fn skip_line_ends(bytes: &[u8]) -> usize {
    // RFC 3261, 7.5
    bytes
        .iter()
        .position(|&b| !matches!(b, b'\r' | b'\n'))
        .unwrap_or(bytes.len())
}

#[inline]
fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Checks what every message must have, and returns its Content-Length.
fn check(headers: &Headers, method: Option<&Method>) -> Result<Option<usize>, ParseError> {
    let mut seen = 0u128;
    let mut length = None;
    for nth in 0..headers.len() {
        let (Some(name), value) = headers.nth(nth) else {
            continue;
        };
        let bit = 1u128 << (name as u8);
        if seen & bit != 0 && is_single(name) {
            return Err(ParseError::new(
                ErrorKind::Repeated,
                name.as_str(),
                headers.line_start(nth),
            ));
        }
        seen |= bit;
        check_value(name, value, method, &mut length).map_err(|error| ParseError {
            at: headers.line_start(nth),
            ..error
        })?;
    }
    // RFC 3261, 8.1.1; a missing Max-Forwards is RFC 2543's.
    for name in [
        HeaderName::Via,
        HeaderName::From,
        HeaderName::To,
        HeaderName::CallId,
        HeaderName::CSeq,
    ] {
        if seen & (1u128 << (name as u8)) == 0 {
            return Err(ParseError::new(ErrorKind::Missing, name.as_str(), 0));
        }
    }
    Ok(length)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all other headers are read when somebody asks"
)]
fn check_value(
    name: HeaderName,
    value: &[u8],
    method: Option<&Method>,
    length: &mut Option<usize>,
) -> Result<(), ParseError> {
    match name {
        HeaderName::Via => each::<Via<'_>>(value),
        HeaderName::From | HeaderName::To => NameAddr::parse(value).map(drop),
        HeaderName::Contact => each::<ContactValue<'_>>(value),
        HeaderName::Route | HeaderName::RecordRoute => each::<NameAddr<'_>>(value),
        HeaderName::CallId => call_id(value).map(drop),
        HeaderName::MaxForwards => MaxForwards::parse(value).map(drop),
        HeaderName::Date => misc::Date::parse(value).map(drop),
        HeaderName::CSeq => {
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
        HeaderName::ContentLength => {
            let new = number(value, u64::from(u32::MAX))
                .map_err(|e| ParseError::number(e, "Content-Length", 0))?;
            match length.replace(new as usize) {
                // RFC 4475, 3.3.9: nobody can know which of two is right.
                Some(old) if old != new as usize => {
                    Err(ParseError::new(ErrorKind::Repeated, "Content-Length", 0))
                }
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn each<'a, T: Parse<'a>>(value: &'a [u8]) -> Result<(), ParseError> {
    let mut elements = Elements::new(value, true).peekable();
    if elements.peek().is_none() {
        return Err(ParseError::syntax("value", 0));
    }
    elements.try_for_each(|element| T::parse(element).map(drop))
}

/// True for headers that a second line makes ambiguous (RFC 4475, 3.3.8; RFC 3891, 3; RFC 3515, 2.1).
const fn is_single(name: HeaderName) -> bool {
    matches!(
        name,
        HeaderName::From
            | HeaderName::To
            | HeaderName::CallId
            | HeaderName::CSeq
            | HeaderName::MaxForwards
            | HeaderName::ContentType
            | HeaderName::Event
            | HeaderName::Expires
            | HeaderName::Replaces
            | HeaderName::ReferTo
            | HeaderName::SessionExpires
    )
}

const ONES: u64 = 0x0101_0101_0101_0101;
