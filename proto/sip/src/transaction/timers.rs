//! The timers of RFC 3261 (table 4) and RFC 6026, by name.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long transactions wait; every timer has the RFC's own name.
///
/// [`scaled`](Self::scaled) derives all others from T1 as the RFC does; each may be changed afterwards.
/// Timers that only absorb retransmissions (D, I, J, K) count as zero on reliable transports, whatever
/// stands here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Timers {
    /// The estimate of a round trip, and the first interval between retransmissions (A, E, G). 500 ms.
    pub t1: Duration,
    /// The longest interval between retransmissions, except those of INVITE. 4 s.
    pub t2: Duration,
    /// The longest time that a message stays in the network. 5 s.
    pub t4: Duration,
    /// INVITE without any response: 64·T1. Also how long a cancelled INVITE may lack a final response
    /// (RFC 3261, 9.1).
    pub timer_b: Duration,
    /// How long the client absorbs failures of INVITE: at least 32 s.
    pub timer_d: Duration,
    /// A request other than INVITE without final response: 64·T1.
    pub timer_f: Duration,
    /// A failure of INVITE without ACK: 64·T1.
    pub timer_h: Duration,
    /// How long the server absorbs ACK: T4.
    pub timer_i: Duration,
    /// How long the server absorbs requests other than INVITE: 64·T1.
    pub timer_j: Duration,
    /// How long the client absorbs final responses: T4.
    pub timer_k: Duration,
    /// How long the server absorbs an accepted INVITE (RFC 6026): 64·T1.
    pub timer_l: Duration,
    /// How long the client hands over 2xx of forked INVITEs (RFC 6026): 64·T1.
    pub timer_m: Duration,
    /// How long an INVITE may lack an answer before 100 Trying is sent (RFC 3261, 17.2.1): 200 ms.
    pub trying: Duration,
}

impl Timers {
    /// Derives all timers from T1; T2 and T4 keep their proportion to it.
    ///
    /// ```
    /// use sip::transaction::Timers;
    /// use std::time::Duration;
    /// let timers = Timers::scaled(Duration::from_millis(100));
    /// assert_eq!(timers.timer_b, Duration::from_millis(6_400));
    /// assert_eq!(timers.timer_d, Duration::from_secs(32));
    /// ```
    pub fn scaled(t1: Duration) -> Self {
        let t4 = t1.saturating_mul(10);
        let give_up = t1.saturating_mul(64);
        Self {
            t1,
            t2: t1.saturating_mul(8),
            t4,
            timer_b: give_up,
            // RFC 3261, 17.1.1.2: not derived from T1 alone, as the server's T1 is unknown.
            timer_d: give_up.max(LEAST_TIMER_D),
            timer_f: give_up,
            timer_h: give_up,
            timer_i: t4,
            timer_j: give_up,
            timer_k: t4,
            timer_l: give_up,
            timer_m: give_up,
            trying: TRYING,
        }
    }
}

impl Default for Timers {
    fn default() -> Self {
        Self::scaled(T1)
    }
}

const T1: Duration = Duration::from_millis(500);
const LEAST_TIMER_D: Duration = Duration::from_secs(32);
const TRYING: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_table_4() {
        let timers = Timers::default();
        let seconds = |s| Duration::from_secs(s);
        assert_eq!(timers.t1, Duration::from_millis(500));
        assert_eq!((timers.t2, timers.t4), (seconds(4), seconds(5)));
        for long in [
            timers.timer_b,
            timers.timer_d,
            timers.timer_f,
            timers.timer_h,
            timers.timer_j,
        ] {
            assert_eq!(long, seconds(32));
        }
        assert_eq!((timers.timer_l, timers.timer_m), (seconds(32), seconds(32)));
        assert_eq!((timers.timer_i, timers.timer_k), (seconds(5), seconds(5)));
    }
}
