//! PUBLISH: event state that a server hands on (RFC 3903; requirements 29).
//!
//! The states are those of `lease`, by the names of the documents. Which request is
//! sent follows from what the server holds (RFC 3903, table 1):
//!
//! | operation | body | SIP-If-Match | Expires | when |
//! |-----------|------|--------------|---------|------|
//! | Initial   | yes  | no           | > 0     | nothing is held |
//! | Refresh   | no   | yes          | > 0     | the time has come |
//! | Modify    | yes  | yes          | > 0     | there is new content |
//! | Remove    | no   | yes          | 0       | it is not wanted any more |

use super::{
    Effect, Exchange, Failed, Parties, Progress,
    exchange::without_unsupported,
    lease::{Lease, Phase, Wish},
    registration::min_expires,
    take,
};
use crate::{
    AccountId, HeaderName, Headers, IdentityId, Method, Response, Status,
    auth::Credentials,
    config::Config,
    header::{Address, Expires},
    message::Description,
};
use base::{Deadline, Rng};
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

/// A publication to keep (PUB-01).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Publication {
    /// Whose state it is: From, To and Request-URI.
    pub address: Address,
    /// The event package, any: packages that this stack does not know are published as well
    /// (PUB-07, BUG-09).
    pub event: String,
    /// The route set, nearest first: an outbound proxy.
    pub route: Vec<Address>,
    /// How long to ask for.
    pub expires: Duration,
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

impl Publication {
    /// A publication for `event`, for 300 s, with everything else left out.
    pub fn new(address: Address, event: impl Into<String>) -> Self {
        Self {
            address,
            event: event.into(),
            route: Vec::new(),
            expires: DEFAULT_EXPIRES,
            headers: Headers::new(),
            credentials: Vec::new(),
            account: None,
            identity: None,
        }
    }
}

/// Where a publication stands, by the names of the documents.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum State {
    /// The server holds nothing of it.
    Unpublished,
    /// PUBLISH was sent: the first, a refresh, or new content.
    Publishing,
    /// The server holds it.
    Published,
    /// Its removal was sent.
    Unpublishing,
}

impl From<Phase> for State {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Off => Self::Unpublished,
            Phase::Starting => Self::Publishing,
            Phase::On => Self::Published,
            Phase::Stopping => Self::Unpublishing,
        }
    }
}

/// What happens to a publication (PUB-05, PUB-08).
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub enum PublicationEvent {
    /// The state is another.
    StateChanged {
        /// Before.
        previous: State,
        /// Now.
        state: State,
        /// The final response that caused it, if one did; of a timeout or a broken way the response that
        /// stands for it.
        code: Option<Status>,
        /// Its phrase.
        reason: Option<String>,
        /// Its headers, copied, if it refused.
        headers: Headers,
    },
    /// It is published, refreshed or modified.
    Succeeded {
        /// How long the server will keep it.
        expires: Duration,
    },
    /// It is not published. Nothing more happens until the application publishes again.
    Failed(Failed),
    /// A refresh failed while the server keeps it: it is tried once more.
    Delayed(Failed),
    /// It was removed, as asked.
    Ended,
    /// Its removal failed; it will expire.
    NotEnded(Failed),
}

/// A publication that is kept.
#[derive(Debug)]
pub(crate) struct Publisher {
    exchange: Exchange,
    lease: Lease,
    event: Box<str>,
    expires: Duration,
    headers: Headers,
    /// What the server calls it (RFC 3903, 4.1); forgotten when it is removed (BUG-02).
    etag: Option<Box<str>>,
    content: Option<Description>,
    /// The server has not got this content yet.
    is_new: bool,
    /// Tries of one request after 412, 420 and 423.
    repeats: u8,
    is_removed: bool,
    open: u32,
    effects: VecDeque<Effect<PublicationEvent>>,
}

impl Publisher {
    /// Begins with nothing published.
    pub(crate) fn new(publication: Publication, config: &Arc<Config>, rng: &mut Rng) -> Self {
        let parties = Parties {
            origin: Parties::origin_of(&publication.route),
            request_uri: publication.address.uri.clone(),
            from: publication.address.clone(),
            to: publication.address,
            route: publication.route,
            // RFC 3903, 4: it has no meaning.
            contact: None,
            credentials: publication.credentials,
            account: publication.account,
            identity: publication.identity,
        };
        Self {
            exchange: Exchange::new(parties, config, rng),
            lease: Lease::new(config.transactions.timers.timer_f, rng),
            event: publication.event.into(),
            expires: publication.expires,
            headers: publication.headers,
            etag: None,
            content: None,
            is_new: false,
            repeats: 0,
            is_removed: false,
            open: 0,
            effects: VecDeque::new(),
        }
    }

    pub(crate) const fn exchange(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    pub(crate) fn state(&self) -> State {
        self.lease.phase().into()
    }

    pub(crate) const fn expires(&self) -> Duration {
        self.expires
    }

    pub(crate) const fn set_expires(&mut self, expires: Duration) {
        self.expires = expires;
    }

    /// Publishes content, or other content in its place (PUB-03); when the answer that is awaited has
    /// come.
    pub(crate) fn publish(&mut self, content: Description) {
        self.content = Some(content);
        self.is_new = true;
        self.wish(Wish::Start);
    }

    /// Removes it (PUB-04).
    pub(crate) fn unpublish(&mut self) {
        self.wish(Wish::Stop);
    }

    /// Removes it, and forgets the publication when that has its answer.
    pub(crate) fn remove(&mut self) {
        self.is_removed = true;
        self.unpublish();
    }

    fn wish(&mut self, wish: Wish) {
        let previous = self.state();
        if self.lease.wish(wish) {
            self.repeats = 0;
            self.send(previous);
        }
    }

    fn send(&mut self, previous: State) {
        let state = self.state();
        self.send_again();
        self.tell_state(previous, state, None);
    }

    fn send_again(&mut self) {
        let is_removal = self.lease.phase() == Phase::Stopping;
        let mut further = Headers::new();
        further.push(HeaderName::Event, &*self.event);
        let seconds = match is_removal {
            true => 0,
            false => u32::try_from(self.expires.as_secs()).unwrap_or(u32::MAX),
        };
        further.push(HeaderName::Expires, Expires(seconds));
        if let Some(etag) = &self.etag {
            further.push(HeaderName::SipIfMatch, &**etag);
        }
        for field in self.headers.iter() {
            further.push(field.name, field.value);
        }
        // RFC 3903, 4.3 and 4.5: refresh and removal have no body.
        let has_body = !is_removal && (self.is_new || self.etag.is_none());
        let body = self.content.clone().filter(|_| has_body);
        if has_body {
            self.is_new = false;
        }
        let (tag, draft) = self.exchange.request(Method::Publish, &further, body);
        self.open += 1;
        self.effects.push_back(Effect::Request { tag, draft });
    }

    pub(crate) fn poll_effect(&mut self) -> Option<Effect<PublicationEvent>> {
        take(&mut self.effects)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        self.lease.poll_timeout()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let previous = self.state();
        if self.lease.handle_timeout(now) {
            self.repeats = 0;
            self.send(previous);
        }
    }

    /// Something became of a request.
    pub(crate) fn handle_progress(&mut self, now: Instant, tag: u32, progress: &Progress<'_>) {
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
            match response.is_some_and(|response| self.is_repeated(response)) {
                true => self.repeats += 1,
                false => self.fail(now, failed),
            }
        } else if let Progress::Response(response) = progress
            && response.status.is_success()
        {
            self.exchange.finish(Some(response));
            self.succeed(now, response);
        }
        while let Some(wish) = self.lease.take_waiting() {
            self.wish(wish);
        }
    }

    /// Sends a request once more if its refusal says how it would be accepted.
    fn is_repeated(&mut self, response: &Response) -> bool {
        if self.repeats >= MAX_REPEATS {
            return false;
        }
        let is_changed = match response.status {
            // RFC 3903, 5: the tag is thrown away, and the whole published anew.
            Status::CONDITIONAL_REQUEST_FAILED => {
                self.etag.take().is_some() && self.lease.phase() == Phase::Starting
            }
            Status::INTERVAL_TOO_BRIEF => match min_expires(response) {
                Some(least) if least > self.expires => {
                    self.expires = least;
                    // What it brought was not taken.
                    self.is_new = true;
                    true
                }
                _ => false,
            },
            // RFC 3261, 8.1.3.5
            Status::BAD_EXTENSION => match without_unsupported(&self.headers, &response.headers) {
                Some(headers) => {
                    self.headers = headers;
                    self.is_new = true;
                    true
                }
                None => false,
            },
            _ => false,
        };
        if is_changed && self.lease.again() {
            self.send_again();
            return true;
        }
        false
    }

    fn fail(&mut self, now: Instant, failed: Failed) {
        let previous = self.state();
        let cause = (failed.code(), failed.reason());
        let headers = match &failed {
            Failed::Refused { headers, .. } => headers.clone(),
            _ => Headers::new(),
        };
        let is_gone = failed.code() == Status::CONDITIONAL_REQUEST_FAILED;
        let passing = failed.is_passing().then(|| failed.retry_after());
        let event = match (self.lease.failed(now, passing), previous) {
            (true, _) => {
                // Whether it got there is not known; a second time does no harm.
                self.is_new = true;
                PublicationEvent::Delayed(failed)
            }
            // What shall be removed is not there.
            (false, State::Unpublishing) if is_gone => PublicationEvent::Ended,
            (false, State::Unpublishing) => PublicationEvent::NotEnded(failed),
            (false, _) => PublicationEvent::Failed(failed),
        };
        if self.lease.phase() == Phase::Off {
            self.etag = None;
        }
        self.tell_change(previous, self.state(), Some(cause), headers);
        self.effects.push_back(Effect::Tell(event));
    }

    fn succeed(&mut self, now: Instant, response: &Response) {
        let previous = self.state();
        let cause = Some((response.status, response.reason.to_string()));
        if previous == State::Unpublishing {
            self.lease.granted(now, Duration::ZERO);
            // BUG-02
            self.etag = None;
            self.tell_state(previous, self.state(), cause);
            self.effects
                .push_back(Effect::Tell(PublicationEvent::Ended));
            return;
        }
        let etag = response
            .headers
            .get(HeaderName::SipETag)
            .map(|etag| String::from_utf8_lossy(etag).into());
        // RFC 3903, 4.3. Without a tag there is nothing to refresh by: the next request is an
        // initial one again.
        self.etag = etag;
        let expires = match response.headers.typed::<Expires>() {
            Some(Ok(Expires(seconds))) => Duration::from_secs(seconds.into()),
            // RFC 3903, 8.2 wants it there.
            Some(Err(_)) | None => self.expires,
        };
        self.lease.granted(now, expires);
        self.tell_state(previous, self.state(), cause);
        self.effects
            .push_back(Effect::Tell(PublicationEvent::Succeeded { expires }));
    }

    fn tell_state(&mut self, previous: State, state: State, cause: Option<(Status, String)>) {
        self.tell_change(previous, state, cause, Headers::new());
    }

    fn tell_change(
        &mut self,
        previous: State,
        state: State,
        cause: Option<(Status, String)>,
        headers: Headers,
    ) {
        let (code, reason) = cause.unzip();
        self.effects
            .push_back(Effect::Tell(PublicationEvent::StateChanged {
                previous,
                state,
                code,
                reason,
                headers,
            }));
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_removed
            && self.open == 0
            && self.lease.phase() == Phase::Off
            && self.effects.is_empty()
    }
}

/// PUB-01.
const DEFAULT_EXPIRES: Duration = Duration::from_secs(300);
/// 412, 423 and 420 each once, one after the other.
const MAX_REPEATS: u8 = 3;
