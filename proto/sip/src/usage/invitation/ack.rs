//! ACK of 2xx, both ways (RFC 3261, 13.2.2.4 and 13.3.1.4).

use super::{
    Effect, Invitation, Kind, Signal, Stage, State, Why,
    end::Ending,
    event::{EndCause, InvitationEvent, Originator},
    leg,
    uac::detached,
};
use crate::{
    DialogId, Method, Request, Status, TransactionId,
    attempt::Failure,
    auth::Origin,
    message::Description,
    offer_answer::{Breach, Carrier, Meaning, Phase},
    reliable::Outstanding,
};
use std::time::Instant;

impl Invitation {
    /// Acknowledges a 2xx: along the route set to its Contact, in a transaction of its own.
    pub(super) fn send_ack(&mut self, id: DialogId, number: u32, answer: Option<Description>) {
        let Some(leg) = self.leg_mut(id) else { return };
        leg.owes_ack = None;
        let ack = leg.dialog.ack(number);
        let acknowledged = |sent: &&super::Sent| match sent.kind {
            Kind::Invite => sent.number == number,
            Kind::Reinvite(dialog) => (dialog, sent.number) == (id, number),
            Kind::Ack(..) | Kind::Bye(_) | Kind::Prack(_) | Kind::Update(_) | Kind::Info(_) => {
                false
            }
        };
        // RFC 3261, 22.1. What `*` has answered on our own way is not for the peer: a departure for
        // an ACK that goes there directly, where nobody of ours could ask for it.
        let credentials = self.requests.iter().find(acknowledged).map(|sent| {
            match self.own_way.origin_in_dialog(&ack.next_hop) {
                Origin::Elsewhere => self.keyring.only_named(&sent.credentials),
                Origin::Registrar | Origin::OwnRoute => sent.credentials.clone(),
            }
        });
        let credentials = credentials.unwrap_or_default();
        self.start_in_dialog(Kind::Ack(id, number), ack, &credentials, answer);
    }

    /// A 2xx that came before: the same bytes of its ACK go again. False if it is new.
    pub(super) fn repeat_ack(&mut self, id: DialogId, number: u32) -> bool {
        if let Some(sent) = self
            .requests
            .iter()
            .find(|sent| sent.kind == Kind::Ack(id, number))
        {
            self.effects.extend(sent.attempt.map(Effect::Resend));
            return true;
        }
        // Its ACK still waits for our answer.
        self.leg(id).is_some_and(|leg| leg.owes_ack == Some(number))
    }

    /// Tells that the ACK of the 2xx to a request of ours is on its way.
    pub(super) fn acknowledged(&mut self, id: DialogId, status: Status, reason: &str) {
        self.step(Signal::AckSent, Why::default());
        self.tell(InvitationEvent::Acknowledged { dialog: id });
        self.tell_transaction(Method::Invite, status, reason);
    }

    /// An ACK of ours found no way to the peer: the call cannot stand.
    pub(super) fn handle_ack_lost(&mut self, now: Instant, id: DialogId, failure: Failure) {
        if self.confirmed == Some(id) && self.ending.is_none() {
            self.end_by(now, Ending::remote(failure.into()));
        }
    }

    /// An ACK arrived.
    pub(crate) fn handle_ack(&mut self, now: Instant, request: &Request) {
        let Ok(number) = request.headers.cseq().map(|cseq| cseq.number) else {
            return;
        };
        let accepted = |served: &super::Served| {
            served.number == number && matches!(served.stage, Stage::Accepted { .. })
        };
        // Repeated, or of nothing.
        let Some(at) = self.served.iter().position(accepted) else {
            return;
        };
        let served = self.served.remove(at);
        let id = served.dialog;
        // RFC 3262, 3: the PRACK of what went before the 2xx may still come.
        let outstanding = served.outstanding.as_deref();
        if let Some(number) = outstanding.and_then(Outstanding::unacknowledged)
            && let Some(leg) = self.leg_mut(id)
        {
            leg.late_prack = Some((served.number, number));
        }
        self.step(
            Signal::AckReceived,
            Why {
                method: Some(&Method::Ack),
                ..Why::default()
            },
        );
        // A body that nobody understands is no answer.
        let description = request.description().unwrap_or(None).map(detached);
        let meaning = self
            .leg_mut(id)
            // RFC 5407, 3.1.4: late, while the 2xx to a later INVITE offers. That one's ACK will answer.
            .filter(|leg| served.offers || leg.exchange.phase() != Phase::AnswerAwaited)
            .map(|leg| leg.exchange.receive(Carrier::Ack, description.is_some()));
        let missing = matches!(meaning, Some(Err(Breach::MissingAnswer)));
        match (meaning, description) {
            (Some(Ok(Meaning::Answer)), Some(description)) => {
                if let Some(leg) = self.leg_mut(id) {
                    leg.settle_local();
                }
                self.tell(InvitationEvent::Answered {
                    dialog: id,
                    description,
                    early: false,
                })
            }
            _ if missing && !served.is_first => self.tell(InvitationEvent::OfferFailed {
                dialog: id,
                code: Status::NOT_ACCEPTABLE_HERE,
                reason: NO_ANSWER.to_owned(),
                retry: None,
            }),
            _ => {}
        }
        let is_void = missing && served.is_first;
        if !is_void {
            self.tell(InvitationEvent::Acknowledged { dialog: id });
        }
        self.tell_served(served.status, Some(true));
        if self
            .leg(id)
            .is_some_and(|leg| leg.stage == leg::Stage::Closing)
        {
            self.send_bye(id);
        } else if is_void && self.ending.is_none() {
            self.end_by(now, Ending::remote(EndCause::MissingDescription));
        }
        self.retire_leg(id);
        self.check_release();
    }

    /// Repeats 2xx that lack their ACK, from T1 to T2 apart, and gives up after 64·T1.
    pub(super) fn repeat_accepted(&mut self, now: Instant) {
        let t2 = self.config.transactions.timers.t2;
        let mut missing = Vec::new();
        for served in &mut self.served {
            let Stage::Accepted {
                next,
                interval,
                until,
            } = &mut served.stage
            else {
                continue;
            };
            if *until <= now {
                missing.push(served.server);
            } else if *next <= now {
                self.effects.push_back(Effect::Repeat(served.server));
                *next = now + *interval;
                *interval = interval.saturating_mul(2).min(t2);
            }
        }
        for server in missing {
            self.handle_ack_missing(now, server);
        }
    }

    /// RFC 3261, 13.3.1.4: the session is ended by BYE.
    fn handle_ack_missing(&mut self, now: Instant, server: TransactionId) {
        let Some(at) = self
            .served
            .iter()
            .position(|served| served.server == server)
        else {
            return;
        };
        let served = self.served.remove(at);
        let id = served.dialog;
        if let Some(leg) = self.leg_mut(id) {
            leg.exchange.abandon();
        }
        self.tell_served(served.status, Some(false));
        if self.ending.is_none() {
            let mut ending = Ending::new(Originator::Local, EndCause::MissingAck);
            // SES-18, INV-17
            ending.status = Some(Status::REQUEST_TIMEOUT);
            ending.reason = Some(Status::REQUEST_TIMEOUT.phrase().to_owned());
            ending.reason_header = Some(MISSING_ACK.to_owned());
            self.begin_ending(now, ending);
        }
        self.step(Signal::AckMissing, Why::default());
        match self.leg(id).map(|leg| leg.stage) {
            Some(leg::Stage::Closing) => self.send_bye(id),
            Some(leg::Stage::Early | leg::Stage::Confirmed) => self.finish(id),
            Some(leg::Stage::Lost | leg::Stage::Left | leg::Stage::Over) | None => {}
        }
        self.retire_leg(id);
        self.check_release();
    }

    /// Tells that an INVITE of the peer came to its end (SES-69).
    pub(super) fn tell_served(&mut self, status: Status, ack_received: Option<bool>) {
        self.tell(InvitationEvent::Transaction {
            originator: Originator::Remote,
            method: Method::Invite,
            code: status,
            reason: status.phrase().to_owned(),
            ack_received,
        });
    }

    /// The ACK of a 300 to 699 of ours came, or did not come in time.
    pub(crate) fn handle_refusal_ack(&mut self, server: TransactionId, acknowledged: bool) {
        let refused = |served: &super::Served| {
            served.server == server && matches!(served.stage, Stage::Refused)
        };
        let Some(at) = self.served.iter().position(refused) else {
            return;
        };
        let served = self.served.remove(at);
        self.tell_served(served.status, Some(acknowledged));
        self.check_release();
    }
}

/// True while the state lets a re-INVITE of the peer in.
pub(super) const fn admits_reinvite(state: State) -> bool {
    matches!(state, State::Connecting | State::Confirmed)
}

const NO_ANSWER: &str = "ACK Without Answer";
/// SES-18.
const MISSING_ACK: &str = "SIP;cause=500;text=\"Missing ACK\"";
