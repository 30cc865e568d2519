//! Hold, both ways (SES-29 … SES-31, SES-63).

use super::{InputKind, Session, SessionError};
use crate::{
    event::{Originator, SessionEvent},
    stream::{Hold, Streams},
};
use std::time::Instant;

/// What was wished, and what was last told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HoldState {
    intent: bool,
    told: Held,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Held {
    pub(super) by_local: bool,
    pub(super) by_remote: bool,
    partial_local: bool,
    partial_remote: bool,
}

impl HoldState {
    pub(super) const fn intent(&self) -> bool {
        self.intent
    }
}

impl Session {
    /// Holds all streams that support it: our sending stops at once, whatever the peer says; the
    /// offer goes out as soon as the state allows (SES-29). Held already: nothing happens (SES-30).
    ///
    /// # Errors
    ///
    /// The session is ending.
    pub(crate) fn hold(&mut self, now: Instant, streams: &mut Streams) -> Result<(), SessionError> {
        self.set_hold(now, streams, true)
    }

    /// The reverse of [`hold`](Self::hold); during a running hold it is carried out right after it.
    ///
    /// # Errors
    ///
    /// The session is ending.
    pub(crate) fn unhold(
        &mut self,
        now: Instant,
        streams: &mut Streams,
    ) -> Result<(), SessionError> {
        self.set_hold(now, streams, false)
    }

    fn set_hold(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        hold: bool,
    ) -> Result<(), SessionError> {
        self.seen.note(
            self.state,
            if hold {
                InputKind::Hold
            } else {
                InputKind::Unhold
            },
        );
        if !self.state.is_live() {
            return Err(self.wrong_state());
        }
        if self.hold.intent == hold {
            return Ok(());
        }
        self.hold.intent = hold;
        let mut changes = false;
        for id in self.streams() {
            if let Some(stream) = streams.touch(id) {
                changes |= stream.set_hold(now, hold);
            }
        }
        if changes {
            self.proposal.want(false);
            self.try_propose(now, streams);
        }
        Ok(())
    }

    /// What was asked for last is not wished any more.
    pub(super) fn take_hold_back(&mut self, now: Instant, streams: &mut Streams) {
        let held = self.hold.told.by_local;
        if std::mem::replace(&mut self.hold.intent, held) == held {
            return;
        }
        for id in self.streams() {
            if let Some(stream) = streams.touch(id) {
                stream.set_hold(now, held);
            }
        }
    }

    pub(super) fn hold_of(&self, streams: &Streams) -> Held {
        let holds: Vec<Hold> = self
            .streams()
            .into_iter()
            .filter_map(|id| streams.get(id)?.hold())
            .collect();
        let any = |of: fn(&Hold) -> bool| holds.iter().any(of);
        let all = |of: fn(&Hold) -> bool| holds.iter().all(of);
        Held {
            by_local: any(|hold| hold.by_local),
            by_remote: any(|hold| hold.by_remote),
            partial_local: any(|hold| hold.by_local) && !all(|hold| hold.by_local),
            partial_remote: any(|hold| hold.by_remote) && !all(|hold| hold.by_remote),
        }
    }

    /// Tells what an agreement changed in the holds: the negotiated state, never the mere wish.
    pub(super) fn tell_hold(&mut self, streams: &Streams) {
        let held = self.hold_of(streams);
        let told = std::mem::replace(&mut self.hold.told, held);
        if (held.by_local, held.partial_local) != (told.by_local, told.partial_local) {
            self.push(SessionEvent::DidChangeHoldState {
                originator: Originator::Local,
                on_hold: held.by_local,
                partial: held.partial_local,
            });
        }
        if (held.by_remote, held.partial_remote) != (told.by_remote, told.partial_remote) {
            self.push(SessionEvent::DidChangeHoldState {
                originator: Originator::Remote,
                on_hold: held.by_remote,
                partial: held.partial_remote,
            });
        }
    }
}
