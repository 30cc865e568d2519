//! CANCEL of the peer (RFC 3261, 9.2). Ours is the endpoint's: it waits for a provisional response.

use super::{
    Invitation, Signal, Stage, Why,
    end::Ending,
    event::{EndCause, InvitationEvent, Originator},
};
use crate::{Method, Request, Status, TransactionId};
use std::time::Instant;

impl Invitation {
    /// The peer cancels the request of `server`; the endpoint has answered the CANCEL itself.
    pub(crate) fn handle_cancel(&mut self, now: Instant, server: TransactionId, request: &Request) {
        let Some(served) = self.served.iter().find(|served| served.server == server) else {
            return;
        };
        let why = Why {
            method: Some(&Method::Cancel),
            ..Why::default()
        };
        let (is_first, dialog, stage) = (served.is_first, served.dialog, served.stage);
        self.tell(InvitationEvent::Transaction {
            originator: Originator::Remote,
            method: Method::Cancel,
            code: Status::OK,
            reason: Status::OK.phrase().to_owned(),
            ack_received: None,
        });
        if stage != Stage::Pending {
            // RFC 3261, 9.2: after a final response CANCEL has no effect (RFC 5407, 3.1.2).
            self.step(Signal::CancelReceived, why);
            return;
        }
        if is_first {
            let answer = self.first_answer(Status::REQUEST_TERMINATED);
            self.refuse_served(server, answer);
            let mut ending = Ending::remote(EndCause::Cancelled);
            ending.status = Some(Status::REQUEST_TERMINATED);
            ending.reason = Some(Status::REQUEST_TERMINATED.phrase().to_owned());
            ending.set_reason_header(&request.headers);
            ending.headers = request.headers.detached();
            self.begin_ending(now, ending);
            self.step(Signal::CancelReceived, why);
        } else {
            let answer = self.dialog_answer(dialog, Status::REQUEST_TERMINATED);
            self.refuse_served(server, answer);
            self.step(Signal::CancelReceived, why);
            self.tell(InvitationEvent::OfferWithdrawn { dialog });
        }
        self.check_release();
    }
}
