//! The end of a call: what is sent in each state, and when the application is told.

use super::{
    Effect, Invitation, Kind, RespondError, Signal, Stage, State, Why,
    command::reserved,
    event::{EndCause, InvitationEvent, Originator},
    leg,
};
use crate::{HeaderName, Headers, Status, answer::Answer, attempt::Withdrawal};
use std::time::Instant;

/// What the application will be told when the call is over.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) originator: Originator,
    pub(super) cause: EndCause,
    pub(super) status: Option<Status>,
    pub(super) reason: Option<String>,
    pub(super) reason_header: Option<String>,
    /// Headers of the message that ended it.
    pub(super) headers: Headers,
    /// Headers that our BYE carries.
    pub(super) further: Headers,
    pub(super) is_told: bool,
}

impl Ending {
    pub(super) const fn new(originator: Originator, cause: EndCause) -> Self {
        Self {
            originator,
            cause,
            status: None,
            reason: None,
            reason_header: None,
            headers: Headers::new(),
            further: Headers::new(),
            is_told: false,
        }
    }

    /// Keeps the Reason header of the message that ended the call (RFC 3326).
    pub(super) fn set_reason_header(&mut self, headers: &Headers) {
        let value = headers.get(HeaderName::Reason);
        self.reason_header = value.map(|value| String::from_utf8_lossy(value).into_owned());
    }
}

impl Invitation {
    /// Ends the call with what its state asks for (INV-09): CANCEL, a refusal, or BYE.
    ///
    /// # Errors
    ///
    /// Nothing has happened. Ending a call again is no error.
    pub(crate) fn end(
        &mut self,
        now: Instant,
        status: Option<Status>,
        reason: Option<String>,
        headers: &Headers,
    ) -> Result<(), RespondError> {
        let mut foreign = headers.clone();
        if status.is_some_and(Status::is_redirect) {
            // RFC 3261, 21.3: where else to call is the application's to say.
            foreign.remove(HeaderName::Contact);
        }
        if let Some(name) = reserved(&foreign) {
            return Err(RespondError::Reserved(name));
        }
        if status.is_some_and(|status| !status.is_failure()) {
            return Err(RespondError::WrongStatus);
        }
        if self.ending.is_some() {
            return Ok(());
        }
        let mut ending = Ending::new(Originator::Local, EndCause::UserRequest);
        let answered = !matches!(self.state, State::Calling | State::Early | State::Incoming);
        let status = match (answered, self.is_outgoing) {
            (true, _) => None,
            (false, true) => Some(Status::REQUEST_TERMINATED),
            (false, false) => Some(status.unwrap_or(Status::DECLINE)),
        };
        ending.status = status;
        let phrase =
            status.map(|status| reason.clone().unwrap_or_else(|| status.phrase().to_owned()));
        ending.reason = phrase.clone();
        ending.set_reason_header(headers);
        if answered {
            let mut further = headers.clone();
            further.remove(HeaderName::Reason);
            ending.further = further;
        }
        let first = self
            .pending()
            .map(|served| (served.server, served.dialog, served.is_first));
        self.begin_ending(now, ending);
        match first {
            Some((server, _, true)) => {
                let answer = Answer {
                    reason,
                    headers: headers.clone(),
                    ..self.first_answer(status.unwrap_or(Status::DECLINE))
                };
                self.refuse_served(server, answer);
            }
            Some((server, dialog, false)) => {
                let answer = self.dialog_answer(dialog, Status::REQUEST_TERMINATED);
                self.refuse_served(server, answer);
            }
            None => {}
        }
        let why = Why {
            status,
            reason: phrase.as_deref(),
            ..Why::default()
        };
        self.step(Signal::End, why);
        self.leave_by_state();
        self.check_release();
        Ok(())
    }

    /// Ends the call for a reason that is not the application's.
    pub(super) fn end_by(&mut self, now: Instant, ending: Ending) {
        if self.ending.is_some() {
            return;
        }
        self.begin_ending(now, ending);
        self.step(Signal::End, Why::default());
        self.leave_by_state();
    }

    /// CANCEL for an INVITE without final response, BYE for a dialog that is confirmed.
    fn leave_by_state(&mut self) {
        self.withdraw_invite();
        let Some(id) = self.confirmed else { return };
        let Some(leg) = self.leg_mut(id) else { return };
        if leg.stage != leg::Stage::Confirmed {
            return;
        }
        if let Some(number) = leg.owes_ack {
            // RFC 3261, 13.2.2.4: acknowledged, then left.
            self.send_ack(id, number, None);
        }
        self.finish(id);
    }

    /// Notes why the call ends, and until when the application waits for it.
    pub(super) fn begin_ending(&mut self, now: Instant, ending: Ending) {
        if self.ending.is_none() {
            self.forsake_offers(None);
            self.ending = Some(ending);
            self.give_up = now.checked_add(self.config.end_timeout);
            let changing = self.attempt_of(|kind| matches!(kind, Kind::Reinvite(_)));
            let changing = changing.map(|id| Effect::Withdraw(id, Withdrawal::Leave, None));
            self.effects.extend(changing);
        }
    }

    /// Tells the end when nothing is outstanding that the application should wait for.
    pub(super) fn check_release(&mut self) {
        if self.state != State::Disconnecting {
            return;
        }
        let calling = self.is_running(|kind| kind == Kind::Invite);
        let leaving = self.legs.iter().any(|leg| {
            matches!(leg.stage, leg::Stage::Closing | leg::Stage::Left)
                && self.confirmed.is_none_or(|id| id == leg.id)
        });
        let refusing = self
            .served
            .iter()
            .any(|served| served.is_first && served.stage == Stage::Refused);
        if !calling && !leaving && !refusing {
            self.release();
        }
    }

    /// The call is over for the application; on the wire it may go on.
    pub(super) fn release(&mut self) {
        self.give_up = None;
        // SES-69: whether an ACK came is not known, but it did not come in time.
        let unacknowledged: Vec<_> = self
            .served
            .iter()
            .filter(|served| served.stage == Stage::Refused)
            .map(|served| served.status)
            .collect();
        for status in unacknowledged {
            self.tell_served(status, Some(false));
        }
        let why = self
            .ending
            .as_ref()
            .map(|ending| (ending.status, ending.reason.clone()));
        let (status, reason) = why.unwrap_or_default();
        let why = Why {
            status,
            reason: reason.as_deref(),
            ..Why::default()
        };
        if self.step(Signal::Released, why) {
            self.tell_ended();
        }
    }

    /// Tells the end, once.
    pub(super) fn tell_ended(&mut self) {
        self.give_up = None;
        let Some(ending) = self.ending.as_mut().filter(|ending| !ending.is_told) else {
            return;
        };
        ending.is_told = true;
        let event = InvitationEvent::Ended {
            originator: ending.originator,
            code: ending.status,
            reason: ending.reason.take(),
            cause: ending.cause,
            // Our BYE may still need it.
            reason_header: ending.reason_header.clone(),
            headers: std::mem::take(&mut ending.headers),
        };
        self.effects.push_back(Effect::Event(event));
    }
}
