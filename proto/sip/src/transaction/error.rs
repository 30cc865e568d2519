//! What the transaction user may do wrong.

use serde::{Deserialize, Serialize};

/// A request was not sent; nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum RequestError {
    /// [`Limits`](super::Limits) are reached.
    #[error("too many transactions")]
    TooMany,
    /// Another transaction has this branch and method.
    #[error("the branch is in use")]
    BranchInUse,
}

/// A response was not sent; nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum RespondError {
    /// No such server transaction.
    #[error("no such transaction")]
    Unknown,
    /// The transaction has its final response, or no response yet that could be repeated.
    #[error("not in this state of the transaction")]
    WrongState,
}

/// A CANCEL was not sent; nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum CancelError {
    /// No such INVITE.
    #[error("no such INVITE transaction")]
    Unknown,
    /// RFC 3261, 9.1: CANCEL waits for a provisional response.
    #[error("no provisional response yet")]
    TooEarly,
    /// There is a final response already.
    #[error("there is a final response")]
    TooLate,
    /// The request could not be sent.
    #[error(transparent)]
    Request(#[from] RequestError),
}
