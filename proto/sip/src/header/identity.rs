//! Who somebody claims to be, and what is to be hidden (RFC 3323, RFC 3325).
//!
//! P-Asserted-Identity and P-Preferred-Identity are lists of [`NameAddr`](super::NameAddr): claims that count
//! only if the hop they came over is trusted.

use super::{Header, HeaderName, Parse, Value};
use crate::ParseError;
use base::scan::is_token;
use std::str;

/// What the network shall hide (RFC 3323, 4.2): `id`, `header`, `session`, `user`, `none`, `critical`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Privacy<'a>(&'a str);

impl<'a> Privacy<'a> {
    /// Walks the values in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        // The separator is `;`; some write commas.
        self.0.split([';', ',']).map(str::trim)
    }

    /// True if `value` is among them, in any case.
    pub fn has(&self, value: &str) -> bool {
        self.iter().any(|own| own.eq_ignore_ascii_case(value))
    }
}

impl<'a> Parse<'a> for Privacy<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let privacy = str::from_utf8(value)
            .map(Self)
            .map_err(|_| ParseError::syntax("Privacy", 0))?;
        match privacy
            .iter()
            .all(|token| !token.is_empty() && token.bytes().all(is_token))
        {
            true => Ok(privacy),
            false => Err(ParseError::syntax("Privacy", 0)),
        }
    }
}

impl<'a> Header<'a> for Privacy<'a> {
    const NAME: HeaderName = HeaderName::Privacy;
}

impl Value for Privacy<'_> {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.0.write_to(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_privacy() {
        let privacy = Privacy::parse(b"id; Critical").unwrap();
        assert!(privacy.has("ID") && privacy.has("critical") && !privacy.has("none"));
        assert!(Privacy::parse(b"id;;user").is_err());
        assert!(Privacy::parse(b"").is_err());
    }
}
