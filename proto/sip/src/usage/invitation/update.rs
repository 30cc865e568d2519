//! Offers of the peer in PRACK and UPDATE, and UPDATE itself (RFC 3311).

use super::{
    Arrival, Effect, Invitation, Kind, OfferError, Originator,
    command::reserved,
    end::Ending,
    event::InvitationEvent,
    interval,
    leg::{self, Asked},
    reinvite::{is_fatal, retry_after},
    uac::detached,
};
use crate::{
    DialogId, HeaderName, Headers, Method, Request, Response, Status,
    answer::Answer,
    message::Description,
    offer_answer::{Breach, Carrier, Meaning, Phase, glare_delay, overlap_retry_after},
};
use std::time::Instant;

impl Invitation {
    /// Sends UPDATE inside a dialog, early or not: it offers, or only tells the peer where we are
    /// (RFC 3311, 5.1). A peer that does not take UPDATE gets a re-INVITE with what was agreed, if the
    /// dialog is confirmed.
    pub(crate) fn update(
        &mut self,
        now: Instant,
        id: DialogId,
        description: Option<Description>,
        headers: &Headers,
    ) -> Result<(), OfferError> {
        if let Some(name) = reserved(headers) {
            return Err(OfferError::Reserved(name));
        }
        let leg = self.leg(id).filter(|leg| leg.is_alive());
        let leg = leg.ok_or(OfferError::WrongState(self.state))?;
        if self.ending.is_some() {
            return Err(OfferError::WrongState(self.state));
        }
        if !leg.allows_update {
            if leg.stage != leg::Stage::Confirmed {
                return Err(OfferError::NoUpdate);
            }
            let description = description.or_else(|| leg.local.clone());
            return self.offer(now, description, headers);
        }
        // RFC 3311, 5.2: the peer would refuse a second one. A reliable description of ours that is not
        // acknowledged is open, too (5.1). A PRACK that this one overtakes would come out of order
        // (RFC 3261, 12.2.2), and never acknowledge anything.
        let is_open = self
            .is_running(|kind| matches!(kind, Kind::Update(to) | Kind::Prack(to) if to == id))
            || self.served.iter().any(|served| {
                let outstanding = served.outstanding.as_ref();
                served.dialog == id && outstanding.is_some_and(|out| out.holds_success())
            });
        if is_open {
            return Err(OfferError::Busy);
        }
        let Some(leg) = self.leg_mut(id) else {
            return Err(OfferError::Busy);
        };
        let mut exchange = leg.exchange.clone();
        if description.is_some() && exchange.send(Carrier::Update, true).is_err() {
            return Err(OfferError::Busy);
        }
        let Ok(made) = leg.dialog.request(Method::Update) else {
            return Err(OfferError::Busy);
        };
        leg.exchange = exchange;
        if description.is_some() {
            leg.proposed.clone_from(&description);
        }
        self.start_in_dialog(Kind::Update(id), made, headers, description);
        Ok(())
    }

    /// The 2xx to our UPDATE.
    pub(super) fn handle_update_success(
        &mut self,
        now: Instant,
        id: DialogId,
        response: &Response,
    ) {
        let description = response.description().unwrap_or(None).map(detached);
        self.tell_update(response.status, &response.reason);
        let Some(leg) = self.leg_mut(id) else { return };
        if leg.note_accepted(response) {
            leg.dialog.refresh_target(&response.headers);
            if self.confirmed == Some(id) {
                self.note_interval(now, Kind::Update(id), id, response);
            }
        }
        let Some(leg) = self.leg_mut(id) else { return };
        if leg.exchange.phase() != Phase::UpdateSent {
            return;
        }
        let meaning = leg
            .exchange
            .receive(Carrier::UpdateSuccess, description.is_some());
        match (meaning, description) {
            (Ok(Meaning::Answer), Some(description)) => {
                leg.settle_local();
                self.tell(InvitationEvent::Answered {
                    dialog: id,
                    description,
                    early: false,
                });
            }
            _ => {
                leg.proposed = None;
                self.tell(InvitationEvent::OfferFailed {
                    dialog: id,
                    code: response.status,
                    reason: NO_ANSWER.to_owned(),
                    retry: None,
                });
            }
        }
    }

    /// Our UPDATE failed: the session stays as it was (RFC 3311, 5.1), unless the peer has lost it.
    pub(super) fn handle_update_failure(
        &mut self,
        now: Instant,
        id: DialogId,
        status: Status,
        reason: &str,
        headers: &Headers,
    ) {
        self.tell_update(status, reason);
        let is_outgoing = self.is_outgoing;
        // RFC 5057, 5.1: what is not allowed is this method, not the call.
        let is_unknown = matches!(status, Status::METHOD_NOT_ALLOWED | Status::NOT_IMPLEMENTED);
        let retry = match status {
            Status::REQUEST_PENDING => now.checked_add(glare_delay(&mut self.rng, is_outgoing)),
            _ if is_unknown => Some(now),
            _ => retry_after(headers).and_then(|wait| now.checked_add(wait)),
        };
        let Some(leg) = self.leg_mut(id) else { return };
        leg.allows_update &= !is_unknown;
        if leg.exchange.phase() == Phase::UpdateSent {
            let _ = leg.exchange.receive(Carrier::UpdateFailure, false);
            leg.proposed = None;
            self.tell(InvitationEvent::OfferFailed {
                dialog: id,
                code: status,
                reason: reason.to_owned(),
                retry,
            });
        }
        if is_fatal(status) && !is_unknown {
            return self.lose_dialog(now, id, status, reason);
        }
        let wait = retry.and_then(|at| at.checked_duration_since(now));
        self.refresh_failed(now, id, status, wait);
    }

    fn tell_update(&mut self, status: Status, reason: &str) {
        self.tell(InvitationEvent::Transaction {
            originator: Originator::Local,
            method: Method::Update,
            code: status,
            reason: reason.to_owned(),
            ack_received: None,
        });
    }

    /// The peer has lost a dialog (RFC 3261, 12.2.1.2; RFC 5057, 5.1): the call is over, unless another
    /// fork can still carry it.
    pub(super) fn lose_dialog(&mut self, now: Instant, id: DialogId, status: Status, reason: &str) {
        if self.ending.is_some() {
            return;
        }
        match self.leg(id).map(|leg| leg.stage) {
            Some(leg::Stage::Confirmed) => self.end_by(now, Ending::gone(status, reason)),
            Some(leg::Stage::Early) if self.is_outgoing => {
                if let Some(leg) = self.leg_mut(id) {
                    // Its own 2xx would still be acknowledged and left.
                    leg.stage = leg::Stage::Lost;
                }
                self.forsake_offers(Some(id));
                self.tell(InvitationEvent::DialogEnded { dialog: id });
                if !self.legs.iter().any(leg::Leg::is_alive) {
                    self.end_by(now, Ending::gone(status, reason));
                }
            }
            // A caller that waits for our answer is not lost: its INVITE decides.
            Some(
                leg::Stage::Early
                | leg::Stage::Lost
                | leg::Stage::Closing
                | leg::Stage::Left
                | leg::Stage::Over,
            )
            | None => {}
        }
    }

    /// UPDATE of the peer (RFC 3311, 5.2).
    pub(super) fn handle_update(
        &mut self,
        now: Instant,
        id: DialogId,
        request: &Request,
        arrival: Arrival,
    ) {
        let server = arrival.server;
        let refusal = self.refusal_of_update(id, &arrival.description);
        if let Some(answer) = refusal {
            return self
                .effects
                .push_back(Effect::Respond(server, Box::new(answer)));
        }
        let mut ok = self.dialog_answer(id, Status::OK);
        // A session begins with the 2xx to its INVITE.
        let grant = (self.confirmed == Some(id))
            .then(|| interval::decide(&self.config.session_timer, &request.headers));
        let Some(leg) = self.leg_mut(id) else { return };
        leg.note_min_se(&request.headers);
        match arrival.description {
            Ok(Some(description)) => {
                let mut contact = Headers::new();
                contact.copy_from(&request.headers, HeaderName::Contact);
                leg.asked = Some(Asked {
                    server,
                    is_prack: false,
                    contact,
                    grant,
                });
                self.tell(InvitationEvent::Offered {
                    dialog: id,
                    description,
                    immediate: true,
                    asked: false,
                });
            }
            Ok(None) | Err(_) => {
                leg.dialog.refresh_target(&request.headers);
                if let Some(grant) = grant {
                    self.grant_interval(now, id, grant, &mut ok.headers);
                }
                self.effects
                    .push_back(Effect::Respond(server, Box::new(ok)));
            }
        }
    }

    /// Why an UPDATE of the peer cannot be taken now; its offer is noted if it can.
    fn refusal_of_update(
        &mut self,
        id: DialogId,
        description: &Result<Option<Description>, crate::message::Unacceptable>,
    ) -> Option<Answer> {
        let leg = self.leg_mut(id)?;
        let refused = if !leg.is_alive() {
            Err(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST)
        } else {
            match description {
                Err(_) => Err(Status::UNSUPPORTED_MEDIA_TYPE),
                // RFC 3311, 5.2: the last one is not answered.
                Ok(_) if leg.asked.as_ref().is_some_and(|asked| !asked.is_prack) => {
                    Err(Status::SERVER_INTERNAL_ERROR)
                }
                Ok(None) => Ok(()),
                Ok(Some(_)) => match leg.exchange.receive(Carrier::Update, true) {
                    Err(Breach::Glare) => Err(Status::REQUEST_PENDING),
                    Err(_) => Err(Status::SERVER_INTERNAL_ERROR),
                    Ok(_) => Ok(()),
                },
            }
        };
        let status = refused.err()?;
        let answer = self.dialog_answer(id, status);
        Some(match status {
            Status::SERVER_INTERNAL_ERROR => {
                Self::retry_after(answer, overlap_retry_after(&mut self.rng))
            }
            _ => answer,
        })
    }

    /// Answers the offer of a PRACK or UPDATE in its 2xx.
    pub(super) fn answer_asked(&mut self, now: Instant, id: DialogId, description: Description) {
        let mut ok = self.dialog_answer(id, Status::OK);
        let Some(leg) = self.leg_mut(id) else { return };
        let Some(Asked {
            server,
            is_prack,
            contact,
            grant,
        }) = leg.asked.take()
        else {
            return;
        };
        let carrier = match is_prack {
            true => Carrier::PrackSuccess,
            false => Carrier::UpdateSuccess,
        };
        // In this phase only this answer may go.
        let _ = leg.exchange.send(carrier, true);
        leg.dialog.refresh_target(&contact);
        leg.local = Some(description.clone());
        if let Some(grant) = grant {
            self.grant_interval(now, id, grant, &mut ok.headers);
        }
        let answer = Answer {
            description: Some(description),
            contact: ok.contact.clone().filter(|_| !is_prack),
            ..ok
        };
        self.effects
            .push_back(Effect::Respond(server, Box::new(answer)));
        if is_prack {
            self.tell_prack(Originator::Remote, Status::OK, Status::OK.phrase());
        }
        self.advance_provisional(now, id);
    }

    /// Refuses such an offer; what was agreed before goes on. A PRACK that is refused has acknowledged
    /// its response all the same (RFC 6337, 2.3).
    pub(super) fn refuse_asked(&mut self, now: Instant, id: DialogId, answer: Answer) {
        let Some(leg) = self.leg_mut(id) else { return };
        let Some(asked) = leg.asked.take() else {
            return;
        };
        let carrier = match asked.is_prack {
            true => Carrier::PrackFailure,
            false => Carrier::UpdateFailure,
        };
        let _ = leg.exchange.send(carrier, false);
        let status = answer.status;
        self.effects
            .push_back(Effect::Respond(asked.server, Box::new(answer)));
        if asked.is_prack {
            self.tell_prack(Originator::Remote, status, status.phrase());
        }
        self.advance_provisional(now, id);
    }

    /// Nobody will answer the offers of the peer any more: their requests are answered all the same
    /// (RFC 3261, 15.1.2).
    pub(super) fn forsake_offers(&mut self, only: Option<DialogId>) {
        let legs = self.legs.iter_mut();
        let open = legs
            .filter(|leg| only.is_none_or(|id| id == leg.id))
            .filter_map(|leg| Some((leg.id, leg.asked.take()?)));
        for (id, asked) in open.collect::<Vec<_>>() {
            if let Some(leg) = self.leg_mut(id) {
                leg.exchange.abandon();
            }
            let answer = self.dialog_answer(id, Status::REQUEST_TERMINATED);
            self.effects
                .push_back(Effect::Respond(asked.server, Box::new(answer)));
        }
    }
}

const NO_ANSWER: &str = "Missing Session Description";
