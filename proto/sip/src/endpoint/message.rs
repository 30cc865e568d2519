//! Messages: sent one at a time to each destination, and received (RFC 3428).

use super::{Endpoint, RequestError, arrival::Arrived, register::usage_of, settle::named};
use crate::{
    HeaderName, Headers, InvitationId, MessageId, Request, Status,
    answer::Answer,
    id::{Party, UsageId},
    transaction::NewRequest,
    usage::{
        AnyUsage,
        message::{Incoming, Outgoing, SendMessage},
    },
};
use std::time::Instant;

/// Why a message cannot be answered. Nothing has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerMessageError {
    /// There is no such message of a peer, or it has its answer.
    #[error("no such message, or answered")]
    Answered,
    /// Only 200 to 699 end a transaction.
    #[error("not a final status")]
    NotFinal,
}

impl Endpoint {
    /// Sends a message, after all that were sent to the same destination before it have their results
    /// (MSG-02; RFC 3428, 8): exactly one event each.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    pub fn send_message(
        &mut self,
        now: Instant,
        message: SendMessage,
    ) -> Result<MessageId, RequestError> {
        let now = self.advance(now);
        self.admit(
            &message.request_uri,
            message.route.is_empty(),
            &message.headers,
        )?;
        if message.is_too_large() {
            return Err(RequestError::TooLarge);
        }
        let account = message.account;
        let outgoing = Outgoing::new(message, &self.config, &mut self.rng);
        let destination = outgoing.destination().to_owned();
        let id = self.start_usage(AnyUsage::Message(Box::new(outgoing)), account);
        if self.outbox.join(&destination, id) {
            self.start_message(id);
        }
        self.settle(now);
        Ok(named(id))
    }

    /// Answers a message of a peer, which it would get 200 for when `Config::message_answer` has passed
    /// (BUG-20).
    ///
    /// # Errors
    ///
    /// See [`AnswerMessageError`].
    pub fn answer_message(
        &mut self,
        now: Instant,
        id: MessageId,
        code: Status,
        reason: Option<String>,
        headers: &Headers,
    ) -> Result<(), AnswerMessageError> {
        let now = self.advance(now);
        if !code.is_final() {
            return Err(AnswerMessageError::NotFinal);
        }
        let id = usage_of(id);
        let is_answered = match self.usages.get_mut(id) {
            Some(AnyUsage::Incoming(message)) => message.answer(code, reason, headers),
            _ => false,
        };
        if !is_answered {
            return Err(AnswerMessageError::Answered);
        }
        self.touch_usage(id);
        self.settle(now);
        Ok(())
    }

    fn start_message(&mut self, id: UsageId) {
        // What the account has learnt while it waited.
        self.share_realms(Party::Usage(id));
        if let Some(AnyUsage::Message(message)) = self.usages.get_mut(id) {
            message.start();
            self.touch_usage(id);
        }
    }

    /// Lets the next message to a destination go when the one before it has its result.
    pub(super) fn settle_message(&mut self, id: UsageId) {
        let Some(AnyUsage::Message(message)) = self.usages.get(id) else {
            return;
        };
        if message.is_done()
            && let Some(next) = self.outbox.leave(message.destination(), id)
        {
            self.start_message(next);
        }
    }

    /// A message of a peer (RFC 3428, 7).
    pub(super) fn handle_message_request(
        &mut self,
        now: Instant,
        call: Option<InvitationId>,
        arrived: Arrived,
        new: NewRequest,
        request: Request,
    ) {
        if let Some(answer) = self.refuse_message(&request) {
            return self.respond_stateless(now, arrived.path, &request, arrived.size, answer);
        }
        let (source, caller) = (arrived.from, arrived.caller());
        let Some(server) = self.serve(now, &arrived, new, request.clone(), None) else {
            return;
        };
        let until = self.config.message_answer.map(|wait| now + wait);
        match Incoming::new(server, &request, source, caller, call, until) {
            Some(incoming) => {
                let id = self.insert_usage(AnyUsage::Incoming(Box::new(incoming)));
                if let Some(server) = self.servers.get_mut(&server) {
                    server.owner = Some(Party::Usage(id));
                }
            }
            None => self.respond(now, server, Answer::new(Status::BAD_REQUEST)),
        }
    }

    /// What a message must have, and how many there may be.
    fn refuse_message(&self, request: &Request) -> Option<Answer> {
        let headers = &request.headers;
        if self.is_shutting_down || self.usages.len() >= self.config.limits.usages {
            return Some(
                Answer::new(Status::SERVICE_UNAVAILABLE)
                    .with_header(HeaderName::RetryAfter, RETRY_AFTER),
            );
        }
        // RFC 3261, 8.2.3: nobody has asked us to decode it.
        let is_encoded = headers
            .values(HeaderName::ContentEncoding)
            .any(|coding| !coding.eq_ignore_ascii_case(b"identity"));
        if is_encoded {
            return Some(Answer::new(Status::UNSUPPORTED_MEDIA_TYPE));
        }
        // ENG-47: content that nobody can read.
        let is_nameless = !request.body.is_empty() && !headers.contains(HeaderName::ContentType);
        is_nameless
            .then(|| Answer::new(Status::BAD_REQUEST).with_header(HeaderName::Warning, NAMELESS))
    }
}

/// RFC 3261, 20.43: in words, to be read by people.
const NAMELESS: &str = "399 sipsimple \"Content-Type is missing\"";
/// Seconds after which a peer that met our limits may try again.
const RETRY_AFTER: u32 = 10;
