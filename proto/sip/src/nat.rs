//! Ways through address translators: where responses go (RFC 3261, 18.2.2; RFC 3581).

use crate::header::Via;
use base::{Host, Target, Transport};
use std::net::{IpAddr, SocketAddr};

/// Returns where the responses to a datagram go to, whose top Via is `via` and which came from `from`.
pub(crate) fn reply_address(via: &Via<'_>, transport: Transport, from: SocketAddr) -> SocketAddr {
    // RFC 3261, 18.2.2 follows any maddr; we are no reflector, so only multicast groups count.
    let group = via
        .maddr()
        .and_then(|maddr| maddr.parse::<IpAddr>().ok())
        .filter(IpAddr::is_multicast);
    let sent_by_port = via.port.unwrap_or_else(|| transport.default_port());
    match (group, via.rport()) {
        (Some(group), _) => SocketAddr::new(group, sent_by_port),
        // RFC 3581, 4
        (None, Some(_)) => from,
        // RFC 3261, 18.2.2: not the source port.
        (None, None) => SocketAddr::new(from.ip(), sent_by_port),
    }
}

/// Returns where the responses to a request go to when the connection that brought it is gone:
/// `received` and the port of sent-by (RFC 3261, 18.2.2).
pub(crate) fn reply_target(via: &Via<'_>, transport: Transport, from: SocketAddr) -> Target {
    let port = via.port.unwrap_or_else(|| transport.default_port());
    Target {
        transport,
        address: SocketAddr::new(from.ip(), port),
        name: Host::Ip(from.ip()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Parse;

    fn reply(via: &str) -> String {
        let via = Via::parse(via.as_bytes()).unwrap();
        reply_address(&via, Transport::Udp, "192.0.2.7:1234".parse().unwrap()).to_string()
    }

    #[test]
    fn responses_follow_rport_else_the_port_of_sent_by() {
        assert_eq!(
            reply("SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1"),
            "192.0.2.7:5070"
        );
        assert_eq!(
            reply("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1"),
            "192.0.2.7:5060"
        );
        assert_eq!(
            reply("SIP/2.0/UDP 10.0.0.1:5070;rport;branch=z9hG4bK1"),
            "192.0.2.7:1234"
        );
    }

    #[test]
    fn maddr_is_followed_to_groups_only() {
        assert_eq!(
            reply("SIP/2.0/UDP 10.0.0.1:5070;maddr=198.51.100.9"),
            "192.0.2.7:5070"
        );
        assert_eq!(
            reply("SIP/2.0/UDP 10.0.0.1:5070;maddr=224.0.1.75"),
            "224.0.1.75:5070"
        );
    }
}
