//! Request methods.

use base::scan::is_token;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a request asks for; compared by case (RFC 3261, 7.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[non_exhaustive]
pub enum Method {
    /// Acknowledges a final response to INVITE (RFC 3261, 17.1.1.3 and 13.2.2.4).
    Ack,
    /// Ends a session (RFC 3261, 15).
    Bye,
    /// Gives up a pending INVITE (RFC 3261, 9).
    Cancel,
    /// Carries application data inside a session (RFC 6086).
    Info,
    /// Invites to a session, or changes it (RFC 3261, 13 and 14).
    Invite,
    /// Carries an instant message (RFC 3428).
    Message,
    /// Reports the state of a subscription (RFC 6665).
    Notify,
    /// Asks for capabilities (RFC 3261, 11).
    Options,
    /// Acknowledges a reliable provisional response (RFC 3262).
    Prack,
    /// Publishes event state (RFC 3903).
    Publish,
    /// Asks the recipient to send a request (RFC 3515).
    Refer,
    /// Binds an address of record to contacts (RFC 3261, 10).
    Register,
    /// Asks for reports of state (RFC 6665).
    Subscribe,
    /// Changes a session without a new INVITE (RFC 3311).
    Update,
    /// A method that this stack does not know, as written.
    Other(OtherMethod),
}

/// The name of an unknown method: a token (RFC 3261, 25.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OtherMethod(Box<str>);

/// A text that is no token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a method name")]
pub struct InvalidMethod;

impl Method {
    /// Reads a method; `None` if the text is no token.
    pub fn from_bytes(text: &[u8]) -> Option<Self> {
        if let Some(known) = Self::known(text) {
            return Some(known);
        }
        if text.is_empty() || !text.iter().all(|&b| is_token(b)) {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        Some(Self::Other(OtherMethod(text.into())))
    }

    fn known(text: &[u8]) -> Option<Self> {
        Some(match text {
            b"INVITE" => Self::Invite,
            b"ACK" => Self::Ack,
            b"BYE" => Self::Bye,
            b"CANCEL" => Self::Cancel,
            b"OPTIONS" => Self::Options,
            b"REGISTER" => Self::Register,
            b"INFO" => Self::Info,
            b"MESSAGE" => Self::Message,
            b"NOTIFY" => Self::Notify,
            b"PRACK" => Self::Prack,
            b"PUBLISH" => Self::Publish,
            b"REFER" => Self::Refer,
            b"SUBSCRIBE" => Self::Subscribe,
            b"UPDATE" => Self::Update,
            _ => return None,
        })
    }

    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Info => "INFO",
            Self::Invite => "INVITE",
            Self::Message => "MESSAGE",
            Self::Notify => "NOTIFY",
            Self::Options => "OPTIONS",
            Self::Prack => "PRACK",
            Self::Publish => "PUBLISH",
            Self::Refer => "REFER",
            Self::Register => "REGISTER",
            Self::Subscribe => "SUBSCRIBE",
            Self::Update => "UPDATE",
            Self::Other(OtherMethod(name)) => name,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Method> for String {
    fn from(method: Method) -> Self {
        method.as_str().to_owned()
    }
}

impl TryFrom<String> for Method {
    type Error = InvalidMethod;

    fn try_from(text: String) -> Result<Self, InvalidMethod> {
        Self::from_bytes(text.as_bytes()).ok_or(InvalidMethod)
    }
}

impl std::str::FromStr for Method {
    type Err = InvalidMethod;

    fn from_str(text: &str) -> Result<Self, InvalidMethod> {
        Self::from_bytes(text.as_bytes()).ok_or(InvalidMethod)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_by_case() {
        for name in [
            "INVITE",
            "ACK",
            "BYE",
            "CANCEL",
            "OPTIONS",
            "REGISTER",
            "INFO",
            "MESSAGE",
            "NOTIFY",
            "PRACK",
            "PUBLISH",
            "REFER",
            "SUBSCRIBE",
            "UPDATE",
        ] {
            let method: Method = name.parse().unwrap();
            assert!(!matches!(method, Method::Other(_)), "{name}");
            assert_eq!(method.to_string(), name);
            let lower: Method = name.to_lowercase().parse().unwrap();
            assert!(matches!(lower, Method::Other(_)), "{name}");
        }
        assert_eq!("IN%56ITE".parse::<Method>().unwrap().as_str(), "IN%56ITE");
        for bad in ["", "IN VITE", "INVITE\r\n", "MÉTHODE", "a/b"] {
            assert_eq!(bad.parse::<Method>(), Err(InvalidMethod), "{bad:?}");
        }
    }
}
