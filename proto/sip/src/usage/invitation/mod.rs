//! Calls: INVITE and all that belongs to it (RFC 3261, 13 to 15).

pub mod command;
pub mod event;
pub mod state;

pub use command::{AnswerError, Invite, InviteError, OfferError, RespondError};
pub use event::{EndCause, Incoming, Info, InvitationEvent, Originator};
pub use state::{Coverage, Signal, State};
