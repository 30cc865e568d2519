//! What a subscription tells its application, and what its end means for another try.

use super::State;
use crate::{Headers, LookupError, Status, SubscriptionId, attempt::Failure, message::Description};
use base::LinkError;
use serde::{Deserialize, Serialize};

/// What happened to a subscription of ours. `Ended` comes exactly once and last.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub enum SubscriptionEvent {
    /// Another notifier answers a forked SUBSCRIBE: this subscription is its (RFC 6665, 4.1.4).
    Forked {
        /// The one that was forked.
        of: SubscriptionId,
    },
    /// The state changed (SUB-06).
    StateChanged {
        /// The state before.
        prev: State,
        /// The state from here on.
        state: State,
        /// In [`State::Other`], the notifier's very word.
        text: Option<String>,
        /// The code of the response behind it, received or made for a timeout.
        code: Option<Status>,
        /// Its reason phrase.
        reason: Option<String>,
    },
    /// The notifier reports; without a body, too (SUB-07, BUG-13).
    GotNotify {
        /// The document.
        content: Option<Description>,
        /// All headers, copied.
        headers: Headers,
    },
    /// A refresh failed, but the subscription stands until it expires.
    RefreshFailed {
        /// The final response, or the code that stands for what happened.
        code: Status,
        /// Its reason phrase.
        reason: String,
        /// The headers of that response, copied; empty if there was none.
        headers: Headers,
    },
    /// The subscription is over.
    Ended {
        /// What it came to.
        cause: SubscriptionEnd,
        /// The final response behind it, or the code that stands for what happened.
        code: Option<Status>,
        /// Its reason phrase.
        reason: Option<String>,
        /// When it makes sense to subscribe anew.
        retry: Retry,
        /// The headers of the final response or NOTIFY, copied: Contact of a 3xx, Allow-Events, Accept.
        headers: Headers,
    },
}

/// Why a subscription is over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionEnd {
    /// We unsubscribed, or asked only once.
    #[error("unsubscribed")]
    Unsubscribed,
    /// SUBSCRIBE was refused, or a refresh in a way that ends it.
    #[error("refused")]
    Refused,
    /// The notifier said `terminated`, with this reason.
    #[error("terminated: {}", .0.as_deref().unwrap_or("no reason"))]
    Terminated(Option<String>),
    /// No NOTIFY came in 64·T1 (timer N).
    #[error("no NOTIFY")]
    NoNotify,
    /// Nothing refreshed it in time.
    #[error("expired")]
    Expired,
    /// The dialog that it shared is no more.
    #[error("dialog gone")]
    DialogGone,
    /// The peer does what it was asked, and will not report (RFC 4488).
    #[error("no subscription")]
    NoSubscription,
    /// Nobody answered in time.
    #[error("timeout")]
    Timeout,
    /// No way led to the peer.
    #[error("transport failure")]
    Transport(Option<LinkError>),
    /// The peer's name led nowhere.
    #[error("name resolution: {0}")]
    Lookup(LookupError),
}

impl From<Failure> for SubscriptionEnd {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Timeout | Failure::Cancelled => Self::Timeout,
            Failure::Transport(error) => Self::Transport(error),
            Failure::Lookup(error) => Self::Lookup(error),
        }
    }
}

/// When it makes sense to subscribe anew.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Retry {
    /// The answer would be the same.
    Never,
    /// At once.
    Now,
    /// After so many seconds, which the peer has named.
    After(u32),
    /// Later; the peer has not said when.
    Later,
}

impl Retry {
    /// What the reason of a terminated subscription means (RFC 6665, 4.1.3).
    pub fn of_reason(reason: Option<&str>, retry_after: Option<u32>) -> Self {
        let by_time = retry_after.map_or(Self::Later, Self::After);
        match reason.map(str::to_ascii_lowercase).as_deref() {
            // "The retry-after parameter has no semantics" for these.
            Some("deactivated" | "timeout") => Self::Now,
            Some("rejected" | "noresource" | "invariant") => Self::Never,
            // probation, giveup, no reason, and reasons of extensions.
            _ => by_time,
        }
    }

    /// What a final response to SUBSCRIBE means.
    pub const fn of_status(status: Status, retry_after: Option<u32>) -> Self {
        match (status.code(), retry_after) {
            // The peer has lost it.
            (481, _) => Self::Now,
            (_, Some(seconds)) => Self::After(seconds),
            // RFC 3261, 21.4 to 21.6: the same request gets the same answer.
            (
                300..=399
                | 400..=403
                | 404
                | 405
                | 406
                | 407
                | 410
                | 413..=416
                | 420
                | 421
                | 423
                | 484
                | 485
                | 488
                | 489
                | 493
                | 501
                | 505
                | 513
                | 603
                | 604
                | 606,
                None,
            ) => Self::Never,
            (_, None) => Self::Later,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// wire-rules "Subscriptions": what each reason of RFC 6665, 4.1.3 means for another try.
    #[test]
    fn reasons_and_what_they_mean() {
        for (reason, retry_after, expected) in [
            (Some("deactivated"), None, Retry::Now),
            (Some("deactivated"), Some(30), Retry::Now),
            (Some("timeout"), Some(30), Retry::Now),
            (Some("TIMEOUT"), None, Retry::Now),
            (Some("probation"), Some(30), Retry::After(30)),
            (Some("probation"), None, Retry::Later),
            (Some("giveup"), Some(7), Retry::After(7)),
            (Some("giveup"), None, Retry::Later),
            (Some("rejected"), Some(30), Retry::Never),
            (Some("noresource"), Some(30), Retry::Never),
            (Some("invariant"), Some(30), Retry::Never),
            (Some("whatever"), Some(30), Retry::After(30)),
            (Some("whatever"), None, Retry::Later),
            (None, Some(30), Retry::After(30)),
            (None, None, Retry::Later),
        ] {
            assert_eq!(
                Retry::of_reason(reason, retry_after),
                expected,
                "{reason:?}"
            );
        }
    }

    #[test]
    fn final_responses_and_what_they_mean() {
        let of = |code, after| Retry::of_status(Status::new(code).unwrap(), after);
        assert_eq!(of(481, Some(9)), Retry::Now);
        assert_eq!(of(480, Some(9)), Retry::After(9));
        assert_eq!(of(403, Some(9)), Retry::After(9));
        for code in [302, 403, 404, 489, 603, 604] {
            assert_eq!(of(code, None), Retry::Never, "{code}");
        }
        for code in [408, 480, 486, 500, 503, 600] {
            assert_eq!(of(code, None), Retry::Later, "{code}");
        }
    }
}
