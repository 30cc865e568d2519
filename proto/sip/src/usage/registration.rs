//! REGISTER: where an address of record can be reached (RFC 3261, 10; requirements 28).
//!
//! With Path (RFC 3327), Service-Route (RFC 3608), GRUUs (RFC 5627), and the instance id and `reg-id` of
//! RFC 5626. The states are those of `lease`, by the names of the documents.

mod binding;
mod event;
mod keep;

pub use binding::Binding;
pub use event::{Registered, Registration, RegistrationEvent, State};

use super::{
    Effect, Exchange, Failed, Parties, Progress,
    exchange::without_unsupported,
    lease::{Lease, Phase, Wish},
    take,
};
use crate::{
    AccountId, HeaderName, Headers, Method, Request, Response, Status, Uri,
    attempt::{Contact, Reach},
    auth::Origin,
    config::{Config, KeepAlive, Pulse},
    header::{Address, Expires, MinExpires},
    refresh::Backoff,
    transaction::Path,
};
use base::{Deadline, Rng, SeldomRng};
use binding::Found;
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// A registration that is kept.
#[derive(Debug)]
pub(crate) struct Registrar {
    exchange: Exchange,
    lease: Lease,
    /// How long to ask for next time.
    expires: Duration,
    headers: Headers,
    instance: Option<Box<str>>,
    /// `reg-id` is written: the first hop has not refused it (439).
    with_outbound: bool,
    contact: Contact,
    /// The contact that is to be removed by the next request, for another took its place.
    stale: Option<Box<Uri>>,
    /// What our contact was when it was registered.
    bound: Option<Uri>,
    /// What the registrar has said of our binding.
    reach: Option<Reach>,
    /// The contact was rewritten to what the registrar sees, for this local address: it is not done
    /// again, however often the translator changes its mind.
    rewritten: Option<String>,
    path: Option<Path>,
    /// How the way to the registrar is kept open while it holds our binding.
    pulse: Option<Pulse>,
    keep_alive: KeepAlive,
    /// Tries of one request after 420, 423 and 439.
    repeats: u8,
    backoff: Backoff,
    is_removed: bool,
    /// `Contact: *` was asked for.
    is_sweeping: bool,
    open: u32,
    rng: SeldomRng,
    effects: VecDeque<Effect<RegistrationEvent>>,
}

impl Registrar {
    /// Registers.
    pub(crate) fn new(registration: Registration, config: &Arc<Config>, rng: &mut Rng) -> Self {
        let contact = Contact {
            user: registration
                .contact_user
                .or_else(|| registration.address.uri.user().map(str::to_owned)),
            // RFC 3261, 10.2.1
            secure: registration.address.uri.is_secure(),
            params: registration.contact_params,
            mapped: None,
            uri: registration.contact,
            account: None,
        };
        let parties = Parties {
            origin: Origin::Registrar,
            from: registration.address.clone(),
            to: registration.address,
            request_uri: registration.registrar,
            route: registration.route,
            contact: None,
            credentials: registration.credentials,
            account: registration.account,
            identity: registration.identity,
        };
        let mut registrar = Self {
            exchange: Exchange::new(parties, config, rng),
            lease: Lease::new(config.transactions.timers.timer_f, rng),
            expires: registration.expires,
            headers: registration.headers,
            with_outbound: registration.instance.is_some(),
            instance: registration.instance.map(Into::into),
            contact,
            stale: None,
            bound: None,
            reach: None,
            rewritten: None,
            path: None,
            pulse: None,
            keep_alive: config.keep_alive,
            repeats: 0,
            backoff: Backoff::new(),
            is_removed: false,
            is_sweeping: false,
            open: 0,
            rng: rng.fork_seldom(),
            effects: VecDeque::new(),
        };
        registrar.register();
        registrar
    }

    pub(crate) fn exchange(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    pub(crate) fn state(&self) -> State {
        self.lease.phase().into()
    }

    /// What was asked for, or will be at the next refresh.
    pub(crate) const fn expires(&self) -> Duration {
        self.expires
    }

    /// What was granted (RGN-02).
    pub(crate) const fn expires_received(&self) -> Option<Duration> {
        self.lease.life()
    }

    pub(crate) const fn set_expires(&mut self, expires: Duration) {
        self.expires = expires;
    }

    /// Sends REGISTER now, or when the answer that is awaited has come (RGN-03, RGN-05).
    pub(crate) fn register(&mut self) {
        self.wish(Wish::Start);
    }

    /// Removes our binding (RGN-04).
    pub(crate) fn unregister(&mut self) {
        self.wish(Wish::Stop);
    }

    /// Removes all bindings of the address of record, those of other devices too (RFC 3261, 10.2.2).
    pub(crate) fn unregister_all(&mut self) {
        self.is_sweeping = true;
        self.wish(Wish::Stop);
    }

    /// Removes our binding, and forgets the registration when that has its answer.
    pub(crate) fn remove(&mut self) {
        self.is_removed = true;
        self.unregister();
    }

    fn wish(&mut self, wish: Wish) {
        let previous = self.state();
        if self.lease.wish(wish) {
            self.repeats = 0;
            self.send(previous);
        }
    }

    /// Sends what the phase asks for.
    fn send(&mut self, previous: State) {
        let state = self.state();
        self.send_again();
        self.tell_state(previous, state, None);
    }

    fn send_again(&mut self) {
        let is_removal = self.lease.phase() == Phase::Stopping;
        let sweeps = is_removal && self.is_sweeping;
        let mut further = Headers::new();
        let seconds = match is_removal {
            true => 0,
            false => u32::try_from(self.expires.as_secs()).unwrap_or(u32::MAX),
        };
        further.push(HeaderName::Expires, Expires(seconds));
        further.push(HeaderName::Supported, self.supported());
        if sweeps {
            further.push(HeaderName::Contact, "*");
        }
        if let Some(stale) = &self.stale {
            // Our own binding of before: 10.2.4 lets us remove it.
            let mut address = Address::new(Uri::clone(stale)).with_param("expires", Some("0"));
            address.params.extend(self.instance_params());
            further.push(HeaderName::Contact, address);
        }
        for field in self.headers.iter() {
            further.push(field.name, field.value);
        }
        let mut contact = self.contact.clone();
        contact.params.extend(self.instance_params());
        let (tag, mut draft) = self.exchange.request(Method::Register, &further, None);
        draft.contact = (!sweeps).then_some(contact);
        self.open += 1;
        self.effects.push_back(Effect::Request { tag, draft });
    }

    const fn supported(&self) -> &'static str {
        match (&self.instance, self.with_outbound) {
            (None, _) => "path",
            // RFC 5627, 4.1
            (Some(_), false) => "path, gruu",
            // RFC 5626, 4.2.1
            (Some(_), true) => "path, outbound, gruu",
        }
    }

    fn instance_params(&self) -> Vec<(String, Option<String>)> {
        let Some(instance) = &self.instance else {
            return Vec::new();
        };
        let mut params = vec![("+sip.instance".to_owned(), Some(format!("<{instance}>")))];
        if self.with_outbound {
            params.push(("reg-id".to_owned(), Some(REG_ID.to_owned())));
        }
        params
    }

    pub(crate) fn poll_effect(&mut self) -> Option<Effect<RegistrationEvent>> {
        take(&mut self.effects)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        self.lease.poll_timeout()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let previous = self.state();
        if self.lease.handle_timeout(now) {
            self.repeats = 0;
            self.send(previous);
        }
    }

    pub(crate) fn answer_challenge(
        &mut self,
        tag: u32,
        response: &Response,
        request: &mut Request,
    ) -> bool {
        let is_answered = self.exchange.answer_challenge(tag, response, request, None);
        if is_answered {
            self.tell_answer(response);
        }
        is_answered
    }

    /// Something became of a request.
    pub(crate) fn handle_progress(&mut self, now: Instant, tag: u32, progress: &Progress<'_>) {
        if matches!(progress, Progress::Over) {
            self.open = self.open.saturating_sub(1);
        }
        if !self.exchange.is_running(tag) {
            return;
        }
        if let Progress::Sent { path } = progress {
            self.path = Some(*path);
            return;
        }
        if let Some(failed) = Failed::of(progress, &self.exchange) {
            let response = match progress {
                Progress::Response(response) => Some(*response),
                _ => None,
            };
            self.exchange.finish(response);
            match response.is_some_and(|response| self.is_repeated(response)) {
                true => self.repeats += 1,
                false => self.fail(now, response, failed),
            }
        } else if let Progress::Response(response) = progress
            && response.status.is_success()
        {
            self.exchange.finish(Some(response));
            self.tell_answer(response);
            self.succeed(now, response);
        }
        while let Some(wish) = self.lease.take_waiting() {
            self.wish(wish);
        }
    }

    /// Sends a request once more if its refusal says how it would be accepted.
    fn is_repeated(&mut self, response: &Response) -> bool {
        if self.repeats >= MAX_REPEATS {
            return false;
        }
        let is_changed = match response.status {
            // RFC 3261, 10.2.8
            Status::INTERVAL_TOO_BRIEF => match min_expires(response) {
                Some(least) if least > self.expires => {
                    self.expires = least;
                    true
                }
                _ => false,
            },
            // RFC 5626, 6
            Status::FIRST_HOP_LACKS_OUTBOUND_SUPPORT => {
                std::mem::replace(&mut self.with_outbound, false)
            }
            // RFC 3261, 8.1.3.5
            Status::BAD_EXTENSION => match without_unsupported(&self.headers, &response.headers) {
                Some(headers) => {
                    self.headers = headers;
                    true
                }
                None => false,
            },
            _ => false,
        };
        if is_changed && self.lease.again() {
            self.tell_answer(response);
            self.send_again();
            return true;
        }
        false
    }

    fn fail(&mut self, now: Instant, response: Option<&Response>, failed: Failed) {
        if let Some(response) = response {
            self.tell_answer(response);
        }
        let previous = self.state();
        let cause = (failed.code(), failed.reason());
        let passing = failed.is_passing().then(|| failed.retry_after());
        let event = match (self.lease.failed(now, passing), previous) {
            (true, _) => RegistrationEvent::Delayed(failed),
            (false, State::Unregistering) => RegistrationEvent::NotEnded(failed),
            (false, _) => RegistrationEvent::Failed(failed),
        };
        if self.lease.phase() == Phase::Off {
            self.forget();
        }
        self.tell_state(previous, self.state(), Some(cause));
        self.effects.push_back(Effect::Tell(event));
    }

    fn succeed(&mut self, now: Instant, response: &Response) {
        let previous = self.state();
        let cause = Some((response.status, response.reason.to_string()));
        if previous == State::Unregistering {
            self.lease.granted(now, Duration::ZERO);
            self.forget();
            self.tell_state(previous, self.state(), cause);
            self.effects
                .push_back(Effect::Tell(RegistrationEvent::Ended));
            return;
        }
        let ours = self.contact_of(response);
        let found = Found::in_response(response, self.instance.as_deref(), ours.as_ref());
        let registered = found
            .ours
            .and_then(|at| found.bindings.get(at))
            .map(|ours| (ours.clone(), granted(response, ours, self.expires)))
            .filter(|(_, expires)| !expires.is_zero());
        let Some((binding, expires)) = registered else {
            return self.fail(now, None, Failed::NotBound);
        };
        self.backoff.succeed();
        let left = self.left_behind(ours.as_ref(), &found.bindings);
        self.bound = ours;
        self.stale = None;
        self.lease.granted(now, expires);
        let uris = |name| binding::uris(response, name);
        let is_outbound = response.headers.has_token(HeaderName::Require, "outbound");
        self.pulse = self.pulse_of(response, is_outbound);
        let public_gruu = binding.gruu("pub-gruu");
        self.reach = Some(Reach {
            gruu: public_gruu.clone().map(Box::new),
            is_outbound,
        });
        let event = Registered {
            expires,
            path: binding::texts(response, HeaderName::Path),
            service_route: uris(HeaderName::ServiceRoute),
            associated: uris(HeaderName::PAssociatedUri),
            public_gruu,
            temporary_gruu: binding.gruu("temp-gruu"),
            is_outbound,
            contact: binding.uri,
            bindings: found.bindings,
            registrar: self.path.map(|path| path.to),
        };
        self.tell_state(previous, self.state(), cause);
        self.effects
            .push_back(Effect::Tell(RegistrationEvent::Succeeded(Box::new(event))));
        if !is_outbound {
            self.rewrite(response);
        }
        if left.is_some() && self.lease.phase() == Phase::On {
            self.stale = left.map(Box::new);
            self.register();
        }
    }

    /// The binding of an address that we had before, if the registrar still has it: it would send us
    /// calls that nobody hears. With RFC 5626 the new one has taken its place.
    fn left_behind(&self, ours: Option<&Uri>, bindings: &[Binding]) -> Option<Uri> {
        let before = self.bound.as_ref()?;
        let is_before = |binding: &Binding| binding.uri.equivalent(before);
        let is_left = ours.is_some_and(|ours| !ours.equivalent(before));
        (is_left && bindings.iter().any(is_before)).then(|| before.clone())
    }

    /// A registrar that sees us at another address than we do cannot reach us at ours: registers what it
    /// sees, and removes what it does not.
    fn rewrite(&mut self, response: &Response) {
        let (Ok(via), None) = (response.headers.via(), &self.contact.uri) else {
            return;
        };
        let here = via.sent_by();
        let seen = via
            .received()
            .zip(via.rport().flatten())
            .map(|(ip, port)| SocketAddr::new(ip, port));
        let (Some(seen), Some(path)) = (seen, self.path) else {
            return;
        };
        let is_ours = here.host.ip() == Some(seen.ip())
            && here.port.unwrap_or_else(|| path.transport.default_port()) == seen.port();
        // The same local address was rewritten before: a translator that changes its mind would have
        // us registering for ever.
        let is_known = self.rewritten.as_deref() == Some(here.to_string().as_str());
        if path.transport.is_reliable() || is_ours || is_known {
            return;
        }
        self.rewritten = Some(here.to_string());
        self.stale = self.contact_of(response).map(Box::new);
        self.contact.mapped = Some(seen);
        self.register();
    }

    /// Our Contact in the request that was answered.
    fn contact_of(&self, response: &Response) -> Option<Uri> {
        let via = response.headers.via().ok()?;
        let transport = self.path?.transport;
        crate::attempt::contact_uri(&self.contact, transport, &via.sent_by())
    }

    /// Nothing is bound any more: what was learnt of the way counts no more.
    fn forget(&mut self) {
        self.stale = None;
        self.bound = None;
        self.reach = None;
        self.pulse = None;
        self.is_sweeping = false;
    }

    fn tell_state(&mut self, previous: State, state: State, cause: Option<(Status, String)>) {
        let (code, reason) = cause.unzip();
        self.effects
            .push_back(Effect::Tell(RegistrationEvent::StateChanged {
                previous,
                state,
                code,
                reason,
            }));
    }

    fn tell_answer(&mut self, response: &Response) {
        let event = RegistrationEvent::Answered {
            code: response.status,
            reason: response.reason.to_string(),
            min_expires: min_expires(response),
            registrar: self.path.map(|path| path.to),
        };
        self.effects.push_back(Effect::Tell(event));
    }

    /// By what this device is reached, while the registrar has our binding and is to keep it (RFC 5627,
    /// 4.4); `None` without an instance.
    pub(crate) fn reach(&self) -> Option<&Reach> {
        let is_kept = self.lease.phase() != Phase::Stopping && self.instance.is_some();
        self.reach.as_ref().filter(|_| is_kept)
    }

    pub(crate) const fn account(&self) -> Option<AccountId> {
        self.exchange.account()
    }

    /// Our Contact, as it was registered.
    pub(crate) const fn bound(&self) -> Option<&Uri> {
        self.bound.as_ref()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_removed
            && self.open == 0
            && self.lease.phase() == Phase::Off
            && self.effects.is_empty()
    }
}

/// How long a binding will be kept: as itself says, else as the response says, else as we asked (RGN-07).
fn granted(response: &Response, ours: &Binding, asked: Duration) -> Duration {
    let of_response = || match response.headers.typed::<Expires>() {
        Some(Ok(Expires(seconds))) => Some(Duration::from_secs(seconds.into())),
        Some(Err(_)) | None => None,
    };
    ours.expires.or_else(of_response).unwrap_or(asked)
}

/// The least that a server accepts (RFC 3261, 20.23).
pub(super) fn min_expires(response: &Response) -> Option<Duration> {
    let MinExpires(seconds) = response.headers.typed::<MinExpires>()?.ok()?;
    Some(Duration::from_secs(seconds.into()))
}

/// The one flow that we keep (RFC 5626, 4.2).
const REG_ID: &str = "1";
/// 423, 420 and 439 each once, one after the other.
const MAX_REPEATS: u8 = 3;
