//! Addresses, targets, and what can happen to a socket.

use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

/// A transport that SIP runs over.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A plain stream.
    Tcp,
    /// A stream secured by TLS.
    Tls,
    /// WebSocket (RFC 7118).
    Ws,
    /// WebSocket over TLS (RFC 7118).
    Wss,
}

impl Transport {
    /// False for datagrams: retransmission timers differ (RFC 3261, 17).
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// True if the transport protects what it carries.
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// The port that is meant when none is given (RFC 3261, 19.1.2; RFC 7118, 4).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// The name as it stands in a Via header (`UDP`).
    pub const fn via_name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// True for WebSockets, secured or not (RFC 7118).
    pub const fn is_web_socket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    /// The name as it stands in a `transport` parameter of a URI (`udp`).
    pub const fn param_name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// Reads either name, in any case.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss]
            .into_iter()
            .find(|transport| name.eq_ignore_ascii_case(transport.via_name().as_bytes()))
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.param_name())
    }
}

/// A host as URIs and Via headers name it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Host {
    /// A domain name, as written.
    Name(String),
    /// An address; IPv6 is written in brackets.
    Ip(IpAddr),
}

impl Host {
    /// The address, if the host is one.
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::Ip(ip) => Some(*ip),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

/// Text that is no host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a host name, an IPv4 address or a bracketed IPv6 address")]
pub struct InvalidHost;

impl FromStr for Host {
    type Err = InvalidHost;

    /// Reads a domain name, an IPv4 address, or an IPv6 address with or without brackets.
    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        if let Some(bare) = bare {
            return bare
                .parse::<Ipv6Addr>()
                .map(|ip| Self::Ip(ip.into()))
                .map_err(|_| InvalidHost);
        }
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Ip(ip.into()));
        }
        if let Ok(ip) = text.parse::<Ipv6Addr>() {
            return Ok(Self::Ip(ip.into()));
        }
        // RFC 3261, 25.1 allows alphanumerics, `-` and `.`; `_` is seen in the wild (service names).
        let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        match !text.is_empty() && text.bytes().all(valid) {
            true => Ok(Self::Name(text.to_owned())),
            false => Err(InvalidHost),
        }
    }
}

/// A host with an optional port: `sent-by` of a Via, `hostport` of a URI.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct HostPort {
    /// The host.
    pub host: Host,
    /// The port, if it is written.
    pub port: Option<u16>,
}

impl HostPort {
    /// Puts host and port together.
    pub const fn new(host: Host, port: Option<u16>) -> Self {
        Self { host, port }
    }

    /// The port to use over `transport`.
    pub fn port_or_default(&self, transport: Transport) -> u16 {
        self.port.unwrap_or_else(|| transport.default_port())
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        Self::new(Host::Ip(address.ip()), Some(address.port()))
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => write!(f, "{}", self.host),
        }
    }
}

impl FromStr for HostPort {
    type Err = InvalidHost;

    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`.
    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let split = match text.rfind(']') {
            Some(end) => end + 1,
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, rest) = text.split_at(split);
        let port = match rest {
            "" => None,
            rest => {
                let digits = rest.strip_prefix(':').ok_or(InvalidHost)?;
                if !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(InvalidHost);
                }
                Some(digits.parse().map_err(|_| InvalidHost)?)
            }
        };
        Ok(Self::new(host.parse()?, port))
    }
}

/// One place to send a request to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Target {
    /// How to speak with it.
    pub transport: Transport,
    /// Where it is.
    pub address: SocketAddr,
    /// What a certificate must prove (RFC 5922, 7.3: the domain asked for, never the SRV target).
    pub name: Host,
}

/// What the system said about a socket.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Serialize,
    Deserialize,
    thiserror::Error,
)]
#[non_exhaustive]
pub enum LinkError {
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// The peer or the network broke the connection.
    #[error("connection reset")]
    Reset,
    /// No route, or an ICMP error.
    #[error("unreachable")]
    Unreachable,
    /// A datagram above the limit of path or system.
    #[error("message too large")]
    TooLarge,
    /// No answer in time.
    #[error("timed out")]
    TimedOut,
    /// Another program has the port.
    #[error("address in use")]
    AddressInUse,
    /// The local address exists no more.
    #[error("address not available")]
    AddressGone,
    /// The system forbids it.
    #[error("permission denied")]
    Denied,
    /// Out of sockets.
    #[error("too many open sockets")]
    TooMany,
    /// The peer does not read: more waits for it than the budget of the connection allows.
    #[error("the peer does not read")]
    Overrun,
    /// TLS could not be established.
    #[error("TLS: {0}")]
    Tls(TlsError),
    /// A WebSocket was refused, with its status of HTTP (101: with headers that are not those of RFC 6455
    /// and RFC 7118), or closed, with its code (RFC 6455, 7.4.1).
    #[error("WebSocket: {0}")]
    WebSocket(u16),
    /// Anything else, with the system's number.
    #[error("system error {0}")]
    Other(i32),
}

/// Why TLS could not be established.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Serialize,
    Deserialize,
    thiserror::Error,
)]
#[non_exhaustive]
pub enum TlsError {
    /// The certificate is for somebody else.
    #[error("the certificate does not prove the name asked for")]
    WrongName,
    /// Nobody we trust signed the certificate.
    #[error("unknown issuer")]
    UnknownIssuer,
    /// The certificate is too old or too new.
    #[error("expired or not valid yet")]
    Expired,
    /// The certificate is not for servers (RFC 5280, 4.2.1.12).
    #[error("the certificate is for another purpose")]
    WrongPurpose,
    /// The certificate cannot be read, or its signature is wrong.
    #[error("the certificate is damaged, or there is none")]
    BadCertificate,
    /// No protocol version in common.
    #[error("no common protocol version")]
    NoCommonVersion,
    /// The peer refused, with its alert number.
    #[error("alert {0}")]
    Alert(u8),
    /// The peer speaks something else.
    #[error("the peer does not speak TLS")]
    NotTls,
    /// The peer closed the connection.
    #[error("the peer closed the connection during the handshake")]
    Closed,
    /// Anything else.
    #[error("handshake failed")]
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        for (text, host, port) in [
            ("example.com", Host::Name("example.com".into()), None),
            (
                "example.com:5070",
                Host::Name("example.com".into()),
                Some(5070),
            ),
            ("192.0.2.1:1", Host::Ip([192, 0, 2, 1].into()), Some(1)),
            ("[::1]", Host::Ip(Ipv6Addr::LOCALHOST.into()), None),
            (
                "[::1]:65535",
                Host::Ip(Ipv6Addr::LOCALHOST.into()),
                Some(65535),
            ),
        ] {
            let parsed: HostPort = text.parse().unwrap();
            assert_eq!(parsed, HostPort::new(host, port));
            assert_eq!(parsed.to_string(), text);
        }
        for bad in [
            "",
            ":1",
            "a:",
            "a:+1",
            "a:65536",
            "a b",
            "[::1",
            "[1.2.3.4]",
            "::1:5060x",
        ] {
            assert_eq!(bad.parse::<HostPort>(), Err(InvalidHost), "{bad}");
        }
    }

    #[test]
    fn transports_by_either_name() {
        assert_eq!(Transport::from_name(b"Tls"), Some(Transport::Tls));
        assert_eq!(Transport::from_name(b"sctp"), None);
    }
}
