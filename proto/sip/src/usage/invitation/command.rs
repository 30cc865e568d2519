//! What an application can ask of an invitation, and why it may be refused.

use super::State;
use crate::{
    AccountId, FlowId, Headers, IdentityId, Uri,
    auth::Credentials,
    header::{Address, HeaderName},
    message::Description,
};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, time::Duration};

/// A call to make (INV-02).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Invite {
    /// Who calls; a `tag` parameter is replaced.
    pub from: Address,
    /// Whom to call, as the user wrote it.
    pub to: Address,
    /// Where to send it; usually the URI of `to`.
    pub request_uri: Uri,
    /// The route set to begin with, nearest first: an outbound proxy (RFC 3261, 8.1.2).
    pub route: Vec<Address>,
    /// The user part of our Contact; that of `from` if it is `None`.
    pub contact_user: Option<String>,
    /// Parameters of our Contact (`isfocus`, SES-07).
    pub contact_params: Vec<(String, Option<String>)>,
    /// Our offer; without it the 2xx brings the peer's.
    pub offer: Option<Description>,
    /// Further headers. Those that the stack writes itself are refused (SES-13).
    pub headers: Headers,
    /// The call that this one takes the place of at its receiver, as the value of a Replaces header says
    /// it (RFC 3891, 6.1; XFR-02).
    pub replaces: Option<String>,
    /// How long the peer may ring: the Expires header, a wish of ours that nobody has to follow.
    pub expires: Option<Duration>,
    /// Who answers challenges. Credentials for `*` count along `route` only.
    pub credentials: Vec<Credentials>,
    /// Whose call this is: the account's other usages learn what it learns of realms, and it what they
    /// have learnt.
    pub account: Option<AccountId>,
    /// Whose certificate to show on a secured connection that is opened for this call.
    pub identity: Option<IdentityId>,
    /// A connection or socket to use instead of looking for one, and the address at its other end.
    pub way: Option<(FlowId, SocketAddr)>,
}

impl Invite {
    /// A call from `from` to `to` with everything else left out.
    pub fn new(from: Address, to: Address) -> Self {
        Self {
            request_uri: to.uri.clone(),
            from,
            to,
            route: Vec::new(),
            contact_user: None,
            contact_params: Vec::new(),
            offer: None,
            headers: Headers::new(),
            replaces: None,
            expires: None,
            credentials: Vec::new(),
            account: None,
            identity: None,
            way: None,
        }
    }
}

/// Why a call cannot be made. Nothing has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InviteError {
    /// Too many calls already; see [`Limits`](crate::config::Limits).
    #[error("too many calls")]
    TooMany,
    /// Only `sip` and `sips` URIs can be called without a proxy.
    #[error("a URI of this scheme cannot be called")]
    Scheme,
    /// A header that the stack writes itself.
    #[error("{0:?} cannot be given")]
    Reserved(HeaderName),
    /// What is to be replaced is no value of Replaces.
    #[error("not a value of Replaces")]
    Replaces,
    /// The endpoint is shutting down.
    #[error("shutting down")]
    ShuttingDown,
}

/// Why an incoming call cannot be answered so. Nothing has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RespondError {
    /// Not in this state.
    #[error("not in state {0:?}")]
    WrongState(State),
    /// The status is not of the class that the command sends.
    #[error("the status does not fit the command")]
    WrongStatus,
    /// A 2xx must carry a description, offer or answer (RFC 3261, 13.3.1.4).
    #[error("a session description is needed")]
    DescriptionNeeded,
    /// An unreliable provisional response cannot offer (RFC 3261, 13.2.1).
    #[error("a session description cannot stand here")]
    DescriptionMisplaced,
    /// A header that the stack writes itself.
    #[error("{0:?} cannot be given")]
    Reserved(HeaderName),
    /// Too many reliable provisional responses wait for the PRACK of an earlier one (RFC 3262, 3).
    #[error("earlier provisional responses are not acknowledged")]
    Busy,
}

/// Why an offer cannot be made now. Nothing has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// The call is not established, or over.
    #[error("not in state {0:?}")]
    WrongState(State),
    /// The call is not established, and the peer does not take UPDATE.
    #[error("the peer does not take UPDATE")]
    NoUpdate,
    /// Another offer, ours or the peer's, or its transaction is still open (RFC 3261, 14.1; INV-20).
    /// UPDATE waits for a PRACK of ours, too.
    #[error("another offer is open")]
    Busy,
    /// A header that the stack writes itself.
    #[error("{0:?} cannot be given")]
    Reserved(HeaderName),
}

/// Why an offer cannot be answered or refused so. Nothing has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// This dialog has no offer of the peer open.
    #[error("no offer is open")]
    NoOffer,
    /// Not a status that refuses (300 to 699).
    #[error("the status refuses nothing")]
    WrongStatus,
}

/// Why an INFO cannot be sent. Nothing has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InfoError {
    /// The call is not established, or over.
    #[error("not in state {0:?}")]
    WrongState(State),
    /// The peer has not said that it wants this package (RFC 6086, 4.2.1).
    #[error("the peer does not want this package")]
    NotWanted,
    /// No name of a package, or no media type for the body.
    #[error("malformed package or media type")]
    Malformed,
    /// Too many wait already.
    #[error("too many wait already")]
    Busy,
}

/// Returns the first header that only the stack may write (SES-13).
pub fn reserved(headers: &Headers) -> Option<HeaderName> {
    let known = headers.iter().filter_map(|field| field.name.known());
    known.into_iter().find(|name| RESERVED.contains(name))
}

const RESERVED: &[HeaderName] = &[
    HeaderName::Via,
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::Contact,
    HeaderName::Route,
    HeaderName::RecordRoute,
    HeaderName::MaxForwards,
    HeaderName::ContentLength,
    HeaderName::ContentType,
    HeaderName::Authorization,
    HeaderName::ProxyAuthorization,
    HeaderName::RSeq,
    HeaderName::RAck,
    HeaderName::Replaces,
    HeaderName::RecvInfo,
    HeaderName::InfoPackage,
];
