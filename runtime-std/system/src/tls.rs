//! TLS as this machine has it: cryptography, trust anchors, and keys from files.
//!
//! The provider is `ring`. Whoever wants another makes a
//! [`TlsConfig`] of his own.

use sipsimple::{
    rustls::{
        RootCertStore,
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    },
    tls::{Identity, IdentityError, TlsConfig},
};
use std::{io, path::Path, sync::Arc};

/// Why a file is not what it should be.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be read.
    Read(io::Error),
    /// It is no PEM, or has nothing of what is wanted in it.
    Damaged,
    /// A certificate in it cannot be trusted: it is not of an authority, or cannot be read.
    Authority,
    /// Certificate and key do not make an identity.
    Identity(IdentityError),
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Read(error) => write!(f, "{error}"),
            Self::Damaged => f.write_str("nothing usable in PEM"),
            Self::Authority => f.write_str("a certificate that cannot be a trust anchor"),
            Self::Identity(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for FileError {}

/// Verifies servers against the trust anchors of the system; where it has none, against those of
/// Mozilla's list.
pub fn config() -> TlsConfig {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::debug!(%error, "a trust anchor of the system");
    }
    roots.add_parsable_certificates(native.certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    new(roots)
}

/// Verifies servers against the authorities in a PEM file, and against no others.
///
/// # Errors
///
/// The file cannot be read, or holds no certificate, or one that is none.
pub fn config_with(authorities: &Path) -> Result<TlsConfig, FileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authorities)? {
        roots.add(certificate).map_err(|_| FileError::Authority)?;
    }
    Ok(new(roots))
}

/// Reads a certificate with its chain, our own first, and its private key from PEM files, which may be
/// the same.
///
/// # Errors
///
/// A file cannot be read, or they do not belong together.
pub fn identity(certificate: &Path, key: &Path) -> Result<Identity, FileError> {
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(damaged)?;
    Identity::new(&provider(), chain, key).map_err(FileError::Identity)
}

fn new(roots: RootCertStore) -> TlsConfig {
    TlsConfig::new(Arc::new(provider()), Arc::new(roots)).expect("ring has suites for 1.2 and 1.3")
}

fn provider() -> CryptoProvider {
    ring::default_provider()
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let certificates = CertificateDer::pem_file_iter(path).map_err(damaged)?;
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>().map_err(damaged)?;
    match certificates.is_empty() {
        true => Err(FileError::Damaged),
        false => Ok(certificates),
    }
}

fn damaged(error: pem::Error) -> FileError {
    match error {
        pem::Error::Io(error) => FileError::Read(error),
        _ => FileError::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_or_mozilla_has_trust_anchors() {
        let text = format!("{:?}", config());
        assert!(!text.contains("Engine(0 trust anchors)"), "{text}");
    }

    #[test]
    fn files_that_are_nothing_are_refused_by_name() {
        let folder = std::env::temp_dir().join(format!("sipsimple-tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("a.pem");
        assert!(matches!(config_with(&file), Err(FileError::Read(_))));
        std::fs::write(&file, "OPTIONS").unwrap();
        assert!(matches!(config_with(&file), Err(FileError::Damaged)));
        assert!(matches!(identity(&file, &file), Err(FileError::Damaged)));
        let none = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        std::fs::write(&file, none).unwrap();
        assert!(matches!(config_with(&file), Err(FileError::Authority)));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
