//! CSeq (RFC 3261, 20.16).

use super::{Header, HeaderName, Parse, Value};
use crate::{Method, ParseError};
use base::scan::Cursor;

/// The place of a request in its dialog, and its method once more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CSeq {
    /// Below 2³¹.
    pub number: u32,
    /// The method of the request.
    pub method: Method,
}

impl CSeq {
    /// Puts both together.
    pub const fn new(number: u32, method: Method) -> Self {
        Self { number, method }
    }

    /// Cuts a value into number and method.
    pub(crate) fn split(value: &[u8]) -> Result<(u32, &[u8]), ParseError> {
        let mut cursor = Cursor::new(value);
        // RFC 3261, 8.1.1.5: less than 2**31.
        let number = cursor
            .number(MAX)
            .map_err(|error| ParseError::number(error, "CSeq", 0))?;
        let digits = cursor.at();
        cursor.skip_space();
        match cursor.at() > digits {
            true => Ok((number as u32, cursor.rest())),
            false => Err(ParseError::syntax("method of CSeq", digits)),
        }
    }
}

impl<'a> Parse<'a> for CSeq {
    fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let (number, method) = Self::split(value)?;
        let at = value.len() - method.len();
        let method =
            Method::from_bytes(method).ok_or_else(|| ParseError::syntax("method of CSeq", at))?;
        Ok(Self { number, method })
    }
}

impl Header<'_> for CSeq {
    const NAME: HeaderName = HeaderName::CSeq;
}

impl Value for CSeq {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.number.write_to(out);
        out.push(b' ');
        out.extend_from_slice(self.method.as_str().as_bytes());
    }
}

const MAX: u64 = (1 << 31) - 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn number_and_method() {
        assert_eq!(
            CSeq::parse(b"0009  INVITE"),
            Ok(CSeq::new(9, Method::Invite))
        );
        assert_eq!(
            CSeq::parse(b"2147483647\tBYE"),
            Ok(CSeq::new(MAX as u32, Method::Bye))
        );
        let mut out = Vec::new();
        CSeq::new(4711, Method::Options).write_to(&mut out);
        assert_eq!(out, b"4711 OPTIONS");
        for (bad, kind) in [
            (&b"2147483648 BYE"[..], ErrorKind::OutOfRange),
            (b"36893488147419103232 BYE", ErrorKind::OutOfRange),
            (b"1", ErrorKind::Syntax),
            (b"1BYE", ErrorKind::Syntax),
            (b"-1 BYE", ErrorKind::Syntax),
            (b"1 BYE x", ErrorKind::Syntax),
            (b"BYE 1", ErrorKind::Syntax),
            (b"", ErrorKind::Syntax),
        ] {
            assert_eq!(CSeq::parse(bad).unwrap_err().kind, kind, "{bad:?}");
        }
    }
}
