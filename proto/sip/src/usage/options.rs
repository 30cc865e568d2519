//! OPTIONS: asking a peer what it can do (RFC 3261, 11).

use crate::{Headers, IdentityId, Status, Uri, header::Address, usage::invitation::EndCause};
use serde::{Deserialize, Serialize};

/// A question to a peer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Options {
    /// Who asks; a `tag` parameter is replaced.
    pub from: Address,
    /// Whom.
    pub to: Address,
    /// Where to send it; usually the URI of `to`.
    pub request_uri: Uri,
    /// The route set, nearest first: an outbound proxy.
    pub route: Vec<Address>,
    /// Further headers. Those that the stack writes itself are refused (SES-13).
    pub headers: Headers,
    /// Whose certificate to show on a secured connection that is opened for this request.
    pub identity: Option<IdentityId>,
}

impl Options {
    /// A question from `from` to `to` with everything else left out.
    pub fn new(from: Address, to: Address) -> Self {
        Self {
            request_uri: to.uri.clone(),
            from,
            to,
            route: Vec::new(),
            headers: Headers::new(),
            identity: None,
        }
    }
}

/// What became of an OPTIONS request: exactly one event each.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub enum OptionsEvent {
    /// The peer answered.
    Answered {
        /// The final response.
        code: Status,
        /// Its reason phrase.
        reason: String,
        /// All its headers, copied: Allow, Accept, Supported …
        headers: Headers,
    },
    /// Nobody answered.
    Failed {
        /// Timeout, transport or name resolution.
        cause: EndCause,
    },
}

/// An OPTIONS request that runs.
#[derive(Debug)]
pub(crate) struct Query {
    is_answered: bool,
}

impl Query {
    pub(crate) const fn new() -> Self {
        Self { is_answered: false }
    }

    /// Notes the outcome; false if there was one.
    pub(crate) const fn answer(&mut self) -> bool {
        !std::mem::replace(&mut self.is_answered, true)
    }
}
