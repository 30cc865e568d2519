//! What goes in and out of an agent.

use crate::{Candidate, Kind, role::Role};
use base::Rng;
use bytes::Bytes;
use std::{fmt, net::SocketAddr, time::Duration};

/// A component of a stream: 1 is RTP, 2 is RTCP (RFC 8445, 4).
pub type Component = u8;

/// How far an agent is (RFC 8445, 6.1.3 and 8.1.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum State {
    /// It has addresses at most.
    New,
    /// It asks servers for more.
    Gathering,
    /// It has all that it will have, and waits for the peer's description.
    Gathered,
    /// Pairs are being checked.
    Running,
    /// There is a chosen pair for each component.
    Completed,
    /// No pair works.
    Failed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Gathering => "gathering",
            Self::Gathered => "gathered",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
        })
    }
}

/// One of our own addresses, in the order in which they were added.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct BaseId(pub(super) usize);

/// No such address was added.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no such base address")]
pub struct UnknownBase;

/// What proves that a check belongs to a session (RFC 8445, 5.3); `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The username fragment, 4 to 256 letters, digits, `+` and `/`.
    pub ufrag: String,
    /// The password, 22 to 256 of the same.
    pub pwd: String,
}

impl Credentials {
    /// RFC 8445, 5.3: at least 24 and 128 bits.
    pub(super) fn random(rng: &mut Rng) -> Self {
        Self {
            ufrag: rng.token(8),
            pwd: rng.token(24),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("ufrag", &self.ufrag)
            .finish_non_exhaustive()
    }
}

/// What one side tells the other (RFC 8839, 5).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Description {
    /// The keys of the checks.
    pub credentials: Credentials,
    /// The addresses.
    pub candidates: Vec<Candidate>,
    /// The side only answers checks (RFC 8445, 2.5).
    pub is_lite: bool,
    /// More candidates may follow (RFC 8838).
    pub is_trickling: bool,
    /// The last component that there is; candidates of others do not count. It is 1 where RTCP shares
    /// the port of RTP, whatever was offered (RFC 5761, 5.1.3).
    pub components: Component,
}

impl Description {
    /// Of a full agent that has told all.
    pub const fn new(credentials: Credentials, candidates: Vec<Candidate>) -> Self {
        Self {
            credentials,
            candidates,
            is_lite: false,
            is_trickling: false,
            components: Component::MAX,
        }
    }
}

/// Timers and limits.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Between two new checks or questions to servers (RFC 8445, 14.2); of checks so many times that as
    /// agents run together ([`Agent::set_agents`](super::Agent::set_agents)).
    pub ta: Duration,
    /// Between a request and its first repetition, at least (RFC 8445, 14.3); doubled each time.
    pub rto: Duration,
    /// How often a request is sent before its 16 RTO of silence begin (RFC 8489, 6.2.1: Rc 7, Rm 16).
    pub transmissions: u32,
    /// How long servers are waited for.
    pub gathering: Duration,
    /// How long a controlling agent that has a pair waits for a better one.
    pub better: Duration,
    /// The same if the pair that it has goes over a relay.
    pub better_than_relayed: Duration,
    /// How long no failure is final (RFC 8863, 4).
    pub patience: Duration,
    /// Between two proofs that the peer still wants what we send (RFC 7675, 5.1: 5 s, varied by a fifth).
    pub consent_interval: Duration,
    /// How long silence is borne (RFC 7675, 5.1).
    pub consent_timeout: Duration,
    /// Candidates of each side; more are ignored.
    pub candidates: usize,
    /// Pairs (RFC 8445, 6.1.2.5); the worst are left out. As many again of addresses that only the
    /// peer's checks have shown.
    pub pairs: usize,
    /// Requests that are kept until the peer's description comes.
    pub early: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ta: Duration::from_millis(50),
            rto: Duration::from_millis(500),
            transmissions: 7,
            gathering: Duration::from_secs(2),
            better: Duration::from_millis(100),
            better_than_relayed: Duration::from_secs(1),
            patience: Duration::from_millis(39_500),
            consent_interval: Duration::from_secs(5),
            consent_timeout: Duration::from_secs(30),
            candidates: 64,
            pairs: 100,
            early: 16,
        }
    }
}

/// The pair that carries a component.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Selected {
    /// What to send from.
    pub base: BaseId,
    /// How the peer sees us.
    pub local: SocketAddr,
    /// How that was found.
    pub local_kind: Kind,
    /// Where to send to.
    pub remote: SocketAddr,
    /// How that was found.
    pub remote_kind: Kind,
}

/// What an agent wants from outside.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Output {
    /// Send a datagram.
    Transmit {
        /// From which address of ours.
        base: BaseId,
        /// To whom.
        to: SocketAddr,
        /// What.
        payload: Bytes,
    },
    /// Something happened.
    Event(Event),
}

/// What an agent tells.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// It moved on (AUS-24, RTP-14).
    StateDidChange {
        /// From where.
        before: State,
        /// To where.
        after: State,
    },
    /// A candidate was found; a description that was made before does not have it.
    GotCandidate(Candidate),
    /// A component has a chosen pair, or another one.
    DidSelect {
        /// Which.
        component: Component,
        /// The pair.
        pair: Selected,
    },
    /// Who controls has changed; the session's other streams must follow (RFC 8445, 7.3.1.1).
    RoleDidChange(Role),
    /// The peer has not proved for too long that it wants what we send, or says that it does not:
    /// nothing may be sent any more (RFC 7675, 5.1). A restart may help.
    ConsentExpired {
        /// On which component.
        component: Component,
    },
    /// Addresses that no chosen pair uses may be closed (RFC 8445, 8.3.1).
    CandidatesFree,
}
