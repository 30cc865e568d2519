//! Pairs of addresses and how far each has been tried (RFC 8445, 6.1.2).

use crate::{Kind, role::Role};
use smallvec::SmallVec;
use std::{net::SocketAddr, time::Instant};

/// How far a pair has been tried (RFC 8445, 6.1.2.6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PairState {
    /// It waits for another one of its foundation.
    Frozen,
    /// It is to be checked.
    Waiting,
    /// It is being checked.
    InProgress,
    /// It works.
    Succeeded,
    /// It does not.
    Failed,
}

impl PairState {
    /// Its name in RFC 8445, in lower case: `in-progress`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frozen => "frozen",
            Self::Waiting => "waiting",
            Self::InProgress => "in-progress",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// A pair, for people who want to know why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PairInfo {
    /// 1 for RTP, 2 for RTCP.
    pub component: u8,
    /// Our address.
    pub local: SocketAddr,
    /// What it is; how the peer sees it, once that is known.
    pub local_kind: Kind,
    /// The peer's address.
    pub remote: SocketAddr,
    /// What it is.
    pub remote_kind: Kind,
    /// How far it has been tried.
    pub state: PairState,
    /// Whether it has been chosen.
    pub nominated: bool,
    /// What has happened to it, the oldest first: never empty, and of a long story the beginning and the last
    /// 15 steps.
    pub timeline: Vec<Step>,
}

impl PairInfo {
    /// What happened last.
    pub fn why(&self) -> &'static str {
        self.timeline.last().map_or("", |step| step.why)
    }
}

/// Something that happened to a pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// When.
    pub at: Instant,
    /// How far the pair was after it.
    pub state: PairState,
    /// What it was.
    pub why: &'static str,
}

/// A pair of the checklist.
#[derive(Debug)]
pub(crate) struct Pair {
    /// A host or relayed candidate of ours: what packets leave from.
    pub(crate) local: usize,
    pub(crate) remote: usize,
    pub(crate) component: u8,
    pub(crate) priority: u64,
    pub(crate) state: PairState,
    /// The candidate of ours that the peer sees, once a check has succeeded: the pair is valid then
    /// (RFC 8445, 7.2.5.3.2). It keeps its place in the checklist and leaves from its own base, instead of
    /// standing in a list of its own.
    pub(crate) seen_as: Option<usize>,
    pub(crate) nominated: bool,
    /// The peer wants it (RFC 8445, 7.3.1.5).
    pub(crate) wanted: bool,
    /// We want it: its next check says so (RFC 8445, 8.1.1).
    pub(crate) nominate: bool,
    /// Since when it is in its state.
    pub(crate) since: Instant,
    /// As long as most of them are.
    pub(crate) timeline: SmallVec<[Step; 12]>,
}

impl Pair {
    pub(crate) fn set(&mut self, now: Instant, state: PairState, why: &'static str) {
        self.state = state;
        self.since = now;
        self.note(now, why);
    }

    /// Keeps in mind what happened.
    pub(crate) fn note(&mut self, now: Instant, why: &'static str) {
        let step = Step {
            at: now,
            state: self.state,
            why,
        };
        let is_known = |last: &Step| (last.state, last.why) == (step.state, why);
        if self.timeline.last().is_some_and(is_known) {
            return;
        }
        if self.timeline.len() >= MAX_STEPS {
            // How it came to be stays.
            self.timeline.remove(1);
        }
        self.timeline.push(step);
    }

    pub(crate) const fn is_valid(&self) -> bool {
        self.seen_as.is_some()
    }

    /// True while something may still come of it.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(
            self.state,
            PairState::Frozen | PairState::Waiting | PairState::InProgress
        )
    }
}

/// RFC 8445, 6.1.2.3.
pub(crate) const fn priority(role: Role, local: u32, remote: u32) -> u64 {
    let (controlling, controlled) = match role {
        Role::Controlling => (local as u64, remote as u64),
        Role::Controlled => (remote as u64, local as u64),
    };
    let (min, max) = match controlling < controlled {
        true => (controlling, controlled),
        false => (controlled, controlling),
    };
    (min << 32) + 2 * max + (controlling > controlled) as u64
}

/// Of one pair.
const MAX_STEPS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8445, 6.1.2.3: the values of its formula, the same at both ends.
    #[test]
    fn priorities() {
        for (controlling, controlled, expected) in [
            (2_130_706_431, 2_130_706_431, 9_151_314_442_783_293_438),
            (1_694_498_815, 2_130_706_431, 7_277_816_997_797_167_102),
            (1, 0, 3),
            (0, 0, 0),
            (4_294_967_295, 4_294_967_294, 18_446_744_073_709_551_615),
        ] {
            assert_eq!(
                priority(Role::Controlling, controlling, controlled),
                expected
            );
            assert_eq!(
                priority(Role::Controlled, controlled, controlling),
                expected
            );
        }
    }
}
