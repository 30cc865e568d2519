//! Targets that have failed lately.

use base::{Target, Transport};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Remembers which targets have failed, so that they are tried last for a while: not by every new
/// request first (RFC 3263, 4.3; RFC 3261, 21.5.4). None is left out: what has failed may work again,
/// and may be all that there is.
#[derive(Debug, Default)]
pub(crate) struct Avoided {
    until: BTreeMap<Place, Instant>,
}

type Place = (Transport, SocketAddr);

impl Avoided {
    /// A target has failed; `retry_after` is what it asked for.
    pub(crate) fn note(&mut self, now: Instant, place: Place, retry_after: Option<Duration>) {
        let time = retry_after.unwrap_or(DEFAULT).min(LONGEST);
        self.until.insert(place, now + time);
        if self.until.len() > MAX_AVOIDED {
            let first = self.until.iter().min_by_key(|(_, until)| **until);
            if let Some((&first, _)) = first {
                self.until.remove(&first);
            }
        }
    }

    /// It works.
    pub(crate) fn forgive(&mut self, place: Place) {
        if !self.until.is_empty() {
            self.until.remove(&place);
        }
    }

    /// True while it is to be tried last.
    pub(crate) fn contains(&self, now: Instant, place: Place) -> bool {
        self.until.get(&place).is_some_and(|until| *until > now)
    }

    /// Puts the targets that have failed behind all others; both keep their order.
    pub(crate) fn order(&mut self, now: Instant, targets: &mut [Target]) {
        if self.until.is_empty() {
            return;
        }
        self.until.retain(|_, until| *until > now);
        targets.sort_by_key(|target| self.contains(now, (target.transport, target.address)));
    }
}

/// How long a target is tried last that does not say how long.
const DEFAULT: Duration = Duration::from_secs(30);
/// However long it says: a server that means a day may come back in an hour.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// More targets than the servers of all accounts; above it the one goes whose time ends first.
const MAX_AVOIDED: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use base::Host;
    use proptest::prelude::*;

    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin")]
    fn now() -> Instant {
        Instant::now()
    }

    fn target(last: u8) -> Target {
        Target {
            transport: Transport::Udp,
            address: ([192, 0, 2, last], 5060).into(),
            name: Host::Name("example.com".to_owned()),
        }
    }

    fn place(last: u8) -> Place {
        (Transport::Udp, target(last).address)
    }

    #[test]
    fn bug_26_what_failed_is_tried_last_for_its_time() {
        let (now, second) = (now(), Duration::from_secs(1));
        let mut avoided = Avoided::default();
        avoided.note(now, place(1), None);
        avoided.note(now, place(2), Some(60 * second));
        avoided.note(now, place(3), Some(Duration::MAX));
        for (after, order) in [
            (0, [4, 1, 2, 3]),
            (29, [4, 1, 2, 3]),
            (30, [1, 4, 2, 3]),
            (60, [1, 2, 4, 3]),
            (3_600, [1, 2, 3, 4]),
        ] {
            let mut targets: Vec<Target> = (1..=4).map(target).collect();
            avoided.order(now + after * second, &mut targets);
            assert_eq!(targets, order.map(target), "after {after} s");
        }
        avoided.note(now, place(1), None);
        avoided.forgive(place(1));
        assert!(!avoided.contains(now, place(1)));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_the_memory_is_bounded(
            failed in prop::collection::vec((0..u8::MAX, 0..100_u64), 0..600),
            mut asked in prop::collection::vec(0..u8::MAX, 0..20),
        ) {
            let now = now();
            let mut avoided = Avoided::default();
            for (last, seconds) in failed {
                let port = u16::try_from(seconds).unwrap();
                let elsewhere = SocketAddr::from(([192, 0, 2, last], port));
                avoided.note(now, (Transport::Tcp, elsewhere), Some(Duration::from_secs(seconds)));
                avoided.note(now, place(last), Some(Duration::from_secs(seconds)));
                prop_assert!(avoided.until.len() <= MAX_AVOIDED);
            }
            let mut targets: Vec<Target> = asked.iter().copied().map(target).collect();
            avoided.order(now, &mut targets);
            let mut got: Vec<u8> = targets
                .iter()
                .map(|target| match target.address.ip() {
                    std::net::IpAddr::V4(ip) => ip.octets()[3],
                    std::net::IpAddr::V6(_) => 0,
                })
                .collect();
            got.sort_unstable();
            asked.sort_unstable();
            prop_assert_eq!(got, asked);
        }
    }
}
