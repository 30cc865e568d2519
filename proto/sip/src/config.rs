//! How an endpoint behaves.

pub use crate::reliable::Reliability;
use crate::{Status, header::Refresher, transaction};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What an endpoint is told once: names, timers and limits. All have defaults.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Config {
    /// The value of User-Agent in requests and of Server in responses; empty: neither is written
    /// (ENG-18).
    pub user_agent: String,
    /// Timers and limits of transactions; all limits that the RFCs write as multiples of T1 follow
    /// its timers.
    pub transactions: transaction::Config,
    /// How long a datagram target may stay silent before the next one is tried; only if there is
    /// a next one, and never after a provisional response.
    pub dead_target: Duration,
    /// How long a connection may take to come up before one in the other family of addresses is tried
    /// beside it (RFC 8305, 5).
    pub connection_attempt_delay: Duration,
    /// Requests above this many bytes leave by TCP if they can (RFC 3261, 18.1.1: 1300 for an
    /// unknown MTU, MTU − 200 otherwise); `None` sends datagrams of any size (ENG-49).
    pub oversize: Option<usize>,
    /// How long `end` waits for the answer to its CANCEL or BYE before the call counts as over for
    /// the application (INV-09). On the wire the call goes on until it is over there, too.
    pub end_timeout: Duration,
    /// How often a provisional response is repeated while an incoming call rings (RFC 3261, 13.3.1.1).
    pub ring_interval: Duration,
    /// How long the application may take to answer a MESSAGE before it is answered 200 (BUG-20); `None`
    /// answers 200 at once. Below timer F of the peer, or it hears nothing.
    pub message_answer: Option<Duration>,
    /// Of several challenges of one realm the one with the strongest hash is answered; `false` answers the
    /// topmost that can be answered, as RFC 8760, 2.4 asks: a server that names a strong hash and reckons
    /// wrongly with it may need that. With `true`, none is answered that is weaker than what the realm has accepted before.
    pub prefer_strongest: bool,
    /// How long a connection that we opened is kept without any message and any call on it.
    pub idle_opened: Duration,
    /// The same for connections that peers opened (ENG-49).
    pub idle_accepted: Duration,
    /// Reliable provisional responses (RFC 3262), both ways.
    pub reliable: Reliability,
    /// Session timers (RFC 4028), both roles.
    pub session_timer: SessionTimer,
    /// What is taken in INFO requests.
    pub info: Info,
    /// How the ways to registrars are kept open.
    pub keep_alive: KeepAlive,
    /// What can pile up.
    pub limits: Limits,
}

/// What an endpoint takes in INFO requests: the rest is refused, with what it would take.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Info {
    /// The Info Packages that peers may send (RFC 6086, 5.2.2: Recv-Info), told in every call; others are
    /// answered 469. `None` does not speak of packages at all. With [`TRICKLE_ICE`] among them the extension
    /// of that name is supported, too (RFC 8840, 10.6).
    pub packages: Option<Vec<String>>,
    /// The media types that peers may send without a package (RFC 2976); others are answered 415. An
    /// INFO without a body is always taken.
    pub legacy: Vec<String>,
}

/// The Info Package of ICE candidates that trickle in (RFC 8840, 10.4).
pub const TRICKLE_ICE: &str = "trickle-ice";
/// The media type of such candidates (RFC 8840, 9).
pub const ICE_FRAGMENT: &str = "application/trickle-ice-sdpfrag";

impl Info {
    /// True for a package that peers may send.
    pub(crate) fn takes(&self, package: &str) -> bool {
        let mut known = self.packages.iter().flatten();
        known.any(|known| known.eq_ignore_ascii_case(package))
    }

    /// The media types of what comes with a package, or without one; `None` leaves that to the application.
    pub(crate) fn media_types(&self, package: Option<&str>) -> Option<Vec<&str>> {
        match package {
            None => Some(self.legacy.iter().map(String::as_str).collect()),
            // RFC 8840, 10.7.
            Some(name) if name.eq_ignore_ascii_case(TRICKLE_ICE) => Some(vec![ICE_FRAGMENT]),
            Some(_) => None,
        }
    }
}

impl Default for Info {
    fn default() -> Self {
        Self {
            packages: None,
            legacy: vec![
                "application/dtmf-relay".to_owned(),
                "application/dtmf".to_owned(),
            ],
        }
    }
}

/// How the ways by which registrars reach us are kept open, and found to be dead (RFC 5626, 4.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct KeepAlive {
    /// The longest time between two signs of life on a connection; each is drawn between 80 and 100 % of
    /// it. A registrar's Flow-Timer may shorten it. `None` sends none.
    pub stream: Option<Duration>,
    /// The same towards a peer of datagrams.
    pub datagram: Option<Duration>,
    /// Also towards registrars that have not agreed to RFC 5626: it keeps the bindings of address
    /// translators, and needs no answer.
    pub without_outbound: bool,
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self {
            // RFC 5626, 4.4: 95 to 120 s on connections, 24 to 29 s with datagrams.
            stream: Some(Duration::from_secs(120)),
            datagram: Some(Duration::from_secs(29)),
            without_outbound: true,
        }
    }
}

/// How a way is kept open.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub struct Pulse {
    /// The longest time between two signs of life.
    pub every: Duration,
    /// The peer has promised to answer (RFC 5626): if it does not, the way is dead.
    pub is_answered: bool,
}

impl Pulse {
    /// Puts both together.
    pub const fn new(every: Duration, is_answered: bool) -> Self {
        Self { every, is_answered }
    }
}

/// How sessions are kept from outliving their peers (RFC 4028).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SessionTimer {
    /// We say that we know the extension, and do what peers ask for.
    pub is_on: bool,
    /// The interval that we ask for, and the longest that we grant, in whole seconds; `None` asks for
    /// none and grants any.
    pub expires: Option<Duration>,
    /// The shortest interval that we accept, in whole seconds (Min-SE). RFC 4028, 5 allows none below
    /// 90 s; tests do.
    pub min_se: Duration,
    /// Which side of the INVITE is to refresh where that is ours to say; `None` leaves it to the callee
    /// when we call, and is the caller when we are called.
    pub refresher: Option<Refresher>,
}

impl Default for SessionTimer {
    fn default() -> Self {
        Self {
            is_on: true,
            // RFC 4028, 4: the recommended interval.
            expires: Some(Duration::from_secs(1_800)),
            min_se: Duration::from_secs(90),
            refresher: None,
        }
    }
}

/// Upper bounds of what peers can make an endpoint keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Limits {
    /// Calls at a time, over and lingering ones included; above it INVITE is answered 503.
    pub invitations: usize,
    /// Incoming calls whose 2xx is not acknowledged; above it INVITE is answered 503. A spoofed
    /// INVITE to an agent that accepts by itself draws eleven 2xx: this bounds the reflection.
    pub unacknowledged: usize,
    /// Everything outside of calls at a time: registrations, publications, subscriptions, messages and
    /// questions; above it peers are answered 503.
    pub usages: usize,
    /// Connections at a time.
    pub flows: usize,
    /// Subscriptions and referrals, ours and those of peers; above it SUBSCRIBE and REFER are answered
    /// 503.
    pub subscriptions: usize,
    /// Early dialogs of one forked INVITE, of which provisional responses of further ones only count as
    /// progress; and further dialogs of one forked SUBSCRIBE.
    pub forks: usize,
}

impl Config {
    /// The defaults, under a name for User-Agent and Server.
    pub fn new(user_agent: impl Into<String>) -> Self {
        Self {
            user_agent: user_agent.into(),
            ..Self::default()
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            user_agent: String::new(),
            dead_target: Duration::from_millis(1_500),
            connection_attempt_delay: Duration::from_millis(250),
            oversize: Some(1_300),
            end_timeout: Duration::from_millis(3_500),
            ring_interval: Duration::from_secs(60),
            message_answer: None,
            prefer_strongest: true,
            // RFC 3261, 18: at least as long as a transaction may take.
            idle_opened: Duration::from_secs(32),
            idle_accepted: Duration::from_secs(2 * 60 * 60),
            transactions: transaction::Config::default(),
            reliable: Reliability::default(),
            session_timer: SessionTimer::default(),
            info: Info::default(),
            keep_alive: KeepAlive::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // About 10 kB each: 100 MB.
            invitations: 10_000,
            unacknowledged: 64,
            // About 2 kB each: 20 MB.
            usages: 10_000,
            flows: 10_000,
            // About 2 kB each: 20 MB.
            subscriptions: 10_000,
            forks: 16,
        }
    }
}

/// What an INVITE would get now, and so what OPTIONS outside a call gets (RFC 3261, 11.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Availability {
    /// INVITE is handed to the application.
    #[default]
    Available,
    /// INVITE is refused at once, with the status and, for 503, with Retry-After in seconds.
    Refusing(Status),
}
