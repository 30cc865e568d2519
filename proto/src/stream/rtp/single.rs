//! Whose early media is heard where several forks send to one place (RFC 3960, 3.1).

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// The choice of one source before a call is answered.
///
/// *The policy.* The description of the dialog that is followed names whom to hear. Nobody else is heard
/// while packets come from there, or from whoever else spoke first: a peer behind a translator. A source
/// that is heard counts as silent after half a second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Single {
    heard: Option<(SocketAddr, Instant)>,
}

impl Single {
    /// Takes a packet; true if it is to be heard.
    pub(super) fn admits(&mut self, now: Instant, from: SocketAddr, described: SocketAddr) -> bool {
        let other_speaks = self.heard.is_some_and(|(source, at)| {
            source != from && now.saturating_duration_since(at) < SILENCE
        });
        if other_speaks && from != described {
            return false;
        }
        self.heard = Some((from, now));
        true
    }
}

/// As long as an address in use must be silent before packets are sent to another one: 25 of 20 ms.
const SILENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "an arbitrary origin for a virtual clock"
    )]
    fn one_source_is_heard_at_a_time() {
        let mut now = Instant::now();
        let address = |port| SocketAddr::from(([192, 0, 2, 1], port));
        let mut single = Single::default();
        let mut hear = |millis, port| {
            now += Duration::from_millis(millis);
            single.admits(now, address(port), address(1))
        };
        // Who speaks first is heard, until he is silent.
        assert_eq!([hear(0, 2), hear(20, 3), hear(0, 2)], [true, false, true]);
        assert_eq!([hear(499, 3), hear(1, 3), hear(0, 2)], [false, true, false]);
        // Who was named takes his place at once.
        assert_eq!([hear(0, 1), hear(20, 3), hear(0, 1)], [true, false, true]);
        assert_eq!([hear(499, 3), hear(1, 3), hear(20, 1)], [false, true, true]);
    }
}
