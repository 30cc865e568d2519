//! A certificate as a person reads it (RFC 5280, 4): for whom, by whom, until when.

use super::der::{self, Der};
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};

/// What a certificate says. Whether any of it is true is not said here.
///
/// Characters that could confuse a terminal are replaced. What a peer presents is bounded by TLS
/// itself: 64 KiB for the whole chain.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Certificate {
    /// Whose it is (`CN=example.com, O=Example`); never compared with anything.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// From when it is valid (`2026-11-21T12:00:00Z`).
    pub not_before: String,
    /// Until when it is valid.
    pub not_after: String,
    /// The URIs that it is for (`sip:example.com`).
    pub uris: Vec<String>,
    /// The DNS names that it is for.
    pub dns: Vec<String>,
    /// The addresses that it is for.
    pub addresses: Vec<IpAddr>,
    /// What it may be used for (`serverAuth`); empty if that is not restricted.
    pub usages: Vec<String>,
}

impl Certificate {
    /// Reads a certificate in DER; `None` if it is none.
    pub fn read(der: &[u8]) -> Option<Self> {
        let mut body = Der::new(der).sequence()?.sequence()?;
        body.optional(VERSION);
        body.expect(der::INTEGER)?;
        body.sequence()?;
        let issuer = distinguished_name(body.sequence()?);
        let mut validity = body.sequence()?;
        let (not_before, not_after) = (time(validity.next()?)?, time(validity.next()?)?);
        let subject = distinguished_name(body.sequence()?);
        body.sequence()?;
        let mut certificate = Self {
            subject,
            issuer,
            not_before,
            not_after,
            ..Self::default()
        };
        if let Some((_, extensions)) = body.find(|(tag, _)| *tag == EXTENSIONS) {
            certificate.extensions(Der::new(extensions).sequence()?)?;
        }
        Some(certificate)
    }

    /// What it is for: `URI:sip:example.com, DNS:example.com`.
    pub fn names(&self) -> String {
        let uris = self.uris.iter().map(|uri| format!("URI:{uri}"));
        let dns = self.dns.iter().map(|name| format!("DNS:{name}"));
        let addresses = self.addresses.iter().map(|ip| format!("IP:{ip}"));
        let names: Vec<String> = uris.chain(dns).chain(addresses).collect();
        match names.is_empty() {
            true => "no name".to_owned(),
            false => names.join(", "),
        }
    }

    fn extensions(&mut self, mut extensions: Der<'_>) -> Option<()> {
        while let Some(mut extension) = extensions.sequence() {
            let id = extension.expect(der::OID)?;
            extension.optional(der::BOOLEAN);
            let mut value = Der::new(extension.expect(der::OCTET_STRING)?);
            match id {
                SUBJECT_ALT_NAME => value.sequence()?.for_each(|name| self.name(name)),
                EXTENDED_KEY_USAGE => self.usages.extend(value.sequence()?.map(usage)),
                _ => {}
            }
        }
        Some(())
    }

    /// One of the subject's alternative names (RFC 5280, 4.2.1.6).
    fn name(&mut self, (tag, content): (u8, &[u8])) {
        match tag {
            0x82 => self.dns.push(clean(&String::from_utf8_lossy(content))),
            0x86 => self.uris.push(clean(&String::from_utf8_lossy(content))),
            0x87 => {
                let v4 = <[u8; 4]>::try_from(content).map(IpAddr::from);
                let v6 = || <[u8; 16]>::try_from(content).map(IpAddr::from);
                self.addresses.extend(v4.or_else(|_| v6()).ok());
            }
            _ => {}
        }
    }
}

impl fmt::Display for Certificate {
    /// All in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            subject,
            issuer,
            not_before,
            not_after,
            ..
        } = self;
        let names = self.names();
        write!(
            f,
            "{names}; subject {subject}; issued by {issuer}; valid from {not_before} to {not_after}"
        )?;
        match self.usages.is_empty() {
            true => Ok(()),
            false => write!(f, "; for {}", self.usages.join(", ")),
        }
    }
}

/// RFC 5280, 4.1.2.4: attributes in the order in which they are written.
fn distinguished_name(name: Der<'_>) -> String {
    let sets = name.filter(|(tag, _)| *tag == der::SET);
    let attributes = sets.flat_map(|(_, set)| Der::new(set));
    let text = |(_, content): (u8, &[u8])| {
        let mut attribute = Der::new(content);
        let id = attribute.expect(der::OID)?;
        let (tag, value) = attribute.next()?;
        let value = match tag {
            der::BMP_STRING => {
                let units = value.chunks_exact(2);
                let units = units.map(|unit| u16::from(unit[0]) << 8 | u16::from(unit[1]));
                char::decode_utf16(units)
                    .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
                    .collect()
            }
            _ => String::from_utf8_lossy(value).into_owned(),
        };
        let known = ATTRIBUTES.iter().find(|(known, _)| *known == id);
        let key = known.map_or_else(|| der::oid(id), |(_, name)| (*name).to_owned());
        Some(format!("{key}={}", clean(&value)))
    };
    let attributes: Vec<String> = attributes.filter_map(text).collect();
    attributes.join(", ")
}

/// RFC 5280, 4.1.2.5: two forms of a date, both in UTC and to the second.
fn time((tag, content): (u8, &[u8])) -> Option<String> {
    let digits = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match (tag, digits.len()) {
        // RFC 5280, 4.1.2.5.1: below 50 it is this century.
        (der::UTC_TIME, 12) => {
            let century = if digits < "5" { "20" } else { "19" };
            (format!("{century}{}", &digits[..2]), &digits[2..])
        }
        (der::GENERALIZED_TIME, 14) => (digits[..4].to_owned(), &digits[4..]),
        _ => return None,
    };
    let part = |at: usize| &rest[at..at + 2];
    let (month, day, hour, minute, second) = (part(0), part(2), part(4), part(6), part(8));
    Some(format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

fn usage((_, id): (u8, &[u8])) -> String {
    let known = USAGES.iter().find(|(known, _)| *known == id);
    known.map_or_else(|| der::oid(id), |(_, name)| (*name).to_owned())
}

/// Names are shown to people: nothing in them may move a cursor, and nothing that was replaced can
/// match a name that is asked for.
fn clean(text: &str) -> String {
    let safe = |c: char| match c.is_control() {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    };
    text.chars().map(safe).collect()
}

// RFC 5280, 4.1: `[0]` and `[3]` of a certificate's body.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
// RFC 5280, 4.2.1: 2.5.29.17 and 2.5.29.37.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
/// RFC 4519, 2: 2.5.4.x.
const ATTRIBUTES: &[(&[u8], &str)] = &[
    (&[0x55, 0x04, 0x03], "CN"),
    (&[0x55, 0x04, 0x06], "C"),
    (&[0x55, 0x04, 0x07], "L"),
    (&[0x55, 0x04, 0x08], "ST"),
    (&[0x55, 0x04, 0x0a], "O"),
    (&[0x55, 0x04, 0x0b], "OU"),
];
/// RFC 5280, 4.2.1.12 and RFC 5924, 4.
const USAGES: &[(&[u8], &str)] = &[
    (&[0x55, 0x1d, 0x25, 0x00], "anyExtendedKeyUsage"),
    (
        &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01],
        "serverAuth",
    ),
    (
        &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02],
        "clientAuth",
    ),
    (
        &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03],
        "codeSigning",
    ),
    (
        &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x04],
        "emailProtection",
    ),
    (
        &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x14],
        "sipDomain",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_two_forms() {
        let utc = |text: &[u8]| time((der::UTC_TIME, text));
        assert_eq!(utc(b"261121120000Z").unwrap(), "2026-11-21T12:00:00Z");
        assert_eq!(utc(b"500101000000Z").unwrap(), "1950-01-01T00:00:00Z");
        assert_eq!(
            time((der::GENERALIZED_TIME, b"20501231235959Z")).unwrap(),
            "2050-12-31T23:59:59Z"
        );
        for bad in [
            &b"261121120000"[..],
            b"2611211200Z",
            b"26112112000xZ",
            b"\xff",
        ] {
            assert_eq!(utc(bad), None);
        }
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        for bad in [&b""[..], b"\x30\x00", b"\x30\x02\x30\x00", b"OPTIONS"] {
            assert_eq!(Certificate::read(bad), None);
        }
    }

    #[test]
    fn names_cannot_move_a_cursor() {
        assert_eq!(clean("a\u{1b}[2Jb\0"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
