//! The end of a session, by whomever (SES-32 … SES-34, SES-60 … SES-62).

use super::{CallCommand, InputKind, Session, SessionError, SessionOutput, State, Warning};
use crate::{
    event::{Originator, SessionEvent},
    stream::{StreamError, Streams},
};
use sip::{header::Reason, usage::invitation::EndCause};
use std::time::Instant;

/// How the application will be told that it is over.
#[derive(Debug)]
pub(super) struct Ending {
    event: Option<SessionEvent>,
    /// `SessionOutput::Ended` was said.
    is_gone: bool,
}

impl Session {
    /// Ends the session: CANCEL before an answer, BYE after it (SES-32, SES-33), with that reason (RFC 3326).
    /// Repeated, it does nothing.
    ///
    /// # Errors
    ///
    /// The protocol of the reason is no token.
    pub(crate) fn end(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        reason: Option<Reason>,
    ) -> Result<(), SessionError> {
        if reason.as_ref().is_some_and(|reason| !reason.is_valid()) {
            return Err(SessionError::BadReason);
        }
        self.seen.note(self.state, InputKind::End);
        match self.state {
            State::Incoming => self.reject(now, streams, 603, None, None)?,
            State::Outgoing | State::Accepting => {
                self.end_call(reason);
                let phrase = "Session Cancelled".to_owned();
                self.fail(
                    now,
                    streams,
                    Originator::Local,
                    487,
                    phrase,
                    "user request".to_owned(),
                );
            }
            State::Connected | State::SendingProposal | State::CancellingProposal => {
                self.end_call(reason);
                self.finish(now, streams, Originator::Local, "user request".to_owned());
            }
            State::Terminating | State::Terminated => {}
        }
        Ok(())
    }

    /// Media cannot go on: the call falls with it.
    pub(super) fn fail_media(&mut self, now: Instant, streams: &mut Streams, error: &StreamError) {
        let failure = error.to_string();
        match self.state {
            State::Incoming | State::Accepting if !self.was_accepted() => {
                self.push_call(CallCommand::Reject {
                    code: 488,
                    reason: None,
                    warning: Some(Warning::miscellaneous(failure.as_str())),
                    contacts: Vec::new(),
                });
                self.fail(
                    now,
                    streams,
                    Originator::Local,
                    488,
                    "Not Acceptable Here".to_owned(),
                    failure,
                );
            }
            State::Outgoing | State::Incoming | State::Accepting => {
                self.end_call(None);
                self.fail(now, streams, Originator::Local, 0, String::new(), failure);
            }
            State::Connected | State::SendingProposal | State::CancellingProposal => {
                self.end_call(None);
                self.finish(now, streams, Originator::Local, failure);
            }
            State::Terminating | State::Terminated => {}
        }
    }

    /// Both sides agreed on nothing.
    pub(super) fn no_streams_left(&mut self, now: Instant, streams: &mut Streams) {
        self.end_call(None);
        let failure = "no stream is left".to_owned();
        if self.state.is_before_start() {
            self.fail(
                now,
                streams,
                Originator::Remote,
                488,
                "Not Acceptable Here".to_owned(),
                failure,
            );
        } else {
            self.finish(now, streams, Originator::Remote, failure);
        }
    }

    /// The invitation is over.
    pub(super) fn call_ended(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        originator: Originator,
        response: Option<(u16, String)>,
        cause: EndCause,
        words: String,
    ) {
        if self.state.is_live() {
            if self.state.is_before_start() {
                let (code, phrase) = match cause {
                    EndCause::Cancelled => (487, "Session Cancelled".to_owned()),
                    _ => response.unwrap_or_default(),
                };
                self.fail(now, streams, originator, code, phrase, words);
            } else {
                self.finish(now, streams, originator, words);
            }
        }
        self.call_is_over();
    }

    pub(super) fn call_is_over(&mut self) {
        self.has_call = false;
        self.tell_end();
    }

    pub(super) fn ending_is_told(&self) -> bool {
        self.ending
            .as_ref()
            .is_some_and(|ending| ending.event.is_none())
    }

    /// Ends a session that never started.
    pub(super) fn fail(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        originator: Originator,
        code: u16,
        reason: String,
        failure_reason: String,
    ) {
        if !self.state.is_live() {
            return;
        }
        if !self.state.is_before_start() {
            return self.finish(now, streams, originator, failure_reason);
        }
        let event = SessionEvent::DidFail {
            originator,
            code,
            reason,
            failure_reason,
            hints: self.hints.take(),
        };
        self.terminate(now, streams, event);
    }

    /// Ends a session that ran.
    pub(super) fn finish(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        originator: Originator,
        end_reason: String,
    ) {
        self.push(SessionEvent::WillEnd { originator });
        let event = SessionEvent::DidEnd {
            originator,
            end_reason,
        };
        self.terminate(now, streams, event);
    }

    fn terminate(&mut self, now: Instant, streams: &mut Streams, event: SessionEvent) {
        self.forsake_transfer();
        self.timers = super::Timers {
            end: Some(now + self.limits.end),
            close: self.timers.close,
            ..Default::default()
        };
        self.enter(State::Terminating);
        for index in 0..self.lines.len() {
            self.drop_line(now, streams, index);
        }
        self.ending = Some(Ending {
            event: Some(event),
            is_gone: false,
        });
        if !self.has_call {
            self.tell_end();
        }
    }

    pub(super) fn end_call(&mut self, reason: Option<Reason>) {
        if self.has_call {
            self.push_call(CallCommand::End { reason });
        }
    }

    /// Tells the application, once.
    pub(super) fn tell_end(&mut self) {
        self.timers.end = None;
        if let Some(event) = self.ending.as_mut().and_then(|ending| ending.event.take()) {
            self.enter(State::Terminated);
            self.push(event);
        }
        self.try_finish();
    }

    /// The session goes when the application knows that it is over and its streams are closed; the
    /// invitation may have a last word to say to the peer without it.
    pub(super) fn try_finish(&mut self) {
        let is_closed = self.closing.is_empty();
        if let Some(ending) = &mut self.ending
            && ending.event.is_none()
            && is_closed
            && !ending.is_gone
        {
            ending.is_gone = true;
            self.out.push_back(SessionOutput::Ended);
        }
    }

    fn was_accepted(&self) -> bool {
        self.state == State::Accepting && !self.accepting
    }
}
