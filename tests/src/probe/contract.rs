//! What a session promises to its streams, checked call by call.

use sipsimple::stream::Purpose;

/// Where the stream stands in the order of [`MediaStream`](sipsimple::stream::MediaStream).
#[derive(Debug, Default)]
pub(super) struct Contract {
    prepared: bool,
    proposed: bool,
    started: bool,
    acknowledged: bool,
    deactivated: bool,
    ended: bool,
    broken: Vec<&'static str>,
}

impl Contract {
    /// Takes what was found since the last time.
    pub(super) fn take(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.broken)
    }

    pub(super) fn prepare(&mut self, purpose: Purpose) {
        let first = purpose == Purpose::First;
        self.expect(
            first != self.prepared,
            "prepared twice, or restarted before",
        );
        self.expect(!self.proposed, "prepared while a proposal is open");
        self.alive();
        self.prepared = true;
    }

    pub(super) fn propose(&mut self) {
        self.expect(self.prepared, "described before it was prepared");
        self.expect(!self.proposed, "described while a proposal is open");
        self.alive();
        self.proposed = true;
    }

    pub(super) fn start(&mut self) {
        self.expect(self.proposed, "started without a proposal");
        self.expect(!self.started, "started twice");
        self.alive();
        self.proposed = false;
        self.started = true;
    }

    /// Without a proposal only another branch, or an answer that differs from its preview, is news.
    pub(super) fn update(&mut self, same: bool) {
        self.expect(self.started, "updated before the start");
        self.expect(
            self.proposed || !same,
            "updated without a proposal and without news",
        );
        self.alive();
        self.proposed = false;
    }

    pub(super) fn rollback(&mut self) {
        self.expect(self.proposed, "rolled back without a proposal");
        self.alive();
        self.proposed = false;
    }

    pub(super) fn acknowledged(&mut self) {
        self.expect(!self.acknowledged, "acknowledged twice");
        self.acknowledged = true;
    }

    pub(super) fn deactivate(&mut self) {
        self.expect(!self.deactivated, "deactivated twice");
        self.deactivated = true;
    }

    pub(super) fn end(&mut self) {
        self.expect(self.deactivated, "ended before it was deactivated");
        self.alive();
        self.ended = true;
    }

    fn alive(&mut self) {
        self.expect(!self.ended, "called after its end");
    }

    fn expect(&mut self, holds: bool, what: &'static str) {
        if !holds {
            self.broken.push(what);
        }
    }
}
