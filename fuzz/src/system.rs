//! What Linux says about itself, of text that it would never say.

use sipsimple::system::{SystemText, hosts, interfaces, name_servers};
use std::{collections::BTreeSet, net::IpAddr};

/// Reads five texts, cut at zero bytes: addresses, routes, addresses of IPv6, hosts and name servers.
///
/// # Panics
/// A reader panics, finds more than it may, or what no text says.
pub fn system(data: &[u8]) {
    let mut parts = data.split(|byte| *byte == 0);
    let mut next = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let text = SystemText {
        fib_trie: next(),
        route: next(),
        if_inet6: next(),
        hosts: next(),
        resolv_conf: next(),
    };
    let found = interfaces(&text);
    assert!(found.len() <= 2 * MAX_ADDRESSES);
    let v4 = found.iter().take_while(|found| found.address.is_ipv4());
    let count = v4.clone().count();
    assert!(found[count..].iter().all(|found| found.address.is_ipv6()));
    let different: BTreeSet<IpAddr> = v4.clone().map(|found| found.address).collect();
    assert_eq!(different.len(), count, "each address once");
    for found in v4 {
        assert!(found.prefix <= 32, "{found:?}");
        assert!(text.fib_trie.contains(&found.address.to_string()));
        assert!(found.name == "lo" || text.route.contains(&found.name));
    }
    for found in &found[count..] {
        assert!(found.prefix <= 128, "{found:?}");
        assert!(!found.name.is_empty() && text.if_inet6.contains(&found.name));
    }
    let known = hosts(&text.hosts);
    assert!(known.len() <= MAX_HOSTS);
    for (name, _) in known {
        assert!(
            !name.is_empty() && !name.contains(['#', '\n', ' ']),
            "{name}"
        );
        assert!(!name.bytes().any(|byte| byte.is_ascii_uppercase()));
    }
    let servers = name_servers(&text.resolv_conf);
    assert!(servers.len() <= MAX_NAME_SERVERS);
    assert!(servers.iter().all(|server| server.port() == 53));
}

const MAX_ADDRESSES: usize = 1_024;
const MAX_HOSTS: usize = 10_000;
const MAX_NAME_SERVERS: usize = 8;
