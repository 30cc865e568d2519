//! An address at a relay (RFC 8656), as its client sees it.

mod allocation;
mod channel;
mod frame;
mod peer;
mod request;
#[cfg(test)]
mod tests;

pub use frame::{Framer, TooLong};

use crate::stun::{Class, Key, Message, Method};
use base::{Deadline, Rng, earliest};
use bytes::Bytes;
use peer::Peer;
use request::Request;
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// Holds one address at a TURN server (RFC 8656).
///
/// Feed it what comes from the server ([`Client::handle_message`]; of a stream, cut by [`Framer`]),
/// send what [`Client::poll_output`] says, wake it when [`Client::poll_timeout`] says. It allocates,
/// answers challenges, keeps the allocation, its permissions and channels alive, and says what peers
/// send. [`Output::Lost`] ends it: another allocation is another client.
#[derive(Debug)]
pub struct Client {
    config: Config,
    rng: Rng,
    state: State,
    /// What answers challenges, once there was one.
    realm: Option<Realm>,
    /// Since the last success, so that a wrong password does not go on for ever.
    challenged: u32,
    requests: Vec<Request>,
    peers: BTreeMap<SocketAddr, Peer>,
    permissions: BTreeMap<IpAddr, Permission>,
    refresh: Option<Instant>,
    next_channel: u16,
    out: VecDeque<Output>,
}

/// Who we are at the server, and how we speak with it; `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
    /// The address shall be of IPv6.
    pub is_v6: bool,
    /// The server is spoken with over a stream: nothing is repeated, and channel data is padded (RFC
    /// 8656, 12.5).
    pub is_stream: bool,
    /// Between a request and its first repetition; doubled each time (RFC 8489, 6.2.1).
    pub rto: Duration,
    /// How often a request is sent before its 16 RTO of silence begin.
    pub transmissions: u32,
    /// How long a request over a stream is waited for (RFC 8489, 6.2.2: 39.5 s).
    pub stream_timeout: Duration,
    /// How long an allocation shall live without being refreshed (RFC 8656, 3.2: 600 s).
    pub lifetime: Duration,
    /// Peers at a time.
    pub peers: usize,
    /// Datagrams for one peer that wait for its permission; the oldest goes.
    pub waiting: usize,
}

impl Config {
    /// The defaults.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            password: password.into(),
            is_v6: false,
            is_stream: false,
            rto: Duration::from_millis(500),
            transmissions: 7,
            stream_timeout: Duration::from_millis(39_500),
            lifetime: Duration::from_secs(600),
            peers: 64,
            waiting: 4,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    New,
    Allocating,
    /// There is an address.
    Allocated,
    /// It is being given back.
    Releasing,
    /// There is none any more.
    Over,
}

/// What a server wants to be proved by (RFC 8489, 9.2).
#[derive(Debug)]
struct Realm {
    realm: String,
    nonce: String,
    key: Key,
}

/// Who may send to us (RFC 8656, 9): five minutes, for all ports of an address.
#[derive(Debug)]
struct Permission {
    /// When to ask for it again.
    refresh: Option<Instant>,
    is_given: bool,
}

/// What a client wants from outside, or tells.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Output {
    /// Send this to the server.
    Transmit(Bytes),
    /// There is an address.
    Allocated {
        /// It.
        relayed: SocketAddr,
        /// How the server sees us: a reflexive candidate for free (RFC 8445, 5.1.1.2).
        mapped: Option<SocketAddr>,
    },
    /// A peer sent this.
    Data {
        /// Who.
        peer: SocketAddr,
        /// What.
        payload: Bytes,
    },
    /// The server does not let a peer in, and will not.
    Forbidden {
        /// Whom.
        peer: IpAddr,
        /// Why (RFC 8656, 10.2).
        code: u16,
    },
    /// There is no address, or no more.
    Lost(Lost),
}

/// Why there is no address.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// We gave it back.
    #[error("released")]
    Released,
    /// The server does not answer.
    #[error("the server does not answer")]
    Silent,
    /// The server does not know us, or the password is wrong (401, 441).
    #[error("not authenticated")]
    NotAuthenticated,
    /// Another server shall be asked (RFC 8489, 10). Whom to believe that is the owner's to say.
    #[error("redirected to {0}")]
    Redirected(SocketAddr),
    /// The server has forgotten us (437): a new client from another port may have more luck.
    #[error("the server has forgotten the allocation")]
    Forgotten,
    /// The server does not know a channel that it has agreed to (RFC 8656, 12.3): a new client has none.
    #[error("the server has forgotten a channel")]
    OutOfSync,
    /// Anything else.
    #[error("refused with {0}")]
    Refused(u16),
    /// What it answered makes no sense.
    #[error("unusable answer")]
    Unusable,
}

/// A datagram could not be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CannotSend {
    /// There is no address, or it is of the other family.
    #[error("no relayed address of that family")]
    NoAddress,
    /// More peers than [`Config::peers`].
    #[error("too many peers")]
    TooManyPeers,
    /// Larger than 65,535 bytes with its header.
    #[error("too large")]
    TooLarge,
}

impl Client {
    /// A client that has not said anything.
    pub fn new(config: Config, rng: Rng) -> Self {
        Self {
            config,
            rng,
            state: State::New,
            realm: None,
            challenged: 0,
            requests: Vec::new(),
            peers: BTreeMap::new(),
            permissions: BTreeMap::new(),
            refresh: None,
            next_channel: FIRST_CHANNEL,
            out: VecDeque::new(),
        }
    }

    /// True while there is an address.
    pub fn is_allocated(&self) -> bool {
        self.state == State::Allocated
    }

    /// Takes one message or one piece of channel data of the server. What is neither is dropped.
    pub fn handle_message(&mut self, now: Instant, bytes: &Bytes) {
        if self.state == State::Over {
            return;
        }
        if bytes.first().is_some_and(|first| first >> 6 == 1) {
            return self.handle_channel_data(bytes);
        }
        let Ok(message) = Message::parse(bytes) else {
            return;
        };
        match (message.class(), message.method()) {
            (Class::Indication, Method::DATA) => self.handle_data(bytes, &message),
            (Class::Success | Class::Error, _) => self.handle_response(now, &message),
            _ => {}
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.requests_due(now);
        if self.state != State::Allocated {
            return;
        }
        if self.refresh.is_some_and(|at| at <= now) {
            self.refresh = None;
            self.refresh_allocation(now);
        }
        self.permissions_due(now);
        self.channels_due(now);
    }

    /// When to call [`Client::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let requests = self.requests.iter().map(|request| request.next).min();
        let permissions = self.permissions.values().filter_map(|it| it.refresh).min();
        let channels = self.peers.values().filter_map(|peer| peer.rebind).min();
        earliest([
            (requests, "TURN request"),
            (self.refresh, "TURN refresh"),
            (permissions, "TURN permission"),
            (channels, "TURN channel"),
        ])
    }

    /// What to send and to tell, in the order of causes.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn lose(&mut self, why: Lost) {
        if self.state == State::Over {
            return;
        }
        self.state = State::Over;
        self.requests.clear();
        self.peers.clear();
        self.permissions.clear();
        self.refresh = None;
        self.out.push_back(Output::Lost(why));
    }
}

/// RFC 8656, 12: 0x4000 to 0x4fff.
const FIRST_CHANNEL: u16 = 0x4000;
