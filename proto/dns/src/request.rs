//! What can be asked of a resolver.

use crate::Question;
use crate::{
    Found, LookupError, Name, Place, Reach, Service,
    hosts::Hosts,
    known::{Answers, Known},
    locate, service,
};
use base::{Host, Rng};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A question to the resolver: what is looked for, and with what it can be reached.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Request {
    /// Where a SIP URI is (RFC 3263; DNL-04).
    Sip {
        /// What the URI says.
        place: Place,
        /// Our transports, in our order of preference.
        reach: Vec<Reach>,
    },
    /// Where a service of a domain is (DNL-03).
    Service {
        /// Which.
        service: Service,
        /// The domain.
        host: Host,
        /// A port makes it a host.
        port: Option<u16>,
        /// We have IPv4.
        v4: bool,
        /// We have IPv6.
        v6: bool,
    },
    /// The addresses of a host.
    Host {
        /// Its name.
        host: Host,
        /// The port of the targets.
        port: u16,
        /// The transport of the targets, with our families.
        reach: Reach,
    },
    /// The XCAP roots of a domain (DNL-11).
    Xcap {
        /// The domain.
        domain: Host,
    },
}

impl Request {
    /// The name of the operation as the documents have it (DNL-15).
    pub const fn operation(&self) -> &'static str {
        match self {
            Self::Sip { .. } => "lookup_sip_proxy",
            Self::Service { .. } => "lookup_service",
            Self::Host { .. } => "lookup_host",
            Self::Xcap { .. } => "lookup_xcap_server",
        }
    }

    /// The service, if one is looked for.
    pub const fn service(&self) -> Option<&'static str> {
        match self {
            Self::Service { service, .. } => Some(service.name()),
            Self::Sip { .. } | Self::Host { .. } | Self::Xcap { .. } => None,
        }
    }

    /// Whose records are looked for, and the families that we have.
    pub(crate) fn domain(&self) -> Option<(Name, (bool, bool))> {
        let any = |of: fn(&Reach) -> bool, reach: &[Reach]| reach.iter().any(of);
        let (host, families) = match self {
            Self::Sip { place, reach } => (
                &place.host,
                (any(|reach| reach.v4, reach), any(|reach| reach.v6, reach)),
            ),
            Self::Service { host, v4, v6, .. } => (host, (*v4, *v6)),
            Self::Host { host, reach, .. } => (host, (reach.v4, reach.v6)),
            Self::Xcap { domain } => (domain, (true, true)),
        };
        match host {
            Host::Name(text) => Some((Name::new(text).ok()?, families)),
            Host::Ip(_) => None,
        }
    }

    /// Goes as far as the answers allow.
    pub(crate) fn advance(&self, answers: &Answers, hosts: &Hosts, rng: &mut Rng) -> Step {
        let mut known = Known::new(answers, hosts);
        let result = match self {
            Self::Sip { place, reach } => {
                locate::targets(place, reach, &mut known, rng).map(Found::Targets)
            }
            Self::Service {
                service,
                host,
                port,
                v4,
                v6,
            } => service::targets(*service, host, *port, (*v4, *v6), &mut known, rng)
                .map(Found::Targets),
            Self::Host { host, port, reach } => {
                service::addresses(host, *port, *reach, &mut known).map(Found::Targets)
            }
            Self::Xcap { domain } => match domain {
                Host::Name(text) => Name::new(text)
                    .map_err(|_| LookupError::NotFound)
                    .and_then(|domain| service::xcap_roots(&domain, &mut known))
                    .map(Found::Uris),
                Host::Ip(_) => Err(LookupError::NotFound),
            },
        };
        match known.is_complete() {
            true => Step::Done(result),
            false => Step::Ask(known.into_missing()),
        }
    }
}

/// How far a lookup is.
#[derive(Debug)]
pub(crate) enum Step {
    /// These questions must be answered first; they do not depend on each other.
    Ask(Vec<Question>),
    /// It is over.
    Done(Result<Found, LookupError>),
}

impl fmt::Display for Request {
    /// Prints what is looked for: a URI, or a host.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sip { place, .. } => write!(f, "{place}"),
            Self::Service {
                host, port: None, ..
            }
            | Self::Xcap { domain: host } => write!(f, "{host}"),
            Self::Service {
                host,
                port: Some(port),
                ..
            }
            | Self::Host { host, port, .. } => write!(f, "{host}:{port}"),
        }
    }
}
