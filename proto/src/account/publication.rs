//! When an account publishes, and when again (ACC-39).

use super::retry_after;
use crate::event::{Hints, PublicationEvent};
use base::{Deadline, Rng};
use sip::{Description, Failed, PublicationId, refresh::Backoff, usage::publication::State};
use std::{collections::VecDeque, time::Instant};

/// What the policy wants.
#[derive(Debug)]
pub(crate) enum PublishingDo {
    /// Publish this.
    Publish(Description),
    /// Take it back.
    Unpublish,
    /// Tell the application.
    Tell(PublicationEvent),
}

/// Keeps one event package of an account published while that is wanted.
#[derive(Debug)]
pub(crate) struct Publishing {
    id: PublicationId,
    /// What is wanted to be published.
    content: Option<Description>,
    state: State,
    retry_at: Option<Instant>,
    backoff: Backoff,
    rng: Rng,
    out: VecDeque<PublishingDo>,
}

impl Publishing {
    pub(crate) fn new(id: PublicationId, rng: &mut Rng) -> Self {
        Self {
            id,
            content: None,
            state: State::Unpublished,
            retry_at: None,
            backoff: Backoff::new(),
            rng: rng.fork(),
            out: VecDeque::new(),
        }
    }

    pub(crate) const fn id(&self) -> PublicationId {
        self.id
    }

    /// This shall be published from now on.
    pub(crate) fn publish(&mut self, content: Description) {
        self.retry_at = None;
        self.content = Some(content.clone());
        self.out.push_back(PublishingDo::Publish(content));
    }

    /// Publishes the same once more from another address, if anything is.
    pub(crate) fn move_on(&mut self) {
        if let Some(content) = self.content.clone() {
            self.publish(content);
        }
    }

    /// Nothing shall be any more.
    pub(crate) fn unpublish(&mut self) {
        self.retry_at = None;
        self.content = None;
        self.out.push_back(PublishingDo::Unpublish);
    }

    /// True if no server holds anything of it, as far as is known.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.state == State::Unpublished
    }

    pub(crate) fn handle_event(&mut self, now: Instant, event: &sip::PublicationEvent) {
        match event {
            sip::PublicationEvent::StateChanged {
                state,
                code,
                reason,
                headers,
                ..
            } => {
                self.state = *state;
                let told = PublicationEvent::ChangedState {
                    state: *state,
                    code: code.map(sip::Status::code),
                    reason: reason.clone(),
                    hints: Hints::of(headers),
                };
                self.out.push_back(PublishingDo::Tell(told));
            }
            sip::PublicationEvent::Succeeded { .. } => self.backoff.succeed(),
            sip::PublicationEvent::Failed(failed) => self.failed(now, failed),
            // Nothing to be done about it.
            _ => {}
        }
    }

    fn failed(&mut self, now: Instant, failed: &Failed) {
        if self.content.is_some() {
            let wait = retry_after(failed, &mut self.backoff, &mut self.rng);
            self.retry_at = now.checked_add(wait);
        }
    }

    pub(crate) fn poll_output(&mut self) -> Option<PublishingDo> {
        self.out.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        self.retry_at
            .map(|at| Deadline::new(at, "next publication"))
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.retry_at.take_if(|at| *at <= now).is_some()
            && let Some(content) = self.content.clone()
        {
            self.out.push_back(PublishingDo::Publish(content));
        }
    }
}
