//! NOTIFYs of our subscriptions (RFC 6665, 4.1.3).

use super::{
    Asked, Effect, End, Opening, Retry, Shared, Signal, Subscription, SubscriptionEnd,
    SubscriptionEvent,
};
use crate::{
    HeaderName, Request, Status,
    header::{Event, List, MediaType, SubscriptionState},
    message::Description,
    usage::sipfrag::Sipfrag,
};
use bytes::Bytes;
use std::time::{Duration, Instant};

impl Subscription {
    /// True if the Event of a NOTIFY is that of this subscription (RFC 6665, 8.2.1; RFC 3515, 2.4.6).
    pub(crate) fn takes(&self, request: &Request) -> bool {
        let Some(Ok(event)) = request.headers.typed::<Event<'_>>() else {
            return false;
        };
        match self.plan.opening {
            Opening::Subscribe => event.is(&self.plan.event, self.plan.id.as_deref()),
            // The first REFER of a dialog may be reported without an id.
            Opening::Refer(number) => {
                let own = |id: &str| id.parse() == Ok(number);
                event.package == &*self.plan.event && event.id().is_none_or(own)
            }
        }
    }

    /// A NOTIFY arrived in the dialog, or made it.
    pub(crate) fn handle_notify(&mut self, now: Instant, request: &Request, shared: Shared) {
        self.dialog = Some(shared.dialog);
        self.direct = shared.direct.or(self.direct);
        let header = request.headers.typed::<SubscriptionState<'_>>();
        let content = content_of(request);
        let standing = match (header, self.plan.opening) {
            (Some(Ok(standing)), _) => Standing::of(&standing),
            // Notifiers of REFER older than RFC 3515 send none: the report says how it stands.
            (None, Opening::Refer(_)) => Standing::of_report(content.as_ref()),
            (Some(Err(_)) | None, _) => {
                let answer = shared.answer(Status::BAD_REQUEST);
                return self
                    .effects
                    .push_back(Effect::Respond(shared.server, Box::new(answer)));
            }
        };
        let is_readable = content
            .as_ref()
            .is_none_or(|content| self.is_readable(&content.content_type));
        let answer = match is_readable {
            true => shared.answer_with_contact(Status::OK, self.exchange.contact()),
            // RFC 3261, 21.4.13; the state of the subscription is a header, and counts (SUB-08).
            false => shared
                .answer(Status::UNSUPPORTED_MEDIA_TYPE)
                .with_header(HeaderName::Accept, List(&self.plan.accept)),
        };
        self.effects
            .push_back(Effect::Respond(shared.server, Box::new(answer)));
        self.timer_n = None;
        if self.is_leaving && standing.signal != Signal::NotifyTerminated {
            // Until the SUBSCRIBE that ends it is answered, its last NOTIFY is awaited.
            self.timer_n = now.checked_add(self.wait());
        }
        if standing.signal != Signal::NotifyTerminated {
            let text = (standing.signal == Signal::NotifyOther).then_some(&*standing.text);
            self.step_with(standing.signal, text, None);
        }
        if is_readable {
            self.effects
                .push_back(Effect::Tell(SubscriptionEvent::GotNotify {
                    content,
                    headers: request.headers.detached(),
                }));
        }
        if standing.signal == Signal::NotifyTerminated {
            return self.terminated(&standing, request);
        }
        self.go_on(now, standing.expires);
    }

    fn terminated(&mut self, standing: &Standing, request: &Request) {
        let is_ours = self.is_leaving || (self.plan.expires == 0 && self.opening_is_plain());
        let (cause, retry) = match is_ours {
            true => (SubscriptionEnd::Unsubscribed, Retry::Never),
            false => (
                SubscriptionEnd::Terminated(standing.reason.clone()),
                Retry::of_reason(standing.reason.as_deref(), standing.retry_after),
            ),
        };
        self.finish(End {
            signal: Signal::NotifyTerminated,
            cause,
            code: None,
            reason: None,
            retry,
            headers: request.headers.detached(),
        });
    }

    /// It stands for so many seconds more, as the NOTIFY says.
    fn go_on(&mut self, now: Instant, expires: Option<u32>) {
        if self.is_leaving {
            if self.running.is_none() {
                self.ask(now, Asked::Leave);
            }
            return;
        }
        if self.plan.expires == 0 && self.opening_is_plain() {
            // Asked for once; a notifier that goes on all the same is not followed.
            self.is_leaving = true;
            self.timer_n = now.checked_add(self.wait());
            return;
        }
        match expires {
            // RFC 6665, 4.1.3: authoritative.
            Some(seconds) if self.running != Some(Asked::Refresh) || seconds < self.asked => {
                self.refresh.grant(now, Duration::from_secs(seconds.into()));
            }
            Some(_) => {}
            // RFC 6665, 4.2.2: older notifiers leave it out; then what was asked for counts.
            None if self.refresh.expires_at().is_none() && self.plan.expires > 0 => self
                .refresh
                .grant(now, Duration::from_secs(self.asked.into())),
            None => {}
        }
    }

    /// True if we asked for documents of this type, or for none in particular.
    fn is_readable(&self, content_type: &str) -> bool {
        let Some(Ok(given)) = parsed(content_type) else {
            return self.plan.accept.is_empty();
        };
        let admits = |range: &String| {
            parsed(range).is_some_and(|range| {
                range.is_ok_and(|range| range.admits(given.kind, given.subtype))
            })
        };
        self.plan.accept.is_empty() || self.plan.accept.iter().any(admits)
    }
}

/// What a NOTIFY says of the subscription.
struct Standing {
    signal: Signal,
    text: String,
    expires: Option<u32>,
    reason: Option<String>,
    retry_after: Option<u32>,
}

impl Standing {
    fn of(header: &SubscriptionState<'_>) -> Self {
        let is = |word: &str| header.state.eq_ignore_ascii_case(word);
        let signal = match () {
            () if is("active") => Signal::NotifyActive,
            () if is("pending") => Signal::NotifyPending,
            () if is("terminated") => Signal::NotifyTerminated,
            () => Signal::NotifyOther,
        };
        Self {
            signal,
            text: header.state.to_owned(),
            expires: header.expires(),
            reason: header.reason().map(str::to_owned),
            retry_after: header.retry_after(),
        }
    }

    fn of_report(content: Option<&Description>) -> Self {
        let is_final = content
            .and_then(|content| Sipfrag::parse(&content.body))
            .is_some_and(|fragment| fragment.status.is_final());
        let (signal, text) = match is_final {
            true => (Signal::NotifyTerminated, "terminated"),
            false => (Signal::NotifyActive, "active"),
        };
        Self {
            signal,
            text: text.to_owned(),
            expires: None,
            reason: None,
            retry_after: None,
        }
    }
}

/// The document of a NOTIFY, copied out of its datagram.
fn content_of(request: &Request) -> Option<Description> {
    let content_type = request.headers.get(HeaderName::ContentType);
    (!request.body.is_empty()).then(|| Description {
        content_type: String::from_utf8_lossy(content_type.unwrap_or_default()).into_owned(),
        body: Bytes::copy_from_slice(&request.body),
    })
}

fn parsed(text: &str) -> Option<Result<MediaType<'_>, crate::ParseError>> {
    use crate::header::Parse as _;
    (!text.is_empty()).then(|| MediaType::parse(text.as_bytes()))
}
