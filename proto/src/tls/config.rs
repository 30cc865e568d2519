//! What an agent trusts, and what it shows.

use super::verifier::Verifier;
use base::Host;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    client::Resumption,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime},
    server::NoServerSessionStorage,
    sign::{CertifiedKey, SingleCertAndKey},
    time_provider::TimeProvider,
    version::{TLS12, TLS13},
};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How an agent secures its links: TLS 1.2 and 1.3, nothing older (ENG-11, BUG-22), and servers verified
/// unless told otherwise (ENG-12, BUG-23).
///
/// Its serialised form, a part of recordings, is the policy alone: the cryptography, the trust anchors
/// and the private key are left out. A configuration that was read back secures nothing: what
/// arrives on its links is taken for what the filter of the recorded agent said.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TlsConfig {
    #[serde(skip)]
    engine: Option<Engine>,
    /// Who we are: shown to peers that connect and to servers that ask. Without it we do not listen
    /// on TLS (ENG-14, ENG-15).
    pub identity: Option<Identity>,
    /// Chain and name of servers are verified. False accepts anybody: for tests and first contacts.
    pub verify: bool,
    /// `*.example.com` in a certificate stands for any one label. RFC 5922, 7.2 forbids it; some
    /// providers have nothing else.
    pub allow_wildcard: bool,
    /// The name that every server must prove, in the place of the domain that was asked for (RTE-07).
    pub name: Option<Host>,
}

/// What cannot be written down.
#[derive(Clone)]
struct Engine {
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
}

impl TlsConfig {
    /// Verifies servers against `roots`, with the cryptography of `provider`; shows no certificate.
    ///
    /// `None` if the provider has no cipher suites of TLS 1.2 or 1.3.
    pub fn new(provider: Arc<CryptoProvider>, roots: Arc<RootCertStore>) -> Option<Self> {
        ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(VERSIONS)
            .ok()?;
        Some(Self {
            engine: Some(Engine { provider, roots }),
            identity: None,
            verify: true,
            allow_wildcard: false,
            name: None,
        })
    }
}

impl PartialEq for TlsConfig {
    /// The same policy, and the very same cryptography, anchors and identity.
    fn eq(&self, other: &Self) -> bool {
        let engine = |config: &Self| {
            let engine = config.engine.as_ref()?;
            Some((Arc::as_ptr(&engine.provider), Arc::as_ptr(&engine.roots)))
        };
        let policy = |config: &Self| (config.verify, config.allow_wildcard);
        engine(self) == engine(other)
            && policy(self) == policy(other)
            && self.name == other.name
            && self.identity.as_ref().map(|own| &own.certificate)
                == other.identity.as_ref().map(|own| &own.certificate)
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Engine({} trust anchors)", self.roots.len())
    }
}

/// A certificate of ours with its chain and its private key.
///
/// The key is neither shown by `Debug` nor written into recordings.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    /// What the certificate says.
    certificate: super::Certificate,
    #[serde(skip)]
    key: Option<Arc<CertifiedKey>>,
}

/// Why a certificate and a key are no identity.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// There is no certificate, or it cannot be read.
    #[error("no readable certificate")]
    Certificate,
    /// The private key is of no known kind.
    #[error("the private key cannot be used")]
    Key,
    /// The private key is another certificate's.
    #[error("the private key is not that of the certificate")]
    Mismatch,
}

impl Identity {
    /// Puts a chain, our own certificate first, and its private key together.
    ///
    /// # Errors
    ///
    /// They do not belong together, or cannot be read.
    pub fn new(
        provider: &CryptoProvider,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, IdentityError> {
        let first = chain.first().ok_or(IdentityError::Certificate)?;
        let certificate = super::Certificate::read(first).ok_or(IdentityError::Certificate)?;
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => IdentityError::Mismatch,
            rustls::Error::InvalidCertificate(_) => IdentityError::Certificate,
            _ => IdentityError::Key,
        })?;
        Ok(Self {
            certificate,
            key: Some(Arc::new(key)),
        })
    }

    /// What our certificate says.
    pub const fn certificate(&self) -> &super::Certificate {
        &self.certificate
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.certificate).finish()
    }
}

/// A configuration as connections use it.
#[derive(Debug)]
pub(crate) struct Context {
    client: ClientConfig,
    server: Option<Arc<ServerConfig>>,
    engine: Engine,
    verify: bool,
    clock: Arc<WallClock>,
}

impl Context {
    /// `None` if the configuration was read back from a recording.
    pub(crate) fn new(config: &TlsConfig) -> Option<Self> {
        let engine = config.engine.clone()?;
        let clock = Arc::new(WallClock::default());
        let provider = || engine.provider.clone();
        let key = config
            .identity
            .as_ref()
            .and_then(|identity| identity.key.clone());
        let key = key.map(|key| Arc::new(SingleCertAndKey::from((*key).clone())));
        let builder = ClientConfig::builder_with_details(provider(), clock.clone())
            .with_protocol_versions(VERSIONS)
            .expect("`TlsConfig::new` has asked")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier::new(
                engine.roots.clone(),
                engine.provider.signature_verification_algorithms,
                config.verify,
            )));
        let mut client = match key.clone() {
            Some(key) => builder.with_client_cert_resolver(key),
            None => builder.with_no_client_auth(),
        };
        // Every connection proves its name anew.
        client.resumption = Resumption::disabled();
        let server = key.map(|key| {
            let mut server = ServerConfig::builder_with_details(provider(), clock.clone())
                .with_protocol_versions(VERSIONS)
                .expect("`TlsConfig::new` has asked")
                .with_no_client_auth()
                .with_cert_resolver(key);
            // Connections live as long as their registration: a ticket would never be used.
            server.session_storage = Arc::new(NoServerSessionStorage {});
            server.send_tls13_tickets = 0;
            Arc::new(server)
        });
        Some(Self {
            client,
            server,
            engine,
            verify: config.verify,
            clock,
        })
    }

    /// Tells the wall clock, by which certificates are too old or too new.
    pub(crate) fn set_time(&self, unix: Duration) {
        self.clock.0.store(unix.as_secs(), Ordering::Relaxed);
    }

    /// The configuration of one connection to a server, and what will hold the certificates of that.
    pub(super) fn client(&self) -> (Arc<ClientConfig>, Arc<Verifier>) {
        let verifier = Arc::new(Verifier::new(
            self.engine.roots.clone(),
            self.engine.provider.signature_verification_algorithms,
            self.verify,
        ));
        let mut config = self.client.clone();
        config
            .dangerous()
            .set_certificate_verifier(verifier.clone());
        (Arc::new(config), verifier)
    }

    pub(super) fn server(&self) -> Option<Arc<ServerConfig>> {
        self.server.clone()
    }
}

/// The agent's wall clock, as rustls wants to read it: set before it is asked.
#[derive(Debug, Default)]
struct WallClock(AtomicU64);

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        let unix = Duration::from_secs(self.0.load(Ordering::Relaxed));
        Some(UnixTime::since_unix_epoch(unix))
    }
}

/// RFC 8996: nothing older.
const VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
