//! What an application can ask of a subscription, and why it may be refused.

use super::State;
use crate::{
    AccountId, HeaderName, Headers, IdentityId, Uri, auth::Credentials, header::Address,
    message::Description,
};
use serde::{Deserialize, Serialize};

/// A subscription to make (SUB-01).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Subscribe {
    /// Who subscribes; a `tag` parameter is replaced.
    pub from: Address,
    /// To whose state.
    pub to: Address,
    /// Where to send it; usually the URI of `to`.
    pub request_uri: Uri,
    /// The route set to begin with, nearest first: an outbound proxy.
    pub route: Vec<Address>,
    /// The user part of our Contact; that of `from` if it is `None`.
    pub contact_user: Option<String>,
    /// The event package with its templates: `presence.winfo`.
    pub event: String,
    /// The `id` parameter of Event (RFC 6665, 4.5.2).
    pub id: Option<String>,
    /// The media types that its documents may have; empty for the package's own default.
    pub accept: Vec<String>,
    /// How long, in seconds. 0 asks once, without a subscription (RFC 6665, 4.4.3).
    pub expires: u32,
    /// What becomes of further dialogs of a forked SUBSCRIBE.
    pub forks: Forks,
    /// We understand lists of resources (RFC 4662): `Supported: eventlist`.
    pub event_list: bool,
    /// Further headers. Those that the stack writes itself are refused (SES-13).
    pub headers: Headers,
    /// A filter or list of resources (RFC 4660, RFC 5367).
    pub body: Option<Description>,
    /// Who answers challenges. Credentials for `*` count along `route` only.
    pub credentials: Vec<Credentials>,
    /// The account that subscribes: what its other usages have learnt of its realms counts here, too.
    pub account: Option<AccountId>,
    /// Whose certificate to show on a secured connection that is opened for this subscription.
    pub identity: Option<IdentityId>,
}

impl Subscribe {
    /// A subscription of `from` to `to` for 300 s (SUB-01), with everything else left out; forks as
    /// [`Forks::of_package`] says.
    pub fn new(from: Address, to: Address, event: impl Into<String>) -> Self {
        let event = event.into();
        Self {
            request_uri: to.uri.clone(),
            from,
            to,
            route: Vec::new(),
            contact_user: None,
            forks: Forks::of_package(&event),
            event,
            id: None,
            accept: Vec::new(),
            expires: EXPIRES,
            event_list: false,
            headers: Headers::new(),
            body: None,
            credentials: Vec::new(),
            account: None,
            identity: None,
        }
    }
}

/// What becomes of NOTIFYs of further dialogs that answer one forked SUBSCRIBE: the event package
/// decides (RFC 6665, 5.4.9).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forks {
    /// The first dialog counts; others get 481.
    One,
    /// Each dialog is a subscription of its own.
    Many,
}

impl Forks {
    /// What the RFC of a package says; `One` for those that are not known.
    pub fn of_package(package: &str) -> Self {
        match package {
            // RFC 4235, 3.9; RFC 3842, 3.9; RFC 3680, 4.9.
            "dialog" | "message-summary" | "reg" => Self::Many,
            // RFC 3856, 6.9 and RFC 4575, 3.9, among others.
            _ => Self::One,
        }
    }
}

/// Why a subscription or REFER cannot be made. Nothing has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// Only `sip` and `sips` URIs can be asked without a proxy.
    #[error("a URI of this scheme cannot be asked")]
    Scheme,
    /// A header that the stack writes itself.
    #[error("{0:?} cannot be given")]
    Reserved(HeaderName),
    /// The event package, its id or a media type is no token.
    #[error("no event package")]
    Package,
    /// The call is over, or has no dialog yet.
    #[error("no dialog")]
    NoDialog,
    /// Too many subscriptions already; see [`Limits`](crate::config::Limits).
    #[error("too many subscriptions")]
    TooMany,
    /// The endpoint is shutting down.
    #[error("shutting down")]
    ShuttingDown,
}

/// Why nothing can be asked of a subscription now (SUB-05). Nothing has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not in state {0:?}")]
pub struct SubscriptionStateError(pub State);

/// Headers that only a subscription may write (beside those of every request, SES-13).
pub(crate) fn reserved_here(headers: &Headers) -> Option<HeaderName> {
    let known = headers.iter().filter_map(|field| field.name.known());
    known.into_iter().find(|name| RESERVED.contains(name))
}

const RESERVED: &[HeaderName] = &[
    HeaderName::Accept,
    HeaderName::Event,
    HeaderName::Expires,
    HeaderName::ReferSub,
    HeaderName::ReferTo,
    HeaderName::ReferredBy,
    HeaderName::SubscriptionState,
    HeaderName::TargetDialog,
];
/// SUB-01.
const EXPIRES: u32 = 300;
