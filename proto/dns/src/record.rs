//! Questions, and the data of records.

use crate::Name;
use serde::Serialize;
use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

/// A type of record that can be asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Kind {
    /// An IPv4 address (RFC 1035).
    A,
    /// An IPv6 address (RFC 3596).
    Aaaa,
    /// A rule that leads from a domain to its services (RFC 3403).
    Naptr,
    /// Where a service is (RFC 2782).
    Srv,
    /// Text (RFC 1035).
    Txt,
    /// A name server of a zone (RFC 1035).
    Ns,
}

impl Kind {
    /// The name as it stands in zones (`AAAA`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Naptr => "NAPTR",
            Self::Srv => "SRV",
            Self::Txt => "TXT",
            Self::Ns => "NS",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is asked of a name server, in class IN.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Question {
    /// Whose records.
    pub name: Name,
    /// Which.
    pub kind: Kind,
}

impl Question {
    /// Puts a question together.
    pub const fn new(name: Name, kind: Kind) -> Self {
        Self { name, kind }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.kind)
    }
}

/// The data of one record; printed as it stands in a zone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Data {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// A rule.
    Naptr(Naptr),
    /// Where a service is.
    Srv(Srv),
    /// Text: the strings of the record put together.
    Txt(String),
    /// The name of a name server.
    Ns(Name),
}

impl Data {
    /// The type of the record.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::A(_) => Kind::A,
            Self::Aaaa(_) => Kind::Aaaa,
            Self::Naptr(_) => Kind::Naptr,
            Self::Srv(_) => Kind::Srv,
            Self::Txt(_) => Kind::Txt,
            Self::Ns(_) => Kind::Ns,
        }
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(ip) => write!(f, "{ip}"),
            Self::Aaaa(ip) => write!(f, "{ip}"),
            Self::Naptr(rule) => write!(f, "{rule}"),
            Self::Srv(srv) => write!(f, "{srv}"),
            Self::Txt(text) => write!(f, "{text:?}"),
            Self::Ns(name) => write!(f, "{name}."),
        }
    }
}

/// A rule of the dynamic delegation discovery (RFC 3403, 4.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Naptr {
    /// Lower comes first.
    pub order: u16,
    /// Among rules of one order, lower comes first.
    pub preference: u16,
    /// `s`: a SRV record follows. Lower case.
    pub flags: String,
    /// Which service: `SIP+D2U`. Upper case.
    pub service: String,
    /// Replaces by an expression; such rules are not for finding SIP servers (RFC 3263, 4.1).
    pub regexp: String,
    /// The name to ask for next.
    pub replacement: Name,
}

impl fmt::Display for Naptr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            order,
            preference,
            flags,
            service,
            regexp,
            replacement,
        } = self;
        write!(
            f,
            "{order} {preference} {flags:?} {service:?} {regexp:?} {replacement}"
        )
    }
}

/// Where a service is (RFC 2782).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Srv {
    /// Lower comes first.
    pub priority: u16,
    /// Its share among those of the same priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host; the root says that there is no such service.
    pub target: Name,
}

impl fmt::Display for Srv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            priority,
            weight,
            port,
            target,
        } = self;
        write!(f, "{priority} {weight} {port} {target}")
    }
}
