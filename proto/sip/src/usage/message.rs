//! MESSAGE: one message, without a session (RFC 3428; requirements 25).
//!
//! Ours has a result of its own (MSG-02, BUG-04). A peer's is told to the application, which may
//! answer it (BUG-20).

use super::{Effect, Exchange, Failed, Parties, Progress, exchange::without_unsupported};
use crate::{
    AccountId, HeaderName, Headers, IdentityId, InvitationId, Method, Request, Response, Status,
    TransactionId, Uri, answer::Answer, auth::Credentials, config::Config, header::Address,
    message::Description,
};
use base::{Deadline, Rng};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Instant};

/// A message to send (MSG-01).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SendMessage {
    /// Who writes; a `tag` parameter is replaced.
    pub from: Address,
    /// To whom.
    pub to: Address,
    /// Where to send it; usually the URI of `to`.
    pub request_uri: Uri,
    /// The route set, nearest first: an outbound proxy.
    pub route: Vec<Address>,
    /// The content with its media type, whole: `text/plain;charset=utf-8` (BUG-05).
    pub content: Description,
    /// Every hop to the peer is known to carry requests of more than 1,300 bytes (RFC 3428, 8).
    pub may_be_large: bool,
    /// Further headers. Those that the stack writes itself are refused (SES-13).
    pub headers: Headers,
    /// Who answers challenges. Credentials for `*` count along `route`, and for realms that the
    /// account's registrar has taught.
    pub credentials: Vec<Credentials>,
    /// Whose usage this is: its other usages learn what this one learns of realms.
    pub account: Option<AccountId>,
    /// Whose certificate to show on a secured connection that is opened for it.
    pub identity: Option<IdentityId>,
}

impl SendMessage {
    /// A plain text from `from` to `to` with everything else left out.
    pub fn new(from: Address, to: Address, text: impl Into<String>) -> Self {
        Self {
            request_uri: to.uri.clone(),
            from,
            to,
            route: Vec::new(),
            content: Description {
                content_type: "text/plain;charset=utf-8".to_owned(),
                body: Bytes::from(text.into()),
            },
            may_be_large: false,
            headers: Headers::new(),
            credentials: Vec::new(),
            account: None,
            identity: None,
        }
    }

    /// True if the request may become larger than RFC 3428, 8 allows without knowing the way.
    pub(crate) fn is_too_large(&self) -> bool {
        let headers: usize = self
            .headers
            .iter()
            .map(|field| field.name.text().len() + field.value.len() + 4)
            .sum();
        let uris = 2 * self.to.uri.as_str().len() + self.from.uri.as_str().len();
        let content = self.content.body.len() + self.content.content_type.len();
        let all = content + headers + uris + OVERHEAD;
        !self.may_be_large && all > MAX_MESSAGE
    }
}

/// What happens to a message.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub enum MessageEvent {
    /// A peer's message, outside of dialogs or in one. It may be answered until `Config::message_answer`
    /// has passed.
    Incoming(Box<IncomingMessage>),
    /// Ours was accepted: delivered (200), or taken by a server that will try to (202).
    Succeeded {
        /// The status.
        code: Status,
        /// Its phrase.
        reason: String,
    },
    /// Ours was not delivered.
    Failed(Failed),
}

/// A message of a peer (ENG-43).
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct IncomingMessage {
    /// Who wrote it, as they say.
    pub from: Address,
    /// To whom.
    pub to: Address,
    /// Where it was sent to.
    pub request_uri: Uri,
    /// The content with its media type, whole (BUG-05).
    pub content: Option<Description>,
    /// All headers, copied.
    pub headers: Headers,
    /// The call in whose dialog it was sent.
    pub call: Option<InvitationId>,
    /// Who handed it to us.
    pub source: SocketAddr,
    /// The user whose credentials the endpoint's guard has verified; `None` without a guard, and in a
    /// call. Whether this user may speak for `from` is to be decided by the application.
    pub caller: Option<String>,
}

/// A message of ours.
#[derive(Debug)]
pub(crate) struct Outgoing {
    exchange: Exchange,
    content: Description,
    headers: Headers,
    destination: Box<str>,
    stage: Stage,
    open: u32,
    is_repeated: bool,
    effects: VecDeque<Effect<MessageEvent>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Another one for the same destination has no result yet (MSG-02).
    Waiting,
    Running,
    /// The result was told.
    Done,
}

impl Outgoing {
    /// A message that waits for [`start`](Self::start).
    pub(crate) fn new(message: SendMessage, config: &Arc<Config>, rng: &mut Rng) -> Self {
        let parties = Parties {
            origin: Parties::origin_of(&message.route),
            from: message.from,
            to: message.to,
            request_uri: message.request_uri,
            route: message.route,
            // RFC 3428, 4: it must not have one.
            contact: None,
            credentials: message.credentials,
            account: message.account,
            identity: message.identity,
        };
        Self {
            destination: parties.request_uri.as_str().into(),
            exchange: Exchange::new(parties, config, rng),
            content: message.content,
            headers: message.headers,
            stage: Stage::Waiting,
            open: 0,
            is_repeated: false,
            effects: VecDeque::new(),
        }
    }

    pub(crate) const fn exchange(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    /// Whose line it stands in.
    pub(crate) fn destination(&self) -> &str {
        &self.destination
    }

    /// It is its turn.
    pub(crate) fn start(&mut self) {
        if self.stage == Stage::Waiting {
            self.stage = Stage::Running;
            self.send();
        }
    }

    fn send(&mut self) {
        let body = Some(self.content.clone());
        let (tag, draft) = self.exchange.request(Method::Message, &self.headers, body);
        self.open += 1;
        self.effects.push_back(Effect::Request { tag, draft });
    }

    /// It is not sent any more if it was not yet.
    pub(crate) fn withdraw(&mut self) {
        if self.stage == Stage::Waiting {
            self.end(MessageEvent::Failed(Failed::Withdrawn));
        }
    }

    pub(crate) fn poll_effect(&mut self) -> Option<Effect<MessageEvent>> {
        self.effects.pop_front()
    }

    /// Something became of the request.
    pub(crate) fn handle_progress(&mut self, tag: u32, progress: &Progress<'_>) {
        if matches!(progress, Progress::Over) {
            self.open = self.open.saturating_sub(1);
        }
        if !self.exchange.is_running(tag) {
            return;
        }
        if let Some(failed) = Failed::of(progress, &self.exchange) {
            let response = match progress {
                Progress::Response(response) => Some(*response),
                _ => None,
            };
            self.exchange.finish(response);
            if !response.is_some_and(|response| self.is_sent_again(response)) {
                self.end(MessageEvent::Failed(failed));
            }
        } else if let Progress::Response(response) = progress
            && response.status.is_success()
        {
            self.exchange.finish(Some(response));
            self.end(MessageEvent::Succeeded {
                code: response.status,
                reason: response.reason.to_string(),
            });
        }
    }

    /// RFC 3261, 8.1.3.5: once without what the peer does not know.
    fn is_sent_again(&mut self, response: &Response) -> bool {
        if response.status != Status::BAD_EXTENSION || self.is_repeated {
            return false;
        }
        let Some(headers) = without_unsupported(&self.headers, &response.headers) else {
            return false;
        };
        self.is_repeated = true;
        self.headers = headers;
        self.send();
        true
    }

    fn end(&mut self, event: MessageEvent) {
        self.stage = Stage::Done;
        self.effects.push_back(Effect::Tell(event));
    }

    /// True if the next message may go.
    pub(crate) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stage == Stage::Done && self.open == 0 && self.effects.is_empty()
    }
}

/// A message of a peer that has no answer yet.
#[derive(Debug)]
pub(crate) struct Incoming {
    server: TransactionId,
    /// When it is answered 200 in the place of the application.
    until: Option<Instant>,
    effects: VecDeque<Effect<MessageEvent>>,
}

impl Incoming {
    /// Tells the application, and answers 200 itself unless that may answer until `until`.
    pub(crate) fn new(
        server: TransactionId,
        request: &Request,
        source: SocketAddr,
        caller: Option<String>,
        call: Option<InvitationId>,
        until: Option<Instant>,
    ) -> Option<Self> {
        let headers = &request.headers;
        let address = |address: crate::header::NameAddr<'_>| {
            let mut address = address.to_address();
            address.uri = address.uri.detached();
            address.params.retain(|(name, _)| name != "tag");
            address
        };
        let content = (!request.body.is_empty()).then(|| Description {
            content_type: headers
                .get(HeaderName::ContentType)
                .map(|kind| String::from_utf8_lossy(kind).into_owned())
                .unwrap_or_default(),
            body: Bytes::copy_from_slice(&request.body),
        });
        let message = IncomingMessage {
            from: address(headers.from().ok()?),
            to: address(headers.to().ok()?),
            request_uri: request.uri.detached(),
            content,
            headers: headers.detached(),
            call,
            source,
            caller,
        };
        let event = MessageEvent::Incoming(Box::new(message));
        let mut incoming = Self {
            server,
            until,
            effects: VecDeque::from([Effect::Tell(event)]),
        };
        if until.is_none() {
            incoming.respond(Answer::new(Status::OK));
        }
        Some(incoming)
    }

    /// The application answers; false if there is an answer.
    pub(crate) fn answer(
        &mut self,
        code: Status,
        reason: Option<String>,
        headers: &Headers,
    ) -> bool {
        if self.until.take().is_none() {
            return false;
        }
        let mut answer = Answer::new(code);
        answer.reason = reason;
        for field in headers.iter() {
            answer.headers.push(field.name, field.value);
        }
        self.respond(answer);
        true
    }

    fn respond(&mut self, answer: Answer) {
        self.effects
            .push_back(Effect::Respond(self.server, Box::new(answer)));
    }

    pub(crate) fn poll_effect(&mut self) -> Option<Effect<MessageEvent>> {
        self.effects.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        self.until
            .map(|at| Deadline::new(at, "answer to a message"))
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.until.take_if(|at| *at <= now).is_some() {
            self.respond(Answer::new(Status::OK));
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.until.is_none() && self.effects.is_empty()
    }
}

/// RFC 3428, 8.
const MAX_MESSAGE: usize = 1_300;
/// Via, CSeq, Call-ID, tags, credentials and what else is written beside content and addresses.
const OVERHEAD: usize = 400;
