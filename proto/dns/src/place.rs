//! What is looked for, with what it can be reached, and what a lookup ends with.

use crate::{Name, QueryError};
use base::{Host, Target, Transport};
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};

/// What a SIP or SIPS URI says about where to go (RFC 3263, 4).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Place {
    /// The TARGET of RFC 3263: the `maddr` parameter if there is one, else the host.
    pub host: Host,
    /// What a certificate must prove (RFC 5922, 7.3): the host of the URI, before NAPTR and SRV.
    pub name: Host,
    /// The port, if one is written.
    pub port: Option<u16>,
    /// The transport parameter, if there is one.
    pub transport: Option<Transport>,
    /// A SIPS URI: TLS on every hop (RFC 3261, 26.2.2).
    pub secure: bool,
}

impl Place {
    /// A host without port and parameters.
    pub fn new(host: Host) -> Self {
        Self {
            name: host.clone(),
            host,
            port: None,
            transport: None,
            secure: false,
        }
    }
}

impl fmt::Display for Place {
    /// Prints the place as the URI that it stands for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "sips:" } else { "sip:" })?;
        write!(f, "{}", self.name)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        if self.host != self.name {
            write!(f, ";maddr={}", self.host)?;
        }
        if let Some(transport) = self.transport {
            write!(f, ";transport={transport}")?;
        }
        Ok(())
    }
}

/// A transport that we can use, and the families in which we have an address for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reach {
    /// The transport.
    pub transport: Transport,
    /// Over IPv4.
    pub v4: bool,
    /// Over IPv6.
    pub v6: bool,
}

impl Reach {
    /// A transport with its families.
    pub const fn new(transport: Transport, v4: bool, v6: bool) -> Self {
        Self { transport, v4, v6 }
    }

    /// True if `ip` is of a family that we have.
    pub const fn fits(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(_) => self.v4,
            IpAddr::V6(_) => self.v6,
        }
    }
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum Found {
    /// Where to go, in the order in which it shall be tried; never empty.
    Targets(Vec<Target>),
    /// URIs, in no order; never empty.
    Uris(Vec<String>),
}

/// Why a lookup found nothing.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, thiserror::Error,
)]
#[non_exhaustive]
pub enum LookupError {
    /// The name does not exist, or has nothing that we can use.
    #[error("no such name")]
    NotFound,
    /// No name server answered in time.
    #[error("name resolution timed out")]
    TimedOut,
    /// The name servers failed, or refused to answer.
    #[error("name resolution refused")]
    Refused,
    /// No name server is known.
    #[error("name resolution without a name server")]
    NoServer,
    /// What the URI asks for is switched off, or contradicts itself.
    #[error("transport not available")]
    NoTransport,
    /// As many lookups as the limits allow are under way.
    #[error("name resolution has too much to do")]
    TooMany,
}

impl LookupError {
    /// What a lookup without result says, of whose questions this was the worst.
    pub(crate) const fn of(worst: Option<QueryError>) -> Self {
        match worst {
            None | Some(QueryError::NoName | QueryError::NoRecords | QueryError::TooMany) => {
                Self::NotFound
            }
            Some(QueryError::TimedOut) => Self::TimedOut,
            Some(QueryError::Failed | QueryError::Refused) => Self::Refused,
            Some(QueryError::NoServer) => Self::NoServer,
        }
    }
}

/// A host that offers what is looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Server {
    pub(crate) transport: Transport,
    pub(crate) host: Name,
    pub(crate) port: u16,
}

/// More targets than any sane zone has; a longer list is cut.
pub(crate) const MAX_TARGETS: usize = 32;
