//! The certificate that we show, and its key.

use crate::{draw, fingerprint, provider};
use base::Rng;
use p256::{
    SecretKey,
    ecdsa::{Signature, SigningKey, signature::Signer as _},
};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    sync::{Arc, OnceLock},
};

/// A certificate with its key: ECDSA on P-256, signed by itself. Nobody need trust it: what counts is the
/// fingerprint in the description (RFC 5763, 5). `Debug` does not show the key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// A certificate and a key that do not belong together, or of another kind than ECDSA on P-256.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("certificate and key are not of P-256, or do not belong together")]
pub struct BadIdentity;

impl Identity {
    /// Takes a certificate in DER and its key in PKCS#8.
    ///
    /// # Errors
    ///
    /// The key is none of P-256, or another one than the certificate's.
    pub fn new(certificate: Vec<u8>, key: Vec<u8>) -> Result<Self, BadIdentity> {
        use p256::pkcs8::DecodePrivateKey as _;
        let secret = SecretKey::from_pkcs8_der(&key).map_err(|_| BadIdentity)?;
        let point = secret.public_key().to_sec1_bytes();
        // The certificate names the key in an uncompressed point, letter by letter.
        let names = certificate.windows(point.len()).any(|part| *part == *point);
        match names {
            true => Ok(Self { certificate, key }),
            false => Err(BadIdentity),
        }
    }

    /// Makes a new one.
    pub fn generate(rng: &mut Rng) -> Self {
        let (secret, serial) = draw::lend(rng, || {
            let mut serial = [0; 16];
            draw::fill(&mut serial);
            (provider::secret_key(), serial)
        });
        let secret = secret.expect("randomness was lent");
        Self {
            certificate: certificate(&secret, serial),
            key: pkcs8(&secret),
        }
    }

    /// In DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// What stands in `a=fingerprint`, by SHA-256.
    pub fn fingerprint(&self) -> [u8; 32] {
        fingerprint::sha256(&self.certificate)
    }

    pub(crate) fn dimpl(&self) -> dimpl::DtlsCertificate {
        dimpl::DtlsCertificate {
            certificate: self.certificate.clone(),
            private_key: self.key.clone(),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

/// The identity of an agent: the one it was given, or one that is made when it is first asked for.
#[derive(Clone)]
pub struct Credentials(Arc<Inner>);

struct Inner {
    rng: Rng,
    identity: OnceLock<Identity>,
}

impl Credentials {
    /// Takes an identity, or draws one from `rng` when it is needed: an agent without DTLS need not pay.
    pub fn new(given: Option<Identity>, rng: Rng) -> Self {
        let identity = given.map_or_else(OnceLock::new, OnceLock::from);
        Self(Arc::new(Inner { rng, identity }))
    }

    /// The same one each time.
    pub fn identity(&self) -> &Identity {
        let make = || Identity::generate(&mut self.0.rng.clone());
        self.0.identity.get_or_init(make)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// A certificate of version 3 (RFC 5280, 4.1), for as long as there are dates: it ends with its agent, and
/// says nothing about when that began (4.1.2.5).
fn certificate(secret: &SecretKey, mut serial: [u8; 16]) -> Vec<u8> {
    // 4.1.2.2: positive, and its first octet is none that could be left out.
    serial[0] = serial[0] & 0x3f | 0x40;
    let algorithm = der(SEQUENCE, &[&oid(ECDSA_WITH_SHA256)]);
    let name = [oid(COMMON_NAME), der(UTF8_STRING, &[NAME])].concat();
    let name = der(SEQUENCE, &[&der(SET, &[&der(SEQUENCE, &[&name])])]);
    let validity = [
        der(UTC_TIME, &[b"700101000000Z"]),
        der(GENERALIZED_TIME, &[b"99991231235959Z"]),
    ];
    let point = secret.public_key().to_sec1_bytes();
    let key = [key_algorithm(), der(BIT_STRING, &[&[0], &point])];
    let signed = der(
        SEQUENCE,
        &[
            &der(EXPLICIT_0, &[&der(INTEGER, &[&[2]])]),
            &der(INTEGER, &[&serial]),
            &algorithm,
            &name,
            &der(SEQUENCE, &[&validity.concat()]),
            &name,
            &der(SEQUENCE, &[&key.concat()]),
        ],
    );
    let signature: Signature = SigningKey::from(secret).sign(&signed);
    let signature = der(BIT_STRING, &[&[0], signature.to_der().as_bytes()]);
    der(SEQUENCE, &[&signed, &algorithm, &signature])
}

/// RFC 5208, 5 around RFC 5915, 3.
fn pkcs8(secret: &SecretKey) -> Vec<u8> {
    let scalar = der(OCTET_STRING, &[&secret.to_bytes()]);
    let key = der(SEQUENCE, &[&der(INTEGER, &[&[1]]), &scalar]);
    let version = der(INTEGER, &[&[0]]);
    der(
        SEQUENCE,
        &[&version, &key_algorithm(), &der(OCTET_STRING, &[&key])],
    )
}

/// RFC 5480, 2.1.1.
fn key_algorithm() -> Vec<u8> {
    der(SEQUENCE, &[&oid(EC_PUBLIC_KEY), &oid(PRIME256V1)])
}

fn oid(encoded: &[u8]) -> Vec<u8> {
    der(OBJECT_IDENTIFIER, &[encoded])
}

/// A value of DER: everything here is shorter than 64 KiB.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut value = vec![tag];
    match u16::try_from(content.len())
        .unwrap_or(u16::MAX)
        .to_be_bytes()
    {
        [0, short @ 0..=0x7f] => value.push(short),
        [0, byte] => value.extend([0x81, byte]),
        [high, low] => value.extend([0x82, high, low]),
    }
    value.extend(content);
    value
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const EXPLICIT_0: u8 = 0xa0;
/// 1.2.840.10045.4.3.2
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
/// 1.2.840.10045.2.1
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
/// 1.2.840.10045.3.1.7
const PRIME256V1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const NAME: &[u8] = b"sipsimple";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_makes_one_certificate_and_debug_shows_no_key() {
        let mut rng = Rng::from_seed([1; 32]);
        let identity = Identity::generate(&mut rng.clone());
        assert_eq!(identity, Identity::generate(&mut rng.clone()));
        let credentials = Credentials::new(None, rng.clone());
        assert_eq!(*credentials.identity(), identity);
        rng.u64();
        let other = Identity::generate(&mut rng);
        assert_ne!(identity.fingerprint(), other.fingerprint());
        assert_eq!(
            format!("{identity:?} {credentials:?}"),
            "Identity Credentials"
        );

        let given = Identity::new(identity.certificate.clone(), identity.key.clone());
        assert_eq!(given.as_ref(), Ok(&identity));
        let credentials = Credentials::new(given.ok(), rng);
        assert_eq!(*credentials.identity(), identity);
        let foreign = Identity::new(identity.certificate.clone(), other.key);
        assert_eq!(foreign, Err(BadIdentity));
        assert_eq!(
            Identity::new(identity.certificate, vec![1]),
            Err(BadIdentity)
        );
    }
}
