//! Locating SIP servers: RFC 3263, 4, from a URI to the targets in their order.
//!
//! Two choices that the RFC leaves open. The order of the domain's NAPTR records decides before ours
//! (DNL-09 wants ours; the RFC lets the domain speak first), and all that we support are used, so that a
//! dead server of one transport does not make the domain unreachable. Without NAPTR records, the
//! transports that the domain has SRV records for come in our order.

use crate::{
    LookupError, Name, Place, Reach, Srv,
    known::Known,
    place::{MAX_TARGETS, Server},
    srv,
};
use base::{Host, Rng, Target, Transport};
use std::net::{IpAddr, SocketAddr};

/// The targets of a place; means nothing as long as `known` is not complete.
pub(crate) fn targets(
    place: &Place,
    reach: &[Reach],
    known: &mut Known<'_>,
    rng: &mut Rng,
) -> Result<Vec<Target>, LookupError> {
    let usable = usable(place, reach)?;
    let host = match &place.host {
        Host::Ip(ip) => return at_addresses(place, &usable, &[*ip]),
        Host::Name(text) => Name::new(text).map_err(|_| LookupError::NotFound)?,
    };
    // RFC 3263, 4.2: an explicit port means A and AAAA. A name of the hosts file is as good as an address.
    if place.port.is_some() || known.is_local(&host) {
        let (v4, v6) = families(&usable);
        let addresses = known.addresses(&host, v4, v6);
        return match addresses.is_empty() {
            true => Err(LookupError::of(known.worst())),
            false => at_addresses(place, &usable, &addresses),
        };
    }
    let (services, fallback) = services(place, &usable, &host, known);
    let servers = servers(&services, &usable, fallback.as_ref(), known, rng);
    let targets = resolve(&servers, &place.name, &usable, known);
    match targets.is_empty() {
        true => Err(LookupError::of(known.worst())),
        false => Ok(targets),
    }
}

/// The transports that the URI and we allow, best first (RFC 3263, 4.1; DNL-07, DNL-08).
fn usable(place: &Place, reach: &[Reach]) -> Result<Vec<Reach>, LookupError> {
    let wanted = match (place.secure, place.transport) {
        // RFC 3261, 26.2.2: `sips` is TLS on every hop; its `transport=tcp` is TLS over TCP.
        (true, None | Some(Transport::Tcp | Transport::Tls)) => Some(Transport::Tls),
        (true, Some(Transport::Ws | Transport::Wss)) => Some(Transport::Wss),
        (true, Some(Transport::Udp)) => return Err(LookupError::NoTransport),
        (false, transport) => transport,
    };
    let is_wanted = |reach: &&Reach| match wanted {
        Some(transport) => reach.transport == transport,
        // RFC 7118, 5: a WebSocket is used where it was asked for.
        None => !matches!(reach.transport, Transport::Ws | Transport::Wss),
    };
    let usable: Vec<Reach> = reach.iter().filter(is_wanted).copied().collect();
    match usable.is_empty() {
        true => Err(LookupError::NoTransport),
        false => Ok(usable),
    }
}

/// Targets at known addresses, each over the transport that RFC 3263, 4.1 prefers for a place without
/// SRV records: UDP, with TCP and TLS standing in where there is no UDP.
fn at_addresses(
    place: &Place,
    usable: &[Reach],
    addresses: &[IpAddr],
) -> Result<Vec<Target>, LookupError> {
    let by_default = by_default(usable);
    let target = |&ip: &IpAddr| {
        let reach = by_default.iter().find(|reach| reach.fits(ip))?;
        let transport = reach.transport;
        let port = place.port.unwrap_or_else(|| transport.default_port());
        Some(Target {
            transport,
            address: SocketAddr::new(ip, port),
            name: place.name.clone(),
        })
    };
    let targets: Vec<Target> = addresses.iter().filter_map(target).collect();
    match targets.is_empty() {
        true => Err(LookupError::NoTransport),
        false => Ok(targets),
    }
}

/// UDP first, secured transports last.
fn by_default(usable: &[Reach]) -> Vec<Reach> {
    let mut usable = usable.to_vec();
    usable.sort_by_key(|reach| {
        (
            reach.transport != Transport::Udp,
            reach.transport.is_secure(),
        )
    });
    usable
}

/// The names of SRV records to ask for, with their transports, best first; and where to go if there are
/// none of them: at the domain itself, over one transport.
fn services(
    place: &Place,
    usable: &[Reach],
    domain: &Name,
    known: &mut Known<'_>,
) -> (Vec<(Transport, Name)>, Option<Server>) {
    let mut services = Vec::new();
    // RFC 3263, 4.1: a transport parameter makes NAPTR needless.
    if place.transport.is_none() {
        services = rules(place, usable, domain, known);
        if !known.is_complete() {
            return (Vec::new(), None);
        }
    }
    let first = services.first().map(|(transport, _)| *transport);
    if services.is_empty() {
        let of_domain =
            |reach: &Reach| Some((reach.transport, service_of(reach.transport, domain)?));
        services = usable.iter().filter_map(of_domain).collect();
    }
    let mut by_default = by_default(usable).into_iter().map(|reach| reach.transport);
    // A transport that the domain says it does not have is no fall-back (RFC 2782: target `.`).
    let is_denied = |transport: &Transport, known: &mut Known<'_>| {
        let mut names = services
            .iter()
            .filter(|(of, _)| of == transport)
            .map(|(_, name)| name);
        names.any(|name| is_denial(&known.srv(name)))
    };
    let transport = match first {
        Some(first) => Some(first).filter(|transport| !is_denied(transport, known)),
        None => by_default.find(|transport| !is_denied(transport, known)),
    };
    let fallback = transport.map(|transport| Server {
        transport,
        host: domain.clone(),
        port: transport.default_port(),
    });
    (services, fallback)
}

/// The applicable NAPTR records in their order (RFC 3263, 4.1; RFC 3403, 4.1).
fn rules(
    place: &Place,
    usable: &[Reach],
    domain: &Name,
    known: &mut Known<'_>,
) -> Vec<(Transport, Name)> {
    let mut rules = Vec::new();
    for rule in known.naptr(domain) {
        let transport = match rule.service.as_str() {
            "SIP+D2U" if !place.secure => Transport::Udp,
            "SIP+D2T" if !place.secure => Transport::Tcp,
            "SIPS+D2T" => Transport::Tls,
            _ => continue,
        };
        let preference = usable.iter().position(|reach| reach.transport == transport);
        let is_terminal = rule.flags == "s" && rule.regexp.is_empty();
        if let (true, Some(preference)) = (is_terminal, preference) {
            // DNL-09: among equals, our order.
            let order = (rule.order, rule.preference, preference);
            rules.push((order, transport, rule.replacement.clone()));
        }
    }
    rules.sort();
    rules.truncate(MAX_SERVICES);
    rules
        .into_iter()
        .map(|(_, transport, name)| (transport, name))
        .collect()
}

/// The name of a domain's SRV records for a transport (RFC 3263, 4.1 and 4.2).
fn service_of(transport: Transport, domain: &Name) -> Option<Name> {
    let prefix = match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
        // RFC 7118 has no SRV records for WebSockets.
        Transport::Ws | Transport::Wss => return None,
    };
    domain.below(prefix).ok()
}

/// The servers of all services in the order in which they shall be tried; `fallback` if no service has
/// a record.
pub(crate) fn servers(
    services: &[(Transport, Name)],
    usable: &[Reach],
    fallback: Option<&Server>,
    known: &mut Known<'_>,
    rng: &mut Rng,
) -> Vec<Server> {
    let mut servers = Vec::new();
    let mut has_records = false;
    for (transport, name) in services {
        let records = known.srv(name);
        if is_denial(&records) {
            continue;
        }
        has_records |= !records.is_empty();
        let records: Vec<(Srv, ())> = records.into_iter().map(|srv| (srv.clone(), ())).collect();
        for (srv, ()) in srv::ordered(records, rng).into_iter().take(MAX_TARGETS) {
            // RFC 2782: the root is no host, nor is port 0 one to send to.
            if !srv.target.is_root() && srv.port != 0 {
                servers.push(Server {
                    transport: *transport,
                    host: srv.target,
                    port: srv.port,
                });
            }
        }
    }
    if !known.is_complete() {
        return Vec::new();
    }
    if !has_records {
        servers.extend(fallback.cloned());
    }
    // What cannot be spoken is not asked for.
    servers.retain(|server| {
        usable
            .iter()
            .any(|reach| reach.transport == server.transport)
    });
    servers.truncate(MAX_TARGETS);
    servers
}

/// The addresses of servers, as targets.
pub(crate) fn resolve(
    servers: &[Server],
    name: &Host,
    usable: &[Reach],
    known: &mut Known<'_>,
) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for server in servers {
        let of_transport = |reach: &&Reach| reach.transport == server.transport;
        let Some(reach) = usable.iter().find(of_transport) else {
            continue;
        };
        for ip in known.addresses(&server.host, reach.v4, reach.v6) {
            let target = Target {
                transport: server.transport,
                address: SocketAddr::new(ip, server.port),
                name: name.clone(),
            };
            if targets.len() < MAX_TARGETS && !targets.contains(&target) {
                targets.push(target);
            }
        }
    }
    targets
}

fn families(usable: &[Reach]) -> (bool, bool) {
    let v4 = usable.iter().any(|reach| reach.v4);
    let v6 = usable.iter().any(|reach| reach.v6);
    (v4, v6)
}

/// True if a domain says of all these services that it has none.
pub(crate) fn are_denied(services: &[(Transport, Name)], known: &mut Known<'_>) -> bool {
    services.iter().all(|(_, name)| is_denial(&known.srv(name)))
}

/// RFC 2782: a single record with the target `.` says that there is no such service.
fn is_denial(records: &[&Srv]) -> bool {
    matches!(records, [only] if only.target.is_root())
}

/// NAPTR records that are followed: one for each transport and security, and some that repeat.
const MAX_SERVICES: usize = 8;

#[cfg(test)]
mod tests;
