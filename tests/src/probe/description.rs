//! How a probe describes itself: `m=application <port> UDP/PROBE heartbeat`, and for the byte stream
//! `a=probe-stream:<port>`.

use sipsimple::{
    sdp::{self, Attribute, Connection, Direction, Media, Text},
    stream::{Agreement, Refusal},
};
use std::net::SocketAddr;

use super::ProbeStream;

/// Who opened the proposal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Proposal {
    Offer,
    Answer,
}

/// What is agreed about the peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Remote {
    pub(super) datagrams: SocketAddr,
    pub(super) stream: Option<SocketAddr>,
    /// As we see it.
    pub(super) direction: Held,
    /// Its address is one.
    pub(super) may_hear: bool,
}

/// A negotiated direction, named by what the two sides do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Held {
    direction: Direction,
}

impl Held {
    /// We may hear the peer.
    pub(super) fn receives(self) -> bool {
        self.direction.receives()
    }

    /// The peer wants to hear us.
    pub(super) fn sends(self) -> bool {
        self.direction.sends()
    }
}

impl Remote {
    pub(super) fn read(agreed: &Agreement<'_>) -> Option<Self> {
        let datagrams = agreed.remote.media_address(agreed.index)?;
        let media = agreed.remote.media.get(agreed.index)?;
        let port = media
            .attributes
            .value(STREAM)
            .and_then(|port| port.parse().ok());
        let direction = sdp::negotiated_direction(agreed.local, agreed.remote, agreed.index);
        Some(Self {
            datagrams,
            stream: port.map(|port| SocketAddr::new(datagrams.ip(), port)),
            direction: Held { direction },
            may_hear: !agreed.remote.is_connection_null(agreed.index),
        })
    }
}

impl ProbeStream {
    /// What we wish: to hear nothing while we hold. That the peer holds, too, is its own wish, and its
    /// answer says so (RFC 3264, 8.4).
    pub(super) const fn wish(&self) -> Direction {
        match self.hold.local_intent {
            false => Direction::SendRecv,
            true => Direction::SendOnly,
        }
    }

    /// The sockets are bound to an address that we still have.
    pub(super) fn sockets_are_here(&self) -> bool {
        self.sockets
            .datagrams_at
            .is_some_and(|at| at.ip() == self.address)
    }

    pub(super) fn describe(&self, direction: Direction) -> Media {
        let sockets = self.described();
        // Cut short while it prepares, it names the discard port.
        let port = sockets.datagrams_at.map_or(DISCARD, |at| at.port());
        let mut media = Media::new("application", port, PROTOCOL);
        media.formats.push(Text::from("heartbeat"));
        media.connections.push(Connection::new(self.address));
        if let Some(at) = sockets.listener_at {
            media.attributes.set(Attribute::new(STREAM, at.port()));
        }
        media.set_direction(direction);
        media
    }

    pub(super) fn describe_answer(
        &self,
        remote: &sdp::Session,
        index: usize,
    ) -> Result<Media, Refusal> {
        let refusal = |warning| Refusal { code: 488, warning };
        let offered = remote
            .media
            .get(index)
            .ok_or_else(|| refusal("no such line"))?;
        if !is_probe(offered) {
            return Err(refusal("not a probe"));
        }
        if self.options.refuse_changes && self.running {
            return Err(refusal("no changes"));
        }
        let offered = remote.direction(index);
        Ok(self.describe(Direction::answer(offered, self.wish())))
    }
}

/// True for an m-line of this kind.
pub(super) fn is_probe(media: &Media) -> bool {
    media.kind == *"application" && media.protocol.eq_ignore_ascii_case(PROTOCOL)
}

const PROTOCOL: &str = "UDP/PROBE";
const STREAM: &str = "probe-stream";
const DISCARD: u16 = 9;
