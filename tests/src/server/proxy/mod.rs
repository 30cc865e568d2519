//! A stateful, record-routing, forking, transport-changing proxy (RFC 3261, 16).

mod branch;
mod contact;
mod context;
mod route;
mod spiral;

use base::{Deadline, Timers, Transport};
use bytes::Bytes;
use sip::{Message, Method, Request, Response, Status, Uri, header::Via};
use sipsimple::agent::{Input, Output};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use super::{
    compositor::Compositor,
    gate::Gate,
    registrar::Registrar,
    wire::{Flow, Heard, Wire},
};
use crate::node::Node;
use context::{Context, Key, Timer};
use spiral::{Return, second_part};

/// How the proxy stays in the path of a dialog.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RecordRoute {
    /// It does not: the peers speak with each other after the first exchange.
    Off,
    /// By `lr`, and twice where the transport changes.
    #[default]
    Loose,
    /// As before RFC 3261: without `lr`; what it forwards has its next hop in the Request-URI.
    Strict,
}

/// What the proxy did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct ProxyStats {
    /// Requests forwarded with state, branches of forks each.
    pub forwarded: u64,
    /// Requests and responses that arrived again and were answered from state.
    pub absorbed: u64,
    /// Requests and responses forwarded without state.
    pub stateless: u64,
    /// CANCELs of its own making.
    pub cancelled: u64,
    /// Requests that came back for somebody else, and went on (RFC 3261, 6).
    pub spirals: u64,
    /// Requests that came back as they were, and were refused with 482.
    pub loops: u64,
    /// Messages that it could not read or send on.
    pub dropped: u64,
    /// Transactions that it keeps.
    pub contexts: usize,
}

type Filter = Box<dyn FnMut(&Message) -> bool>;

/// A stateful, record-routing, forking, transport-changing proxy (RFC 3261, 16).
///
/// It listens on one address of each family over UDP and TCP, looks users up in the bindings that the test sets or
/// its [`Registrar`] keeps, forks to all of them at once and forwards by the Request-URI or the Route.
/// Names resolve as the test says; it never asks a name server. A request that comes back is a spiral if
/// it is for somebody else now, and a loop if not, which is refused (RFC 5393, 4.2). Without a [`Gate`] it is permissive: it
/// does not challenge and refuses nothing that it can forward.
pub struct Proxy {
    wire: Wire,
    record_route: RecordRoute,
    t1: Duration,
    timer_c: Duration,
    bindings: BTreeMap<String, Vec<Uri>>,
    names: BTreeMap<String, IpAddr>,
    contexts: BTreeMap<u64, Context>,
    by_key: BTreeMap<Key, u64>,
    by_branch: BTreeMap<String, (u64, usize)>,
    timers: Timers<(u64, Timer)>,
    next_context: u64,
    filter: Option<Filter>,
    registrar: Option<Registrar>,
    compositor: Option<Compositor>,
    mends_contacts: bool,
    gate: Option<Gate>,
    stats: ProxyStats,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("wire", &self.wire)
            .field("bindings", &self.bindings)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Proxy {
    /// Listens on `address`, an address of its host.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            wire: Wire::new(address),
            record_route: RecordRoute::Loose,
            t1: Duration::from_millis(500),
            timer_c: Duration::from_secs(181),
            bindings: BTreeMap::new(),
            names: BTreeMap::new(),
            contexts: BTreeMap::new(),
            by_key: BTreeMap::new(),
            by_branch: BTreeMap::new(),
            timers: Timers::new(),
            next_context: 0,
            filter: None,
            registrar: None,
            compositor: None,
            mends_contacts: false,
            gate: None,
            stats: ProxyStats::default(),
        }
    }

    /// Listens on `address` too, of the other family.
    pub fn add_address(&mut self, address: SocketAddr) {
        self.wire.add(address);
    }

    /// Sets how it stays in the path; [`RecordRoute::Loose`] at the start.
    pub const fn set_record_route(&mut self, record_route: RecordRoute) {
        self.record_route = record_route;
    }

    /// Calls its streams TLS instead of TCP, and nobody reaches it over TCP: whoever carries them for it does
    /// the cryptography.
    pub const fn set_secured(&mut self) {
        self.wire.set_secured();
    }

    /// Sets how long a branch may ring without a new provisional response; more than three minutes
    /// by RFC 3261, 16.6.
    pub const fn set_timer_c(&mut self, timer_c: Duration) {
        self.timer_c = timer_c;
    }

    /// Says where `user` is: an INVITE is forked to all of them at once. No contact: 480.
    pub fn bind(&mut self, user: &str, contacts: &[Uri]) {
        self.bindings.insert(user.to_owned(), contacts.to_vec());
    }

    /// Makes `name` known; a name for the proxy's own address is a domain that it serves.
    pub fn add_name(&mut self, name: &str, address: IpAddr) {
        self.names.insert(name.to_ascii_lowercase(), address);
    }

    /// Lets users register here from now on.
    pub fn set_registrar(&mut self, registrar: Registrar) {
        self.registrar = Some(registrar);
    }

    /// Its registrar.
    pub const fn registrar(&mut self) -> Option<&mut Registrar> {
        self.registrar.as_mut()
    }

    /// Keeps what its users publish from now on (RFC 3903).
    pub fn set_compositor(&mut self, compositor: Compositor) {
        self.compositor = Some(compositor);
    }

    /// Its event state compositor.
    pub const fn compositor(&mut self) -> Option<&mut Compositor> {
        self.compositor.as_mut()
    }

    /// Writes the address that a datagram came from into its Contact, as proxies do for those behind
    /// address translators.
    pub const fn set_mends_contacts(&mut self, mends_contacts: bool) {
        self.mends_contacts = mends_contacts;
    }

    /// Wants credentials (RFC 3261, 22.3) for requests outside of dialogs whose From is of its domain.
    pub fn set_gate(&mut self, gate: Gate) {
        self.gate = Some(gate);
    }

    /// Its gate.
    pub const fn gate(&mut self) -> Option<&mut Gate> {
        self.gate.as_mut()
    }

    /// Starts anew: transactions, bindings, nonces and connections are gone.
    pub fn restart(&mut self) {
        self.forget();
        self.wire.close_streams();
        if let Some(registrar) = &mut self.registrar {
            registrar.restart();
        }
        if let Some(compositor) = &mut self.compositor {
            compositor.restart();
        }
        if let Some(gate) = &mut self.gate {
            gate.restart();
        }
    }

    /// Drops every message for which `filter` says true, before it is looked at.
    pub fn set_filter(&mut self, filter: impl FnMut(&Message) -> bool + 'static) {
        self.filter = Some(Box::new(filter));
    }

    /// Loses all state of transactions, as after a restart that nobody noticed: what belongs to them
    /// is forwarded without state (RFC 3261, 16.11).
    pub fn forget(&mut self) {
        self.contexts.clear();
        self.by_key.clear();
        self.by_branch.clear();
        self.timers = Timers::new();
    }

    /// What it did so far.
    pub fn stats(&self) -> ProxyStats {
        ProxyStats {
            contexts: self.contexts.len(),
            ..self.stats
        }
    }

    fn message(&mut self, now: Instant, flow: Flow, bytes: Bytes) {
        let Ok(mut message) = Message::parse(bytes) else {
            self.stats.dropped += 1;
            return;
        };
        if let Some(filter) = &mut self.filter
            && filter(&message)
        {
            return;
        }
        if self.mends_contacts {
            contact::mend(&mut message, flow);
        }
        match message {
            Message::Request(request) => self.request(now, flow, request),
            Message::Response(response) => self.response(now, response),
        }
    }

    fn request(&mut self, now: Instant, flow: Flow, mut request: Request) {
        let Ok(via) = request.headers.via() else {
            return;
        };
        // RFC 3261, 18.2.1
        let stamped = via.stamped(flow.peer);
        request
            .headers
            .replace_first(sip::HeaderName::Via, &stamped[..]);
        let key = Key::of(&request);
        if let Some(&id) = self.by_key.get(&key) {
            return match request.method {
                Method::Ack => self.acknowledged(now, id, flow, request),
                _ => self.repeat(id),
            };
        }
        match request.method {
            Method::Ack => self.forward_stateless(now, flow, request),
            Method::Cancel => self.cancel_request(now, flow, request),
            _ => self.new_request(now, flow, request, key),
        }
    }

    fn new_request(&mut self, now: Instant, flow: Flow, mut request: Request, key: Key) {
        let id = self.next_context;
        self.next_context += 1;
        let original = request.clone();
        let context = Context::new(key.clone(), original, flow);
        self.contexts.insert(id, context);
        self.by_key.insert(key, id);
        if request.method == Method::Invite {
            // RFC 3261, 16.2: a proxy may answer 100 before it knows more.
            self.respond(now, id, Status::TRYING);
        }
        match self.has_returned(&request) {
            Some(Return::Loop) => {
                self.stats.loops += 1;
                return self.respond(now, id, Status::LOOP_DETECTED);
            }
            Some(Return::Spiral) => self.stats.spirals += 1,
            None => {}
        }
        let second_part = second_part(&request);
        if !self.comes_from_us(flow, &request)
            && let Err(refusal) = self.admit(now, &mut request)
        {
            return self.send_up(now, id, *refusal);
        }
        if request.method == Method::Register
            && self.is_ours(&request.uri)
            && let Some(registrar) = &mut self.registrar
        {
            if let Some(response) = registrar.register(now, flow, &request) {
                self.send_up(now, id, response);
            }
            return;
        }
        if request.method == Method::Publish
            && self.is_ours(&request.uri)
            && let Some(compositor) = &mut self.compositor
        {
            let response = compositor.publish(now, &request);
            return self.send_up(now, id, response);
        }
        match self.route(now, &mut request) {
            Ok(hops) => {
                for hop in hops {
                    self.stats.forwarded += 1;
                    self.forward(now, id, &request, &second_part, flow, hop);
                }
            }
            Err(status) => self.respond(now, id, status),
        }
    }

    /// RFC 3261, 16.3, item 6, and 22.3; a registrar asks for itself.
    fn admit(&mut self, now: Instant, request: &mut Request) -> Result<(), Box<Response>> {
        let Ok((from, to)) = request
            .headers
            .from()
            .and_then(|from| Ok((from.uri.to_uri(), request.headers.to()?.tag().is_some())))
        else {
            return Ok(());
        };
        if request.method == Method::Register || to || !self.is_ours(&from) {
            return Ok(());
        }
        let Some(gate) = &mut self.gate else {
            return Ok(());
        };
        let verified = gate.check(now, request, "proxy")?;
        if from.user() != Some(&*verified.username) {
            let refusal = Response::to_request(request, Status::FORBIDDEN, Some("proxy"));
            return Err(Box::new(refusal));
        }
        gate.strip(&mut request.headers);
        Ok(())
    }

    /// RFC 3261, 16.10
    fn cancel_request(&mut self, now: Instant, flow: Flow, request: Request) {
        let Some(&id) = self.by_key.get(&Key::cancelled_by(&request)) else {
            return self.forward_stateless(now, flow, request);
        };
        let response = Response::to_request(&request, Status::OK, Some("proxy"));
        self.send_response(Some(flow), &response);
        self.cancel_branches(now, id, &request.headers);
    }

    fn response(&mut self, now: Instant, response: Response) {
        let own = |via: Via<'_>| {
            let ours = self.is_our_sent_by(&via);
            ours.then(|| via.branch().unwrap_or_default().to_owned())
        };
        let Some(branch) = response.headers.via().ok().and_then(own) else {
            self.stats.dropped += 1;
            return;
        };
        let Ok(method) = response.headers.cseq().map(|cseq| cseq.method) else {
            return;
        };
        match self.by_branch.get(&branch).copied() {
            Some((id, index)) => self.branch_response(now, id, index, response, &method),
            None => {
                self.stats.stateless += 1;
                self.pass_up(None, response);
            }
        }
    }

    /// Sends a response to where its topmost Via says (RFC 3261, 18.2.2; RFC 3581, 4).
    fn send_response(&mut self, flow: Option<Flow>, response: &Response) {
        let Ok(via) = response.headers.via() else {
            self.stats.dropped += 1;
            return;
        };
        let transport = via.known_transport().unwrap_or(Transport::Udp);
        let Some(ip) = via.received().or_else(|| self.resolve(&via.sent_by().host)) else {
            self.stats.dropped += 1;
            return;
        };
        let sent_by = via.sent_by().port_or_default(transport);
        let port = via.rport().flatten().unwrap_or(sent_by);
        // Over a stream rport names the connection: if it is gone, the sender listens elsewhere.
        let link = flow.and_then(|flow| flow.link);
        let alive = self
            .wire
            .is_alive(transport, link, SocketAddr::new(ip, port));
        let port = if alive { port } else { sent_by };
        let to = SocketAddr::new(ip, port);
        self.wire.send(transport, to, link, response.to_bytes());
    }

    fn unreachable(&mut self, now: Instant, transport: Transport, to: SocketAddr) {
        // RFC 3261, 16.9: as if 503 had come.
        for (id, index) in self.branches_towards(transport, to) {
            self.branch_failed(now, id, index, Status::SERVICE_UNAVAILABLE);
        }
    }
}

impl Node for Proxy {
    fn handle(&mut self, now: Instant, input: Input) {
        while let Some(((id, timer), _)) = self.timers.pop_due(now) {
            self.fire(now, id, timer);
        }
        self.wire.handle(input);
        while let Some(heard) = self.wire.poll_heard() {
            match heard {
                Heard::Message(flow, bytes) => self.message(now, flow, bytes),
                Heard::Unreachable(transport, to) => self.unreachable(now, transport, to),
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
