//! The loop around the agent.

use crate::{
    ear::Ear,
    happening::{Happening, Happenings},
    observer::Observer,
    request::Request,
    tcp::{self, Tcp},
    udp::Udp,
};
use async_channel::{Receiver, Sender, bounded, unbounded};
use async_io::{Async, Timer};
use sipsimple::{
    agent::{Config, Connection, Input, LinkId, Open, Output, StreamId, System, UserAgent},
    base::LinkError,
    event::{AgentEvent, Event, Notification, StreamEvent},
};
use smol::{Task, future::FutureExt as _};
use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpStream},
    time::Instant,
};
use system::{Disk, Inbox, Job, Storage, UNSUPPORTED, Watch, inside, link_error};

/// Sees everything that an agent says before it is done, with the moment; false: it is not done.
/// Runs on the driver and must not block: for traces and captures, and for tests that lose packets.
pub type Tap = Box<dyn FnMut(Instant, &Output) -> bool + Send>;

/// Owns the agent and its sockets, each of which has a task that tells what happens.
pub(crate) struct Driver {
    agent: UserAgent,
    tap: Tap,
    happenings: Happenings,
    happened: Receiver<Happening>,
    requests: Receiver<Request>,
    observers: Vec<Observer>,
    /// An observer is far behind, and the agent knows.
    is_congested: bool,
    sockets: BTreeMap<LinkId, Socket>,
    accepted: BTreeMap<Connection, Async<TcpStream>>,
    next_connection: u64,
    ears: BTreeMap<StreamId, Ear>,
    storage: Storage,
    /// The jobs for the disk, in order; made with the first one.
    jobs: Option<Sender<Job>>,
    inbox: Inbox,
    watch: Watch,
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
    Tcp(Tcp),
    Listener(Task<()>),
}

/// Why the driver woke up.
enum Wake {
    Happened(Happening),
    Asked(Request),
    Late,
}

impl Driver {
    pub(crate) fn new(
        config: Config,
        storage: Storage,
        tap: Tap,
        requests: Receiver<Request>,
        observer: Observer,
    ) -> Self {
        let now = Instant::now();
        let watch = Watch::new(now);
        let mut inbox = Inbox::default();
        for fact in watch.facts() {
            inbox.push(now, Input::System(fact));
        }
        let (happenings, happened) = bounded(HAPPENINGS);
        Self {
            agent: UserAgent::new(now, config),
            tap,
            happenings,
            happened,
            requests,
            observers: vec![observer],
            is_congested: false,
            sockets: BTreeMap::new(),
            accepted: BTreeMap::new(),
            next_connection: 0,
            ears: BTreeMap::new(),
            storage,
            jobs: None,
            inbox,
            watch,
            is_over: false,
            is_abandoned: false,
            has_panicked: false,
        }
    }

    pub(crate) async fn run(mut self) {
        while !self.has_panicked {
            self.turn().await;
            if self.is_over && self.is_abandoned {
                return;
            }
            match self.wait().await {
                Wake::Happened(happening) => self.happened(happening),
                Wake::Asked(request) => self.asked(request).await,
                Wake::Late => {}
            }
            self.gather().await;
        }
    }

    #[expect(
        clippy::needless_pass_by_ref_mut,
        reason = "an agent can be sent to another thread, but not shared"
    )]
    async fn wait(&mut self) -> Wake {
        let deadline = self.agent.poll_timeout().map(|deadline| deadline.at);
        let watch = (!self.is_over).then(|| self.watch.deadline());
        let next = [deadline, watch].into_iter().flatten().min();
        let (happened, requests) = (&self.happened, &self.requests);
        let late = async {
            match next {
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
                Err(_) => smol::future::pending().await,
            }
        };
        asked.or(happened).or(late).await
    }

    /// Hands everything to the agent that is there, and does everything that it says.
    async fn turn(&mut self) {
        self.look_at_observers();
        loop {
            while let Some(output) = self.agent.poll_output() {
                let now = Instant::now();
                if inside(|| (self.tap)(now, &output)) {
                    self.perform(now, output).await;
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

    /// Collects what is there already, within bounds: the clock must have its turn.
    async fn gather(&mut self) {
        for _ in 0..BATCH {
            let Ok(happening) = self.happened.try_recv() else {
                break;
            };
            self.happened(happening);
        }
        for _ in 0..BATCH {
            if self.has_panicked {
                return;
            }
            let Ok(request) = self.requests.try_recv() else {
                break;
            };
            self.asked(request).await;
        }
        let now = Instant::now();
        if !self.is_over {
            for fact in self.watch.check(now) {
                self.inbox.push(now, Input::System(fact));
            }
        }
        let deadline = self.agent.poll_timeout();
        if deadline.is_some_and(|deadline| deadline.at <= now) {
            self.inbox.push(now, Input::Timeout);
        }
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Input(at, input) => {
                if let Input::Bytes { link, .. } = &input
                    && let Some(Socket::Tcp(tcp)) = self.sockets.get(link)
                    && tcp.is_finishing()
                {
                    return;
                }
                if let Input::Closed { link, .. } = &input {
                    self.sockets.remove(link);
                }
                self.inbox.push(at, input);
            }
            Happening::Accepted {
                at,
                listener,
                stream,
                local,
                peer,
            } => {
                let connection = Connection(self.next_connection);
                self.next_connection += 1;
                self.accepted.insert(connection, stream);
                let accepted = Input::Accepted {
                    listener,
                    connection,
                    local,
                    peer,
                };
                self.inbox.push(at, accepted);
            }
        }
    }

    async fn asked(&mut self, request: Request) {
        match request {
            Request::Run(run) => {
                // What happened before the command is told before it.
                self.turn().await;
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
                self.turn().await;
                self.agent.shutdown(Instant::now());
            }
        }
    }

    async fn perform(&mut self, now: Instant, output: Output) {
        match output {
            Output::Transmit {
                link, to, payload, ..
            } => {
                if let Some(Socket::Udp(udp)) = self.sockets.get(&link)
                    && let Some(failed) = udp.send(to, &payload)
                {
                    self.inbox.push(now, failed);
                }
            }
            Output::Write { link, payload } => self.tcp(link, |tcp| tcp.queue(payload)),
            Output::Receive { link, more } => self.tcp(link, |tcp| tcp.allow(more)),
            Output::Finish { link } => self.tcp(link, Tcp::finish),
            Output::Open { link, how } => {
                self.inbox.open(link);
                match self.open(link, &how) {
                    Ok(None) => {}
                    Ok(Some(local)) => {
                        let peer = None;
                        self.inbox.push(now, Input::Opened { link, local, peer });
                    }
                    Err(error) => {
                        let error = Some(error);
                        self.inbox.push(now, Input::Closed { link, error });
                    }
                }
            }
            Output::Adopt { connection, link } => {
                self.inbox.open(link);
                if let Some(stream) = self.accepted.remove(&connection) {
                    let tcp = Tcp::adopt(link, stream, self.happenings.clone());
                    self.sockets.insert(link, Socket::Tcp(tcp));
                }
            }
            Output::Refuse { connection } => {
                self.accepted.remove(&connection);
            }
            Output::Close { link } => {
                self.inbox.close(link);
                let task = match self.sockets.remove(&link) {
                    Some(Socket::Udp(udp)) => udp.close(),
                    Some(Socket::Tcp(tcp)) => tcp.close(),
                    Some(Socket::Listener(task)) => task,
                    None => return,
                };
                // The port is free when the task has let go of it, and may be wanted next.
                task.cancel().await;
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
                self.jobs = None;
            }
            Event::Stream(stream, StreamEvent::DidEnd) => {
                self.ears.remove(&stream);
            }
            _ => {}
        }
    }

    /// Opens a socket; returns its address unless it has to be connected first.
    fn open(&mut self, link: LinkId, how: &Open) -> Result<Option<SocketAddr>, LinkError> {
        let happenings = self.happenings.clone();
        let opened = match how {
            Open::Udp {
                bind,
                class,
                multicast,
            } => Udp::open(link, *bind, *class, multicast.as_ref(), happenings)
                .map(|(udp, local)| (Socket::Udp(udp), Some(local))),
            Open::Listen { bind, class } => tcp::listen(link, *bind, *class, happenings)
                .map(|(task, local)| (Socket::Listener(task), Some(local))),
            Open::Connect { from, to, class } => {
                let tcp = Tcp::connect(link, *from, *to, *class, happenings);
                Ok((Socket::Tcp(tcp), None))
            }
            _ => return Err(UNSUPPORTED),
        };
        let (socket, local) = opened.map_err(|error| link_error(&error))?;
        self.sockets.insert(link, socket);
        Ok(local)
    }

    fn tcp(&self, link: LinkId, change: impl FnOnce(&Tcp)) {
        if let Some(Socket::Tcp(tcp)) = self.sockets.get(&link) {
            change(tcp);
        }
    }

    /// Disks are waited for on a thread that may block, one job after the other.
    fn ask_disk(&mut self, job: Job) {
        let jobs = self.jobs.get_or_insert_with(|| {
            let (jobs, work) = unbounded::<Job>();
            let (mut disk, happenings) = (Disk::new(self.storage.clone()), self.happenings.clone());
            smol::spawn(async move {
                while let Ok(job) = work.recv().await {
                    let done = smol::unblock(move || {
                        let input = disk.perform(job);
                        (disk, input)
                    });
                    let input;
                    (disk, input) = done.await;
                    let happening = Happening::Input(Instant::now(), input);
                    if happenings.send(happening).await.is_err() {
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

impl Drop for Driver {
    /// Whoever waits for an answer finds that none comes: what is left in a closed channel would live
    /// as long as the channel.
    fn drop(&mut self) {
        self.requests.close();
        while self.requests.try_recv().is_ok() {}
    }
}

/// What tasks have read and the driver has not.
const HAPPENINGS: usize = 256;
/// Happenings, and requests, taken in one turn.
const BATCH: usize = 64;
