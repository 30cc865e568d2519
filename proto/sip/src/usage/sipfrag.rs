//! How a referred request fares, in the body of a NOTIFY (RFC 3420, RFC 3515, 2.4.5; XFR-10).

use crate::Status;

/// The status line of a fragment; what follows it is nobody's business here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sipfrag {
    /// The code.
    pub status: Status,
    /// The phrase, whatever characters it has; may be empty.
    pub reason: String,
}

impl Sipfrag {
    /// The type of such bodies (RFC 3515, 2.4.5).
    pub const TYPE: &str = "message/sipfrag;version=2.0";

    /// Says how a request fares.
    pub fn new(status: Status, reason: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
        }
    }

    /// Reads the first line of a body; `None` if it is no status line. Blank lines before it, a bare LF,
    /// a bare CR and a missing phrase are let pass.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut lines = body.split(|&b| b == b'\n').map(<[u8]>::trim_ascii);
        let line = lines.find(|line| !line.is_empty())?;
        let (version, rest) = line.split_at_checked(VERSION.len())?;
        if !version.eq_ignore_ascii_case(VERSION) {
            return None;
        }
        let (code, phrase) = rest.split_at_checked(3)?;
        // "SIP/2.0 200OK" is no status line.
        if phrase.first().is_some_and(|b| *b != b' ') {
            return None;
        }
        let code: u16 = std::str::from_utf8(code).ok()?.parse().ok()?;
        let mut reason = String::from_utf8_lossy(phrase.trim_ascii()).into_owned();
        // RFC 3261, 25.1: no phrase has a line break.
        reason.retain(|c| c != '\r');
        Some(Self {
            status: Status::new(code)?,
            reason,
        })
    }

    /// The body that says it.
    pub fn to_body(&self) -> Vec<u8> {
        let mut reason = self.reason.clone();
        reason.retain(|c| !matches!(c, '\r' | '\n'));
        format!("SIP/2.0 {} {reason}\r\n", self.status).into_bytes()
    }
}

/// With the blank behind it.
const VERSION: &[u8] = b"SIP/2.0 ";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<(u16, String)> {
        Sipfrag::parse(body.as_bytes()).map(|read| (read.status.code(), read.reason))
    }

    /// XFR-10: any phrase, an empty one, too.
    #[test]
    fn status_lines_are_read_as_they_come() {
        for (body, code, reason) in [
            ("SIP/2.0 100 Trying", 100, "Trying"),
            ("SIP/2.0 200 OK\r\nContact: <sip:a@b>\r\n", 200, "OK"),
            ("SIP/2.0 486 \r\n", 486, ""),
            ("SIP/2.0 486\n", 486, ""),
            ("SIP/2.0 486 Busy\rHere\r\n", 486, "BusyHere"),
            (
                "\r\nsip/2.0 603 N\u{e4}h, \"no\" (really)",
                603,
                "N\u{e4}h, \"no\" (really)",
            ),
        ] {
            assert_eq!(read(body), Some((code, reason.to_owned())), "{body:?}");
        }
        for bad in [
            "",
            "200 OK",
            "SIP/2.0",
            "SIP/2.0 20",
            "SIP/2.0 2000 x",
            "SIP/2.0 200OK",
            "SIP/3.0 200 OK",
            "SIP/2.0 099 x",
            "INVITE sip:a@b SIP/2.0",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let said = Sipfrag::new(Status::BUSY_HERE, "Busy\r\nHere");
        assert_eq!(said.to_body(), b"SIP/2.0 486 BusyHere\r\n");
        assert_eq!(
            Sipfrag::parse(&said.to_body()),
            Some(Sipfrag::new(Status::BUSY_HERE, "BusyHere"))
        );
    }
}
