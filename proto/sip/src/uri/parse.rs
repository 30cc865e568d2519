//! Reading URIs (RFC 3261, 25.1).

use super::{Scheme, Spans, UriRef};
use crate::ParseError;
use base::{
    Host,
    scan::{Cursor, number},
};
use std::{net::Ipv6Addr, str};

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
        if text.len() > usize::from(u16::MAX) {
            return Err(ParseError::syntax("URI below 64 KiB", 0));
        }
        let colon = scheme_len(text).ok_or_else(|| ParseError::syntax("scheme of a URI", 0))?;
        let scheme = scheme(&text[..colon]);
        let spans = match scheme {
            Scheme::Sip | Scheme::Sips => sip(text, scheme, colon)?,
            Scheme::Tel => tel(text, colon)?,
            Scheme::Other => other(text, colon)?,
        };
        let text = str::from_utf8(text)
            .map_err(|error| ParseError::syntax("UTF-8", error.valid_up_to()))?;
        Ok(Self { text, spans })
    }
}

fn scheme_len(text: &[u8]) -> Option<usize> {
    let first = text.first()?;
    let rest = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let len = text.iter().position(|b| !rest(b))?;
    (first.is_ascii_alphabetic() && text[len] == b':').then_some(len)
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

fn sip(text: &[u8], scheme: Scheme, colon: usize) -> Result<Spans, ParseError> {
    let mut at = colon + 1;
    let (mut user_end, mut password_end) = (None, None);
    // A user part may have `;` and `?`, so the `@` is looked for before anything else.
    if let Some(len) = text[at..].iter().position(|&b| b == b'@') {
        let at_sign = at + len;
        let end = check(text, at, USER, "user part")?;
        if end == at {
            return Err(ParseError::syntax("user part", at));
        }
        user_end = Some(end as u16);
        if text[end] == b':' {
            let end = check(text, end + 1, USER, "password")?;
            password_end = Some(end as u16);
        }
        if usize::from(password_end.or(user_end).unwrap_or_default()) != at_sign {
            return Err(ParseError::syntax("user part", end));
        }
        at = at_sign + 1;
    }
    let mut cursor = Cursor::new(text);
    cursor.take(at);
    read_host(&mut cursor)?;
    let host_end = cursor.at();
    let mut port = None;
    if cursor.eat(b':') {
        let start = cursor.at();
        let digits = cursor.take_while(|b| b.is_ascii_digit());
        let value = number(digits, u64::from(u16::MAX))
            .map_err(|error| ParseError::number(error, "port", start))?;
        port = Some(value as u16);
    }
    let params = cursor.at();
    let headers = uri_params(text, params)?;
    let end = uri_headers(text, headers)?;
    if end != text.len() {
        return Err(ParseError::syntax("end of URI", end));
    }
    Ok(Spans {
        scheme,
        colon: colon as u16,
        user_end,
        password_end,
        host: at as u16,
        host_end: host_end as u16,
        port,
        params: params as u16,
        headers: headers as u16,
    })
}

/// RFC 3966, 3: digits with visual separators, then parameters.
fn tel(text: &[u8], colon: usize) -> Result<Spans, ParseError> {
    let number = &text[colon + 1..];
    let digit = |b: &u8| {
        b.is_ascii_hexdigit() || matches!(b, b'+' | b'*' | b'#' | b'-' | b'.' | b'(' | b')')
    };
    let len = number
        .iter()
        .position(|b| !digit(b))
        .unwrap_or(number.len());
    let end = colon + 1 + len;
    if !number[..len]
        .iter()
        .any(|b| b.is_ascii_hexdigit() || matches!(b, b'*' | b'#'))
    {
        return Err(ParseError::syntax("telephone number", colon + 1));
    }
    let headers = uri_params(text, end)?;
    if headers != text.len() {
        return Err(ParseError::syntax("end of URI", headers));
    }
    Ok(Spans {
        user_end: Some(end as u16),
        params: end as u16,
        ..opaque(text, Scheme::Tel, colon)
    })
}

fn other(text: &[u8], colon: usize) -> Result<Spans, ParseError> {
    let visible = |b: &u8| *b > b' ' && *b != 0x7f && !matches!(b, b'<' | b'>' | b'"');
    match text[colon + 1..].iter().position(|b| !visible(b)) {
        Some(len) => Err(ParseError::syntax("URI", colon + 1 + len)),
        None if colon + 1 == text.len() => Err(ParseError::syntax("URI", text.len())),
        None => Ok(opaque(text, Scheme::Other, colon)),
    }
}

const fn opaque(text: &[u8], scheme: Scheme, colon: usize) -> Spans {
    let end = text.len() as u16;
    Spans {
        scheme,
        colon: colon as u16,
        user_end: None,
        password_end: None,
        host: end,
        host_end: end,
        port: None,
        params: end,
        headers: end,
    }
}

/// Reads a host: a name, an IPv4 address, or an IPv6 address in brackets.
pub(crate) fn read_host<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, ParseError> {
    let (at, rest) = (cursor.at(), cursor.rest());
    let error = ParseError::syntax("host", at);
    let len = if rest.first() == Some(&b'[') {
        let len = rest.iter().position(|&b| b == b']').ok_or(error)? + 1;
        let inner = str::from_utf8(&rest[1..len - 1]).map_err(|_| error)?;
        ipv6(inner).ok_or(error)?;
        len
    } else {
        rest.iter()
            .position(|&b| CLASS[b as usize] & HOST == 0)
            .unwrap_or(rest.len())
    };
    if len == 0 {
        return Err(error);
    }
    cursor.take(len);
    // Both kinds are ASCII.
    str::from_utf8(&rest[..len]).map_err(|_| error)
}

/// The host that `text`, accepted by [`read_host`], stands for.
pub(super) fn host(text: &str) -> Option<Host> {
    match text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
    {
        Some(inner) => ipv6(inner).map(|ip| Host::Ip(ip.into())),
        None => text.parse().ok(),
    }
}

fn ipv6(text: &str) -> Option<Ipv6Addr> {
    // RFC 5118, 4.10: a slip in the grammar of RFC 3261 made some write a colon too many.
    text.parse()
        .ok()
        .or_else(|| text.replacen(":::", "::", 1).parse().ok())
}

/// Walks over `;name=value` and returns where the parameters end.
fn uri_params(text: &[u8], mut at: usize) -> Result<usize, ParseError> {
    while text.get(at) == Some(&b';') {
        let name = at + 1;
        at = check(text, name, PARAM, "parameter of a URI")?;
        if at == name {
            return Err(ParseError::syntax("parameter of a URI", at));
        }
        if text.get(at) == Some(&b'=') {
            // `;param=` is no parameter by the grammar, but some write it.
            at = check(text, at + 1, PARAM, "parameter of a URI")?;
        }
    }
    Ok(at)
}

/// Walks over `?name=value&name=value` and returns where it ends.
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
        at = check(text, at + 1, HEADER, "header of a URI")?;
        if text.get(at) != Some(&b'&') {
            return Ok(at);
        }
    }
}

/// Walks over characters of a class and whole escapes, and returns where they end.
fn check(text: &[u8], mut at: usize, class: u8, what: &'static str) -> Result<usize, ParseError> {
    while let Some(&byte) = text.get(at) {
        if CLASS[byte as usize] & class != 0 {
            at += 1;
        } else if byte == b'%' {
            match text.get(at + 1..at + 3) {
                Some([high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => at += 3,
                _ => return Err(ParseError::syntax(what, at)),
            }
        } else {
            break;
        }
    }
    Ok(at)
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
        }
        if is_param(b) || tolerated || matches!(b, b',' | b'@') {
            class |= PARAM;
        }
        if is_header(b) || tolerated || matches!(b, b';' | b',' | b'@') {
            class |= HEADER;
        }
        table[n] = class;
        n += 1;
    }
    table
};
