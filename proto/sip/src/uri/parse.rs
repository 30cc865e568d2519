//! Reading URIs (RFC 3261, 25.1).

use super::{Scheme, Spans, UriRef};
use crate::ParseError;
use base::{
    Host,
    scan::{number, run},
};
use std::{
    net::{IpAddr, Ipv6Addr},
    str,
};

impl<'a> UriRef<'a> {
    /// Reads `text`, all of it, as a URI.
    ///
    /// `sip`, `sips` and `tel` are checked part by part; of any other scheme only the scheme and that
    /// nothing in it is white space, a control or an angle bracket. Where the grammar is narrower than
    /// what peers send, this is wider: characters outside ASCII (UTF-8) and `#^|` and the like in a
    /// user part or parameter, `_` in a host name.
    ///
    /// # Errors
    ///
    /// What is not a URI.
    pub fn parse(text: &'a [u8]) -> Result<Self, ParseError> {
        let (uri, end) = Self::read(text, 0, Form::Whole)?;
        match end == text.len() {
            true => Ok(uri),
            false => Err(ParseError::syntax("end of URI", end)),
        }
    }

    /// Reads the URI that begins at `start`, and returns where it ends: at the first byte that cannot be part of it.
    pub(crate) fn read(
        text: &'a [u8],
        start: usize,
        form: Form,
    ) -> Result<(Self, usize), ParseError> {
        let reader = Reader { text, start };
        let (mut spans, end) = match &text[start..] {
            [b's', b'i', b'p', b':', ..] => reader.sip(Scheme::Sip, start + 3, form)?,
            _ => {
                let colon = reader
                    .colon()
                    .ok_or_else(|| ParseError::syntax("scheme of a URI", start))?;
                match scheme(&text[start..colon]) {
                    scheme @ (Scheme::Sip | Scheme::Sips) => reader.sip(scheme, colon, form)?,
                    Scheme::Tel => reader.tel(colon, form)?,
                    Scheme::Other => reader.other(colon, form)?,
                }
            }
        };
        let uri = &text[start..end];
        // The spans are `u16`, and wrong if this is not so.
        if uri.len() > usize::from(u16::MAX) {
            return Err(ParseError::syntax("URI below 64 KiB", start));
        }
        if !uri.is_ascii() {
            let valid = str::from_utf8(uri);
            valid.map_err(|error| ParseError::syntax("UTF-8", start + error.valid_up_to()))?;
        }
        if form == Form::Bare {
            // Parameters behind a URI without brackets are the header's.
            spans.params = uri.len() as u16;
            spans.headers = uri.len() as u16;
        }
        Ok((Self { text: uri, spans }, end))
    }
}

/// How a URI stands in its surroundings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Alone, or in angle brackets.
    Whole,
    /// In a header without angle brackets: it ends before `;` and `,`, and must not have `?` (RFC 3261, 20).
    Bare,
}

fn scheme(text: &[u8]) -> Scheme {
    if text.eq_ignore_ascii_case(b"sip") {
        Scheme::Sip
    } else if text.eq_ignore_ascii_case(b"sips") {
        Scheme::Sips
    } else if text.eq_ignore_ascii_case(b"tel") {
        Scheme::Tel
    } else {
        Scheme::Other
    }
}

/// Reads one URI out of a text; positions are of the text, spans of the URI.
#[derive(Clone, Copy)]
struct Reader<'a> {
    text: &'a [u8],
    start: usize,
}

impl Reader<'_> {
    /// Finds the colon behind the scheme.
    fn colon(self) -> Option<usize> {
        let rest = &self.text[self.start..];
        let inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        let len = rest.iter().position(|b| !inner(b))?;
        (rest[0].is_ascii_alphabetic() && rest[len] == b':').then_some(self.start + len)
    }

    /// A position as a span has it.
    const fn span(self, at: usize) -> u16 {
        (at - self.start) as u16
    }

    #[inline(always)]
    fn sip(self, scheme: Scheme, colon: usize, form: Form) -> Result<(Spans, usize), ParseError> {
        let text = self.text;
        let mut host = colon + 1;
        let (mut user_end, mut password_end) = (None, None);
        let user_class = if form == Form::Bare { BARE_USER } else { USER };
        // What may be a user part may be host and parameters as well: the `@` decides.
        let end = check(text, host, user_class, "user part")?;
        match text.get(end) {
            Some(b'@') if end > host => {
                user_end = Some(self.span(end));
                host = end + 1;
            }
            Some(b'@') => return Err(ParseError::syntax("user part", end)),
            Some(b':') if end > host => {
                let password = check(text, end + 1, user_class, "password").unwrap_or(end);
                if text.get(password) == Some(&b'@') {
                    user_end = Some(self.span(end));
                    password_end = Some(self.span(password));
                    host = password + 1;
                }
            }
            _ => {}
        }
        let host_end = read_host(text, host)?;
        let mut params = host_end;
        let mut port = None;
        if text.get(host_end) == Some(&b':') {
            let (digits, value) = read_port(text, host_end + 1, "port")?;
            params = digits;
            port = Some(value);
        }
        let (headers, end) = match form {
            Form::Whole => {
                let headers = uri_params(text, params)?;
                (headers, uri_headers(text, headers)?)
            }
            Form::Bare => (params, no_question(text, params)?),
        };
        let spans = Spans {
            scheme,
            colon: self.span(colon),
            user_end,
            password_end,
            host: self.span(host),
            host_end: self.span(host_end),
            port,
            params: self.span(params),
            headers: self.span(headers),
        };
        Ok((spans, end))
    }

    /// RFC 3966, 3: digits with visual separators, then parameters.
    fn tel(self, colon: usize, form: Form) -> Result<(Spans, usize), ParseError> {
        let rest = &self.text[colon + 1..];
        let separator = |b: &u8| matches!(b, b'+' | b'-' | b'.' | b'(' | b')');
        let digit = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b'*' | b'#');
        let len = rest
            .iter()
            .position(|b| !digit(b) && !separator(b))
            .unwrap_or(rest.len());
        if !rest[..len].iter().any(digit) {
            return Err(ParseError::syntax("telephone number", colon + 1));
        }
        let number_end = colon + 1 + len;
        let end = match form {
            Form::Whole => uri_params(self.text, number_end)?,
            Form::Bare => no_question(self.text, number_end)?,
        };
        let spans = Spans {
            user_end: Some(self.span(number_end)),
            params: self.span(number_end),
            ..self.opaque(Scheme::Tel, colon, end)
        };
        Ok((spans, end))
    }

    fn other(self, colon: usize, form: Form) -> Result<(Spans, usize), ParseError> {
        let rest = &self.text[colon + 1..];
        let bare = form == Form::Bare;
        let inner = |b: u8| {
            b > b' '
                && b != 0x7f
                && !matches!(b, b'<' | b'>' | b'"')
                && !(bare && matches!(b, b';' | b',' | b'?'))
        };
        let len = rest.iter().position(|&b| !inner(b)).unwrap_or(rest.len());
        if len == 0 {
            return Err(ParseError::syntax("URI", colon + 1));
        }
        let mut end = colon + 1 + len;
        if bare {
            end = no_question(self.text, end)?;
        }
        Ok((self.opaque(Scheme::Other, colon, end), end))
    }

    const fn opaque(self, scheme: Scheme, colon: usize, end: usize) -> Spans {
        let end = self.span(end);
        Spans {
            scheme,
            colon: self.span(colon),
            user_end: None,
            password_end: None,
            host: end,
            host_end: end,
            port: None,
            params: end,
            headers: end,
        }
    }
}

/// RFC 3261, 20: a URI with a question mark must be in brackets (RFC 4475, 3.1.2.13).
fn no_question(text: &[u8], end: usize) -> Result<usize, ParseError> {
    match text.get(end) {
        Some(b'?') => Err(ParseError::syntax("brackets around the URI", end)),
        _ => Ok(end),
    }
}

/// Reads a host that begins at `at`, a name, an IPv4 address or an IPv6 address in brackets, and returns where it ends.
#[inline(always)]
pub(crate) fn read_host(text: &[u8], at: usize) -> Result<usize, ParseError> {
    let error = ParseError::syntax("host", at);
    if text.get(at) == Some(&b'[') {
        let rest = &text[at + 1..];
        let len = rest.iter().position(|&b| b == b']').ok_or(error)?;
        let inner = str::from_utf8(&rest[..len]).map_err(|_| error)?;
        return ipv6(inner).map(|_| at + len + 2).ok_or(error);
    }
    let end = run(text, at, |b| CLASS[b as usize] & HOST != 0);
    if end == at { Err(error) } else { Ok(end) }
}

/// Reads a port that begins at `at`, and returns where it ends, and its value.
#[inline(always)]
pub(crate) fn read_port(
    text: &[u8],
    at: usize,
    what: &'static str,
) -> Result<(usize, u16), ParseError> {
    let end = run(text, at, |b| b.is_ascii_digit());
    let value = number(&text[at..end], u64::from(u16::MAX));
    let value = value.map_err(|error| ParseError::number(error, what, at))?;
    Ok((end, value as u16))
}

/// The host that `text`, accepted by [`read_host`], stands for.
pub(super) fn host(text: &str) -> Option<Host> {
    ip(text).map_or_else(|| text.parse().ok(), |ip| Some(Host::Ip(ip)))
}

/// The address that `text` stands for, if it is no name.
pub(super) fn ip(text: &str) -> Option<IpAddr> {
    match text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
    {
        Some(inner) => ipv6(inner).map(IpAddr::V6),
        None => text.parse().ok().map(IpAddr::V4),
    }
}

fn ipv6(text: &str) -> Option<Ipv6Addr> {
    // RFC 5118, 4.10: a slip in the grammar of RFC 3261 made some write a colon too many.
    text.parse()
        .ok()
        .or_else(|| text.replacen(":::", "::", 1).parse().ok())
}

/// Walks over `;name=value` and returns where the parameters end.
#[inline]
fn uri_params(text: &[u8], mut at: usize) -> Result<usize, ParseError> {
    while text.get(at) == Some(&b';') {
        let name = at + 1;
        at = check(text, name, PARAM, "parameter of a URI")?;
        if at == name {
            return Err(ParseError::syntax("parameter of a URI", at));
        }
        if text.get(at) == Some(&b'=') {
            // `;param=` is no parameter by the grammar, but some write it.
            at = check(text, at + 1, PARAM_VALUE, "parameter of a URI")?;
        }
    }
    Ok(at)
}

/// Walks over `?name=value&name=value` and returns where it ends.
#[inline]
fn uri_headers(text: &[u8], mut at: usize) -> Result<usize, ParseError> {
    if text.get(at) != Some(&b'?') {
        return Ok(at);
    }
    loop {
        let name = at + 1;
        at = check(text, name, HEADER, "header of a URI")?;
        if at == name || text.get(at) != Some(&b'=') {
            return Err(ParseError::syntax("header of a URI", at));
        }
        at = check(text, at + 1, HEADER_VALUE, "header of a URI")?;
        if text.get(at) != Some(&b'&') {
            return Ok(at);
        }
    }
}

/// Walks over characters of a class and whole escapes, and returns where they end.
#[inline(always)]
fn check(text: &[u8], mut at: usize, class: u8, what: &'static str) -> Result<usize, ParseError> {
    loop {
        at = run(text, at, |b| CLASS[b as usize] & class != 0);
        match text.get(at..) {
            Some([b'%', high, low, ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                at += 3
            }
            Some([b'%', ..]) => return Err(ParseError::syntax(what, at)),
            _ => return Ok(at),
        }
    }
}

/// True for what the grammar lets stand in a user part: nothing merely tolerated is written.
pub(super) const fn is_user(byte: u8) -> bool {
    is_password(byte) || matches!(byte, b';' | b'?' | b'/')
}

/// True for what the grammar lets stand in a password.
pub(super) const fn is_password(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'&' | b'=' | b'+' | b'$' | b',')
}

/// True for what the grammar lets stand in a parameter.
pub(super) const fn is_param(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'[' | b']' | b'/' | b':' | b'&' | b'+' | b'$')
}

/// True for what the grammar lets stand in a header.
pub(super) const fn is_header(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'[' | b']' | b'/' | b'?' | b':' | b'+' | b'$')
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')'
        )
}

const HOST: u8 = 1;
const USER: u8 = 2;
const PARAM: u8 = 4;
const HEADER: u8 = 8;
/// A user part in a URI without brackets.
const BARE_USER: u8 = 16;
const PARAM_VALUE: u8 = 32;
const HEADER_VALUE: u8 = 64;

const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let b = n as u8;
        let mut class = 0;
        // Not in the grammar, but seen (star codes, names in UTF-8), and without another meaning there.
        let tolerated = b >= 0x80 || matches!(b, b'#' | b'^' | b'`' | b'|' | b'{' | b'}');
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_') {
            class |= HOST;
        }
        if is_user(b) || tolerated || matches!(b, b'[' | b']') {
            class |= USER;
            if !matches!(b, b';' | b',' | b'?') {
                class |= BARE_USER;
            }
        }
        if is_param(b) || tolerated || matches!(b, b',' | b'@') {
            class |= PARAM | PARAM_VALUE;
        }
        if is_header(b) || tolerated || matches!(b, b';' | b',' | b'@') {
            class |= HEADER | HEADER_VALUE;
        }
        if b == b'=' {
            // Base64 that nobody escaped; the first `=` ends the name.
            class |= PARAM_VALUE | HEADER_VALUE;
        }
        table[n] = class;
        n += 1;
    }
    table
};
