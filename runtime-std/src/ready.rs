//! What a socket says to the driver.

use std::time::Duration;

/// Where a socket stands after its turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ready {
    /// The poller will tell.
    Idle,
    /// There may be more.
    More,
    /// Something is lacking; the poller will not tell when it is there.
    Later(Duration),
    /// The connection has said `Closed`.
    Over,
}
