//! Offers of the peer in PRACK and UPDATE, and UPDATE itself (RFC 3311).

use super::{Effect, Invitation, leg::Asked};
use crate::{DialogId, Status, answer::Answer, message::Description, offer_answer::Carrier};
use std::time::Instant;

impl Invitation {
    /// Answers the offer of a PRACK or UPDATE in its 2xx.
    pub(super) fn answer_asked(&mut self, now: Instant, id: DialogId, description: Description) {
        let ok = self.dialog_answer(id, Status::OK);
        let Some(leg) = self.leg_mut(id) else { return };
        let Some(Asked {
            server,
            is_prack,
            contact,
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
        let answer = Answer {
            description: Some(description),
            contact: ok.contact.clone().filter(|_| !is_prack),
            ..ok
        };
        self.effects
            .push_back(Effect::Respond(server, Box::new(answer)));
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
        self.effects
            .push_back(Effect::Respond(asked.server, Box::new(answer)));
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
