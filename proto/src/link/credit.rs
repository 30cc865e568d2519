//! How much of a connection's output the system has not taken yet.

/// Counts what was written to a connection and what the system took of it: both are levels since the
/// link was opened, so that nothing can be counted twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Credit {
    written: u64,
    taken: u64,
}

impl Credit {
    /// Notes that `len` more bytes were handed to the runtime.
    pub(super) fn write(&mut self, len: usize) {
        self.written = self.written.saturating_add(len as u64);
    }

    /// Notes the runtime's level; true if it rose. A level above what was written is taken as all.
    pub(super) fn take(&mut self, total: u64) -> bool {
        let before = self.taken;
        self.taken = self.taken.max(total.min(self.written));
        self.taken > before
    }

    /// How many bytes wait in the runtime.
    pub(super) const fn unsent(self) -> u64 {
        self.written - self.taken
    }

    /// How many bytes may be written without exceeding `budget`.
    pub(super) fn room(self, budget: usize) -> usize {
        let room = (budget as u64).saturating_sub(self.unsent());
        usize::try_from(room).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_only_rise_and_never_pass_what_was_written() {
        let mut credit = Credit::default();
        credit.write(100);
        assert_eq!(credit.room(150), 50);
        assert!(credit.take(40));
        assert!(!credit.take(40), "the same level twice is no progress");
        assert!(!credit.take(10), "a level does not fall");
        assert_eq!((credit.unsent(), credit.room(150)), (60, 90));
        assert!(credit.take(1_000));
        assert_eq!(credit.unsent(), 0);
        credit.write(200);
        assert_eq!(credit.room(150), 0);
    }
}
