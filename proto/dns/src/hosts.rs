//! The hosts file, and the one name that needs none.

use crate::Name;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Addresses by name, as the system's hosts file has them.
#[derive(Debug, Default)]
pub(crate) struct Hosts(BTreeMap<Name, Vec<IpAddr>>);

impl Hosts {
    /// Takes the lines of a hosts file; names that are none are left out.
    pub(crate) fn new(lines: impl IntoIterator<Item = (String, IpAddr)>) -> Self {
        let mut hosts: BTreeMap<Name, Vec<IpAddr>> = BTreeMap::new();
        for (name, address) in lines.into_iter().take(MAX_LINES) {
            let Ok(name) = Name::new(&name) else { continue };
            let addresses = hosts.entry(name).or_default();
            if addresses.len() < MAX_ADDRESSES && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Self(hosts)
    }

    /// The addresses of a host whose name DNS is not asked for.
    pub(crate) fn addresses(&self, name: &Name) -> Option<Vec<IpAddr>> {
        if let Some(addresses) = self.0.get(name) {
            return Some(addresses.clone());
        }
        // RFC 6761, 6.3: a resolver answers for `localhost` and what is below it.
        let is_local = name.labels().last() == Some("localhost");
        is_local.then(|| vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
    }
}

/// More than any hosts file that is not a block list.
const MAX_LINES: usize = 10_000;
/// More than any host has.
const MAX_ADDRESSES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_without_case_and_localhost_always() {
        let lines = [
            ("Proxy.Example.com".to_owned(), [192, 0, 2, 1].into()),
            (
                "proxy.example.com".to_owned(),
                Ipv6Addr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]).into(),
            ),
            ("not a name".to_owned(), [192, 0, 2, 2].into()),
        ];
        let hosts = Hosts::new(lines);
        let find = |name: &str| hosts.addresses(&Name::new(name).unwrap());
        assert_eq!(find("proxy.EXAMPLE.com.").unwrap().len(), 2);
        assert_eq!(find("example.com"), None);
        assert_eq!(
            find("sip.localhost").unwrap(),
            [
                IpAddr::from(Ipv4Addr::LOCALHOST),
                Ipv6Addr::LOCALHOST.into()
            ]
        );
        assert_eq!(find("localhost.example.com"), None);
    }
}
