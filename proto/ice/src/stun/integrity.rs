//! MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 and FINGERPRINT (RFC 8489, 14.5 to 14.7).

use super::{attribute::AttributeType, header::HEADER};
use crc::{CRC_32_ISO_HDLC, Crc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use sha1::Sha1;
use sha2::Sha256;
use std::fmt;

/// What protects a message; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Box<[u8]>);

impl Key {
    /// Short-term credentials: the password (RFC 8489, 9.1.1), which has to be in the form of
    /// OpaqueString (RFC 8265) already; what ICE makes always is.
    pub fn short_term(password: &str) -> Self {
        Self(password.as_bytes().into())
    }

    /// Long-term credentials as all servers know them (RFC 8489, 9.2.2, MD5), of text in the form of
    /// OpaqueString (RFC 8265).
    pub fn long_term(username: &str, realm: &str, password: &str) -> Self {
        Self(Box::from(
            &Md5::digest(format!("{username}:{realm}:{password}"))[..],
        ))
    }

    /// Long-term credentials by the password algorithm SHA-256 (RFC 8489, 9.2.2, 18.5.1.2).
    pub fn long_term_sha256(username: &str, realm: &str, password: &str) -> Self {
        Self(Box::from(
            &Sha256::digest(format!("{username}:{realm}:{password}"))[..],
        ))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// How a message is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protection {
    /// MESSAGE-INTEGRITY: HMAC-SHA1.
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256: HMAC-SHA256, written whole and read cut to 16 bytes at least.
    Sha256,
}

impl Protection {
    pub(super) const fn attribute(self) -> AttributeType {
        match self {
            Self::Sha1 => AttributeType::MESSAGE_INTEGRITY,
            Self::Sha256 => AttributeType::MESSAGE_INTEGRITY_SHA256,
        }
    }
}

/// What comparing the protection of a message has shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Integrity {
    /// It is not protected so.
    Missing,
    /// Whoever sent it does not know the key, or somebody changed it.
    Wrong,
    /// It is what the owner of the key sent.
    Right,
}

/// The protection of a message whose attribute for it begins at `at`, and how many of the bytes it has.
pub(super) fn of(protection: Protection, key: &Key, bytes: &[u8], at: usize) -> ([u8; 32], usize) {
    let mut value = [0; SHA256];
    let length = match protection {
        Protection::Sha1 => {
            let mut mac = keyed_sha1(key);
            feed(bytes, at, SHA1, |part| mac.update(part));
            value[..SHA1].copy_from_slice(&mac.finalize().into_bytes());
            SHA1
        }
        Protection::Sha256 => {
            let mut mac = keyed_sha256(key);
            feed(bytes, at, SHA256, |part| mac.update(part));
            value.copy_from_slice(&mac.finalize().into_bytes());
            SHA256
        }
    };
    (value, length)
}

/// Compares in a time that says nothing of where the difference is.
pub(super) fn matches(
    protection: Protection,
    key: &Key,
    bytes: &[u8],
    at: usize,
    value: &[u8],
) -> bool {
    match protection {
        Protection::Sha1 => {
            let mut mac = keyed_sha1(key);
            feed(bytes, at, value.len(), |part| mac.update(part));
            mac.verify_slice(value).is_ok()
        }
        Protection::Sha256 => {
            // RFC 8489, 14.6
            if !(16..=SHA256).contains(&value.len()) || !value.len().is_multiple_of(4) {
                return false;
            }
            let mut mac = keyed_sha256(key);
            feed(bytes, at, value.len(), |part| mac.update(part));
            mac.verify_truncated_left(value).is_ok()
        }
    }
}

/// The value of FINGERPRINT for a message that ends before it.
pub(super) fn fingerprint(bytes: &[u8]) -> u32 {
    let mut digest = CRC.digest();
    feed(bytes, bytes.len(), 4, |part| digest.update(part));
    digest.finalize() ^ 0x5354_554e
}

/// RFC 8489, 14.5: what stands before the attribute, with a length that ends after it.
fn feed(bytes: &[u8], at: usize, value: usize, mut update: impl FnMut(&[u8])) {
    let length = at.saturating_sub(HEADER) + 4 + value;
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    update(&bytes[..2]);
    update(&length.to_be_bytes());
    update(&bytes[4..at]);
}

fn keyed_sha1(key: &Key) -> Hmac<Sha1> {
    Hmac::new_from_slice(&key.0).expect("HMAC takes keys of any length")
}

fn keyed_sha256(key: &Key) -> Hmac<Sha256> {
    Hmac::new_from_slice(&key.0).expect("HMAC takes keys of any length")
}

/// Made once: its table costs more than a message.
static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
const SHA1: usize = 20;
const SHA256: usize = 32;
