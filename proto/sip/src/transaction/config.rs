//! How transactions behave.

use super::Timers;
use serde::{Deserialize, Serialize};

/// How transactions behave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Config {
    /// How long they wait.
    pub timers: Timers,
    /// How many there may be.
    pub limits: Limits,
}

/// How many transactions there may be; what exceeds a limit is refused, never queued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Limits {
    /// Client transactions at a time.
    pub clients: usize,
    /// Server transactions at a time; requests beyond it are to be answered 503 without one.
    pub servers: usize,
    /// Timers fired by one call of [`Transactions::handle_timeout`](super::Transactions::handle_timeout); the rest fires in the next.
    pub timers_per_step: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients: MAX_CLIENTS,
            servers: MAX_SERVERS,
            timers_per_step: TIMERS_PER_STEP,
        }
    }
}

/// A server transaction lives 32 s after its response: 4,000 requests a second fit, and each may hold a
/// response of a kilobyte, 128 MB in all.
const MAX_SERVERS: usize = 131_072;
/// As many in the other direction.
const MAX_CLIENTS: usize = 131_072;
/// So that a late wake-up does not keep messages waiting.
const TIMERS_PER_STEP: usize = 1_024;
