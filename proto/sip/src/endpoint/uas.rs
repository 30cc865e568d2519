//! What arrives: noise, malformed messages, responses, and requests on their way to a dialog, a new
//! call, or an answer without state (RFC 3261, 8.2).

use super::arrival::{Arrived, accepts_descriptions, description_of, response_path};
use super::{Availability, Dropped, Endpoint, Event, Output, Server, dialogs::DialogEntry};
use crate::{
    DialogId, FlowId, HeaderName, InvitationId, Message, Method, ParseError, Request, Response,
    Status, TransactionId,
    answer::Answer,
    capability::supported,
    header::List,
    id::Party,
    message::{frame, frame::FrameError, salvage},
    nat,
    reliable::{self, Demand, Reliability},
    transaction::{Incoming, NewRequest},
    uri::Scheme,
    usage::invitation::{Arrival, Invitation, interval_refusal},
};
use base::Transport;
use bytes::Bytes;
use std::{net::SocketAddr, time::Instant};

impl Endpoint {
    pub(super) fn handle_message(
        &mut self,
        now: Instant,
        flow: FlowId,
        from: SocketAddr,
        bytes: Bytes,
    ) {
        self.counters.received += 1;
        let Some(known) = self.flows.table.get_mut(flow) else {
            return self.drop_message(flow, from, Dropped::UnknownFlow);
        };
        known.used = now;
        let transport = known.transport;
        if frame::noise(&bytes).is_some() {
            self.counters.noise += 1;
            return;
        }
        match Message::parse(bytes.clone()) {
            Ok(Message::Request(request)) => {
                self.handle_request(now, flow, from, request, bytes.len())
            }
            Ok(Message::Response(response)) => {
                self.handle_response(now, flow, from, transport, response)
            }
            Err(error) => self.handle_malformed(now, flow, from, &bytes, error),
        }
    }

    pub(super) fn handle_broken(
        &mut self,
        now: Instant,
        flow: FlowId,
        from: SocketAddr,
        error: FrameError,
    ) {
        if !self.flows.table.contains(flow) {
            return;
        }
        match error {
            FrameError::Message { error, head } => {
                self.handle_malformed(now, flow, from, &head, error)
            }
            FrameError::Noise(_) => self.counters.noise += 1,
        }
        self.release(now, flow);
    }

    /// Answers what cannot be parsed, if it says to whom (RFC 3261, 8.2; RFC 4475).
    fn handle_malformed(
        &mut self,
        now: Instant,
        flow: FlowId,
        from: SocketAddr,
        bytes: &Bytes,
        error: ParseError,
    ) {
        self.counters.malformed += 1;
        self.drop_message(flow, from, Dropped::Malformed(error));
        let Some(transport) = self.flows.table.get(flow).map(|flow| flow.transport) else {
            return;
        };
        let Some(mut salvaged) = salvage(bytes) else {
            return;
        };
        let Some(via) = salvaged.via() else { return };
        let path = response_path(&via, flow, transport, from);
        let stamped = via.stamped(from);
        salvaged.headers.replace_first(HeaderName::Via, stamped);
        let tag = self.tag_key.tag(&salvaged.headers);
        let Some(mut response) = salvaged.response(error.status(), &tag) else {
            return;
        };
        let bare = response.clone();
        if !self.config.user_agent.is_empty() {
            response
                .headers
                .push(HeaderName::Server, self.config.user_agent.as_str());
        }
        self.send_bounded(now, path, bytes.len(), response, |_| bare);
    }

    fn drop_message(&mut self, flow: FlowId, from: SocketAddr, why: Dropped) {
        self.counters.dropped += 1;
        self.out
            .push_back(Output::Event(Event::Dropped { flow, from, why }));
    }

    fn handle_response(
        &mut self,
        now: Instant,
        flow: FlowId,
        from: SocketAddr,
        over: Transport,
        response: Response,
    ) {
        // RFC 3261, 8.1.3.3 and 18.1.2: one Via, and it is ours.
        let ours = response
            .headers
            .via()
            .is_ok_and(|via| self.flows.is_ours(&via.sent_by(), over, flow));
        let one = response.headers.values(HeaderName::Via).nth(1).is_none();
        if !ours || !one || self.transactions.handle_response(now, response).is_none() {
            // RFC 6026, 8.9: never handed on.
            self.drop_message(flow, from, Dropped::StrayResponse);
        }
    }

    fn handle_request(
        &mut self,
        now: Instant,
        flow: FlowId,
        from: SocketAddr,
        mut request: Request,
        size: usize,
    ) {
        let Some(transport) = self.flows.table.get(flow).map(|flow| flow.transport) else {
            return;
        };
        let Ok(via) = request.headers.via() else {
            return;
        };
        let path = response_path(&via, flow, transport, from);
        let fallback = nat::reply_target(&via, transport, from);
        let is_direct = request.headers.values(HeaderName::Via).nth(1).is_none();
        let stamped = via.stamped(from);
        request.headers.replace_first(HeaderName::Via, stamped);
        match self.transactions.handle_request(now, &request) {
            Incoming::Absorbed(id) => {
                if request.method == Method::Ack {
                    self.report_refused(id, true);
                }
            }
            Incoming::Ack(_) => self.handle_ack(now, flow, from, &request),
            Incoming::New(new) => {
                let arrival = Arrived {
                    path,
                    from,
                    is_direct,
                    size,
                    server: Server {
                        owner: None,
                        fallback,
                        moved: false,
                        verified: None,
                    },
                };
                self.handle_new_request(now, arrival, new, request);
            }
        }
    }

    /// The ACK of a 2xx has a transaction of its own: it is found by its dialog (RFC 3261, 13.3.1.4).
    fn handle_ack(&mut self, now: Instant, flow: FlowId, from: SocketAddr, request: &Request) {
        match self.invitation_of(request) {
            Some(id) => {
                if let Some(invitation) = self.invitations.get_mut(id) {
                    invitation.handle_ack(now, request);
                }
                self.touch(id);
            }
            // Never answered (RFC 3261, 17.1.1.3).
            None => self.drop_message(flow, from, Dropped::StrayAck),
        }
    }

    fn handle_new_request(
        &mut self,
        now: Instant,
        mut arrived: Arrived,
        new: NewRequest,
        request: Request,
    ) {
        if request.method == Method::Cancel {
            return self.handle_cancel(now, arrived, new, &request);
        }
        let tagged = request.headers.to().is_ok_and(|to| to.tag().is_some());
        if let Some(refusal) = self.screen(now, tagged, &new, &request, &mut arrived.server) {
            return self.respond_stateless(now, arrived.path, &request, arrived.size, refusal);
        }
        match (tagged, &request.method) {
            (true, method) => match (self.dialog_of_request(&request), self.expecting(&request)) {
                (Some(dialog), _) if matches!(method, Method::Subscribe | Method::Notify) => {
                    self.handle_shared(now, dialog, arrived, new, request)
                }
                (Some(dialog), _) if *method == Method::Refer => {
                    self.handle_refer(now, Some(dialog), arrived, new, request)
                }
                (Some(dialog), _) => {
                    let call = self.dialogs.get(dialog).and_then(|entry| entry.call);
                    match call.filter(|_| *method == Method::Message) {
                        Some(id) => self.handle_message_in_call(now, id, arrived, new, request),
                        None => self.handle_in_dialog(now, dialog, arrived, new, request),
                    }
                }
                (None, Some(usage)) => self.handle_first_notify(now, usage, arrived, new, request),
                (None, None) => {
                    let answer = Answer::new(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
                    self.respond_stateless(now, arrived.path, &request, arrived.size, answer);
                }
            },
            (false, Method::Subscribe) => self.handle_subscribe(now, arrived, new, request),
            (false, Method::Refer) => self.handle_refer(now, None, arrived, new, request),
            (false, Method::Invite) => self.handle_invite(now, arrived, new, request),
            (false, Method::Message) => {
                self.handle_message_request(now, None, arrived, new, request);
            }
            (false, Method::Options) => {
                // RFC 3261, 11.2: what INVITE would get.
                let answer = Answer::new(self.willingness().unwrap_or(Status::OK));
                self.respond_stateless(now, arrived.path, &request, arrived.size, answer);
            }
            (false, _) => {
                // BYE outside a dialog (RFC 3261, 15.1.2).
                let answer = Answer::new(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
                self.respond_stateless(now, arrived.path, &request, arrived.size, answer);
            }
        }
    }

    /// Whom and what we do not let in, in the order of RFC 3261, 8.2: who asks, then what. A stranger who
    /// has to show who it is learns nothing else, such as who can be reached here.
    fn screen(
        &mut self,
        now: Instant,
        tagged: bool,
        new: &NewRequest,
        request: &Request,
        server: &mut Server,
    ) -> Option<Answer> {
        // RFC 3261, 8.2.2.2. A Via of ours further down is a spiral, and legal. The second copy brings the
        // credentials of the first, and must not be taken for a replay of them.
        if new.merged_with().is_some() {
            return Some(Answer {
                reason: Some("Merged Request".to_owned()),
                ..Answer::new(Status::LOOP_DETECTED)
            });
        }
        let asked = match tagged {
            true => None,
            false => self.identify(now, request, server),
        };
        asked.or_else(|| self.inspect(request))
    }

    /// What a request must not be, in the order of RFC 3261, 8.2.
    fn inspect(&self, request: &Request) -> Option<Answer> {
        // RFC 3261, 8.2.1
        if !matches!(
            request.method,
            Method::Invite
                | Method::Bye
                | Method::Options
                | Method::Message
                | Method::Prack
                | Method::Update
                | Method::Info
                | Method::Subscribe
                | Method::Notify
                | Method::Refer
        ) {
            return Some(Answer::new(Status::METHOD_NOT_ALLOWED));
        }
        // RFC 3261, 8.2.2.1
        if !matches!(request.uri.scheme(), Scheme::Sip | Scheme::Sips) {
            return Some(Answer::new(Status::UNSUPPORTED_URI_SCHEME));
        }
        if !self.is_here(request) {
            return Some(Answer::new(Status::NOT_FOUND));
        }
        // RFC 3261, 8.2.2.3
        let known = supported(&self.config);
        let unknown = |option: &&[u8]| {
            !known
                .iter()
                .any(|known| option.eq_ignore_ascii_case(known.as_bytes()))
        };
        let unknown: Vec<&[u8]> = request
            .headers
            .values(HeaderName::Require)
            .filter(unknown)
            .collect();
        if !unknown.is_empty() {
            return Some(
                Answer::new(Status::BAD_EXTENSION)
                    .with_header(HeaderName::Unsupported, List(unknown)),
            );
        }
        // RFC 3261, 21.4.16: by policy only.
        if request.method == Method::Invite
            && self.config.reliable == Reliability::Required
            && Demand::of(&request.headers) == Demand::Unable
        {
            return Some(
                Answer::new(Status::EXTENSION_REQUIRED)
                    .with_header(HeaderName::Require, reliable::OPTION),
            );
        }
        // RFC 3891, 3
        if request.method != Method::Invite && request.headers.contains(HeaderName::Replaces) {
            return Some(Answer::new(Status::BAD_REQUEST));
        }
        if matches!(request.method, Method::Invite | Method::Update)
            && let Some(refusal) = interval_refusal(&self.config.session_timer, &request.headers)
        {
            return Some(refusal);
        }
        // RFC 4475, 3.3.15
        if request.method == Method::Invite && !accepts_descriptions(&request.headers) {
            return Some(
                Answer::new(Status::NOT_ACCEPTABLE).with_header(HeaderName::Warning, UNREADABLE),
            );
        }
        None
    }

    /// Says whether a request goes to somebody who can be asked for here. A dialog has its own way of
    /// knowing, and behind a guard nobody finds it out by OPTIONS, which need no credentials.
    fn is_here(&self, request: &Request) -> bool {
        if request.method == Method::Options && self.watch.is_some() {
            return true;
        }
        let is_inside = request.headers.to().is_ok_and(|to| to.tag().is_some());
        match (&self.users, request.uri.as_ref().user_text()) {
            (Some(users), Some(user)) if !is_inside => users.contains(&*user),
            _ => true,
        }
    }

    /// RFC 3261, 9.2.
    fn handle_cancel(
        &mut self,
        now: Instant,
        arrived: Arrived,
        new: NewRequest,
        request: &Request,
    ) {
        let target = new
            .cancels()
            .and_then(|target| Some((target, self.servers.get(&target)?.owner)));
        let Some((target, owner)) = target else {
            let answer = Answer::new(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
            return self.respond_stateless(now, arrived.path, request, arrived.size, answer);
        };
        let call = match owner {
            Some(Party::Invitation(id)) => Some(id),
            Some(Party::Usage(_)) | None => None,
        };
        let invitation = call.and_then(|id| self.invitations.get(id));
        let mut answer = Answer::new(Status::OK);
        // The tag of the answers to the INVITE, as far as there is one.
        answer.to_tag = invitation.map(|invitation| invitation.local_tag().into());
        let server = self.serve(now, &arrived, new, request.clone(), owner);
        if let Some(server) = server {
            self.respond(now, server, answer);
        }
        if let Some(id) = call
            && let Some(invitation) = self.invitations.get_mut(id)
        {
            invitation.handle_cancel(now, target, request);
            self.touch(id);
        }
    }

    fn handle_in_dialog(
        &mut self,
        now: Instant,
        dialog: DialogId,
        arrived: Arrived,
        new: NewRequest,
        request: Request,
    ) {
        let Some(id) = self.dialogs.get(dialog).and_then(|entry| entry.call) else {
            return self.handle_without_call(now, dialog, arrived, new, request);
        };
        let Some(server) = self.serve(
            now,
            &arrived,
            new,
            request.clone(),
            Some(Party::Invitation(id)),
        ) else {
            return;
        };
        let description = match matches!(
            request.method,
            Method::Invite | Method::Prack | Method::Update
        ) {
            true => description_of(&request),
            false => Ok(None),
        };
        if let Some(invitation) = self.invitations.get_mut(id) {
            let arrival = arrived.arrival(server, description);
            invitation.handle_request(now, &request, arrival);
            self.touch(id);
        }
    }

    /// A message in a call (RFC 3428, 4): the dialog takes its number, the application the rest.
    fn handle_message_in_call(
        &mut self,
        now: Instant,
        id: InvitationId,
        arrived: Arrived,
        new: NewRequest,
        request: Request,
    ) {
        let admitted = match self.invitations.get_mut(id) {
            Some(invitation) => invitation.admit(&request),
            None => Err(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
        };
        match admitted {
            Ok(()) => self.handle_message_request(now, Some(id), arrived, new, request),
            Err(status) => {
                let answer = Answer::new(status);
                self.respond_stateless(now, arrived.path, &request, arrived.size, answer);
            }
        }
    }

    /// In a dialog of subscriptions alone, or of a call that is over.
    fn handle_without_call(
        &mut self,
        now: Instant,
        dialog: DialogId,
        arrived: Arrived,
        new: NewRequest,
        request: Request,
    ) {
        let Some(server) = self.serve(now, &arrived, new, request.clone(), None) else {
            return;
        };
        let in_order = self
            .dialog_mut(dialog)
            .map(|state| state.handle_request(&request));
        let status = match (in_order, &request.method) {
            // RFC 3261, 12.2.2
            (Some(Err(error)), _) => error.status(),
            (_, Method::Options) => Status::OK,
            // RFC 5057, 5.3: the usage that it belongs to is not there.
            _ => Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST,
        };
        self.respond(now, server, Answer::new(status));
    }

    /// A call (RFC 3261, 13.3).
    fn handle_invite(&mut self, now: Instant, arrived: Arrived, new: NewRequest, request: Request) {
        let refuse = |status| Answer::new(status);
        if let Some(status) = self.willingness() {
            let mut answer = refuse(status);
            if status == Status::SERVICE_UNAVAILABLE {
                answer = answer.with_header(HeaderName::RetryAfter, RETRY_AFTER);
            }
            return self.respond_stateless(now, arrived.path, &request, arrived.size, answer);
        }
        let replaces = match self.call_to_replace(now, &request.headers) {
            Ok(replaces) => replaces,
            Err(status) => {
                let answer = refuse(status);
                return self.respond_stateless(now, arrived.path, &request, arrived.size, answer);
            }
        };
        let Ok(description) = description_of(&request) else {
            let answer = refuse(Status::UNSUPPORTED_MEDIA_TYPE);
            return self.respond_stateless(now, arrived.path, &request, arrived.size, answer);
        };
        let Some(server) = self.serve(now, &arrived, new, request.clone(), None) else {
            return;
        };
        let tag: Box<str> = self.rng.token(TAG_LEN).into();
        let arrival = Arrival {
            replaces,
            ..arrived.arrival(server, Ok(description))
        };
        let dialog = self.dialogs.insert(DialogEntry::of_call(None));
        match Invitation::incoming(
            now,
            dialog,
            &request,
            tag,
            arrival,
            &self.config,
            &mut self.rng,
        ) {
            Ok(invitation) => {
                let id = self.insert_invitation(invitation);
                if let Some(entry) = self.dialogs.get_mut(dialog) {
                    entry.call = Some(id);
                }
                if let Some(server) = self.servers.get_mut(&server) {
                    server.owner = Some(Party::Invitation(id));
                }
            }
            Err(status) => {
                self.dialogs.remove(dialog);
                self.respond(now, server, Answer::new(status));
            }
        }
    }

    /// What INVITE gets before anybody is asked; `None` if it is welcome.
    fn willingness(&self) -> Option<Status> {
        let limits = &self.config.limits;
        let full = self.is_shutting_down
            || self.calls >= limits.invitations
            || self.unacknowledged >= limits.unacknowledged;
        match self.availability {
            _ if full => Some(Status::SERVICE_UNAVAILABLE),
            Availability::Available => None,
            Availability::Refusing(status) => Some(status),
        }
    }

    /// Makes a server transaction; a request beyond the limit is answered 503 without one.
    pub(super) fn serve(
        &mut self,
        now: Instant,
        arrived: &Arrived,
        new: NewRequest,
        request: Request,
        owner: Option<Party>,
    ) -> Option<TransactionId> {
        match self.transactions.serve(now, new, arrived.path, request) {
            Ok(id) => {
                let server = Server {
                    owner,
                    ..arrived.server.clone()
                };
                self.servers.insert(id, server);
                Some(id)
            }
            Err(request) => {
                let answer = Answer::new(Status::SERVICE_UNAVAILABLE)
                    .with_header(HeaderName::RetryAfter, RETRY_AFTER);
                self.respond_stateless(now, arrived.path, &request, arrived.size, answer);
                None
            }
        }
    }

    /// The call whose dialog a request belongs to, by tags only (RFC 4916 lets URIs change).
    fn invitation_of(&self, request: &Request) -> Option<InvitationId> {
        self.dialogs.get(self.dialog_of_request(request)?)?.call
    }
}

/// RFC 3261, 20.43: in words, to be read by people.
const UNREADABLE: &str = "399 sipsimple \"Accept lacks application/sdp\"";
/// Seconds after which a caller that met our limits may try again.
pub(super) const RETRY_AFTER: u32 = 10;
/// Characters of a tag of ours, five bits each (RFC 3261, 19.3 asks for 32 bits).
pub(super) const TAG_LEN: usize = 16;
