//! From the sessions to their invitations and to the application.

use crate::{
    agent::{Child, SessionId, UserAgent},
    event::Event,
    session::{CallCommand, SessionInput, SessionOutput, Warning},
};
use sip::{Description, HeaderName, Headers, InvitationId, Status, Uri, header::Address};
use std::{fmt::Display, time::Duration};

impl UserAgent {
    pub(super) fn route_session(&mut self, id: SessionId, output: SessionOutput) {
        match output {
            SessionOutput::Call(CallCommand::Invite { offer, to }) => self.invite(id, offer, to),
            SessionOutput::Call(command) => self.command_invitation(id, command),
            SessionOutput::ForgetTransfer => self.forget_transfer(id),
            SessionOutput::Event(event) => {
                self.report_session(id, &event);
                self.notify(Event::Session(id, event));
            }
            SessionOutput::StreamEvent(stream, event) => self.notify(Event::Stream(stream, event)),
            SessionOutput::Remove(stream) => self.remove_stream(stream),
            SessionOutput::Ended => {
                self.remove_session(id);
                self.touch(Child::Life);
            }
        }
    }

    fn invite(&mut self, id: SessionId, offer: Description, to: Option<Uri>) {
        let Some(entry) = self.sessions.get_mut(id) else {
            return;
        };
        let Some(mut invite) = entry.invite.take() else {
            return;
        };
        invite.offer = Some(offer);
        if let Some(to) = to {
            invite.request_uri = to;
        }
        if entry.session.may_be_redirected() {
            entry.invite = Some(invite.clone());
        }
        match self.endpoint.invite(self.now, *invite) {
            Ok(invitation) => {
                entry.invitation = Some(invitation);
                self.invitations.insert(invitation, id);
            }
            Err(error) => {
                let (now, streams) = (self.now, &mut self.streams);
                entry
                    .session
                    .could_not_invite(now, streams, error.to_string());
                self.touch(Child::Session(id));
                self.collect_touched();
            }
        }
        self.touch(Child::Endpoint);
    }

    fn command_invitation(&mut self, id: SessionId, command: CallCommand) {
        let invitation = self.sessions.get(id).and_then(|entry| entry.invitation);
        let Some(invitation) = invitation else {
            return;
        };
        let is_offer = matches!(
            command,
            CallCommand::Offer { .. } | CallCommand::RequestOffer
        );
        let result = self.apply_call_command(invitation, command);
        self.touch(Child::Endpoint);
        if let Err(refused) = result {
            // The call moved on before the session heard of it, and what happened is on the way; or the ACK of
            // an INVITE before the peer's latest one is not here yet (RFC 5407, 3.1.4).
            tracing::debug!(session = %id, refused, "the invitation refuses");
            if is_offer {
                let retry = self.now.checked_add(RETRY_OFFER);
                self.session_input(id, SessionInput::OfferHeldBack { retry });
            }
        }
    }

    fn apply_call_command(&mut self, id: InvitationId, command: CallCommand) -> Result<(), String> {
        let now = self.now;
        let Some(mut call) = self.endpoint.invitation(id) else {
            return Err("it is gone".to_owned());
        };
        let none = Headers::new();
        match command {
            CallCommand::Invite { .. } => Ok(()),
            CallCommand::Ring => said(call.ring(now)),
            CallCommand::Progress { description } => {
                let code = Status::SESSION_PROGRESS;
                said(call.provisional(now, code, None, none, Some(description)))
            }
            CallCommand::Accept { description } => said(call.accept(now, description, none)),
            CallCommand::Reject {
                code,
                reason,
                warning,
                contacts,
            } => {
                let mut headers = warning_header(warning);
                for contact in contacts {
                    headers.push(HeaderName::Contact, Address::new(contact));
                }
                said(call.reject(now, status(code), reason, &headers))
            }
            CallCommand::End { reason } => {
                let mut headers = none;
                if let Some(reason) = reason {
                    headers.push(HeaderName::Reason, reason);
                }
                said(call.end(now, &headers))
            }
            CallCommand::Offer { description } => said(call.offer(now, Some(description), &none)),
            CallCommand::RequestOffer => said(call.offer(now, None, &none)),
            CallCommand::CancelOffer => said(call.cancel_offer(now)),
            CallCommand::Answer {
                dialog,
                description,
            } => said(call.answer(now, dialog, description)),
            CallCommand::Refuse {
                dialog,
                code,
                warning,
            } => said(call.refuse(now, dialog, status(code), warning.as_deref())),
        }
    }
}

/// The reason of a refusal in words: commands of a call refuse for reasons of many types.
fn said<E: Display>(result: Result<(), E>) -> Result<(), String> {
    result.map_err(|error| error.to_string())
}

/// A Warning, which a person may read (RFC 3261, 20.43; SES-38).
pub(in crate::agent) fn warning_header(warning: Option<Warning>) -> Headers {
    let mut headers = Headers::new();
    if let Some(Warning { code, text, .. }) = warning {
        let text: String = text
            .chars()
            .filter(|c| !c.is_control() && !matches!(c, '"' | '\\'))
            .collect();
        headers.push(
            HeaderName::Warning,
            format!("{code} sipsimple \"{text}\"").as_str(),
        );
    }
    headers
}

fn status(code: u16) -> Status {
    Status::new(code).unwrap_or(Status::NOT_ACCEPTABLE_HERE)
}

/// Until an offer is tried again that another one stood in the way of: within the times of RFC 3261,
/// 14.1 for either side.
const RETRY_OFFER: Duration = Duration::from_secs(2);
