//! Which transforms protect packets.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A protection profile: cipher, authentication and the lengths of keys and tags. A profile without
/// encryption or without authentication does not exist.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Profile {
    /// AES in counter mode with 128 bits, tags of 80 bits (RFC 3711, RFC 4568 6.2.1): what everybody has.
    #[serde(rename = "AES_CM_128_HMAC_SHA1_80")]
    AesCm128HmacSha1_80,
    /// The same with tags of 32 bits on RTP; those on RTCP have 80 (RFC 4568, 6.2.2).
    #[serde(rename = "AES_CM_128_HMAC_SHA1_32")]
    AesCm128HmacSha1_32,
    /// AES in counter mode with 256 bits (RFC 6188), tags of 80 bits.
    #[serde(rename = "AES_256_CM_HMAC_SHA1_80")]
    AesCm256HmacSha1_80,
    /// The same with tags of 32 bits on RTP.
    #[serde(rename = "AES_256_CM_HMAC_SHA1_32")]
    AesCm256HmacSha1_32,
    /// AES-GCM with 128 bits, tags of 128 (RFC 7714).
    #[serde(rename = "AEAD_AES_128_GCM")]
    AeadAes128Gcm,
    /// AES-GCM with 256 bits, tags of 128 (RFC 7714).
    #[serde(rename = "AEAD_AES_256_GCM")]
    AeadAes256Gcm,
}

impl Profile {
    /// All of them, strongest first.
    pub const ALL: [Self; 6] = [
        Self::AeadAes256Gcm,
        Self::AeadAes128Gcm,
        Self::AesCm256HmacSha1_80,
        Self::AesCm128HmacSha1_80,
        Self::AesCm256HmacSha1_32,
        Self::AesCm128HmacSha1_32,
    ];

    /// The name of the crypto suite in SDP (RFC 4568, 6.2; RFC 6188, 6.1; RFC 7714, 14.1).
    pub const fn suite(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesCm256HmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::AesCm256HmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// The profile of a crypto suite; names are compared without regard to case (RFC 4568, 9.2 takes
    /// them from ABNF).
    pub fn of_suite(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.suite().eq_ignore_ascii_case(name))
    }

    /// Bytes of a master key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 | Self::AeadAes128Gcm => 16,
            Self::AesCm256HmacSha1_80 | Self::AesCm256HmacSha1_32 | Self::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of a master salt.
    pub const fn salt_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80
            | Self::AesCm128HmacSha1_32
            | Self::AesCm256HmacSha1_80
            | Self::AesCm256HmacSha1_32 => 14,
            // RFC 7714, 12.
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }

    /// How much longer an RTP packet becomes, in bytes.
    pub const fn rtp_overhead(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm256HmacSha1_80 => 10,
            Self::AesCm128HmacSha1_32 | Self::AesCm256HmacSha1_32 => 4,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }

    /// How much longer an RTCP packet becomes, in bytes: the tag, and four of index.
    pub const fn rtcp_overhead(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80
            | Self::AesCm256HmacSha1_80
            | Self::AesCm128HmacSha1_32
            | Self::AesCm256HmacSha1_32 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 20,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.suite())
    }
}
