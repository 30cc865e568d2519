//! One of the usages outside of calls.

use super::{
    Effect, Progress,
    options::{OptionsEvent, Query},
};
use crate::{Request, Response, attempt::AttemptId};
use base::Deadline;
use std::time::Instant;

/// A usage outside of calls, whichever.
#[derive(Debug)]
pub(crate) enum AnyUsage {
    /// A question.
    Options(Box<Query>),
}

/// What an application hears of a usage, whichever.
#[derive(Debug)]
pub(crate) enum Happening {
    /// Of a question.
    Options(OptionsEvent),
}

impl AnyUsage {
    /// Takes the next effect.
    pub(crate) fn poll_effect(&mut self) -> Option<Effect<Happening>> {
        match self {
            Self::Options(query) => Some(query.poll_effect()?.map(Happening::Options)),
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(crate) const fn poll_timeout(&self) -> Option<Deadline> {
        match self {
            Self::Options(_) => None,
        }
    }

    /// Fires what is due.
    #[expect(clippy::needless_pass_by_ref_mut, reason = "for usages with timers")]
    pub(crate) const fn handle_timeout(&mut self, _now: Instant) {
        match self {
            Self::Options(_) => {}
        }
    }

    /// The endpoint names the attempt of a request.
    pub(crate) fn attempt_started(&mut self, tag: u32, attempt: AttemptId) {
        match self {
            Self::Options(query) => query.attempt_started(tag, attempt),
        }
    }

    /// A request was challenged; true if it is ready to go again.
    pub(crate) fn answer_challenge(
        &mut self,
        tag: u32,
        response: &Response,
        request: &mut Request,
    ) -> bool {
        match self {
            Self::Options(query) => query.answer_challenge(tag, response, request),
        }
    }

    /// Something became of a request.
    pub(crate) fn handle_progress(&mut self, _now: Instant, tag: u32, progress: &Progress<'_>) {
        match self {
            Self::Options(query) => query.handle_progress(tag, progress),
        }
    }

    /// True if nothing of it can arrive any more.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Options(query) => query.is_over(),
        }
    }
}
