//! What endpoints are used for: calls, and questions about capabilities.
//!
//! A usage is a machine inside the endpoint. It says [`Effect`]s, is told the [`Progress`] of its
//! requests, and is woken at its deadline. Calls have a table of their own; all other usages share
//! one ([`AnyUsage`]).

mod any;
mod exchange;
mod failed;
pub mod invitation;
mod lease;
pub mod message;
pub mod options;
pub mod publication;
pub mod registration;

pub(crate) use any::{AnyUsage, Happening};
pub(crate) use exchange::{Exchange, Parties};
pub use failed::Failed;

use crate::{
    Response, TransactionId,
    answer::Answer,
    attempt::{Draft, Failure},
    transaction::Path,
};

/// What a usage outside of calls wants done, in the order of its causes; `E` is its event.
#[derive(Debug)]
pub(crate) enum Effect<E> {
    /// Send a request; what becomes of it is told by `handle_progress` under `tag`.
    Request { tag: u32, draft: Box<Draft> },
    /// Answer a request of the peer.
    Respond(TransactionId, Box<Answer>),
    /// Tell the application.
    Tell(E),
}

impl<E> Effect<E> {
    /// Wraps the event.
    pub(crate) fn map<F>(self, wrap: impl FnOnce(E) -> F) -> Effect<F> {
        match self {
            Self::Request { tag, draft } => Effect::Request { tag, draft },
            Self::Respond(server, answer) => Effect::Respond(server, answer),
            Self::Tell(event) => Effect::Tell(wrap(event)),
        }
    }
}

/// What becomes of a request of ours.
#[derive(Debug)]
pub(crate) enum Progress<'a> {
    /// It went this way; once for each target.
    Sent { path: Path },
    /// A provisional response, or the final one.
    Response(&'a Response),
    /// A 2xx to INVITE beside that: repeated, of another fork, or from a target that was given up.
    Late(&'a Response),
    /// There will be no final response.
    Failed(Failure),
    /// Nothing can come of it any more.
    Over,
}
