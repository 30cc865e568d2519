//! Small headers: numbers.

use super::{Header, HeaderName, Parse, Value};
use crate::ParseError;
use base::scan::{Cursor, number};

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

/// How many seconds something is valid (RFC 3261, 20.19); more than 2³²−1 is read as that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Expires(pub u32);

impl Parse<'_> for Expires {
    fn parse(value: &[u8]) -> Result<Self, ParseError> {
        Ok(Self(
            seconds(value).ok_or_else(|| ParseError::syntax("Expires", 0))?,
        ))
    }
}

impl Header<'_> for Expires {
    const NAME: HeaderName = HeaderName::Expires;
}

impl Value for Expires {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.0.write_to(out);
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

/// RFC 2616, 3.3.1: rfc1123-date. The weekday is not compared with the date.
fn read_date(value: &[u8]) -> Option<Date> {
    let mut cursor = Cursor::new(value);
    let weekday = cursor.take(3);
    WEEKDAYS
        .iter()
        .find(|day| day.eq_ignore_ascii_case(weekday))?;
    if !cursor.eat(b',') {
        return None;
    }
    cursor.skip_space();
    let day = cursor.number(31).ok()?;
    cursor.skip_space();
    let name = cursor.take(3);
    let month = MONTHS
        .iter()
        .position(|month| month.eq_ignore_ascii_case(name))?;
    cursor.skip_space();
    let year = cursor.number(9_999).ok()?;
    cursor.skip_space();
    let hour = cursor.number(23).ok()?;
    let minute = cursor.eat(b':').then(|| cursor.number(59).ok())??;
    // 60 is a leap second.
    let second = cursor.eat(b':').then(|| cursor.number(60).ok())??;
    cursor.skip_space();
    // RFC 3261, 20.17: GMT only.
    if !cursor.eat_text(b"GMT") || !cursor.is_end() || day == 0 {
        return None;
    }
    let days = days_since_1970(year as i64, month as i64 + 1, day as i64);
    Some(Date {
        unix: days * 86_400 + (hour * 3_600 + minute * 60 + second) as i64,
    })
}

/// Days of the Gregorian calendar, the year beginning with March so that the leap day is its last.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

const WEEKDAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];
