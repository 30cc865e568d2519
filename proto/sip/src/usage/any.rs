//! One of the usages outside of calls.

use super::{
    Effect, Exchange, Progress,
    message::{Incoming, MessageEvent, Outgoing},
    options::{OptionsEvent, Query},
    publication::{PublicationEvent, Publisher},
    registration::{Registrar, RegistrationEvent},
};
use crate::{FlowId, Request, Response, attempt::AttemptId, auth::Refusal};
use base::Deadline;
use std::time::Instant;

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
        })
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        match self {
            Self::Options(_) | Self::Message(_) => None,
            Self::Registration(registrar) => registrar.poll_timeout(),
            Self::Publication(publisher) => publisher.poll_timeout(),
            Self::Incoming(message) => message.poll_timeout(),
        }
    }

    /// Fires what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Options(_) | Self::Message(_) => {}
            Self::Registration(registrar) => registrar.handle_timeout(now),
            Self::Publication(publisher) => publisher.handle_timeout(now),
            Self::Incoming(message) => message.handle_timeout(now),
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
        }
    }

    /// The endpoint names the attempt of a request.
    pub(crate) fn attempt_started(&mut self, tag: u32, attempt: AttemptId) {
        if let Some(exchange) = self.exchange() {
            exchange.attempt_started(tag, attempt);
        }
    }

    /// A request was challenged; true if it is ready to go again.
    pub(crate) fn answer_challenge(
        &mut self,
        tag: u32,
        response: &Response,
        request: &mut Request,
    ) -> bool {
        if let Self::Registration(registrar) = self {
            return registrar.answer_challenge(tag, response, request);
        }
        self.exchange()
            .is_some_and(|exchange| exchange.answer_challenge(tag, response, request, None))
    }

    /// Why the last challenge was not answered, or the last success not believed.
    pub(crate) fn refusal(&mut self) -> Option<Refusal> {
        self.exchange().and_then(|exchange| exchange.refusal())
    }

    /// Something became of a request.
    pub(crate) fn handle_progress(&mut self, now: Instant, tag: u32, progress: &Progress<'_>) {
        match self {
            Self::Options(query) => query.handle_progress(tag, progress),
            Self::Registration(registrar) => registrar.handle_progress(now, tag, progress),
            Self::Publication(publisher) => publisher.handle_progress(now, tag, progress),
            Self::Message(message) => message.handle_progress(tag, progress),
            Self::Incoming(_) => {}
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

    /// True while a connection must not be closed for being idle.
    pub(crate) fn holds(&self, flow: FlowId) -> bool {
        match self {
            Self::Registration(registrar) => registrar.holds(flow),
            Self::Options(_) | Self::Publication(_) | Self::Message(_) | Self::Incoming(_) => false,
        }
    }

    /// The endpoint shuts down: takes back what servers hold, and what has not been sent.
    pub(crate) fn shut_down(&mut self) {
        match self {
            Self::Registration(registrar) => registrar.remove(),
            Self::Publication(publisher) => publisher.remove(),
            Self::Message(message) => message.withdraw(),
            Self::Options(_) | Self::Incoming(_) => {}
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
        }
    }
}
