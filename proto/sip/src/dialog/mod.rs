//! Dialogs: RFC 3261, 12.

mod id;
mod impact;
mod request;
mod response;
mod route_set;

pub use id::{DialogIndex, DialogKey};
pub use impact::{Impact, impact};
pub use request::{Exhausted, InDialog, OutOfOrder};
pub use route_set::MAX_ROUTES;

use crate::{
    HeaderName, Headers, Method, ParseError, Status, Uri,
    header::{ContactValue, NameAddr},
    uri::Scheme,
};
use id::Identifiers;
use route_set::RouteSet;

/// A dialog: what two user agents remember of each other between requests (RFC 3261, 12).
///
/// Made from a request that arrived ([`from_request`](Self::from_request)) or from a response to one
/// that was sent ([`from_response`](Self::from_response)), it builds requests
/// ([`request`](Self::request), [`ack`](Self::ack)) and judges those that arrive
/// ([`handle_request`](Self::handle_request)). It has no timers and says nothing by itself. It keeps
/// copies: no buffer of a message is held by it.
#[derive(Clone, Debug)]
pub struct Dialog {
    identifiers: Identifiers,
    role: Role,
    state: State,
    /// The number of the last request sent; `None` before the first.
    local_sequence: Option<u32>,
    /// The number of the latest request received; `None` before the first.
    remote_sequence: Option<u32>,
    remote_target: Uri,
    routes: RouteSet,
    is_secure: bool,
}

/// Which side sent the request that made the dialog.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// This side sent it.
    Caller,
    /// This side received it.
    Callee,
}

/// How far the dialog has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// A provisional response made it.
    Early,
    /// A 2xx made or confirmed it.
    Confirmed,
}

/// Why a message makes no dialog.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DialogError {
    /// A header is malformed.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// There is no Contact, or none that requests can be sent to (RFC 3261, 8.1.1.8).
    #[error("no usable Contact")]
    Contact,
    /// There are more than [`MAX_ROUTES`] Record-Route values.
    #[error("too many routes")]
    TooManyRoutes,
}

impl DialogError {
    /// The status that refuses the request. INV-19 has 500 for all of them, out of the living source; what its sender
    /// has done wrong is told as RFC 3261, 21.4.1 has it, and 500 is left for what is beyond us.
    pub const fn status(self) -> Status {
        match self {
            Self::Parse(_) | Self::Contact => Status::BAD_REQUEST,
            Self::TooManyRoutes => Status::SERVER_INTERNAL_ERROR,
        }
    }
}

impl Dialog {
    /// The Call-ID.
    pub fn call_id(&self) -> &str {
        self.identifiers.call_id()
    }

    /// Our tag.
    pub fn local_tag(&self) -> &str {
        self.identifiers.local_tag()
    }

    /// The peer's tag; `None` for a peer of RFC 2543 that gave none (RFC 3261, 12.1.1: the null tag).
    pub fn remote_tag(&self) -> Option<&str> {
        self.identifiers.remote_tag()
    }

    /// Our address as it stands in From of our requests, without the tag.
    pub fn local_address(&self) -> &[u8] {
        self.identifiers.local_address()
    }

    /// The peer's address as it stands in To of our requests, without the tag.
    pub fn remote_address(&self) -> &[u8] {
        self.identifiers.remote_address()
    }

    /// What the dialog is found by.
    pub fn key(&self) -> DialogKey {
        DialogKey::new(self.call_id(), self.local_tag(), self.remote_tag())
    }

    /// Which side began it.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// How far it has come.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Where the peer wants requests: the URI of its latest Contact.
    pub const fn remote_target(&self) -> &Uri {
        &self.remote_target
    }

    /// The Route values of our requests, in order, with their parameters.
    pub fn routes(&self) -> impl Iterator<Item = &[u8]> {
        self.routes.iter()
    }

    /// True if every hop is to be secured (RFC 3261, 12.1: the secure flag).
    pub const fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// The number of the last request that was sent.
    pub const fn local_sequence(&self) -> Option<u32> {
        self.local_sequence
    }

    /// The number of the latest request that was received.
    pub const fn remote_sequence(&self) -> Option<u32> {
        self.remote_sequence
    }

    /// Takes the peer's Contact over as the remote target, and says whether it changed.
    ///
    /// Call it for a target refresh request ([`is_target_refresh`]) when it is answered with 2xx, and
    /// for the 2xx to one of our own; not for failures and unreliable provisional responses (RFC 6141,
    /// 4.6 and 4.7, which put RFC 3261, 12.2.2 right). A missing or unusable Contact changes nothing.
    pub fn refresh_target(&mut self, headers: &Headers) -> bool {
        match contact(headers) {
            Ok(target) if target != self.remote_target => {
                self.remote_target = target;
                true
            }
            Ok(_) | Err(_) => false,
        }
    }
}

/// True for methods whose Contact refreshes the remote target: INVITE (RFC 3261, 12.2), UPDATE
/// (RFC 3311, 5.1), SUBSCRIBE and NOTIFY (RFC 6665, 4.4.1), REFER (RFC 3515, 2.2).
pub const fn is_target_refresh(method: &Method) -> bool {
    matches!(
        method,
        Method::Invite | Method::Update | Method::Subscribe | Method::Notify | Method::Refer
    )
}

/// Reads the URI that the sender wants its requests at.
fn contact(headers: &Headers) -> Result<Uri, DialogError> {
    match headers.contact()? {
        Some(ContactValue::Address(contact)) => match contact.uri.scheme() {
            Scheme::Sip | Scheme::Sips => Ok(contact.uri.to_uri()),
            Scheme::Tel | Scheme::Other => Err(DialogError::Contact),
        },
        Some(ContactValue::All) | None => Err(DialogError::Contact),
    }
}

/// Prints an address as it is kept: display name and URI, without parameters of the header.
fn address(value: &NameAddr<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.display.len() + value.uri.as_str().len() + 3);
    if !value.display.is_empty() {
        out.extend_from_slice(value.display);
        out.push(b' ');
    }
    out.push(b'<');
    out.extend_from_slice(value.uri.as_str().as_bytes());
    out.push(b'>');
    out
}

/// True if a request came over a secured hop to a `sips` URI (RFC 3261, 12.1.1).
fn is_secured(uri: &Uri, is_secure_hop: bool) -> bool {
    is_secure_hop && uri.is_secure()
}

/// The elements of Record-Route in the order of the message.
fn record_routes(headers: &Headers) -> impl Iterator<Item = &[u8]> {
    headers.values(HeaderName::RecordRoute)
}

#[cfg(test)]
mod tests;
