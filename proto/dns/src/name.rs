//! Domain names.

use serde::{Serialize, Serializer};
use std::fmt;

/// A domain name: lower case, without the last dot; the root is empty.
///
/// Labels are of visible ASCII characters other than the dot and the backslash: whatever else DNS allows
/// stands in no URI and in no configuration (RFC 1035, 2.3.1; `_` as RFC 2782 wants it).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// Text that is no domain name that we use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a domain name")]
pub struct InvalidName;

impl Name {
    /// Reads a name, with or without the last dot.
    ///
    /// # Errors
    ///
    /// A label is empty, longer than 63 bytes or has a character that names of hosts and services do
    /// not have, or the name is longer than 253 bytes.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let is_label = |label: &str| {
            let usual = |b: u8| b.is_ascii_graphic() && b != b'\\';
            !label.is_empty() && label.len() <= MAX_LABEL && label.bytes().all(usual)
        };
        match text.len() <= MAX_NAME && text.split('.').all(is_label) {
            true => Ok(Self(text.to_ascii_lowercase().into())),
            false => Err(InvalidName),
        }
    }

    /// The root, `.`: as the target of a SRV record it says that there is no service (RFC 2782).
    pub fn root() -> Self {
        Self("".into())
    }

    /// The name below this one whose first labels are `prefix`.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn below(&self, prefix: &str) -> Result<Self, InvalidName> {
        match self.is_root() {
            true => Self::new(prefix),
            false => Self::new(&format!("{prefix}.{self}")),
        }
    }

    /// True for the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// True if it is `zone` or stands below it.
    pub fn is_within(&self, zone: &Self) -> bool {
        match self.0.strip_suffix(&*zone.0) {
            Some(rest) => zone.is_root() || rest.is_empty() || rest.ends_with('.'),
            None => false,
        }
    }

    /// The name without its first label; `None` for the root.
    pub(crate) fn parent(&self) -> Option<Self> {
        let (_, rest) = self
            .0
            .split_once('.')
            .or_else(|| (!self.is_root()).then_some(("", "")))?;
        match rest {
            "" => Some(Self::root()),
            rest => Self::new(rest).ok(),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The labels, first to last.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &str> {
        self.0.split('.').filter(|label| !label.is_empty())
    }

    /// Puts a name of the wire together; `None` if it is none that we use.
    pub(crate) fn from_labels<'a>(labels: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut text = String::new();
        for label in labels {
            // A dot inside a label would read as two labels.
            if label.contains(&b'.') {
                return None;
            }
            text.push_str(std::str::from_utf8(label).ok()?);
            text.push('.');
        }
        match text.is_empty() {
            true => Some(Self::root()),
            false => Self::new(&text).ok(),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_root() {
            true => f.write_str("."),
            false => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// RFC 1035, 2.3.4.
const MAX_LABEL: usize = 63;
/// RFC 1035, 2.3.4: 255 bytes on the wire, of which the first length and the root take two.
const MAX_NAME: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn names_are_read_and_compared_without_case() {
        assert_eq!(
            name("_SIP._udp.Example.COM."),
            name("_sip._udp.example.com")
        );
        assert_eq!(name("example.com").to_string(), "example.com");
        assert_eq!(Name::root().to_string(), ".");
        assert_eq!(
            name("example.com").below("_sip._tcp"),
            Name::new("_sip._tcp.example.com")
        );
        assert_eq!(Name::root().below("com"), Name::new("com"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "a".repeat(64);
        let many = ["abcdefg"; 32].join(".");
        for text in [
            "", ".", "a..b", ".a", "a b", "a\\b", "é.com", &long, &many, "a\0b",
        ] {
            assert_eq!(Name::new(text), Err(InvalidName), "{text:?}");
        }
        assert!(Name::new(&long[1..]).is_ok());
    }

    #[test]
    fn a_name_is_within_its_zones() {
        let host = name("a.example.com");
        for (zone, expected) in [
            ("a.example.com", true),
            ("example.com", true),
            ("com", true),
            ("b.example.com", false),
            ("ample.com", false),
            ("x.a.example.com", false),
        ] {
            assert_eq!(host.is_within(&name(zone)), expected, "{zone}");
        }
        assert!(host.is_within(&Name::root()));
        assert!(Name::root().is_within(&Name::root()));
    }

    proptest! {
        #[test]
        fn a_name_survives_its_labels(text in "[!-~]{0,80}") {
            if let Ok(name) = Name::new(&text) {
                let labels = name.labels().map(str::as_bytes);
                prop_assert_eq!(Name::from_labels(labels), Some(name.clone()));
                prop_assert_eq!(Name::new(name.as_str()), Ok(name));
            }
        }
    }
}
