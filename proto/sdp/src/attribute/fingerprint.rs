//! `a=fingerprint`: the digest of a certificate (RFC 8122).

use super::Attribute;
use crate::Text;
use std::fmt::Write as _;

/// The digest that a peer's certificate must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The hash function in lower case, such as `sha-256`.
    pub hash: Text,
    /// The digest.
    pub digest: Vec<u8>,
}

impl Fingerprint {
    /// The digest of a certificate by SHA-256, which everybody can (RFC 8122, 5).
    pub fn sha256(digest: [u8; 32]) -> Self {
        Self {
            hash: Text::from("sha-256"),
            digest: digest.into(),
        }
    }

    /// Reads an `a=fingerprint` line; `None` if it is another attribute or makes no sense.
    pub fn read(attribute: &Attribute) -> Option<Self> {
        if !attribute.is("fingerprint") {
            return None;
        }
        let mut fields = attribute.value()?.split_ascii_whitespace();
        let (hash, digest) = (fields.next()?, fields.next()?);
        let byte = |text: &str| {
            let is_hex = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_hex.then(|| u8::from_str_radix(text, 16).ok()).flatten()
        };
        let digest: Option<Vec<u8>> = digest.split(':').map(byte).collect();
        Some(Self {
            hash: Text::from(hash.to_ascii_lowercase()),
            digest: digest?,
        })
    }

    /// Makes the attribute; digits are upper case (RFC 8122, 5).
    pub fn attribute(&self) -> Attribute {
        let mut value = format!("{} ", self.hash);
        for (n, byte) in self.digest.iter().enumerate() {
            let colon = if n == 0 { "" } else { ":" };
            let _ = write!(value, "{colon}{byte:02X}");
        }
        Attribute::new("fingerprint", value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_printed_in_the_rfc() {
        let line = "sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB";
        let read = Fingerprint::read(&Attribute::new("fingerprint", line)).unwrap();
        assert_eq!((&*read.hash, read.digest.len()), ("sha-1", 20));
        assert_eq!(read.digest[..2], [0x4a, 0xad]);
        assert_eq!(read.attribute(), Attribute::new("fingerprint", line));
        let other = line.replace("sha-1", "SHA-1").to_lowercase();
        let same = Fingerprint::read(&Attribute::new("fingerprint", other)).unwrap();
        assert_eq!(same, read);
    }

    #[test]
    fn lines_that_make_no_sense() {
        for bad in [
            "",
            "sha-1",
            "sha-1 4A:",
            "sha-1 4A:+1",
            "sha-1 4AAD",
            "sha-1 XX",
        ] {
            assert_eq!(
                Fingerprint::read(&Attribute::new("fingerprint", bad)),
                None,
                "{bad}"
            );
        }
    }
}
