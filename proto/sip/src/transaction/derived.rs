//! The requests that follow from an INVITE: its CANCEL, and the ACK of its failures.

use crate::{HeaderName, Message, Method, Request, Response, header::CSeq};
use bytes::Bytes;

/// Builds CANCEL (RFC 3261, 9.1), with a reason if there is one (RFC 3326).
pub(super) fn cancel(invite: &Bytes, reason: Option<&str>) -> Option<Request> {
    let invite = parse(invite)?;
    let mut cancel = derive(&invite, Method::Cancel)?;
    cancel.headers.copy_from(&invite.headers, HeaderName::To);
    if let Some(reason) = reason {
        cancel.headers.push(HeaderName::Reason, reason);
    }
    Some(cancel)
}

/// Builds the ACK of a 300 to 699 (RFC 3261, 17.1.1.3).
pub(super) fn ack(invite: &Bytes, response: &Response) -> Option<Bytes> {
    let invite = parse(invite)?;
    let mut ack = derive(&invite, Method::Ack)?;
    // The tag is the response's.
    ack.headers.copy_from(&response.headers, HeaderName::To);
    // RFC 3261, 22.1: ACK cannot be challenged, so it shows what the INVITE showed.
    ack.headers
        .copy_from(&invite.headers, HeaderName::Authorization);
    ack.headers
        .copy_from(&invite.headers, HeaderName::ProxyAuthorization);
    Some(ack.to_bytes())
}

/// `None` if this is an ACK already: only the first failure is answered with one of its own.
fn parse(message: &Bytes) -> Option<Request> {
    match Message::parse(message.clone()) {
        Ok(Message::Request(request)) if request.method == Method::Invite => Some(request),
        Ok(_) | Err(_) => None,
    }
}

/// What both have in common: Request-URI, topmost Via, Route, From, Call-ID and the number of CSeq.
fn derive(invite: &Request, method: Method) -> Option<Request> {
    let mut request = Request::new(method.clone(), invite.uri.clone());
    let via = invite.headers.values(HeaderName::Via).next()?;
    let number = invite.headers.cseq().ok()?.number;
    request.headers.push(HeaderName::Via, via);
    request
        .headers
        .copy_from(&invite.headers, HeaderName::Route);
    request.headers.push(HeaderName::MaxForwards, MAX_FORWARDS);
    request.headers.copy_from(&invite.headers, HeaderName::From);
    request
        .headers
        .copy_from(&invite.headers, HeaderName::CallId);
    request
        .headers
        .push(HeaderName::CSeq, CSeq::new(number, method));
    Some(request)
}

/// RFC 3261, 8.1.1.6.
const MAX_FORWARDS: u32 = 70;
