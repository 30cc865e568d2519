//! Parameters and headers of URIs.

use super::{parse, unescape};
use std::borrow::Cow;

/// The parameters of a URI, still one text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UriParams<'a>(&'a str);

/// The headers of a URI, still one text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UriHeaders<'a>(&'a str);

/// One parameter or header of a URI, with its escapes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UriParam<'a> {
    /// Its name.
    pub name: &'a str,
    /// What stands behind `=`.
    pub value: Option<&'a str>,
}

impl<'a> UriParam<'a> {
    /// The value without escapes; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        self.value.map(unescape)
    }

    fn split(text: &'a str) -> Self {
        match text.split_once('=') {
            Some((name, value)) => Self {
                name,
                value: Some(value),
            },
            None => Self {
                name: text,
                value: None,
            },
        }
    }
}

impl<'a> UriParams<'a> {
    /// `text` is empty or begins with `;`.
    pub(super) const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// Walks the parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = UriParam<'a>> + use<'a> {
        self.0.split(';').skip(1).map(UriParam::split)
    }

    /// Finds a parameter by name, in any case and with or without escapes.
    pub fn get(&self, name: &str) -> Option<UriParam<'a>> {
        self.iter()
            .find(|param| same(param.name, name, Place::Param))
    }

    /// True if the parameter is there, with a value or without (`;lr`).
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// True if there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> UriHeaders<'a> {
    /// `text` is empty or begins with `?`.
    pub(super) const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// Walks the headers in order.
    pub fn iter(&self) -> impl Iterator<Item = UriParam<'a>> + use<'a> {
        let text = self.0.get(1..).filter(|text| !text.is_empty());
        text.into_iter()
            .flat_map(|text| text.split('&'))
            .map(UriParam::split)
    }

    /// Finds a header by name, in any case and with or without escapes.
    pub fn get(&self, name: &str) -> Option<UriParam<'a>> {
        self.iter()
            .find(|header| same(header.name, name, Place::HeaderName))
    }

    /// True if there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Walks the bytes that escapes stand for, and says of each whether it was escaped.
pub(super) fn unescaped(text: &[u8]) -> impl Iterator<Item = (u8, bool)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if let [b'%', high, low, tail @ ..] = rest
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            rest = tail;
            return Some((high << 4 | low, true));
        }
        let (&byte, tail) = rest.split_first()?;
        rest = tail;
        Some((byte, false))
    })
}

/// A part of a URI: which characters stand there unescaped, and whether their case counts.
#[derive(Clone, Copy)]
pub(super) enum Place {
    User,
    Password,
    /// Names and values.
    Param,
    HeaderName,
    HeaderValue,
}

impl Place {
    const fn any_case(self) -> bool {
        matches!(self, Self::Param | Self::HeaderName)
    }

    const fn allows(self, byte: u8) -> bool {
        match self {
            Self::User => parse::is_user(byte),
            Self::Password => parse::is_password(byte),
            Self::Param => parse::is_param(byte),
            Self::HeaderName | Self::HeaderValue => parse::is_header(byte),
        }
    }
}

/// Compares two texts, escapes and what they stand for being equal (RFC 3261, 19.1.4).
pub(super) fn same(a: &str, b: &str, place: Place) -> bool {
    let fold = |(byte, escaped): (u8, bool)| {
        // "Characters other than those in the reserved set": `%3B` is not `;`. But a character that may not
        // stand there unescaped, and does, can only mean the escaped one.
        let apart = is_reserved(byte) && (escaped || !place.allows(byte));
        (
            if place.any_case() {
                byte.to_ascii_lowercase()
            } else {
                byte
            },
            apart,
        )
    };
    unescaped(a.as_bytes())
        .map(fold)
        .eq(unescaped(b.as_bytes()).map(fold))
}

/// RFC 2396, 2.2, to which RFC 3261, 19.1.4 refers.
const fn is_reserved(byte: u8) -> bool {
    matches!(
        byte,
        b';' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'+' | b'$' | b','
    )
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
