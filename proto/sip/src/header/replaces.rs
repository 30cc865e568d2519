//! Replaces (RFC 3891, 6.1).

use super::{
    Header, HeaderName, Params, Parse, Value,
    params::{write_param, write_tag},
};
use crate::ParseError;
use base::scan::Cursor;
use std::str;

/// The option tag (RFC 3891, 6.2).
pub(crate) const OPTION: &str = "replaces";

/// The dialog that a new one takes the place of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Replaces<'a> {
    /// Its Call-ID.
    pub call_id: &'a str,
    /// The tag of the side that receives this header.
    pub to_tag: &'a str,
    /// The tag of its peer; `0` is a peer without tags (RFC 2543).
    pub from_tag: &'a str,
    /// Only if the dialog is not confirmed yet.
    pub early_only: bool,
}

impl<'a> Parse<'a> for Replaces<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(value);
        let call_id = cursor.take_while(|b| b > b' ' && b != b';' && b != b',' && b != 0x7f);
        let call_id = str::from_utf8(call_id).ok().filter(|id| !id.is_empty());
        let call_id = call_id.ok_or_else(|| ParseError::syntax("Call-ID of Replaces", 0))?;
        let params = Params::parse(cursor.rest()).map_err(|error| error.shifted(cursor.at()))?;
        // RFC 3891, 6.1: exactly one of each.
        let tag = |name: &str| {
            let mut all = params
                .iter()
                .filter(|param| param.name.eq_ignore_ascii_case(name));
            let first = all.next()?.value;
            first
                .filter(|_| all.next().is_none())
                .and_then(|tag| str::from_utf8(tag).ok())
        };
        Ok(Self {
            call_id,
            to_tag: tag("to-tag")
                .ok_or_else(|| ParseError::syntax("to-tag of Replaces", cursor.at()))?,
            from_tag: tag("from-tag")
                .ok_or_else(|| ParseError::syntax("from-tag of Replaces", cursor.at()))?,
            early_only: params.contains("early-only"),
        })
    }
}

impl<'a> Header<'a> for Replaces<'a> {
    const NAME: HeaderName = HeaderName::Replaces;
}

impl Value for Replaces<'_> {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.call_id.write_to(out);
        write_tag(out, "to-tag", self.to_tag);
        write_tag(out, "from-tag", self.from_tag);
        if self.early_only {
            write_param(out, "early-only", None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3261, 19.3: tags are compared byte by byte, and some are no tokens.
    #[test]
    fn odd_tags_go_back_as_they_came() {
        for text in [
            "1@a;to-tag=1?;from-tag=(x)",
            "1@a;to-tag=\"1 2\";from-tag=0",
            "1@a;to-tag=\"1\u{17}2\";from-tag=\"\\\"\"",
        ] {
            let mut written = Vec::new();
            Replaces::parse(text.as_bytes())
                .unwrap()
                .write_to(&mut written);
            assert_eq!(written, text.as_bytes());
        }
    }

    /// What is no tag of a peer's cannot become more than one parameter.
    #[test]
    fn a_tag_stays_one_parameter() {
        for tag in ["\"", "\"\"", "\"1\";x=\"2\"", "\"1\r\n2\"", "1;x=2"] {
            let mut written = Vec::new();
            Replaces {
                call_id: "1@a",
                to_tag: tag,
                from_tag: "1",
                early_only: false,
            }
            .write_to(&mut written);
            let text = String::from_utf8(written).unwrap();
            assert!(!text.contains(['\r', '\n']), "{text:?}");
            let (_, params) = text.split_once(';').unwrap();
            let params = format!(";{params}");
            let params = Params::parse(params.as_bytes()).unwrap();
            assert_eq!(params.iter().count(), 2, "{text}");
        }
    }

    #[test]
    fn the_dialog_and_the_flag() {
        let text = b"98732@sip.example.com;from-tag=r33th4x0r;to-tag=ff87ff;early-only";
        let replaces = Replaces::parse(text).unwrap();
        assert_eq!(
            replaces,
            Replaces {
                call_id: "98732@sip.example.com",
                to_tag: "ff87ff",
                from_tag: "r33th4x0r",
                early_only: true
            }
        );
        let mut out = Vec::new();
        replaces.write_to(&mut out);
        assert_eq!(
            out,
            b"98732@sip.example.com;to-tag=ff87ff;from-tag=r33th4x0r;early-only"
        );
        for bad in [
            &b"a;to-tag=1"[..],
            b"a;from-tag=1",
            b";to-tag=1;from-tag=2",
            b"a;to-tag=1;to-tag=2;from-tag=3",
        ] {
            assert!(Replaces::parse(bad).is_err(), "{bad:?}");
        }
    }
}
