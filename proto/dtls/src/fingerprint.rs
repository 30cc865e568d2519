//! Fingerprints of certificates (RFC 8122, 5).

use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// A hash function for fingerprints. The others of RFC 8122 are broken (MD2, MD5, SHA-1) or nobody's
/// (SHA-224): a description with nothing else is refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Hash {
    /// What everybody has.
    Sha256,
    /// The longer ones.
    Sha384,
    /// The longest.
    Sha512,
}

impl Hash {
    /// The function of a name in SDP, in any case.
    pub fn of_name(name: &str) -> Option<Self> {
        let known = [
            ("sha-256", Self::Sha256),
            ("sha-384", Self::Sha384),
            ("sha-512", Self::Sha512),
        ];
        let mut known = known.into_iter();
        known.find_map(|(word, hash)| word.eq_ignore_ascii_case(name).then_some(hash))
    }

    fn digest(self, certificate: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(certificate).to_vec(),
            Self::Sha384 => Sha384::digest(certificate).to_vec(),
            Self::Sha512 => Sha512::digest(certificate).to_vec(),
        }
    }
}

/// The fingerprint of a certificate in DER, by SHA-256.
pub(crate) fn sha256(certificate: &[u8]) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

/// Which certificates a description allows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expected(Vec<(Hash, Vec<u8>)>);

impl Expected {
    /// Takes the fingerprints of a description by the names of their hash functions; `None` if none of
    /// them can be checked. The order does not count.
    pub fn new<'a>(fingerprints: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Option<Self> {
        let known = fingerprints.into_iter().filter_map(|(name, digest)| {
            let hash = Hash::of_name(name)?;
            Some((hash, digest.to_vec()))
        });
        let mut known: Vec<_> = known.take(MAX_FINGERPRINTS).collect();
        known.sort_unstable();
        known.dedup();
        (!known.is_empty()).then_some(Self(known))
    }

    /// Whether a certificate is one of them: by the strongest function alone (RFC 8122, 5: the preferred one
    /// of each side), since what a weaker one says proves less.
    pub fn allows(&self, certificate: &[u8]) -> bool {
        let Some((strongest, _)) = self.0.last() else {
            return false;
        };
        let digest = strongest.digest(certificate);
        self.0
            .iter()
            .any(|(hash, expected)| hash == strongest && *expected == digest)
    }
}

/// As many certificates as anybody can have on one line.
const MAX_FINGERPRINTS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_function_decides_and_broken_ones_do_not_count() {
        let certificate = b"what stands for a certificate";
        let right = |hash: Hash| hash.digest(certificate);
        let name = |hash| match hash {
            Hash::Sha256 => "SHA-256",
            Hash::Sha384 => "sha-384",
            Hash::Sha512 => "sha-512",
        };
        for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            let digest = right(hash);
            let expected = Expected::new([(name(hash), &digest[..])]).unwrap();
            assert!(expected.allows(certificate));
            assert!(!expected.allows(b"another"));
            let mut other = digest.clone();
            other[7] ^= 0x10;
            let wrong = Expected::new([(name(hash), &other[..])]).unwrap();
            assert!(!wrong.allows(certificate));
            // One of several certificates.
            let both = Expected::new([(name(hash), &other[..]), (name(hash), &digest[..])]);
            assert!(both.unwrap().allows(certificate));
        }
        // The weaker is right, the stronger is not.
        let (weak, strong) = (right(Hash::Sha256), vec![0; 64]);
        let mixed = Expected::new([("sha-256", &weak[..]), ("sha-512", &strong[..])]).unwrap();
        assert!(!mixed.allows(certificate));
        for broken in ["md2", "md5", "sha-1", "sha-224", "", "sha-2560"] {
            assert_eq!(Expected::new([(broken, &weak[..])]), None, "{broken}");
        }
        // What cannot be checked beside what can is passed over, and the order is nobody's business.
        let one = Expected::new([("sha-1", &weak[..20]), ("sha-256", &weak[..])]);
        assert_eq!(one, Expected::new([("sha-256", &weak[..])]));
        let reversed = Expected::new([("sha-512", &strong[..]), ("sha-256", &weak[..])]).unwrap();
        assert_eq!(reversed, mixed);
    }
}
