//! Small headers: numbers, dates, warnings.

use super::{
    Header, HeaderName, Params, Parse, Value,
    params::{unquote, write_quoted},
};
use crate::ParseError;
use base::scan::{Cursor, number};
use std::{borrow::Cow, str};

/// How many hops are left (RFC 3261, 20.22): 0 to 255.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct MaxForwards(pub u8);

impl Parse<'_> for MaxForwards {
    fn parse(value: &[u8]) -> Result<Self, ParseError> {
        let hops = number(value, u64::from(u8::MAX));
        Ok(Self(
            hops.map_err(|error| ParseError::number(error, "Max-Forwards", 0))? as u8,
        ))
    }
}

impl Header<'_> for MaxForwards {
    const NAME: HeaderName = HeaderName::MaxForwards;
}

impl Value for MaxForwards {
    fn write_to(&self, out: &mut Vec<u8>) {
        u32::from(self.0).write_to(out);
    }
}

macro_rules! seconds {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub struct $name(pub u32);

        impl Parse<'_> for $name {
            fn parse(value: &[u8]) -> Result<Self, ParseError> {
                let what = HeaderName::$name.as_str();
                Ok(Self(seconds(value).ok_or(ParseError::syntax(what, 0))?))
            }
        }

        impl Header<'_> for $name {
            const NAME: HeaderName = HeaderName::$name;
        }

        impl Value for $name {
            fn write_to(&self, out: &mut Vec<u8>) {
                self.0.write_to(out);
            }
        }
    };
}

seconds! {
    /// How many seconds something is valid (RFC 3261, 20.19); more than 2³²−1 is read as that.
    Expires
}

seconds! {
    /// The shortest expiry that a server accepts, in seconds (RFC 3261, 20.23).
    MinExpires
}

/// When to try again (RFC 3261, 20.33).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryAfter<'a> {
    /// In so many seconds.
    pub seconds: u32,
    /// What is said about it, without the brackets.
    pub comment: Option<&'a [u8]>,
    /// duration and others.
    pub params: Params<'a>,
}

impl RetryAfter<'_> {
    /// How many seconds the callee is then reachable for.
    pub fn duration(&self) -> Option<u32> {
        seconds(self.params.token("duration")?.as_bytes())
    }
}

impl<'a> Parse<'a> for RetryAfter<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(value);
        let digits = cursor.take_while(|b| b.is_ascii_digit());
        let seconds = seconds(digits).ok_or_else(|| ParseError::syntax("Retry-After", 0))?;
        cursor.skip_space();
        let comment = match cursor.peek() {
            Some(b'(') => Some(comment(&mut cursor)?),
            _ => None,
        };
        let params = Params::parse(cursor.rest()).map_err(|error| error.shifted(cursor.at()))?;
        Ok(Self {
            seconds,
            comment,
            params,
        })
    }
}

impl<'a> Header<'a> for RetryAfter<'a> {
    const NAME: HeaderName = HeaderName::RetryAfter;
}

impl Value for RetryAfter<'_> {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.seconds.write_to(out);
        if let Some(comment) = self.comment {
            out.extend_from_slice(b" (");
            out.extend_from_slice(comment);
            out.push(b')');
        }
        self.params.write_to(out);
    }
}

/// Reads `(text (nested) \))` and returns what stands between the outer brackets.
fn comment<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], ParseError> {
    let rest = cursor.rest();
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(&byte) = rest.get(at) {
        match byte {
            b'(' => depth += 1,
            b')' if depth == 1 => {
                cursor.take(at + 1);
                return Ok(&rest[1..at]);
            }
            b')' => depth -= 1,
            b'\\' => at += 1,
            _ => {}
        }
        at += 1;
    }
    Err(ParseError::syntax(
        "closing bracket of a comment",
        cursor.at() + rest.len(),
    ))
}

/// What the client said of its clock (RFC 3261, 20.38): texts, for they are only handed back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timestamp<'a> {
    /// When the request was sent: seconds with an optional fraction.
    pub sent: &'a str,
    /// How long the server took to answer, in the same form.
    pub delay: Option<&'a str>,
}

impl<'a> Parse<'a> for Timestamp<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let error = ParseError::syntax("Timestamp", 0);
        let text = str::from_utf8(value).map_err(|_| error)?;
        let decimal = |text: &str| {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
            (digits(whole) && digits(fraction) && text.len() > text.matches('.').count())
                .then_some(())
        };
        let mut words = text.split_ascii_whitespace();
        let sent = words.next().ok_or(error)?;
        let delay = words.next();
        decimal(sent).ok_or(error)?;
        delay.map_or(Some(()), decimal).ok_or(error)?;
        match words.next() {
            None => Ok(Self { sent, delay }),
            Some(_) => Err(error),
        }
    }
}

impl<'a> Header<'a> for Timestamp<'a> {
    const NAME: HeaderName = HeaderName::Timestamp;
}

impl Value for Timestamp<'_> {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.sent.write_to(out);
        if let Some(delay) = self.delay {
            out.push(b' ');
            delay.write_to(out);
        }
    }
}

/// What more there is to say about a response (RFC 3261, 20.43).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warning<'a> {
    /// Three digits: 300 to 399, or what somebody made up.
    pub code: u16,
    /// Who warns: a host, or a name.
    pub agent: &'a str,
    /// What about, without quotes and escapes.
    pub text: Cow<'a, str>,
}

impl<'a> Parse<'a> for Warning<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(value);
        let digits = cursor.take_while(|b| b.is_ascii_digit());
        let code =
            number(digits, 999).map_err(|error| ParseError::number(error, "code of Warning", 0))?;
        if digits.len() != 3 {
            return Err(ParseError::syntax("code of Warning", 0));
        }
        cursor.skip_space();
        let at = cursor.at();
        let agent = cursor.take_while(|b| b > b' ' && b < 0x7f && b != b'"');
        let agent = str::from_utf8(agent).ok().filter(|agent| !agent.is_empty());
        let agent = agent.ok_or_else(|| ParseError::syntax("agent of Warning", at))?;
        cursor.skip_space();
        let at = cursor.at();
        let text = cursor.rest();
        if cursor.quoted().is_none() || !cursor.is_end() {
            return Err(ParseError::syntax("text of Warning", at));
        }
        Ok(Self {
            code: code as u16,
            agent,
            text: unquote(text),
        })
    }
}

impl<'a> Header<'a> for Warning<'a> {
    const NAME: HeaderName = HeaderName::Warning;
}

impl Value for Warning<'_> {
    fn write_to(&self, out: &mut Vec<u8>) {
        // RFC 3261, 25.1: three digits, whatever the number.
        out.extend([100, 10, 1].map(|unit| b'0' + (self.code / unit % 10) as u8));
        out.push(b' ');
        self.agent.write_to(out);
        out.push(b' ');
        write_quoted(out, &self.text);
    }
}

/// Reads delta-seconds; an overlarge number is for ever (RFC 4475, 3.1.2.4 leaves it to us).
pub(crate) fn seconds(text: &[u8]) -> Option<u32> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits.then(|| number(text, u64::from(u32::MAX)).map_or(u32::MAX, |seconds| seconds as u32))
}

/// A moment, as RFC 3261, 20.17 writes it (`Sat, 13 Nov 2010 23:29:00 GMT`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Date {
    /// Seconds since 1970-01-01T00:00:00Z; negative before.
    pub unix: i64,
}

impl Parse<'_> for Date {
    fn parse(value: &[u8]) -> Result<Self, ParseError> {
        read_date(value).ok_or(ParseError::syntax("Date", 0))
    }
}

impl Header<'_> for Date {
    const NAME: HeaderName = HeaderName::Date;
}

/// RFC 2616, 3.3.1: rfc1123-date, 29 bytes. The weekday is not compared with the date.
fn read_date(value: &[u8]) -> Option<Date> {
    let value: &[u8; 29] = value.try_into().ok()?;
    let word =
        |at: usize| [value[at], value[at + 1], value[at + 2]].map(|b| b.to_ascii_lowercase());
    let punctuation = [
        (3, b','),
        (4, b' '),
        (7, b' '),
        (11, b' '),
        (16, b' '),
        (19, b':'),
        (22, b':'),
        (25, b' '),
    ];
    // RFC 3261, 20.17: GMT only.
    if !WEEKDAYS.contains(&&word(0))
        || &word(26) != b"gmt"
        || punctuation.iter().any(|&(at, b)| value[at] != b)
    {
        return None;
    }
    let day = digits(&value[5..7]).filter(|day| (1..=31).contains(day))?;
    let month = MONTHS.iter().position(|month| **month == word(8))?;
    let year = digits(&value[12..16])?;
    let hour = digits(&value[17..19]).filter(|hour| *hour < 24)?;
    let minute = digits(&value[20..22]).filter(|minute| *minute < 60)?;
    // 60 is a leap second.
    let second = digits(&value[23..25]).filter(|second| *second <= 60)?;
    Some(Date {
        unix: days_since_1970(year, month as i64 + 1, day) * 86_400
            + hour * 3_600
            + minute * 60
            + second,
    })
}

/// Reads a number of which every byte is a digit.
fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |value, b| {
        b.is_ascii_digit().then(|| value * 10 + i64::from(b - b'0'))
    })
}

/// Days of the Gregorian calendar, the year beginning with March so that the leap day is its last.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

const WEEKDAYS: [&[u8; 3]; 7] = [b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun"];
const MONTHS: [&[u8; 3]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn printed(value: impl Value) -> String {
        let mut out = Vec::new();
        value.write_to(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn hops() {
        assert_eq!(MaxForwards::parse(b"0068"), Ok(MaxForwards(68)));
        assert_eq!(
            MaxForwards::parse(b"256").unwrap_err().kind,
            ErrorKind::OutOfRange
        );
        assert_eq!(
            MaxForwards::parse(b"-1").unwrap_err().kind,
            ErrorKind::Syntax
        );
        assert_eq!(printed(MaxForwards(70)), "70");
    }

    #[test]
    fn an_overlarge_expiry_is_for_ever() {
        assert_eq!(Expires::parse(b"3600"), Ok(Expires(3_600)));
        assert_eq!(Expires::parse(b"280297596632815"), Ok(Expires(u32::MAX)));
        assert_eq!(MinExpires::parse(b"").unwrap_err().what, "Min-Expires");
        assert_eq!(printed(Expires(0)), "0");
    }

    #[test]
    fn dates() {
        let unix = |text: &str| Date::parse(text.as_bytes()).map(|date| date.unix);
        assert_eq!(unix("Thu, 01 Jan 1970 00:00:00 GMT"), Ok(0));
        assert_eq!(unix("Sat, 13 Nov 2010 23:29:00 GMT"), Ok(1_289_690_940));
        assert_eq!(unix("Tue, 29 Feb 2000 00:00:00 gmt"), Ok(951_782_400));
        assert_eq!(unix("Wed, 31 Dec 1969 23:59:59 GMT"), Ok(-1));
        assert_eq!(unix("Mon, 01 Mar 2100 00:00:00 GMT"), Ok(4_107_542_400));
        for bad in [
            "Fri, 01 Jan 2010 16:00:00 EST",
            "Fri, 01 Jan 2010 16:00:00",
            "Fri 01 Jan 2010 16:00:00 GMT",
            "Fri, 00 Jan 2010 16:00:00 GMT",
            "Fri, 32 Jan 2010 16:00:00 GMT",
            "Fri, 01 Foo 2010 16:00:00 GMT",
            "Fri, 01 Jan 2010 24:00:00 GMT",
            "Fri, 01 Jan 2010 16:00:00 GMT x",
            "2010-01-01T16:00:00Z",
            "",
        ] {
            assert!(unix(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn retry_after_with_comment_and_duration() {
        let text = "18000 (in a \\) (long) meeting);duration=3600";
        let retry = RetryAfter::parse(text.as_bytes()).unwrap();
        assert_eq!(retry.seconds, 18_000);
        assert_eq!(retry.comment, Some(&b"in a \\) (long) meeting"[..]));
        assert_eq!(retry.duration(), Some(3_600));
        assert_eq!(printed(retry), text);
        assert_eq!(RetryAfter::parse(b"5").unwrap().duration(), None);
        assert_eq!(
            RetryAfter::parse(b"949302838503028349304023988")
                .unwrap()
                .seconds,
            u32::MAX
        );
        for bad in [&b""[..], b"soon", b"5 (open", b"5 x"] {
            assert!(RetryAfter::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn timestamps_are_handed_back() {
        assert_eq!(
            Timestamp::parse(b"54"),
            Ok(Timestamp {
                sent: "54",
                delay: None
            })
        );
        let both = Timestamp::parse(b"54.21  .5").unwrap();
        assert_eq!(printed(both), "54.21 .5");
        for bad in [&b""[..], b".", b"1.2.3", b"-1", b"1 2 3", b"x"] {
            assert!(Timestamp::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn warnings() {
        let text = r#"307 isi.edu "Session parameter \"foo\" not understood""#;
        let warning = Warning::parse(text.as_bytes()).unwrap();
        assert_eq!((warning.code, warning.agent), (307, "isi.edu"));
        assert_eq!(warning.text, "Session parameter \"foo\" not understood");
        assert_eq!(printed(warning), text);
        assert!(Warning::parse(br#"301 [2001:db8::1]:5060 "x""#).is_ok());
        let odd = r#"099 a "x""#;
        assert_eq!(printed(Warning::parse(odd.as_bytes()).unwrap()), odd);
        for bad in [
            &br#"1812 overture "In Progress""#[..],
            br#"30 a "x""#,
            b"307 isi.edu",
            br#"307 isi.edu "x"#,
        ] {
            assert!(Warning::parse(bad).is_err(), "{bad:?}");
        }
    }
}
