//! Which packets were there before (RFC 3711, 3.3.2).

/// A window over the highest indices that were seen; RFC 3711 asks for 64 at least.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Window {
    highest: u64,
    /// Bit n: `highest - n` was seen.
    seen: u128,
}

/// Why an index is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stale {
    /// It was there.
    Replayed,
    /// It is so old that nobody knows.
    TooOld,
}

impl Window {
    /// A window over the first packet.
    pub(super) const fn new(index: u64) -> Self {
        Self {
            highest: index,
            seen: 1,
        }
    }

    /// The highest index that was seen.
    pub(super) const fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether a packet of this index may be looked at.
    pub(super) const fn check(&self, index: u64) -> Result<(), Stale> {
        match self.highest.checked_sub(index) {
            None => Ok(()),
            Some(age) if age >= WINDOW => Err(Stale::TooOld),
            Some(age) if self.seen >> age & 1 == 1 => Err(Stale::Replayed),
            Some(_) => Ok(()),
        }
    }

    /// A packet of this index is genuine.
    pub(super) const fn mark(&mut self, index: u64) {
        match index.checked_sub(self.highest) {
            Some(ahead) => {
                self.seen = if ahead >= WINDOW {
                    0
                } else {
                    self.seen << ahead
                };
                self.seen |= 1;
                self.highest = index;
            }
            None => {
                let age = self.highest - index;
                if age < WINDOW {
                    self.seen |= 1 << age;
                }
            }
        }
    }
}

/// Packets; 2.5 s of speech.
const WINDOW: u64 = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_packet_once_and_none_that_is_too_old() {
        let mut window = Window::new(1_000);
        assert_eq!(window.check(1_000), Err(Stale::Replayed));
        assert_eq!(window.check(1_000 - 128), Err(Stale::TooOld));
        window.mark(1_000 - 127);
        assert_eq!(window.check(1_000 - 127), Err(Stale::Replayed));
        window.mark(1_001);
        assert_eq!(window.check(1_000 - 127), Err(Stale::TooOld));
        window.mark(5_000);
        assert_eq!(window.check(4_999), Ok(()));
        assert_eq!(window.check(1_001), Err(Stale::TooOld));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_set_of_all(indices in proptest::collection::vec(0u64..600, 1..200)) {
            let mut window = Window::new(indices[0]);
            let mut seen = BTreeSet::from([indices[0]]);
            for &index in &indices[1..] {
                let highest = *seen.last().unwrap();
                let expected = match index {
                    index if index + 128 <= highest => Err(Stale::TooOld),
                    index if seen.contains(&index) => Err(Stale::Replayed),
                    _ => Ok(()),
                };
                prop_assert_eq!(window.check(index), expected);
                if expected.is_ok() {
                    window.mark(index);
                    seen.insert(index);
                }
            }
        }
    }
}
