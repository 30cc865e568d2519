//! RSeq and RAck: the numbers of reliable provisional responses (RFC 3262, 7.1 and 7.2).

use super::{Header, HeaderName, Parse, Value};
use crate::{Method, ParseError, header::CSeq};
use base::scan::{Cursor, number};

/// The number of a reliable provisional response within its transaction: 1 to 2³²−1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RSeq(pub u32);

impl Parse<'_> for RSeq {
    fn parse(value: &[u8]) -> Result<Self, ParseError> {
        let read = number(value, u64::from(u32::MAX));
        match read.map_err(|error| ParseError::number(error, "RSeq", 0))? {
            0 => Err(ParseError::syntax("RSeq", 0)),
            read => Ok(Self(read as u32)),
        }
    }
}

impl Header<'_> for RSeq {
    const NAME: HeaderName = HeaderName::RSeq;
}

impl Value for RSeq {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.0.write_to(out);
    }
}

/// Which reliable provisional response a PRACK acknowledges.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RAck {
    /// Its RSeq.
    pub response: u32,
    /// Its CSeq number: that of the INVITE.
    pub number: u32,
    /// Its CSeq method.
    pub method: Method,
}

impl Parse<'_> for RAck {
    fn parse(value: &[u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(value);
        let response = cursor
            .number(u64::from(u32::MAX))
            .map_err(|error| ParseError::number(error, "RAck", 0))?;
        let at = cursor.at();
        cursor.skip_space();
        if cursor.at() == at {
            return Err(ParseError::syntax("CSeq of RAck", at));
        }
        let at = cursor.at();
        let CSeq { number, method } =
            CSeq::parse(cursor.rest()).map_err(|error| error.shifted(at))?;
        Ok(Self {
            response: response as u32,
            number,
            method,
        })
    }
}

impl Header<'_> for RAck {
    const NAME: HeaderName = HeaderName::RAck;
}

impl Value for RAck {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.response.write_to(out);
        out.push(b' ');
        CSeq::new(self.number, self.method.clone()).write_to(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_response() {
        assert_eq!(RSeq::parse(b"988789"), Ok(RSeq(988_789)));
        assert_eq!(RSeq::parse(b"4294967295"), Ok(RSeq(u32::MAX)));
        for bad in [&b"0"[..], b"4294967296", b"", b"-1", b"1 2"] {
            assert!(RSeq::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_response_that_a_prack_means() {
        let rack = RAck::parse(b"776656 1 INVITE").unwrap();
        let expected = RAck {
            response: 776_656,
            number: 1,
            method: Method::Invite,
        };
        assert_eq!(rack, expected);
        let mut out = Vec::new();
        rack.write_to(&mut out);
        assert_eq!(out, b"776656 1 INVITE");
        for bad in [
            &b""[..],
            b"1",
            b"1 2",
            b"1 2INVITE",
            b"4294967296 1 INVITE",
            b"1 2147483648 INVITE",
            b"1INVITE",
            b"a 1 INVITE",
        ] {
            assert!(RAck::parse(bad).is_err(), "{bad:?}");
        }
    }
}
