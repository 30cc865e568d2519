//! The name servers of a domain itself (DNL-02; BUG-15): home routers that break NAPTR and SRV do not stand between
//! it and who asks them.

use crate::{Name, known::Known};
use std::net::{IpAddr, SocketAddr};

/// Who knows a zone at first hand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Authority {
    pub(crate) zone: Name,
    pub(crate) servers: Vec<SocketAddr>,
}

/// The servers of the zone that a domain belongs to, as far as there are addresses of families that we have; means
/// nothing as long as `known` is not complete.
pub(crate) fn of(
    domain: &Name,
    (v4, v6): (bool, bool),
    known: &mut Known<'_>,
) -> Option<Authority> {
    let mut zone = domain.clone();
    // A top-level domain has nothing to say of what is delegated away.
    while zone.labels().count() > 1 {
        let hosts: Vec<Name> = known.ns(&zone).into_iter().cloned().collect();
        if !known.is_complete() {
            return None;
        }
        if hosts.is_empty() {
            zone = zone.parent()?;
            continue;
        }
        let mut servers = Vec::new();
        for host in hosts.iter().take(MAX_HOSTS) {
            let addresses = known.addresses(host, v4, v6).into_iter();
            servers.extend(
                addresses
                    .filter(is_elsewhere)
                    .map(|ip| SocketAddr::new(ip, PORT)),
            );
        }
        servers.truncate(MAX_SERVERS);
        return (!servers.is_empty()).then_some(Authority { zone, servers });
    }
    None
}

/// Whoever owns a domain chooses what its name servers are called and where they are: not in this machine.
fn is_elsewhere(ip: &IpAddr) -> bool {
    !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast())
}

const PORT: u16 = 53;
/// RFC 2182, 5 recommends three or four.
const MAX_HOSTS: usize = 4;
/// Each may be silent for its whole time, and the others are behind them.
const MAX_SERVERS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Data, Kind, Question, hosts::Hosts, known::Answers};

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn sought(answers: &[(&str, Kind, Vec<Data>)]) -> Result<Option<Authority>, Vec<String>> {
        let answers: Answers = answers
            .iter()
            .map(|(owner, kind, data)| (Question::new(name(owner), *kind), Ok(data.clone())))
            .collect();
        let hosts = Hosts::default();
        let mut known = Known::new(&answers, &hosts);
        let found = of(&name("sip.example.com"), (true, false), &mut known);
        match known.is_complete() {
            true => Ok(found),
            false => Err(known
                .into_missing()
                .iter()
                .map(ToString::to_string)
                .collect()),
        }
    }

    #[test]
    fn dnl_02_the_zone_is_found_upwards_and_its_servers_with_it() {
        let none = |owner| (owner, Kind::Ns, vec![]);
        let ns = |host| ("example.com", Kind::Ns, vec![Data::Ns(name(host))]);
        let a = |host, ip: [u8; 4]| (host, Kind::A, vec![Data::A(ip.into())]);
        assert_eq!(sought(&[]), Err(vec!["sip.example.com NS".to_owned()]));
        let climbed = sought(&[none("sip.example.com")]);
        assert_eq!(climbed, Err(vec!["example.com NS".to_owned()]));
        // Not further.
        let nowhere = sought(&[none("sip.example.com"), none("example.com")]);
        assert_eq!(nowhere, Ok(None));
        let asks = sought(&[none("sip.example.com"), ns("ns.example.net")]);
        assert_eq!(asks, Err(vec!["ns.example.net A".to_owned()]));
        let at = |ip| {
            let known = [
                none("sip.example.com"),
                ns("ns.example.net"),
                a("ns.example.net", ip),
            ];
            sought(&known).unwrap()
        };
        let authority = at([192, 0, 2, 53]).unwrap();
        assert_eq!(authority.zone, name("example.com"));
        assert_eq!(authority.servers, [SocketAddr::from(([192, 0, 2, 53], 53))]);
        assert_eq!(at([127, 0, 0, 1]), None);
    }
}
