//! Referrals both ways: REFER, and the reports about what came of it (RFC 3515, with RFC 4488, 3892,
//! 4538 and 7647).
//!
//! A REFER is the opening of an implicit subscription: ours is a [`Subscription`] to `refer`, that of
//! a peer a notifier of it. Both may share the dialog of a call (RFC 5057).
//!
//! [`Subscription`]: super::subscription

pub mod command;
pub mod event;
pub(crate) mod incoming;
mod outgoing;

pub use command::{Outside, Refer, Whom};
pub use event::{IncomingRefer, IncomingReferralEvent, ReferralEnd, ReferralEvent};

pub(crate) use incoming::IncomingReferral;
pub(crate) use outgoing::Referral;

/// The package of the reports (RFC 3515, 3).
pub(crate) const PACKAGE: &str = "refer";
