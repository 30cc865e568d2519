//! What was found out.

use std::{fmt, net::SocketAddr};

/// When a socket is seen at another address (RFC 4787, 4.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mapping {
    /// Never: there is no translator.
    Direct,
    /// All see the same one.
    EndpointIndependent,
    /// Each address sees another one.
    AddressDependent,
    /// Each address and port sees another one.
    AddressAndPortDependent,
}

/// Who may send to a socket that has sent to somebody (RFC 4787, 5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Filtering {
    /// Everybody.
    EndpointIndependent,
    /// Any port of the addresses that it has sent to.
    AddressDependent,
    /// Only who it has sent to.
    AddressAndPortDependent,
}

/// The classes of RFC 3489, 5 and 10.1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// Nothing in between changes or holds back anything.
    Open,
    /// Addresses stay as they are, but only answers come in.
    SymmetricFirewall,
    /// One address for all, and all may send to it.
    FullCone,
    /// One address for all; who was sent to may send from any port.
    RestrictedCone,
    /// One address for all; who was sent to may send.
    PortRestrictedCone,
    /// Not everybody sees the same address.
    Symmetric,
    /// The server does not answer: it is dead, or nothing passes.
    Blocked,
    /// The server cannot tell: it has one address only, or does not answer from where it is asked to.
    Unknown,
}

/// How translators and filters between us and the server behaved at that moment; they may become
/// stricter at any time (RFC 5780, 4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The socket's own address.
    pub local: SocketAddr,
    /// The server that was asked.
    pub server: SocketAddr,
    /// Its other address and port, if it has them.
    pub other: Option<SocketAddr>,
    /// How the server sees the socket; `None` if it did not answer.
    pub mapped: Option<SocketAddr>,
    /// `None` if the server could not tell.
    pub mapping: Option<Mapping>,
    /// `None` if the server could not tell.
    pub filtering: Option<Filtering>,
}

impl Report {
    /// The class of RFC 3489 that this would be.
    pub const fn class(&self) -> Class {
        match (self.mapped, self.mapping, self.filtering) {
            (None, _, _) => Class::Blocked,
            (_, Some(Mapping::AddressDependent | Mapping::AddressAndPortDependent), _) => {
                Class::Symmetric
            }
            (_, None, _) | (_, _, None) => Class::Unknown,
            (_, Some(Mapping::Direct), Some(Filtering::EndpointIndependent)) => Class::Open,
            (_, Some(Mapping::Direct), Some(_)) => Class::SymmetricFirewall,
            (_, Some(Mapping::EndpointIndependent), Some(filtering)) => match filtering {
                Filtering::EndpointIndependent => Class::FullCone,
                Filtering::AddressDependent => Class::RestrictedCone,
                Filtering::AddressAndPortDependent => Class::PortRestrictedCone,
            },
        }
    }
}

impl Mapping {
    /// In the words of RFC 4787.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "Direct",
            Self::EndpointIndependent => "Endpoint-Independent",
            Self::AddressDependent => "Address-Dependent",
            Self::AddressAndPortDependent => "Address and Port-Dependent",
        }
    }
}

impl Filtering {
    /// In the words of RFC 4787.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EndpointIndependent => "Endpoint-Independent",
            Self::AddressDependent => "Address-Dependent",
            Self::AddressAndPortDependent => "Address and Port-Dependent",
        }
    }
}

impl Class {
    /// In the words of RFC 3489.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "Open Internet",
            Self::SymmetricFirewall => "Symmetric UDP Firewall",
            Self::FullCone => "Full Cone",
            Self::RestrictedCone => "Restricted Cone",
            Self::PortRestrictedCone => "Port Restricted Cone",
            Self::Symmetric => "Symmetric",
            Self::Blocked => "UDP Blocked",
            Self::Unknown => "Unknown",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
