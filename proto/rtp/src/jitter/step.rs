//! How long the packets of a sender are.

/// How long a packet of this sender is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// In units of the clock.
    units: u32,
    /// The last advance of the timestamp from one packet to the next.
    seen: Option<u32>,
}

impl Step {
    pub(super) const fn new(units: u32) -> Self {
        Self { units, seen: None }
    }

    pub(super) const fn units(&self) -> u32 {
        self.units
    }

    /// The first advance is believed, after that only what is seen twice in a row: a short silence
    /// looks like a long packet.
    pub(super) fn observe(&mut self, advance: u32, longest: u32) {
        if advance == 0 || advance > longest {
            return;
        }
        if self.seen.is_none_or(|seen| seen == advance) {
            self.units = advance;
        }
        self.seen = Some(advance);
    }
}
