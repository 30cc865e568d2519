//! One of the usages outside of calls.

use super::{
    Ask, Effect, Exchange, Progress, Shared,
    message::{Incoming, MessageEvent, Outgoing},
    notifier::{Notifier, NotifierEvent},
    options::{OptionsEvent, Query},
    publication::{PublicationEvent, Publisher},
    referral::{IncomingReferral, IncomingReferralEvent, Referral, ReferralEvent},
    registration::{Registrar, RegistrationEvent},
    subscription::{Subscription, SubscriptionEvent},
};
use crate::{
    AccountId, DialogId, FlowId, Method, Request, Response,
    attempt::{AttemptId, Draft, Reach},
    auth::Refusal,
    config::Pulse,
    dialog::{Dialog, InDialog},
};

use base::Deadline;
use std::{net::SocketAddr, time::Instant};

/// A usage outside of calls, whichever.
#[derive(Debug)]
pub(crate) enum AnyUsage {
    /// A question.
    Options(Box<Query>),
    /// A registration.
    Registration(Box<Registrar>),
    /// A publication.
    Publication(Box<Publisher>),
    /// A message of ours.
    Message(Box<Outgoing>),
    /// A message of a peer.
    Incoming(Box<Incoming>),
    /// A subscription of ours.
    Subscription(Box<Subscription>),
    /// A subscription of a peer.
    Notifier(Box<Notifier>),
    /// A REFER of ours.
    Referral(Box<Referral>),
    /// A REFER of a peer.
    IncomingReferral(Box<IncomingReferral>),
}

/// What an application hears of a usage, whichever.
#[derive(Debug)]
pub(crate) enum Happening {
    /// Of a question.
    Options(OptionsEvent),
    /// Of a registration.
    Registration(RegistrationEvent),
    /// Of a publication.
    Publication(PublicationEvent),
    /// Of a message, ours or a peer's.
    Message(MessageEvent),
    /// Of a subscription of ours.
    Subscription(SubscriptionEvent),
    /// Of a subscription of a peer.
    Notifier(NotifierEvent),
    /// Of a REFER of ours.
    Referral(ReferralEvent),
    /// Of a REFER of a peer.
    IncomingReferral(IncomingReferralEvent),
}

impl AnyUsage {
    /// Takes the next effect.
    pub(crate) fn poll_effect(&mut self) -> Option<Effect<Happening>> {
        Some(match self {
            Self::Options(query) => query.poll_effect()?.map(Happening::Options),
            Self::Registration(registrar) => registrar.poll_effect()?.map(Happening::Registration),
            Self::Publication(publisher) => publisher.poll_effect()?.map(Happening::Publication),
            Self::Message(message) => message.poll_effect()?.map(Happening::Message),
            Self::Incoming(message) => message.poll_effect()?.map(Happening::Message),
            Self::Subscription(usage) => usage.poll_effect()?.map(Happening::Subscription),
            Self::Notifier(usage) => usage.poll_effect()?.map(Happening::Notifier),
            Self::Referral(usage) => usage.poll_effect()?.map(Happening::Referral),
            Self::IncomingReferral(usage) => usage.poll_effect()?.map(Happening::IncomingReferral),
        })
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        match self {
            Self::Options(_) | Self::Message(_) => None,
            Self::Registration(registrar) => registrar.poll_timeout(),
            Self::Publication(publisher) => publisher.poll_timeout(),
            Self::Incoming(message) => message.poll_timeout(),
            Self::Subscription(usage) => usage.poll_timeout(),
            Self::Notifier(usage) => usage.poll_timeout(),
            Self::Referral(usage) => usage.poll_timeout(),
            Self::IncomingReferral(usage) => usage.poll_timeout(),
        }
    }

    /// Fires what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Options(_) | Self::Message(_) => {}
            Self::Registration(registrar) => registrar.handle_timeout(now),
            Self::Publication(publisher) => publisher.handle_timeout(now),
            Self::Incoming(message) => message.handle_timeout(now),
            Self::Subscription(usage) => usage.handle_timeout(now),
            Self::Notifier(usage) => usage.handle_timeout(now),
            Self::Referral(usage) => usage.handle_timeout(now),
            Self::IncomingReferral(usage) => usage.handle_timeout(now),
        }
    }

    /// The requests of a usage that sends some.
    pub(crate) fn exchange(&mut self) -> Option<&mut Exchange> {
        match self {
            Self::Options(query) => Some(query.exchange()),
            Self::Registration(registrar) => Some(registrar.exchange()),
            Self::Publication(publisher) => Some(publisher.exchange()),
            Self::Message(message) => Some(message.exchange()),
            Self::Incoming(_) => None,
            Self::Subscription(usage) => Some(usage.exchange()),
            Self::Notifier(usage) => Some(usage.exchange()),
            Self::Referral(usage) => Some(usage.exchange()),
            Self::IncomingReferral(usage) => Some(usage.exchange()),
        }
    }

    /// The endpoint names the attempt of a request.
    pub(crate) fn attempt_started(&mut self, tag: u32, attempt: AttemptId) {
        if let Some(exchange) = self.exchange() {
            exchange.attempt_started(tag, attempt);
        }
    }

    /// A request was challenged; true if it is ready to go again. `dialog`: the one it is in.
    pub(crate) fn answer_challenge(
        &mut self,
        tag: u32,
        response: &Response,
        request: &mut Request,
        dialog: Option<&mut Dialog>,
    ) -> bool {
        match self {
            Self::Registration(usage) => usage.answer_challenge(tag, response, request),
            Self::Subscription(usage) => usage.answer_challenge(tag, response, request, dialog),
            Self::Referral(usage) => usage.answer_challenge(tag, response, request, dialog),
            other => other
                .exchange()
                .is_some_and(|exchange| exchange.answer_challenge(tag, response, request, dialog)),
        }
    }

    /// Why the last challenge was not answered, or the last success not believed.
    pub(crate) fn refusal(&mut self) -> Option<Refusal> {
        self.exchange().and_then(|exchange| exchange.refusal())
    }

    /// Something became of a request.
    pub(crate) fn handle_progress(&mut self, now: Instant, tag: u32, progress: &Progress<'_>) {
        if let (Progress::Sent { path }, Some(exchange)) = (progress, self.exchange()) {
            exchange.sent(tag, path.to.ip());
        }
        match self {
            Self::Options(query) => query.handle_progress(tag, progress),
            Self::Registration(registrar) => registrar.handle_progress(now, tag, progress),
            Self::Publication(publisher) => publisher.handle_progress(now, tag, progress),
            Self::Message(message) => message.handle_progress(tag, progress),
            Self::Incoming(_) => {}
            Self::Subscription(usage) => usage.handle_progress(now, tag, progress),
            Self::Notifier(usage) => usage.handle_progress(now, tag, progress),
            Self::Referral(usage) => usage.handle_progress(now, tag, progress),
            Self::IncomingReferral(usage) => usage.handle_progress(now, tag, progress),
        }
    }

    /// A connection is gone; true if that is something to it.
    pub(crate) fn handle_flow_down(&mut self, now: Instant, flow: FlowId) -> bool {
        let holds = self.holds(flow);
        if let Self::Registration(registrar) = self {
            registrar.handle_flow_down(now, flow);
        }
        holds
    }

    /// A peer of datagrams is not reached any more; true if that is something to it.
    pub(crate) fn handle_flow_failed(
        &mut self,
        now: Instant,
        flow: FlowId,
        to: SocketAddr,
    ) -> bool {
        match self {
            Self::Registration(registrar) => registrar.handle_flow_failed(now, flow, to),
            _ => false,
        }
    }

    /// The way that it wants kept open.
    pub(crate) fn keeps(&self) -> Option<((FlowId, SocketAddr), Pulse)> {
        match self {
            Self::Registration(registrar) => registrar.keeps(),
            _ => None,
        }
    }

    /// Of a registration: whose it is, and by what its registrar lets peers reach us.
    pub(crate) fn reach(&self) -> Option<(AccountId, Option<&Reach>)> {
        match self {
            Self::Registration(registrar) => Some((registrar.account()?, registrar.reach())),
            _ => None,
        }
    }

    /// True while a connection must not be closed for being idle.
    pub(crate) fn holds(&self, flow: FlowId) -> bool {
        match self {
            Self::Registration(registrar) => registrar.holds(flow),
            _ => false,
        }
    }

    /// The endpoint shuts down: takes back what servers hold, and what has not been sent.
    pub(crate) fn shut_down(&mut self, now: Instant) {
        match self {
            Self::Registration(registrar) => registrar.remove(),
            Self::Publication(publisher) => publisher.remove(),
            Self::Message(message) => message.withdraw(),
            Self::Options(_) | Self::Incoming(_) => {}
            // Over already is over.
            Self::Subscription(usage) => drop(usage.leave(now)),
            Self::Notifier(usage) => usage.leave(now),
            Self::Referral(usage) => usage.leave(now),
            Self::IncomingReferral(usage) => usage.leave(now),
        }
    }

    /// A request inside a dialog was numbered: completes it. `None` for usages that have none.
    pub(crate) fn start_inside(&mut self, made: InDialog, ask: Ask) -> Option<(u32, Box<Draft>)> {
        Some(match self {
            Self::Subscription(usage) => usage.start_inside(made, ask),
            Self::Notifier(usage) => usage.start_inside(made, ask),
            Self::Referral(usage) => usage.start_inside(made, ask),
            Self::IncomingReferral(usage) => usage.start_inside(made, ask),
            _ => return None,
        })
    }

    /// True if a request inside one of its dialogs is for this usage (RFC 5057, 5.3).
    pub(crate) fn takes(&self, request: &Request) -> bool {
        match (self, &request.method) {
            (Self::Subscription(usage), Method::Notify) => usage.takes(request),
            (Self::Referral(usage), Method::Notify) => usage.takes(request),
            (Self::Notifier(usage), Method::Subscribe) => usage.takes(request),
            (Self::IncomingReferral(usage), Method::Subscribe) => usage.takes(request),
            _ => false,
        }
    }

    /// Such a request.
    pub(crate) fn handle_request(&mut self, now: Instant, request: &Request, shared: Shared) {
        match self {
            Self::Subscription(usage) => usage.handle_notify(now, request, shared),
            Self::Referral(usage) => usage.handle_notify(now, request, shared),
            Self::Notifier(usage) => usage.handle_subscribe(now, request, shared),
            Self::IncomingReferral(usage) => usage.handle_subscribe(now, request, shared),
            _ => {}
        }
    }

    /// What a dialog that a NOTIFY makes begins with, our tag and the number of our last request; and
    /// whether there is one already.
    pub(crate) fn half_of_dialog(&self) -> Option<((&str, u32), Option<DialogId>)> {
        match self {
            Self::Subscription(usage) => Some((usage.half_of_dialog(), usage.dialog())),
            Self::Referral(usage) => Some((usage.half_of_dialog(), usage.dialog())),
            _ => None,
        }
    }

    /// Another dialog answers its request: a usage of its own, or `None` if one is enough. A REFER that
    /// may fork is answered by the first that reports: RFC 7647 wants a GRUU for it.
    pub(crate) fn fork(&mut self) -> Option<Self> {
        match self {
            Self::Subscription(usage) => Some(Self::Subscription(Box::new(usage.fork()?))),
            _ => None,
        }
    }

    /// A dialog of it is no more.
    pub(crate) fn handle_dialog_gone(&mut self) {
        match self {
            Self::Subscription(usage) => usage.handle_dialog_gone(),
            Self::Notifier(usage) => usage.handle_dialog_gone(),
            Self::Referral(usage) => usage.handle_dialog_gone(),
            Self::IncomingReferral(usage) => usage.handle_dialog_gone(),
            _ => {}
        }
    }

    /// True if nothing of it can arrive any more.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Options(query) => query.is_over(),
            Self::Registration(registrar) => registrar.is_over(),
            Self::Publication(publisher) => publisher.is_over(),
            Self::Message(message) => message.is_over(),
            Self::Incoming(message) => message.is_over(),
            Self::Subscription(usage) => usage.is_over(),
            Self::Notifier(usage) => usage.is_over(),
            Self::Referral(usage) => usage.is_over(),
            Self::IncomingReferral(usage) => usage.is_over(),
        }
    }
}
