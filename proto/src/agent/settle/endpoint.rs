//! From the SIP endpoint to the sockets, to the resolver, to the sessions and to the application.

use crate::{
    agent::{Child, UserAgent},
    event::{Event, OptionsEvent},
    session::SessionInput,
};
use sip::{
    HeaderName, Headers, InvitationId,
    usage::invitation::{EndCause, InvitationEvent},
};

impl UserAgent {
    pub(super) fn route_endpoint(&mut self, output: sip::Output) {
        match output {
            sip::Output::Send { flow, to, message } => {
                self.links.send(flow, to, message);
                self.touch(Child::Links);
            }
            sip::Output::Resolve { lookup, uri } => {
                self.resolver.locate(self.now, lookup, &uri);
                self.touch(Child::Resolver);
            }
            sip::Output::Connect { flow, target, .. } => {
                self.links.connect(self.now, flow, &target);
                self.touch(Child::Links);
            }
            sip::Output::KeepAlive { flow, to, pulse } => {
                self.links.keep_alive(self.now, flow, to, pulse);
                self.touch(Child::Links);
            }
            sip::Output::Release { flow } => {
                self.links.release(self.now, flow);
                self.touch(Child::Links);
            }
            sip::Output::Event(sip::Event::Invitation(id, event)) => {
                self.route_invitation(id, event)
            }
            sip::Output::Event(sip::Event::Registration(id, event)) => {
                self.route_registration(id, event);
            }
            sip::Output::Event(sip::Event::Publication(id, event)) => {
                self.route_publication(id, &event);
            }
            sip::Output::Event(sip::Event::Subscription(id, event)) => {
                self.route_subscription(id, event);
            }
            sip::Output::Event(sip::Event::Notifier(id, event)) => self.route_notifier(id, event),
            sip::Output::Event(sip::Event::Message(id, event)) => self.route_message(id, event),
            sip::Output::Event(sip::Event::Options(id, event)) => {
                self.notify(Event::Options(id, options_event(event)));
            }
            sip::Output::Event(sip::Event::NotAuthenticated { method, why, .. }) => {
                let told = format!("{} is not authenticated: {why}", method.as_str());
                self.log("endpoint", 3, told);
            }
            sip::Output::Event(sip::Event::Referral(id, event)) => self.route_referral(id, event),
            sip::Output::Event(sip::Event::IncomingReferral(id, event)) => {
                self.route_incoming_referral(id, event);
            }
            sip::Output::Event(sip::Event::Dropped { from, why, .. }) => {
                self.log("endpoint", 4, format!("message of {from} dropped: {why:?}"));
            }
            output => tracing::debug!(?output, "an output of the endpoint that goes nowhere"),
        }
    }

    fn route_invitation(&mut self, id: InvitationId, event: InvitationEvent) {
        if let InvitationEvent::Incoming(call) = event {
            return self.incoming_call(id, *call);
        }
        let is_over = matches!(event, InvitationEvent::Ended { .. });
        // A call that lives longer than its session is the endpoint's business alone.
        if let Some(&session) = self.invitations.get(&id) {
            if let InvitationEvent::Ended {
                cause: EndCause::Lookup(_),
                ..
            } = event
            {
                self.lookup_failed(session);
            }
            if let Some(transport) = self.endpoint.transport(id)
                && let Some(entry) = self.sessions.get_mut(session)
            {
                entry.session.set_confidential(transport.is_secure());
            }
            self.session_input(session, SessionInput::Call(event));
        }
        if is_over {
            self.forget_invitation(id);
        }
    }
}

fn options_event(event: sip::OptionsEvent) -> OptionsEvent {
    match event {
        sip::OptionsEvent::Answered {
            code,
            reason,
            headers,
        } => OptionsEvent::GotAnswer {
            code: code.code(),
            reason,
            user_agent: text(&headers, HeaderName::Server)
                .or_else(|| text(&headers, HeaderName::UserAgent)),
            allow: headers
                .values(HeaderName::Allow)
                .map(|value| String::from_utf8_lossy(value).into_owned())
                .collect(),
        },
        sip::OptionsEvent::Failed { cause } => OptionsEvent::DidFail {
            code: code(&cause),
            reason: cause.to_string(),
        },
        // The endpoint knows no other.
        _ => OptionsEvent::DidFail {
            code: 500,
            reason: String::new(),
        },
    }
}

/// The status that stands for an end without a response (RFC 3261, 8.1.3.1).
const fn code(cause: &EndCause) -> u16 {
    match cause {
        EndCause::Transport(_) | EndCause::Lookup(_) => 503,
        _ => 408,
    }
}

fn text(headers: &Headers, name: HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value).into_owned())
}
