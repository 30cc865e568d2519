//! What commands are given, and why they are refused.

use crate::{
    edge::payload,
    id::StreamId,
    stream::{StreamError, StreamSpec},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip::{AccountId, Description};
use std::time::Duration;

/// A call to make (SES-05).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Connect {
    /// Who calls; `None` for the default account.
    pub account: Option<AccountId>,
    /// Whom to call.
    pub to: sip::Uri,
    /// The name to show beside it.
    pub display_name: Option<String>,
    /// The callee shall not learn who calls (RFC 3323, 4.1.1): From says
    /// `"Anonymous" <sip:anonymous@anonymous.invalid>`, and Privacy `id`, so that proxies that know who we
    /// are keep it (RFC 3325, 9.3); a Privacy in `headers` stands in the place of that. The call takes the way
    /// of its account and answers challenges as that account all the same: a callee that asks for credentials
    /// itself learns their user. A first proxy that is [trusted](super::Config::trusted) is told the
    /// account in P-Preferred-Identity (9.2).
    ///
    /// Via, Contact and the session description say our address: only a service on the way can hide
    /// it (RFC 3323, 5).
    #[serde(default)]
    pub anonymous: bool,
    /// What to propose, in the order of the m-lines.
    pub streams: Vec<StreamSpec>,
    /// The Subject header (SES-08).
    pub subject: Option<String>,
    /// How many redirections (3xx) wait for [`follow_redirect`](super::UserAgent::follow_redirect); without any
    /// left, one ends the call.
    pub redirects: u8,
    /// Headers to add, except those that the dialog needs for itself (SES-13).
    pub headers: Vec<(String, String)>,
    /// The dialog that the call takes the place of at the callee, as the value of a Replaces header says it
    /// (RFC 3891, 6.1): what somebody else has told, such as a package of dialogs.
    pub replaces: Option<String>,
}

impl Connect {
    /// A call with these streams and nothing special.
    pub fn new(to: sip::Uri, streams: Vec<StreamSpec>) -> Self {
        Self {
            account: None,
            to,
            display_name: None,
            anonymous: false,
            streams,
            subject: None,
            redirects: 0,
            headers: Vec::new(),
            replaces: None,
        }
    }
}

/// What to publish (PUB-03).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Publish {
    /// Who publishes; `None` for the default account.
    pub account: Option<AccountId>,
    /// The event package (`presence`).
    pub event: String,
    /// The media type of the content, whole.
    pub content_type: String,
    /// The content.
    #[serde(with = "payload")]
    pub body: Bytes,
}

impl Publish {
    /// Content of an event package.
    pub fn new(
        event: impl Into<String>,
        content_type: impl Into<String>,
        body: impl Into<Bytes>,
    ) -> Self {
        Self {
            account: None,
            event: event.into(),
            content_type: content_type.into(),
            body: body.into(),
        }
    }
}

/// A message to send outside of sessions (MSG-01).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// Who writes; `None` for the default account.
    pub account: Option<AccountId>,
    /// To whom.
    pub to: sip::Uri,
    /// The recipient shall not learn who writes, as in [`Connect::anonymous`].
    #[serde(default)]
    pub anonymous: bool,
    /// The media type of the content, whole (BUG-05).
    pub content_type: String,
    /// The content.
    #[serde(with = "payload")]
    pub body: Bytes,
}

impl Message {
    /// A plain text.
    pub fn new(to: sip::Uri, text: impl Into<String>) -> Self {
        Self {
            account: None,
            to,
            anonymous: false,
            content_type: "text/plain;charset=utf-8".to_owned(),
            body: Bytes::from(text.into()),
        }
    }
}

/// What to subscribe to (SUB-01).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Subscribe {
    /// Who subscribes; `None` for the default account.
    pub account: Option<AccountId>,
    /// To whose state.
    pub to: sip::Uri,
    /// The event package with its templates: `presence`, `presence.winfo`.
    pub event: String,
    /// What tells it from others of that package to the same peer (RFC 6665, 4.5.2).
    pub id: Option<String>,
    /// The media types that the documents may have; empty for the package's own default.
    pub accept: Vec<String>,
    /// How long is asked for, in whole seconds. Zero asks once, without a subscription.
    pub expires: Duration,
    /// We understand lists of resources (RFC 4662).
    pub event_list: bool,
    /// A filter, or a list of resources.
    pub content: Option<Description>,
    /// Headers to add, except those that the subscription needs for itself (SES-13).
    pub headers: Vec<(String, String)>,
}

impl Subscribe {
    /// A subscription for 300 s (SUB-01), and nothing special.
    pub fn new(to: sip::Uri, event: impl Into<String>) -> Self {
        Self {
            account: None,
            to,
            event: event.into(),
            id: None,
            accept: Vec::new(),
            expires: EXPIRES,
            event_list: false,
            content: None,
            headers: Vec::new(),
        }
    }
}

/// A media frame of the application: what a stream needs to send it. Sequence and source are the
/// stream's own, the time is that of the command.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MediaFrame {
    /// The payload type, as the stream's agreement numbers it.
    pub payload_type: u8,
    /// First frame after silence.
    pub marker: bool,
    /// The media timestamp in clock units.
    pub timestamp: u32,
    /// The payload.
    #[serde(with = "payload")]
    pub payload: Bytes,
}

impl MediaFrame {
    /// A frame within running speech.
    pub const fn new(payload_type: u8, timestamp: u32, payload: Bytes) -> Self {
        Self {
            payload_type,
            marker: false,
            timestamp,
            payload,
        }
    }
}

/// Why a call could not be made; nothing has changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Before `DidStart`, or after `shutdown`.
    #[error("the agent does not run")]
    NotRunning,
    /// As many sessions or streams as the limits allow.
    #[error("too many sessions or streams")]
    TooMany,
    /// There is no such account.
    #[error("no such account")]
    UnknownAccount,
    /// A session needs a stream.
    #[error("no streams")]
    NoStreams,
    /// A stream cannot be made.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The header is not the application's to set (SES-13), or is no header.
    #[error("header not allowed: {0}")]
    Header(String),
    /// What is to be replaced is no value of Replaces.
    #[error("not a value of Replaces")]
    Replaces,
}

/// INFO could not be sent; nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InformError {
    /// There is no such session, or no more, or nobody is called yet.
    #[error("no call of such a session")]
    UnknownSession,
    /// The call does not allow it.
    #[error(transparent)]
    Call(#[from] sip::usage::invitation::InfoError),
}

/// The interval of a session cannot be asked for; nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionIntervalError {
    /// There is no such session, or no more, or it does not stand yet.
    #[error("no call of such a session stands")]
    UnknownSession,
    /// We do not do session timers ([`is_on`](sip::config::SessionTimer::is_on)).
    #[error("session timers are off")]
    Off,
    /// Shorter than we would accept ourselves ([`min_se`](sip::config::SessionTimer::min_se)), or too long to be said.
    #[error("an interval that cannot be asked for")]
    Interval,
    /// The call does not allow it; what is busy passes.
    #[error(transparent)]
    Call(#[from] sip::usage::invitation::OfferError),
}

/// A request could not be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// Before `DidStart`, or after `shutdown`.
    #[error("the agent does not run")]
    NotRunning,
    /// There is no such account.
    #[error("no such account")]
    UnknownAccount,
    /// Too many requests already, or a URI that no request can go to.
    #[error("the endpoint refuses")]
    Refused,
}

/// Why an account cannot do something; nothing has changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// Before `DidStart`, or after `shutdown`.
    #[error("the agent does not run")]
    NotRunning,
    /// There is no such account.
    #[error("no such account")]
    Unknown,
    /// As many accounts as the limits allow.
    #[error("too many accounts")]
    TooMany,
    /// Only an account with an address of record can register or publish.
    #[error("the account has no address")]
    NoAddress,
    /// RFC 3428, 8: a message outside of sessions fits into 1,300 bytes.
    #[error("too large for a message outside of a session")]
    TooLarge,
    /// Too many requests already, a URI that no request can go to, or nothing to answer.
    #[error("the endpoint refuses")]
    Refused,
}

/// Why nothing can be subscribed to; nothing has changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// Before `DidStart`, or after `shutdown`.
    #[error("the agent does not run")]
    NotRunning,
    /// There is no such account.
    #[error("no such account")]
    UnknownAccount,
    /// As many subscriptions as the limits allow.
    #[error("too many subscriptions")]
    TooMany,
    /// The header is not the application's to set (SES-13), or is no header.
    #[error("header not allowed: {0}")]
    Header(String),
    /// The event package, its id, a media type or the URI cannot be asked for.
    #[error(transparent)]
    Refused(#[from] sip::usage::subscription::SubscribeError),
}

/// Why nothing can be asked of a subscription of ours now; nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionError {
    /// There is no such subscription, or no more.
    #[error("no such subscription")]
    Unknown,
    /// It has no answer yet, or is being ended (SUB-05).
    #[error("not in this state")]
    WrongState,
}

/// There is no such stream, or no more, or it is of another kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("no such stream: {0}")]
pub struct UnknownStream(pub StreamId);

/// SUB-01.
const EXPIRES: Duration = Duration::from_secs(300);
