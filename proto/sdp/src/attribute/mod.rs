//! `a=` lines: kept as text in their order, read as typed values.

mod candidate;
mod crypto;
mod direction;
mod fingerprint;
mod fmtp;
mod rtcp;
mod rtpmap;
mod setup;

pub use candidate::{Candidate, RemoteCandidates};
pub use crypto::{Crypto, InlineKey};
pub use direction::Direction;
pub use fingerprint::Fingerprint;
pub use fmtp::Fmtp;
pub use rtcp::Rtcp;
pub use rtpmap::RtpMap;
pub use setup::Setup;

use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::Text;

/// One `a=` line (RFC 8866, section 5.13; SDP-05): a name, and a value if there is a colon.
///
/// Replaced as a whole, never edited in place.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attribute {
    text: Text,
    name_length: u32,
}

impl Attribute {
    /// Makes an attribute with a value: `a=name:value`.
    pub fn new(name: &str, value: impl fmt::Display) -> Self {
        Self::from(Text::from(format!("{name}:{value}")))
    }

    /// Makes an attribute without a value: `a=name`.
    pub fn flag(name: &'static str) -> Self {
        Self::from(Text::from(name))
    }

    /// Names the attribute: all before the first colon.
    #[inline]
    pub fn name(&self) -> &str {
        &self.text[..self.name_length as usize]
    }

    /// Reads the value: all behind the first colon.
    pub fn value(&self) -> Option<&str> {
        self.text.get(self.name_length as usize + 1..)
    }

    /// Reads the value as a text of its own, sharing the buffer.
    pub fn value_text(&self) -> Option<Text> {
        let from = self.name_length as usize + 1;
        (from <= self.text.len()).then(|| self.text.slice(from..self.text.len()))
    }

    /// Reads all behind `a=`.
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Tells whether this attribute has that name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name)
    }

    pub(crate) fn with_name_length(text: Text, name_length: usize) -> Self {
        Self {
            text,
            name_length: name_length as u32,
        }
    }
}

impl From<Text> for Attribute {
    /// Splits the text behind `a=` at its first colon.
    fn from(text: Text) -> Self {
        let name_length = text.find(':').unwrap_or(text.len());
        Self::with_name_length(text, name_length)
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of key attributes are secrets (RFC 4568, section 7.4; RFC 8839, section 5.4).
        if SECRET.iter().any(|name| self.is(name)) {
            return write!(f, "a={}:(secret)", self.name());
        }
        write!(f, "a={}", self.as_str())
    }
}

/// The `a=` lines of a session or of one m-line, in their order; a `Vec` with look-up by name.
///
/// Names are compared in any case. Where an attribute that stands once is there twice, the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub Vec<Attribute>);

impl Attributes {
    /// Finds the first attribute of that name.
    pub fn find(&self, name: &str) -> Option<&Attribute> {
        self.0.iter().find(|attribute| attribute.is(name))
    }

    /// Walks all attributes of that name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &Attribute> {
        self.0.iter().filter(move |attribute| attribute.is(name))
    }

    /// Reads the value of the first attribute of that name, without blanks around it.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.find(name)?.value().map(str::trim)
    }

    /// Tells whether there is an attribute of that name.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Puts the attribute in the place of the first one of its name, drops the others, or appends it.
    pub fn set(&mut self, attribute: Attribute) {
        let place = self.0.iter().position(|other| other.is(attribute.name()));
        self.remove(attribute.name());
        let place = place.unwrap_or(self.0.len());
        self.0.insert(place, attribute);
    }

    /// Drops all attributes of that name.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|attribute| !attribute.is(name));
    }

    /// Reads the direction attribute: the first of `sendrecv`, `sendonly`, `recvonly`, `inactive`.
    pub fn direction(&self) -> Option<Direction> {
        self.0
            .iter()
            .find_map(|attribute| Direction::from_name(attribute.name()))
    }

    /// Replaces whatever direction attribute is there.
    pub fn set_direction(&mut self, direction: Direction) {
        let is_direction = |other: &Attribute| Direction::from_name(other.name()).is_some();
        let place = self.0.iter().position(is_direction).unwrap_or(self.0.len());
        self.0.retain(|other| !is_direction(other));
        self.0.insert(place, Attribute::flag(direction.name()));
    }

    /// Tells whether an ICE attribute is there (RFC 8839, section 5; SDP-07).
    pub fn has_ice(&self) -> bool {
        self.0
            .iter()
            .any(|attribute| attribute.is("ice-ufrag") || attribute.is("candidate"))
    }
}

impl Deref for Attributes {
    type Target = Vec<Attribute>;
    fn deref(&self) -> &Vec<Attribute> {
        &self.0
    }
}

impl DerefMut for Attributes {
    fn deref_mut(&mut self) -> &mut Vec<Attribute> {
        &mut self.0
    }
}

impl FromIterator<Attribute> for Attributes {
    fn from_iter<I: IntoIterator<Item = Attribute>>(attributes: I) -> Self {
        Self(attributes.into_iter().collect())
    }
}

/// Attributes whose value must not be shown by `Debug`.
const SECRET: [&str; 3] = ["crypto", "ice-pwd", "key-mgmt"];

#[cfg(test)]
mod tests {
    use super::*;

    /// SDP-05: a name, and a value or none.
    #[test]
    fn name_and_value() {
        let attribute = Attribute::new("fmtp", "101 0-15:x");
        assert_eq!(
            (attribute.name(), attribute.value()),
            ("fmtp", Some("101 0-15:x"))
        );
        assert_eq!(attribute.value_text(), Some(Text::from("101 0-15:x")));
        let flag = Attribute::flag("sendonly");
        assert_eq!(
            (flag.name(), flag.value(), flag.value_text()),
            ("sendonly", None, None)
        );
        let empty = Attribute::from(Text::from("x:"));
        assert_eq!((empty.name(), empty.value()), ("x", Some("")));
        assert_eq!(empty.value_text(), Some(Text::default()));
    }

    #[test]
    fn set_keeps_the_place_and_drops_duplicates() {
        let mut list: Attributes = [
            Attribute::new("ptime", 20),
            Attribute::flag("x"),
            Attribute::new("PTIME", 30),
        ]
        .into_iter()
        .collect();
        list.set(Attribute::new("ptime", 40));
        assert_eq!(list.0, [Attribute::new("ptime", 40), Attribute::flag("x")]);
        list.set(Attribute::flag("y"));
        list.set_direction(Direction::SendOnly);
        list.set_direction(Direction::Inactive);
        let names: Vec<&str> = list.iter().map(Attribute::name).collect();
        assert_eq!(names, ["ptime", "x", "y", "inactive"]);
    }

    #[test]
    fn keys_are_not_shown() {
        let crypto = Attribute::new("crypto", "1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0");
        let shown = format!("{crypto:?} {:?}", Attribute::new("ice-pwd", "hunter2"));
        assert_eq!(shown, "a=crypto:(secret) a=ice-pwd:(secret)");
    }
}
