//! Calling: our INVITE and its responses (RFC 3261, 13.2), forked ones included (INV-21).

use super::{
    Effect, Invitation, Invite, Kind, Signal, State, Why,
    end::Ending,
    event::{EndCause, InvitationEvent, Originator},
    leg::{Leg, Order, Stage},
};
use crate::{
    DialogId, HeaderName, Headers, Method, Request, Response, Status, Uri,
    attempt::{Contact, Failure},
    auth::{Authentication, Keyring},
    config::Config,
    dialog::Dialog,
    header::{Address, CSeq, Expires, Parse as _, Replaces, replaces},
    message::Description,
    offer_answer::{Breach, Carrier, Meaning, OfferAnswer},
    usage::way::OwnWay,
};
use base::Rng;
use bytes::Bytes;
use std::{collections::VecDeque, sync::Arc, time::Instant};

impl Invitation {
    /// Sends INVITE (INV-06).
    pub(crate) fn outgoing(invite: Invite, config: &Arc<Config>, rng: &mut Rng) -> Self {
        let local_tag = rng.token(TAG_LEN);
        let call_id = rng.token(CALL_ID_LEN);
        let (mut local, mut remote) = (invite.from, invite.to);
        // Parameters of the headers are ours to choose, and a tag of the peer is not known yet.
        local.params.clear();
        remote.params.clear();
        let contact = Contact {
            user: invite
                .contact_user
                .or_else(|| local.uri.user().map(str::to_owned)),
            // RFC 3261, 8.1.1.8
            secure: invite.request_uri.is_secure(),
            params: invite.contact_params,
            account: Contact::shown(invite.account, &local),
            ..Contact::default()
        };
        let (mut request, hop) = routed(Method::Invite, invite.request_uri.clone(), &invite.route);
        let headers = &mut request.headers;
        headers.push(HeaderName::MaxForwards, MAX_FORWARDS);
        headers.push(HeaderName::From, local.clone().with_tag(&local_tag));
        headers.push(HeaderName::To, &remote);
        headers.push(HeaderName::CallId, call_id.as_str());
        headers.push(HeaderName::CSeq, CSeq::new(FIRST, Method::Invite));
        if let Some(expires) = invite.expires {
            let seconds = u32::try_from(expires.as_secs()).unwrap_or(u32::MAX);
            headers.push(HeaderName::Expires, Expires(seconds));
        }
        let replaces = invite.replaces.as_deref();
        if let Some(Ok(replaces)) = replaces.map(|text| Replaces::parse(text.as_bytes())) {
            headers.push(HeaderName::Replaces, replaces);
            // RFC 5589, 7: who does not know the header would ring instead.
            headers.push(HeaderName::Require, replaces::OPTION);
        }
        let mut invitation = Self {
            is_touched: false,
            is_counted: false,
            state: State::Null,
            is_outgoing: true,
            call_id: call_id.into(),
            local_tag: local_tag.into(),
            local,
            remote,
            request_uri: invite.request_uri,
            contact,
            invite: None,
            requests: Vec::new(),
            next_tag: 0,
            served: Vec::new(),
            legs: Vec::new(),
            confirmed: None,
            exchange: OfferAnswer::new(),
            offered: invite.offer.clone(),
            ringing: None,
            expires: None,
            ending: None,
            give_up: None,
            identity: invite.identity,
            keyring: Keyring::preferring(invite.credentials, config.prefer_strongest),
            replaces: None,
            account: invite.account,
            authentication: Authentication::new(),
            refusal: None,
            own_way: OwnWay::along(&invite.route),
            path: None,
            direct: invite.way,
            remote_user_agent: None,
            rng: rng.fork(),
            config: Arc::clone(config),
            effects: VecDeque::new(),
        };
        // Idle lets both forms of INVITE go.
        let _ = invitation
            .exchange
            .send(Carrier::Invite, invite.offer.is_some());
        invitation.start(Kind::Invite, request, hop, &invite.headers, invite.offer);
        invitation.step(Signal::Invite, Why::default());
        invitation
    }

    /// 101 to 199 (RFC 3261, 13.2.2.1); each is an event of its own.
    pub(super) fn handle_provisional(
        &mut self,
        number: u32,
        dialog: Option<DialogId>,
        response: &Response,
    ) {
        if response.status == Status::TRYING {
            return;
        }
        let leg = dialog.filter(|&id| self.early_leg(id, response));
        let order = self.order_of(leg, number, response);
        if order == Order::Stale {
            // RFC 3262, 4
            return;
        }
        if self.ending.is_some() {
            // The endpoint cancels; nobody listens any more.
            self.step(Signal::Provisional, Why::default());
            if let (Some(id), Order::Next(_)) = (leg, order) {
                self.take_provisional(id, number, response, order);
            }
            return;
        }
        if !matches!(self.state, State::Calling | State::Early) {
            // Of a fork that has lost.
            return;
        }
        self.step_by(Signal::Provisional, response.status, &response.reason);
        self.tell(InvitationEvent::Provisional {
            dialog: leg,
            code: response.status,
            reason: response.reason.to_string(),
            headers: response.headers.detached(),
        });
        if let Some(id) = leg {
            self.take_provisional(id, number, response, order);
        }
    }

    /// Finds or makes the leg of a provisional response; false if there is none.
    fn early_leg(&mut self, id: DialogId, response: &Response) -> bool {
        if let Some(leg) = self.leg_mut(id) {
            leg.note_abilities(&response.headers);
            return leg.is_alive();
        }
        if self.legs.len() >= self.config.limits.forks
            || !matches!(self.state, State::Calling | State::Early)
        {
            return false;
        }
        self.make_leg(id, response)
    }

    fn make_leg(&mut self, id: DialogId, response: &Response) -> bool {
        let secure_hop = self.path.is_some_and(|path| path.transport.is_secure());
        let Some(invite) = self.invite.as_deref() else {
            return false;
        };
        // RFC 3261, 12.1.2: an unusable response makes no dialog.
        let Ok(dialog) = Dialog::from_response(invite, response, secure_hop) else {
            return false;
        };
        let key = dialog.key();
        let mut leg = Leg::new(id, dialog, self.exchange.clone());
        leg.proposed.clone_from(&self.offered);
        leg.note_abilities(&response.headers);
        self.legs.push(leg);
        self.effects.push_back(Effect::Dialog { dialog: id, key });
        true
    }

    /// A 2xx (RFC 3261, 13.2.2.4): the first one carries the call, all others are acknowledged and left,
    /// and so is one from a target that was given up (`is_late`).
    pub(super) fn handle_success(
        &mut self,
        now: Instant,
        dialog: Option<DialogId>,
        response: &Response,
        is_late: bool,
    ) {
        let Some(id) = dialog else { return };
        let Ok(number) = response.headers.cseq().map(|cseq| cseq.number) else {
            return;
        };
        if self.repeat_ack(id, number) {
            return;
        }
        if self.leg(id).is_none() && !self.make_leg(id, response) {
            return;
        }
        let wanted = !is_late && matches!(self.state, State::Calling | State::Early);
        let Some(leg) = self.leg_mut(id) else { return };
        if leg.stage > Stage::Lost {
            return;
        }
        // Route set and target of the 2xx; a broken Record-Route leaves what the early dialog had.
        let _ = leg.dialog.confirm(response);
        leg.note_abilities(&response.headers);
        leg.stage = Stage::Confirmed;
        if wanted || !matches!(self.state, State::Calling | State::Early) {
            self.step_by(Signal::Success, response.status, &response.reason);
        }
        if !wanted {
            return self.leave_unwanted(id, number);
        }
        self.confirmed = Some(id);
        self.tell(InvitationEvent::Confirmed {
            dialog: id,
            headers: response.headers.detached(),
        });
        let others: Vec<_> = self
            .legs
            .iter()
            .filter(|leg| leg.id != id && leg.is_alive())
            .map(|leg| leg.id)
            .collect();
        for other in others {
            // It stays known: its own 2xx is still to be acknowledged and left.
            if let Some(leg) = self.leg_mut(other) {
                leg.stage = Stage::Lost;
            }
            self.forsake_offers(Some(other));
            self.tell(InvitationEvent::DialogEnded { dialog: other });
        }
        self.note_interval(now, Kind::Invite, id, response);
        self.take_success(now, id, number, response);
    }

    /// Reads the description of the 2xx that carries the call, and acknowledges it.
    fn take_success(&mut self, now: Instant, id: DialogId, number: u32, response: &Response) {
        let description = response.description();
        let unreadable = description.is_err();
        let description = description.unwrap_or(None).map(detached);
        let Some(leg) = self.leg_mut(id) else { return };
        let meaning = leg
            .exchange
            .receive(Carrier::Success, description.is_some());
        match (meaning, description) {
            (Ok(Meaning::Answer), Some(description)) => {
                leg.settle_local();
                self.tell(InvitationEvent::Answered {
                    dialog: id,
                    description,
                    early: false,
                });
            }
            (Ok(Meaning::PreviewStands), _) if !unreadable => {
                leg.settle_local();
                if let Some(description) = self.leg(id).and_then(|leg| leg.preview.clone()) {
                    self.tell(InvitationEvent::Answered {
                        dialog: id,
                        description,
                        early: false,
                    });
                }
            }
            (Ok(Meaning::Offer), Some(description)) => {
                if let Some(leg) = self.leg_mut(id) {
                    leg.owes_ack = Some(number);
                }
                // ACK waits for the answer (RFC 3261, 13.2.2.4).
                return self.tell(InvitationEvent::Offered {
                    dialog: id,
                    description,
                    immediate: true,
                    asked: true,
                });
            }
            (Ok(Meaning::PreviewStands) | Err(Breach::MissingAnswer | Breach::MissingOffer), _) => {
                self.send_ack(id, number, None);
                self.step(Signal::AckSent, Why::default());
                self.tell_transaction(Method::Invite, response.status, &response.reason);
                return self.end_by(now, Ending::remote(EndCause::MissingDescription));
            }
            _ => {}
        }
        self.send_ack(id, number, None);
        self.acknowledged(id, response.status, &response.reason);
    }

    /// A 2xx that nobody wants any more, or of another fork: ACK, then BYE.
    fn leave_unwanted(&mut self, id: DialogId, number: u32) {
        if let Some(leg) = self.leg_mut(id) {
            leg.exchange.abandon();
        }
        self.send_ack(id, number, None);
        self.send_bye(id);
    }

    /// 300 to 699.
    pub(super) fn handle_refusal(&mut self, response: &Response) {
        self.tell_transaction(Method::Invite, response.status, &response.reason);
        if self.ending.is_some() {
            self.step(Signal::Failure, Why::default());
            return;
        }
        let mut ending = Ending::remote(EndCause::Rejected);
        ending.status = Some(response.status);
        ending.reason = Some(response.reason.to_string());
        ending.set_reason_header(&response.headers);
        ending.headers = response.headers.detached();
        self.forsake_offers(None);
        self.ending = Some(ending);
        self.step_by(Signal::Failure, response.status, &response.reason);
        self.tell_ended();
    }

    /// No final response at all.
    pub(super) fn handle_unanswered(&mut self, failure: Failure, status: Status) {
        if self.ending.is_some() {
            self.step(Signal::Failure, Why::default());
            return;
        }
        self.tell_transaction(Method::Invite, status, status.phrase());
        let mut ending = Ending::remote(failure.into());
        ending.status = Some(status);
        ending.reason = Some(status.phrase().to_owned());
        self.forsake_offers(None);
        self.ending = Some(ending);
        self.step_by(Signal::Failure, status, status.phrase());
        self.tell_ended();
    }
}

/// Makes a request to `uri` along a route set, and says where it goes (RFC 3261, 8.1.1.1 and 12.2.1.1).
pub(crate) fn routed(method: Method, uri: Uri, route: &[Address]) -> (Request, Uri) {
    let mut request = Request::new(method, uri);
    request.headers = Headers::with_capacity(USUAL_HEAD);
    let Some(first) = route.first() else {
        let hop = request.uri.clone();
        return (request, hop);
    };
    if first.uri.params().contains("lr") {
        for address in route {
            request.headers.push(HeaderName::Route, address);
        }
        return (request, first.uri.clone());
    }
    // A strict router takes its own address as the Request-URI, and the target from the end.
    let target = std::mem::replace(&mut request.uri, first.uri.clone());
    for address in &route[1..] {
        request.headers.push(HeaderName::Route, address);
    }
    request
        .headers
        .push(HeaderName::Route, Address::new(target));
    (request, first.uri.clone())
}

/// Copies a description out of its datagram.
pub(super) fn detached(description: Description) -> Description {
    Description {
        body: Bytes::copy_from_slice(&description.body),
        ..description
    }
}

/// Who began something that ended the call.
impl Ending {
    pub(super) fn remote(cause: EndCause) -> Self {
        Self::new(Originator::Remote, cause)
    }

    /// The peer does not know the dialog any more, or does not answer inside it.
    pub(super) fn gone(status: Status, reason: &str) -> Self {
        let mut ending = Self::remote(match status {
            Status::REQUEST_TIMEOUT => EndCause::Timeout,
            _ => EndCause::DialogGone,
        });
        ending.status = Some(status);
        ending.reason = Some(reason.to_owned());
        ending
    }
}

/// RFC 3326, 3.1.
pub(crate) const COMPLETED_ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";
/// Characters of a tag, five bits each (RFC 3261, 19.3 asks for 32 bits).
const TAG_LEN: usize = 16;
/// Characters of a Call-ID, five bits each (RFC 3261, 8.1.1.4: unique over space and time).
const CALL_ID_LEN: usize = 26;
/// The number of our first request; RFC 3261, 8.1.1.5 leaves it to us.
const FIRST: u32 = 1;
/// Room for the headers of a request with what its user adds, in one allocation.
const USUAL_HEAD: usize = 512;
/// RFC 3261, 8.1.1.6.
const MAX_FORWARDS: u32 = 70;
