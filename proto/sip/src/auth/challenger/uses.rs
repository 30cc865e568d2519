//! Which uses of a nonce were seen.

use super::Nonce;
use std::collections::BTreeMap;

/// The nonces that were answered rightly, in the order in which they were made, and which counts were
/// used with each.
#[derive(Debug, Default)]
pub(super) struct Uses {
    windows: BTreeMap<Nonce, Window>,
    /// What is known of nonces up to this one has been given up.
    floor: Option<Nonce>,
}

/// What became of a use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It was not seen before.
    New,
    /// It was, or may have been.
    Used,
    /// Nothing is known of the nonce any more.
    Forgotten,
}

/// The highest count, and which of the 63 before it were used, too: requests may overtake each other.
#[derive(Debug)]
struct Window {
    highest: u32,
    /// Bit 0 is the highest.
    seen: u64,
    /// The client's nonce of the first answer, for `-sess` algorithms.
    session: Option<Box<[u8]>>,
}

impl Uses {
    pub(super) fn len(&self) -> usize {
        self.windows.len()
    }

    /// The client's nonce of the first answer.
    pub(super) fn session(&self, nonce: Nonce) -> Option<&[u8]> {
        self.windows.get(&nonce)?.session.as_deref()
    }

    /// Forgets the nonces that are over, oldest first.
    pub(super) fn forget(&mut self, is_over: impl Fn(Nonce) -> bool) {
        while let Some(oldest) = self
            .windows
            .first_entry()
            .filter(|entry| is_over(*entry.key()))
        {
            oldest.remove();
        }
    }

    /// Takes down that a nonce was used for the `count`th time; at most `limit` nonces are kept.
    pub(super) fn record(
        &mut self,
        nonce: Nonce,
        count: u32,
        cnonce: Option<&[u8]>,
        limit: usize,
    ) -> Verdict {
        if let Some(window) = self.windows.get_mut(&nonce) {
            return match window.take(count) {
                true => Verdict::New,
                false => Verdict::Used,
            };
        }
        if self.floor.is_some_and(|floor| nonce <= floor) {
            return Verdict::Forgotten;
        }
        if count == 0 {
            return Verdict::Used;
        }
        let window = Window {
            highest: count,
            seen: 1,
            session: cnonce.map(Box::from),
        };
        self.windows.insert(nonce, window);
        while self.windows.len() > limit.max(1) {
            self.floor = self.windows.pop_first().map(|(nonce, _)| nonce);
        }
        Verdict::New
    }
}

impl Window {
    /// True if this count is new.
    fn take(&mut self, count: u32) -> bool {
        if let Some(ahead) = count.checked_sub(self.highest).filter(|ahead| *ahead > 0) {
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let behind = self.highest - count;
        if count == 0 || behind >= u64::BITS || self.seen & 1 << behind != 0 {
            return false;
        }
        self.seen |= 1 << behind;
        true
    }
}
