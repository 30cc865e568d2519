//! A request on its way in, and what is read of it before anybody is asked.

use super::Server;
use crate::{
    FlowId, HeaderName, Headers, ParseError, Request, TransactionId,
    header::{MediaType, Via},
    message::{Description, Unacceptable},
    nat,
    transaction::Path,
    usage::invitation::Arrival,
};
use base::Transport;
use bytes::Bytes;
use std::net::SocketAddr;

/// True if a caller can read our answer. Without Accept it can (RFC 3261, 20.1); an Accept that is
/// empty or unreadable names nothing that we can send.
pub(super) fn accepts_descriptions(headers: &Headers) -> bool {
    let admits = |range: Result<MediaType<'_>, ParseError>| {
        range.is_ok_and(|range| range.admits("application", "sdp"))
    };
    !headers.contains(HeaderName::Accept) || headers.list(HeaderName::Accept).any(admits)
}

/// The description of an INVITE, copied out of its datagram.
pub(super) fn description_of(request: &Request) -> Result<Option<Description>, Unacceptable> {
    let description = request.description()?;
    Ok(description.map(|description| Description {
        body: Bytes::copy_from_slice(&description.body),
        ..description
    }))
}

/// RFC 3261, 18.2.2.
pub(super) fn response_path(
    via: &Via<'_>,
    flow: FlowId,
    transport: Transport,
    from: SocketAddr,
) -> Path {
    let to = match transport.is_reliable() {
        true => from,
        false => nat::reply_address(via, transport, from),
    };
    Path {
        flow,
        to,
        transport,
    }
}

/// A request on its way in.
pub(super) struct Arrived {
    pub(super) path: Path,
    pub(super) from: SocketAddr,
    /// No proxy stood between.
    pub(super) is_direct: bool,
    pub(super) size: usize,
    pub(super) server: Server,
}

impl Arrived {
    /// The connection that it came by, if no proxy stood between.
    pub(super) fn direct(&self) -> Option<(FlowId, SocketAddr)> {
        let is_straight = self.is_direct && self.path.transport.is_reliable();
        is_straight.then_some((self.path.flow, self.path.to))
    }

    /// It came over TLS.
    pub(super) const fn is_secure(&self) -> bool {
        self.path.transport.is_secure()
    }

    /// The user whose credentials were verified.
    pub(super) fn caller(&self) -> Option<String> {
        let verified = self.server.verified.as_ref()?;
        Some(verified.username.clone())
    }

    pub(super) fn arrival(
        &self,
        server: TransactionId,
        description: Result<Option<Description>, Unacceptable>,
    ) -> Arrival {
        Arrival {
            server,
            path: self.path,
            peer: self.from,
            is_direct: self.is_direct,
            caller: self.caller(),
            replaces: None,
            description,
        }
    }
}
