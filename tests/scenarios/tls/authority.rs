//! Certificates: made once, so that all runs show the same, and with keys whose signatures are all of one
//! length, so that runs have the same shape.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PKCS_ED25519, SanType, date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer},
};
use sipsimple::tls::{Identity, TlsConfig};
use std::sync::{Arc, LazyLock};

/// Whom the agents trust, and whom they do not.
pub(super) static TRUSTED: LazyLock<Authority> = LazyLock::new(|| Authority::new("Trusted"));
pub(super) static STRANGE: LazyLock<Authority> = LazyLock::new(|| Authority::new("Strange"));

pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// A certificate and its key.
#[derive(Debug)]
pub(super) struct Shown {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::OrganizationName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// Signs a certificate for one name, good from the year 2024 until `year`.
    pub(super) fn sign(&self, name: &str, year: i32) -> Shown {
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(2024, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Shown {
            certificate: certificate.der().clone(),
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }

    /// Trusts this authority alone.
    pub(super) fn config(&self) -> TlsConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        TlsConfig::new(provider(), Arc::new(roots)).unwrap()
    }
}

impl Shown {
    /// By an agent.
    pub(super) fn identity(&self) -> Identity {
        let chain = vec![self.certificate.clone()];
        Identity::new(&provider(), chain, self.key.clone_key()).unwrap()
    }

    /// By a server.
    pub(super) fn server(&self) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let chain = vec![self.certificate.clone()];
        let config = builder
            .with_no_client_auth()
            .with_single_cert(chain, self.key.clone_key());
        Arc::new(config.unwrap())
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
