//! Nonces that say themselves when they were made.

use base::Rng;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::{
    fmt,
    time::{Duration, Instant},
};

/// What a nonce of ours says: when it was made, in milliseconds of its server's life, and which of
/// that moment it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Nonce {
    made: u64,
    serial: u32,
}

/// Makes nonces and reads them: time and serial number, and a hash of both under a key that nobody
/// else has (RFC 7616, 5.4). `Debug` does not show the key.
pub(super) struct Mint {
    key: [u8; 32],
    start: Instant,
    serial: u32,
}

impl Mint {
    pub(super) fn new(now: Instant, rng: &mut Rng) -> Self {
        let mut key = [0; 32];
        rng.fill(&mut key);
        Self {
            key,
            start: now,
            serial: 0,
        }
    }

    /// Makes a nonce for a realm, in hexadecimal.
    pub(super) fn make(&mut self, now: Instant, realm: &str) -> String {
        self.serial = self.serial.wrapping_add(1);
        let said = Nonce {
            made: self.time(now),
            serial: self.serial,
        }
        .to_bytes();
        let proof = self.mac(&said, realm).finalize().into_bytes();
        let mut nonce = String::with_capacity(2 * (SAID + PROOF));
        for byte in said.iter().chain(&proof[..PROOF]) {
            nonce.push(char::from(DIGITS[usize::from(byte >> 4)]));
            nonce.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        nonce
    }

    /// Reads a nonce; `None` if it is not ours, or not of this realm.
    pub(super) fn read(&self, nonce: &[u8], realm: &str) -> Option<Nonce> {
        let mut bytes = [0; SAID + PROOF];
        if nonce.len() != 2 * bytes.len() {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(nonce.chunks_exact(2)) {
            *byte = digit(digits[0])? << 4 | digit(digits[1])?;
        }
        let (said, proof) = bytes.split_at(SAID);
        self.mac(said, realm).verify_truncated_left(proof).ok()?;
        let (made, serial) = said.split_at(8);
        Some(Nonce {
            made: u64::from_be_bytes(made.try_into().ok()?),
            serial: u32::from_be_bytes(serial.try_into().ok()?),
        })
    }

    /// How long ago a nonce was made.
    pub(super) fn age(&self, now: Instant, nonce: Nonce) -> Duration {
        Duration::from_millis(self.time(now).saturating_sub(nonce.made))
    }

    fn time(&self, now: Instant) -> u64 {
        let life = now.saturating_duration_since(self.start);
        u64::try_from(life.as_millis()).unwrap_or(u64::MAX)
    }

    fn mac(&self, said: &[u8], realm: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(said);
        mac.update(realm.as_bytes());
        mac
    }
}

impl fmt::Debug for Mint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mint(..)")
    }
}

impl Nonce {
    fn to_bytes(self) -> [u8; SAID] {
        let mut bytes = [0; SAID];
        bytes[..8].copy_from_slice(&self.made.to_be_bytes());
        bytes[8..].copy_from_slice(&self.serial.to_be_bytes());
        bytes
    }
}

/// Lower case only: a nonce comes back as it went.
const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";
/// Bytes of time and serial number.
const SAID: usize = 12;
/// Bytes of the hash: nobody guesses 128 bits.
const PROOF: usize = 16;
