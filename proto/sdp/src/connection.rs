//! Addresses, as descriptions write them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Text;

/// Network, address type and address, as in `c=` and `o=` (RFC 8866, section 5.7; SDP-04).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The network, `IN`.
    pub net_type: Text,
    /// The type of the address, `IP4` or `IP6`.
    pub address_type: Text,
    /// The address or name, with the TTL and count of a multicast address behind a slash.
    pub address: Text,
}

impl Connection {
    /// Makes the connection of an Internet address (SDP-09).
    pub fn new(address: IpAddr) -> Self {
        let address_type = if address.is_ipv4() { "IP4" } else { "IP6" };
        Self {
            net_type: Text::fixed("IN"),
            address_type: Text::fixed(address_type),
            address: Text::from(address.to_string()),
        }
    }

    /// Makes the null connection of the family that `like` has (RFC 3264, section 8.4).
    pub fn null(like: IpAddr) -> Self {
        Self::new(match like {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        })
    }

    /// Reads the address; `None` for a host name.
    ///
    /// The address type is not consulted: peers write `IP4` before IPv6 addresses.
    pub fn ip(&self) -> Option<IpAddr> {
        let end = self.address.find('/').unwrap_or(self.address.len());
        self.address[..end].parse().ok()
    }

    /// Tells whether the address is `0.0.0.0` or `::`.
    pub fn is_null(&self) -> bool {
        self.ip().is_some_and(|ip| ip.is_unspecified())
    }

    /// Tells whether the address is a multicast one, for which other offer/answer rules hold
    /// (RFC 3264, section 6.2).
    pub fn is_multicast(&self) -> bool {
        self.ip().is_some_and(|ip| ip.is_multicast())
    }
}
