//! Subscriptions of peers to what we know: SUBSCRIBE received, NOTIFY sent (RFC 6665, 4.2).

pub mod event;
mod notify;
pub mod package;
pub mod state;

pub use event::{IncomingSubscription, NotifierEnd, NotifierError, NotifierEvent, Reason};
pub use package::{Package, PackageError};
pub use state::{Signal, State};

pub(crate) use package::{Packages, is_token_text};

use super::{Ask, Effect, Exchange, Parties, Shared, Step, invitation::reserved, take};
use crate::{
    DialogId, FlowId, HeaderName, Headers, Method, Request, Status,
    answer::Answer,
    attempt::Draft,
    config::Config,
    dialog::InDialog,
    header::{Event, Expires},
    message::Description,
};
use base::{Deadline, Rng, earliest};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// A subscription of a peer: the notifier of RFC 6665, 4.2, or that of a REFER (RFC 3515, 2.4.4).
///
/// It is a part of the endpoint, which keeps its dialog, finds it by tags and Event, hands it what
/// arrives, and carries out its effects. One NOTIFY is outstanding at a time; what changes meanwhile
/// is told by the next one, with the latest state only.
#[derive(Debug)]
pub(crate) struct Notifier {
    exchange: Exchange,
    kind: Kind,
    event: Box<str>,
    id: Option<Box<str>>,
    package: Package,
    state: State,
    dialog: Option<DialogId>,
    /// The first request, until it is answered.
    request: Option<Shared>,
    /// What was granted last, in seconds.
    granted: u32,
    answer_by: Option<Instant>,
    expires: Option<Instant>,
    /// The latest state of what is subscribed to.
    latest: Option<Description>,
    /// What the last NOTIFY says.
    goodbye: Option<(Reason, Option<u32>)>,
    /// A NOTIFY has no final response.
    is_sending: bool,
    /// Another one is to follow it.
    is_queued: bool,
    /// It is over, and the application has not been told.
    ended: Option<NotifierEnd>,
    direct: Option<(FlowId, SocketAddr)>,
    effects: VecDeque<Effect<NotifierEvent>>,
}

/// What made it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// SUBSCRIBE.
    Subscription,
    /// REFER, and whether it wants reports (RFC 4488).
    Referral { is_silent: bool },
}

/// What a notifier begins with.
pub(crate) struct Opening {
    pub(crate) kind: Kind,
    pub(crate) event: Box<str>,
    pub(crate) id: Option<Box<str>>,
    pub(crate) package: Package,
    pub(crate) granted: u32,
    pub(crate) parties: Parties,
    pub(crate) request: Shared,
    /// What the application is told first.
    pub(crate) incoming: Option<Box<IncomingSubscription>>,
}

impl Notifier {
    /// Takes the first request.
    pub(crate) fn incoming(
        now: Instant,
        opening: Opening,
        config: &Arc<Config>,
        rng: &mut Rng,
    ) -> Self {
        Self {
            exchange: Exchange::new(opening.parties, config, rng),
            kind: opening.kind,
            event: opening.event,
            id: opening.id,
            package: opening.package,
            state: State::Incoming,
            dialog: Some(opening.request.dialog),
            direct: opening.request.direct,
            request: Some(opening.request),
            granted: opening.granted,
            answer_by: now.checked_add(config.transactions.timers.t2),
            expires: None,
            latest: None,
            goodbye: None,
            is_sending: false,
            is_queued: false,
            ended: None,
            effects: opening
                .incoming
                .map(|incoming| Effect::Tell(NotifierEvent::Incoming(incoming)))
                .into_iter()
                .collect(),
        }
    }

    pub(crate) fn poll_effect(&mut self) -> Option<Effect<NotifierEvent>> {
        take(&mut self.effects)
    }

    pub(crate) const fn state(&self) -> State {
        self.state
    }

    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        earliest([
            (self.answer_by, "decision about a subscription"),
            (self.expires, "expiry of a subscription of a peer"),
        ])
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.answer_by.take_if(|at| *at <= now).is_some() {
            // Still possible: the state is left by every answer.
            let _ = self.pend(now);
        }
        if self.expires.take_if(|at| *at <= now).is_some() {
            self.goodbye = Some((Reason::Timeout, None));
            self.close(now, Signal::Expired, NotifierEnd::Expired);
        }
    }

    /// Grants it, with the state to tell; `None` keeps what is known.
    ///
    /// # Errors
    ///
    /// It is granted already, or over.
    pub(crate) fn accept(
        &mut self,
        now: Instant,
        content: Option<Description>,
    ) -> Result<(), NotifierError> {
        if !matches!(self.state, State::Incoming | State::Pending) {
            return Err(NotifierError::WrongState(self.state));
        }
        self.latest = content.or_else(|| self.latest.take());
        self.welcome(now, Signal::Accept);
        Ok(())
    }

    /// Leaves it undecided.
    ///
    /// # Errors
    ///
    /// It is answered already.
    pub(crate) fn pend(&mut self, now: Instant) -> Result<(), NotifierError> {
        if self.state != State::Incoming {
            return Err(NotifierError::WrongState(self.state));
        }
        self.welcome(now, Signal::Pend);
        Ok(())
    }

    /// Refuses it: by the status while it is unanswered, by a last NOTIFY when it is pending.
    ///
    /// # Errors
    ///
    /// See [`NotifierError`].
    pub(crate) fn reject(
        &mut self,
        now: Instant,
        status: Status,
        reason: Option<String>,
        headers: &Headers,
    ) -> Result<(), NotifierError> {
        if let Some(name) = reserved(headers) {
            return Err(NotifierError::Reserved(name));
        }
        if !status.is_failure() {
            return Err(NotifierError::WrongStatus);
        }
        if self.state == State::Pending {
            return self.terminate(now, Reason::Rejected, None);
        }
        let Some(request) = self.request.take() else {
            return Err(NotifierError::WrongState(self.state));
        };
        let answer = Answer {
            reason,
            headers: headers.clone(),
            ..request.answer(status)
        };
        self.effects
            .push_back(Effect::Respond(request.server, Box::new(answer)));
        self.end(Signal::Reject, NotifierEnd::Rejected);
        Ok(())
    }

    /// Tells the peer the state.
    ///
    /// # Errors
    ///
    /// It is not answered yet, or over.
    pub(crate) fn notify(
        &mut self,
        now: Instant,
        content: Option<Description>,
    ) -> Result<(), NotifierError> {
        if !matches!(self.state, State::Pending | State::Active) {
            return Err(NotifierError::WrongState(self.state));
        }
        self.latest = content;
        self.send(now);
        Ok(())
    }

    /// Tells the peer the latest state once more: the way to us has changed, and NOTIFY tells our Contact
    /// (RFC 6665, 4.4.1; RFC 3261, 12.2.2).
    ///
    /// # Errors
    ///
    /// It is not answered yet, or over.
    pub(crate) fn renew(&mut self, now: Instant) -> Result<(), NotifierError> {
        if !matches!(self.state, State::Pending | State::Active) {
            return Err(NotifierError::WrongState(self.state));
        }
        self.send(now);
        Ok(())
    }

    /// Ends it by a last NOTIFY, with the latest state. `retry_after` in seconds is for `Probation` and
    /// `Giveup`, and for RFC 3265's readers of `Invariant`.
    ///
    /// # Errors
    ///
    /// It is not answered yet, or over.
    pub(crate) fn terminate(
        &mut self,
        now: Instant,
        reason: Reason,
        retry_after: Option<u32>,
    ) -> Result<(), NotifierError> {
        if !matches!(self.state, State::Pending | State::Active) {
            return Err(NotifierError::WrongState(self.state));
        }
        self.goodbye = Some((reason, retry_after));
        let cause = match reason {
            Reason::Rejected => NotifierEnd::Rejected,
            _ => NotifierEnd::Terminated,
        };
        self.close(now, Signal::Terminate, cause);
        Ok(())
    }

    /// Ends it with this state.
    ///
    /// # Errors
    ///
    /// It is not answered yet, or over.
    pub(crate) fn conclude(
        &mut self,
        now: Instant,
        content: Option<Description>,
        reason: Reason,
        retry_after: Option<u32>,
    ) -> Result<(), NotifierError> {
        if !matches!(self.state, State::Pending | State::Active) {
            return Err(NotifierError::WrongState(self.state));
        }
        self.latest = content;
        self.terminate(now, reason, retry_after)
    }

    /// What the next NOTIFY will tell.
    pub(crate) fn set_latest(&mut self, content: Option<Description>) {
        self.latest = content;
    }

    /// True if a SUBSCRIBE in the dialog is for this one (RFC 6665, 8.2.1).
    pub(crate) fn takes(&self, request: &Request) -> bool {
        let event = request.headers.typed::<Event<'_>>();
        matches!(event, Some(Ok(event)) if event.is(&self.event, self.id.as_deref())
            || (matches!(self.kind, Kind::Referral { .. })
                && self.id.is_none()
                && event.package == &*self.event))
    }

    /// The peer renews or ends it by a SUBSCRIBE in the dialog (RFC 6665, 4.2.1.4).
    pub(crate) fn handle_subscribe(&mut self, now: Instant, request: &Request, shared: Shared) {
        let respond = |answer: Answer| Effect::Respond(shared.server, Box::new(answer));
        if !matches!(self.state, State::Pending | State::Active) {
            let gone = shared.answer(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
            return self.effects.push_back(respond(gone));
        }
        let asked = match request.headers.typed::<Expires>() {
            Some(Ok(Expires(seconds))) => Some(seconds),
            Some(Err(_)) | None => None,
        };
        let granted = match self.package.grant(asked) {
            Ok(seconds) => seconds,
            Err(least) => {
                let brief = shared
                    .answer(Status::INTERVAL_TOO_BRIEF)
                    .with_header(HeaderName::MinExpires, least);
                return self.effects.push_back(respond(brief));
            }
        };
        self.direct = shared.direct.or(self.direct);
        let answer = shared
            .answer_with_contact(Status::OK, self.exchange.contact())
            .with_header(HeaderName::Expires, granted);
        self.effects.push_back(respond(answer));
        if granted == 0 {
            self.goodbye = Some((Reason::Timeout, None));
            return self.close(now, Signal::Leave, NotifierEnd::Unsubscribed);
        }
        self.grant(now, granted);
        self.effects
            .push_back(Effect::Tell(NotifierEvent::Refreshed { expires: granted }));
        self.send(now);
    }

    /// The dialog that it shares is no more.
    pub(crate) fn handle_dialog_gone(&mut self) {
        if let Some(request) = self.request.take() {
            let answer = request.answer(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
            self.effects
                .push_back(Effect::Respond(request.server, Box::new(answer)));
        }
        self.dialog = None;
        self.is_sending = false;
        self.is_queued = false;
        self.end(Signal::Gone, NotifierEnd::DialogGone);
    }

    /// Ends it because the endpoint ends.
    pub(crate) fn leave(&mut self, now: Instant) {
        match self.state {
            State::Incoming => {
                let status = Status::TEMPORARILY_UNAVAILABLE;
                // An unanswered one can be refused.
                let _ = self.reject(now, status, None, &Headers::new());
            }
            State::Pending | State::Active => {
                // RFC 6665, 4.1.3: later, when somebody is here again.
                let _ = self.terminate(now, Reason::Probation, None);
            }
            State::Terminated => {}
        }
    }

    pub(crate) const fn exchange(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    /// A NOTIFY was numbered: completes it.
    pub(crate) fn start_inside(&mut self, made: InDialog, ask: Ask) -> (u32, Box<Draft>) {
        let (tag, mut draft) = self
            .exchange
            .request_in_dialog(made, &ask.headers, ask.body);
        let is_routed = draft.request.headers.contains(HeaderName::Route);
        draft.prefer = self.direct.filter(|_| !is_routed);
        (tag, draft)
    }

    /// True if nothing of it can arrive any more.
    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Terminated && !self.is_sending && self.effects.is_empty()
    }

    /// 2xx to the first request, or a decision about a pending one; and NOTIFY.
    fn welcome(&mut self, now: Instant, signal: Signal) {
        self.answer_by = None;
        if let Some(request) = self.request.take() {
            let (status, name, value) = match self.kind {
                Kind::Subscription => (Status::OK, HeaderName::Expires, self.granted.to_string()),
                // RFC 4488, 4
                Kind::Referral { is_silent: true } => {
                    (Status::ACCEPTED, HeaderName::ReferSub, "false".to_owned())
                }
                Kind::Referral { is_silent: false } => {
                    (Status::ACCEPTED, HeaderName::ReferSub, "true".to_owned())
                }
            };
            let answer = request
                .answer_with_contact(status, self.exchange.contact())
                .with_header(name, value);
            self.effects
                .push_back(Effect::Respond(request.server, Box::new(answer)));
            self.grant(now, self.granted);
        }
        self.step(signal);
        if self.granted == 0 {
            // RFC 6665, 4.4.3
            self.goodbye = Some((Reason::Timeout, None));
            return self.close(now, Signal::Leave, NotifierEnd::Unsubscribed);
        }
        self.send(now);
    }

    fn grant(&mut self, now: Instant, seconds: u32) {
        self.granted = seconds;
        self.expires = now.checked_add(Duration::from_secs(seconds.into()));
    }

    fn is_silent(&self) -> bool {
        self.kind == Kind::Referral { is_silent: true }
    }

    fn step(&mut self, signal: Signal) -> bool {
        let prev = self.state;
        let Some(next) = state::next(prev, signal) else {
            return false;
        };
        let step = Step::Notifier(prev as usize, signal as usize);
        self.effects.push_back(Effect::Step(step));
        self.state = next;
        self.effects
            .push_back(Effect::Tell(NotifierEvent::StateChanged {
                prev,
                state: next,
            }));
        true
    }

    /// Ends it, and tells the peer.
    fn close(&mut self, now: Instant, signal: Signal, cause: NotifierEnd) {
        self.send(now);
        self.end(signal, cause);
    }

    /// Ends it, once. On the wire its last NOTIFY may go on.
    fn end(&mut self, signal: Signal, cause: NotifierEnd) {
        if !self.step(signal) {
            return;
        }
        self.answer_by = None;
        self.expires = None;
        self.ended = Some(cause);
        self.release();
    }

    /// Tells the application that it is over, and lets the dialog go, when nothing is outstanding: who
    /// shuts down then leaves no NOTIFY unanswered. Who has reported what a REFER came to may end its call
    /// next, and a BYE that overtakes the last report would have it refused (RFC 3261, 12.2.2).
    fn release(&mut self) {
        if self.state != State::Terminated || self.is_sending {
            return;
        }
        if let Some(cause) = self.ended.take() {
            self.effects
                .push_back(Effect::Tell(NotifierEvent::Ended { cause }));
        }
        if let Some(dialog) = self.dialog.take() {
            self.effects.push_back(Effect::Leave(dialog));
        }
    }
}
