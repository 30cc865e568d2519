//! Digest access authentication (RFC 7616, and its older forms RFC 2617 and RFC 2069): reading
//! challenges, computing responses, printing credentials. SIP, MSRP relays and XCAP share it.
//!
//! Which challenge to answer, with which credentials and how often, is the decision of the protocol
//! above. Hashes are computed over values without their quoted-pair escapes.

mod answer;
mod challenge;
mod text;

pub use answer::{Answer, Info};
pub use challenge::{Challenge, Identity, MAX_CHALLENGES, Protected};
pub use text::InvalidChallenge;

use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::{Sha256, Sha512_256};
use std::fmt;
use subtle::ConstantTimeEq as _;

/// A hash function of digest authentication, ordered by strength.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub enum HashFunction {
    /// MD5 (RFC 1321): what is meant when a challenge names nothing.
    #[default]
    Md5,
    /// SHA-512/256 (FIPS 180-4). Below SHA-256 in this order: no stronger, and rarely right in the wild.
    Sha512Trunc256,
    /// SHA-256 (FIPS 180-4).
    Sha256,
}

impl HashFunction {
    /// Hashes the pieces as if they were one, and returns lower-case hexadecimal.
    pub fn hex(self, pieces: &[&[u8]]) -> Hex {
        match self {
            Self::Md5 => hash::<Md5>(pieces),
            Self::Sha512Trunc256 => hash::<Sha512_256>(pieces),
            Self::Sha256 => hash::<Sha256>(pieces),
        }
    }
}

/// An algorithm as challenges name it: a hash function, alone or with a key per session.
///
/// ```
/// use base::digest::Algorithm;
/// assert_eq!(Algorithm::from_name(b"sha-256-SESS").unwrap().name(), "SHA-256-sess");
/// assert_eq!(Algorithm::from_name(b"AKAv1-MD5"), None);
/// ```
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Algorithm {
    /// The hash function.
    pub hash: HashFunction,
    /// True for the `-sess` variants, whose key includes both nonces (RFC 7616, 3.4.2).
    pub session: bool,
}

impl Algorithm {
    /// Reads a name in any case; `None` for algorithms that are not supported.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        NAMES
            .iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()))
            .map(|&(_, algorithm)| algorithm)
    }

    /// The name as RFC 7616, 3.3 writes it.
    pub fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|&&(_, algorithm)| algorithm == self)
            .map_or("MD5", |&(name, _)| name)
    }
}

/// What the response protects (RFC 7616, 3.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Qop {
    /// Method and URI.
    Auth,
    /// Method, URI and body.
    AuthInt,
}

impl Qop {
    /// The token on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }
}

/// What proves an identity: a password, or the hash HA1 made of it. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Secret {
    /// The password itself.
    Password(String),
    /// `H(username ":" realm ":" password)` in hexadecimal: good for one realm and one hash function.
    Ha1 {
        /// The function that made it.
        hash: HashFunction,
        /// Its hexadecimal form, in any case.
        hex: String,
    },
}

impl Secret {
    /// Wraps HA1 in hexadecimal; 32 digits are taken for MD5, 64 for SHA-256.
    ///
    /// # Errors
    ///
    /// If the text is not 32 or 64 hexadecimal digits.
    pub fn from_ha1(hex: impl Into<String>) -> Result<Self, InvalidHa1> {
        let hex = hex.into();
        let hash = match hex.len() {
            32 => HashFunction::Md5,
            64 => HashFunction::Sha256,
            _ => return Err(InvalidHa1),
        };
        match hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            true => Ok(Self::Ha1 { hash, hex }),
            false => Err(InvalidHa1),
        }
    }

    /// True if a challenge with this hash function can be answered.
    pub fn fits(&self, wanted: HashFunction) -> bool {
        match self {
            Self::Password(_) => true,
            Self::Ha1 { hash, .. } => *hash == wanted,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password(..)",
            Self::Ha1 { .. } => "Ha1(..)",
        })
    }
}

/// Text that is no HA1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not 32 or 64 hexadecimal digits")]
pub struct InvalidHa1;

/// Computes HA1 for storage in place of a password.
pub fn ha1(hash: HashFunction, username: &[u8], realm: &[u8], password: &[u8]) -> Hex {
    hash.hex(&[username, b":", realm, b":", password])
}

/// Everything that a response is computed from; all values without quotes and escapes.
#[derive(Clone, Copy)]
pub struct Computation<'a> {
    /// The algorithm of the challenge.
    pub algorithm: Algorithm,
    /// Who answers.
    pub username: &'a [u8],
    /// The realm of the challenge.
    pub realm: &'a [u8],
    /// What proves it.
    pub secret: &'a Secret,
    /// The method of the request; empty for the `rspauth` of a response (RFC 7616, 3.5).
    pub method: &'a [u8],
    /// The `uri` parameter of the credentials: for SIP the Request-URI.
    pub uri: &'a [u8],
    /// The nonce of the challenge.
    pub nonce: &'a [u8],
    /// The chosen protection, or `None` for the form of RFC 2069.
    pub qop: Option<Qop>,
    /// How often this nonce has been used, this time included; unused without `qop`.
    pub nc: u32,
    /// The client's nonce; used by `qop` and by the `-sess` algorithms.
    pub cnonce: &'a [u8],
    /// What the key of a `-sess` algorithm was made with, where that is not `nonce` and `cnonce`.
    pub session: Option<Session<'a>>,
    /// The body of the request; used by `auth-int`.
    pub body: &'a [u8],
}

/// The nonces of the first answer to a challenge: a `-sess` algorithm makes one key of them, which
/// lasts until the next challenge (RFC 7616, 3.4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Session<'a> {
    /// The nonce of the challenge.
    pub nonce: &'a [u8],
    /// What the first answer added.
    pub cnonce: &'a [u8],
}

impl Computation<'_> {
    /// Computes the `response` parameter (RFC 7616, 3.4.1 to 3.4.3).
    pub fn response(&self) -> Hex {
        let hash = self.algorithm.hash;
        let mut ha1 = match self.secret {
            Secret::Password(password) => ha1(hash, self.username, self.realm, password.as_bytes()),
            Secret::Ha1 { hex, .. } => Hex::lower(hex.as_bytes()),
        };
        if self.algorithm.session {
            // RFC 7616, 3.4.2
            let first = self.session.unwrap_or(Session {
                nonce: self.nonce,
                cnonce: self.cnonce,
            });
            ha1 = hash.hex(&[ha1.as_bytes(), b":", first.nonce, b":", first.cnonce]);
        }
        let ha2 = match self.qop {
            // RFC 7616, 3.4.3
            Some(Qop::AuthInt) => {
                let body = hash.hex(&[self.body]);
                hash.hex(&[self.method, b":", self.uri, b":", body.as_bytes()])
            }
            Some(Qop::Auth) | None => hash.hex(&[self.method, b":", self.uri]),
        };
        let Some(qop) = self.qop else {
            // RFC 2617, 3.2.2.1: the form of RFC 2069.
            return hash.hex(&[ha1.as_bytes(), b":", self.nonce, b":", ha2.as_bytes()]);
        };
        let nc = nonce_count(self.nc);
        let qop = qop.name().as_bytes();
        hash.hex(&[
            ha1.as_bytes(),
            b":",
            self.nonce,
            b":",
            &nc,
            b":",
            self.cnonce,
            b":",
            qop,
            b":",
            ha2.as_bytes(),
        ])
    }
}

impl fmt::Debug for Computation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Computation({})", self.algorithm.name())
    }
}

/// The eight hexadecimal digits of a nonce count.
fn nonce_count(nc: u32) -> [u8; 8] {
    let mut digits = [0; 8];
    for (place, byte) in nc.to_be_bytes().into_iter().enumerate() {
        digits[2 * place] = DIGITS[usize::from(byte >> 4)];
        digits[2 * place + 1] = DIGITS[usize::from(byte & 15)];
    }
    digits
}

/// A hash in lower-case hexadecimal, without a place on the heap.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hex {
    digits: [u8; 64],
    len: u8,
}

impl Hex {
    /// The digits.
    pub fn as_bytes(&self) -> &[u8] {
        &self.digits[..usize::from(self.len)]
    }

    /// The digits as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("hexadecimal digits")
    }

    /// True if these are the same digits, in any case; the time it takes says nothing of where they differ.
    pub fn matches(&self, hex: &[u8]) -> bool {
        Self::lower(hex).as_bytes().ct_eq(self.as_bytes()).into()
            && hex.len() == self.as_bytes().len()
    }

    /// Copies digits that came in any case; what exceeds 64 digits is cut.
    fn lower(hex: &[u8]) -> Self {
        let len = hex.len().min(64);
        let mut digits = [0; 64];
        digits[..len].copy_from_slice(&hex[..len]);
        digits.make_ascii_lowercase();
        Self {
            digits,
            len: len as u8,
        }
    }

    fn of(bytes: &[u8]) -> Self {
        let mut digits = [0; 64];
        for (place, byte) in bytes.iter().take(32).enumerate() {
            digits[2 * place] = DIGITS[usize::from(byte >> 4)];
            digits[2 * place + 1] = DIGITS[usize::from(byte & 15)];
        }
        Self {
            digits,
            len: (bytes.len().min(32) * 2) as u8,
        }
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// A hash may stand for a password.
impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hex(..)")
    }
}

fn hash<D: sha2::Digest>(pieces: &[&[u8]]) -> Hex {
    let mut state = D::new();
    for piece in pieces {
        state.update(piece);
    }
    Hex::of(&state.finalize())
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

const NAMES: [(&str, Algorithm); 6] = [
    ("MD5", algorithm(HashFunction::Md5, false)),
    ("MD5-sess", algorithm(HashFunction::Md5, true)),
    ("SHA-256", algorithm(HashFunction::Sha256, false)),
    ("SHA-256-sess", algorithm(HashFunction::Sha256, true)),
    (
        "SHA-512-256",
        algorithm(HashFunction::Sha512Trunc256, false),
    ),
    (
        "SHA-512-256-sess",
        algorithm(HashFunction::Sha512Trunc256, true),
    ),
];

const fn algorithm(hash: HashFunction, session: bool) -> Algorithm {
    Algorithm { hash, session }
}

#[cfg(test)]
mod tests;
