//! A presence server: a state agent for what its users publish (RFC 3856, 5; RFC 3903; RFC 6665).

mod exchange;
mod watcher;

use base::{Deadline, Timers};
use bytes::Bytes;
use sip::{HeaderName, Message, Method, Request, Response, Status};
use sipsimple::agent::{Input, Output};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{
    compositor::Compositor,
    wire::{Flow, Heard, Wire},
};
use crate::node::Node;
use watcher::{End, Watcher};

/// Whether somebody may see a user's state (RFC 3856, 6.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Consent {
    /// He sees it.
    #[default]
    Given,
    /// The user has not decided yet: he is told nothing.
    Awaited,
    /// He does not, and is told so.
    Refused,
}

/// What the server did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct PresenceStats {
    /// PUBLISHes that were accepted.
    pub published: u64,
    /// PUBLISHes with an entity tag that is not known: 412.
    pub unmatched: u64,
    /// SUBSCRIBEs that renewed a subscription.
    pub renewed: u64,
    /// SUBSCRIBEs within a dialog that is not known: 481.
    pub strangers: u64,
    /// Subscriptions whose time was over.
    pub expired: u64,
    /// Reports, each once however often it was sent.
    pub notified: u64,
    /// Subscriptions that ended because their watcher did not take a report.
    pub lost: u64,
}

/// A presence server: a state agent for what its users publish.
///
/// It listens on one address over UDP and TCP, keeps what is published in a [`Compositor`], and reports it
/// to whoever may see it; it asks nobody for a password. It stands at the end of all ways: no proxy is
/// between it and its watchers. Requests and responses are transactions of its own making, written on the
/// message layer alone.
#[derive(Debug)]
pub struct Presence {
    wire: Wire,
    compositor: Compositor,
    /// By watcher and user; who is not here has the user's consent.
    consents: BTreeMap<(String, String), Consent>,
    watchers: BTreeMap<u64, Watcher>,
    serial: u64,
    /// Requests that were answered, by their transactions, until they cannot come again.
    answered: BTreeMap<String, (u64, Bytes)>,
    /// Whose report a branch is.
    by_branch: BTreeMap<String, u64>,
    timers: Timers<Timer>,
    stats: PresenceStats,
}

/// What is waited for; the number is that of a watcher, or of an answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Timer {
    /// Send a report again (E).
    Again(u64),
    /// A report was not answered (F).
    Silent(u64),
    /// A subscription is over.
    Expires(u64),
    /// A request cannot come again (J).
    Answered(u64),
    /// A publication is over.
    Unpublished,
}

impl Timer {
    const fn why(self) -> &'static str {
        match self {
            Self::Again(_) => "presence timer E",
            Self::Silent(_) => "presence timer F",
            Self::Expires(_) => "subscription over",
            Self::Answered(_) => "presence timer J",
            Self::Unpublished => "publication over",
        }
    }
}

impl Presence {
    /// Listens on `address`, an address of its host.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            wire: Wire::new(address),
            compositor: Compositor::new(),
            consents: BTreeMap::new(),
            watchers: BTreeMap::new(),
            serial: 0,
            answered: BTreeMap::new(),
            by_branch: BTreeMap::new(),
            timers: Timers::new(),
            stats: PresenceStats::default(),
        }
    }

    /// Lets a watcher see a user's state, or no more; whoever has subscribed is told (RFC 3857).
    pub fn set_consent(&mut self, now: Instant, watcher: &str, user: &str, consent: Consent) {
        let who = (watcher.to_owned(), user.to_owned());
        self.consents.insert(who, consent);
        let concerned = self
            .watchers
            .iter()
            .filter(|(_, known)| known.watcher == watcher && known.user == user);
        let ids: Vec<u64> = concerned.map(|(id, _)| *id).collect();
        for id in ids {
            if consent == Consent::Refused
                && let Some(known) = self.watchers.get_mut(&id)
            {
                known.end = Some(End::Rejected);
            }
            self.report(now, id);
        }
    }

    /// What is published.
    pub const fn compositor(&self) -> &Compositor {
        &self.compositor
    }

    /// How many subscriptions there are.
    pub fn watchers(&self) -> usize {
        self.watchers.len()
    }

    /// What it did so far.
    pub const fn stats(&self) -> PresenceStats {
        self.stats
    }

    /// Starts anew: publications, subscriptions, transactions and connections are gone.
    pub fn restart(&mut self) {
        self.compositor.restart();
        self.watchers.clear();
        self.answered.clear();
        self.by_branch.clear();
        self.timers = Timers::new();
        self.wire.close_streams();
    }

    fn consent(&self, watcher: &str, user: &str) -> Consent {
        let who = (watcher.to_owned(), user.to_owned());
        self.consents.get(&who).copied().unwrap_or_default()
    }

    fn request(&mut self, now: Instant, flow: Flow, request: &Request) {
        if request.method == Method::Ack || self.repeat(flow, request) {
            return;
        }
        let (response, reported) = match request.method {
            Method::Publish => (self.publish(now, request), None),
            Method::Subscribe => self.subscribe(now, flow, request),
            _ => {
                let mut response = refused(request, Status::METHOD_NOT_ALLOWED);
                response
                    .headers
                    .push(HeaderName::Allow, "PUBLISH, SUBSCRIBE");
                (response, None)
            }
        };
        self.answer(now, flow, request, &response);
        // RFC 6665, 4.2.1.2: at once, behind the response.
        if let Some(id) = reported {
            self.report(now, id);
        } else if request.method == Method::Publish && response.status.is_success() {
            self.report_all(now, request.uri.user().unwrap_or_default());
        }
    }

    fn publish(&mut self, now: Instant, request: &Request) -> Response {
        if event(request) != "presence" {
            return self.unknown_event(request);
        }
        let response = self.compositor.publish(now, request);
        self.stats.published += u64::from(response.status.is_success());
        let is_unmatched = response.status == Status::CONDITIONAL_REQUEST_FAILED;
        self.stats.unmatched += u64::from(is_unmatched);
        self.await_end();
        response
    }

    fn await_end(&mut self) {
        let timer = Timer::Unpublished;
        let end = self.compositor.next_end();
        let deadline = end.map(|at| Deadline::new(at, timer.why()));
        self.timers.set(timer, deadline);
    }

    /// RFC 6665, 7.2 and 8.3.2
    fn unknown_event(&self, request: &Request) -> Response {
        let mut response = refused(request, Status::BAD_EVENT);
        response.headers.push(HeaderName::AllowEvents, "presence");
        response
    }

    /// Tells everybody who watches a user.
    fn report_all(&mut self, now: Instant, user: &str) {
        let of_user = self.watchers.iter().filter(|(_, known)| known.user == user);
        let ids: Vec<u64> = of_user.map(|(id, _)| *id).collect();
        for id in ids {
            self.report(now, id);
        }
    }

    fn arm(&mut self, now: Instant, timer: Timer, after: Duration) {
        let deadline = Deadline::new(now + after, timer.why());
        self.timers.set(timer, Some(deadline));
    }

    fn fire(&mut self, now: Instant, timer: Timer) {
        match timer {
            Timer::Again(id) => self.send_again(now, id),
            Timer::Silent(id) => self.lose(id),
            Timer::Expires(id) => self.expired(now, id),
            Timer::Answered(number) => self.answered.retain(|_, (known, _)| *known != number),
            Timer::Unpublished => {
                for user in self.compositor.expire(now) {
                    self.report_all(now, &user);
                }
                self.await_end();
            }
        }
    }
}

impl Node for Presence {
    fn handle(&mut self, now: Instant, input: Input) {
        while let Some((timer, _)) = self.timers.pop_due(now) {
            self.fire(now, timer);
        }
        self.wire.handle(input);
        while let Some(heard) = self.wire.poll_heard() {
            // Who cannot be reached does not answer either.
            let Heard::Message(flow, bytes) = heard else {
                continue;
            };
            match Message::parse(bytes) {
                Ok(Message::Request(request)) => self.request(now, flow, &request),
                Ok(Message::Response(response)) => self.response(now, &response),
                Err(_) => {}
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.wire.poll_output()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.timers.next()
    }
}

fn refused(request: &Request, status: Status) -> Response {
    Response::to_request(request, status, Some("presence"))
}

/// The event package of a request.
fn event(request: &Request) -> String {
    let value = request.headers.get(HeaderName::Event).unwrap_or_default();
    let text = String::from_utf8_lossy(value);
    let package = text.split(';').next().unwrap_or_default();
    package.trim().to_ascii_lowercase()
}
