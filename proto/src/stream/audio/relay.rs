//! Digits in INFO, as `application/dtmf-relay`: older than RFC 6086, without a standard, and spoken by
//! gateways and servers of many makers.

use rtp::Digit;
use sip::InfoRequest;
use std::time::Duration;

/// Writes a digit.
pub(super) fn write(digit: Digit, duration: Duration) -> InfoRequest {
    let digit = char::from(digit);
    let ms = duration.as_millis().clamp(MIN_MS, MAX_MS);
    InfoRequest::legacy(RELAY, format!("Signal={digit}\r\nDuration={ms}\r\n"))
}

/// Reads a digit, as `application/dtmf-relay` or as the bare one of `application/dtmf`; `None` is no digit.
pub(super) fn read(info: &InfoRequest) -> Option<char> {
    let media_type = info
        .content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    let text = std::str::from_utf8(&info.body).ok()?;
    let is = |known: &str| info.package.is_none() && media_type.eq_ignore_ascii_case(known);
    let signal = if is(RELAY) {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            key.trim()
                .eq_ignore_ascii_case("signal")
                .then(|| value.trim())
        })?
    } else if is(BARE) {
        text.trim()
    } else {
        return None;
    };
    let mut letters = signal.chars();
    let digit = match (signal, letters.next(), letters.next()) {
        // Some write the numbers of RFC 4733, 3.2.
        ("10", ..) => '*',
        ("11", ..) => '#',
        (_, Some(digit), None) => digit,
        _ => return None,
    };
    Digit::try_from(digit.to_ascii_uppercase())
        .ok()
        .map(char::from)
}

const RELAY: &str = "application/dtmf-relay";
const BARE: &str = "application/dtmf";
/// Milliseconds that receivers take for a digit.
const MIN_MS: u128 = 40;
const MAX_MS: u128 = 5_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aus_09_digits_are_written_and_read_as_dtmf_relay() {
        for digit in "0123456789*#ABCD".chars() {
            let written = write(Digit::try_from(digit).unwrap(), Duration::from_millis(160));
            assert_eq!(written.body, format!("Signal={digit}\r\nDuration=160\r\n"));
            assert_eq!(read(&written), Some(digit));
        }
        let read = |kind: &str, body: &'static str| read(&InfoRequest::legacy(kind, body));
        assert_eq!(
            read("Application/DTMF-Relay;v=1", "Duration=1\nsignal = a"),
            Some('A')
        );
        assert_eq!(read(RELAY, "Signal=11\r\n"), Some('#'));
        assert_eq!(read(BARE, "7\r\n"), Some('7'));
        for body in ["Signal=", "Signal=!", "Signal=12", "Duration=1", ""] {
            assert_eq!(read(RELAY, body), None, "{body}");
        }
        assert_eq!(read("text/plain", "Signal=1"), None);
    }
}
