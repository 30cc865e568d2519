//! Reliable provisional responses and PRACK, both ways (RFC 3262).

use super::{
    Arrival, Effect, Invitation, Kind, RespondError, Ringing, Served, Signal, Stage, State, Why,
    end::Ending,
    event::{EndCause, InvitationEvent, Originator},
    leg::{self, Order},
    uac::detached,
};
use crate::{
    DialogId, HeaderName, Headers, Method, Request, Response, Status, TransactionId,
    answer::Answer,
    attempt::Withdrawal,
    dialog::{Impact, impact},
    header::RAck,
    message::Description,
    offer_answer::{Breach, Carrier, Meaning},
    reliable::{self, Demand, Due, Outstanding, Received, Reliability},
};
use std::time::Instant;

/// A 2xx of ours that waits for PRACK.
#[derive(Debug)]
pub(super) struct Held {
    status: Status,
    headers: Headers,
}

impl Invitation {
    /// Finds out whether a provisional response of the peer wants PRACK, and whether it is its turn.
    pub(super) fn order_of(
        &mut self,
        leg: Option<DialogId>,
        invite: u32,
        response: &Response,
    ) -> Order {
        if self.config.reliable == Reliability::Off {
            // We never said that we can.
            return Order::Plain;
        }
        let Some(number) = reliable::number_of(response) else {
            return Order::Plain;
        };
        let Some(leg) = leg.and_then(|id| self.leg_mut(id)) else {
            return Order::Stale;
        };
        match Received::take(&mut leg.received, invite, number) {
            true => Order::Next(number),
            false => Order::Stale,
        }
    }

    /// Takes the description of a provisional response, and acknowledges the response if it wants it.
    pub(super) fn take_provisional(
        &mut self,
        id: DialogId,
        invite: u32,
        response: &Response,
        order: Order,
    ) {
        // A body that nobody understands shows nothing.
        let description = response.description().unwrap_or(None).map(detached);
        let carrier = match order {
            Order::Next(_) => Carrier::Reliable,
            Order::Plain | Order::Stale => Carrier::Provisional,
        };
        let ended = self.ending.is_some();
        let Some(leg) = self.leg_mut(id) else { return };
        let meaning = leg.exchange.receive(carrier, description.is_some());
        if ended {
            leg.exchange.abandon();
        }
        match (meaning, description) {
            (Ok(Meaning::Preview), Some(description))
                if leg.preview.as_ref() != Some(&description) =>
            {
                leg.preview = Some(description.clone());
                self.tell(InvitationEvent::Answered {
                    dialog: id,
                    description,
                    early: true,
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
            (Ok(Meaning::Offer), Some(description)) if !ended => {
                // RFC 3262, 5: the PRACK answers, so it waits for the application.
                if let Order::Next(number) = order {
                    leg.owes_prack = Some((invite, number));
                }
                return self.tell(InvitationEvent::Offered {
                    dialog: id,
                    description,
                    immediate: true,
                    asked: true,
                });
            }
            _ => {}
        }
        if let Order::Next(number) = order {
            self.send_prack(id, invite, number, None);
        }
    }

    /// Acknowledges a provisional response.
    pub(super) fn send_prack(
        &mut self,
        id: DialogId,
        invite: u32,
        number: u32,
        answer: Option<Description>,
    ) {
        let Some(leg) = self.leg_mut(id) else { return };
        leg.owes_prack = None;
        // Without a number left the response cannot be acknowledged, and its sender gives up.
        let Ok(made) = leg.dialog.request(Method::Prack) else {
            return;
        };
        let mut further = Headers::new();
        further.push(
            HeaderName::RAck,
            RAck {
                response: number,
                number: invite,
                method: Method::Invite,
            },
        );
        self.start_in_dialog(Kind::Prack(id), made, &further, answer);
    }

    /// The final response to our PRACK, or its timeout. A peer that does not know the dialog has left
    /// it (RFC 3261, 12.2.1.2; RFC 5057, 5.1); anything else is the INVITE's to decide.
    pub(super) fn handle_prack_done(
        &mut self,
        now: Instant,
        id: DialogId,
        status: Status,
        reason: &str,
    ) {
        self.tell_prack(Originator::Local, status, reason);
        if impact(&Method::Prack, status) != Impact::Transaction {
            self.lose_dialog(now, id, status, reason);
        }
    }

    /// Tells that a PRACK came to its end (SES-69).
    pub(super) fn tell_prack(&mut self, originator: Originator, status: Status, reason: &str) {
        self.tell(InvitationEvent::Transaction {
            originator,
            method: Method::Prack,
            code: status,
            reason: reason.to_owned(),
            ack_received: None,
        });
    }

    /// Sends a provisional response, reliably if it has to be, or holds it back until the last one is
    /// acknowledged.
    pub(super) fn send_provisional(
        &mut self,
        now: Instant,
        server: TransactionId,
        answer: Answer,
    ) -> Result<(), RespondError> {
        let policy = self.config.reliable;
        let config = std::sync::Arc::clone(&self.config);
        let Some(at) = self
            .served
            .iter()
            .position(|served| served.server == server)
        else {
            return Err(RespondError::WrongState(self.state));
        };
        let (dialog, demand) = (self.served[at].dialog, self.served[at].demand);
        let has_description = answer.description.is_some();
        let can = demand >= Demand::Able && policy != Reliability::Off;
        let must = demand == Demand::Insists || policy == Reliability::Required;
        let Some(leg) = self.legs.iter_mut().find(|leg| leg.id == dialog) else {
            return Err(RespondError::WrongState(self.state));
        };
        let outstanding = &mut self.served[at].outstanding;
        let mut exchange = leg.exchange.clone();
        let mut is_reliable = can && (must || has_description);
        if outstanding.as_ref().is_some_and(|out| !out.has_room()) && is_reliable {
            return Err(RespondError::Busy);
        }
        let carrier = |is_reliable| match is_reliable {
            true => Carrier::Reliable,
            false => Carrier::Provisional,
        };
        if exchange
            .send(carrier(is_reliable), has_description)
            .is_err()
        {
            // RFC 3262, 5: without an offer in the INVITE the first reliable response has to make one.
            if has_description || demand == Demand::Insists {
                return Err(match has_description {
                    true => RespondError::DescriptionMisplaced,
                    false => RespondError::DescriptionNeeded,
                });
            }
            is_reliable = false;
            exchange
                .send(Carrier::Provisional, false)
                .map_err(|_| RespondError::WrongState(self.state))?;
        }
        leg.exchange = exchange;
        if let Some(description) = answer.description.as_ref().filter(|_| is_reliable) {
            leg.local = Some(description.clone());
        }
        // RFC 3261, 13.3.1.1: proxies cancel what is silent for three minutes. RFC 3262, 3: a response
        // that is known to have arrived lasts longer.
        let again = match is_reliable {
            true => config.ring_interval.saturating_mul(5) / 2,
            false => config.ring_interval,
        };
        self.ringing = Some(Ringing {
            at: now + again,
            answer: Answer {
                // Said reliably once is enough.
                description: answer.description.clone().filter(|_| !is_reliable),
                ..answer.clone()
            },
        });
        if !is_reliable {
            self.effects
                .push_back(Effect::Respond(server, Box::new(answer)));
            return Ok(());
        }
        let rng = &mut self.rng;
        let outstanding = outstanding.get_or_insert_with(|| Box::new(Outstanding::new(rng)));
        let timers = &config.transactions.timers;
        if let Some(answer) = outstanding.push(now, timers, answer) {
            self.effects
                .push_back(Effect::Respond(server, Box::new(answer)));
        }
        Ok(())
    }

    /// Keeps a 2xx back while a description of ours is not acknowledged or one of the peer's is not
    /// answered (RFC 3262, 3). True if it waits.
    pub(super) fn hold_success(
        &mut self,
        server: TransactionId,
        status: Status,
        headers: &Headers,
    ) -> bool {
        let served = self
            .served
            .iter_mut()
            .find(|served| served.server == server);
        let Some(served) = served else { return false };
        let Some(outstanding) = &mut served.outstanding else {
            return false;
        };
        outstanding.drop_plain();
        let is_asked = self
            .legs
            .iter()
            .any(|leg| leg.id == served.dialog && leg.asked.is_some());
        let waits = outstanding.holds_success() || is_asked;
        if waits {
            served.held = Some(Held {
                status,
                headers: headers.clone(),
            });
            self.ringing = None;
        }
        waits
    }

    /// PRACK of the peer.
    pub(super) fn handle_prack(
        &mut self,
        now: Instant,
        id: DialogId,
        request: &Request,
        arrival: Arrival,
    ) {
        let server = arrival.server;
        let refuse = |status| Effect::Respond(server, Box::new(Answer::new(status)));
        let Some(Ok(rack)) = request.headers.typed::<RAck>() else {
            return self.effects.push_back(refuse(Status::BAD_REQUEST));
        };
        let Ok(description) = arrival.description else {
            return self
                .effects
                .push_back(refuse(Status::UNSUPPORTED_MEDIA_TYPE));
        };
        let acknowledged = self
            .served
            .iter_mut()
            .filter(|served| {
                served.dialog == id && rack.method == Method::Invite && served.number == rack.number
            })
            .find_map(|served| served.outstanding.as_mut()?.acknowledge(rack.response));
        let late = (rack.number, rack.response);
        let acknowledged = acknowledged.or_else(|| {
            let leg = self.leg_mut(id).filter(|_| rack.method == Method::Invite)?;
            // What had a description was acknowledged before the 2xx.
            leg.late_prack
                .take_if(|known| *known == late)
                .map(|_| false)
        });
        // RFC 3262, 3
        let Some(had_description) = acknowledged else {
            return self
                .effects
                .push_back(refuse(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST));
        };
        let meaning = match (had_description, self.leg_mut(id)) {
            (true, Some(leg)) => leg.exchange.receive(Carrier::Prack, description.is_some()),
            _ => Ok(Meaning::Nothing),
        };
        let ok = Answer {
            contact: None,
            ..self.dialog_answer(id, Status::OK)
        };
        let is_asked = meaning == Ok(Meaning::Offer) && self.ending.is_none();
        if !is_asked {
            self.effects
                .push_back(Effect::Respond(server, Box::new(ok)));
            self.tell_prack(Originator::Remote, Status::OK, Status::OK.phrase());
        }
        match (meaning, description) {
            (Ok(Meaning::Offer), Some(description)) if is_asked => {
                if let Some(leg) = self.leg_mut(id) {
                    leg.asked = Some(leg::Asked::prack(server));
                }
                self.tell(InvitationEvent::Offered {
                    dialog: id,
                    description,
                    immediate: true,
                    asked: false,
                });
            }
            (Ok(Meaning::Answer), Some(description)) => {
                if let Some(leg) = self.leg_mut(id) {
                    leg.settle_local();
                }
                self.tell(InvitationEvent::Answered {
                    dialog: id,
                    description,
                    early: false,
                });
            }
            (Err(Breach::MissingAnswer), _) => return self.refuse_unanswered(now, id),
            _ => {}
        }
        self.advance_provisional(now, id);
    }

    /// A PRACK came, or an offer of the peer was answered: the next response may go.
    pub(super) fn advance_provisional(&mut self, now: Instant, id: DialogId) {
        let config = std::sync::Arc::clone(&self.config);
        let Some(served) = self
            .served
            .iter_mut()
            .find(|served| served.dialog == id && served.stage == Stage::Pending)
        else {
            return;
        };
        let server = served.server;
        let outstanding = served.outstanding.as_mut();
        let next = outstanding.and_then(|out| out.advance(now, &config.transactions.timers));
        if let Some(answer) = next {
            return self
                .effects
                .push_back(Effect::Respond(server, Box::new(answer)));
        }
        let is_asked = self.leg(id).is_some_and(|leg| leg.asked.is_some());
        let held = self
            .served
            .iter_mut()
            .find(|served| served.server == server && !is_asked)
            .and_then(|served| served.held.take());
        if let Some(Held { status, headers }) = held {
            // Its description has gone before it.
            let _ = self.accept(now, status, headers, None);
        }
    }

    /// The PRACK that had to answer our offer did not: there will be no session.
    fn refuse_unanswered(&mut self, now: Instant, id: DialogId) {
        let waiting = self
            .served
            .iter()
            .find(|served| served.dialog == id && served.stage == Stage::Pending);
        let Some((server, is_first)) = waiting.map(|served| (served.server, served.is_first))
        else {
            return;
        };
        let mut ending = Ending::remote(EndCause::MissingDescription);
        ending.status = Some(Status::NOT_ACCEPTABLE_HERE);
        ending.reason = Some(Status::NOT_ACCEPTABLE_HERE.phrase().to_owned());
        self.drop_served(
            now,
            server,
            is_first,
            id,
            Status::NOT_ACCEPTABLE_HERE,
            ending,
        );
    }

    /// Repeats reliable provisional responses, and gives up an INVITE whose caller does not acknowledge
    /// them in 64·T1.
    pub(super) fn repeat_reliable(&mut self, now: Instant) {
        let mut missing = Vec::new();
        for served in &mut self.served {
            let Some(outstanding) = &mut served.outstanding else {
                continue;
            };
            match outstanding.handle_timeout(now) {
                Due::Nothing => {}
                Due::Repeat(answer) => self
                    .effects
                    .push_back(Effect::Respond(served.server, answer)),
                Due::Missing => missing.push((served.server, served.is_first, served.dialog)),
            }
        }
        for (server, is_first, dialog) in missing {
            let mut ending = Ending::new(Originator::Local, EndCause::MissingPrack);
            ending.status = Some(Status::SERVER_TIMEOUT);
            ending.reason = Some(Status::SERVER_TIMEOUT.phrase().to_owned());
            // RFC 3262, 3: with a 5xx.
            self.drop_served(
                now,
                server,
                is_first,
                dialog,
                Status::SERVER_TIMEOUT,
                ending,
            );
        }
    }

    /// Refuses an INVITE of the peer for a reason that is not the application's.
    fn drop_served(
        &mut self,
        now: Instant,
        server: TransactionId,
        is_first: bool,
        dialog: DialogId,
        status: Status,
        ending: Ending,
    ) {
        if let Some(leg) = self.leg_mut(dialog) {
            leg.exchange.abandon();
        }
        let answer = match is_first {
            true => self.first_answer(status),
            false => self.dialog_answer(dialog, status),
        };
        self.refuse_served(server, answer);
        if is_first {
            self.begin_ending(now, ending);
            let why = Why {
                status: Some(status),
                reason: Some(status.phrase()),
                ..Why::default()
            };
            self.step(Signal::End, why);
            self.check_release();
        } else {
            self.step_by(Signal::Refuse, status, status.phrase());
            self.tell(InvitationEvent::OfferWithdrawn { dialog });
        }
    }

    /// Gives our INVITE up by CANCEL, if it has no final response.
    pub(super) fn withdraw_invite(&mut self) {
        let calling = self.attempt_of(|kind| kind == Kind::Invite);
        let ending = self.ending.as_ref();
        let reason = ending
            .filter(|ending| ending.originator == Originator::Local)
            .and_then(|ending| ending.reason_header.as_deref().map(Box::from));
        let calling = calling.map(|id| Effect::Withdraw(id, Withdrawal::Cancel, reason));
        self.effects.extend(calling);
    }

    /// Refuses the offer of a reliable provisional response: it is acknowledged without an answer, and
    /// the call given up (RFC 6337, 2.3).
    pub(super) fn refuse_in_prack(&mut self, now: Instant, id: DialogId, invite: u32, number: u32) {
        if let Some(leg) = self.leg_mut(id) {
            leg.exchange.abandon();
        }
        self.send_prack(id, invite, number, None);
        if self.state == State::Reinviting {
            // Only the change is given up.
            let _ = self.cancel_offer();
        } else {
            let _ = self.end(now, None, None, &Headers::new());
        }
    }
}

impl Served {
    /// An INVITE that has just arrived.
    pub(super) fn new(
        server: TransactionId,
        dialog: DialogId,
        number: u32,
        is_first: bool,
        headers: &Headers,
    ) -> Self {
        Self {
            server,
            dialog,
            number,
            is_first,
            stage: Stage::Pending,
            status: Status::TRYING,
            contact: Headers::new(),
            demand: Demand::of(headers),
            outstanding: None,
            grant: None,
            held: None,
            offers: false,
        }
    }
}
