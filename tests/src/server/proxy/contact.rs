//! Contacts of peers behind address translators, as edge proxies mend them.

use base::{Host, Transport};
use sip::{HeaderName, Headers, Message, Method, header::ContactValue};
use std::net::SocketAddr;

use crate::server::wire::Flow;

/// Writes the address that a datagram came from into its Contact, so that requests of the dialog lead
/// back through the translator. REGISTERs are left alone: their way back is remembered with the binding.
pub(super) fn mend(message: &mut Message, flow: Flow) {
    let method = message.headers().cseq().map(|cseq| cseq.method);
    if flow.transport != Transport::Udp || method.is_ok_and(|method| method == Method::Register) {
        return;
    }
    let headers = match message {
        Message::Request(request) => &mut request.headers,
        Message::Response(response) => &mut response.headers,
    };
    if let Some(contact) = mended(headers, flow.peer) {
        headers.insert(HeaderName::Contact, contact.as_str());
    }
}

fn mended(headers: &Headers, from: SocketAddr) -> Option<String> {
    let mut contacts = headers.list::<ContactValue<'_>>(HeaderName::Contact);
    let ContactValue::Address(contact) = contacts.next()?.ok()? else {
        return None;
    };
    let mut parts = contact.uri.to_parts()?;
    parts.host = Host::Ip(from.ip());
    parts.port = Some(from.port());
    Some(format!("<{}>", parts.to_uri().ok()?))
}
