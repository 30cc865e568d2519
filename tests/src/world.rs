//! The loop: the earliest of all deliveries and deadlines, one step at a time.

mod network;

use base::{Deadline, Rng, Timers};
use sipsimple::{
    agent::{Input, Output, System},
    event::Event,
};
use std::{
    any::Any,
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    fmt,
    net::IpAddr,
    rc::Rc,
    sync::OnceLock,
    time::{Duration, Instant},
};

use crate::{
    Cut, Host, HostId, Inbox, Limits, Node, Path, Violation,
    link::Link,
    log::errors_of,
    nat::Translator,
    tcp::{Tcp, TcpEvent},
    trace::{Action, Trace},
    udp::{Judge, Packet},
};

/// Hosts, the paths between them, and the time.
///
/// Time is virtual and starts at zero. A run is a function of the seed, the nodes and what the
/// script does: nothing else decides, so the same run gives the same [`Trace`].
pub struct World {
    now: Instant,
    sequence: u64,
    queue: BinaryHeap<Scheduled>,
    deadlines: Timers<HostId>,
    hosts: Vec<Host>,
    owners: BTreeMap<IpAddr, HostId>,
    default_path: Path,
    links: BTreeMap<(HostId, HostId), Link>,
    connections: BTreeMap<u64, Tcp>,
    next_connection: u64,
    packets: u64,
    steps: u64,
    cut: Cut,
    rng: Rng,
    cut_rng: Rng,
    tracing: bool,
    trace: Trace,
    limits: Limits,
    violations: Vec<Violation>,
    reactions: Vec<Reaction>,
    judge: Option<Judge>,
    nats: Vec<Translator>,
    /// Hosts that no datagrams reach or leave.
    firewalls: BTreeSet<HostId>,
}

/// What the heap holds.
pub(crate) enum Delivery {
    Packet(Packet),
    Tcp(u64, TcpEvent),
    /// For the node of this epoch.
    Input(HostId, u32, Input),
    Script(Box<dyn FnOnce(&mut World)>),
}

struct Scheduled {
    at: Instant,
    sequence: u64,
    delivery: Delivery,
}

type React = Rc<dyn Fn(&mut World, HostId, &Event)>;

/// What an application does when it is told something.
pub(crate) struct Reaction {
    pub(crate) host: HostId,
    pub(crate) delay: Duration,
    pub(crate) wants: Box<dyn Fn(&Event) -> bool>,
    pub(crate) react: React,
}

impl World {
    /// Makes an empty world; `seed` decides everything that chance decides.
    pub fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut rng = Rng::from_seed(bytes);
        let cut_rng = rng.fork();
        Self {
            now: origin(),
            sequence: 0,
            queue: BinaryHeap::new(),
            deadlines: Timers::new(),
            hosts: Vec::new(),
            owners: BTreeMap::new(),
            default_path: Path::ideal(),
            links: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            packets: 0,
            steps: 0,
            cut: Cut::Random,
            rng,
            cut_rng,
            tracing: true,
            trace: Trace::default(),
            limits: Limits::default(),
            violations: Vec::new(),
            reactions: Vec::new(),
            judge: None,
            nats: Vec::new(),
            firewalls: BTreeSet::new(),
        }
    }

    /// Adds a host with one or more addresses. Its node is told its interfaces at once.
    pub fn add_host(&mut self, name: &str, addresses: &[IpAddr], node: impl Node) -> HostId {
        let id = HostId::new(self.hosts.len());
        for &address in addresses {
            let before = self.owners.insert(address, id);
            assert!(before.is_none(), "{address} belongs to another host");
        }
        let host = Host::new(name, addresses.to_vec(), Box::new(node));
        let interfaces = host.interfaces();
        self.hosts.push(host);
        self.trace.add_host(name);
        self.handle(id, Input::System(System::Interfaces(interfaces)));
        id
    }

    /// Sets the path of all pairs of hosts that have none of their own yet.
    pub fn set_default_path(&mut self, path: Path) {
        self.default_path = path.clone();
        for link in self.links.values_mut() {
            link.path = path.clone();
        }
    }

    /// Sets the path from one host to another, in this direction only.
    pub fn set_path(&mut self, from: HostId, to: HostId, path: Path) {
        self.link(from, to).path = path;
    }

    /// Sets how byte streams are cut; [`Cut::Random`] at the start.
    pub const fn set_cut(&mut self, cut: Cut) {
        self.cut = cut;
    }

    /// Switches the trace off for bulk runs, or on again. It is on at the start.
    pub const fn set_tracing(&mut self, on: bool) {
        self.tracing = on;
    }

    /// Sets what the invariants allow.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The virtual moment.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// The moment zero.
    pub fn start(&self) -> Instant {
        origin()
    }

    /// How long the world has existed.
    pub fn elapsed(&self) -> Duration {
        self.now.saturating_duration_since(origin())
    }

    /// How many steps were made.
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// The trace so far.
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// What broke an invariant so far, in order.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Randomness for the script, from the seed.
    pub const fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// A host.
    pub fn host(&self, id: HostId) -> &Host {
        &self.hosts[id.index()]
    }

    /// All hosts in the order in which they were added.
    pub fn hosts(&self) -> impl Iterator<Item = (HostId, &Host)> {
        (0..).map(HostId::new).zip(&self.hosts)
    }

    /// The node of a host, for queries.
    ///
    /// # Panics
    ///
    /// It is of another type, or down.
    pub fn node<N: Node>(&self, id: HostId) -> &N {
        let node = self.host(id).node.as_deref().expect("the host is up");
        (node as &dyn Any)
            .downcast_ref()
            .expect("a node of the type asked for")
    }

    /// Commands the node of a host and drains it.
    ///
    /// # Panics
    ///
    /// It is of another type, or down.
    pub fn command<N: Node, R>(
        &mut self,
        id: HostId,
        what: &str,
        command: impl FnOnce(&mut N, Instant) -> R,
    ) -> R {
        self.note(id, what);
        let now = self.now;
        let node = self.hosts[id.index()].node.as_deref_mut();
        let node = (node.expect("the host is up") as &mut dyn Any)
            .downcast_mut()
            .expect("a node of the type asked for");
        let mut reply = None;
        let errors = errors_of(|| reply = Some(command(node, now)));
        self.drain(id);
        self.note_errors(id, errors);
        reply.expect("the command was given")
    }

    /// Takes what the application on a host was told since the last time.
    pub fn take_inbox(&mut self, id: HostId) -> Inbox {
        std::mem::take(&mut self.host_mut(id).inbox)
    }

    /// Writes a line of the script into the trace.
    pub fn note(&mut self, id: HostId, text: &str) {
        if self.tracing {
            self.record(id, Action::Note(text.to_owned()));
        }
    }

    /// Makes the application on `host` do something `delay` after each event that it `wants`.
    pub fn react(
        &mut self,
        host: HostId,
        delay: Duration,
        wants: impl Fn(&Event) -> bool + 'static,
        react: impl Fn(&mut Self, HostId, &Event) + 'static,
    ) {
        self.reactions.push(Reaction {
            host,
            delay,
            wants: Box::new(wants),
            react: Rc::new(react),
        });
    }

    /// Says when something happens next.
    pub fn next_event(&self) -> Option<Instant> {
        let delivery = self.queue.peek().map(|next| next.at);
        let deadline = self.deadlines.next().map(|deadline| deadline.at);
        [delivery, deadline].into_iter().flatten().min()
    }

    /// Makes the next step if it is not after `limit`; false if there is none.
    pub fn step(&mut self, limit: Instant) -> bool {
        let Some(at) = self.next_event().filter(|&at| at <= limit) else {
            return false;
        };
        self.now = self.now.max(at);
        self.steps += 1;
        let delivery_is_next = self.queue.peek().is_some_and(|next| next.at <= at);
        if delivery_is_next {
            let next = self.queue.pop().map(|scheduled| scheduled.delivery);
            match next {
                Some(Delivery::Packet(packet)) => self.arrive(packet),
                Some(Delivery::Tcp(id, event)) => self.handle_tcp(id, event),
                Some(Delivery::Input(host, epoch, input)) => self.deliver(host, epoch, input),
                Some(Delivery::Script(script)) => script(self),
                None => {}
            }
        } else if let Some((host, deadline)) = self.deadlines.pop_due(self.now) {
            self.wake(host, deadline);
        }
        true
    }

    /// Runs for `duration` of virtual time.
    pub fn run_for(&mut self, duration: Duration) {
        let limit = self.now + duration;
        while self.step(limit) {}
        self.now = limit;
    }

    fn wake(&mut self, host: HostId, deadline: Deadline) {
        let now = self.now;
        let limit = self.limits.spins;
        let entry = self.host_mut(host);
        let spinning = entry.woken_at == Some(now);
        entry.spins = if spinning { entry.spins + 1 } else { 0 };
        entry.woken_at = Some(now);
        if entry.spins > limit {
            // It is not asked again before something else happens: the run goes on.
            let text = format!("no progress: {} is due again and again", deadline.why);
            return self.violated(host, text);
        }
        if self.tracing {
            let why = deadline.why;
            self.record(host, Action::Timeout { why });
        }
        self.handle_quietly(host, Input::Timeout);
    }

    fn deliver(&mut self, host: HostId, epoch: u32, input: Input) {
        let entry = self.host(host);
        if entry.epoch != epoch || entry.node.is_none() {
            return;
        }
        if entry.asleep {
            return self.schedule(self.now + ASLEEP, Delivery::Input(host, epoch, input));
        }
        if let Input::Opened { link, .. } | Input::Undeliverable { link, .. } = &input
            && !entry.sockets.contains_key(link)
        {
            // No input of a link follows its `Close`.
            return;
        }
        let closed = match &input {
            Input::Closed { link, .. } => Some(*link),
            _ => None,
        };
        if closed.is_some_and(|link| !self.host_mut(host).failing.remove(&link)) {
            return;
        }
        self.host_mut(host).closing = closed;
        self.handle(host, input);
        self.host_mut(host).closing = None;
    }

    /// Gives one input to a node and drains it.
    pub(crate) fn handle(&mut self, host: HostId, input: Input) {
        if self.tracing && !matches!(input, Input::Datagram { .. }) {
            self.record(host, Action::Input(format!("{input:?}")));
        }
        self.handle_quietly(host, input);
    }

    /// The same where the caller has recorded the step.
    pub(crate) fn handle_quietly(&mut self, host: HostId, input: Input) {
        let now = self.now;
        let Some(node) = &mut self.hosts[host.index()].node else {
            return;
        };
        let errors = errors_of(|| node.handle(now, input));
        self.drain(host);
        self.note_errors(host, errors);
    }

    pub(crate) fn drain(&mut self, host: HostId) {
        let mut count = 0u32;
        while let Some(output) = self.poll(host) {
            count += 1;
            if count > self.limits.outputs {
                self.violated(host, format!("more than {count} outputs of one input"));
                break;
            }
            self.perform(host, output);
        }
        let entry = self.host_mut(host);
        if let (Some(node), Some(last)) = (&mut entry.node, entry.recordings.last_mut()) {
            last.extend(node.take_record());
        }
        let node = entry.node.as_ref().filter(|_| !entry.asleep);
        let deadline = node.and_then(|node| node.poll_timeout());
        self.deadlines.set(host, deadline);
    }

    fn note_errors(&mut self, host: HostId, errors: Vec<String>) {
        for error in errors {
            self.violated(host, format!("error record {error}"));
        }
    }

    fn poll(&mut self, host: HostId) -> Option<Output> {
        self.hosts[host.index()].node.as_mut()?.poll_output()
    }

    pub(crate) fn schedule(&mut self, at: Instant, delivery: Delivery) {
        self.sequence += 1;
        self.queue.push(Scheduled {
            at,
            sequence: self.sequence,
            delivery,
        });
    }

    pub(crate) fn schedule_script(
        &mut self,
        at: Instant,
        script: impl FnOnce(&mut Self) + 'static,
    ) {
        self.schedule(at, Delivery::Script(Box::new(script)));
    }

    /// Hands an input to a node in a step of its own.
    pub(crate) fn tell_soon(&mut self, host: HostId, input: Input) {
        self.tell_after(Duration::ZERO, host, input);
    }

    pub(crate) fn tell_after(&mut self, after: Duration, host: HostId, input: Input) {
        if let Input::Closed { link, .. } = &input {
            self.host_mut(host).failing.insert(*link);
        }
        let epoch = self.host(host).epoch;
        self.schedule(self.now + after, Delivery::Input(host, epoch, input));
    }

    pub(crate) fn record(&mut self, host: HostId, action: Action) {
        if self.tracing {
            let at = self.elapsed();
            self.trace.push(at, host, action);
        }
    }

    pub(crate) fn violated(&mut self, host: HostId, text: String) {
        self.record(host, Action::Note(format!("VIOLATION {text}")));
        let at = self.elapsed();
        self.violations.push(Violation { at, host, text });
    }

    pub(crate) fn host_mut(&mut self, id: HostId) -> &mut Host {
        &mut self.hosts[id.index()]
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("elapsed", &self.elapsed())
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

// Earliest first, ties in the order of scheduling: `BinaryHeap` keeps the greatest on top.
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl Eq for Scheduled {}

/// The moment zero of all worlds of this process: runs compare by the time since then.
fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

/// How often an input looks whether its host is awake.
const ASLEEP: Duration = Duration::from_millis(100);
