//! The header of a STUN message (RFC 8489, 5).

/// What a message is (RFC 8489, 5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// Wants a response.
    Request,
    /// Wants none.
    Indication,
    /// The request was carried out.
    Success,
    /// It was not.
    Error,
}

/// What a message is about: 12 bits (RFC 8489, 5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Method(u16);

impl Method {
    /// Asks from where the request seemed to come (RFC 8489, 3).
    pub const BINDING: Self = Self(1);

    /// Asks a relay for an address (RFC 8656, 17).
    pub const ALLOCATE: Self = Self(3);
    /// Keeps or gives back that address.
    pub const REFRESH: Self = Self(4);
    /// Something for a peer.
    pub const SEND: Self = Self(6);
    /// Something of a peer.
    pub const DATA: Self = Self(7);
    /// Lets a peer send to that address.
    pub const CREATE_PERMISSION: Self = Self(8);
    /// Gives a peer a number.
    pub const CHANNEL_BIND: Self = Self(9);

    /// A method by its number; `None` above 12 bits.
    pub const fn new(number: u16) -> Option<Self> {
        match number < 1 << 12 {
            true => Some(Self(number)),
            false => None,
        }
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// What a response has in common with its request: 96 bits that nobody can guess (RFC 8489, 5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TransactionId(pub [u8; 12]);

/// RFC 8489, 5: the two bits of the class stand between those of the method.
pub(super) const fn split(kind: u16) -> (Class, Method) {
    let class = match (kind & 0x0100 != 0, kind & 0x0010 != 0) {
        (false, false) => Class::Request,
        (false, true) => Class::Indication,
        (true, false) => Class::Success,
        (true, true) => Class::Error,
    };
    let method = (kind & 0x000f) | (kind & 0x00e0) >> 1 | (kind & 0x3e00) >> 2;
    (class, Method(method))
}

pub(super) const fn joined(class: Class, method: Method) -> u16 {
    let class = match class {
        Class::Request => 0,
        Class::Indication => 0x0010,
        Class::Success => 0x0100,
        Class::Error => 0x0110,
    };
    let Method(method) = method;
    class | (method & 0x000f) | (method & 0x0070) << 1 | (method & 0x0f80) << 2
}

/// Bytes of the header.
pub(super) const HEADER: usize = 20;
/// RFC 8489, 5.
pub(super) const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
