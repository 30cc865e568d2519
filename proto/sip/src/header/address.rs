//! Addresses with parameters: From, To, Contact, Route, Record-Route, Refer-To, P-Asserted-Identity …
//! (RFC 3261, 20.10, 20.20, 20.30, 20.34, 20.39).

use super::{
    Params, Parse, Shape, Value, first,
    params::{self, skip_space},
    shape::{Part, Parts},
    whole,
};
use crate::{ParseError, Uri, UriRef, uri::Form};
use base::scan::{is_token, quoted_len, run, trim};
use std::borrow::Cow;

/// A display name, a URI and the parameters of the header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NameAddr<'a> {
    /// The display name as written: a quoted string with its quotes, tokens, or nothing.
    pub display: &'a [u8],
    /// The URI.
    pub uri: UriRef<'a>,
    /// tag, q, expires and others.
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// The display name without quotes and escapes, if there is one.
    pub fn display_name(&self) -> Option<Cow<'a, str>> {
        (!self.display.is_empty()).then(|| params::unquote(self.display))
    }

    /// The tag (RFC 3261, 19.3).
    pub fn tag(&self) -> Option<&'a str> {
        self.params.token("tag")
    }

    /// Copies the parts, so that they can be kept or changed.
    pub fn to_address(&self) -> Address {
        Address {
            display: self.display_name().map(Cow::into_owned),
            uri: self.uri.to_uri(),
            params: self
                .params
                .iter()
                .map(|p| (p.name.to_owned(), p.text().map(Cow::into_owned)))
                .collect(),
        }
    }
}

impl<'a> NameAddr<'a> {
    /// Reads the address at the beginning of `value`, and returns where it ends: at the end or at a comma.
    fn read(value: &'a [u8]) -> Result<(Self, usize), ParseError> {
        let start = skip_space(value, 0);
        let (display, uri_at, form) = match value.get(start) {
            Some(b'<') => (&value[..0], start + 1, Form::Whole),
            Some(b'"') => {
                let error = ParseError::syntax("closing quote", value.len());
                let end = start + quoted_len(&value[start + 1..]).ok_or(error)? + 2;
                let bracket = skip_space(value, end);
                if value.get(bracket) != Some(&b'<') {
                    return Err(ParseError::syntax("bracket of an address", bracket));
                }
                (&value[start..end], bracket + 1, Form::Whole)
            }
            _ => {
                // Tokens with white space between them, or a URI without brackets: what ends them decides.
                let end = run(value, start, is_name);
                match value.get(end) {
                    Some(b'<') => (trim(&value[start..end]), end + 1, Form::Whole),
                    _ => (&value[..0], start, Form::Bare),
                }
            }
        };
        let (uri, mut end) = UriRef::read(value, uri_at, form)?;
        if form == Form::Whole {
            if value.get(end) != Some(&b'>') {
                return Err(ParseError::syntax("closing bracket of an address", end));
            }
            end += 1;
        }
        let (params, end) = Params::read(value, end)?;
        Ok((
            Self {
                display,
                uri,
                params,
            },
            end,
        ))
    }
}

impl<'a> Parse<'a> for NameAddr<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        whole(value, Self::read)
    }

    fn parse_first(list: &'a [u8]) -> (Result<Self, ParseError>, usize) {
        first(list, Self::read)
    }

    fn shape(&self, value: &'a [u8]) -> Shape {
        let parts = || {
            Some(Parts::Address {
                display: Part::of(value, self.display)?,
                uri: Part::of(value, self.uri.text())?,
                spans: self.uri.spans(),
                params: Part::of(value, self.params.as_bytes())?,
            })
        };
        Shape(parts().unwrap_or_default())
    }

    fn of_shape(value: &'a [u8], shape: &Shape) -> Option<(Self, usize)> {
        let Parts::Address {
            display,
            uri,
            spans,
            params,
        } = shape.0
        else {
            return None;
        };
        let address = Self {
            display: display.cut(value)?,
            uri: UriRef::from_parts(uri.cut(value)?, spans),
            params: Params::from_checked(params.cut(value)?),
        };
        Some((address, usize::from(params.to)))
    }
}

impl Value for Uri {
    fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_str().as_bytes());
    }
}

impl Value for UriRef<'_> {
    fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text());
    }
}

/// True for what may stand in a display name without quotes.
#[inline]
const fn is_name(byte: u8) -> bool {
    is_token(byte) || matches!(byte, b' ' | b'\t') || byte >= 0x80
}

impl Value for NameAddr<'_> {
    fn write_to(&self, out: &mut Vec<u8>) {
        if !self.display.is_empty() {
            out.extend_from_slice(self.display);
            out.push(b' ');
        }
        out.push(b'<');
        self.uri.write_to(out);
        out.push(b'>');
        self.params.write_to(out);
    }
}

/// The value of a Contact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ContactValue<'a> {
    /// `*`: all bindings, in REGISTER (RFC 3261, 10.2.2).
    All,
    /// An address.
    Address(NameAddr<'a>),
}

impl<'a> Parse<'a> for ContactValue<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        match value {
            b"*" => Ok(Self::All),
            _ => NameAddr::parse(value).map(Self::Address),
        }
    }

    fn parse_first(list: &'a [u8]) -> (Result<Self, ParseError>, usize) {
        match list {
            b"*" => (Ok(Self::All), 1),
            _ => {
                let (address, end) = NameAddr::parse_first(list);
                (address.map(Self::Address), end)
            }
        }
    }

    fn shape(&self, value: &'a [u8]) -> Shape {
        match self {
            Self::All => Shape::default(),
            Self::Address(address) => address.shape(value),
        }
    }

    fn of_shape(value: &'a [u8], shape: &Shape) -> Option<(Self, usize)> {
        let (address, end) = NameAddr::of_shape(value, shape)?;
        Some((Self::Address(address), end))
    }
}

/// RFC 3261, 25.1: 0 to 1 with up to three digits behind the point.
pub(crate) fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 3 {
        return None;
    }
    let whole: u16 = whole.parse().ok()?;
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    let all = whole.checked_mul(1_000)?.checked_add(fraction)?;
    (all <= 1_000).then_some(all)
}

/// An address of our own making, or one that is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// The display name, without quotes.
    pub display: Option<String>,
    /// The URI.
    pub uri: Uri,
    /// Parameters of the header in their order, without quotes.
    pub params: Vec<(String, Option<String>)>,
}

impl Address {
    /// Makes an address of a URI alone.
    pub const fn new(uri: Uri) -> Self {
        Self {
            display: None,
            uri,
            params: Vec::new(),
        }
    }

    /// Adds a display name.
    #[must_use]
    pub fn with_display(mut self, display: impl Into<String>) -> Self {
        self.display = Some(display.into());
        self
    }

    /// Adds a parameter.
    #[must_use]
    pub fn with_param(mut self, name: impl Into<String>, value: Option<&str>) -> Self {
        self.params.push((name.into(), value.map(str::to_owned)));
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn with_tag(self, tag: &str) -> Self {
        self.with_param("tag", Some(tag))
    }
}

impl From<Uri> for Address {
    fn from(uri: Uri) -> Self {
        Self::new(uri)
    }
}

impl Value for Address {
    fn write_to(&self, out: &mut Vec<u8>) {
        if let Some(display) = &self.display {
            params::write_quoted(out, display);
            out.push(b' ');
        }
        out.push(b'<');
        // No URI that parses has a bracket in it.
        self.uri.write_to(out);
        out.push(b'>');
        for (name, value) in &self.params {
            params::write_param(out, name, value.as_deref());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, uri::tests::sip_uri};
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<NameAddr<'_>, ParseError> {
        NameAddr::parse(text.as_bytes())
    }

    fn printed(value: impl Value) -> Vec<u8> {
        let mut out = Vec::new();
        value.write_to(&mut out);
        out
    }

    #[test]
    fn names_brackets_and_parameters() {
        for (text, name, uri, tag) in [
            ("sip:a@h", None, "sip:a@h", None),
            ("sip:a@h;tag=1", None, "sip:a@h", Some("1")),
            ("sip:a@h ; tag = 1", None, "sip:a@h", Some("1")),
            ("<sip:a@h;lr>", None, "sip:a@h;lr", None),
            ("<sip:a@h;tag=0>;TAG=1", None, "sip:a@h;tag=0", Some("1")),
            (
                "Bob Smith <sip:a@h>;tag=1",
                Some("Bob Smith"),
                "sip:a@h",
                Some("1"),
            ),
            ("caller<sip:a@h>", Some("caller"), "sip:a@h", None),
            ("\"\"<sip:a@h>", Some(""), "sip:a@h", None),
            (
                "\"Bell, <Alexander>\" \t<sip:a@h?x=y,z>",
                Some("Bell, <Alexander>"),
                "sip:a@h?x=y,z",
                None,
            ),
            (
                r#""J \"Q\" \\" <sip:a@h>"#,
                Some("J \"Q\" \\"),
                "sip:a@h",
                None,
            ),
            ("\"Jürgen\" <sip:a@h>", Some("Jürgen"), "sip:a@h", None),
            ("Jürgen <sip:a@h>", Some("Jürgen"), "sip:a@h", None),
            ("\"%Z%45\" <sip:a@h>", Some("%Z%45"), "sip:a@h", None),
            (
                "<tel:+1-201-555-0123>;tag=1",
                None,
                "tel:+1-201-555-0123",
                Some("1"),
            ),
            (
                "<http://h/x,y;z>;purpose=icon",
                None,
                "http://h/x,y;z",
                None,
            ),
        ] {
            let address = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(address.display_name().as_deref(), name, "{text}");
            assert_eq!((address.uri.as_str(), address.tag()), (uri, tag), "{text}");
        }
        let latin1 = NameAddr::parse(b"\"J\xfcrgen\" <sip:a@h>;x=\"\xfc\"").unwrap();
        assert_eq!(latin1.display_name().as_deref(), Some("J\u{fffd}rgen"));
        assert_eq!(printed(latin1), b"\"J\xfcrgen\" <sip:a@h>;x=\"\xfc\"");
    }

    /// RFC 4475, 3.1.2: what must not be guessed at.
    #[test]
    fn what_is_no_address() {
        for bad in [
            "",
            "\"Mr. J. User <sip:j.user@example.com>",
            "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
            "sip:a@h,x",
            "<sip:a@h",
            "< sip:a@h>",
            "<sip:a@h >",
            "Bell, Alexander <sip:a@h>",
            "\"Joe\" sip:a@h",
            "<sip:a@h>;;",
            "<sip:a@h>;",
            "<sip:a@h>x",
            "<sip:a@h> x",
            "<>",
            "alan@jasomi.com",
            "*",
            "<sip:a@h>;tag=",
            "<sip:a@h>;tag=\"x",
            "<sip:a@h>;ta g=1",
        ] {
            assert_eq!(
                parse(bad).map_err(|error| error.kind),
                Err(ErrorKind::Syntax),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn star_is_a_contact_only() {
        assert_eq!(ContactValue::parse(b"*"), Ok(ContactValue::All));
        assert!(matches!(
            ContactValue::parse(b"<sip:a@h>;expires=5"),
            Ok(ContactValue::Address(_))
        ));
    }

    #[test]
    fn ours_is_quoted_as_it_must_be() {
        let address = Address::new("sip:a@h".parse().unwrap())
            .with_display("A \"b\"\r\nEvil: \\")
            .with_tag("1")
            .with_param("x", Some("a b"))
            .with_param("bad name", None);
        let out = printed(&address);
        assert_eq!(
            out,
            br#""A \"b\"  Evil: \\" <sip:a@h>;tag=1;x="a b";bad-name"#
        );
        let again = NameAddr::parse(&out).unwrap();
        assert_eq!(again.display_name().as_deref(), Some("A \"b\"  Evil: \\"));
        assert_eq!(again.params.text("x").as_deref(), Some("a b"));
    }

    proptest! {
        #[test]
        fn printing_and_reading_give_the_same(
            display in proptest::option::of("[^\r\n]{0,12}"),
            uri in sip_uri(),
            params in proptest::collection::vec(("[a-z0-9!%]{1,6}", proptest::option::of("[^\r\n]{0,8}")), 0..4),
        ) {
            let address = Address { display, uri: uri.to_uri().unwrap(), params };
            let out = printed(&address);
            let read = NameAddr::parse(&out).unwrap();
            prop_assert_eq!(&read.to_address(), &address);
            prop_assert_eq!(printed(read), out);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(address) = NameAddr::parse(&bytes) {
                let out = printed(address);
                let again = NameAddr::parse(&out).unwrap();
                prop_assert_eq!((again.display, again.uri), (address.display, address.uri));
                prop_assert!(again.params.iter().eq(address.params.iter()));
            }
        }
    }
}
