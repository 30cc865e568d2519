//! A whole description, and what its m-lines inherit from the session level.

use std::net::{IpAddr, SocketAddr};

use crate::{Attributes, Bandwidth, Connection, Direction, Media, Text};

/// A session description (RFC 8866, section 5; SDP-01): plain data, compared by value.
///
/// Made by [`Session::parse`], by [`Session::new`] or by [`Session::answer`]; printed by
/// [`Session::print`] or `Display`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Who made the description, and which version of it this is (`o=`).
    pub origin: Origin,
    /// The session's name (`s=`); `-` where there is none (RFC 8866, section 5.3).
    pub name: Text,
    /// What the session is about (`i=`); empty for no such line.
    pub info: Text,
    /// Where to read more (`u=`); empty for no such line.
    pub uri: Text,
    /// Whom to write to (`e=`).
    pub emails: Vec<Text>,
    /// Whom to ring (`p=`).
    pub phones: Vec<Text>,
    /// The address of all m-lines that have none of their own (`c=`).
    pub connection: Option<Connection>,
    /// Bandwidth of the whole session (`b=`).
    pub bandwidth: Vec<Bandwidth>,
    /// When the session takes place (`t=`, `r=`, `z=`); empty for a single `t=0 0`, a session
    /// without end, which is never read as a [`Time`].
    pub times: Vec<Time>,
    /// The obsolete key line (`k=`), kept and not used (RFC 8866, section 5.12); empty for none.
    pub key: Text,
    /// The attributes of the session level, in their order.
    pub attributes: Attributes,
    /// The m-lines, in their order.
    pub media: Vec<Media>,
}

impl Session {
    /// Starts a description of that origin, without media.
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            name: Text::fixed("-"),
            info: Text::default(),
            uri: Text::default(),
            emails: Vec::new(),
            phones: Vec::new(),
            connection: None,
            bandwidth: Vec::new(),
            times: Vec::new(),
            key: Text::default(),
            attributes: Attributes::default(),
            media: Vec::new(),
        }
    }

    /// Puts m-lines under an origin; nothing else stands at session level.
    ///
    /// An m-line without a connection line gets the address of the origin, since every m-line needs
    /// one (RFC 8866, section 5.7).
    pub fn assemble(origin: Origin, media: Vec<Media>) -> Self {
        let mut session = Self::new(origin);
        session.media = media;
        for media in &mut session.media {
            if media.connections.is_empty() {
                media.connections.push(session.origin.connection.clone());
            }
        }
        session
    }

    /// Continues `previous`, the last description that this side sent (SDP-08; RFC 3264, section 8).
    ///
    /// The origin becomes the previous one; its version rises by one if anything else differs.
    pub fn continue_from(&mut self, previous: &Self) {
        self.origin = previous.origin.clone();
        if !self.is_same_description(previous) {
            self.origin.bump_version();
        }
    }

    /// Tells whether both say the same, whatever the version of their origins.
    pub fn is_same_description(&self, other: &Self) -> bool {
        // The clone shares its texts and is made once per exchange; in return no field is forgotten.
        let mut aligned = other.clone();
        aligned.origin.version = self.origin.version.clone();
        *self == aligned
    }

    /// Finds the slot for another m-line: the first dead one, else one behind the last (SES-23).
    ///
    /// Ask the *answer* of the latest exchange, in which removed and refused lines both have port 0
    /// (RFC 3264, section 8.1).
    pub fn slot_for_new_media(&self) -> usize {
        self.media
            .iter()
            .position(Media::is_disabled)
            .unwrap_or(self.media.len())
    }

    /// Reads the direction of an m-line: its own, else the session's, else `sendrecv` (SDP-03).
    pub fn direction(&self, index: usize) -> Direction {
        let own = self
            .media
            .get(index)
            .and_then(|media| media.attributes.direction());
        own.or_else(|| self.attributes.direction())
            .unwrap_or_default()
    }

    /// Reads the connection line of an m-line: its own, else the session's.
    pub fn connection(&self, index: usize) -> Option<&Connection> {
        let own = self.media.get(index)?.connections.first();
        own.or(self.connection.as_ref())
    }

    /// Reads the value of an attribute that an m-line inherits from the session (RFC 8866,
    /// section 5.13), such as `setup`, `fingerprint` or `ice-ufrag`.
    pub fn inherited(&self, index: usize, name: &str) -> Option<&str> {
        let own = self.media.get(index)?.attributes.value(name);
        own.or_else(|| self.attributes.value(name))
    }

    /// Tells where media for that m-line goes: `None` if it is disabled, its address is a name or
    /// missing, or [`Session::is_connection_null`].
    pub fn media_address(&self, index: usize) -> Option<SocketAddr> {
        let port = self
            .media
            .get(index)
            .filter(|media| !media.is_disabled())?
            .port;
        let ip = self
            .connection(index)?
            .ip()
            .filter(|ip| !ip.is_unspecified())?;
        Some(SocketAddr::new(ip, port))
    }

    /// Tells where RTCP for that m-line goes: `a=rtcp`, else the next port (RFC 3605; RFC 3550,
    /// section 11). `None` where [`Session::media_address`] is, or where there is no next port.
    pub fn rtcp_address(&self, index: usize) -> Option<SocketAddr> {
        let media = self.media_address(index)?;
        let Some(rtcp) = self.media[index].rtcp() else {
            return Some(SocketAddr::new(media.ip(), media.port().checked_add(1)?));
        };
        let own = rtcp.connection.and_then(|connection| connection.ip());
        let own = own.filter(|ip| !ip.is_unspecified());
        Some(SocketAddr::new(
            own.unwrap_or_else(|| media.ip()),
            rtcp.port,
        ))
    }

    /// Tells whether the m-line's address is null (`0.0.0.0` or `::`): nothing, RTCP included, may be
    /// sent there (RFC 3264, section 8.4; RFC 6337, section 5.4).
    ///
    /// Never beside ICE attributes: there it is the default destination of an offer whose candidates
    /// come later (RFC 8839, section 4.2.5).
    pub fn is_connection_null(&self, index: usize) -> bool {
        let Some(media) = self.media.get(index) else {
            return false;
        };
        let null = self.connection(index).is_some_and(Connection::is_null);
        null && !media.attributes.has_ice() && !self.attributes.has_ice()
    }

    /// Tells whether the side that made this description holds the other at that m-line: it does not
    /// receive, or its address is null, and the line is not disabled (AUS-30).
    ///
    pub fn is_held(&self, index: usize) -> bool {
        let active = self
            .media
            .get(index)
            .is_some_and(|media| !media.is_disabled());
        active && (!self.direction(index).receives() || self.is_connection_null(index))
    }
}

/// The `o=` line (RFC 8866, section 5.2).
///
/// Identifier and version are text: peers send numbers beyond 64 bits, and only equality counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The user name, `-` for none.
    pub user: Text,
    /// The session's identifier, decimal digits.
    pub id: Text,
    /// The version, decimal digits.
    pub version: Text,
    /// The machine that made the description.
    pub connection: Connection,
}

impl Origin {
    /// Makes the origin of a session of our own; its first version equals its identifier.
    pub fn new(id: u64, address: IpAddr) -> Self {
        let id = Text::from(id.to_string());
        let connection = Connection::new(address);
        Self {
            user: Text::fixed("-"),
            version: id.clone(),
            id,
            connection,
        }
    }

    /// Raises the version by one, at any length; one that is no number becomes 1.
    pub fn bump_version(&mut self) {
        self.version = Text::from(successor(&self.version));
    }

    /// Tells whether both name the same session: all fields but the version are equal.
    pub fn is_same_session(&self, other: &Self) -> bool {
        self.user == other.user && self.id == other.id && self.connection == other.connection
    }
}

/// A `t=` line with what belongs to it (RFC 8866, sections 5.9 to 5.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Time {
    /// When it starts, in seconds since 1900; `0` for always.
    pub start: Text,
    /// When it stops, in seconds since 1900; `0` for never.
    pub stop: Text,
    /// The repeat lines (`r=`).
    pub repeats: Vec<Text>,
    /// The time zone adjustments (`z=`); empty for no such line.
    pub zone: Text,
}

/// The decimal number after this one.
fn successor(number: &str) -> String {
    if number.is_empty() || !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return "1".to_owned();
    }
    let mut digits: Vec<char> = number.chars().collect();
    for digit in digits.iter_mut().rev() {
        match *digit {
            '9' => *digit = '0',
            other => {
                *digit = char::from(other as u8 + 1);
                return digits.into_iter().collect();
            }
        }
    }
    std::iter::once('1').chain(digits).collect()
}

#[cfg(test)]
mod tests;
