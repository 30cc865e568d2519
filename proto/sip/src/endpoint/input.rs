//! What an [`Endpoint`](crate::Endpoint) is handed: messages, news of flows, answers of the resolver, time.

use crate::{FlowId, LookupError, LookupId, message::frame::FrameError};
use base::{LinkError, Target};
use bytes::Bytes;
use std::net::SocketAddr;

/// Everything that can happen to an endpoint from outside.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Input {
    /// One whole message: a datagram, or what [`Framer`](crate::message::frame::Framer) cut from a stream.
    Message {
        /// The flow that it came in by.
        flow: FlowId,
        /// Who sent it.
        from: SocketAddr,
        /// The message.
        message: Bytes,
    },
    /// A stream cannot be cut into messages any more; the endpoint answers if it still shows whom
    /// (400, or 413 and 513 for a limit) and releases the flow (RFC 3261, 18.3).
    Broken {
        /// The stream.
        flow: FlowId,
        /// Its peer.
        from: SocketAddr,
        /// What the framer said.
        error: FrameError,
    },
    /// A flow that `Output::Connect` asked for can carry messages.
    FlowUp {
        /// Which.
        flow: FlowId,
        /// Our end.
        local: SocketAddr,
        /// The other end.
        peer: Option<SocketAddr>,
    },
    /// A flow is no more, or never came up; its id is dead from then on.
    FlowDown {
        /// Which.
        flow: FlowId,
        /// Why; `None` if the peer closed it in an orderly way.
        error: Option<LinkError>,
    },
    /// Datagrams to this peer are lost, or the address translator between us and it sends its answers
    /// elsewhere: what was registered this way is not reached any more (RFC 5626, 4.4.2). The flow stays.
    FlowFailed {
        /// The socket.
        flow: FlowId,
        /// The peer.
        to: SocketAddr,
    },
    /// A datagram did not go out, or ICMP said that it did not arrive. The flow stays.
    Undeliverable {
        /// The socket.
        flow: FlowId,
        /// Whom it was for.
        to: SocketAddr,
        /// Why.
        error: LinkError,
    },
    /// The answer to `Output::Resolve`: where to try, best first (RFC 3263, 4).
    Resolved {
        /// The question.
        lookup: LookupId,
        /// The answer; an empty list counts as [`LookupError::NotFound`].
        targets: Result<Vec<Target>, LookupError>,
    },
    /// Time has passed.
    Timeout,
}
