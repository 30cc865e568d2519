//! The cryptography of associations: RustCrypto, with all that is drawn drawn from our own generators.

use crate::draw;
use dimpl::{
    CryptoError, CryptoOperation, NamedGroup,
    crypto::{ActiveKeyExchange, Buf, CryptoProvider, SecureRandom, SupportedKxGroup, rust_crypto},
};
use p256::{PublicKey, SecretKey, ecdh};
use std::fmt;

/// The provider: one group, which every peer must have (RFC 8446, 9.1; RFC 8827, 6.5).
pub(crate) fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: GROUPS,
        secure_random: &Drawn,
        ..rust_crypto::default_provider()
    }
}

/// Randomness that was lent.
#[derive(Debug)]
struct Drawn;

impl SecureRandom for Drawn {
    fn fill(&self, buf: &mut [u8]) -> Result<(), CryptoError> {
        match draw::fill(buf) {
            true => Ok(()),
            false => Err(NOTHING_LENT),
        }
    }
}

#[derive(Debug)]
struct P256;

impl SupportedKxGroup for P256 {
    fn name(&self) -> NamedGroup {
        NamedGroup::Secp256r1
    }

    fn start_exchange(&self, mut buf: Buf) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        let secret = secret_key().ok_or(NOTHING_LENT)?;
        buf.clear();
        buf.extend_from_slice(&secret.public_key().to_sec1_bytes());
        let public = buf;
        Ok(Box::new(Exchange { secret, public }))
    }
}

/// Draws a key of P-256; `None` if nothing is lent.
pub(crate) fn secret_key() -> Option<SecretKey> {
    let mut bytes = [0; 32];
    loop {
        if !draw::fill(&mut bytes) {
            return None;
        }
        // One in 2^32 is no scalar of the group.
        if let Ok(secret) = SecretKey::from_slice(&bytes) {
            return Some(secret);
        }
    }
}

struct Exchange {
    secret: SecretKey,
    public: Buf,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}

impl ActiveKeyExchange for Exchange {
    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer_pub: &[u8], out: &mut Buf) -> Result<(), CryptoError> {
        let peer = PublicKey::from_sec1_bytes(peer_pub)
            .map_err(|_| CryptoError::InvalidPublicKey(NamedGroup::Secp256r1))?;
        let shared = ecdh::diffie_hellman(self.secret.to_nonzero_scalar(), peer.as_affine());
        out.clear();
        out.extend_from_slice(shared.raw_secret_bytes());
        Ok(())
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::Secp256r1
    }
}

static GROUPS: &[&dyn SupportedKxGroup] = &[&P256];
const NOTHING_LENT: CryptoError = CryptoError::OperationFailed(CryptoOperation::FillRandom);
