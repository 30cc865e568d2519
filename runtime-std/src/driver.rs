//! The loop around the agent.

use crate::{
    agent::{Request, Tap, WAKE},
    observer::Observer,
    tcp::{self, Tcp},
    udp::{UNSUPPORTED, Udp},
};
use mio::{Events, Poll, Token, Waker, net::TcpListener};
use sipsimple::{
    agent::{Config, Connection, Frame, Input, LinkId, Open, Output, StreamId, System, UserAgent},
    event::{AgentEvent, Event},
};
use std::{
    collections::{BTreeMap, VecDeque},
    io::ErrorKind,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender, SyncSender, TryRecvError},
    },
    thread,
    time::{Duration, Instant},
};
use system::{Disk, Drift, Job, Jump, Storage, facts, link_error, unix_time};

/// Owns the agent and its sockets.
pub(crate) struct Driver {
    agent: UserAgent,
    tap: Tap,
    poll: Poll,
    waker: Arc<Waker>,
    requests: Receiver<Request>,
    observers: Vec<Observer>,
    sockets: BTreeMap<Token, Socket>,
    tokens: BTreeMap<LinkId, Token>,
    next_token: usize,
    accepted: BTreeMap<Connection, mio::net::TcpStream>,
    next_connection: u64,
    frames: BTreeMap<StreamId, SyncSender<Frame>>,
    /// Made when the first file or setting is asked for.
    disk: Option<(Sender<Job>, Receiver<Input>)>,
    storage: Storage,
    inputs: VecDeque<Input>,
    drift: Drift,
    buffer: Vec<u8>,
    /// Sockets that have more than one batch.
    hungry: Vec<Token>,
    is_over: bool,
}

#[derive(Debug)]
enum Socket {
    Udp(Udp),
    Tcp(Box<Tcp>),
    Listener(LinkId, TcpListener),
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
        Self {
            agent: UserAgent::new(now, config),
            tap,
            poll,
            waker,
            requests,
            observers: vec![observer],
            sockets: BTreeMap::new(),
            tokens: BTreeMap::new(),
            next_token: WAKE.0 + 1,
            accepted: BTreeMap::new(),
            next_connection: 0,
            frames: BTreeMap::new(),
            disk: None,
            storage,
            inputs: facts().into_iter().map(Input::System).collect(),
            drift: Drift::new(now),
            buffer: vec![0; BUFFER],
            hungry: Vec::new(),
            is_over: false,
        }
    }

    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            self.turn();
            if self.is_over {
                return;
            }
            let now = Instant::now();
            let deadline = self.agent.poll_timeout().map(|deadline| deadline.at);
            let lingering = self.sockets.values().filter_map(Socket::deadline).min();
            let wake = [deadline, lingering].into_iter().flatten().min();
            let wait = match self.hungry.is_empty() {
                true => wake.map(|at| round_up(at.saturating_duration_since(now))),
                false => Some(Duration::ZERO),
            };
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return,
                _ => {}
            }
            self.gather(&events);
        }
    }

    /// Hands everything to the agent that is there, and does everything that it says.
    fn turn(&mut self) {
        loop {
            while let Some(output) = self.agent.poll_output() {
                if (self.tap)(Instant::now(), &output) {
                    self.perform(output);
                }
            }
            let now = Instant::now();
            let Some(input) = self.inputs.pop_front() else {
                break;
            };
            self.agent.handle_input(now, input);
        }
    }

    /// Collects what happened since the last turn.
    fn gather(&mut self, events: &Events) {
        let now = Instant::now();
        let mut tokens: Vec<(Token, bool)> = events
            .iter()
            .map(|event| (event.token(), event.is_readable() || event.is_error()))
            .collect();
        tokens.extend(
            std::mem::take(&mut self.hungry)
                .into_iter()
                .map(|token| (token, true)),
        );
        for (token, readable) in tokens {
            if token == WAKE {
                self.take_requests();
            } else {
                self.ready(token, readable);
            }
        }
        self.close_lingering(now);
        match self.drift.check(now) {
            Some(Jump::Slept(asleep)) => {
                self.inputs
                    .push_back(Input::System(System::Resumed { asleep }));
                self.inputs.extend(facts().into_iter().map(Input::System));
            }
            Some(Jump::Set) => self
                .inputs
                .push_back(Input::System(System::UnixTime(unix_time()))),
            None => {}
        }
        if self
            .agent
            .poll_timeout()
            .is_some_and(|deadline| deadline.at <= now)
        {
            self.inputs.push_back(Input::Timeout);
        }
    }

    fn take_requests(&mut self) {
        if let Some((_, done)) = &self.disk {
            self.inputs.extend(done.try_iter());
        }
        loop {
            match self.requests.try_recv() {
                Ok(Request::Run(run)) => {
                    // What happened before the command is told before it.
                    self.turn();
                    self.is_over |= run(&mut self.agent, Instant::now());
                }
                Ok(Request::Frame(stream, frame)) => {
                    // A stream that is gone needs no frames.
                    let _ = self.agent.write_media(Instant::now(), stream, frame);
                }
                Ok(Request::Frames(stream, sender)) => {
                    self.frames.insert(stream, sender);
                }
                Ok(Request::Observe(observer)) => self.observers.push(observer),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    // Nobody can command the agent any more: it goes if nobody listens either.
                    self.is_over |= self.observers.is_empty();
                    return;
                }
            }
        }
    }

    fn ready(&mut self, token: Token, readable: bool) {
        let Some(socket) = self.sockets.get_mut(&token) else {
            return;
        };
        let inputs = &mut self.inputs;
        let is_over = match socket {
            Socket::Udp(udp) => {
                if udp.read(&mut self.buffer, |input| inputs.push_back(input)) {
                    self.hungry.push(token);
                }
                false
            }
            Socket::Tcp(tcp) => tcp.ready(&mut self.buffer, readable, &mut |input| {
                inputs.push_back(input)
            }),
            Socket::Listener(link, listener) => {
                let link = *link;
                while let Ok((socket, peer)) = listener.accept() {
                    let Ok(local) = socket.local_addr() else {
                        continue;
                    };
                    let connection = Connection(self.next_connection);
                    self.next_connection += 1;
                    self.accepted.insert(connection, socket);
                    inputs.push_back(Input::Accepted {
                        listener: link,
                        connection,
                        local,
                        peer,
                    });
                }
                false
            }
        };
        if is_over {
            self.drop_socket(token);
        }
    }

    fn close_lingering(&mut self, now: Instant) {
        let late = |socket: &Socket| socket.deadline().is_some_and(|at| at <= now);
        let tokens: Vec<Token> = self
            .sockets
            .iter()
            .filter(|(_, socket)| late(socket))
            .map(|(token, _)| *token)
            .collect();
        for token in tokens {
            if let Some(Socket::Tcp(tcp)) = self.sockets.get(&token) {
                self.inputs.push_back(tcp.closed(None));
            }
            self.drop_socket(token);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Transmit {
                link, to, payload, ..
            } => {
                if let Some(Socket::Udp(udp)) = self.socket(link)
                    && let Some(failed) = udp.send(to, &payload)
                {
                    self.inputs.push_back(failed);
                }
            }
            Output::Write { link, payload } => self.tcp(link, |tcp| tcp.queue(payload)),
            Output::Receive { link, more } => self.tcp(link, |tcp| tcp.allow(more)),
            Output::Finish { link } => self.tcp(link, Tcp::finish),
            Output::Open { link, how } => {
                if let Err(error) = self.open(link, &how) {
                    self.inputs.push_back(Input::Closed {
                        link,
                        error: Some(error),
                    });
                }
            }
            Output::Adopt { connection, link } => self.adopt(connection, link),
            Output::Refuse { connection } => {
                self.accepted.remove(&connection);
            }
            Output::Close { link } => {
                if let Some(token) = self.tokens.get(&link) {
                    self.drop_socket(*token);
                }
            }
            Output::Media { stream, frame } => {
                if let Some(sender) = self.frames.get(&stream) {
                    // A full queue drops the newest: the one who plays is late already.
                    if let Err(mpsc::TrySendError::Disconnected(_)) = sender.try_send(frame) {
                        self.frames.remove(&stream);
                    }
                }
            }
            Output::Store { request, what } => self.ask_disk(Job::Store(request, what)),
            Output::File { file, what } => self.ask_disk(Job::File(file, what)),
            Output::Notify(notification) => {
                match notification.event {
                    Event::Agent(AgentEvent::DidEnd) => self.is_over = true,
                    Event::Stream(stream, sipsimple::event::StreamEvent::DidEnd) => {
                        self.frames.remove(&stream);
                    }
                    _ => {}
                }
                self.observers
                    .retain_mut(|observer| observer.tell(&notification));
            }
            _ => {}
        }
    }

    fn open(&mut self, link: LinkId, how: &Open) -> Result<(), sipsimple::base::LinkError> {
        let token = Token(self.next_token);
        self.next_token += 1;
        let registry = self.poll.registry();
        let opened =
            match how {
                Open::Udp {
                    multicast: Some(_), ..
                } => return Err(UNSUPPORTED),
                Open::Udp { bind, class, .. } => Udp::open(registry, token, link, *bind, *class)
                    .map(|udp| {
                        let opened = opened(link, udp.local());
                        (Socket::Udp(udp), Some(opened))
                    }),
                Open::Listen { bind, class } => tcp::listen(registry, token, *bind, *class)
                    .and_then(|listener| {
                        let local = listener.local_addr()?;
                        Ok((Socket::Listener(link, listener), Some(opened(link, local))))
                    }),
                Open::Connect { from, to, class } => {
                    Tcp::connect(registry, token, link, *from, *to, *class)
                        .map(|tcp| (Socket::Tcp(Box::new(tcp)), None))
                }
                _ => return Err(UNSUPPORTED),
            };
        let (socket, opened) = opened.map_err(|error| link_error(&error))?;
        self.sockets.insert(token, socket);
        self.tokens.insert(link, token);
        self.inputs.extend(opened);
        Ok(())
    }

    fn adopt(&mut self, connection: Connection, link: LinkId) {
        let Some(socket) = self.accepted.remove(&connection) else {
            return;
        };
        let token = Token(self.next_token);
        self.next_token += 1;
        match Tcp::adopt(self.poll.registry(), token, link, socket) {
            Ok(tcp) => {
                self.sockets.insert(token, Socket::Tcp(Box::new(tcp)));
                self.tokens.insert(link, token);
                self.hungry.push(token);
            }
            Err(error) => self.inputs.push_back(Input::Closed {
                link,
                error: Some(link_error(&error)),
            }),
        }
    }

    fn socket(&mut self, link: LinkId) -> Option<&mut Socket> {
        self.sockets.get_mut(self.tokens.get(&link)?)
    }

    /// Changes a connection, and lets it go on with what it can do now.
    fn tcp(&mut self, link: LinkId, change: impl FnOnce(&mut Tcp)) {
        let Some(&token) = self.tokens.get(&link) else {
            return;
        };
        let Some(Socket::Tcp(tcp)) = self.sockets.get_mut(&token) else {
            return;
        };
        change(tcp);
        let inputs = &mut self.inputs;
        let hand = &mut |input| inputs.push_back(input);
        if tcp.write(hand) || tcp.read(&mut self.buffer, hand) {
            self.drop_socket(token);
        }
    }

    fn drop_socket(&mut self, token: Token) {
        self.tokens.retain(|_, other| *other != token);
        match self.sockets.remove(&token) {
            Some(Socket::Udp(udp)) => udp.close(self.poll.registry()),
            Some(Socket::Tcp(tcp)) => tcp.close(self.poll.registry()),
            Some(Socket::Listener(_, mut listener)) => {
                // A listener that cannot be deregistered is closed all the same.
                let _ = self.poll.registry().deregister(&mut listener);
            }
            None => {}
        }
    }

    fn ask_disk(&mut self, job: Job) {
        let (jobs, _) = self.disk.get_or_insert_with(|| {
            let (jobs, work) = mpsc::channel();
            let (results, done) = mpsc::channel();
            let mut disk = Disk::new(self.storage.clone());
            let waker = self.waker.clone();
            thread::spawn(move || {
                for job in work {
                    if results.send(disk.perform(job)).is_err() || waker.wake().is_err() {
                        return;
                    }
                }
            });
            (jobs, done)
        });
        // The thread lives as long as this end does.
        let _ = jobs.send(job);
    }
}

impl Socket {
    const fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Tcp(tcp) => tcp.deadline(),
            Self::Udp(_) | Self::Listener(..) => None,
        }
    }
}

const fn opened(link: LinkId, local: std::net::SocketAddr) -> Input {
    Input::Opened {
        link,
        local,
        peer: None,
    }
}

/// The poller counts milliseconds and rounds down: a wake-up just before the deadline would spin.
fn round_up(wait: Duration) -> Duration {
    wait.saturating_add(Duration::from_micros(999))
}

/// The largest datagram.
const BUFFER: usize = 65_536;
