//! Session intervals: who refreshes, and how often (RFC 4028).
//!
//! | UAC supports | refresher asked for | refresher     |
//! |--------------|---------------------|---------------|
//! | no           | nobody              | uas           |
//! | yes          | nobody              | by our policy |
//! | yes          | uac                 | uac           |
//! | yes          | uas                 | uas           |
//!
//! That is table 2 of the RFC, as the answering side decides; the asking side does what the 2xx says,
//! and refreshes by itself if it says nothing (7.2).

use crate::{
    HeaderName, Headers, Status,
    answer::Answer,
    config::SessionTimer,
    header::{MinSe, Refresher, SessionExpires, session_timer::OPTION},
    refresh::Refresh,
};
use std::time::{Duration, Instant};

/// The timer of a dialog.
#[derive(Debug)]
pub(super) struct Clock {
    pub(super) refresh: Refresh,
    /// In seconds, as last agreed.
    pub(super) interval: u32,
    pub(super) is_refresher: bool,
    /// A request that is to refresh the session, and nothing else, waits for its answer.
    pub(super) is_asking: bool,
    /// A refresh met something that passes: when to try again.
    pub(super) again: Option<Instant>,
}

/// What a 2xx of ours will say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Grant {
    pub(super) interval: u32,
    pub(super) refresher: Refresher,
    /// The peer understands what we say.
    is_supported: bool,
}

/// What is wrong with the session interval of an INVITE or UPDATE (RFC 4028, 9).
pub(crate) fn refusal(config: &SessionTimer, headers: &Headers) -> Option<Answer> {
    let asked = headers.typed::<SessionExpires>()?.ok()?;
    let is_supported = headers.has_token(HeaderName::Supported, OPTION);
    let least = seconds(config.min_se);
    // Who does not know the extension could do nothing with a 422.
    let is_short = config.is_on && is_supported && asked.seconds < least;
    is_short.then(|| {
        Answer::new(Status::SESSION_INTERVAL_TOO_SMALL).with_header(HeaderName::MinSe, MinSe(least))
    })
}

/// Decides what the 2xx to such a request says.
pub(super) fn decide(config: &SessionTimer, headers: &Headers) -> Option<Grant> {
    if !config.is_on {
        return None;
    }
    let is_supported = headers.has_token(HeaderName::Supported, OPTION);
    let asked = headers.typed::<SessionExpires>().and_then(Result::ok);
    let least = headers.typed::<MinSe>().and_then(Result::ok);
    let least = least.map_or(DEFAULT_MIN_SE, |least| least.0);
    let wished = config.expires.map(|wished| seconds(wished).max(least));
    let interval = match (asked, wished) {
        // RFC 4028, 9: may be reduced, not below Min-SE, and never increased.
        (Some(asked), Some(wished)) => asked.seconds.min(wished),
        (Some(asked), None) => asked.seconds,
        (None, Some(wished)) => wished,
        (None, None) => return None,
    };
    let refresher = match asked.and_then(|asked| asked.refresher) {
        _ if !is_supported => Refresher::Uas,
        Some(chosen) => chosen,
        None => config.refresher.unwrap_or(Refresher::Uac),
    };
    Some(Grant {
        interval,
        refresher,
        is_supported,
    })
}

impl Grant {
    /// What the 2xx says of it.
    pub(super) fn write(self, headers: &mut Headers) {
        if self.is_supported {
            headers.push(HeaderName::Require, OPTION);
        }
        headers.push(
            HeaderName::SessionExpires,
            SessionExpires {
                seconds: self.interval,
                refresher: Some(self.refresher),
            },
        );
    }
}

/// Whole seconds, as headers count.
pub(super) fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// RFC 4028, 5: what counts without a Min-SE header.
pub(super) const DEFAULT_MIN_SE: u32 = 90;
