//! A TURN server as an application names it (RFC 7065).

use base::{HostPort, Transport};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A TURN server and who we are there; `Debug` does not show the password.
///
/// It is read from a URI (`turn:relay.example.com`, `turns:192.0.2.1:443?transport=tcp`), which has neither
/// user nor password: they are set beside it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TurnServer {
    /// Where it is. A name without a port is looked for by SRV first (RFC 5928).
    pub host: HostPort,
    /// What it is spoken with over, [`Udp`](Transport::Udp), [`Tcp`](Transport::Tcp) or
    /// [`Tls`](Transport::Tls); `None` tries UDP and, where nothing comes back, TCP (RFC 5928, 3).
    pub transport: Option<Transport>,
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
}

/// The text is no URI of a TURN server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no URI of a TURN server (turn:HOST[:PORT][?transport=udp|tcp], turns:HOST[:PORT])")]
pub struct InvalidTurnUri;

impl TurnServer {
    /// True if the way to it is secured (`turns`).
    pub fn is_secure(&self) -> bool {
        self.transport.is_some_and(Transport::is_secure)
    }
}

impl FromStr for TurnServer {
    type Err = InvalidTurnUri;

    /// Reads a URI (RFC 7065, 3.1); user and password are empty then.
    fn from_str(text: &str) -> Result<Self, InvalidTurnUri> {
        let (scheme, rest) = text.split_once(':').ok_or(InvalidTurnUri)?;
        let (host, query) = match rest.split_once('?') {
            Some((host, query)) => (host, Some(query)),
            None => (rest, None),
        };
        let wanted = match query {
            None => None,
            Some(query) => Some(query.strip_prefix("transport=").ok_or(InvalidTurnUri)?),
        };
        let is_secure = match scheme.to_ascii_lowercase().as_str() {
            "turn" => false,
            "turns" => true,
            _ => return Err(InvalidTurnUri),
        };
        let is = |name: &str| wanted.is_some_and(|wanted| wanted.eq_ignore_ascii_case(name));
        let transport = match (is_secure, wanted) {
            (false, None) => None,
            (true, None) => Some(Transport::Tls),
            (false, Some(_)) if is("udp") => Some(Transport::Udp),
            (false, Some(_)) if is("tcp") => Some(Transport::Tcp),
            (true, Some(_)) if is("tcp") => Some(Transport::Tls),
            _ => return Err(InvalidTurnUri),
        };
        Ok(Self {
            host: host.parse().map_err(|_| InvalidTurnUri)?,
            transport,
            username: String::new(),
            password: String::new(),
        })
    }
}

impl fmt::Display for TurnServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, query) = match self.transport {
            None => ("turn", ""),
            Some(Transport::Udp) => ("turn", "?transport=udp"),
            Some(transport) if transport.is_secure() => ("turns", ""),
            Some(_) => ("turn", "?transport=tcp"),
        };
        write!(f, "{scheme}:{}{query}", self.host)
    }
}

impl fmt::Debug for TurnServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnServer")
            .field("uri", &self.to_string())
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7065, 3.1 and its examples.
    #[test]
    fn a_uri_says_where_and_over_what() {
        for (text, host, transport) in [
            ("turn:example.org", "example.org", None),
            ("turns:example.org", "example.org", Some(Transport::Tls)),
            ("turn:example.org:8000", "example.org:8000", None),
            (
                "TURN:example.org?transport=UDP",
                "example.org",
                Some(Transport::Udp),
            ),
            (
                "turn:[2001:db8::1]:3478?transport=tcp",
                "[2001:db8::1]:3478",
                Some(Transport::Tcp),
            ),
            (
                "turns:192.0.2.1:443?transport=tcp",
                "192.0.2.1:443",
                Some(Transport::Tls),
            ),
        ] {
            let server: TurnServer = text.parse().unwrap();
            assert_eq!(
                (server.host.to_string(), server.transport),
                (host.to_owned(), transport),
                "{text}"
            );
            assert_eq!(server.to_string().parse(), Ok(server));
        }
        for text in [
            "",
            "turn:",
            "example.org",
            "stun:example.org",
            "turn:a:b@example.org",
            "turns:example.org?transport=udp",
            "turn:example.org?transport=sctp",
            "turn:example.org?user=a",
        ] {
            assert_eq!(text.parse::<TurnServer>(), Err(InvalidTurnUri), "{text}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let mut server: TurnServer = "turn:192.0.2.1".parse().unwrap();
        server.password = "zanzibar".to_owned();
        assert!(!format!("{server:?}").contains("zanzibar"));
    }
}
