//! Requests of ours: how they start, and what becomes of them.

use super::{Effect, Invitation, Kind, Progress, Sent, Signal, Why, event::Originator, leg};
use crate::{
    DialogId, HeaderName, Headers, Method, Request, Response, Status, Uri,
    attempt::{AttemptId, Draft, Failure},
    auth::{Origin, Refusal, Tries},
    capability::{ALLOWED, supported},
    dialog::InDialog,
    header::{CSeq, List, replaces},
    message::Description,
    reliable::{self, Reliability},
    usage::invitation::InvitationEvent,
};
use std::{net::IpAddr, time::Instant};

impl Invitation {
    /// Sends a request outside of dialogs, or one that is complete.
    pub(super) fn start(
        &mut self,
        kind: Kind,
        mut request: Request,
        hop: Uri,
        further: &Headers,
        body: Option<Description>,
    ) {
        let has_contact = matches!(request.method, Method::Invite | Method::Update);
        if has_contact {
            request.headers.push(HeaderName::Allow, List(ALLOWED));
            // RFC 6086, 4.2.1
            if let Some(packages) = &self.config.info.packages {
                let packages = packages.iter().map(String::as_str);
                request.headers.push(HeaderName::RecvInfo, List(packages));
            }
            if self.config.reliable == Reliability::Required && request.method == Method::Invite {
                request.headers.push(HeaderName::Require, reliable::OPTION);
            }
        }
        let supported = supported(&self.config);
        // RFC 4028, 7.1: in every request but ACK.
        if request.method != Method::Ack && !supported.is_empty() {
            request.headers.push(HeaderName::Supported, List(supported));
        }
        let interval = self.ask_interval(kind, &mut request.headers, further);
        if !self.config.user_agent.is_empty() {
            request
                .headers
                .push(HeaderName::UserAgent, self.config.user_agent.as_str());
        }
        for field in further.iter() {
            request.headers.push(field.name, field.value);
        }
        if let Some(description) = body {
            request.set_body(&description.content_type, description.body);
        }
        let origin = match kind {
            Kind::Invite => self.own_way.origin(),
            _ => self.own_way.origin_in_dialog(&hop),
        };
        self.authentication
            .authorize(&self.keyring, &mut request, origin);
        let number = request.headers.cseq().map_or(0, |cseq| cseq.number);
        let tag = self.next_tag;
        self.next_tag += 1;
        if kind == Kind::Invite {
            self.invite = Some(Box::new(request.clone()));
        }
        self.requests.push(Sent {
            tag,
            kind,
            number,
            attempt: None,
            sent_at: None,
            is_answered: false,
            origin,
            tries: Tries::default(),
            credentials: credentials_of(&request),
            interval,
            amendments: 0,
        });
        let in_dialog = kind != Kind::Invite;
        self.effects.push_back(Effect::Request {
            tag,
            draft: Box::new(Draft {
                request,
                hop,
                contact: has_contact.then(|| self.contact.clone()),
                prefer: if in_dialog {
                    self.straight_way(kind)
                } else {
                    self.direct
                },
                identity: self.identity,
            }),
        });
    }

    /// Sends a request of a dialog.
    pub(super) fn start_in_dialog(
        &mut self,
        kind: Kind,
        made: InDialog,
        further: &Headers,
        body: Option<Description>,
    ) {
        self.start(kind, made.request, made.next_hop, further, body);
    }

    /// The connection that the call came by, if no proxy wants to be passed.
    fn straight_way(&self, kind: Kind) -> Option<(crate::FlowId, std::net::SocketAddr)> {
        let (Kind::Reinvite(id)
        | Kind::Ack(id, _)
        | Kind::Bye(id)
        | Kind::Prack(id)
        | Kind::Update(id)
        | Kind::Info(id)) = kind
        else {
            return None;
        };
        let routed = self.leg(id)?.dialog.routes().next().is_some();
        self.direct.filter(|_| !routed)
    }

    /// The endpoint names the attempt of a request.
    pub(crate) fn attempt_started(&mut self, tag: u32, attempt: AttemptId) {
        if let Some(sent) = self.requests.iter_mut().find(|sent| sent.tag == tag) {
            sent.attempt = Some(attempt);
        }
    }

    /// Something became of a request. `dialog`: that of the response, known or to be made.
    pub(crate) fn handle_progress(
        &mut self,
        now: Instant,
        tag: u32,
        dialog: Option<DialogId>,
        progress: Progress<'_>,
    ) {
        let Some(at) = self.requests.iter().position(|sent| sent.tag == tag) else {
            return;
        };
        let Sent { kind, number, .. } = self.requests[at];
        match progress {
            Progress::Sent { path } => {
                self.path = Some(path);
                self.requests[at].sent_at = Some(now);
                self.note_way(at, path.to.ip());
            }
            // A re-INVITE that an earlier target has accepted.
            Progress::Response(_) if self.requests[at].is_answered => {}
            Progress::Response(response) => {
                self.note_user_agent(&response.headers);
                let in_dialog = match kind {
                    Kind::Invite | Kind::Ack(..) => None,
                    Kind::Reinvite(id)
                    | Kind::Prack(id)
                    | Kind::Update(id)
                    | Kind::Info(id)
                    | Kind::Bye(id) => Some(id),
                };
                if let Some(leg) = in_dialog.and_then(|id| self.leg_mut(id)) {
                    leg.note_abilities(&response.headers);
                }
                if response.status.is_success() {
                    let trusted = self
                        .authentication
                        .handle_success(&mut self.keyring, response);
                    self.refusal = trusted.err();
                }
                if response.status.is_final() {
                    self.requests[at].is_answered = true;
                }
                self.handle_response(now, kind, number, dialog, response);
            }
            Progress::Late(response) => match kind {
                Kind::Invite => self.handle_success(now, dialog, response, true),
                // Repeated; or the first word of a target that was given up, which is taken at it.
                Kind::Reinvite(id) => {
                    self.requests[at].is_answered = true;
                    self.handle_reinvite_success(now, id, number, response);
                }
                Kind::Ack(..) | Kind::Bye(_) | Kind::Prack(_) | Kind::Update(_) | Kind::Info(_) => {
                }
            },
            Progress::Failed(failure) => {
                self.requests[at].is_answered = true;
                self.handle_failed(now, kind, failure);
            }
            Progress::Over => self.finish_request(at),
        }
        self.check_release();
    }

    fn handle_response(
        &mut self,
        now: Instant,
        kind: Kind,
        number: u32,
        dialog: Option<DialogId>,
        response: &Response,
    ) {
        let status = response.status;
        match kind {
            Kind::Invite if status.is_provisional() => {
                self.handle_provisional(number, dialog, response)
            }
            Kind::Invite if status.is_success() => {
                self.handle_success(now, dialog, response, false)
            }
            Kind::Invite => self.handle_refusal(response),
            Kind::Reinvite(id) if status.is_provisional() => {
                self.handle_reinvite_provisional(id, number, response)
            }
            Kind::Reinvite(id) if status.is_success() => {
                self.handle_reinvite_success(now, id, number, response)
            }
            Kind::Reinvite(id) => {
                self.handle_reinvite_failure(now, id, status, &response.reason, &response.headers)
            }
            Kind::Bye(id) if status.is_final() => {
                self.handle_bye_done(id, status, &response.reason)
            }
            Kind::Prack(id) if status.is_final() => {
                self.handle_prack_done(now, id, status, &response.reason)
            }
            Kind::Update(id) if status.is_success() => {
                self.handle_update_success(now, id, response)
            }
            Kind::Update(id) if status.is_final() => {
                self.handle_update_failure(now, id, status, &response.reason, &response.headers)
            }
            Kind::Info(id) if status.is_final() => {
                self.handle_info_done(now, id, status, &response.reason)
            }
            Kind::Bye(_) | Kind::Prack(_) | Kind::Update(_) | Kind::Info(_) | Kind::Ack(..) => {}
        }
    }

    fn handle_failed(&mut self, now: Instant, kind: Kind, failure: Failure) {
        // RFC 3261, 8.1.3.1
        let status = match failure {
            Failure::Timeout => Status::REQUEST_TIMEOUT,
            Failure::Cancelled => Status::REQUEST_TERMINATED,
            Failure::Transport(_) | Failure::Lookup(_) => Status::SERVICE_UNAVAILABLE,
        };
        match kind {
            Kind::Invite => self.handle_unanswered(failure, status),
            Kind::Reinvite(id) => {
                self.handle_reinvite_failure(now, id, status, status.phrase(), &Headers::new())
            }
            Kind::Bye(id) => self.handle_bye_done(id, status, status.phrase()),
            Kind::Prack(id) => self.handle_prack_done(now, id, status, status.phrase()),
            Kind::Update(id) => {
                self.handle_update_failure(now, id, status, status.phrase(), &Headers::new())
            }
            Kind::Info(id) => self.handle_info_done(now, id, status, status.phrase()),
            Kind::Ack(id, _) => self.handle_ack_lost(now, id, failure),
        }
        if matches!(kind, Kind::Ack(..)) {
            self.requests.retain(|sent| sent.kind != kind);
        }
    }

    /// Nothing can come of a request any more, and so no ACK for it need be sent again.
    fn finish_request(&mut self, at: usize) {
        let over = self.requests.remove(at);
        let belongs = |kind: Kind| match (over.kind, kind) {
            (Kind::Invite, Kind::Ack(_, number)) => number == over.number,
            (Kind::Reinvite(dialog), Kind::Ack(id, number)) => {
                (id, number) == (dialog, over.number)
            }
            _ => false,
        };
        let (acks, rest) = std::mem::take(&mut self.requests)
            .into_iter()
            .partition(|sent: &Sent| belongs(sent.kind));
        self.requests = rest;
        self.effects.extend(
            acks.iter()
                .filter_map(|ack: &Sent| ack.attempt)
                .map(Effect::Drop),
        );
        if over.kind == Kind::Invite {
            self.invite = None;
            // RFC 3261, 13.2.2.4: early dialogs without a 2xx are no more.
            let early: Vec<_> = self
                .legs
                .iter()
                .filter(|leg| matches!(leg.stage, leg::Stage::Early | leg::Stage::Lost))
                .map(|leg| leg.id)
                .collect();
            for id in early {
                self.end_leg(id);
            }
        }
    }

    /// A request was refused with something that another one can mend: makes `request` ready to go
    /// again, with the next number and credentials (401, 407: RFC 3261, 22.2), a longer session interval
    /// (422: RFC 4028, 7.3) or without an extension (420). False if it cannot be mended: the response is
    /// the outcome.
    pub(crate) fn amend(&mut self, tag: u32, response: &Response, request: &mut Request) -> bool {
        let Some(at) = self.requests.iter().position(|sent| sent.tag == tag) else {
            return false;
        };
        let is_mended = match response.status {
            Status::SESSION_INTERVAL_TOO_SMALL => self.amend_interval(at, response, request),
            Status::BAD_EXTENSION => self.amend_extensions(at, response, request),
            _ => self.amend_credentials(at, response),
        };
        if !is_mended {
            return false;
        }
        let Some(number) = self.next_number(at) else {
            return false;
        };
        request
            .headers
            .insert(HeaderName::CSeq, CSeq::new(number, request.method.clone()));
        let origin = self.requests[at].origin;
        self.authentication
            .authorize(&self.keyring, request, origin);
        let sent = &mut self.requests[at];
        sent.number = number;
        sent.credentials = credentials_of(request);
        if sent.kind == Kind::Invite {
            // The dialogs that it makes go on counting from here.
            self.invite = Some(Box::new(request.clone()));
        }
        true
    }

    /// A request has gone to this address.
    fn note_way(&mut self, at: usize, address: IpAddr) {
        let sent = &mut self.requests[at];
        if sent.kind == Kind::Invite {
            self.own_way.went_to(address);
        } else if sent.origin == Origin::Elsewhere {
            sent.origin = self.own_way.origin_at(address);
        }
    }

    /// Why the last challenge was not answered, or the last success not believed.
    pub(crate) const fn refusal(&self) -> Option<Refusal> {
        self.refusal
    }

    fn amend_credentials(&mut self, at: usize, response: &Response) -> bool {
        let Sent { origin, tries, .. } = &mut self.requests[at];
        let answered = self.authentication.handle_challenge(
            &mut self.keyring,
            &mut self.rng,
            response,
            *origin,
            tries,
        );
        self.refusal = answered.err();
        self.refusal.is_none()
    }

    fn amend_interval(&mut self, at: usize, response: &Response, request: &mut Request) -> bool {
        let sent = &mut self.requests[at];
        sent.amendments += 1;
        if sent.amendments > MAX_AMENDMENTS {
            return false;
        }
        let (kind, asked) = (sent.kind, sent.interval);
        let longer = self.lengthen(kind, asked, response, &mut request.headers);
        if longer.is_some() {
            self.requests[at].interval = longer;
        }
        longer.is_some()
    }

    /// RFC 3261, 8.1.3.5: once more without the extensions that the peer does not know, unless our
    /// policy insists on them.
    fn amend_extensions(&mut self, at: usize, response: &Response, request: &mut Request) -> bool {
        let unsupported: Vec<&[u8]> = response.headers.values(HeaderName::Unsupported).collect();
        let is_unknown = |option: &[u8]| {
            unsupported
                .iter()
                .any(|unknown| unknown.eq_ignore_ascii_case(option))
        };
        let insists = (self.config.reliable == Reliability::Required
            && is_unknown(reliable::OPTION.as_bytes()))
            // Without it the call would be one more beside the one that it shall replace.
            || (request.headers.contains(HeaderName::Replaces)
                && is_unknown(replaces::OPTION.as_bytes()));
        let sent = &mut self.requests[at];
        if insists || sent.amendments > 0 {
            return false;
        }
        sent.amendments = MAX_AMENDMENTS;
        let mut is_changed = false;
        for name in [HeaderName::Require, HeaderName::Supported] {
            let all: Vec<Vec<u8>> = request.headers.values(name).map(<[u8]>::to_vec).collect();
            let kept: Vec<&Vec<u8>> = all.iter().filter(|option| !is_unknown(option)).collect();
            if kept.len() == all.len() {
                continue;
            }
            is_changed = true;
            request.headers.remove(name);
            if !kept.is_empty() {
                request.headers.push(name, List(kept));
            }
        }
        is_changed
    }

    fn next_number(&mut self, at: usize) -> Option<u32> {
        let Sent { kind, number, .. } = self.requests[at];
        match kind {
            Kind::Invite => number.checked_add(1),
            Kind::Reinvite(id)
            | Kind::Bye(id)
            | Kind::Prack(id)
            | Kind::Update(id)
            | Kind::Info(id) => {
                let leg = self.leg_mut(id)?;
                // Only its number is wanted.
                leg.dialog.request(Method::Options).ok()?;
                leg.dialog.local_sequence()
            }
            Kind::Ack(..) => None,
        }
    }

    /// The attempt of a running request.
    pub(super) fn attempt_of(&self, wanted: impl Fn(Kind) -> bool) -> Option<AttemptId> {
        let running = |sent: &&Sent| wanted(sent.kind) && !sent.is_answered;
        self.requests
            .iter()
            .find(running)
            .and_then(|sent| sent.attempt)
    }

    /// True while such a request has no final response.
    pub(super) fn is_running(&self, wanted: impl Fn(Kind) -> bool) -> bool {
        self.requests
            .iter()
            .any(|sent| wanted(sent.kind) && !sent.is_answered)
    }

    /// Tells that a transaction of ours came to its end (SES-69).
    pub(super) fn tell_transaction(&mut self, method: Method, status: Status, reason: &str) {
        // The ACK of a failure is the transaction's, that of a 2xx follows at once.
        let ack_received = (method == Method::Invite).then_some(true);
        self.tell(InvitationEvent::Transaction {
            originator: Originator::Local,
            method,
            code: status,
            reason: reason.to_owned(),
            ack_received,
        });
    }

    /// A step caused by a response.
    pub(super) fn step_by(&mut self, signal: Signal, status: Status, reason: &str) -> bool {
        let why = Why {
            method: None,
            status: Some(status),
            reason: Some(reason),
        };
        self.step(signal, why)
    }
}

/// How often a request goes again for its session interval: once for each proxy that wants a longer one.
const MAX_AMENDMENTS: u8 = 3;

/// What a request shows to those who challenged it before.
fn credentials_of(request: &Request) -> Headers {
    let mut credentials = Headers::new();
    credentials.copy_from(&request.headers, HeaderName::Authorization);
    credentials.copy_from(&request.headers, HeaderName::ProxyAuthorization);
    credentials
}
