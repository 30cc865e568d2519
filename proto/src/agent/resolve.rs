//! Where a host is: addresses, and the names of the hosts file.
//!
//! Every other name is not found. This is the one place that asks; a DNS resolver takes its place
//! with the same questions and answers.

use super::{Listening, StreamId};
use crate::stream::Lookup;
use base::{Host, HostPort, Target, Transport};
use sip::{LookupError, LookupId, Uri};
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

/// Who asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asker {
    Endpoint(LookupId),
    /// A stream, with its own number of the question.
    Stream(StreamId, u16),
}

/// An answer: targets in the order in which they shall be tried.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) asker: Asker,
    pub(super) targets: Result<Vec<Target>, LookupError>,
}

/// Finds targets (RFC 3263, 4) without asking the network. Feed it questions, where we listen, and the hosts
/// file; it says answers; it has no timers.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    /// Names in lower case.
    hosts: Vec<(String, IpAddr)>,
    /// What we can speak, and in which family.
    listening: Vec<Listening>,
    out: VecDeque<Answer>,
}

impl Resolver {
    pub(super) fn set_hosts(&mut self, mut hosts: Vec<(String, IpAddr)>) {
        // What a peer makes us look up is compared with each of them.
        hosts.truncate(MAX_HOSTS);
        for (name, _) in &mut hosts {
            name.make_ascii_lowercase();
        }
        self.hosts = hosts;
    }

    pub(super) fn set_listening(&mut self, listening: Vec<Listening>) {
        self.listening = listening;
    }

    /// Asks where a SIP URI is.
    pub(super) fn locate(&mut self, lookup: LookupId, uri: &Uri) {
        let targets = self.targets_of(uri);
        self.out.push_back(Answer {
            asker: Asker::Endpoint(lookup),
            targets,
        });
    }

    /// Asks what a stream wants to know.
    pub(super) fn lookup(&mut self, stream: StreamId, number: u16, what: &Lookup) {
        let Lookup::Host {
            name,
            port,
            transport,
        } = what;
        let address = |ip| Target {
            transport: *transport,
            address: SocketAddr::new(ip, *port),
            name: name.clone(),
        };
        let addresses = self.addresses(name);
        let targets = match addresses.is_empty() {
            true => Err(LookupError::NotFound),
            false => Ok(addresses.into_iter().map(address).collect()),
        };
        self.out.push_back(Answer {
            asker: Asker::Stream(stream, number),
            targets,
        });
    }

    pub(super) fn poll_output(&mut self) -> Option<Answer> {
        self.out.pop_front()
    }

    /// The addresses of a host.
    pub(super) fn addresses(&self, host: &Host) -> Vec<IpAddr> {
        match host {
            Host::Ip(ip) => vec![*ip],
            Host::Name(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                let named = self
                    .hosts
                    .iter()
                    .filter(|(host, _)| host.eq_ignore_ascii_case(name));
                named.map(|(_, ip)| *ip).collect()
            }
        }
    }

    fn targets_of(&self, uri: &Uri) -> Result<Vec<Target>, LookupError> {
        let HostPort { host, port } = uri.host_port().ok_or(LookupError::NotFound)?;
        // RFC 3263, 4: the TARGET is the maddr parameter if there is one.
        let maddr = uri.params().get("maddr").and_then(|param| param.value);
        let place = match maddr {
            Some(maddr) => maddr.parse().map_err(|_| LookupError::NotFound)?,
            None => host.clone(),
        };
        let transports = self.transports_of(uri)?;
        let addresses = self.addresses(&place);
        if addresses.is_empty() {
            return Err(LookupError::NotFound);
        }
        let mut targets = Vec::new();
        for address in addresses {
            let usable = |transport: &&Transport| self.can_reach(**transport, address);
            let Some(&transport) = transports.iter().find(usable) else {
                continue;
            };
            let port = port.unwrap_or_else(|| transport.default_port());
            targets.push(Target {
                transport,
                address: SocketAddr::new(address, port),
                name: host.clone(),
            });
        }
        match targets.is_empty() {
            true => Err(LookupError::NoTransport),
            false => Ok(targets),
        }
    }

    /// The transports that may be used, best first.
    fn transports_of(&self, uri: &Uri) -> Result<Vec<Transport>, LookupError> {
        let wanted = uri.params().get("transport").and_then(|param| param.value);
        let wanted = match wanted {
            Some(name) => {
                let named = Transport::from_name(name.as_bytes());
                Some(named.ok_or(LookupError::NoTransport)?)
            }
            None => None,
        };
        match wanted {
            // RFC 3261, 26.2.2: `sips` is TLS on every hop.
            Some(Transport::Tcp | Transport::Tls) | None if uri.is_secure() => {
                Ok(vec![Transport::Tls])
            }
            Some(transport) => Ok(vec![transport]),
            // RFC 3263, 4.1: UDP if no name server says otherwise; TCP stands in where UDP is off.
            None => Ok(vec![Transport::Udp, Transport::Tcp]),
        }
    }

    fn can_reach(&self, transport: Transport, address: IpAddr) -> bool {
        let fits =
            |at: &Listening| at.transport == transport && at.address.is_ipv4() == address.is_ipv4();
        self.listening.iter().any(fits)
    }
}

/// More than any hosts file that is not a block list.
const MAX_HOSTS: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use base::Key as _;

    fn resolver(transports: &[Transport]) -> Resolver {
        let mut resolver = Resolver::default();
        resolver.set_hosts(vec![
            ("LocalHost".to_owned(), [127, 0, 0, 1].into()),
            ("localhost".to_owned(), std::net::Ipv6Addr::LOCALHOST.into()),
        ]);
        let listening = |&transport| Listening {
            transport,
            address: ([127, 0, 0, 1], 5060).into(),
        };
        resolver.set_listening(transports.iter().map(listening).collect());
        resolver
    }

    fn locate(transports: &[Transport], uri: &str) -> Result<Vec<String>, LookupError> {
        let mut resolver = resolver(transports);
        resolver.locate(LookupId::from_parts(0, 1), &uri.parse().unwrap());
        let answer = resolver.poll_output().unwrap();
        let text = |t: Target| format!("{} {} {}", t.transport, t.address, t.name);
        Ok(answer.targets?.into_iter().map(text).collect())
    }

    #[test]
    fn numeric_hosts_and_the_hosts_file_are_found() {
        let both = &[Transport::Udp, Transport::Tcp][..];
        for (uri, expected) in [
            ("sip:a@192.0.2.1", "udp 192.0.2.1:5060 192.0.2.1"),
            (
                "sip:a@192.0.2.1:5070;transport=TCP",
                "tcp 192.0.2.1:5070 192.0.2.1",
            ),
            ("sip:LOCALHOST.:5070", "udp 127.0.0.1:5070 LOCALHOST."),
            (
                "sip:example.com;maddr=192.0.2.9",
                "udp 192.0.2.9:5060 example.com",
            ),
        ] {
            assert_eq!(locate(both, uri), Ok(vec![expected.to_owned()]), "{uri}");
        }
        assert_eq!(
            locate(&[Transport::Tcp], "sip:192.0.2.1").unwrap(),
            ["tcp 192.0.2.1:5060 192.0.2.1"]
        );
    }

    #[test]
    fn what_cannot_be_reached_is_said_why() {
        let both = &[Transport::Udp, Transport::Tcp][..];
        for (uri, error) in [
            ("sip:a@example.com", LookupError::NotFound),
            ("tel:+123", LookupError::NotFound),
            ("sip:a@192.0.2.1;transport=sctp", LookupError::NoTransport),
            ("sip:a@192.0.2.1;transport=tls", LookupError::NoTransport),
            ("sips:a@192.0.2.1", LookupError::NoTransport),
            ("sip:a@[2001:db8::1]", LookupError::NoTransport),
        ] {
            assert_eq!(locate(both, uri), Err(error), "{uri}");
        }
    }
}
