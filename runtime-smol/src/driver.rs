//! The loop around the agent.

use crate::{
    agent::{Happenings, Request, Tap},
    observer::Observer,
    tcp::{self, Tcp, UNSUPPORTED},
    udp::Udp,
};
use async_channel::{Receiver, Sender, TrySendError};
use async_io::{Async, Timer};
use sipsimple::{
    agent::{Config, Connection, Frame, Input, LinkId, Open, Output, StreamId, System, UserAgent},
    base::LinkError,
    event::{AgentEvent, Event, StreamEvent},
};
use smol::{Task, future::FutureExt as _};
use std::{
    collections::{BTreeMap, VecDeque},
    net::{SocketAddr, TcpStream},
    time::Instant,
};
use system::{Disk, Drift, Job, Jump, Storage, facts, link_error, unix_time};

/// Owns the agent and its sockets.
pub(crate) struct Driver {
    agent: UserAgent,
    tap: Tap,
    happenings: Happenings,
    happened: Receiver<Happening>,
    requests: Receiver<Request>,
    observers: Vec<Observer>,
    sockets: BTreeMap<LinkId, Socket>,
    accepted: BTreeMap<Connection, Async<TcpStream>>,
    next_connection: u64,
    frames: BTreeMap<StreamId, Sender<Frame>>,
    storage: Storage,
    /// The jobs for the disk, in order; made with the first one.
    jobs: Option<Sender<Job>>,
    inputs: VecDeque<Input>,
    drift: Drift,
    is_over: bool,
}

/// What the tasks tell the driver.
#[derive(Debug)]
pub(crate) enum Happening {
    Input(Input),
    Accepted {
        listener: LinkId,
        stream: Async<TcpStream>,
        local: SocketAddr,
        peer: SocketAddr,
    },
}

#[derive(Debug)]
enum Socket {
    Udp(Udp),
    Tcp(Tcp),
    Listener { _task: Task<()> },
}

/// Why the driver woke up.
enum Wake {
    Happened(Happening),
    Asked(Request),
    Late,
    /// All handles are gone.
    Alone,
}

impl Driver {
    pub(crate) fn new(
        config: Config,
        storage: Storage,
        tap: Tap,
        happenings: Happenings,
        happened: Receiver<Happening>,
        requests: Receiver<Request>,
        observer: Observer,
    ) -> Self {
        let now = Instant::now();
        Self {
            agent: UserAgent::new(now, config),
            tap,
            happenings,
            happened,
            requests,
            observers: vec![observer],
            sockets: BTreeMap::new(),
            accepted: BTreeMap::new(),
            next_connection: 0,
            frames: BTreeMap::new(),
            storage,
            jobs: None,
            inputs: facts().into_iter().map(Input::System).collect(),
            drift: Drift::new(now),
            is_over: false,
        }
    }

    pub(crate) async fn run(mut self) {
        loop {
            self.turn();
            if self.is_over {
                return;
            }
            match self.wait().await {
                Wake::Happened(happening) => self.happened(happening),
                Wake::Asked(request) => self.asked(request),
                Wake::Late => self.inputs.push_back(Input::Timeout),
                // Nobody can command the agent any more: it goes if nobody listens either.
                Wake::Alone => self.is_over |= self.observers.is_empty(),
            }
            // What is there already is taken in the same turn, within bounds.
            for _ in 0..BATCH {
                let Ok(happening) = self.happened.try_recv() else {
                    break;
                };
                self.happened(happening);
            }
            match self.drift.check(Instant::now()) {
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
        }
    }

    #[expect(
        clippy::needless_pass_by_ref_mut,
        reason = "an agent can be sent to another thread, but not shared"
    )]
    async fn wait(&mut self) -> Wake {
        let deadline = self.agent.poll_timeout().map(|deadline| deadline.at);
        let is_watched = !self.observers.is_empty();
        let (happened, requests) = (&self.happened, &self.requests);
        let late = async {
            match deadline {
                Some(at) => Timer::at(at).await,
                None => smol::future::pending().await,
            };
            Wake::Late
        };
        let happened = async {
            match happened.recv().await {
                Ok(happening) => Wake::Happened(happening),
                Err(_) => smol::future::pending().await,
            }
        };
        let asked = async {
            match requests.recv().await {
                Ok(request) => Wake::Asked(request),
                Err(_) if !is_watched => Wake::Alone,
                Err(_) => smol::future::pending().await,
            }
        };
        asked.or(happened).or(late).await
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

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Input(input) => {
                let is_dead = match &input {
                    Input::Closed { link, .. } => self.sockets.remove(link).is_none(),
                    Input::Datagram { link, .. }
                    | Input::Bytes { link, .. }
                    | Input::Sent { link, .. }
                    | Input::Opened { link, .. } => !self.sockets.contains_key(link),
                    _ => false,
                };
                // A link that the agent closed says nothing any more.
                if !is_dead {
                    self.inputs.push_back(input);
                }
            }
            Happening::Accepted {
                listener,
                stream,
                local,
                peer,
            } => {
                let connection = Connection(self.next_connection);
                self.next_connection += 1;
                self.accepted.insert(connection, stream);
                self.inputs.push_back(Input::Accepted {
                    listener,
                    connection,
                    local,
                    peer,
                });
            }
        }
    }

    fn asked(&mut self, request: Request) {
        match request {
            Request::Run(run) => self.is_over |= run(&mut self.agent, Instant::now()),
            Request::Frame(stream, frame) => {
                // A stream that is gone needs no frames.
                let _ = self.agent.write_media(Instant::now(), stream, frame);
            }
            Request::Frames(stream, sender) => {
                self.frames.insert(stream, sender);
            }
            Request::Observe(observer) => self.observers.push(observer),
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Transmit {
                link, to, payload, ..
            } => {
                if let Some(Socket::Udp(udp)) = self.sockets.get(&link)
                    && let Some(failed) = udp.send(to, &payload)
                {
                    self.inputs.push_back(failed);
                }
            }
            Output::Write { link, payload } => self.tcp(link, |tcp| tcp.queue(payload)),
            Output::Receive { link, more } => self.tcp(link, |tcp| tcp.allow(more)),
            Output::Finish { link } => self.tcp(link, Tcp::finish),
            Output::Open { link, how } => {
                if let Err(error) = self.open(link, how) {
                    self.inputs.push_back(Input::Closed {
                        link,
                        error: Some(error),
                    });
                }
            }
            Output::Adopt { connection, link } => {
                if let Some(stream) = self.accepted.remove(&connection) {
                    let tcp = Tcp::adopt(link, stream, self.happenings.clone());
                    self.sockets.insert(link, Socket::Tcp(tcp));
                }
            }
            Output::Refuse { connection } => {
                self.accepted.remove(&connection);
            }
            Output::Close { link } => {
                self.sockets.remove(&link);
            }
            Output::Media { stream, frame } => {
                if let Some(sender) = self.frames.get(&stream) {
                    // A full queue drops the newest: the one who plays is late already.
                    if let Err(TrySendError::Closed(_)) = sender.try_send(frame) {
                        self.frames.remove(&stream);
                    }
                }
            }
            Output::Store { request, what } => self.ask_disk(Job::Store(request, what)),
            Output::File { file, what } => self.ask_disk(Job::File(file, what)),
            Output::Notify(notification) => {
                match notification.event {
                    Event::Agent(AgentEvent::DidEnd) => self.is_over = true,
                    Event::Stream(stream, StreamEvent::DidEnd) => {
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

    fn open(&mut self, link: LinkId, how: Open) -> Result<(), LinkError> {
        let happenings = self.happenings.clone();
        let opened = match how {
            Open::Udp {
                multicast: Some(_), ..
            } => return Err(UNSUPPORTED),
            Open::Udp { bind, class, .. } => Udp::open(link, bind, class, happenings)
                .map(|(udp, local)| (Socket::Udp(udp), Some(local))),
            Open::Listen { bind, class } => tcp::listen(link, bind, class, happenings)
                .map(|(task, local)| (Socket::Listener { _task: task }, Some(local))),
            Open::Connect { from, to, class } => Ok((
                Socket::Tcp(Tcp::connect(link, from, to, class, happenings)),
                None,
            )),
            _ => return Err(UNSUPPORTED),
        };
        let (socket, local) = opened.map_err(|error| link_error(&error))?;
        self.sockets.insert(link, socket);
        self.inputs.extend(local.map(|local| Input::Opened {
            link,
            local,
            peer: None,
        }));
        Ok(())
    }

    fn tcp(&self, link: LinkId, change: impl FnOnce(&Tcp)) {
        if let Some(Socket::Tcp(tcp)) = self.sockets.get(&link) {
            change(tcp);
        }
    }

    /// Disks are waited for on a thread that may block, one job after the other.
    fn ask_disk(&mut self, job: Job) {
        let jobs = self.jobs.get_or_insert_with(|| {
            let (jobs, work) = async_channel::unbounded::<Job>();
            let (mut disk, happenings) = (Disk::new(self.storage.clone()), self.happenings.clone());
            smol::spawn(async move {
                while let Ok(job) = work.recv().await {
                    let done = smol::unblock(move || {
                        let input = disk.perform(job);
                        (disk, input)
                    });
                    let input;
                    (disk, input) = done.await;
                    if happenings.send(Happening::Input(input)).await.is_err() {
                        return;
                    }
                }
            })
            .detach();
            jobs
        });
        // The task lives as long as this end does.
        let _ = jobs.try_send(job);
    }
}

/// Happenings taken in one turn before the agent speaks.
const BATCH: usize = 64;
