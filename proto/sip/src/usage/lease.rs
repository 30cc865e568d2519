//! What registrations and publications share: four states, a refresh, and one wish that waits
//! (requirements 28 and 29: "same machine and queue").
//!
//! | phase    | signal  | next     | what happens |
//! |----------|---------|----------|--------------|
//! | Off      | Start   | Starting | the request is sent |
//! | Starting | Start   | Starting | waits for the answer (RGN-05) |
//! | Starting | Stop    | Starting | waits for the answer (RGN-05) |
//! | Starting | Again   | Starting | the request is sent once more, changed |
//! | Starting | Granted | On       | the refresh is planned |
//! | Starting | Passed  | On       | a refresh failed, a second one is planned |
//! | Starting | Failed  | Off      | |
//! | On       | Start   | Starting | the request is sent |
//! | On       | Due     | Starting | the refresh is sent |
//! | On       | Stop    | Stopping | the removal is sent |
//! | Stopping | Start   | Stopping | waits for the answer |
//! | Stopping | Stop    | Stopping | |
//! | Stopping | Again   | Stopping | the removal is sent once more, changed |
//! | Stopping | Granted | Off      | |
//! | Stopping | Failed  | Off      | |

use crate::refresh::Refresh;
use base::{Deadline, Rng};
use std::time::{Duration, Instant};

/// Where it stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Phase {
    /// The server holds nothing.
    Off,
    /// A request that makes or renews it has no answer.
    Starting,
    /// The server holds it.
    On,
    /// The removal has no answer.
    Stopping,
}

/// What moves it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Signal {
    Start,
    Stop,
    /// The time for the refresh has come, or the grant is over.
    Due,
    /// The request goes once more.
    Again,
    Granted,
    /// It failed, and what the server holds is not touched by that.
    Passed,
    Failed,
}

/// What the application wants.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Wish {
    Start,
    Stop,
}

/// Something that a server holds for us, renewed until we do not want it any more.
#[derive(Debug)]
pub(crate) struct Lease {
    phase: Phase,
    refresh: Refresh,
    /// What was wished while a request ran: the last word counts, for nothing of the others has begun.
    waiting: Option<Wish>,
}

impl Lease {
    pub(crate) fn new(give_up: Duration, rng: &mut Rng) -> Self {
        Self {
            phase: Phase::Off,
            refresh: Refresh::new(give_up, rng),
            waiting: None,
        }
    }

    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    /// What was granted last.
    pub(crate) const fn life(&self) -> Option<Duration> {
        self.refresh.life()
    }

    /// The application wishes something: true if a request is to be sent now.
    pub(crate) fn wish(&mut self, wish: Wish) -> bool {
        match (self.phase, wish) {
            (Phase::Starting | Phase::Stopping, _) => {
                self.waiting = Some(wish);
                false
            }
            (_, Wish::Start) => self.step(Signal::Start),
            (_, Wish::Stop) => self.step(Signal::Stop),
        }
    }

    /// The wish that waited, to be fulfilled by [`wish`](Self::wish).
    pub(crate) fn take_waiting(&mut self) -> Option<Wish> {
        match self.phase {
            Phase::Starting | Phase::Stopping => None,
            Phase::Off | Phase::On => self.waiting.take(),
        }
    }

    /// The request goes once more, changed by what the server said: true if one runs.
    pub(crate) fn again(&mut self) -> bool {
        self.step(Signal::Again)
    }

    /// The server did what was asked, for `life`.
    pub(crate) fn granted(&mut self, now: Instant, life: Duration) {
        match self.phase {
            Phase::Starting => self.refresh.grant(now, life),
            Phase::Off | Phase::On | Phase::Stopping => self.refresh.clear(),
        }
        self.step(Signal::Granted);
    }

    /// It failed. `retry_after` is given if the server has not touched what it holds: then true is
    /// returned if there is time for a second try, which will be due.
    pub(crate) fn failed(&mut self, now: Instant, retry_after: Option<Option<Duration>>) -> bool {
        let again = self.phase == Phase::Starting
            && retry_after.is_some_and(|after| self.refresh.fail(now, after));
        match again {
            true => self.step(Signal::Passed),
            false => {
                self.refresh.clear();
                self.step(Signal::Failed);
                false
            }
        }
    }

    /// Renews it soon.
    pub(crate) fn hurry(&mut self, at: Instant) {
        self.refresh.hurry(at);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        match self.phase {
            // A request that runs has its own end.
            Phase::Starting | Phase::Stopping => None,
            Phase::Off | Phase::On => self.refresh.poll_timeout(),
        }
    }

    /// True if the refresh is to be sent now; what has expired is asked for anew.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> bool {
        self.phase == Phase::On
            && self.refresh.handle_timeout(now).is_some()
            && self.step(Signal::Due)
    }

    fn step(&mut self, signal: Signal) -> bool {
        match next(self.phase, signal) {
            Some(phase) => {
                self.phase = phase;
                true
            }
            None => false,
        }
    }
}

fn next(phase: Phase, signal: Signal) -> Option<Phase> {
    let row = TABLE.iter().find(|row| (row.0, row.1) == (phase, signal))?;
    Some(row.2)
}

const TABLE: &[(Phase, Signal, Phase)] = &[
    (Phase::Off, Signal::Start, Phase::Starting),
    (Phase::Starting, Signal::Start, Phase::Starting),
    (Phase::Starting, Signal::Stop, Phase::Starting),
    (Phase::Starting, Signal::Again, Phase::Starting),
    (Phase::Starting, Signal::Granted, Phase::On),
    (Phase::Starting, Signal::Passed, Phase::On),
    (Phase::Starting, Signal::Failed, Phase::Off),
    (Phase::On, Signal::Start, Phase::Starting),
    (Phase::On, Signal::Due, Phase::Starting),
    (Phase::On, Signal::Stop, Phase::Stopping),
    (Phase::Stopping, Signal::Start, Phase::Stopping),
    (Phase::Stopping, Signal::Stop, Phase::Stopping),
    (Phase::Stopping, Signal::Again, Phase::Stopping),
    (Phase::Stopping, Signal::Granted, Phase::Off),
    (Phase::Stopping, Signal::Failed, Phase::Off),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rgn_05_pub_05_the_table_is_what_the_code_does() {
        let rows: Vec<Vec<&str>> = include_str!("lease.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! | "))
            .skip(1)
            .map(|row| row.split('|').map(str::trim).collect())
            .collect();
        let code: Vec<_> = TABLE
            .iter()
            .map(|(phase, signal, next)| {
                [
                    format!("{phase:?}"),
                    format!("{signal:?}"),
                    format!("{next:?}"),
                ]
            })
            .collect();
        assert_eq!(rows.len(), code.len());
        for (row, code) in rows.iter().zip(&code) {
            assert_eq!(row[..3], code[..]);
        }
    }
}
