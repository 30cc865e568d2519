//! From the sessions to their invitations and to the application.

use crate::{
    agent::{Child, SessionId, UserAgent},
    event::Event,
    session::{CallCommand, SessionOutput},
};
use sip::{Description, HeaderName, Headers, InvitationId, Status};

impl UserAgent {
    pub(super) fn route_session(&mut self, id: SessionId, output: SessionOutput) {
        match output {
            SessionOutput::Call(CallCommand::Invite { offer }) => self.invite(id, offer),
            SessionOutput::Call(command) => self.command_invitation(id, command),
            SessionOutput::Event(event) => self.notify(Event::Session(id, event)),
            SessionOutput::StreamEvent(stream, event) => self.notify(Event::Stream(stream, event)),
            SessionOutput::Remove(stream) => self.remove_stream(stream),
            SessionOutput::Ended => {
                self.remove_session(id);
                self.touch(Child::Life);
            }
        }
    }

    fn invite(&mut self, id: SessionId, offer: Description) {
        let Some(entry) = self.sessions.get_mut(id) else {
            return;
        };
        let Some(mut invite) = entry.invite.take() else {
            return;
        };
        invite.offer = Some(offer);
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
        if let Err(refused) = self.apply_call_command(invitation, command) {
            // The call moved on before the session heard of it; its event is on the way.
            tracing::debug!(session = %id, refused, "the invitation refuses");
        }
        self.touch(Child::Endpoint);
    }

    fn apply_call_command(&mut self, id: InvitationId, command: CallCommand) -> Result<(), String> {
        let now = self.now;
        let Some(mut call) = self.endpoint.invitation(id) else {
            return Err("it is gone".to_owned());
        };
        match command {
            CallCommand::Invite { .. } => Ok(()),
            CallCommand::Ring => call.ring(now).map_err(|error| error.to_string()),
            CallCommand::Accept { description } => call
                .accept(now, description, Headers::new())
                .map_err(|error| error.to_string()),
            CallCommand::Reject {
                code,
                reason,
                warning,
            } => call
                .reject(now, status(code), reason, &warning_header(warning))
                .map_err(|error| error.to_string()),
            CallCommand::End { reason } => {
                let mut headers = Headers::new();
                if let Some(reason) = reason {
                    headers.push(HeaderName::Reason, reason);
                }
                call.end(now, &headers).map_err(|error| error.to_string())
            }
            CallCommand::Offer { description } => call
                .offer(now, Some(description), &Headers::new())
                .map_err(|error| error.to_string()),
            CallCommand::CancelOffer => call.cancel_offer(now).map_err(|error| error.to_string()),
            CallCommand::Answer {
                dialog,
                description,
            } => call
                .answer(now, dialog, description)
                .map_err(|error| error.to_string()),
            CallCommand::Refuse {
                dialog,
                code,
                warning,
            } => call
                .refuse(now, dialog, status(code), warning.as_deref())
                .map_err(|error| error.to_string()),
        }
    }
}

/// A Warning of code 399, which a person may read (RFC 3261, 20.43; SES-38).
pub(in crate::agent) fn warning_header(text: Option<String>) -> Headers {
    let mut headers = Headers::new();
    if let Some(text) = text {
        let text: String = text
            .chars()
            .filter(|c| !c.is_control() && !matches!(c, '"' | '\\'))
            .collect();
        headers.push(
            HeaderName::Warning,
            format!("399 sipsimple \"{text}\"").as_str(),
        );
    }
    headers
}

fn status(code: u16) -> Status {
    Status::new(code).unwrap_or(Status::NOT_ACCEPTABLE_HERE)
}
