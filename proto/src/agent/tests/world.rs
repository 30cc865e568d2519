//! Agents in memory with virtual time: datagrams that take a millisecond, and streams that are cut
//! anywhere.

use crate::{
    agent::{Config, Connection, Input, LinkId, Open, Output, UserAgent},
    event::Event,
};
use base::{Key as _, LinkError, Rng};
use bytes::{Bytes, BytesMut};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::OnceLock,
    time::{Duration, Instant},
};

/// An arbitrary origin for virtual time.
#[expect(clippy::disallowed_methods, reason = "an arbitrary origin")]
pub(in crate::agent) fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) hosts: Vec<Host>,
    /// What is on its way, in the order of arrival.
    flying: BTreeMap<(Instant, u64), (usize, Input)>,
    count: u64,
    rng: Rng,
    /// Drops the datagrams for which it says so: from, to, content.
    pub(super) drop: Box<Drop>,
}

type Drop = dyn FnMut(usize, usize, &[u8]) -> bool;

pub(super) struct Host {
    pub(super) agent: UserAgent,
    pub(super) events: Vec<Event>,
    /// Everything that was sent, as text where it is text.
    pub(super) sent: Vec<Bytes>,
    pub(super) outputs: Vec<String>,
    pub(super) record: Vec<u8>,
    links: BTreeMap<LinkId, Socket>,
    /// Accepted, but not adopted.
    waiting: BTreeMap<u64, (usize, LinkId)>,
    next_port: u16,
}

#[derive(Clone, Copy)]
struct Socket {
    local: SocketAddr,
    stream: bool,
    /// The other end of a connection, once it is adopted.
    peer: Option<(usize, LinkId)>,
    written: u64,
}

pub(super) fn config(host: u8) -> Config {
    let mut config = Config::new([host; 32], Duration::from_secs(1_795_000_000));
    config.addresses = vec![[10, 0, 0, host].into()];
    config.udp_port = Some(5060);
    config.tcp_port = Some(5060);
    config.record = true;
    config
}

impl World {
    pub(super) fn new(configs: Vec<Config>) -> Self {
        let host = |config| Host {
            agent: UserAgent::new(origin(), config),
            events: Vec::new(),
            sent: Vec::new(),
            outputs: Vec::new(),
            record: Vec::new(),
            links: BTreeMap::new(),
            waiting: BTreeMap::new(),
            next_port: 40_000,
        };
        let mut world = Self {
            now: origin(),
            hosts: configs.into_iter().map(host).collect(),
            flying: BTreeMap::new(),
            count: 0,
            rng: Rng::from_seed([0; 32]),
            drop: Box::new(|_, _, _| false),
        };
        for host in 0..world.hosts.len() {
            world.drain(host);
        }
        world
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let delivery = self.flying.first_key_value().map(|(&(at, _), _)| at);
            let timers = self.hosts.iter().enumerate();
            let timer = timers
                .filter_map(|(n, host)| Some((host.agent.poll_timeout()?.at, n)))
                .min();
            let (at, host, input) = match (delivery, timer) {
                (Some(at), timer) if timer.is_none_or(|(due, _)| at <= due) => {
                    if at > end {
                        break;
                    }
                    let (_, (host, input)) = self.flying.pop_first().unwrap();
                    (at, host, input)
                }
                (_, Some((at, host))) if at <= end => (at, host, Input::Timeout),
                _ => break,
            };
            self.now = self.now.max(at);
            self.input(host, input);
        }
        self.now = end;
    }

    /// Hands something in, now.
    pub(super) fn input(&mut self, host: usize, input: Input) {
        self.hosts[host].agent.handle_input(self.now, input);
        self.drain(host);
    }

    /// Gives a command, now.
    pub(super) fn command<R>(
        &mut self,
        host: usize,
        command: impl FnOnce(&mut UserAgent, Instant) -> R,
    ) -> R {
        let reply = command(&mut self.hosts[host].agent, self.now);
        self.drain(host);
        reply
    }

    pub(super) fn names(&self, host: usize) -> Vec<&'static str> {
        self.hosts[host].events.iter().map(Event::name).collect()
    }

    /// The UDP socket of a host.
    pub(super) fn udp(&self, host: usize) -> LinkId {
        let mut links = self.hosts[host].links.iter();
        *links.find(|(_, socket)| !socket.stream).unwrap().0
    }

    pub(super) fn connections(&self, host: usize) -> Vec<LinkId> {
        let links = self.hosts[host].links.iter();
        let connected = links.filter(|(_, socket)| socket.peer.is_some());
        connected.map(|(id, _)| *id).collect()
    }

    /// A stranger connects to a listener of a host, and never says anything.
    pub(super) fn connect_silently(&mut self, host: usize, port: u16) {
        let to = SocketAddr::new([10, 0, 0, host as u8 + 1].into(), port);
        let (_, listener) = self.find(to, true).expect("it listens");
        self.count += 1;
        let connection = Connection(self.count);
        // The link of a stranger: none of the host's own.
        let stranger = LinkId::from_parts(u32::MAX, 1);
        let socket = Socket {
            local: ([10, 0, 0, 99], 40_000).into(),
            stream: true,
            peer: None,
            written: 0,
        };
        self.hosts[host].links.insert(stranger, socket);
        self.hosts[host]
            .waiting
            .insert(connection.0, (host, stranger));
        let input = Input::Accepted {
            listener,
            connection,
            local: to,
            peer: socket.local,
        };
        self.schedule(LATENCY, host, input);
    }

    pub(super) fn schedule(&mut self, after: Duration, host: usize, input: Input) {
        self.count += 1;
        let key = (self.now + after, self.count);
        self.flying.insert(key, (host, input));
    }

    fn drain(&mut self, host: usize) {
        while let Some(output) = self.hosts[host].agent.poll_output() {
            self.hosts[host].outputs.push(format!("{output:?}"));
            self.perform(host, output);
        }
        // Progress: nothing is due any more (fewer timers than one step fires).
        let agent = &mut self.hosts[host].agent;
        if let Some(deadline) = agent.poll_timeout() {
            assert!(deadline.at > self.now, "{deadline:?} does not move");
        }
        let record = agent.take_record();
        self.hosts[host].record.extend(record);
    }

    fn perform(&mut self, host: usize, output: Output) {
        match output {
            Output::Open { link, how } => self.open(host, link, how),
            Output::Transmit {
                link, to, payload, ..
            } => self.transmit(host, link, to, payload),
            Output::Write { link, payload } => self.write(host, link, &payload),
            Output::Adopt { connection, link } => {
                let (other, their) = self.hosts[host].waiting.remove(&connection.0).unwrap();
                let local = self.hosts[other].links[&their].local;
                let socket = Socket {
                    local,
                    stream: true,
                    peer: Some((other, their)),
                    written: 0,
                };
                self.hosts[host].links.insert(link, socket);
                if let Some(socket) = self.hosts[other].links.get_mut(&their) {
                    socket.peer = Some((host, link));
                    let local = socket.local;
                    let peer = None;
                    let input = Input::Opened {
                        link: their,
                        local,
                        peer,
                    };
                    self.schedule(LATENCY, other, input);
                }
            }
            Output::Refuse { connection } => {
                let (other, link) = self.hosts[host].waiting.remove(&connection.0).unwrap();
                self.hosts[other].links.remove(&link);
                let error = Some(LinkError::Reset);
                self.schedule(LATENCY, other, Input::Closed { link, error });
            }
            Output::Finish { link } => {
                self.close(host, link);
                let error = None;
                self.schedule(LATENCY, host, Input::Closed { link, error });
            }
            Output::Close { link } => self.close(host, link),
            Output::Notify(notification) => self.hosts[host].events.push(notification.event),
            Output::Receive { .. }
            | Output::Media { .. }
            | Output::File { .. }
            | Output::Trace(_) => {}
            output => panic!("{output:?}"),
        }
    }

    fn open(&mut self, host: usize, link: LinkId, how: Open) {
        let local = |bind: SocketAddr, host: &mut Host| {
            host.next_port += 1;
            let port = if bind.port() == 0 {
                host.next_port
            } else {
                bind.port()
            };
            SocketAddr::new(bind.ip(), port)
        };
        let (local, stream, peer) = match how {
            Open::Udp { bind, .. } => (local(bind, &mut self.hosts[host]), false, None),
            Open::Listen { bind, .. } => (local(bind, &mut self.hosts[host]), true, None),
            Open::Connect { to, .. } => {
                let from = SocketAddr::new([10, 0, 0, host as u8 + 1].into(), 0);
                (local(from, &mut self.hosts[host]), true, Some(to))
            }
        };
        let socket = Socket {
            local,
            stream,
            peer: None,
            written: 0,
        };
        self.hosts[host].links.insert(link, socket);
        let Some(to) = peer else {
            let input = Input::Opened { link, local, peer };
            return self.schedule(Duration::ZERO, host, input);
        };
        match self.find(to, true) {
            Some((other, listener)) => {
                self.count += 1;
                let connection = Connection(self.count);
                self.hosts[other].waiting.insert(connection.0, (host, link));
                let input = Input::Accepted {
                    listener,
                    connection,
                    local: to,
                    peer: local,
                };
                self.schedule(LATENCY, other, input);
            }
            None => {
                self.hosts[host].links.remove(&link);
                let error = Some(LinkError::Refused);
                self.schedule(LATENCY, host, Input::Closed { link, error });
            }
        }
    }

    fn transmit(&mut self, host: usize, link: LinkId, to: SocketAddr, payload: Bytes) {
        self.hosts[host].sent.push(payload.clone());
        let from = self.hosts[host].links[&link].local;
        let Some((other, link)) = self.find(to, false) else {
            return;
        };
        if !(self.drop)(host, other, &payload) {
            let input = Input::Datagram {
                link,
                from,
                to: None,
                payload: BytesMut::from(&payload[..]),
            };
            self.schedule(LATENCY, other, input);
        }
    }

    fn write(&mut self, host: usize, link: LinkId, payload: &Bytes) {
        self.hosts[host].sent.push(payload.clone());
        // The peer may have closed it, and the news be on its way.
        let Some(socket) = self.hosts[host].links.get_mut(&link) else {
            return;
        };
        socket.written += payload.len() as u64;
        let (total, peer) = (socket.written, socket.peer);
        self.schedule(LATENCY, host, Input::Sent { link, total });
        let Some((other, link)) = peer else { return };
        let mut rest = &payload[..];
        while !rest.is_empty() {
            let cut = 1 + self.rng.below(40) as usize;
            let (piece, more) = rest.split_at(cut.min(rest.len()));
            rest = more;
            let payload = BytesMut::from(piece);
            self.schedule(LATENCY, other, Input::Bytes { link, payload });
        }
    }

    fn close(&mut self, host: usize, link: LinkId) {
        let socket = self.hosts[host].links.remove(&link);
        if let Some((other, link)) = socket.and_then(|socket| socket.peer)
            && self.hosts[other].links.remove(&link).is_some()
        {
            let error = None;
            self.schedule(LATENCY, other, Input::Closed { link, error });
        }
    }

    fn find(&self, address: SocketAddr, stream: bool) -> Option<(usize, LinkId)> {
        let hosts = self.hosts.iter().enumerate();
        hosts
            .flat_map(|(n, host)| host.links.iter().map(move |(id, socket)| (n, *id, socket)))
            .find(|(_, _, socket)| {
                socket.local == address && socket.stream == stream && socket.peer.is_none()
            })
            .map(|(n, id, _)| (n, id))
    }
}

const LATENCY: Duration = Duration::from_millis(1);
