//! Subscriptions: the notifier's side of RFC 6665, 4.2.

use sip::{
    HeaderName, Method, Request, Response, Status, Uri,
    header::{CSeq, ContactValue, Expires, Via},
};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{
    Consent, Presence, Timer, event,
    exchange::{Report, T1},
    refused,
};
use crate::server::wire::Flow;

/// A subscription.
#[derive(Debug)]
pub(super) struct Watcher {
    /// Who watches, and whom.
    pub(super) watcher: String,
    pub(super) user: String,
    /// What its dialog is known by; both with their tags.
    call_id: String,
    local: String,
    tag: String,
    remote: String,
    remote_tag: String,
    event: String,
    cseq: u32,
    remote_cseq: u32,
    target: Uri,
    /// The way that the last SUBSCRIBE took, and where reports go.
    pub(super) flow: Flow,
    pub(super) address: SocketAddr,
    until: Instant,
    /// The report that is on its way; the next waits for it.
    pub(super) report: Option<Report>,
    pub(super) has_more: bool,
    /// The next report is the last.
    pub(super) end: Option<End>,
}

/// Why a subscription ends (RFC 6665, 4.1.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    Timeout,
    Rejected,
}

impl Presence {
    /// Answers a SUBSCRIBE; says who is to be told.
    pub(super) fn subscribe(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Request,
    ) -> (Response, Option<u64>) {
        if event(request) != "presence" {
            return (self.unknown_event(request), None);
        }
        let wish = request.headers.typed::<Expires>().and_then(Result::ok);
        let seconds = wish.map_or(DEFAULT, |wish| wish.0).min(LONGEST);
        let id = match request.headers.to().ok().and_then(|to| to.tag()) {
            Some(tag) => self.known(request, tag),
            None => self.added(now, flow, request),
        };
        let id = match id {
            Ok(id) => id,
            Err(status) => return (refused(request, status), None),
        };
        let Some(watcher) = self.watchers.get_mut(&id) else {
            return (refused(request, Status::SERVER_INTERNAL_ERROR), None);
        };
        let life = Duration::from_secs(seconds.into());
        watcher.until = now + life;
        watcher.flow = flow;
        if let Some((target, address)) = contact(request) {
            (watcher.target, watcher.address) = (target, address);
        }
        if seconds == 0 {
            watcher.end = Some(End::Timeout);
        }
        let mut response = Response::to_request(request, Status::OK, Some(&watcher.tag));
        response.headers.push(HeaderName::Expires, seconds);
        let contact = self.contact(flow);
        response.headers.push(HeaderName::Contact, contact.as_str());
        self.arm(now, Timer::Expires(id), life);
        (response, Some(id))
    }

    /// The subscription that a SUBSCRIBE renews or ends.
    fn known(&mut self, request: &Request, tag: &str) -> Result<u64, Status> {
        let headers = &request.headers;
        let (call_id, from) = (headers.call_id(), headers.from());
        let is_it = |watcher: &Watcher| {
            let from = from.as_ref().ok().and_then(|from| from.tag());
            watcher.tag == tag
                && call_id.as_ref().is_ok_and(|id| *id == watcher.call_id)
                && from == Some(&*watcher.remote_tag)
        };
        let found = self.watchers.iter_mut().find(|(_, known)| is_it(known));
        let Some((id, watcher)) = found.filter(|(_, known)| known.end.is_none()) else {
            self.stats.strangers += 1;
            return Err(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
        };
        let number = headers.cseq().map_err(|_| Status::BAD_REQUEST)?.number;
        // RFC 3261, 12.2.2
        if number <= watcher.remote_cseq {
            return Err(Status::SERVER_INTERNAL_ERROR);
        }
        watcher.remote_cseq = number;
        self.stats.renewed += 1;
        Ok(*id)
    }

    /// A new subscription.
    fn added(&mut self, now: Instant, flow: Flow, request: &Request) -> Result<u64, Status> {
        let bad = |_| Status::BAD_REQUEST;
        let headers = &request.headers;
        let (from, to) = (headers.from().map_err(bad)?, headers.to().map_err(bad)?);
        let watcher = from.uri.user().unwrap_or_default().to_owned();
        let user = to.uri.user().unwrap_or_default().to_owned();
        if self.consent(&watcher, &user) == Consent::Refused {
            return Err(Status::FORBIDDEN);
        }
        let (target, address) = contact(request).ok_or(Status::BAD_REQUEST)?;
        self.serial += 1;
        let (id, tag) = (self.serial, format!("p{}", self.serial));
        let text = |name| {
            let value: &[u8] = headers.get(name).unwrap_or_default();
            String::from_utf8_lossy(value).into_owned()
        };
        self.watchers.insert(
            id,
            Watcher {
                watcher,
                user,
                call_id: headers.call_id().map_err(bad)?.to_owned(),
                local: format!("{};tag={tag}", text(HeaderName::To)),
                tag,
                remote_tag: from.tag().ok_or(Status::BAD_REQUEST)?.to_owned(),
                remote: text(HeaderName::From),
                event: text(HeaderName::Event),
                cseq: 0,
                remote_cseq: headers.cseq().map_err(bad)?.number,
                target,
                flow,
                address,
                until: now,
                report: None,
                has_more: false,
                end: None,
            },
        );
        Ok(id)
    }

    /// The time of a subscription is over.
    pub(super) fn expired(&mut self, now: Instant, id: u64) {
        let Some(watcher) = self.watchers.get_mut(&id) else {
            return;
        };
        if watcher.end.is_none() {
            self.stats.expired += 1;
            watcher.end = Some(End::Timeout);
            self.report(now, id);
        }
    }

    /// Tells a watcher how things are; if he has not answered to the last report yet, when he has.
    pub(super) fn report(&mut self, now: Instant, id: u64) {
        let Some(watcher) = self.watchers.get_mut(&id) else {
            return;
        };
        if watcher.report.is_some() {
            watcher.has_more = true;
            return;
        }
        watcher.cseq += 1;
        self.serial += 1;
        let branch = format!("z9hG4bK-n{}", self.serial);
        let Some(watcher) = self.watchers.get(&id) else {
            return;
        };
        let report = Report {
            bytes: self.notify(now, watcher, &branch).to_bytes(),
            branch,
            interval: T1,
        };
        self.send(now, id, report);
    }

    fn notify(&self, now: Instant, watcher: &Watcher, branch: &str) -> Request {
        let mut request = Request::new(Method::Notify, watcher.target.clone());
        let headers = &mut request.headers;
        let via = Via::ours(watcher.flow.transport, &self.wire.address().into(), branch);
        headers.push(HeaderName::Via, via.as_str());
        headers.push(HeaderName::MaxForwards, 70u32);
        headers.push(HeaderName::From, watcher.local.as_str());
        headers.push(HeaderName::To, watcher.remote.as_str());
        headers.push(HeaderName::CallId, watcher.call_id.as_str());
        headers.push(HeaderName::CSeq, CSeq::new(watcher.cseq, Method::Notify));
        headers.push(HeaderName::Contact, self.contact(watcher.flow).as_str());
        headers.push(HeaderName::Event, watcher.event.as_str());
        let consent = self.consent(&watcher.watcher, &watcher.user);
        let left = watcher.until.saturating_duration_since(now).as_secs();
        let state = match (watcher.end, consent) {
            (Some(End::Timeout), _) => "terminated;reason=timeout".to_owned(),
            (Some(End::Rejected), _) => "terminated;reason=rejected".to_owned(),
            (None, Consent::Given) => format!("active;expires={left}"),
            (None, _) => format!("pending;expires={left}"),
        };
        headers.push(HeaderName::SubscriptionState, state.as_str());
        // RFC 3856, 6.6.2: whoever may not see the state is told none.
        let state = self.compositor.state(now, &watcher.user);
        if let Some(document) = state.filter(|_| consent == Consent::Given) {
            request.set_body(&document.content_type, document.body.clone());
        }
        request
    }

    fn contact(&self, flow: Flow) -> String {
        let (address, transport) = (self.wire.address(), flow.transport);
        format!("<sip:{address};transport={transport}>")
    }
}

/// Where a subscriber wants its reports.
fn contact(request: &Request) -> Option<(Uri, SocketAddr)> {
    let ContactValue::Address(contact) = request.headers.contact().ok()?? else {
        return None;
    };
    let uri = contact.uri.to_uri();
    let ip = uri.host()?.ip()?;
    let port = uri.port().unwrap_or(5060);
    Some((uri, SocketAddr::new(ip, port)))
}

const DEFAULT: u32 = 3_600;
const LONGEST: u32 = 7_200;
