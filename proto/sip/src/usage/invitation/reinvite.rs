//! Changing a session: re-INVITE both ways (RFC 3261, 14; RFC 6141).

use super::{
    AnswerError, Arrival, Effect, Invitation, Kind, OfferError, Served, Signal, State, Why,
    ack::admits_reinvite,
    command::reserved,
    end::Ending,
    event::InvitationEvent,
    interval,
    leg::{self, Order},
    uac::detached,
};
use crate::{
    DialogId, HeaderName, Headers, Method, Request, Response, Status,
    attempt::Withdrawal,
    header::RetryAfter,
    message::Description,
    offer_answer::{Breach, Carrier, Meaning, Phase, glare_delay, overlap_retry_after},
};
use std::time::{Duration, Instant};

impl Invitation {
    /// Offers by a re-INVITE (INV-11), or answers a re-INVITE that asked for an offer.
    /// Without a description the peer is asked to offer.
    pub(crate) fn offer(
        &mut self,
        now: Instant,
        description: Option<Description>,
        headers: &Headers,
    ) -> Result<(), OfferError> {
        if let Some(name) = reserved(headers) {
            return Err(OfferError::Reserved(name));
        }
        let id = self.confirmed.ok_or(OfferError::WrongState(self.state))?;
        let phase = self.leg(id).map(|leg| leg.exchange.phase());
        if self.state == State::Reinvited && phase == Some(Phase::OfferDue) && description.is_some()
        {
            return self
                .accept(now, Status::OK, headers.clone(), description)
                .map_err(|_| OfferError::Busy);
        }
        match self.state {
            State::Confirmed => {}
            State::Connecting | State::Reinviting | State::Reinvited => {
                return Err(OfferError::Busy);
            }
            State::Null
            | State::Calling
            | State::Incoming
            | State::Early
            | State::Disconnecting
            | State::Disconnected => return Err(OfferError::WrongState(self.state)),
        }
        // RFC 3261, 14.1: no INVITE while another one is in progress, in either direction.
        if !self.served.is_empty() || self.is_running(|kind| matches!(kind, Kind::Reinvite(_))) {
            return Err(OfferError::Busy);
        }
        let Some(leg) = self.leg_mut(id) else {
            return Err(OfferError::Busy);
        };
        let mut exchange = leg.exchange.clone();
        if exchange
            .send(Carrier::Invite, description.is_some())
            .is_err()
        {
            return Err(OfferError::Busy);
        }
        let Ok(made) = leg.dialog.request(Method::Invite) else {
            return Err(OfferError::Busy);
        };
        leg.exchange = exchange;
        leg.proposed.clone_from(&description);
        self.start_in_dialog(Kind::Reinvite(id), made, headers, description);
        self.step(Signal::Offer, Why::default());
        Ok(())
    }

    /// Takes our running re-INVITE back (SES-27); what wins the race is told by its events.
    pub(crate) fn cancel_offer(&mut self) -> Result<(), OfferError> {
        if self.state != State::Reinviting {
            return Err(OfferError::WrongState(self.state));
        }
        let running = self.attempt_of(|kind| matches!(kind, Kind::Reinvite(_)));
        let running = running.map(|id| Effect::Withdraw(id, Withdrawal::Cancel, None));
        self.effects.extend(running);
        Ok(())
    }

    /// Answers the peer's offer: in a 2xx, or in the ACK of the 2xx that offered.
    pub(crate) fn answer(
        &mut self,
        now: Instant,
        id: DialogId,
        description: Description,
    ) -> Result<(), AnswerError> {
        let leg = self.leg_mut(id).ok_or(AnswerError::NoOffer)?;
        if let (Some((invite, number)), Phase::PrackDue) = (leg.owes_prack, leg.exchange.phase()) {
            // As below.
            let _ = leg.exchange.send(Carrier::Prack, true);
            leg.local = Some(description.clone());
            self.send_prack(id, invite, number, Some(description));
            return Ok(());
        }
        if leg.asked.is_some() {
            self.answer_asked(now, id, description);
            return Ok(());
        }
        if let (Some(number), Phase::AnswerDue) = (leg.owes_ack, leg.exchange.phase()) {
            // In this phase only an ACK with an answer may go, and this is one.
            let _ = leg.exchange.send(Carrier::Ack, true);
            leg.local = Some(description.clone());
            self.send_ack(id, number, Some(description));
            self.acknowledged(id, Status::OK, Status::OK.phrase());
            return Ok(());
        }
        if leg.exchange.phase() != Phase::OfferReceived {
            return Err(AnswerError::NoOffer);
        }
        self.accept(now, Status::OK, Headers::new(), Some(description))
            .map_err(|_| AnswerError::NoOffer)
    }

    /// Refuses the peer's offer. A re-INVITE gets the status; an offer in a 2xx cannot be refused,
    /// so the 2xx is acknowledged and the call ended (RFC 3261, 13.2.2.4).
    pub(crate) fn refuse(
        &mut self,
        now: Instant,
        id: DialogId,
        status: Status,
        warning: Option<&str>,
    ) -> Result<(), AnswerError> {
        if !status.is_failure() {
            return Err(AnswerError::WrongStatus);
        }
        let leg = self.leg(id).ok_or(AnswerError::NoOffer)?;
        if let Some((invite, number)) = leg.owes_prack {
            self.refuse_in_prack(now, id, invite, number);
            return Ok(());
        }
        if leg.asked.is_some() {
            let mut answer = self.dialog_answer(id, status);
            if let Some(text) = warning {
                answer = answer.with_header(HeaderName::Warning, warning_of(text));
            }
            self.refuse_asked(now, id, answer);
            return Ok(());
        }
        if let Some(number) = leg.owes_ack {
            self.refuse_in_ack(now, id, number);
            return Ok(());
        }
        let pending = self
            .pending()
            .filter(|served| served.dialog == id && !served.is_first);
        let server = pending
            .map(|served| served.server)
            .ok_or(AnswerError::NoOffer)?;
        let mut answer = self.dialog_answer(id, status);
        if let Some(text) = warning {
            answer = answer.with_header(HeaderName::Warning, warning_of(text));
        }
        self.refuse_served(server, answer);
        self.step_by(Signal::Refuse, status, status.phrase());
        Ok(())
    }

    fn refuse_in_ack(&mut self, now: Instant, id: DialogId, number: u32) {
        if let Some(leg) = self.leg_mut(id) {
            leg.exchange.abandon();
        }
        self.send_ack(id, number, None);
        self.acknowledged(id, Status::OK, Status::OK.phrase());
        let _ = self.end(now, None, None, &Headers::new());
    }

    /// An INVITE of the peer inside the dialog (RFC 3261, 14.2).
    pub(super) fn handle_reinvite(&mut self, id: DialogId, request: &Request, arrival: Arrival) {
        let server = arrival.server;
        let why = Why {
            method: Some(&Method::Invite),
            ..Why::default()
        };
        let alive = self.leg(id).is_some_and(leg::Leg::is_alive);
        if !alive {
            // RFC 5407, 3.2.1
            self.step(Signal::ReinviteReceived, why);
            let answer = self.dialog_answer(id, Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
            return self
                .effects
                .push_back(Effect::Respond(server, Box::new(answer)));
        }
        let Ok(description) = arrival.description else {
            let answer = self.dialog_answer(id, Status::UNSUPPORTED_MEDIA_TYPE);
            return self
                .effects
                .push_back(Effect::Respond(server, Box::new(answer)));
        };
        let Some(leg) = self.leg_mut(id) else { return };
        leg.note_min_se(&request.headers);
        let meaning = leg.exchange.receive(Carrier::Invite, description.is_some());
        if let Err(breach) = meaning {
            if !admits_reinvite(self.state) {
                self.step(Signal::ReinviteReceived, why);
            }
            let status = breach.status().unwrap_or(Status::SERVER_INTERNAL_ERROR);
            let mut answer = self.dialog_answer(id, status);
            if breach == Breach::Overlap {
                // RFC 3261, 14.2
                answer = Self::retry_after(answer, overlap_retry_after(&mut self.rng));
            }
            return self
                .effects
                .push_back(Effect::Respond(server, Box::new(answer)));
        }
        let number = request.headers.cseq().map_or(0, |cseq| cseq.number);
        let mut contact = Headers::new();
        contact.copy_from(&request.headers, HeaderName::Contact);
        self.served.push(Served {
            contact,
            grant: interval::decide(&self.config.session_timer, &request.headers),
            ..Served::new(server, id, number, false, &request.headers)
        });
        self.step(Signal::ReinviteReceived, why);
        self.tell(match description {
            Some(description) => InvitationEvent::Offered {
                dialog: id,
                description,
                immediate: false,
                asked: false,
            },
            None => InvitationEvent::OfferRequested { dialog: id },
        });
    }

    pub(super) fn handle_reinvite_provisional(
        &mut self,
        id: DialogId,
        number: u32,
        response: &Response,
    ) {
        if response.status == Status::TRYING {
            return;
        }
        let order = self.order_of(Some(id), number, response);
        if order == Order::Stale {
            return;
        }
        if self.ending.is_some() {
            if order != Order::Plain {
                self.take_provisional(id, number, response, order);
            }
            return;
        }
        self.step_by(Signal::Provisional, response.status, &response.reason);
        self.tell(InvitationEvent::Provisional {
            dialog: Some(id),
            code: response.status,
            reason: response.reason.to_string(),
            headers: response.headers.detached(),
        });
        if order != Order::Plain {
            self.take_provisional(id, number, response, order);
        }
    }

    /// A 2xx to our re-INVITE: acknowledged always, whatever it says (RFC 5407, 3.2.2).
    pub(super) fn handle_reinvite_success(
        &mut self,
        now: Instant,
        id: DialogId,
        number: u32,
        response: &Response,
    ) {
        if self.repeat_ack(id, number) {
            return;
        }
        let Some(leg) = self.leg_mut(id) else { return };
        if leg.note_accepted(response) {
            leg.dialog.refresh_target(&response.headers);
            self.note_interval(now, Kind::Reinvite(id), id, response);
        }
        let description = response.description().unwrap_or(None).map(detached);
        let ended = self.ending.is_some();
        let Some(leg) = self.leg_mut(id) else { return };
        let was_settled = leg.exchange.phase() == Phase::Idle;
        let meaning = leg
            .exchange
            .receive(Carrier::Success, description.is_some());
        if ended {
            leg.exchange.abandon();
            self.step_by(Signal::Success, response.status, &response.reason);
            return self.send_ack(id, number, None);
        }
        match (meaning, description) {
            (Ok(Meaning::Offer), Some(description)) => {
                leg.owes_ack = Some(number);
                self.step_by(Signal::Success, response.status, &response.reason);
                return self.tell(InvitationEvent::Offered {
                    dialog: id,
                    description,
                    immediate: true,
                    asked: true,
                });
            }
            (Ok(Meaning::Answer), Some(description)) => {
                leg.settle_local();
                self.tell(InvitationEvent::Answered {
                    dialog: id,
                    description,
                    early: false,
                });
            }
            // A reliable provisional response has answered before.
            _ if was_settled => {}
            // The 2xx stands, but there is nothing to agree on: what was agreed before goes on.
            _ => self.tell(InvitationEvent::OfferFailed {
                dialog: id,
                code: response.status,
                reason: NO_DESCRIPTION.to_owned(),
                retry: None,
            }),
        }
        self.send_ack(id, number, None);
        self.acknowledged(id, response.status, &response.reason);
    }

    /// Our re-INVITE failed: the session stays as it was (RFC 3261, 14.1), unless the peer has lost it.
    pub(super) fn handle_reinvite_failure(
        &mut self,
        now: Instant,
        id: DialogId,
        status: Status,
        reason: &str,
        headers: &Headers,
    ) {
        self.tell_transaction(Method::Invite, status, reason);
        let outgoing = self.is_outgoing;
        let ended = self.ending.is_some();
        let Some(leg) = self.leg_mut(id) else { return };
        let _ = leg.exchange.receive(Carrier::Failure, false);
        leg.proposed = None;
        if ended {
            self.step(Signal::Failure, Why::default());
            return;
        }
        let retry = match status {
            // RFC 3261, 14.1: by the clock of the side that made the Call-ID.
            Status::REQUEST_PENDING => now.checked_add(glare_delay(&mut self.rng, outgoing)),
            _ => retry_after(headers).and_then(|wait| now.checked_add(wait)),
        };
        self.tell(InvitationEvent::OfferFailed {
            dialog: id,
            code: status,
            reason: reason.to_owned(),
            retry,
        });
        if !is_fatal(status) {
            let wait = retry.and_then(|at| at.checked_duration_since(now));
            self.refresh_failed(now, id, status, wait);
            self.step_by(Signal::Failure, status, reason);
            return;
        }
        let mut ending = Ending::gone(status, reason);
        ending.headers = headers.detached();
        self.begin_ending(now, ending);
        self.step_by(Signal::Gone, status, reason);
        // RFC 3261, 12.2.1.2: terminating the dialog consists of sending a BYE.
        self.finish(id);
    }
}

/// True if a response to a re-INVITE ends the call: RFC 5057, 5.1, where it says usage or dialog, and
/// 408 and timeouts as RFC 3261, 12.2.1.2 says.
pub(crate) const fn is_fatal(status: Status) -> bool {
    matches!(
        status.code(),
        404 | 405 | 408 | 410 | 416 | 480 | 481 | 482 | 483 | 484 | 485 | 489 | 501 | 502 | 604
    )
}

pub(super) fn retry_after(headers: &Headers) -> Option<Duration> {
    let value = headers.typed::<RetryAfter<'_>>()?.ok()?;
    Some(Duration::from_secs(value.seconds.into()))
}

/// A Warning with the code for anything (RFC 3261, 20.43).
fn warning_of(text: &str) -> Vec<u8> {
    let mut value = b"399 sipsimple ".to_vec();
    crate::header::params::write_quoted(&mut value, text);
    value
}

const NO_DESCRIPTION: &str = "Missing Session Description";
