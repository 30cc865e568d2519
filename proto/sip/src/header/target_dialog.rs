//! Target-Dialog (RFC 4538, 7).

use super::{Header, HeaderName, Params, Parse, Value, params::write_tag};
use crate::ParseError;
use base::scan::Cursor;
use std::str;

/// The dialog that a request outside of it is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TargetDialog<'a> {
    /// Its Call-ID.
    pub call_id: &'a str,
    /// The tag of the side that receives this header.
    pub local_tag: &'a str,
    /// The tag of its peer.
    pub remote_tag: &'a str,
}

impl<'a> Parse<'a> for TargetDialog<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(value);
        let call_id = cursor.take_while(|b| b > b' ' && b != b';' && b != b',' && b != 0x7f);
        let call_id = str::from_utf8(call_id).ok().filter(|id| !id.is_empty());
        let call_id = call_id.ok_or_else(|| ParseError::syntax("Call-ID of Target-Dialog", 0))?;
        let params = Params::parse(cursor.rest()).map_err(|error| error.shifted(cursor.at()))?;
        let tag = |name: &str| {
            let missing = ParseError::syntax("tag of Target-Dialog", cursor.at());
            params.token(name).ok_or(missing)
        };
        Ok(Self {
            call_id,
            local_tag: tag("local-tag")?,
            remote_tag: tag("remote-tag")?,
        })
    }
}

impl<'a> Header<'a> for TargetDialog<'a> {
    const NAME: HeaderName = HeaderName::TargetDialog;
}

impl Value for TargetDialog<'_> {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.call_id.write_to(out);
        write_tag(out, "local-tag", self.local_tag);
        write_tag(out, "remote-tag", self.remote_tag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4538, 9.
    #[test]
    fn both_tags_or_nothing() {
        let text = b"fa77as7dad8-sd98ajzz@host.example.com;local-tag=kkaz-;remote-tag=6544";
        let parsed = TargetDialog::parse(text).unwrap();
        assert_eq!(parsed.call_id, "fa77as7dad8-sd98ajzz@host.example.com");
        assert_eq!((parsed.local_tag, parsed.remote_tag), ("kkaz-", "6544"));
        let mut out = Vec::new();
        parsed.write_to(&mut out);
        assert_eq!(out, text);
        for bad in [
            &b"a;local-tag=1"[..],
            b"a;remote-tag=1",
            b";local-tag=1;remote-tag=2",
        ] {
            assert!(TargetDialog::parse(bad).is_err(), "{bad:?}");
        }
    }
}
