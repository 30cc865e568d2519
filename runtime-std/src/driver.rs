//! The loop around the agent.

use crate::{
    ear::Ear,
    observer::Observer,
    ready::Ready,
    request::Request,
    tcp::{Listener, Tcp},
    udp::Udp,
};
use mio::{Events, Poll, Token, Waker};
use sipsimple::{
    agent::{Config, Connection, Input, LinkId, Open, Output, StreamId, System, UserAgent},
    base::LinkError,
    event::{AgentEvent, Event, Notification, StreamEvent},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};
use system::{Disk, Inbox, Job, Storage, UNSUPPORTED, Watch, inside, link_error};

/// Sees everything that an agent says before it is done, with the moment; false: it is not done.
/// Runs on the driver and must not block: for traces and captures, and for tests that lose packets.
pub type Tap = Box<dyn FnMut(Instant, &Output) -> bool + Send>;

/// Owns the agent and its sockets.
///
/// The poller tells of a socket only when something changes on it (edge-triggered). Whoever stops
/// before the system has said `WouldBlock` must therefore come back by himself: he is *hungry*, or
/// *paused* when it is an error that will pass.
pub(crate) struct Driver {
    agent: UserAgent,
    tap: Tap,
    poll: Poll,
    waker: Arc<Waker>,
    requests: Receiver<Request>,
    observers: Vec<Observer>,
    /// An observer is far behind, and the agent knows.
    is_congested: bool,
    sockets: BTreeMap<Token, Socket>,
    tokens: BTreeMap<LinkId, Token>,
    next_token: usize,
    accepted: BTreeMap<Connection, mio::net::TcpStream>,
    next_connection: u64,
    ears: BTreeMap<StreamId, Ear>,
    /// Made when the first file or setting is asked for.
    disk: Option<(Sender<Job>, Receiver<Input>)>,
    storage: Storage,
    inbox: Inbox,
    watch: Watch,
    buffer: Vec<u8>,
    hungry: BTreeSet<Token>,
    paused: Vec<(Instant, Token)>,
    /// The agent has said its last word.
    is_over: bool,
    /// There is no handle any more.
    is_abandoned: bool,
    /// A closure has panicked: the agent cannot be trusted any more.
    has_panicked: bool,
}

#[derive(Debug)]
enum Socket {
    Udp(Udp),
    Tcp(Box<Tcp>),
    Listener(Listener),
}

impl Driver {
    pub(crate) fn new(
        config: Config,
        storage: Storage,
        tap: Tap,
        poll: Poll,
        waker: Arc<Waker>,
        requests: Receiver<Request>,
        observer: Observer,
    ) -> Self {
        let now = Instant::now();
        let watch = Watch::new(now);
        let mut inbox = Inbox::default();
        for fact in watch.facts() {
            inbox.push(now, Input::System(fact));
        }
        Self {
            agent: UserAgent::new(now, config),
            tap,
            poll,
            waker,
            requests,
            observers: vec![observer],
            is_congested: false,
            sockets: BTreeMap::new(),
            tokens: BTreeMap::new(),
            next_token: WAKE.0 + 1,
            accepted: BTreeMap::new(),
            next_connection: 0,
            ears: BTreeMap::new(),
            disk: None,
            storage,
            inbox,
            watch,
            buffer: vec![0; BUFFER],
            hungry: BTreeSet::new(),
            paused: Vec::new(),
            is_over: false,
            is_abandoned: false,
            has_panicked: false,
        }
    }

    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(256);
        while !self.has_panicked {
            self.turn();
            if self.is_over && self.is_abandoned {
                return;
            }
            match self.poll.poll(&mut events, self.wait()) {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    tracing::error!(%error, "the poller fails: the agent ends");
                    return;
                }
                _ => self.gather(&events),
            }
        }
    }

    /// How long to wait; the poller rounds up to its own clock.
    fn wait(&self) -> Option<Duration> {
        if !self.hungry.is_empty() {
            return Some(Duration::ZERO);
        }
        let deadline = self.agent.poll_timeout().map(|deadline| deadline.at);
        let paused = self.paused.iter().map(|(until, _)| *until).min();
        let watch = (!self.is_over).then(|| self.watch.deadline());
        let next = [deadline, paused, watch].into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// Hands everything to the agent that is there, and does everything that it says.
    fn turn(&mut self) {
        self.look_at_observers();
        loop {
            while let Some(output) = self.agent.poll_output() {
                let now = Instant::now();
                if inside(|| (self.tap)(now, &output)) {
                    self.perform(now, output);
                }
            }
            let Some((at, input)) = self.inbox.pop() else {
                break;
            };
            self.agent.handle_input(at, input);
        }
    }

    /// An agent whose application does not keep up takes no calls.
    fn look_at_observers(&mut self) {
        let is_congested = self.observers.iter().any(Observer::is_congested);
        if is_congested != self.is_congested {
            self.is_congested = is_congested;
            let system = System::Congested(is_congested);
            self.agent
                .handle_input(Instant::now(), Input::System(system));
        }
    }

    /// Collects what happened since the last turn.
    fn gather(&mut self, events: &Events) {
        let now = Instant::now();
        let mut ready: BTreeMap<Token, bool> = BTreeMap::new();
        for event in events {
            let readable = event.is_readable() || event.is_read_closed() || event.is_error();
            *ready.entry(event.token()).or_default() |= readable;
        }
        for token in std::mem::take(&mut self.hungry) {
            ready.insert(token, true);
        }
        self.paused.retain(|(until, token)| {
            let is_due = *until <= now;
            if is_due {
                ready.insert(*token, true);
            }
            !is_due
        });
        let is_asked = ready.remove(&WAKE).is_some();
        for (token, readable) in ready {
            self.ready(now, token, readable);
        }
        if !self.is_over {
            for fact in self.watch.check(now) {
                self.inbox.push(now, Input::System(fact));
            }
        }
        if is_asked {
            self.take_requests();
        }
        let deadline = self.agent.poll_timeout();
        if deadline.is_some_and(|deadline| deadline.at <= now) {
            self.inbox.push(now, Input::Timeout);
        }
    }

    fn take_requests(&mut self) {
        if let Some((_, done)) = &self.disk {
            let now = Instant::now();
            for input in done.try_iter() {
                self.inbox.push(now, input);
            }
        }
        for _ in 0..REQUESTS {
            let Ok(request) = self.requests.try_recv() else {
                return;
            };
            self.asked(request);
            if self.has_panicked {
                return;
            }
        }
        self.hungry.insert(WAKE);
    }

    fn asked(&mut self, request: Request) {
        match request {
            Request::Run(run) => {
                // What happened before the command is told before it.
                self.turn();
                self.has_panicked = run(&mut self.agent, Instant::now());
            }
            Request::Frame(stream, frame, flow) => {
                flow.leave();
                if self
                    .agent
                    .write_media(Instant::now(), stream, frame)
                    .is_err()
                {
                    flow.end();
                }
            }
            Request::Frames(stream, ear) => {
                if self.agent.stream_kind(stream).is_some() {
                    self.ears.insert(stream, ear);
                }
            }
            Request::Observe(observer) if self.is_over => drop(observer),
            Request::Observe(observer) => self.observers.push(observer),
            Request::Abandon => {
                self.is_abandoned = true;
                self.turn();
                self.agent.shutdown(Instant::now());
            }
        }
    }

    fn ready(&mut self, now: Instant, token: Token, readable: bool) {
        let inbox = &mut self.inbox;
        let ready = match self.sockets.get_mut(&token) {
            Some(Socket::Udp(udp)) => udp.read(&mut self.buffer, inbox),
            Some(Socket::Tcp(tcp)) => tcp.ready(readable, &mut self.buffer, inbox),
            Some(Socket::Listener(listener)) => {
                let (accepted, next) = (&mut self.accepted, &mut self.next_connection);
                listener.accept(|new| {
                    let connection = Connection(*next);
                    *next += 1;
                    accepted.insert(connection, new.socket);
                    let input = Input::Accepted {
                        listener: new.listener,
                        connection,
                        local: new.local,
                        peer: new.peer,
                    };
                    inbox.push(now, input);
                })
            }
            None => return,
        };
        match ready {
            Ready::Idle => {}
            Ready::More => {
                self.hungry.insert(token);
            }
            Ready::Later(pause) => self.paused.push((now + pause, token)),
            Ready::Over => self.drop_socket(token),
        }
    }

    fn perform(&mut self, now: Instant, output: Output) {
        match output {
            Output::Transmit {
                link, to, payload, ..
            } => {
                let socket = self.tokens.get(&link).and_then(|it| self.sockets.get(it));
                if let Some(Socket::Udp(udp)) = socket
                    && let Some(failed) = udp.send(to, &payload)
                {
                    self.inbox.push(now, failed);
                }
            }
            Output::Write { link, payload } => {
                self.tcp(link, |tcp, inbox| tcp.queue(payload, inbox));
            }
            Output::Finish { link } => {
                self.tcp(link, Tcp::finish);
                // What the agent had no credit for is dropped from now on.
                self.hungry.extend(self.tokens.get(&link));
            }
            Output::Receive { link, more } => {
                let Some(&token) = self.tokens.get(&link) else {
                    return;
                };
                if let Some(Socket::Tcp(tcp)) = self.sockets.get_mut(&token)
                    && tcp.allow(more)
                {
                    // Not at once: a fast peer would keep us from everybody else.
                    self.hungry.insert(token);
                }
            }
            Output::Open { link, how } => {
                self.inbox.open(link);
                match self.open(link, &how) {
                    Ok(None) => {}
                    Ok(Some(local)) => {
                        let peer = None;
                        self.inbox.push(now, Input::Opened { link, local, peer });
                    }
                    Err(error) => self.failed(now, link, error),
                }
            }
            Output::Adopt { connection, link } => {
                self.inbox.open(link);
                if let Err(error) = self.adopt(connection, link) {
                    self.failed(now, link, error);
                }
            }
            Output::Refuse { connection } => {
                self.accepted.remove(&connection);
            }
            Output::Close { link } => {
                self.inbox.close(link);
                if let Some(&token) = self.tokens.get(&link) {
                    self.drop_socket(token);
                }
            }
            Output::Media { stream, frame } => {
                if let Some(ear) = self.ears.get(&stream) {
                    ear.hear(frame);
                }
            }
            Output::Store { request, what } => self.ask_disk(Job::Store(request, what)),
            Output::File { file, what } => self.ask_disk(Job::File(file, what)),
            Output::Notify(notification) => self.notify(&notification),
            // Traces are for the tap.
            _ => {}
        }
    }

    fn notify(&mut self, notification: &Notification) {
        self.observers
            .retain_mut(|observer| observer.tell(notification));
        match notification.event {
            Event::Agent(AgentEvent::DidEnd | AgentEvent::DidFail { .. }) => {
                self.is_over = true;
                self.observers.clear();
                self.ears.clear();
                self.disk = None;
            }
            Event::Stream(stream, StreamEvent::DidEnd) => {
                self.ears.remove(&stream);
            }
            _ => {}
        }
    }

    fn failed(&mut self, now: Instant, link: LinkId, error: LinkError) {
        let error = Some(error);
        self.inbox.push(now, Input::Closed { link, error });
    }

    /// Opens a socket; returns its address unless it has to be connected first.
    fn open(&mut self, link: LinkId, how: &Open) -> Result<Option<SocketAddr>, LinkError> {
        let token = Token(self.next_token);
        let registry = self.poll.registry();
        let opened = match how {
            Open::Udp {
                bind,
                class,
                multicast,
            } => Udp::open(registry, token, link, *bind, *class, multicast.as_ref())
                .map(|(udp, local)| (Socket::Udp(udp), Some(local))),
            Open::Listen { bind, class } => Listener::open(registry, token, link, *bind, *class)
                .map(|(listener, local)| (Socket::Listener(listener), Some(local))),
            Open::Connect { from, to, class } => {
                Tcp::connect(registry, token, link, *from, *to, *class)
                    .map(|tcp| (Socket::Tcp(Box::new(tcp)), None))
            }
            _ => return Err(UNSUPPORTED),
        };
        let (socket, local) = opened.map_err(|error| link_error(&error))?;
        self.insert(token, link, socket);
        Ok(local)
    }

    fn adopt(&mut self, connection: Connection, link: LinkId) -> Result<(), LinkError> {
        let token = Token(self.next_token);
        let socket = self.accepted.remove(&connection).ok_or(LinkError::Reset)?;
        let tcp = Tcp::adopt(self.poll.registry(), token, link, socket)
            .map_err(|error| link_error(&error))?;
        self.insert(token, link, Socket::Tcp(Box::new(tcp)));
        Ok(())
    }

    fn insert(&mut self, token: Token, link: LinkId, socket: Socket) {
        self.next_token += 1;
        self.sockets.insert(token, socket);
        self.tokens.insert(link, token);
    }

    /// Changes a connection; one that breaks by it is over.
    fn tcp(&mut self, link: LinkId, change: impl FnOnce(&mut Tcp, &mut Inbox) -> io::Result<()>) {
        let Some(&token) = self.tokens.get(&link) else {
            return;
        };
        if let Some(Socket::Tcp(tcp)) = self.sockets.get_mut(&token)
            && let Err(error) = change(tcp, &mut self.inbox)
        {
            let closed = tcp.closed(Some(link_error(&error)));
            self.inbox.push(Instant::now(), closed);
            self.drop_socket(token);
        }
    }

    fn drop_socket(&mut self, token: Token) {
        let registry = self.poll.registry();
        let link = match self.sockets.remove(&token) {
            Some(Socket::Udp(udp)) => udp.close(registry),
            Some(Socket::Tcp(tcp)) => tcp.close(registry),
            Some(Socket::Listener(listener)) => listener.close(registry),
            None => return,
        };
        self.tokens.remove(&link);
        self.hungry.remove(&token);
        self.paused.retain(|(_, other)| *other != token);
    }

    /// Disks are waited for on a thread that may block, one job after the other.
    fn ask_disk(&mut self, job: Job) {
        if self.disk.is_none() {
            self.disk = match self.start_disk() {
                Ok(disk) => Some(disk),
                Err(error) => {
                    tracing::error!(%error, "no thread for the disk");
                    let mut refusing = Disk::new(Storage::Memory);
                    return self.inbox.push(Instant::now(), refusing.perform(job));
                }
            };
        }
        if let Some((jobs, _)) = &self.disk {
            // The thread lives as long as this end does.
            let _ = jobs.send(job);
        }
    }

    fn start_disk(&self) -> io::Result<(Sender<Job>, Receiver<Input>)> {
        let (jobs, work) = mpsc::channel();
        let (results, done) = mpsc::channel();
        let mut disk = Disk::new(self.storage.clone());
        let waker = self.waker.clone();
        thread::Builder::new()
            .name("sipsimple disk".to_owned())
            .spawn(move || {
                for job in work {
                    if results.send(disk.perform(job)).is_err() || waker.wake().is_err() {
                        return;
                    }
                }
            })?;
        Ok((jobs, done))
    }
}

/// Wakes the driver for requests.
pub(crate) const WAKE: Token = Token(0);
/// The largest datagram.
const BUFFER: usize = 65_536;
/// Requests in one go, before sockets and the clock have their turn.
const REQUESTS: usize = 256;
