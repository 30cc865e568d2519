//! What this machine says about itself, gathered for the agent.

use sipsimple::{agent::System, system::SystemText};

/// Reads all facts: at the start, and to see whether anything changed.
pub fn facts() -> Vec<System> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let text = SystemText {
        fib_trie: read("/proc/net/fib_trie"),
        route: read("/proc/net/route"),
        if_inet6: read("/proc/net/if_inet6"),
        hosts: read("/etc/hosts"),
        resolv_conf: read("/etc/resolv.conf"),
    };
    vec![
        System::Interfaces(sipsimple::system::interfaces(&text)),
        System::Hosts(sipsimple::system::hosts(&text.hosts)),
        System::NameServers(sipsimple::system::name_servers(&text.resolv_conf)),
    ]
}
