//! Reads what Linux says about itself: text in, facts out. The runtimes fetch the text.

use crate::edge::{Interface, InterfaceKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The texts that a runtime gathers; a file that cannot be read is empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SystemText {
    /// `/proc/net/fib_trie`.
    pub fib_trie: String,
    /// `/proc/net/route`.
    pub route: String,
    /// `/proc/net/if_inet6`.
    pub if_inet6: String,
    /// `/etc/hosts`.
    pub hosts: String,
    /// `/etc/resolv.conf`.
    pub resolv_conf: String,
}

/// Lists all addresses of this machine, IPv4 first.
///
/// IPv4 addresses get the interface of the narrowest route that covers them; an address that no
/// route covers is listed without a name.
pub fn interfaces(text: &SystemText) -> Vec<Interface> {
    let routes = routes(&text.route);
    let default = routes
        .iter()
        .find(|route| route.mask == 0)
        .map(|route| route.interface);
    let mut interfaces: Vec<Interface> = Vec::new();
    for address in local_v4(&text.fib_trie) {
        let bits = u32::from(address);
        let route = routes
            .iter()
            .filter(|route| route.mask != 0 && bits & route.mask == route.network)
            .max_by_key(|route| route.mask);
        let name = match route {
            Some(route) => route.interface,
            None if address.is_loopback() => "lo",
            None => "",
        };
        interfaces.push(Interface {
            name: name.to_owned(),
            index: 0,
            address: IpAddr::V4(address),
            prefix: match route {
                Some(route) => route.mask.count_ones() as u8,
                None if address.is_loopback() => 8,
                None => 32,
            },
            kind: kind(name),
            default_route: default.is_some_and(|default| default == name),
        });
    }
    interfaces.extend(text.if_inet6.lines().take(MAX_ADDRESSES).filter_map(v6));
    interfaces
}

/// Reads a hosts file: names in lower case with their addresses, in order.
pub fn hosts(text: &str) -> Vec<(String, IpAddr)> {
    let mut hosts = Vec::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or("").split_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse().ok()) else {
            continue;
        };
        hosts.extend(words.map(|name| (name.to_ascii_lowercase(), address)));
        if hosts.len() > MAX_HOSTS {
            break;
        }
    }
    hosts.truncate(MAX_HOSTS);
    hosts
}

/// Reads the name servers of a resolver configuration; a line that makes no sense is passed over,
/// never a reason to fail.
pub fn name_servers(text: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split(['#', ';']).next()?.split_whitespace();
        let address = (words.next()? == "nameserver")
            .then(|| words.next())
            .flatten()?;
        // An address with a zone (`fe80::1%eth0`) keeps its address.
        let ip: IpAddr = address.split('%').next()?.parse().ok()?;
        Some(SocketAddr::new(ip, 53))
    };
    text.lines()
        .filter_map(server)
        .take(MAX_NAME_SERVERS)
        .collect()
}

struct Route<'a> {
    interface: &'a str,
    network: u32,
    mask: u32,
}

/// Lines of `Iface Destination Gateway Flags RefCnt Use Metric Mask …`, numbers in hexadecimal as
/// the machine stores them.
fn routes(text: &str) -> Vec<Route<'_>> {
    // The file prints the word in network order as a number of the machine.
    let word = |hex: &str| {
        Some(u32::from_be_bytes(
            u32::from_str_radix(hex, 16).ok()?.to_ne_bytes(),
        ))
    };
    let route = |line| {
        let columns: Vec<&str> = str::split_whitespace(line).collect();
        Some(Route {
            interface: columns.first()?,
            network: word(columns.get(1)?)?,
            mask: word(columns.get(7)?)?,
        })
    };
    text.lines()
        .skip(1)
        .take(MAX_ADDRESSES)
        .filter_map(route)
        .collect()
}

/// Addresses stand one line above `/32 host LOCAL`; each table repeats them.
fn local_v4(text: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in text.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = last.take()
            && !found.contains(&address)
            && found.len() < MAX_ADDRESSES
        {
            found.push(address);
        }
    }
    found
}

/// `address index prefix scope flags name`, numbers in hexadecimal.
fn v6(line: &str) -> Option<Interface> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let [address, index, prefix, _, _, name] = columns[..] else {
        return None;
    };
    let address = Ipv6Addr::from(u128::from_str_radix(address, 16).ok()?);
    Some(Interface {
        name: name.to_owned(),
        index: u32::from_str_radix(index, 16).ok()?,
        address: IpAddr::V6(address),
        prefix: u8::from_str_radix(prefix, 16)
            .ok()
            .filter(|bits| *bits <= 128)?,
        kind: kind(name),
        default_route: false,
    })
}

/// By the names that Linux gives.
fn kind(name: &str) -> InterfaceKind {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if name == "lo" {
        InterfaceKind::Loopback
    } else if starts(&["en", "eth"]) {
        InterfaceKind::Wired
    } else if starts(&["wl"]) {
        InterfaceKind::Wireless
    } else if starts(&["ww", "rmnet"]) {
        InterfaceKind::Mobile
    } else if starts(&["tun", "tap", "wg", "ppp"]) {
        InterfaceKind::Tunnel
    } else if starts(&["br", "docker", "veth", "virbr"]) {
        InterfaceKind::Virtual
    } else {
        InterfaceKind::Other
    }
}

/// More addresses than any machine that runs a phone has.
const MAX_ADDRESSES: usize = 1_024;
/// Hosts files of ad blockers have 100,000 lines; a phone does not need them.
const MAX_HOSTS: usize = 10_000;
/// What the C library reads, generously.
const MAX_NAME_SERVERS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_usual_machine() {
        let text = SystemText {
            fib_trie: "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     \
                       +-- 127.0.0.0/8 2 0 2\n           |-- 127.0.0.1\n              /32 host LOCAL\n     \
                       |-- 192.0.2.0\n        /24 link UNICAST\n     |-- 192.0.2.7\n        /32 host LOCAL\n\
                       Local:\n     |-- 192.0.2.7\n        /32 host LOCAL\n"
                .to_owned(),
            route: format!(
                "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
                 eth0\t00000000\t{:08X}\t0003\t0\t0\t0\t00000000\n\
                 eth0\t{:08X}\t00000000\t0001\t0\t0\t0\t{:08X}\n",
                u32::from_ne_bytes([192, 0, 2, 1]),
                u32::from_ne_bytes([192, 0, 2, 0]),
                u32::from_ne_bytes([255, 255, 255, 0]),
            ),
            if_inet6: "00000000000000000000000000000001 01 80 10 80       lo\n\
                       20010db8000000000000000000000002 02 40 00 80     eth0\nnonsense\n\
                       20010db8000000000000000000000003 02 81 00 80     eth0\n"
                .to_owned(),
            ..SystemText::default()
        };
        let found: Vec<_> = interfaces(&text)
            .into_iter()
            .map(|i| {
                (
                    i.name,
                    i.address.to_string(),
                    i.prefix,
                    i.kind,
                    i.default_route,
                )
            })
            .collect();
        let expect = |name: &str, address: &str, prefix, kind, default| {
            (name.to_owned(), address.to_owned(), prefix, kind, default)
        };
        assert_eq!(
            found,
            [
                expect("lo", "127.0.0.1", 8, InterfaceKind::Loopback, false),
                expect("eth0", "192.0.2.7", 24, InterfaceKind::Wired, true),
                expect("lo", "::1", 128, InterfaceKind::Loopback, false),
                expect("eth0", "2001:db8::2", 64, InterfaceKind::Wired, false),
            ]
        );
    }

    #[test]
    fn hosts_and_name_servers() {
        let text = "127.0.0.1 localhost # me\n::1 LocalHost ip6-loopback\n\nbad line\n";
        let found = hosts(text);
        assert_eq!(found.len(), 3);
        assert_eq!(
            found[1],
            ("localhost".to_owned(), IpAddr::V6(Ipv6Addr::LOCALHOST))
        );

        let text = "options edns0 foo-bar\nnameserver 192.0.2.1\nnameserver nonsense\nnameserver fe80::1%eth0\n";
        let expected =
            ["192.0.2.1:53", "[fe80::1]:53"].map(|text| text.parse::<SocketAddr>().unwrap());
        assert_eq!(name_servers(text), expected);
    }
}
