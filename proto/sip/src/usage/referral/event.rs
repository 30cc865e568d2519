//! What referrals tell their application.

use crate::{
    Headers, InvitationId, Status, Uri,
    header::Address,
    usage::{
        notifier::{NotifierEnd, State},
        subscription::SubscriptionEnd,
    },
};
use base::Transport;
use serde::Serialize;
use std::net::SocketAddr;

/// What happened to a REFER of ours. `Ended` comes exactly once and last.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub enum ReferralEvent {
    /// The peer will try (202, or a first report).
    Accepted {
        /// The response.
        code: Status,
        /// Its reason phrase.
        reason: String,
    },
    /// The peer reports what its request got (XFR-06).
    Progress {
        /// 100 to 699.
        code: Status,
        /// Its reason phrase, as it came.
        reason: String,
    },
    /// It is over.
    Ended {
        /// What it came to.
        outcome: ReferralEnd,
        /// The last code: of a report, or of the response to REFER.
        code: Option<Status>,
        /// Its reason phrase.
        reason: Option<String>,
    },
}

/// What came of a REFER of ours.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, thiserror::Error)]
#[non_exhaustive]
pub enum ReferralEnd {
    /// A report had a 2xx.
    #[error("succeeded")]
    Succeeded,
    /// A report had 300 to 699.
    #[error("failed")]
    Failed,
    /// The peer refused REFER, or did not answer it.
    #[error("refused")]
    Refused,
    /// The peer has accepted it and will not report (RFC 4488).
    #[error("not reported")]
    Unreported,
    /// The reports ended before the outcome was known.
    #[error("reports ended: {0}")]
    Lost(SubscriptionEnd),
}

/// What a REFER from outside says.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct IncomingRefer {
    /// Who asks, without the tag: untrusted.
    pub from: Address,
    /// Whom, without the tag.
    pub to: Address,
    /// Where the REFER was sent to.
    pub request_uri: Uri,
    /// The call that it is about: the one of its dialog, or the one that Target-Dialog names (RFC 4538).
    pub call: Option<InvitationId>,
    /// Whom to call: Refer-To, without the headers of its URI.
    pub refer_to: Address,
    /// The method to use, if it is not INVITE.
    pub method: Option<String>,
    /// The value of the Replaces header that the request shall have, without escapes (RFC 3891).
    pub replaces: Option<String>,
    /// Further headers that Refer-To asks for, without escapes: untrusted.
    pub uri_headers: Vec<(String, String)>,
    /// On whose behalf (RFC 3892).
    pub referred_by: Option<Address>,
    /// No reports are wanted (RFC 4488).
    pub is_silent: bool,
    /// The Call-ID.
    pub call_id: String,
    /// How it came in.
    pub transport: Transport,
    /// Where the datagram or connection came from.
    pub peer: SocketAddr,
    /// All headers, copied.
    pub headers: Headers,
}

/// What happened to a REFER of a peer. `Ended` comes exactly once and last.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub enum IncomingReferralEvent {
    /// Somebody asks us to send a request: answer with `accept` and `report`, or with `reject`. Who
    /// does neither in T2 has accepted it with `pending` reports.
    Incoming(Box<IncomingRefer>),
    /// The state changed.
    StateChanged {
        /// The state before.
        prev: State,
        /// The state from here on.
        state: State,
    },
    /// A report got a final response, or none.
    Notified {
        /// The response, or the code that stands for what happened (408, 503).
        code: Status,
        /// Its reason phrase.
        reason: String,
    },
    /// The peer is told no more: its last report got a response, or none. What was begun goes on.
    Ended {
        /// What it came to: [`NotifierEnd::Terminated`] after the last report.
        cause: NotifierEnd,
    },
}
