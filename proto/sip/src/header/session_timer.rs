//! Session-Expires and Min-SE (RFC 4028, 4 and 5).

use super::{Header, HeaderName, Params, Parse, Value};
use crate::ParseError;
use base::scan::Cursor;
use serde::{Deserialize, Serialize};

/// Which side keeps a session alive, seen from the request that carries the header.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Refresher {
    /// The side that sent the request.
    Uac,
    /// The side that answers it.
    Uas,
}

/// How long a session lasts without a refresh, and who refreshes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionExpires {
    /// In seconds; more than 2³²−1 is read as that.
    pub seconds: u32,
    /// Who refreshes; `None` if it is left open.
    pub refresher: Option<Refresher>,
}

impl Parse<'_> for SessionExpires {
    fn parse(value: &[u8]) -> Result<Self, ParseError> {
        let (seconds, params) = interval(value, "Session-Expires")?;
        let refresher = match params.token("refresher") {
            Some(who) if who.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(who) if who.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            Some(_) => return Err(ParseError::syntax("refresher of Session-Expires", 0)),
            None => None,
        };
        Ok(Self { seconds, refresher })
    }
}

impl Header<'_> for SessionExpires {
    const NAME: HeaderName = HeaderName::SessionExpires;
}

impl Value for SessionExpires {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.seconds.write_to(out);
        match self.refresher {
            Some(Refresher::Uac) => ";refresher=uac".write_to(out),
            Some(Refresher::Uas) => ";refresher=uas".write_to(out),
            None => {}
        }
    }
}

/// The shortest session interval that is accepted, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct MinSe(pub u32);

impl Parse<'_> for MinSe {
    fn parse(value: &[u8]) -> Result<Self, ParseError> {
        Ok(Self(interval(value, "Min-SE")?.0))
    }
}

impl Header<'_> for MinSe {
    const NAME: HeaderName = HeaderName::MinSe;
}

impl Value for MinSe {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.0.write_to(out);
    }
}

fn interval<'a>(value: &'a [u8], what: &'static str) -> Result<(u32, Params<'a>), ParseError> {
    let mut cursor = Cursor::new(value);
    let digits = cursor.take_while(|byte| byte.is_ascii_digit());
    if digits.is_empty() {
        return Err(ParseError::syntax(what, 0));
    }
    // Longer than anybody lives is for ever.
    let seconds = std::str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok());
    let params = Params::parse(cursor.rest()).map_err(|error| error.shifted(cursor.at()))?;
    Ok((seconds.unwrap_or(u32::MAX), params))
}

/// The option tag (RFC 4028, 12).
pub(crate) const OPTION: &str = "timer";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_and_refresher() {
        let parsed = SessionExpires::parse(b"4000;refresher=uac");
        let expected = SessionExpires {
            seconds: 4_000,
            refresher: Some(Refresher::Uac),
        };
        assert_eq!(parsed, Ok(expected));
        let mut out = Vec::new();
        expected.write_to(&mut out);
        assert_eq!(out, b"4000;refresher=uac");
        let other = SessionExpires::parse(b"90 ; x=y;Refresher=UAS").unwrap();
        assert_eq!((other.seconds, other.refresher), (90, Some(Refresher::Uas)));
        let open = SessionExpires::parse(b"99999999999999999999").unwrap();
        assert_eq!((open.seconds, open.refresher), (u32::MAX, None));
        for bad in [
            &b""[..],
            b"-1",
            b"1;refresher=both",
            b"1 2",
            b";refresher=uac",
        ] {
            assert!(SessionExpires::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(MinSe::parse(b"60;lr"), Ok(MinSe(60)));
        assert!(MinSe::parse(b"soon").is_err());
    }
}
