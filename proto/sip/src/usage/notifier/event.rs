//! What a subscription of a peer tells its application, and the words of its commands.

use super::State;
use crate::{Headers, Status, Uri, header::Address, message::Description};
use base::Transport;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// What a SUBSCRIBE from outside says: the first event of a subscription of a peer.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct IncomingSubscription {
    /// Who subscribes, without the tag: untrusted.
    pub from: Address,
    /// To whose state, without the tag.
    pub to: Address,
    /// Where the SUBSCRIBE was sent to.
    pub request_uri: Uri,
    /// The event package.
    pub event: String,
    /// The `id` parameter of Event.
    pub id: Option<String>,
    /// What will be granted, in seconds; 0 asks once, without a subscription.
    pub expires: u32,
    /// The Call-ID.
    pub call_id: String,
    /// How it came in.
    pub transport: Transport,
    /// Where the datagram or connection came from.
    pub peer: SocketAddr,
    /// The user whose credentials the endpoint's guard has verified; `None` without a guard, and inside a
    /// dialog. Whether this user may speak for `from` is to be decided by the application.
    pub caller: Option<String>,
    /// All headers, copied.
    pub headers: Headers,
    /// A filter, or a list of resources.
    pub content: Option<Description>,
}

/// What happened to a subscription of a peer. `Ended` comes exactly once and last.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub enum NotifierEvent {
    /// Somebody subscribes: answer with `accept`, `pend` or `reject`. Who does neither in T2 leaves it
    /// pending, as RFC 6665, 4.2.1.1 wants no user waited for.
    Incoming(Box<IncomingSubscription>),
    /// The state changed.
    StateChanged {
        /// The state before.
        prev: State,
        /// The state from here on.
        state: State,
    },
    /// The peer renewed it.
    Refreshed {
        /// For so many seconds.
        expires: u32,
    },
    /// A NOTIFY got a final response, or none.
    Notified {
        /// The response, or the code that stands for what happened (408, 503).
        code: Status,
        /// Its reason phrase.
        reason: String,
    },
    /// The subscription is over.
    Ended {
        /// What it came to.
        cause: NotifierEnd,
    },
}

/// Why a subscription of a peer is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum NotifierEnd {
    /// Our application refused it.
    #[error("rejected")]
    Rejected,
    /// Our application ended it.
    #[error("terminated")]
    Terminated,
    /// The peer ended it, or asked only once.
    #[error("unsubscribed")]
    Unsubscribed,
    /// The peer has not refreshed it.
    #[error("expired")]
    Expired,
    /// The peer has lost it: 481, 408 and others to a NOTIFY (RFC 6665, 4.2.2).
    #[error("NOTIFY failed")]
    Failed(Status),
    /// The dialog that it shared is no more.
    #[error("dialog gone")]
    DialogGone,
}

/// Why we end a subscription of a peer (RFC 6665, 4.1.3): what the peer makes of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// It shall subscribe anew at once.
    Deactivated,
    /// It shall subscribe anew later.
    Probation,
    /// It is not allowed any more.
    Rejected,
    /// It was not refreshed.
    Timeout,
    /// Nobody has decided.
    Giveup,
    /// What it was about is no more.
    Noresource,
    /// The state will not change.
    Invariant,
}

impl Reason {
    /// The word of the RFC.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deactivated => "deactivated",
            Self::Probation => "probation",
            Self::Rejected => "rejected",
            Self::Timeout => "timeout",
            Self::Giveup => "giveup",
            Self::Noresource => "noresource",
            Self::Invariant => "invariant",
        }
    }
}

/// Why nothing of that kind can be done with a subscription of a peer now. Nothing has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotifierError {
    /// Not in this state.
    #[error("not in state {0:?}")]
    WrongState(State),
    /// Not a status that refuses (300 to 699), or reports (100 to 699).
    #[error("the status does not fit the command")]
    WrongStatus,
    /// A header that the stack writes itself.
    #[error("{0:?} cannot be given")]
    Reserved(crate::HeaderName),
}
