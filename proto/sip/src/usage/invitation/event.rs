//! What an invitation tells its application, and the words that it uses.

use super::{State, info_request::InfoRequest};
use crate::{
    DialogId, Headers, InvitationId, LookupError, Method, Status, Uri, attempt::Failure,
    header::Address, message::Description,
};
use base::{LinkError, Transport};
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// What an INVITE from outside says: the first event of an incoming invitation.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Incoming {
    /// The only dialog that it can have.
    pub dialog: DialogId,
    /// Who calls, without the tag: untrusted.
    pub from: Address,
    /// Whom the caller dialled, without the tag.
    pub to: Address,
    /// Where the call was sent to.
    pub request_uri: Uri,
    /// The Call-ID.
    pub call_id: String,
    /// How it came in.
    pub transport: Transport,
    /// Where the datagram or connection came from.
    pub peer: SocketAddr,
    /// The user whose credentials the endpoint's guard has verified; `None` without a guard. Whether
    /// this user may speak for `from` is to be decided here.
    pub caller: Option<String>,
    /// The call of ours that this one wants to take the place of (RFC 3891): to be ended when this one
    /// is accepted, which the endpoint does, and left alone when it is refused.
    ///
    /// Whether the caller may do so is to be decided here (RFC 3891, 3): who knows Call-ID and both tags is
    /// a party of the call or was told by one, or stands on the way. `caller`, if a guard has verified
    /// it, and Referred-By, which names the party that wants to leave, say more.
    pub replaces: Option<InvitationId>,
    /// All headers, copied: a slice would hold the whole datagram. Alert-Info, Call-Info,
    /// P-Asserted-Identity and Privacy among them are to be shown, not believed.
    pub headers: Headers,
    /// The caller's offer; without it the application's `accept` brings ours.
    pub offer: Option<Description>,
}

/// What happened to an invitation. `Ended` comes exactly once and last.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub enum InvitationEvent {
    /// Somebody calls: answer with `ring`, `accept` or `reject`.
    Incoming(Box<Incoming>),
    /// The state changed, or a message left it as it was (a second 180): INV-13.
    StateChanged {
        /// The state before.
        prev: State,
        /// The state from here on; may be the same.
        state: State,
        /// The method of the request behind it, if a request of the peer is.
        method: Option<Method>,
        /// The code of the response behind it, received or made for a timeout.
        code: Option<Status>,
        /// Its reason phrase.
        reason: Option<String>,
    },
    /// The peer answers provisionally (101 to 199). Each one is an event of its own.
    Provisional {
        /// The early dialog that it belongs to; `None` if it made none (no To tag).
        dialog: Option<DialogId>,
        /// 101 to 199.
        code: Status,
        /// The reason phrase.
        reason: String,
        /// All headers, copied.
        headers: Headers,
    },
    /// The peer offers (re-INVITE, UPDATE, PRACK, or a 2xx or reliable provisional response to an
    /// offerless INVITE of ours): call `answer` or `refuse`.
    Offered {
        /// The dialog to name in the answer.
        dialog: DialogId,
        /// The offer.
        description: Description,
        /// The answer cannot wait for people: the offer came in anything but an INVITE. What would
        /// need somebody's consent is refused with 504 (RFC 3311, 5.2).
        immediate: bool,
        /// An INVITE of ours has asked for it, by making no offer: its transaction is answered with this
        /// one, and no other can be (RFC 3261, 13.2.1).
        asked: bool,
    },
    /// The peer asks for an offer (a re-INVITE without one): call `offer` or `refuse`.
    OfferRequested {
        /// The dialog.
        dialog: DialogId,
    },
    /// The peer took its offer back before it was answered (CANCEL of a re-INVITE): roll back.
    OfferWithdrawn {
        /// The dialog.
        dialog: DialogId,
    },
    /// The peer answers our offer. A forked INVITE brings one per dialog.
    Answered {
        /// The dialog.
        dialog: DialogId,
        /// The answer.
        description: Description,
        /// True for the preview in an unreliable provisional response; an answer in a reliable one is
        /// final (RFC 3262, 5). If the 2xx then says
        /// something else, RFC 3261, 13.2.1 would ignore it; here the 2xx counts and this event
        /// comes again with `early: false`, because peers that differ mean what they said last.
        early: bool,
    },
    /// Our offer is void: roll back to what was agreed before.
    OfferFailed {
        /// The dialog.
        dialog: DialogId,
        /// The final response, or the code that stands for what happened (408, 503).
        code: Status,
        /// Its reason phrase.
        reason: String,
        /// When RFC 3261, 14.1 lets us offer again; `None` if another try is not called for.
        #[serde(skip)]
        retry: Option<Instant>,
    },
    /// This dialog carries the call; the others have been released (extra 2xx: ACK, then BYE).
    Confirmed {
        /// The dialog.
        dialog: DialogId,
        /// All headers of the 2xx that confirmed it, copied; empty for an incoming call.
        headers: Headers,
    },
    /// The ACK was sent or has arrived: the call stands.
    Acknowledged {
        /// The dialog.
        dialog: DialogId,
    },
    /// A dialog of a forked INVITE is no more; the invitation goes on.
    DialogEnded {
        /// The dialog.
        dialog: DialogId,
    },
    /// INFO came, and was answered 200 (RFC 6086, 4.2.2). Whoever speaks it knows what it means.
    Informed {
        /// The dialog.
        dialog: DialogId,
        /// What it says.
        info: InfoRequest,
    },
    /// A transaction of this call came to its end (SES-69).
    Transaction {
        /// Who asked.
        originator: Originator,
        /// What.
        method: Method,
        /// The final response, or the code that stands for what happened (408, 503).
        code: Status,
        /// Its reason phrase.
        reason: String,
        /// INVITE only: whether the ACK was sent or has arrived.
        ack_received: Option<bool>,
    },
    /// The call is over.
    Ended {
        /// Who ended it.
        originator: Originator,
        /// The final response, if one ended it, or the code that stands for what happened.
        code: Option<Status>,
        /// Its reason phrase.
        reason: Option<String>,
        /// What it came to.
        cause: EndCause,
        /// The Reason header of the BYE or CANCEL, or of the final response (RFC 3326).
        reason_header: Option<String>,
        /// The headers of the final response, BYE or CANCEL, copied: Contact of a 3xx, Retry-After,
        /// Warning. Empty if no message ended the call.
        headers: Headers,
    },
}

/// Which side did something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Originator {
    /// We did.
    Local,
    /// The peer, or the network in its stead.
    Remote,
}

/// Why a call is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum EndCause {
    /// Our application ended, cancelled or refused it.
    #[error("user request")]
    UserRequest,
    /// The peer refused with a final response from 300 to 699.
    #[error("rejected")]
    Rejected,
    /// The caller gave up.
    #[error("cancelled")]
    Cancelled,
    /// The peer hung up.
    #[error("hung up")]
    Bye,
    /// Another call took its place (RFC 3891).
    #[error("replaced")]
    Replaced,
    /// The time that the INVITE allowed for an answer is over (its Expires, RFC 3261, 13.3.1).
    #[error("expired")]
    Expired,
    /// Nobody answered in time (timers B and F).
    #[error("timeout")]
    Timeout,
    /// No 2xx of ours was acknowledged in 64·T1 (RFC 3261, 13.3.1.4).
    #[error("missing ACK")]
    MissingAck,
    /// Nobody has refreshed the session in its time (RFC 4028, 10).
    #[error("session expired")]
    SessionExpired,
    /// A reliable provisional response of ours was not acknowledged in 64·T1 (RFC 3262, 3).
    #[error("missing PRACK")]
    MissingPrack,
    /// The peer does not know the dialog any more (481 or 408 inside it, RFC 5057).
    #[error("dialog gone")]
    DialogGone,
    /// The peer accepted without answering our offer or without making one.
    #[error("missing session description")]
    MissingDescription,
    /// No way led to the peer.
    #[error("transport failure{}", .0.map(|error| format!(": {error}")).unwrap_or_default())]
    Transport(Option<LinkError>),
    /// The peer's name led nowhere.
    #[error("name resolution: {0}")]
    Lookup(LookupError),
}

impl From<Failure> for EndCause {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Timeout => Self::Timeout,
            Failure::Transport(error) => Self::Transport(error),
            Failure::Lookup(error) => Self::Lookup(error),
            Failure::Cancelled => Self::UserRequest,
        }
    }
}

/// What an invitation knows of itself and its peer, for queries.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Info {
    /// The state.
    pub state: State,
    /// True if we called.
    pub is_outgoing: bool,
    /// The Call-ID.
    pub call_id: String,
    /// Us, without the tag.
    pub local: Address,
    /// Our tag.
    pub local_tag: String,
    /// The peer, without the tag.
    pub remote: Address,
    /// The peer's tag, once a dialog is confirmed.
    pub remote_tag: Option<String>,
    /// Where the INVITE was sent to.
    pub request_uri: Uri,
    /// Where the peer wants requests, once a dialog is confirmed: its Contact.
    pub remote_target: Option<Uri>,
    /// The way of the last message.
    pub transport: Option<Transport>,
    /// Where the last message came from or went to.
    pub peer: Option<SocketAddr>,
    /// Our Contact on that way.
    pub local_contact: Option<Uri>,
    /// The peer's User-Agent or Server, once it said it.
    pub remote_user_agent: Option<String>,
    /// All dialogs that live, in the order in which they appeared.
    pub dialogs: Vec<DialogId>,
    /// The one that carries the call.
    pub confirmed: Option<DialogId>,
    /// How long its session lasts without a refresh, as last agreed (RFC 4028); `None` without a session timer.
    pub session_interval: Option<Duration>,
    /// True if it is us who refresh it.
    pub is_refresher: bool,
}
