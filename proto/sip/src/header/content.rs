//! What a body is, and what may come back: Content-Type, Content-Disposition, Accept
//! (RFC 3261, 20.1, 20.11, 20.15).

use super::{Header, HeaderName, Params, Parse, Value};
use crate::ParseError;
use base::scan::Cursor;
use std::str;

/// A media type or range with parameters: Content-Type, Accept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MediaType<'a> {
    /// `application`, in any case; `*` in a range.
    pub kind: &'a str,
    /// `sdp`, in any case; `*` in a range.
    pub subtype: &'a str,
    /// boundary, charset, q and others.
    pub params: Params<'a>,
}

impl MediaType<'_> {
    /// True if it is `kind/subtype`, in any case.
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind) && self.subtype.eq_ignore_ascii_case(subtype)
    }

    /// True if this range admits `kind/subtype` (RFC 2616, 14.1); `q=0` refuses it.
    pub fn admits(&self, kind: &str, subtype: &str) -> bool {
        let fits = |range: &str, text: &str| range == "*" || range.eq_ignore_ascii_case(text);
        let refused = self
            .params
            .token("q")
            .is_some_and(|q| q.bytes().all(|b| matches!(b, b'0' | b'.')));
        fits(self.kind, kind) && fits(self.subtype, subtype) && !refused
    }
}

impl<'a> Parse<'a> for MediaType<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(value);
        let word = |cursor: &mut Cursor<'a>| {
            let at = cursor.at();
            let token = cursor.token().and_then(|token| str::from_utf8(token).ok());
            token.ok_or_else(|| ParseError::syntax("media type", at))
        };
        let kind = word(&mut cursor)?;
        cursor.skip_space();
        if !cursor.eat(b'/') {
            return Err(ParseError::syntax("media type", cursor.at()));
        }
        cursor.skip_space();
        let subtype = word(&mut cursor)?;
        let params = Params::parse(cursor.rest()).map_err(|error| error.shifted(cursor.at()))?;
        Ok(Self {
            kind,
            subtype,
            params,
        })
    }
}

impl<'a> Header<'a> for MediaType<'a> {
    const NAME: HeaderName = HeaderName::ContentType;
}

impl Value for MediaType<'_> {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.kind.write_to(out);
        out.push(b'/');
        self.subtype.write_to(out);
        self.params.write_to(out);
    }
}

/// A token with parameters: Content-Disposition, Reason, Accept-Encoding, Accept-Language, Event and others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Item<'a> {
    /// The token, to be compared in any case.
    pub token: &'a str,
    /// Its parameters.
    pub params: Params<'a>,
}

impl Item<'_> {
    /// True if it is that token, in any case.
    pub fn is(&self, token: &str) -> bool {
        self.token.eq_ignore_ascii_case(token)
    }

    /// Of a Content-Disposition: true if who does not understand the body may ignore it.
    pub fn is_optional(&self) -> bool {
        // RFC 3261, 20.11: required if it says nothing.
        self.params
            .token("handling")
            .is_some_and(|handling| handling.eq_ignore_ascii_case("optional"))
    }
}

impl<'a> Parse<'a> for Item<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(value);
        let token = cursor.token().and_then(|token| str::from_utf8(token).ok());
        let token = token.ok_or_else(|| ParseError::syntax("token", 0))?;
        let params = Params::parse(cursor.rest()).map_err(|error| error.shifted(cursor.at()))?;
        Ok(Self { token, params })
    }
}

impl Value for Item<'_> {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.token.write_to(out);
        self.params.write_to(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types() {
        let parsed = MediaType::parse(b"Multipart / Mixed ; boundary = \"a;b\";x").unwrap();
        assert!(parsed.is("multipart", "mixed"));
        assert_eq!(parsed.params.text("boundary").as_deref(), Some("a;b"));
        let mut out = Vec::new();
        parsed.write_to(&mut out);
        assert_eq!(out, b"Multipart/Mixed;boundary=\"a;b\";x");
        for bad in [
            &b"application"[..],
            b"application/",
            b"/sdp",
            b"application/sdp charset=x",
            b"a/b;",
        ] {
            assert!(MediaType::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ranges() {
        let admits = |range: &'static str| {
            MediaType::parse(range.as_bytes())
                .unwrap()
                .admits("application", "sdp")
        };
        assert!(admits("application/sdp") && admits("application/*") && admits("*/*;q=0.1"));
        assert!(!admits("text/*") && !admits("*/*;q=0") && !admits("application/sdp;q=0.000"));
    }

    #[test]
    fn handling() {
        let optional = |value: &'static str| Item::parse(value.as_bytes()).unwrap().is_optional();
        assert!(optional("render;handling=Optional"));
        assert!(!optional("session") && !optional("icon;handling=required"));
    }
}
