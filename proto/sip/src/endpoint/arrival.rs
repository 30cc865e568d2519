//! What is read of requests before anybody is asked.

use crate::{
    FlowId, HeaderName, Headers, ParseError, Request,
    header::{MediaType, Via},
    message::{Description, Unacceptable},
    nat,
    transaction::Path,
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
