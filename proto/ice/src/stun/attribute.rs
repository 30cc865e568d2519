//! Attributes (RFC 8489, 14).

use super::header::{COOKIE, HEADER, TransactionId};
use bytes::BytesMut;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str,
};

/// What an attribute is. Below 0x8000 it must be understood (RFC 8489, 14).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AttributeType(pub u16);

impl AttributeType {
    /// RFC 8489, 14.1.
    pub const MAPPED_ADDRESS: Self = Self(0x0001);
    /// RFC 5780, 7.2: written, and understood by no agent.
    pub const CHANGE_REQUEST: Self = Self(0x0003);
    /// RFC 3489, 11.2.5: of old servers.
    pub const SOURCE_ADDRESS: Self = Self(0x0004);
    /// RFC 3489, 11.2.3: of old servers, which have no OTHER-ADDRESS.
    pub const CHANGED_ADDRESS: Self = Self(0x0005);
    /// RFC 8489, 14.3.
    pub const USERNAME: Self = Self(0x0006);
    /// RFC 8489, 14.5.
    pub const MESSAGE_INTEGRITY: Self = Self(0x0008);
    /// RFC 8489, 14.8.
    pub const ERROR_CODE: Self = Self(0x0009);
    /// RFC 8489, 14.13.
    pub const UNKNOWN_ATTRIBUTES: Self = Self(0x000a);
    /// RFC 8656, 18.1.
    pub const CHANNEL_NUMBER: Self = Self(0x000c);
    /// RFC 8656, 18.2.
    pub const LIFETIME: Self = Self(0x000d);
    /// RFC 8656, 18.3.
    pub const XOR_PEER_ADDRESS: Self = Self(0x0012);
    /// RFC 8656, 18.4.
    pub const DATA: Self = Self(0x0013);
    /// RFC 8489, 14.9.
    pub const REALM: Self = Self(0x0014);
    /// RFC 8489, 14.10.
    pub const NONCE: Self = Self(0x0015);
    /// RFC 8656, 18.5.
    pub const XOR_RELAYED_ADDRESS: Self = Self(0x0016);
    /// RFC 8656, 18.6.
    pub const REQUESTED_ADDRESS_FAMILY: Self = Self(0x0017);
    /// RFC 8656, 18.8.
    pub const REQUESTED_TRANSPORT: Self = Self(0x0019);
    /// RFC 8489, 14.6.
    pub const MESSAGE_INTEGRITY_SHA256: Self = Self(0x001c);
    /// RFC 8489, 14.2.
    pub const XOR_MAPPED_ADDRESS: Self = Self(0x0020);
    /// RFC 8445, 7.1.1.
    pub const PRIORITY: Self = Self(0x0024);
    /// RFC 8445, 7.1.2.
    pub const USE_CANDIDATE: Self = Self(0x0025);
    /// RFC 8489, 14.14.
    pub const SOFTWARE: Self = Self(0x8022);
    /// RFC 8489, 14.15.
    pub const ALTERNATE_SERVER: Self = Self(0x8023);
    /// RFC 8489, 14.7.
    pub const FINGERPRINT: Self = Self(0x8028);
    /// RFC 8445, 7.1.3.
    pub const ICE_CONTROLLED: Self = Self(0x8029);
    /// RFC 5780, 7.4.
    pub const OTHER_ADDRESS: Self = Self(0x802c);
    /// RFC 8445, 7.1.3.
    pub const ICE_CONTROLLING: Self = Self(0x802a);

    /// True if a message whose receiver does not know it is void.
    pub const fn is_required(self) -> bool {
        self.0 < 0x8000
    }

    /// True for those that this module reads or verifies.
    pub fn is_known(self) -> bool {
        KNOWN.contains(&self)
    }
}

/// An attribute, read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Attribute<'a> {
    /// From where the request seemed to come, in clear: some NATs change it on the way.
    MappedAddress(SocketAddr),
    /// The same, hidden from such NATs.
    XorMappedAddress(SocketAddr),
    /// Where to ask instead.
    AlternateServer(SocketAddr),
    /// The server's other address and port, as old servers have it.
    ChangedAddress(SocketAddr),
    /// The server's other address and port.
    OtherAddress(SocketAddr),
    /// Who sends.
    Username(&'a str),
    /// The protection space of long-term credentials.
    Realm(&'a str),
    /// What makes their use unique.
    Nonce(&'a str),
    /// The maker of the sender.
    Software(&'a str),
    /// Why a request was not carried out.
    ErrorCode(ErrorCode<'a>),
    /// Which attributes were not understood: two bytes each.
    UnknownAttributes(&'a [u8]),
    /// A number from 0x4000 to 0x4fff that stands for a peer.
    ChannelNumber(u16),
    /// How long an allocation lives, in seconds.
    Lifetime(u32),
    /// Whom a relay sends to, or hears.
    XorPeerAddress(SocketAddr),
    /// What it sends, or has heard.
    Data(&'a [u8]),
    /// Our address at a relay.
    XorRelayedAddress(SocketAddr),
    /// Of which family it shall be: true for IPv6.
    RequestedAddressFamily(bool),
    /// What it shall carry: 17 is UDP, the only one.
    RequestedTransport(u8),
    /// What the sender's end would be worth if it turned out to be a candidate.
    Priority(u32),
    /// The sender wants to use this pair.
    UseCandidate,
    /// The sender is controlled; its tie-breaker.
    IceControlled(u64),
    /// The sender controls; its tie-breaker.
    IceControlling(u64),
    /// Any other.
    Other(AttributeType, &'a [u8]),
}

/// Why a request was not carried out (RFC 8489, 14.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorCode<'a> {
    /// 300 to 699.
    pub code: u16,
    /// For people.
    pub reason: &'a str,
}

/// A value that is not what its type says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the value of an attribute of type {:#06x} is wrong", .0.0)]
pub struct InvalidAttribute(pub AttributeType);

/// An attribute as it stands in its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Raw<'a> {
    /// What it is.
    pub kind: AttributeType,
    /// Its value, without padding.
    pub value: &'a [u8],
    /// Where its header begins, from the start of the message, in bytes.
    pub at: usize,
    transaction: TransactionId,
}

impl<'a> Raw<'a> {
    /// Bytes of the attribute that begins here, its padding included.
    pub(super) fn padded_len(bytes: &[u8]) -> Option<usize> {
        let length = bytes.get(2..4)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        Some(4 + length.next_multiple_of(4))
    }

    /// Reads the value.
    ///
    /// # Errors
    ///
    /// If it is not what its type says: an unknown family of addresses, text that is no UTF-8 or longer
    /// than RFC 8489, 14 allows, an error code out of its range.
    pub fn read(&self) -> Result<Attribute<'a>, InvalidAttribute> {
        let Self {
            kind,
            value,
            transaction,
            ..
        } = *self;
        let read = match kind {
            AttributeType::MAPPED_ADDRESS => address(value).map(Attribute::MappedAddress),
            AttributeType::XOR_MAPPED_ADDRESS => address(value)
                .map(|address| Attribute::XorMappedAddress(masked(address, transaction))),
            AttributeType::ALTERNATE_SERVER => address(value).map(Attribute::AlternateServer),
            AttributeType::CHANGED_ADDRESS => address(value).map(Attribute::ChangedAddress),
            AttributeType::OTHER_ADDRESS => address(value).map(Attribute::OtherAddress),
            AttributeType::USERNAME => text(value, MAX_USERNAME).map(Attribute::Username),
            AttributeType::REALM => text(value, MAX_TEXT).map(Attribute::Realm),
            AttributeType::NONCE => text(value, MAX_TEXT).map(Attribute::Nonce),
            AttributeType::SOFTWARE => text(value, MAX_TEXT).map(Attribute::Software),
            AttributeType::ERROR_CODE => error_code(value).map(Attribute::ErrorCode),
            AttributeType::UNKNOWN_ATTRIBUTES => value
                .len()
                .is_multiple_of(2)
                .then_some(Attribute::UnknownAttributes(value)),
            AttributeType::CHANNEL_NUMBER => match value {
                [high, low, _, _] => {
                    let number = u16::from_be_bytes([*high, *low]);
                    Some(Attribute::ChannelNumber(number))
                }
                _ => None,
            },
            AttributeType::LIFETIME => number(value)
                .map(u32::from_be_bytes)
                .map(Attribute::Lifetime),
            AttributeType::XOR_PEER_ADDRESS => address(value)
                .map(|address| Attribute::XorPeerAddress(masked(address, transaction))),
            AttributeType::DATA => Some(Attribute::Data(value)),
            AttributeType::XOR_RELAYED_ADDRESS => address(value)
                .map(|address| Attribute::XorRelayedAddress(masked(address, transaction))),
            AttributeType::REQUESTED_ADDRESS_FAMILY => match value {
                [family @ 1..=2, _, _, _] => Some(Attribute::RequestedAddressFamily(*family == 2)),
                _ => None,
            },
            AttributeType::REQUESTED_TRANSPORT => match value {
                [protocol, _, _, _] => Some(Attribute::RequestedTransport(*protocol)),
                _ => None,
            },
            AttributeType::PRIORITY => number(value)
                .map(u32::from_be_bytes)
                .map(Attribute::Priority),
            AttributeType::USE_CANDIDATE => value.is_empty().then_some(Attribute::UseCandidate),
            AttributeType::ICE_CONTROLLED => number(value)
                .map(u64::from_be_bytes)
                .map(Attribute::IceControlled),
            AttributeType::ICE_CONTROLLING => number(value)
                .map(u64::from_be_bytes)
                .map(Attribute::IceControlling),
            kind => Some(Attribute::Other(kind, value)),
        };
        read.ok_or(InvalidAttribute(kind))
    }
}

impl Attribute<'_> {
    /// What it is.
    pub const fn kind(&self) -> AttributeType {
        match self {
            Self::MappedAddress(_) => AttributeType::MAPPED_ADDRESS,
            Self::XorMappedAddress(_) => AttributeType::XOR_MAPPED_ADDRESS,
            Self::AlternateServer(_) => AttributeType::ALTERNATE_SERVER,
            Self::ChangedAddress(_) => AttributeType::CHANGED_ADDRESS,
            Self::OtherAddress(_) => AttributeType::OTHER_ADDRESS,
            Self::Username(_) => AttributeType::USERNAME,
            Self::Realm(_) => AttributeType::REALM,
            Self::Nonce(_) => AttributeType::NONCE,
            Self::Software(_) => AttributeType::SOFTWARE,
            Self::ErrorCode(_) => AttributeType::ERROR_CODE,
            Self::UnknownAttributes(_) => AttributeType::UNKNOWN_ATTRIBUTES,
            Self::ChannelNumber(_) => AttributeType::CHANNEL_NUMBER,
            Self::Lifetime(_) => AttributeType::LIFETIME,
            Self::XorPeerAddress(_) => AttributeType::XOR_PEER_ADDRESS,
            Self::Data(_) => AttributeType::DATA,
            Self::XorRelayedAddress(_) => AttributeType::XOR_RELAYED_ADDRESS,
            Self::RequestedAddressFamily(_) => AttributeType::REQUESTED_ADDRESS_FAMILY,
            Self::RequestedTransport(_) => AttributeType::REQUESTED_TRANSPORT,
            Self::Priority(_) => AttributeType::PRIORITY,
            Self::UseCandidate => AttributeType::USE_CANDIDATE,
            Self::IceControlled(_) => AttributeType::ICE_CONTROLLED,
            Self::IceControlling(_) => AttributeType::ICE_CONTROLLING,
            Self::Other(kind, _) => *kind,
        }
    }

    /// Writes the value.
    pub(super) fn write(&self, transaction: TransactionId, out: &mut BytesMut) {
        match *self {
            Self::MappedAddress(address)
            | Self::AlternateServer(address)
            | Self::ChangedAddress(address)
            | Self::OtherAddress(address) => write_address(address, out),
            Self::XorMappedAddress(address)
            | Self::XorPeerAddress(address)
            | Self::XorRelayedAddress(address) => {
                write_address(masked(address, transaction), out);
            }
            Self::ChannelNumber(number) => {
                out.extend_from_slice(&number.to_be_bytes());
                out.extend_from_slice(&[0, 0]);
            }
            Self::RequestedAddressFamily(is_v6) => {
                out.extend_from_slice(&[1 + u8::from(is_v6), 0, 0, 0]);
            }
            Self::RequestedTransport(protocol) => out.extend_from_slice(&[protocol, 0, 0, 0]),
            Self::Username(text) | Self::Realm(text) | Self::Nonce(text) | Self::Software(text) => {
                out.extend_from_slice(text.as_bytes());
            }
            Self::ErrorCode(ErrorCode { code, reason }) => {
                let class = (code / 100 % 8) as u8;
                let number = (code % 100) as u8;
                out.extend_from_slice(&[0, 0, class, number]);
                out.extend_from_slice(reason.as_bytes());
            }
            Self::UnknownAttributes(value) | Self::Data(value) | Self::Other(_, value) => {
                out.extend_from_slice(value);
            }
            Self::Priority(number) | Self::Lifetime(number) => {
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::UseCandidate => {}
            Self::IceControlled(tie_breaker) | Self::IceControlling(tie_breaker) => {
                out.extend_from_slice(&tie_breaker.to_be_bytes());
            }
        }
    }
}

/// Walks the attributes that count.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    bytes: &'a [u8],
    at: usize,
    transaction: TransactionId,
    /// What may still follow.
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Anything,
    /// RFC 8489, 14.5: MESSAGE-INTEGRITY has come.
    Protected,
    /// RFC 8489, 14.6: MESSAGE-INTEGRITY-SHA256 has come.
    WellProtected,
    /// RFC 8489, 14.7: FINGERPRINT has come.
    Over,
}

impl<'a> Attributes<'a> {
    pub(super) const fn new(bytes: &'a [u8], transaction: TransactionId) -> Self {
        Self {
            bytes,
            at: HEADER,
            transaction,
            stage: Stage::Anything,
        }
    }

    fn take(&mut self) -> Option<Raw<'a>> {
        let at = self.at;
        let bytes = self.bytes.get(at..).filter(|bytes| bytes.len() >= 4)?;
        self.at += Raw::padded_len(bytes)?;
        let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        Some(Raw {
            kind: AttributeType(u16::from_be_bytes([bytes[0], bytes[1]])),
            value: bytes.get(4..4 + length)?,
            at,
            transaction: self.transaction,
        })
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        loop {
            let raw = self.take()?;
            let next = match (self.stage, raw.kind) {
                (Stage::Over, _) => return None,
                (_, AttributeType::FINGERPRINT) => Stage::Over,
                (Stage::Anything | Stage::Protected, AttributeType::MESSAGE_INTEGRITY_SHA256) => {
                    Stage::WellProtected
                }
                (Stage::Anything, AttributeType::MESSAGE_INTEGRITY) => Stage::Protected,
                (Stage::Anything, _) => Stage::Anything,
                (Stage::Protected | Stage::WellProtected, _) => continue,
            };
            self.stage = next;
            return Some(raw);
        }
    }
}

fn number<const N: usize>(value: &[u8]) -> Option<[u8; N]> {
    value.try_into().ok()
}

/// RFC 8489, 14.1.
fn address(value: &[u8]) -> Option<SocketAddr> {
    let [_, family, high, low, address @ ..] = value else {
        return None;
    };
    let port = u16::from_be_bytes([*high, *low]);
    let ip: IpAddr = match family {
        1 => Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?).into(),
        2 => Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn write_address(address: SocketAddr, out: &mut BytesMut) {
    let family = if address.is_ipv4() { 1 } else { 2 };
    out.extend_from_slice(&[0, family]);
    out.extend_from_slice(&address.port().to_be_bytes());
    match address.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
}

/// RFC 8489, 14.2: the mask is the cookie, and for IPv6 the transaction id after it. Twice is nothing.
fn masked(address: SocketAddr, transaction: TransactionId) -> SocketAddr {
    let port = address.port() ^ u16::from_be_bytes([COOKIE[0], COOKIE[1]]);
    let ip: IpAddr = match address.ip() {
        IpAddr::V4(ip) => {
            let mut octets = ip.octets();
            for (octet, mask) in octets.iter_mut().zip(COOKIE) {
                *octet ^= mask;
            }
            octets.into()
        }
        IpAddr::V6(ip) => {
            let mut octets = ip.octets();
            for (octet, mask) in octets
                .iter_mut()
                .zip(COOKIE.into_iter().chain(transaction.0))
            {
                *octet ^= mask;
            }
            octets.into()
        }
    };
    SocketAddr::new(ip, port)
}

fn text(value: &[u8], most: usize) -> Option<&str> {
    str::from_utf8(value).ok().filter(|text| text.len() <= most)
}

/// RFC 8489, 14.8.
fn error_code(value: &[u8]) -> Option<ErrorCode<'_>> {
    let [_, _, class, number, reason @ ..] = value else {
        return None;
    };
    let class = class & 7;
    let is_in_range = (3..=6).contains(&class) && *number < 100;
    Some(ErrorCode {
        code: u16::from(class) * 100 + u16::from(*number),
        reason: text(reason, MAX_TEXT)?,
    })
    .filter(|_| is_in_range)
}

/// RFC 8489, 14.3: less than 509 bytes.
const MAX_USERNAME: usize = 508;
/// RFC 8489, 14.8 to 14.10, 14.14: fewer than 128 characters, which can be 763 bytes.
const MAX_TEXT: usize = 763;

const KNOWN: [AttributeType; 24] = [
    AttributeType::MAPPED_ADDRESS,
    AttributeType::USERNAME,
    AttributeType::MESSAGE_INTEGRITY,
    AttributeType::ERROR_CODE,
    AttributeType::UNKNOWN_ATTRIBUTES,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::MESSAGE_INTEGRITY_SHA256,
    AttributeType::XOR_MAPPED_ADDRESS,
    AttributeType::SOFTWARE,
    AttributeType::ALTERNATE_SERVER,
    AttributeType::OTHER_ADDRESS,
    AttributeType::FINGERPRINT,
    AttributeType::CHANNEL_NUMBER,
    AttributeType::LIFETIME,
    AttributeType::XOR_PEER_ADDRESS,
    AttributeType::DATA,
    AttributeType::XOR_RELAYED_ADDRESS,
    AttributeType::REQUESTED_ADDRESS_FAMILY,
    AttributeType::REQUESTED_TRANSPORT,
    AttributeType::PRIORITY,
    AttributeType::USE_CANDIDATE,
    AttributeType::ICE_CONTROLLED,
    AttributeType::ICE_CONTROLLING,
];
