//! Routers that translate and filter, by rules of `nft`.
//!
//! What comes in early for the router itself must vanish: answered by an error, or remembered as a
//! connection of its own, it would change how the translator behaves. The inner interface is `near`, the
//! outer one `far`; `HOST` stands for the address of the one host inside.

/// One port for everybody, open to everybody.
pub(crate) const FULL_CONE: &str = "add table ip nat; \
    add chain ip nat in { type filter hook input priority 0; policy drop; }; \
    add chain ip nat out { type nat hook postrouting priority 100; }; \
    add rule ip nat out oifname far masquerade; \
    add chain ip nat pre { type nat hook prerouting priority -100; }; \
    add rule ip nat pre iifname far meta l4proto udp dnat to HOST";

/// One port for everybody, open to addresses that were written to.
pub(crate) const RESTRICTED_CONE: &str = "add table ip nat; \
    add set ip nat met { type ipv4_addr; flags dynamic,timeout; timeout 60s; }; \
    add chain ip nat in { type filter hook input priority 0; policy drop; }; \
    add chain ip nat through { type filter hook forward priority 0; }; \
    add rule ip nat through iifname near meta l4proto udp update @met { ip daddr }; \
    add chain ip nat out { type nat hook postrouting priority 100; }; \
    add rule ip nat out oifname far masquerade; \
    add chain ip nat pre { type nat hook prerouting priority -100; }; \
    add rule ip nat pre iifname far meta l4proto udp ip saddr @met dnat to HOST";

/// One port for everybody, open to ports that were written to.
pub(crate) const PORT_RESTRICTED: &str = "add table ip nat; \
    add chain ip nat in { type filter hook input priority 0; policy drop; }; \
    add chain ip nat out { type nat hook postrouting priority 100; }; \
    add rule ip nat out oifname far masquerade";

/// Another port for each port that is written to.
pub(crate) const SYMMETRIC: &str = "add table ip nat; \
    add chain ip nat in { type filter hook input priority 0; policy drop; }; \
    add chain ip nat out { type nat hook postrouting priority 100; }; \
    add rule ip nat out oifname far meta l4proto udp masquerade fully-random; \
    add rule ip nat out oifname far masquerade";

/// No datagram passes; connections do.
pub(crate) const UDP_BLOCKED: &str = "add table ip nat; \
    add chain ip nat in { type filter hook input priority 0; policy drop; }; \
    add chain ip nat through { type filter hook forward priority 0; }; \
    add rule ip nat through meta l4proto udp drop; \
    add chain ip nat out { type nat hook postrouting priority 100; }; \
    add rule ip nat out oifname far masquerade";

/// Lets in nothing that was not asked for.
pub(crate) const FIREWALL: &str = "add table ip wall; \
    add chain ip wall through { type filter hook forward priority 0; }; \
    add rule ip wall through iifname far ct state new drop";

/// Everything passes.
pub(crate) const NOTHING: &str = "add table ip open";

/// The rules for a router with this host inside.
pub(crate) fn rules(rules: &str, host: std::net::IpAddr) -> String {
    format!(
        "flush ruleset; {}",
        rules.replace("HOST", &host.to_string())
    )
}
