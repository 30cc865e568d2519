//! Parameters: `;name=value;name`, as most headers and URIs carry them.

use super::Value;
use crate::ParseError;
use base::scan::{Cursor, is_token, quoted_len, run};
use std::{borrow::Cow, str};

/// The parameters of a header value, checked and still one text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Params<'a> {
    /// From the first `;` on, or empty.
    text: &'a [u8],
}

/// One parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Param<'a> {
    /// Its name, as written; names are compared in any case.
    pub name: &'a str,
    /// What stands behind `=`, quotes and escapes included.
    pub value: Option<&'a [u8]>,
}

impl<'a> Param<'a> {
    /// The value as text, without quotes and escapes; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        self.value.map(unquote)
    }
}

impl<'a> Params<'a> {
    /// Reads parameters up to the end of `text`, which is empty or begins with `;`.
    ///
    /// White space may stand around `;` and `=`. Unquoted values may have any visible character but
    /// separators of the surrounding grammar: peers send `/`, `=` and `:` there.
    ///
    /// # Errors
    ///
    /// An empty parameter (RFC 4475, 3.1.2.1), an open quote, a byte that may not stand there.
    pub fn parse(text: &'a [u8]) -> Result<Self, ParseError> {
        let (params, end) = Self::read(text, 0)?;
        match end == text.len() {
            true => Ok(params),
            false => Err(ParseError::syntax("parameter", end)),
        }
    }

    /// Reads the parameters that begin at `start`, if any, and returns where they end: at the end or at a comma.
    pub(super) fn read(text: &'a [u8], start: usize) -> Result<(Self, usize), ParseError> {
        let start = skip_space(text, start);
        let mut at = start;
        loop {
            match text.get(at) {
                Some(b';') => at = skip_space(text, at + 1),
                None | Some(b',') => {
                    return Ok((
                        Self {
                            text: &text[start..at],
                        },
                        at,
                    ));
                }
                Some(b' ' | b'\t') => {
                    at += 1;
                    continue;
                }
                Some(_) => return Err(ParseError::syntax("parameter", at)),
            }
            let name = at;
            at = run(text, at, is_token);
            if at == name {
                return Err(ParseError::syntax("name of a parameter", at));
            }
            at = skip_space(text, at);
            if text.get(at) != Some(&b'=') {
                continue;
            }
            at = skip_space(text, at + 1);
            let value = at;
            if text.get(at) == Some(&b'"') {
                let tail = &text[at + 1..];
                let error = ParseError::syntax("closing quote", text.len());
                at += quoted_len(tail).ok_or(error)? + 2;
            } else {
                at = run(text, at, is_plain);
                if at == value {
                    return Err(ParseError::syntax("value of a parameter", at));
                }
            }
        }
    }

    /// `text` is what [`Params::as_bytes`] gave of checked parameters.
    pub(super) const fn from_checked(text: &'a [u8]) -> Self {
        Self { text }
    }

    pub(super) const fn as_bytes(&self) -> &'a [u8] {
        self.text
    }

    /// Walks the parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        let mut cursor = Cursor::new(self.text);
        std::iter::from_fn(move || {
            cursor.skip_space();
            if !cursor.eat(b';') {
                return None;
            }
            cursor.skip_space();
            // A token is ASCII.
            let name = str::from_utf8(cursor.take_while(is_token)).unwrap_or_default();
            cursor.skip_space();
            let mut value = None;
            if cursor.eat(b'=') {
                cursor.skip_space();
                value = Some(match cursor.peek() {
                    Some(b'"') => {
                        let rest = cursor.rest();
                        let len = cursor.quoted().map_or(0, |inner| inner.len() + 2);
                        &rest[..len]
                    }
                    _ => cursor.take_while(is_plain),
                });
            }
            Some(Param { name, value })
        })
    }

    /// Finds a parameter by name, in any case; the first if there are several.
    pub fn get(&self, name: &str) -> Option<Param<'a>> {
        self.iter()
            .find(|param| param.name.eq_ignore_ascii_case(name))
    }

    /// Returns the unquoted value of a parameter that has one; for tokens, hosts and numbers.
    pub fn token(&self, name: &str) -> Option<&'a str> {
        self.get(name)?
            .value
            .and_then(|value| str::from_utf8(value).ok())
    }

    /// Returns the value of a parameter as text, without quotes and escapes.
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name)?.text()
    }

    /// True if the parameter is there, with a value or without.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl Value for Params<'_> {
    fn write_to(&self, out: &mut Vec<u8>) {
        for Param { name, value } in self.iter() {
            out.push(b';');
            out.extend_from_slice(name.as_bytes());
            if let Some(value) = value {
                out.push(b'=');
                out.extend_from_slice(value);
            }
        }
    }
}

/// Takes quotes and escapes off; what is not quoted is returned as it is.
pub fn unquote(value: &[u8]) -> Cow<'_, str> {
    let [b'"', inner @ .., b'"'] = value else {
        return String::from_utf8_lossy(value);
    };
    if !inner.contains(&b'\\') {
        return String::from_utf8_lossy(inner);
    }
    let mut plain = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => plain.extend(bytes.next()),
            _ => plain.push(byte),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&plain).into_owned())
}

/// Appends `text` in quotes, with what needs it escaped.
pub fn write_quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for &byte in text.as_bytes() {
        // RFC 3261, 25.1: no line ends, escaped or not.
        let byte = if matches!(byte, b'\r' | b'\n') {
            b' '
        } else {
            byte
        };
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Appends `;name` or `;name=value`, quoted if the value is no token, host or number.
pub fn write_param(out: &mut Vec<u8>, name: &str, value: Option<&str>) {
    out.push(b';');
    let token = |byte: u8| if is_token(byte) { byte } else { b'-' };
    out.extend(name.bytes().map(token));
    if let Some(value) = value {
        out.push(b'=');
        let plain = |byte: u8| is_token(byte) || matches!(byte, b':' | b'[' | b']');
        if !value.is_empty() && value.bytes().all(plain) {
            out.extend_from_slice(value.as_bytes());
        } else {
            write_quoted(out, value);
        }
    }
}

/// Appends `;name=tag`. A tag is compared byte by byte (RFC 3261, 19.3), so that it goes back as its
/// owner wrote it, token or not.
pub(super) fn write_tag(out: &mut Vec<u8>, name: &str, tag: &str) {
    // Whatever a peer has in its quotes, but no end of the line, and nothing behind them.
    let inner = tag.strip_prefix('"').map(str::as_bytes);
    let is_whole = |inner: &[u8]| quoted_len(inner).is_some_and(|len| len + 1 == inner.len());
    let is_quoted = inner.is_some_and(is_whole);
    let is_kept = is_quoted && !tag.contains(['\r', '\n']);
    if is_kept || (!tag.is_empty() && tag.bytes().all(is_plain)) {
        out.push(b';');
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(tag.as_bytes());
    } else {
        write_param(out, name, Some(tag));
    }
}

/// True for what may stand in an unquoted value.
#[inline]
const fn is_plain(byte: u8) -> bool {
    PLAIN[byte as usize]
}

#[inline(always)]
pub(super) fn skip_space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        table[byte] = !matches!(byte as u8, b';' | b',' | b'"' | b'<' | b'>');
        byte += 1;
    }
    table
};
