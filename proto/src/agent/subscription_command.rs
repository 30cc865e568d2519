//! What can be asked about subscriptions, as data.

use super::Subscribe;
use crate::id::SubscriptionId;
use serde::{Deserialize, Serialize};
use sip::{Description, NotifierId, Package, usage::notifier::Reason};

/// A command about subscriptions with its arguments, as a recording keeps it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SubscriptionCommand {
    /// [`UserAgent::subscribe`](super::UserAgent::subscribe).
    Subscribe(Box<Subscribe>),
    /// [`UserAgent::renew_subscription`](super::UserAgent::renew_subscription).
    Renew {
        /// Which.
        subscription: SubscriptionId,
    },
    /// [`UserAgent::unsubscribe`](super::UserAgent::unsubscribe).
    Unsubscribe {
        /// Which.
        subscription: SubscriptionId,
    },
    /// [`UserAgent::add_package`](super::UserAgent::add_package).
    AddPackage(Package),
    /// [`UserAgent::remove_package`](super::UserAgent::remove_package).
    RemovePackage {
        /// Which.
        name: String,
    },
    /// [`UserAgent::accept_subscription`](super::UserAgent::accept_subscription).
    Accept {
        /// Which.
        subscription: NotifierId,
        /// The state to tell.
        content: Option<Description>,
    },
    /// [`UserAgent::pend_subscription`](super::UserAgent::pend_subscription).
    Pend {
        /// Which.
        subscription: NotifierId,
    },
    /// [`UserAgent::reject_subscription`](super::UserAgent::reject_subscription).
    Reject {
        /// Which.
        subscription: NotifierId,
        /// The status code.
        code: u16,
        /// The phrase, if not the usual one.
        reason: Option<String>,
    },
    /// [`UserAgent::notify_subscriber`](super::UserAgent::notify_subscriber).
    Notify {
        /// Which.
        subscription: NotifierId,
        /// The state to tell.
        content: Option<Description>,
    },
    /// [`UserAgent::terminate_subscription`](super::UserAgent::terminate_subscription).
    Terminate {
        /// Which.
        subscription: NotifierId,
        /// Why.
        reason: Reason,
        /// When the peer may ask again, in seconds.
        retry_after: Option<u32>,
    },
}
