//! Early media of a call that came in: its answer before the call is taken (INV-07; RFC 3261, 13.2.1;
//! RFC 3262, 5; RFC 6337, 3.1.1).

use super::{CallCommand, InputKind, Session, SessionError, State};
use crate::{
    id::StreamId,
    stream::{StreamInput, Streams},
};
use std::time::Instant;

/// How far the early answer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Early {
    stage: Stage,
    /// A response can be made to arrive.
    is_reliable: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Stage {
    /// Nobody has asked for it.
    #[default]
    Unasked,
    /// It waits for the streams.
    Preparing,
    /// It has left.
    Sent,
}

impl Early {
    pub(super) const fn of(is_reliable: bool) -> Self {
        Self {
            stage: Stage::Unasked,
            is_reliable,
        }
    }

    pub(super) fn is_sent(self) -> bool {
        self.stage == Stage::Sent
    }

    pub(super) fn is_preparing(self) -> bool {
        self.stage == Stage::Preparing
    }

    /// The call is taken: what has not left goes with the 2xx.
    pub(super) fn forgo(&mut self) {
        if self.stage == Stage::Preparing {
            self.stage = Stage::Unasked;
        }
    }
}

impl Session {
    /// Answers with a subset of the proposed streams in a 183, before the call is taken: they start, and
    /// the caller hears what is said in them. The others are refused.
    ///
    /// # Errors
    ///
    /// Only in state incoming and only once; streams as in [`accept`](Self::accept). A caller that
    /// leaves the offer to us has to take reliable responses.
    pub(crate) fn progress(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        answered: &[StreamId],
    ) -> Result<(), SessionError> {
        self.seen.note(self.state, InputKind::Progress);
        self.in_state(&[State::Incoming])?;
        if self.early.stage != Stage::Unasked {
            return Err(SessionError::AlreadyAnswered);
        }
        // RFC 3261, 13.2.1: an offer has to arrive.
        if self.offered.is_none() && !self.early.is_reliable {
            return Err(SessionError::Unreliable);
        }
        self.choose(now, streams, answered)?;
        self.early.stage = Stage::Preparing;
        self.timers.prepare = Some(now + self.limits.prepare);
        self.advance_preparation(now, streams);
        Ok(())
    }

    /// All streams are prepared, or their time is over: show what is there.
    pub(super) fn show_answer(&mut self, now: Instant, streams: &mut Streams) {
        if let Some(described) = self.describe_call(now, streams) {
            self.early.stage = Stage::Sent;
            let description = described.ours.clone();
            self.push_call(CallCommand::Progress { description });
            self.agree_described(now, streams, described);
        }
    }

    /// PRACK names the number that only the receiver of our response knows.
    pub(super) fn verified(&self, now: Instant, streams: &mut Streams) {
        for id in self.streams() {
            if let Some(stream) = streams.touch(id) {
                stream.handle_input(now, StreamInput::Verified);
            }
        }
    }
}
