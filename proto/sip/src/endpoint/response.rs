//! What our responses say.

use super::Endpoint;
use crate::{
    HeaderName, Method, Request, Response, Status, TransactionId,
    answer::Answer,
    capability::{ACCEPTED, ALLOWED, supported},
    header::List,
    transaction::Path,
};
use bytestring::ByteString;
use std::time::Instant;

impl Endpoint {
    /// Answers the request of a server transaction.
    pub(super) fn respond(&mut self, now: Instant, id: TransactionId, answer: Answer) {
        let Some(path) = self.transactions.path(id) else {
            return;
        };
        let Some(request) = self.transactions.request_of(id) else {
            return;
        };
        let mut response = self.build(request, Some(path), answer);
        if response.status.is_success()
            && let Some(verified) = self.servers.get(&id).and_then(|s| s.verified.as_ref())
        {
            verified.push_info(&mut response.headers, &response.body);
        }
        // A transaction that has its final response takes no other; the first one counts.
        let _ = self.transactions.respond(now, id, &response);
    }

    /// Answers a request without a transaction (RFC 3261, 8.2.7), never with more than three times
    /// its size: we are no amplifier.
    pub(super) fn respond_stateless(
        &mut self,
        now: Instant,
        path: Path,
        request: &Request,
        size: usize,
        answer: Answer,
    ) {
        let status = answer.status;
        let response = self.build(request, Some(path), answer);
        self.send_bounded(now, path, size, response, |tag| {
            Response::to_request(request, status, Some(tag))
        });
    }

    /// Sends a response, or what is left of it when it may only be so large.
    pub(super) fn send_bounded(
        &mut self,
        now: Instant,
        path: Path,
        size: usize,
        response: Response,
        bare: impl FnOnce(&str) -> Response,
    ) {
        let most = size.saturating_mul(MAX_AMPLIFICATION);
        let mut message = response.to_bytes();
        if message.len() > most {
            let tag = response
                .headers
                .to()
                .ok()
                .and_then(|to| to.tag())
                .unwrap_or_default();
            message = bare(tag).to_bytes();
        }
        if message.len() > most {
            self.counters.dropped += 1;
            return;
        }
        self.counters.stateless_in += size as u64;
        self.counters.stateless_out += message.len() as u64;
        self.send(now, path, message);
    }

    fn build(&self, request: &Request, path: Option<Path>, answer: Answer) -> Response {
        let tag = match answer.to_tag {
            Some(tag) => tag,
            None => self.tag_key.tag(&request.headers),
        };
        // RFC 3261, 8.2.6.2: 100 may go without a tag.
        let tag = (answer.status != Status::TRYING).then_some(&*tag);
        let mut response = Response::to_request(request, answer.status, tag);
        if let Some(reason) = answer.reason {
            response.reason = ByteString::from(reason);
        }
        let here = path.and_then(|path| Some((path.transport, self.flows.address_of(path.flow)?)));
        if let (Some(contact), Some((transport, here))) = (&answer.contact, here) {
            // RFC 3261, 12.1.1
            response
                .headers
                .copy_from(&request.headers, HeaderName::RecordRoute);
            if let Some(contact) = self.contact_on(contact, transport, &here, false) {
                contact.write(&mut response.headers, answer.status.is_success());
            }
        }
        let capabilities = answer.status.is_success()
            && matches!(request.method, Method::Invite | Method::Options);
        let is_reliable = answer.headers.contains(HeaderName::RSeq);
        // RFC 3311, 5.1: who is not told that we take UPDATE sends none in the early dialog.
        if capabilities || is_reliable || answer.status == Status::METHOD_NOT_ALLOWED {
            response.headers.push(HeaderName::Allow, List(ALLOWED));
        }
        if capabilities {
            // RFC 3261, 20.37: an empty list says that nothing is supported.
            response
                .headers
                .push(HeaderName::Supported, List(supported(&self.config)));
            // RFC 6665, 4.4.4
            if let Some(events) = self.packages.allowed() {
                response.headers.push(HeaderName::AllowEvents, events);
            }
        }
        // RFC 6086, 4.2.2 and 5.2.3: never unasked, but in 469.
        let tells_packages = request.headers.contains(HeaderName::RecvInfo)
            && (answer.status.is_success() || is_reliable);
        let packages = self.config.info.packages.as_deref();
        if answer.status == Status::BAD_INFO_PACKAGE || (tells_packages && packages.is_some()) {
            let packages = packages.unwrap_or_default().iter().map(String::as_str);
            response.headers.push(HeaderName::RecvInfo, List(packages));
        }
        let is_unreadable = answer.status == Status::UNSUPPORTED_MEDIA_TYPE
            && !answer.headers.contains(HeaderName::Accept);
        if (capabilities && request.method == Method::Options) || is_unreadable {
            response.headers.push(HeaderName::Accept, ACCEPTED);
            response
                .headers
                .push(HeaderName::AcceptEncoding, "identity");
        }
        if !self.config.user_agent.is_empty() {
            response
                .headers
                .push(HeaderName::Server, self.config.user_agent.as_str());
        }
        for field in answer.headers.iter() {
            response.headers.push(field.name, field.value);
        }
        if let Some(description) = answer.description {
            response.set_body(&description.content_type, description.body);
        }
        response
    }
}

/// A stateless answer may be this many times its request.
const MAX_AMPLIFICATION: usize = 3;
