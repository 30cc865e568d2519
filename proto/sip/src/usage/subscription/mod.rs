//! Subscriptions of ours: SUBSCRIBE and the NOTIFYs that answer it (RFC 6665, 4.1).
//!
//! The dialog is that of the first NOTIFY, its route set and target with it (4.4.1); a 2xx makes none,
//! and so a 2xx without Contact, which older stacks took for an end (SUB-08), harms nothing here.

pub mod command;
pub mod event;
mod notify;
mod response;
pub mod state;

pub use command::{Forks, Subscribe, SubscribeError, SubscriptionStateError};
pub use event::{Retry, SubscriptionEnd, SubscriptionEvent};
pub use state::{Signal, State};

use super::{Ask, Effect, Exchange, Parties, Progress, Shared, Step, take};
use crate::{
    DialogId, FlowId, HeaderName, Headers, Method, Request, Response, Status,
    attempt::{Contact, Draft},
    config::Config,
    dialog::{Dialog, DialogKey, InDialog},
    header::List,
    message::Description,
    refresh::{Due, Refresh},
};
use base::{Deadline, Rng, SeldomRng, earliest};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// A subscription of ours: the subscriber of RFC 6665, 4.1, or the implicit one of a REFER (RFC 3515,
/// 2.4.4), for one dialog.
///
/// It is a part of the endpoint, which keeps its dialog, finds it by tags and Event, hands it what
/// arrives, and carries out its effects.
#[derive(Debug)]
pub(crate) struct Subscription {
    exchange: Exchange,
    plan: Plan,
    state: State,
    dialog: Option<DialogId>,
    running: Option<Asked>,
    /// How long the last request asked for.
    asked: u32,
    refresh: Refresh,
    timer_n: Option<Instant>,
    /// NOTIFYs of further dialogs are ours until then.
    forks: Option<(DialogKey, Instant)>,
    siblings: usize,
    is_leaving: bool,
    /// A 423 was followed once.
    is_lengthened: bool,
    /// A 420 was followed once.
    is_reduced: bool,
    /// The dialog that a REFER outside of it names, and goes into if it cannot be named.
    named: Option<DialogId>,
    /// A connection that leads straight to the peer.
    direct: Option<(FlowId, SocketAddr)>,
    rng: SeldomRng,
    config: Arc<Config>,
    effects: VecDeque<Effect<SubscriptionEvent>>,
}

/// What its requests say.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) opening: Opening,
    pub(crate) event: Box<str>,
    pub(crate) id: Option<Box<str>>,
    pub(crate) accept: Vec<String>,
    pub(crate) expires: u32,
    pub(crate) forks: Forks,
    pub(crate) event_list: bool,
    /// Of the first request, and of refreshes.
    pub(crate) headers: Headers,
    /// Of the first request.
    pub(crate) body: Option<Description>,
}

/// How it begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Opening {
    /// By SUBSCRIBE.
    Subscribe,
    /// By REFER with this number, which names it as the `id` of Event (RFC 3515, 2.4.6).
    Refer(u32),
}

/// The request that runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    First,
    Refresh,
    Leave,
}

/// Why a subscription ends.
struct End<'a> {
    signal: Signal,
    cause: SubscriptionEnd,
    code: Option<Status>,
    reason: Option<&'a str>,
    retry: Retry,
    headers: Headers,
}

impl Subscription {
    /// Subscribes outside of dialogs.
    pub(crate) fn outgoing(
        now: Instant,
        subscribe: Subscribe,
        config: &Arc<Config>,
        rng: &mut Rng,
    ) -> Self {
        let parties = Parties {
            origin: Parties::origin_of(&subscribe.route),
            contact: Some(Box::new(Contact {
                user: subscribe
                    .contact_user
                    .or_else(|| subscribe.from.uri.user().map(str::to_owned)),
                secure: subscribe.request_uri.is_secure(),
                account: Contact::shown(subscribe.account, &subscribe.from),
                ..Contact::default()
            })),
            from: subscribe.from,
            to: subscribe.to,
            request_uri: subscribe.request_uri,
            route: subscribe.route,
            credentials: subscribe.credentials,
            account: subscribe.account,
            identity: subscribe.identity,
        };
        let plan = Plan {
            opening: Opening::Subscribe,
            event: subscribe.event.into(),
            id: subscribe.id.map(String::into_boxed_str),
            accept: subscribe.accept,
            expires: subscribe.expires,
            forks: subscribe.forks,
            event_list: subscribe.event_list,
            headers: subscribe.headers,
            body: subscribe.body,
        };
        Self::begin(now, parties, plan, None, config, rng)
    }

    /// Begins by the request of a plan: outside of dialogs, or in one that others have made.
    pub(crate) fn begin(
        now: Instant,
        parties: Parties,
        plan: Plan,
        dialog: Option<DialogId>,
        config: &Arc<Config>,
        rng: &mut Rng,
    ) -> Self {
        let exchange = Exchange::new(parties, config, rng);
        let mut subscription = Self::with(exchange, plan, config, rng);
        subscription.dialog = dialog;
        subscription.step(Signal::Subscribe, None);
        subscription.send_first(now);
        subscription
    }

    fn with(exchange: Exchange, plan: Plan, config: &Arc<Config>, rng: &mut Rng) -> Self {
        Self {
            exchange,
            asked: plan.expires,
            plan,
            state: State::Null,
            dialog: None,
            running: None,
            refresh: Refresh::new(config.transactions.timers.timer_f, rng),
            timer_n: None,
            forks: None,
            siblings: 0,
            is_leaving: false,
            is_lengthened: false,
            is_reduced: false,
            named: None,
            direct: None,
            rng: rng.fork_seldom(),
            config: Arc::clone(config),
            effects: VecDeque::new(),
        }
    }

    /// A NOTIFY of another dialog answers the same request: a subscription of its own, or `None` if
    /// one is enough.
    pub(crate) fn fork(&mut self) -> Option<Self> {
        let is_allowed = self.plan.forks == Forks::Many && self.siblings < self.config.limits.forks;
        if !is_allowed || self.is_leaving {
            return None;
        }
        self.siblings += 1;
        let (plan, config) = (self.plan.clone(), Arc::clone(&self.config));
        let mut fork = self.rng.draw(|rng| {
            let exchange = self.exchange.sibling(rng);
            Self::with(exchange, plan, &config, rng)
        });
        fork.step(Signal::Fork, None);
        Some(fork)
    }

    pub(crate) fn poll_effect(&mut self) -> Option<Effect<SubscriptionEvent>> {
        take(&mut self.effects)
    }

    pub(crate) const fn state(&self) -> State {
        self.state
    }

    /// The dialog that its NOTIFYs came in.
    pub(crate) const fn dialog(&self) -> Option<DialogId> {
        self.dialog
    }

    /// What a dialog that a NOTIFY makes begins with: our tag and the number of our last request.
    pub(crate) fn half_of_dialog(&self) -> (&str, u32) {
        (self.exchange.local_tag(), self.exchange.number())
    }

    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        let own = earliest([
            (self.timer_n, "timer N"),
            (self.forks.as_ref().map(|(_, at)| *at), "forks"),
        ]);
        let both = [own, self.refresh.poll_timeout()];
        both.into_iter()
            .flatten()
            .min_by_key(|deadline| deadline.at)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.forks.as_ref().is_some_and(|(_, at)| *at <= now) {
            self.expect_no_more();
        }
        if self.timer_n.take_if(|at| *at <= now).is_some() {
            return self.finish(End {
                signal: Signal::TimerN,
                cause: match self.is_leaving {
                    true => SubscriptionEnd::Unsubscribed,
                    false => SubscriptionEnd::NoNotify,
                },
                code: None,
                reason: None,
                retry: match self.is_leaving {
                    true => Retry::Never,
                    false => Retry::Later,
                },
                headers: Headers::new(),
            });
        }
        match self.refresh.handle_timeout(now) {
            // The reports of a REFER end by themselves (RFC 3515, 2.4.4).
            Some(Due::Refresh) if self.opening_is_plain() && self.running.is_none() => {
                self.ask(now, Asked::Refresh);
            }
            Some(Due::Refresh) => {}
            Some(Due::Expired) => self.finish(End {
                signal: Signal::Expired,
                cause: SubscriptionEnd::Expired,
                code: None,
                reason: None,
                retry: Retry::Now,
                headers: Headers::new(),
            }),
            None => {}
        }
    }

    /// Renews it at once: the way to us has changed.
    ///
    /// # Errors
    ///
    /// It has no dialog yet, or is over.
    pub(crate) fn renew(&mut self, now: Instant) -> Result<(), SubscriptionStateError> {
        if self.dialog.is_none() || self.is_leaving || self.state == State::Terminated {
            return Err(SubscriptionStateError(self.state));
        }
        if self.running.is_none() {
            self.ask(now, Asked::Refresh);
        }
        Ok(())
    }

    /// Ends it (SUB-04): Expires 0 once there is a dialog, and a last NOTIFY is awaited.
    ///
    /// # Errors
    ///
    /// It is over, or is being ended.
    pub(crate) fn leave(&mut self, now: Instant) -> Result<(), SubscriptionStateError> {
        if self.state == State::Terminated || self.is_leaving {
            return Err(SubscriptionStateError(self.state));
        }
        self.is_leaving = true;
        self.refresh.clear();
        if self.running.is_none() {
            self.ask(now, Asked::Leave);
        }
        Ok(())
    }

    /// Sends the first request.
    fn send_first(&mut self, now: Instant) {
        self.running = Some(Asked::First);
        self.asked = self.plan.expires;
        self.timer_n = now.checked_add(self.wait());
        let headers = self.headers(self.plan.expires, true);
        let method = match self.plan.opening {
            Opening::Subscribe => Method::Subscribe,
            Opening::Refer(_) => Method::Refer,
        };
        let body = self.plan.body.clone();
        if let Some(dialog) = self.dialog {
            let ask = Box::new(Ask {
                method,
                headers,
                body,
            });
            return self.effects.push_back(Effect::Inside { dialog, ask });
        }
        let (tag, draft) = self.exchange.request(method, &headers, body);
        self.note_number();
        self.effects.push_back(Effect::Request { tag, draft });
        let key = DialogKey::new(self.exchange.call_id(), self.exchange.local_tag(), None);
        self.effects.push_back(Effect::Expect(key.clone()));
        self.forks = now.checked_add(self.wait()).map(|until| (key, until));
    }

    /// Sends a SUBSCRIBE inside the dialog.
    fn ask(&mut self, now: Instant, asked: Asked) {
        let Some(dialog) = self.dialog else { return };
        self.running = Some(asked);
        self.asked = match asked {
            Asked::Leave => 0,
            Asked::First | Asked::Refresh => self.plan.expires,
        };
        // RFC 6665, 4.1.2.2
        self.timer_n = now.checked_add(self.wait());
        let ask = Box::new(Ask {
            method: Method::Subscribe,
            headers: self.headers(self.asked, false),
            body: None,
        });
        self.effects.push_back(Effect::Inside { dialog, ask });
    }

    fn headers(&self, expires: u32, is_first: bool) -> Headers {
        let mut headers = Headers::new();
        let is_refer = matches!(self.plan.opening, Opening::Refer(_));
        if !(is_refer && is_first) {
            headers.push(HeaderName::Event, self.event_value());
            headers.push(HeaderName::Expires, expires);
            if !self.plan.accept.is_empty() {
                headers.push(HeaderName::Accept, List(&self.plan.accept));
            }
            if self.plan.event_list {
                headers.push(HeaderName::Supported, "eventlist");
            }
        }
        if is_first || !is_refer {
            for field in self.plan.headers.iter() {
                headers.push(field.name, field.value);
            }
        }
        headers
    }

    fn event_value(&self) -> String {
        let number = match self.plan.opening {
            Opening::Refer(number) => Some(number.to_string()),
            Opening::Subscribe => None,
        };
        match self.plan.id.as_deref().or(number.as_deref()) {
            Some(id) => format!("{};id={id}", self.plan.event),
            None => self.plan.event.to_string(),
        }
    }

    /// A request inside the dialog was numbered: completes it.
    pub(crate) fn start_inside(&mut self, made: InDialog, ask: Ask) -> (u32, Box<Draft>) {
        let number = made.request.headers.cseq().map_or(0, |cseq| cseq.number);
        if let (Opening::Refer(own), Method::Refer) = (&mut self.plan.opening, &ask.method) {
            *own = number;
        }
        let direct = self.direct;
        let (tag, mut draft) = self
            .exchange
            .request_in_dialog(made, &ask.headers, ask.body);
        draft.prefer = direct.filter(|_| !draft.request.headers.contains(HeaderName::Route));
        (tag, draft)
    }

    /// The dialog of a request that was to be sent is no more.
    pub(crate) fn handle_dialog_gone(&mut self) {
        self.dialog = None;
        let cause = match self.is_leaving {
            true => SubscriptionEnd::Unsubscribed,
            false => SubscriptionEnd::DialogGone,
        };
        self.finish(End {
            signal: Signal::Gone,
            retry: match self.is_leaving {
                true => Retry::Never,
                false => Retry::Now,
            },
            cause,
            code: None,
            reason: None,
            headers: Headers::new(),
        });
    }

    /// Says which dialog its REFER names (RFC 4538, 4).
    pub(crate) const fn set_named(&mut self, dialog: DialogId) {
        self.named = Some(dialog);
    }

    pub(crate) const fn exchange(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    pub(crate) fn answer_challenge(
        &mut self,
        tag: u32,
        response: &Response,
        request: &mut Request,
        dialog: Option<&mut Dialog>,
    ) -> bool {
        let is_answered = self
            .exchange
            .answer_challenge(tag, response, request, dialog);
        if is_answered && let Opening::Refer(own) = &mut self.plan.opening {
            // The REFER that is accepted is the one that names the subscription.
            if request.method == Method::Refer {
                *own = request.headers.cseq().map_or(*own, |cseq| cseq.number);
            }
        }
        is_answered
    }

    const fn opening_is_plain(&self) -> bool {
        matches!(self.plan.opening, Opening::Subscribe)
    }

    fn note_number(&mut self) {
        if let Opening::Refer(own) = &mut self.plan.opening {
            *own = self.exchange.number();
        }
    }

    /// True if nothing of it can arrive any more.
    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Terminated && self.effects.is_empty()
    }

    /// Takes a step of the table and tells it if the state changes; false if the pair moves nothing.
    fn step(&mut self, signal: Signal, why: Option<(Status, &str)>) -> bool {
        self.step_with(signal, None, why)
    }

    fn step_with(
        &mut self,
        signal: Signal,
        text: Option<&str>,
        why: Option<(Status, &str)>,
    ) -> bool {
        let prev = self.state;
        let Some(next) = state::next(prev, signal) else {
            return false;
        };
        let step = Step::Subscription(prev as usize, signal as usize);
        self.effects.push_back(Effect::Step(step));
        self.state = next;
        if prev != next {
            self.effects
                .push_back(Effect::Tell(SubscriptionEvent::StateChanged {
                    prev,
                    state: next,
                    text: text.map(str::to_owned),
                    code: why.map(|(code, _)| code),
                    reason: why.map(|(_, reason)| reason.to_owned()),
                }));
        }
        true
    }

    /// Ends it, once.
    fn finish(&mut self, end: End<'_>) {
        let why = end.code.zip(end.reason);
        if !self.step(end.signal, why) {
            return;
        }
        self.timer_n = None;
        self.running = None;
        self.refresh.clear();
        self.expect_no_more();
        if let Some(dialog) = self.dialog.take() {
            self.effects.push_back(Effect::Leave(dialog));
        }
        self.effects
            .push_back(Effect::Tell(SubscriptionEvent::Ended {
                cause: end.cause,
                code: end.code,
                reason: end.reason.map(str::to_owned),
                retry: end.retry,
                headers: end.headers,
            }));
    }

    fn expect_no_more(&mut self) {
        if let Some((key, _)) = self.forks.take() {
            self.effects.push_back(Effect::ExpectNoMore(key));
        }
    }

    /// Timer N: 64·T1.
    fn wait(&self) -> Duration {
        self.config.transactions.timers.timer_f
    }
}
