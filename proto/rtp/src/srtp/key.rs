//! The master key, and the session keys that come from it (RFC 3711, 4.3).

use super::{
    Profile,
    transform::{Transform, keystream},
};
use aes::{Aes128, Aes256, cipher::KeyInit as _};
use std::fmt;
use subtle::ConstantTimeEq as _;

/// A master key with its salt; `Debug` shows neither.
#[derive(Clone)]
pub struct MasterKey {
    profile: Profile,
    /// The key, then the salt.
    material: [u8; MAX_MATERIAL],
}

impl MasterKey {
    /// A key of `profile`: the key, followed by its salt, as they stand in a=crypto (RFC 4568, 6.1).
    ///
    /// Nothing if `material` has not exactly the length of both.
    pub fn new(profile: Profile, material: &[u8]) -> Option<Self> {
        if material.len() != profile.key_len() + profile.salt_len() {
            return None;
        }
        let mut kept = [0; MAX_MATERIAL];
        kept[..material.len()].copy_from_slice(material);
        Some(Self {
            profile,
            material: kept,
        })
    }

    /// What it is a key of.
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// The key, followed by its salt: a secret.
    pub fn material(&self) -> &[u8] {
        &self.material[..self.profile.key_len() + self.profile.salt_len()]
    }

    /// The transform of RTP packets.
    pub(super) fn rtp(&self) -> Transform {
        self.transform(0, self.profile.rtp_overhead())
    }

    /// The transform of RTCP packets.
    pub(super) fn rtcp(&self) -> Transform {
        self.transform(3, self.profile.rtcp_overhead() - 4)
    }

    /// RFC 3711, 4.3.2: labels 0 to 2 are for RTP, 3 to 5 for RTCP: cipher, authentication, salt.
    fn transform(&self, first: u8, tag: usize) -> Transform {
        let mut key = [0; 32];
        let key = &mut key[..self.profile.key_len()];
        self.derive(first, key);
        let mut auth = [0; 20];
        self.derive(first + 1, &mut auth);
        let mut salt = [0; 14];
        self.derive(first + 2, &mut salt[..self.profile.salt_len()]);
        Transform::new(self.profile, key, &auth, salt, tag)
    }

    /// RFC 3711, 4.3.1 and 4.3.3 with a key derivation rate of 0: the label is added to the salt, and
    /// the keystream of the master key from there on is the session key. A salt of 96 bits stands in
    /// front (RFC 7714, 11).
    pub(super) fn derive(&self, label: u8, out: &mut [u8]) {
        let (key, salt) = self.material().split_at(self.profile.key_len());
        let mut iv = [0; 16];
        iv[..salt.len()].copy_from_slice(salt);
        iv[7] ^= label;
        out.fill(0);
        if let Ok(key) = <&[u8; 16]>::try_from(key) {
            keystream(&Aes128::new(key.into()), &iv, out);
        } else if let Ok(key) = <&[u8; 32]>::try_from(key) {
            keystream(&Aes256::new(key.into()), &iv, out);
        }
    }
}

impl PartialEq for MasterKey {
    fn eq(&self, other: &Self) -> bool {
        self.profile == other.profile && bool::from(self.material.ct_eq(&other.material))
    }
}

impl Eq for MasterKey {}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, ..)", self.profile)
    }
}

/// The longest: 256 bits and a salt of 112.
const MAX_MATERIAL: usize = 46;
