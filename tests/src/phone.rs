//! One agent and no network: what it opens is open, what it sends is kept, and what arrives is bytes
//! that somebody wrote by hand, or a fuzzer did.

use base::Deadline;
use bytes::{Bytes, BytesMut};
use sipsimple::{
    agent::{
        Class, Config, Connection, INITIAL_CREDIT, Input, LinkId, MediaFrame, Open, Output,
        SessionId, Stats, StreamId, UserAgent,
    },
    event::{Event, SessionEvent},
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// An agent that is handed datagrams and streams directly, in virtual time.
///
/// It checks what every runtime relies on: credit is not exceeded, links are known, and the agent makes
/// progress (after it was woken its next deadline lies ahead).
#[derive(Debug)]
pub struct Phone {
    agent: UserAgent,
    now: Instant,
    /// What the application does with a call.
    pub habit: Habit,
    /// Speech goes out on every stream that may send, a packet every 20 ms.
    pub talks: bool,
    links: BTreeMap<LinkId, Link>,
    accepted: BTreeMap<u64, SocketAddr>,
    next: u64,
    last_adopted: Option<LinkId>,
    next_packet: Instant,
    media_time: u32,
    moments: usize,
    streams: Vec<StreamId>,
    parcels: Vec<Parcel>,
    events: Vec<Event>,
}

/// What the application does with a call that comes in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Habit {
    /// Nothing.
    Ignore,
    /// It rings.
    Ring,
    /// It accepts at once with all streams.
    Accept,
    /// It refuses with this status.
    Reject(u16),
}

/// What the agent sent: a datagram, or a piece of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parcel {
    /// When.
    pub at: Instant,
    /// By which link.
    pub link: LinkId,
    /// What the link is for.
    pub class: Class,
    /// To whom.
    pub to: SocketAddr,
    /// The bytes.
    pub payload: Bytes,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    local: SocketAddr,
    peer: Option<SocketAddr>,
    class: Class,
    is_stream: bool,
    is_listener: bool,
    /// How many bytes may still be handed in.
    credit: usize,
    written: u64,
}

impl Phone {
    /// Starts an agent; where it asks for any port, it gets one from 40000 up.
    pub fn new(now: Instant, config: Config) -> Self {
        let mut phone = Self {
            agent: UserAgent::new(now, config),
            now,
            habit: Habit::Ring,
            talks: false,
            links: BTreeMap::new(),
            accepted: BTreeMap::new(),
            next: 40_000,
            last_adopted: None,
            next_packet: now,
            media_time: 0,
            moments: 0,
            streams: Vec::new(),
            parcels: Vec::new(),
            events: Vec::new(),
        };
        phone.drain();
        phone
    }

    /// The moment.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// The agent, to look at.
    pub const fn agent(&self) -> &UserAgent {
        &self.agent
    }

    /// The agent alone, without what was told and sent.
    pub fn into_agent(self) -> UserAgent {
        self.agent
    }

    /// How often the agent was woken, or spoke: what letting time pass has cost.
    pub const fn moments(&self) -> usize {
        self.moments
    }

    /// Gives a command, now.
    pub fn command<R>(&mut self, command: impl FnOnce(&mut UserAgent, Instant) -> R) -> R {
        let reply = command(&mut self.agent, self.now);
        self.drain();
        reply
    }

    /// A datagram arrives at the signalling socket.
    pub fn datagram(&mut self, from: SocketAddr, bytes: &[u8]) {
        if let Some(link) = self.socket(Class::Signalling, 0) {
            self.arrive(link, from, bytes);
        }
    }

    /// A datagram arrives at the `n`th media socket, if there is one.
    pub fn media(&mut self, n: usize, from: SocketAddr, bytes: &[u8]) {
        if let Some(link) = self.socket(Class::Voice, n) {
            self.arrive(link, from, bytes);
        }
    }

    /// Our end of a link that is open.
    pub fn local(&self, link: LinkId) -> Option<SocketAddr> {
        self.links.get(&link).map(|link| link.local)
    }

    /// A datagram arrives at the socket of this address, if there is one.
    pub fn arrive_at(&mut self, to: SocketAddr, from: SocketAddr, bytes: &[u8]) {
        let is_it = |link: &Link| link.local == to && !link.is_stream;
        let mut sockets = self.links.iter().filter(|(_, link)| is_it(link));
        if let Some(link) = sockets.next().map(|(id, _)| *id) {
            self.arrive(link, from, bytes);
        }
    }

    /// A datagram comes back to the socket that sent a parcel, from where it went.
    pub fn answer(&mut self, parcel: &Parcel, bytes: &[u8]) {
        if self.links.contains_key(&parcel.link) {
            self.arrive(parcel.link, parcel.to, bytes);
        }
    }

    /// True if a link is a connection that is open.
    pub fn is_stream(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| link.is_stream)
    }

    /// A peer connects; `None` if it is refused.
    pub fn connect(&mut self, peer: SocketAddr) -> Option<LinkId> {
        let listens = |link: &Link| link.is_listener && link.class == Class::Signalling;
        let (&listener, link) = self.links.iter().find(|(_, link)| listens(link))?;
        let local = link.local;
        self.next += 1;
        let connection = Connection(self.next);
        self.accepted.insert(self.next, peer);
        self.last_adopted = None;
        self.input(Input::Accepted {
            listener,
            connection,
            local,
            peer,
        });
        self.last_adopted
    }

    /// Bytes of a connection arrive, as many as its credit lets in. False if it is closed.
    pub fn bytes(&mut self, link: LinkId, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(known) = self.links.get_mut(&link) else {
                return false;
            };
            let (piece, after) = rest.split_at(known.credit.min(rest.len()));
            if piece.is_empty() {
                return true;
            }
            known.credit -= piece.len();
            rest = after;
            let payload = BytesMut::from(piece);
            self.input(Input::Bytes { link, payload });
        }
        self.links.contains_key(&link)
    }

    /// The peer has read everything that was written to a connection.
    pub fn read(&mut self, link: LinkId) {
        if let Some(total) = self.links.get(&link).map(|link| link.written) {
            self.input(Input::Sent { link, total });
        }
    }

    /// The peer closes a connection.
    pub fn hang_up(&mut self, link: LinkId) {
        if self.links.remove(&link).is_some() {
            self.input(Input::Closed { link, error: None });
        }
    }

    /// Lets time pass.
    ///
    /// # Panics
    ///
    /// The agent makes no progress.
    pub fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let due = self.agent.poll_timeout().map(|due| due.at.max(self.now));
            let packet = (self.talks && !self.streams.is_empty()).then_some(self.next_packet);
            let Some(next) = due
                .into_iter()
                .chain(packet)
                .min()
                .filter(|at| *at <= until)
            else {
                break;
            };
            self.now = self.now.max(next);
            self.moments += 1;
            match packet == Some(next) {
                true => self.talk(),
                false => self.wake(),
            }
        }
        self.now = until;
        self.next_packet = self.next_packet.max(until);
    }

    /// Lets time pass until nobody waits for anything, at most so long. Returns what is still alive.
    pub fn rest(&mut self, limit: Duration) -> Stats {
        let until = self.now + limit;
        while self.agent.stats() != Stats::default() {
            let Some(due) = self.agent.poll_timeout().filter(|due| due.at <= until) else {
                break;
            };
            self.wait(due.at.saturating_duration_since(self.now));
        }
        self.agent.stats()
    }

    /// Takes what was sent.
    pub fn take_parcels(&mut self) -> Vec<Parcel> {
        std::mem::take(&mut self.parcels)
    }

    /// Takes what was told.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// How many sockets and connections are open, listeners included.
    pub fn open_links(&self) -> usize {
        self.links.len()
    }

    /// Hands in what happened, and checks that the agent gets on.
    ///
    /// # Panics
    ///
    /// It does not.
    pub fn input(&mut self, input: Input) {
        self.agent.handle_input(self.now, input);
        self.drain();
    }

    fn arrive(&mut self, link: LinkId, from: SocketAddr, bytes: &[u8]) {
        let payload = BytesMut::from(bytes);
        let to: Option<IpAddr> = None;
        self.input(Input::Datagram {
            link,
            from,
            to,
            payload,
        });
    }

    fn wake(&mut self) {
        let before = self.agent.poll_timeout();
        for _ in 0..ROUNDS {
            self.input(Input::Timeout);
            match self.agent.poll_timeout() {
                Some(due) if due.at <= self.now => {}
                _ => return,
            }
        }
        let now: Option<Deadline> = self.agent.poll_timeout();
        panic!("no progress: {before:?}, then {now:?}");
    }

    fn talk(&mut self) {
        self.next_packet = self.now + PACKET_TIME;
        self.media_time = self.media_time.wrapping_add(SAMPLES);
        let payload = Bytes::from_static(&[0xff; SAMPLES as usize]);
        for stream in self.streams.clone() {
            let frame = MediaFrame::new(0, self.media_time, payload.clone());
            // A stream that is over takes no more.
            if self.agent.write_media(self.now, stream, frame).is_err() {
                self.streams.retain(|known| *known != stream);
            }
        }
        self.drain();
    }

    fn socket(&self, class: Class, n: usize) -> Option<LinkId> {
        let fits = |link: &Link| link.class == class && !link.is_stream;
        let mut sockets = self.links.iter().filter(|(_, link)| fits(link));
        sockets.nth(n).map(|(id, _)| *id)
    }

    fn drain(&mut self) {
        while let Some(output) = self.agent.poll_output() {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Open { link, how } => self.open(link, how),
            Output::Transmit {
                link, to, payload, ..
            } => self.keep(link, to, payload),
            Output::Write { link, payload } => {
                let known = self.links.get_mut(&link).expect("an open link");
                known.written += payload.len() as u64;
                let to = known.peer.unwrap_or(known.local);
                self.keep(link, to, payload);
            }
            Output::Receive { link, more } => {
                if let Some(known) = self.links.get_mut(&link) {
                    known.credit += more as usize;
                }
            }
            Output::Adopt { connection, link } => {
                let peer = self.accepted.remove(&connection.0).expect("a connection");
                let known = Link {
                    local: peer,
                    peer: Some(peer),
                    class: Class::Signalling,
                    is_stream: true,
                    is_listener: false,
                    credit: INITIAL_CREDIT as usize,
                    written: 0,
                };
                self.links.insert(link, known);
                self.last_adopted = Some(link);
            }
            Output::Refuse { connection } => {
                self.accepted.remove(&connection.0).expect("a connection");
            }
            Output::Finish { link } => {
                self.links.remove(&link).expect("an open link");
                self.agent
                    .handle_input(self.now, Input::Closed { link, error: None });
            }
            Output::Close { link } => {
                self.links.remove(&link).expect("an open link");
            }
            Output::Notify(notification) => {
                if let Event::Session(session, event) = &notification.event {
                    self.respond(*session, event);
                }
                self.events.push(notification.event);
            }
            _ => {}
        }
    }

    fn open(&mut self, link: LinkId, how: Open) {
        let (bind, peer, class, is_stream, is_listener) = match how {
            Open::Udp { bind, class, .. } => (bind, None, class, false, false),
            Open::Listen { bind, class } => (bind, None, class, true, true),
            Open::Connect { from, to, class } => {
                let from = from.unwrap_or_else(|| to.ip());
                (SocketAddr::new(from, 0), Some(to), class, true, false)
            }
            how => panic!("{how:?}"),
        };
        let mut local = bind;
        if bind.port() == 0 {
            self.next += 1;
            local.set_port((self.next % 20_000 + 40_000) as u16);
        }
        let known = Link {
            local,
            peer,
            class,
            is_stream,
            is_listener,
            credit: INITIAL_CREDIT as usize,
            written: 0,
        };
        self.links.insert(link, known);
        self.agent
            .handle_input(self.now, Input::Opened { link, local, peer });
    }

    fn keep(&mut self, link: LinkId, to: SocketAddr, payload: Bytes) {
        let class = self.links.get(&link).expect("an open link").class;
        self.parcels.push(Parcel {
            at: self.now,
            link,
            class,
            to,
            payload,
        });
    }

    /// The application's habit.
    fn respond(&mut self, session: SessionId, event: &SessionEvent) {
        let SessionEvent::NewIncoming { streams, .. } = event else {
            return;
        };
        let now = self.now;
        // What is over meanwhile needs no answer.
        match self.habit {
            Habit::Ignore => {}
            Habit::Ring => {
                let _ = self.agent.ring(now, session);
            }
            Habit::Accept => {
                if self.talks {
                    self.streams.extend(streams);
                }
                let _ = self.agent.accept(now, session, streams);
            }
            Habit::Reject(code) => {
                let _ = self.agent.reject(now, session, code, None);
            }
        }
    }
}

/// G.711: 20 ms.
const PACKET_TIME: Duration = Duration::from_millis(20);
const SAMPLES: u32 = 160;
/// An agent fires a thousand timers at a time, and has no million.
const ROUNDS: usize = 1_000;
