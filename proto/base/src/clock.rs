//! Wall-clock time without a clock: an offset from the monotonic time that machines are given.

use std::time::{Duration, Instant};

/// Translates the `now` of the machines into UNIX and NTP time.
///
/// Machines measure with `Instant` only; the wall clock is for the wire (RTCP sender reports, dates).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clock {
    origin: Instant,
    unix: Duration,
}

impl Clock {
    /// Says that it is `unix` after 1970-01-01T00:00:00Z at the moment `now`.
    pub const fn new(now: Instant, unix: Duration) -> Self {
        Self { origin: now, unix }
    }

    /// Returns UNIX time at `now`; a moment before the origin counts as the origin.
    pub fn unix_time(&self, now: Instant) -> Duration {
        self.unix
            .saturating_add(now.saturating_duration_since(self.origin))
    }

    /// Returns the 64-bit NTP timestamp at `now` (RFC 3550, 4: seconds since 1900 and their fraction).
    pub fn ntp(&self, now: Instant) -> u64 {
        let unix = self.unix_time(now);
        // Wraps in 2036 as NTP itself does.
        let seconds = unix.as_secs().wrapping_add(NTP_OFFSET) & 0xffff_ffff;
        let fraction = (u64::from(unix.subsec_nanos()) << 32) / 1_000_000_000;
        (seconds << 32) | fraction
    }

    /// Returns the date as RFC 3339 text in UTC, to milliseconds (`2026-11-21T12:00:00.000Z`).
    pub fn rfc3339(&self, now: Instant) -> String {
        let unix = self.unix_time(now);
        let (year, month, day) = civil(unix.as_secs() / 86_400);
        let (hour, minute, second) = time_of_day(unix.as_secs());
        let ms = unix.subsec_millis();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }

    /// Returns the date as SIP and HTTP write it (RFC 3261, 20.17: `Sat, 21 Nov 2026 12:00:00 GMT`).
    pub fn http_date(&self, now: Instant) -> String {
        let unix = self.unix_time(now);
        let days = unix.as_secs() / 86_400;
        let (year, month, day) = civil(days);
        let (hour, minute, second) = time_of_day(unix.as_secs());
        let weekday = WEEKDAYS[(days % 7) as usize];
        let month = MONTHS[month as usize - 1];
        format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }
}

fn time_of_day(seconds: u64) -> (u64, u64, u64) {
    let seconds = seconds % 86_400;
    (seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// Days since 1970-01-01 to year, month and day of the Gregorian calendar, which repeats every 146,097 days.
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from 0000-03-01, so that the leap day is the last of its year.
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// Seconds between the epochs of NTP (1900) and UNIX (1970).
const NTP_OFFSET: u64 = 2_208_988_800;
// 1970-01-01 was a Thursday.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin")]
    fn dates() {
        let now = Instant::now();
        for (unix, rfc3339, http) in [
            (
                0,
                "1970-01-01T00:00:00.000Z",
                "Thu, 01 Jan 1970 00:00:00 GMT",
            ),
            (
                951_782_400,
                "2000-02-29T00:00:00.000Z",
                "Tue, 29 Feb 2000 00:00:00 GMT",
            ),
            (
                1_795_262_399,
                "2026-11-21T11:59:59.000Z",
                "Sat, 21 Nov 2026 11:59:59 GMT",
            ),
            (
                4_107_542_400,
                "2100-03-01T00:00:00.000Z",
                "Mon, 01 Mar 2100 00:00:00 GMT",
            ),
        ] {
            let clock = Clock::new(now, Duration::from_secs(unix));
            assert_eq!(clock.rfc3339(now), rfc3339);
            assert_eq!(clock.http_date(now), http);
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin")]
    fn ntp_has_seconds_since_1900_and_a_fraction() {
        let now = Instant::now();
        let clock = Clock::new(now, Duration::from_millis(1_500));
        assert_eq!(clock.ntp(now), ((NTP_OFFSET + 1) << 32) | 0x8000_0000);
        assert_eq!(
            clock.ntp(now + Duration::from_millis(500)) >> 32,
            NTP_OFFSET + 2
        );
    }
}
