//! Services besides SIP: relays and STUN servers by SRV, XCAP roots by TXT (DNL-03, DNL-11).

use crate::{
    LookupError, Name, Reach,
    known::Known,
    locate,
    place::{MAX_TARGETS, Server},
};
use base::{Host, Rng, Target, Transport};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// A service that a domain may have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Service {
    /// An MSRP relay, over TLS (RFC 4976, 4.1).
    MsrpRelay,
    /// A STUN server, over UDP (RFC 8489, 8).
    Stun,
    /// A TURN server, over UDP, then TCP (RFC 5928, 4).
    Turn,
    /// A TURN server over TLS (RFC 5928, 4).
    Turns,
}

impl Service {
    /// The name of the service (`msrprelay`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::MsrpRelay => "msrprelay",
            Self::Stun => "stun",
            Self::Turn => "turn",
            Self::Turns => "turns",
        }
    }

    /// The port that is meant when none is given (RFC 4976, 9; RFC 8489, 8; RFC 8656).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::MsrpRelay => 2855,
            Self::Stun | Self::Turn => 3478,
            Self::Turns => 5349,
        }
    }

    /// Its transports with the names of their SRV records, best first.
    const fn records(self) -> &'static [(Transport, &'static str)] {
        match self {
            Self::MsrpRelay => &[(Transport::Tls, "_msrps._tcp")],
            Self::Stun => &[(Transport::Udp, "_stun._udp")],
            Self::Turn => &[
                (Transport::Udp, "_turn._udp"),
                (Transport::Tcp, "_turn._tcp"),
            ],
            Self::Turns => &[(Transport::Tls, "_turns._tcp")],
        }
    }
}

/// The targets of a service: by SRV, and without SRV records at the host itself with the usual port
/// (DNL-03; RFC 8489, 8; RFC 5928, 4). A port, or a name of the hosts file, makes SRV needless.
pub(crate) fn targets(
    service: Service,
    host: &Host,
    port: Option<u16>,
    (v4, v6): (bool, bool),
    known: &mut Known<'_>,
    rng: &mut Rng,
) -> Result<Vec<Target>, LookupError> {
    let records = service.records();
    let Some(&(first, _)) = records.first() else {
        return Err(LookupError::NotFound);
    };
    let domain = match host {
        Host::Ip(ip) => {
            let port = port.unwrap_or_else(|| service.default_port());
            return Ok(vec![Target {
                transport: first,
                address: SocketAddr::new(*ip, port),
                name: host.clone(),
            }]);
        }
        Host::Name(text) => Name::new(text).map_err(|_| LookupError::NotFound)?,
    };
    let fallback = Server {
        transport: first,
        host: domain.clone(),
        port: port.unwrap_or_else(|| service.default_port()),
    };
    let usable: Vec<Reach> = records
        .iter()
        .map(|(transport, _)| Reach::new(*transport, v4, v6))
        .collect();
    let mut services = Vec::new();
    if port.is_none() && !known.is_local(&domain) {
        let name = |(transport, prefix): &(Transport, &str)| {
            Some((*transport, domain.below(prefix).ok()?))
        };
        services.extend(records.iter().filter_map(name));
    }
    let is_denied = !services.is_empty() && locate::are_denied(&services, known);
    let fallback = (!is_denied).then_some(&fallback);
    let servers = locate::servers(&services, &usable, fallback, known, rng);
    let targets = locate::resolve(&servers, host, &usable, known);
    match targets.is_empty() {
        true => Err(LookupError::of(known.worst())),
        false => Ok(targets),
    }
}

/// The addresses of one host (DNL-06, the last step alone).
pub(crate) fn addresses(
    host: &Host,
    port: u16,
    reach: Reach,
    known: &mut Known<'_>,
) -> Result<Vec<Target>, LookupError> {
    let addresses = match host {
        Host::Ip(ip) => vec![*ip],
        Host::Name(text) => {
            let name = Name::new(text).map_err(|_| LookupError::NotFound)?;
            known.addresses(&name, reach.v4, reach.v6)
        }
    };
    let target = |ip| Target {
        transport: reach.transport,
        address: SocketAddr::new(ip, port),
        name: host.clone(),
    };
    let addresses = addresses.into_iter().take(MAX_TARGETS);
    let targets: Vec<Target> = addresses.map(target).collect();
    match targets.is_empty() {
        true => Err(LookupError::of(known.worst())),
        false => Ok(targets),
    }
}

/// The XCAP roots of a domain: every `http` and `https` URI in the TXT records of `xcap.<domain>`
/// (DNL-11).
pub(crate) fn xcap_roots(domain: &Name, known: &mut Known<'_>) -> Result<Vec<String>, LookupError> {
    let name = domain.below("xcap").map_err(|_| LookupError::NotFound)?;
    let mut roots: Vec<String> = Vec::new();
    for text in known.txt(&name) {
        let words = text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | ','));
        for word in words.filter(|word| is_web_uri(word)) {
            if roots.len() < MAX_TARGETS && !roots.iter().any(|root| root == word) {
                roots.push(word.to_owned());
            }
        }
    }
    match roots.is_empty() {
        true => Err(LookupError::of(known.worst())),
        false => Ok(roots),
    }
}

fn is_web_uri(word: &str) -> bool {
    let has_scheme = |scheme: &str| {
        let start = word.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme)) && word.len() > scheme.len()
    };
    has_scheme("http://") || has_scheme("https://")
}

#[cfg(test)]
mod tests;
