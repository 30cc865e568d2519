//! One link: for whom it is, and how far.

use super::credit::Credit;
use crate::{
    id::{NatDetectionId, StreamId},
    stream::Slot,
};
use base::{Host, HostPort, Transport};
use dns::ExchangeId;
use sip::{FlowId, message::frame::Framer};
use std::{net::SocketAddr, time::Instant};

/// A socket of the runtime.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) owner: Owner,
    pub(super) phase: Phase,
    pub(super) transport: Transport,
    /// What was asked for, until the system says what it became.
    pub(super) local: SocketAddr,
    pub(super) peer: Option<SocketAddr>,
    pub(super) credit: Credit,
    /// Cuts messages from a signalling connection.
    pub(super) framer: Option<Box<Framer>>,
    /// The name that a server must prove to us.
    pub(super) wanted: Option<Host>,
    /// The host of the WebSocket that carries messages.
    pub(super) web_socket: Option<HostPort>,
    /// Counts for the limits of accepted connections.
    pub(super) accepted: bool,
    /// Since when a message is incomplete; from the start of an accepted connection on.
    pub(super) incomplete: Option<Instant>,
}

/// For whom a link is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    /// A UDP socket of ours; its flow is known once the endpoint has heard of it.
    Socket(Option<FlowId>),
    /// A listener of ours.
    Listener,
    /// A signalling connection.
    Connection(Option<FlowId>),
    /// A socket of a stream.
    Slot(StreamId, Slot),
    /// A listener that waits for the one connection that a slot wants.
    SlotListener(StreamId, Slot),
    /// A socket to a name server.
    Query(ExchangeId),
    /// A socket by which the kind of NAT is found out.
    Discovery(NatDetectionId),
    /// Its owner is done; what is written is still being sent.
    Nobody,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Opening {
        since: Instant,
    },
    /// Connected; the handshake of its filter is not over.
    Securing {
        since: Instant,
    },
    /// Connected, and secured if it must be; the handshake of its WebSocket is not over.
    Upgrading {
        since: Instant,
    },
    Open,
    Finishing {
        since: Instant,
    },
}

impl Link {
    pub(super) fn new(owner: Owner, transport: Transport, local: SocketAddr, now: Instant) -> Self {
        Self {
            owner,
            phase: Phase::Opening { since: now },
            transport,
            local,
            peer: None,
            credit: Credit::default(),
            framer: None,
            wanted: None,
            web_socket: None,
            accepted: false,
            incomplete: None,
        }
    }

    /// The flow of the endpoint that it is.
    pub(super) const fn flow(&self) -> Option<FlowId> {
        match self.owner {
            Owner::Socket(flow) | Owner::Connection(flow) => flow,
            Owner::Listener
            | Owner::Slot(..)
            | Owner::SlotListener(..)
            | Owner::Query(_)
            | Owner::Discovery(_)
            | Owner::Nobody => None,
        }
    }
}
