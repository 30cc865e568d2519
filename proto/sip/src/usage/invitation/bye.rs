//! BYE both ways (RFC 3261, 15).

use super::{
    Effect, Invitation, Kind, Signal, Stage, Why,
    end::Ending,
    event::{EndCause, InvitationEvent, Originator},
    leg,
    uac::COMPLETED_ELSEWHERE,
};
use crate::{
    DialogId, HeaderName, Headers, Method, Request, Status, TransactionId, answer::Answer,
};
use std::time::Instant;

impl Invitation {
    /// Ends the dialog of a leg that was confirmed: with BYE at once, or, where our 2xx lacks its
    /// ACK, after it (RFC 3261, 15).
    pub(super) fn finish(&mut self, id: DialogId) {
        let waits = self.served.iter().any(|served| {
            served.dialog == id && served.is_first && matches!(served.stage, Stage::Accepted { .. })
        });
        match waits {
            true => {
                if let Some(leg) = self.leg_mut(id) {
                    leg.stage = leg::Stage::Closing;
                }
            }
            false => self.send_bye(id),
        }
    }

    /// Sends BYE.
    pub(super) fn send_bye(&mut self, id: DialogId) {
        let mut further = Headers::new();
        // Another fork of our INVITE carries the call (RFC 3326, 3.1).
        if self.ending.is_none() && self.confirmed.is_some_and(|confirmed| confirmed != id) {
            further.push(HeaderName::Reason, COMPLETED_ELSEWHERE);
        }
        if let Some(ending) = self
            .ending
            .as_ref()
            .filter(|ending| ending.originator == Originator::Local)
        {
            if let Some(reason) = &ending.reason_header {
                further.push(HeaderName::Reason, reason.as_str());
            }
            for field in ending.further.iter() {
                further.push(field.name, field.value);
            }
        }
        let Some(leg) = self.leg_mut(id) else { return };
        leg.stage = leg::Stage::Left;
        match leg.dialog.request(Method::Bye) {
            Ok(made) => self.start_in_dialog(Kind::Bye(id), made, &further, None),
            // No number is left: the dialog can only be forgotten.
            Err(_) => self.end_leg(id),
        }
    }

    /// The final response to our BYE, or its timeout: the dialog is no more in any case.
    pub(super) fn handle_bye_done(&mut self, id: DialogId, status: Status, reason: &str) {
        self.tell(InvitationEvent::Transaction {
            originator: Originator::Local,
            method: Method::Bye,
            code: status,
            reason: reason.to_owned(),
            ack_received: None,
        });
        self.end_leg(id);
    }

    /// BYE of the peer (RFC 3261, 15.1.2).
    pub(super) fn handle_bye(
        &mut self,
        now: Instant,
        id: DialogId,
        request: &Request,
        server: TransactionId,
    ) {
        let why = Why {
            method: Some(&Method::Bye),
            ..Why::default()
        };
        let answer = self.dialog_answer(id, Status::OK);
        self.effects.push_back(Effect::Respond(
            server,
            Box::new(Answer {
                contact: None,
                ..answer
            }),
        ));
        self.tell(InvitationEvent::Transaction {
            originator: Originator::Remote,
            method: Method::Bye,
            code: Status::OK,
            reason: Status::OK.phrase().to_owned(),
            ack_received: None,
        });
        // RFC 3261, 15.1.2: requests that wait for an answer get 487.
        let waiting: Vec<_> = self
            .served
            .iter()
            .filter(|served| served.dialog == id && served.stage == Stage::Pending)
            .map(|served| (served.server, served.is_first))
            .collect();
        for (pending, is_first) in waiting {
            let answer = match is_first {
                true => self.first_answer(Status::REQUEST_TERMINATED),
                false => self.dialog_answer(id, Status::REQUEST_TERMINATED),
            };
            self.refuse_served(pending, answer);
        }
        let carries = self.confirmed == Some(id) || !self.is_outgoing;
        if carries && self.ending.is_none() {
            let mut ending = Ending::remote(EndCause::Bye);
            ending.set_reason_header(&request.headers);
            ending.headers = request.headers.detached();
            self.begin_ending(now, ending);
        }
        let ended = self.ending.is_some();
        if carries || ended {
            self.step(Signal::ByeReceived, why);
        } else {
            // One fork of ours went away; RFC 3261, 15 forbids it to a callee, but it has said so.
            if let Some(leg) = self.leg_mut(id).filter(|leg| leg.is_alive()) {
                leg.stage = leg::Stage::Lost;
                self.forsake_offers(Some(id));
                self.tell(InvitationEvent::DialogEnded { dialog: id });
            }
            return;
        }
        self.end_leg(id);
        self.check_release();
    }

    /// The dialog is no more. It stays known as long as an ACK for it can come.
    pub(super) fn end_leg(&mut self, id: DialogId) {
        self.forsake_offers(Some(id));
        if let Some(leg) = self.leg_mut(id) {
            leg.stage = leg::Stage::Over;
            leg.exchange.abandon();
        }
        self.retire_leg(id);
    }

    /// Forgets the tags of a dialog that is over and owed nothing.
    pub(super) fn retire_leg(&mut self, id: DialogId) {
        let over = self
            .leg(id)
            .is_some_and(|leg| leg.stage == leg::Stage::Over);
        let owed = self
            .served
            .iter()
            .any(|served| served.dialog == id && matches!(served.stage, Stage::Accepted { .. }));
        let forked = self.invite.is_some();
        if over && !owed && !forked {
            self.effects.push_back(Effect::DialogOver(id));
        }
    }
}
