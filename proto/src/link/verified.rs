//! What is asked of certificates, and what came of asking.

use crate::tls::{Certificate, Security, TlsConfig};
use base::{Host, LinkError, Transport};
use std::net::SocketAddr;

/// What became of a handshake with a server that we wanted.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) transport: Transport,
    pub(crate) peer: SocketAddr,
    /// The name that the server had to prove.
    pub(crate) wanted: Host,
    pub(crate) result: Result<Security, LinkError>,
    /// Of a failure: what was presented, and the words of the TLS library.
    pub(crate) presented: Vec<Certificate>,
    pub(crate) detail: String,
}

/// What of the configuration decides about certificates.
#[derive(Clone, Debug)]
pub(super) struct TlsPolicy {
    pub(super) verify: bool,
    pub(super) allow_wildcard: bool,
    pub(super) name: Option<Host>,
}

impl From<&TlsConfig> for TlsPolicy {
    fn from(config: &TlsConfig) -> Self {
        Self {
            verify: config.verify,
            allow_wildcard: config.allow_wildcard,
            name: config.name.clone(),
        }
    }
}
