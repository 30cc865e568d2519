//! Being called: the peer's INVITE and our answers (RFC 3261, 13.3).

use super::{
    Arrival, Effect, Invitation, RespondError, Ringing, Served, Signal, Stage, State, Why,
    command::reserved,
    end::Ending,
    event::{EndCause, Incoming, InvitationEvent, Originator},
    interval,
    leg::{self, Leg},
};
use crate::{
    DialogId, HeaderName, Headers, Method, Request, Status, TransactionId,
    answer::Answer,
    attempt::Contact,
    auth::{Authentication, Keyring},
    config::Config,
    dialog::{Dialog, DialogError},
    header::{Expires, NameAddr},
    message::Description,
    offer_answer::{Carrier, OfferAnswer, Phase},
    usage::way::OwnWay,
};
use base::Rng;
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

impl Invitation {
    /// Takes an INVITE outside of dialogs.
    ///
    /// # Errors
    ///
    /// The status that refuses it because it makes no dialog.
    pub(crate) fn incoming(
        now: Instant,
        dialog: DialogId,
        request: &Request,
        tag: Box<str>,
        arrival: Arrival,
        config: &Arc<Config>,
        rng: &mut Rng,
    ) -> Result<Self, Status> {
        let headers = &request.headers;
        let path = arrival.path;
        let made = Dialog::from_request(request, &tag, path.transport.is_secure())
            .map_err(DialogError::status)?;
        let bare = |address: NameAddr<'_>| {
            let mut address = address.to_address();
            address.params.clear();
            address
        };
        let from = headers.from().map(bare).map_err(|_| Status::BAD_REQUEST)?;
        let to = headers.to().map(bare).map_err(|_| Status::BAD_REQUEST)?;
        let number = headers.cseq().map_err(|_| Status::BAD_REQUEST)?.number;
        let offer = arrival.description.unwrap_or(None);
        let mut exchange = OfferAnswer::new();
        // Idle takes an INVITE in both forms.
        let _ = exchange.receive(Carrier::Invite, offer.is_some());
        let key = made.key();
        let mut invitation = Self {
            is_touched: false,
            is_counted: false,
            state: State::Null,
            is_outgoing: false,
            call_id: made.call_id().into(),
            local_tag: tag,
            local: to.clone(),
            remote: from.clone(),
            request_uri: request.uri.detached(),
            contact: Contact {
                // INV-18, with our own address: what a peer writes into a Request-URI proves nothing.
                user: request.uri.user().map(str::to_owned),
                secure: made.is_secure(),
                ..Contact::default()
            },
            invite: None,
            requests: Vec::new(),
            next_tag: 0,
            served: vec![Served {
                grant: interval::decide(&config.session_timer, headers),
                ..Served::new(arrival.server, dialog, number, true, headers)
            }],
            legs: vec![Leg::new(dialog, made, exchange)],
            confirmed: None,
            exchange: OfferAnswer::new(),
            offered: None,
            ringing: None,
            expires: None,
            ending: None,
            give_up: None,
            identity: None,
            keyring: Keyring::new(Vec::new()),
            replaces: arrival.replaces,
            account: None,
            authentication: Authentication::new(),
            own_way: OwnWay::none(),
            refusal: None,
            path: Some(path),
            direct: (arrival.is_direct && path.transport.is_reliable())
                .then_some((path.flow, path.to)),
            remote_user_agent: None,
            rng: rng.fork(),
            config: Arc::clone(config),
            effects: VecDeque::new(),
        };
        invitation.note_user_agent(headers);
        for leg in &mut invitation.legs {
            leg.note_abilities(headers);
            leg.note_min_se(headers);
        }
        invitation.ringing = Some(Ringing {
            at: now + config.ring_interval,
            answer: invitation.dialog_answer(dialog, Status::SESSION_PROGRESS),
        });
        // RFC 3261, 13.3.1
        invitation.expires = match headers.typed::<Expires>() {
            Some(Ok(Expires(seconds))) => now.checked_add(Duration::from_secs(seconds.into())),
            Some(Err(_)) | None => None,
        };
        invitation.effects.push_back(Effect::Dialog { dialog, key });
        invitation.tell(InvitationEvent::Incoming(Box::new(Incoming {
            dialog,
            from,
            to,
            request_uri: invitation.request_uri.clone(),
            call_id: invitation.call_id.to_string(),
            transport: path.transport,
            peer: arrival.peer,
            caller: arrival.caller,
            replaces: arrival.replaces,
            headers: headers.detached(),
            offer,
        })));
        let why = Why {
            method: Some(&Method::Invite),
            ..Why::default()
        };
        invitation.step(Signal::InviteReceived, why);
        Ok(invitation)
    }

    /// A response that belongs to a dialog.
    pub(super) fn dialog_answer(&self, dialog: DialogId, status: Status) -> Answer {
        let tag = self.leg(dialog).map(|leg| leg.dialog.local_tag().into());
        Answer {
            to_tag: tag,
            contact: (status.is_success() || status.is_provisional()).then(|| self.contact.clone()),
            ..Answer::new(status)
        }
    }

    /// The INVITE or re-INVITE that waits for our answer.
    pub(super) fn pending(&self) -> Option<&Served> {
        self.served
            .iter()
            .find(|served| served.stage == Stage::Pending)
    }

    /// Answers provisionally (INV-07): an INVITE, or a re-INVITE (SES-14).
    pub(crate) fn provisional(
        &mut self,
        now: Instant,
        status: Status,
        reason: Option<String>,
        headers: Headers,
        description: Option<Description>,
    ) -> Result<(), RespondError> {
        let (server, dialog) = self.answerable(&headers)?;
        if !status.is_provisional() || status == Status::TRYING {
            return Err(RespondError::WrongStatus);
        }
        let answer = Answer {
            reason,
            headers,
            description,
            ..self.dialog_answer(dialog, status)
        };
        let phrase = answer.reason.clone();
        self.send_provisional(now, server, answer)?;
        self.step_by(
            Signal::Ring,
            status,
            phrase.as_deref().unwrap_or_else(|| status.phrase()),
        );
        Ok(())
    }

    /// Accepts (INV-08) the INVITE or, with the same meaning, the re-INVITE that waits.
    pub(crate) fn accept(
        &mut self,
        now: Instant,
        status: Status,
        headers: Headers,
        description: Option<Description>,
    ) -> Result<(), RespondError> {
        let (server, dialog) = self.answerable(&headers)?;
        if !status.is_success() {
            return Err(RespondError::WrongStatus);
        }
        if self.hold_success(server, status, &headers) {
            return Ok(());
        }
        let Some(leg) = self.leg_mut(dialog) else {
            return Err(RespondError::WrongState(self.state));
        };
        // RFC 6337, 3.1.1: what a reliable response has answered is not repeated.
        let is_due = matches!(leg.exchange.phase(), Phase::OfferReceived | Phase::OfferDue);
        let description = description.filter(|_| is_due);
        // RFC 3261, 13.3.1.4: answer or offer.
        if leg
            .exchange
            .send(Carrier::Success, description.is_some())
            .is_err()
        {
            return Err(RespondError::DescriptionNeeded);
        }
        let offers = leg.exchange.phase() == Phase::AnswerAwaited;
        if offers {
            leg.proposed.clone_from(&description);
        } else if is_due {
            leg.local.clone_from(&description);
        }
        leg.dialog.accept();
        leg.stage = leg::Stage::Confirmed;
        let served = self.served.iter().find(|served| served.server == server);
        let grant = served.and_then(|served| served.grant);
        let mut headers = headers;
        self.grant_interval(now, dialog, grant, &mut headers);
        let answer = Answer {
            headers,
            description,
            ..self.dialog_answer(dialog, status)
        };
        self.effects
            .push_back(Effect::Respond(server, Box::new(answer)));
        self.ringing = None;
        let timers = self.config.transactions.timers.clone();
        let mut is_first = false;
        if let Some(served) = self
            .served
            .iter_mut()
            .find(|served| served.server == server)
        {
            served.status = status;
            served.offers = offers;
            if let Some(outstanding) = &mut served.outstanding {
                outstanding.stop();
            }
            served.stage = Stage::Accepted {
                next: now + timers.t1,
                interval: timers.t1.saturating_mul(2).min(timers.t2),
                // RFC 3261, 13.3.1.4: 64·T1, as timer H.
                until: now + timers.timer_h,
            };
            is_first = served.is_first;
            // RFC 6141, 4.6: a re-INVITE refreshes the target when it is accepted.
            let contact = std::mem::take(&mut served.contact);
            if let Some(leg) = self.leg_mut(dialog) {
                leg.dialog.refresh_target(&contact);
            }
        }
        if is_first {
            self.expires = None;
            self.confirmed = Some(dialog);
            self.step_by(Signal::Accept, status, status.phrase());
            self.tell(InvitationEvent::Confirmed {
                dialog,
                headers: Headers::new(),
            });
            self.effects
                .extend(self.replaces.take().map(Effect::Replace));
        } else {
            self.step_by(Signal::Answer, status, status.phrase());
        }
        Ok(())
    }

    /// The transaction and dialog that an answer would go to.
    fn answerable(&self, headers: &Headers) -> Result<(TransactionId, DialogId), RespondError> {
        let served = self
            .pending()
            .filter(|served| served.held.is_none())
            .ok_or(RespondError::WrongState(self.state))?;
        match reserved(headers) {
            Some(name) => Err(RespondError::Reserved(name)),
            None => Ok((served.server, served.dialog)),
        }
    }

    /// Answers an INVITE of the peer with 300 to 699; its ACK is awaited.
    pub(super) fn refuse_served(&mut self, server: TransactionId, answer: Answer) {
        let Some(served) = self
            .served
            .iter_mut()
            .find(|served| served.server == server)
        else {
            return;
        };
        served.stage = Stage::Refused;
        served.status = answer.status;
        served.held = None;
        if let Some(outstanding) = &mut served.outstanding {
            outstanding.stop();
        }
        let (dialog, is_first) = (served.dialog, served.is_first);
        self.ringing = None;
        if is_first {
            self.expires = None;
        }
        if let Some(leg) = self.leg_mut(dialog) {
            // What was offered is void.
            let _ = leg.exchange.send(Carrier::Failure, false);
        }
        self.effects
            .push_back(Effect::Respond(server, Box::new(answer)));
    }

    /// RFC 3261, 13.3.1.1: every minute a provisional response other than 100.
    pub(super) fn repeat_ringing(&mut self, now: Instant) {
        let Some(ringing) = self.ringing.as_mut().filter(|ringing| ringing.at <= now) else {
            return;
        };
        ringing.at = now + self.config.ring_interval;
        let answer = ringing.answer.clone();
        if let Some(server) = self.pending().map(|served| served.server) {
            let status = answer.status;
            // A caller who insists on reliability hears nothing before there is an offer.
            if self.send_provisional(now, server, answer).is_ok() && self.state == State::Incoming {
                self.step_by(Signal::Ring, status, status.phrase());
            }
        }
    }

    /// RFC 3261, 13.3.1: the time that the INVITE allows is over.
    pub(super) fn check_expiry(&mut self, now: Instant) {
        if self.expires.is_none_or(|at| at > now) {
            return;
        }
        self.expires = None;
        let first = |served: &&Served| served.is_first && served.stage == Stage::Pending;
        let Some(server) = self.served.iter().find(first).map(|served| served.server) else {
            return;
        };
        let answer = self.first_answer(Status::REQUEST_TERMINATED);
        self.refuse_served(server, answer);
        let mut ending = Ending::new(Originator::Local, EndCause::Expired);
        ending.status = Some(Status::REQUEST_TERMINATED);
        ending.reason = Some(Status::REQUEST_TERMINATED.phrase().to_owned());
        self.begin_ending(now, ending);
        self.step_by(
            Signal::Expired,
            Status::REQUEST_TERMINATED,
            Status::REQUEST_TERMINATED.phrase(),
        );
    }

    /// A response to the peer's first INVITE: its tag is ours from the beginning.
    pub(super) fn first_answer(&self, status: Status) -> Answer {
        Answer {
            to_tag: Some(self.local_tag.clone()),
            ..Answer::new(status)
        }
    }

    /// Takes the number of a request that is not the call's own business (RFC 3261, 12.2.2).
    pub(crate) fn admit(&mut self, request: &Request) -> Result<(), Status> {
        let gone = Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
        let id = self.leg_of(request).ok_or(gone)?;
        let leg = self.leg_mut(id).filter(|leg| leg.is_alive()).ok_or(gone)?;
        leg.dialog
            .handle_request(request)
            .map_err(|error| error.status())
    }

    /// A request of the peer inside a dialog.
    pub(crate) fn handle_request(&mut self, now: Instant, request: &Request, arrival: Arrival) {
        let Some(id) = self.leg_of(request) else {
            return;
        };
        self.note_user_agent(&request.headers);
        let straight = arrival.is_direct && arrival.path.transport.is_reliable();
        self.heard_on(
            arrival.path,
            straight.then_some((arrival.path.flow, arrival.peer)),
        );
        let server = arrival.server;
        let Some(leg) = self.leg_mut(id) else { return };
        leg.note_abilities(&request.headers);
        if let Err(error) = leg.dialog.handle_request(request) {
            // RFC 3261, 12.2.2
            let answer = self.dialog_answer(id, error.status());
            return self
                .effects
                .push_back(Effect::Respond(server, Box::new(answer)));
        }
        if request.method == Method::Invite {
            self.handle_reinvite(id, request, arrival);
        } else if request.method == Method::Bye {
            self.handle_bye(now, id, request, server);
        } else if request.method == Method::Update {
            self.handle_update(now, id, request, arrival);
        } else if request.method == Method::Prack {
            self.handle_prack(now, id, request, arrival);
        } else if request.method == Method::Info {
            self.handle_info(id, request, server);
        } else {
            // OPTIONS in a call (RFC 3261, 11.2); the endpoint lets nothing else in.
            let status = match self.leg(id).is_some_and(Leg::is_alive) {
                true => Status::OK,
                false => Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST,
            };
            let answer = self.dialog_answer(id, status);
            self.effects
                .push_back(Effect::Respond(server, Box::new(answer)));
        }
    }

    /// The leg that a request of the peer names by its tags.
    fn leg_of(&self, request: &Request) -> Option<DialogId> {
        let from = request.headers.from().ok()?;
        let tag = from.tag();
        let same = |leg: &&Leg| match (leg.dialog.remote_tag(), tag) {
            (Some(ours), Some(theirs)) => ours.eq_ignore_ascii_case(theirs),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        self.legs.iter().find(same).map(|leg| leg.id)
    }

    /// Retry-After in seconds.
    pub(super) fn retry_after(answer: Answer, seconds: u32) -> Answer {
        answer.with_header(HeaderName::RetryAfter, seconds)
    }
}
