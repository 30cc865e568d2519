//! Tags of responses that no state remembers.

use crate::{HeaderName, Headers};
use base::{Rng, digest::HashFunction};
use std::fmt;

/// Makes the tag of a response from its request: the same for each copy of it (RFC 3261, 8.2.7), and
/// none that a stranger could foretell. `Debug` does not show the key.
pub(super) struct TagKey([u8; 16]);

impl TagKey {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let mut key = [0; 16];
        rng.fill(&mut key);
        Self(key)
    }

    /// The tag for a request with these headers.
    pub(super) fn tag(&self, headers: &Headers) -> Box<str> {
        let value = |name| headers.get(name).unwrap_or_default();
        let parts: [&[u8]; 5] = [
            &self.0,
            value(HeaderName::Via),
            value(HeaderName::From),
            value(HeaderName::CallId),
            value(HeaderName::CSeq),
        ];
        HashFunction::Sha256.hex(&parts).as_str()[..TAG_LEN].into()
    }
}

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagKey(..)")
    }
}

/// 64 bits in hexadecimal.
const TAG_LEN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_a_request_get_one_tag() {
        let mut rng = Rng::from_seed([1; 32]);
        let (ours, other) = (TagKey::new(&mut rng), TagKey::new(&mut rng));
        let mut request = Headers::new();
        request.push(HeaderName::CallId, "a");
        let tag = ours.tag(&request);
        assert_eq!(tag.len(), TAG_LEN);
        assert_eq!(ours.tag(&request.clone()), tag);
        assert_ne!(other.tag(&request), tag, "the key counts");
        request.push(HeaderName::CSeq, "2 OPTIONS");
        assert_ne!(ours.tag(&request), tag, "the request counts");
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", TagKey([0x5a; 16])), "TagKey(..)");
    }
}
