//! Whether the peer still wants what we send (RFC 7675).

use super::{Agent, Config, Event, Output};
use crate::{
    Kind,
    stun::{Attribute, AttributeType, Class, Integrity, Message, Protection, TransactionId},
};
use base::Rng;
use std::{net::SocketAddr, time::Instant};

/// The consent of one component.
#[derive(Debug)]
pub(super) struct Consent {
    /// When to ask again.
    next: Option<Instant>,
    /// Until when it holds; nothing once it is gone.
    until: Option<Instant>,
    /// The questions that may still be answered, last one last.
    asked: Vec<TransactionId>,
}

impl Consent {
    pub(super) fn new(now: Instant, config: &Config, rng: &mut Rng) -> Self {
        Self {
            next: interval(now, config, rng),
            until: now.checked_add(config.consent_timeout),
            asked: Vec::new(),
        }
    }

    pub(super) const fn is_given(&self) -> bool {
        self.until.is_some()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.next.into_iter().chain(self.until).min()
    }

    fn withdraw(&mut self) {
        (self.next, self.until) = (None, None);
        self.asked.clear();
    }
}

/// RFC 7675, 5.1: varied, so that questions of many do not come together.
fn interval(now: Instant, config: &Config, rng: &mut Rng) -> Option<Instant> {
    now.checked_add(config.consent_interval.mul_f64(0.8 + 0.4 * rng.unit()))
}

impl Agent {
    pub(super) fn consent_due(&mut self, now: Instant) {
        for at in 0..self.selected.len() {
            let consent = &mut self.selected[at].consent;
            if consent.until.is_some_and(|until| until <= now) {
                consent.withdraw();
                let component = self.selected[at].component;
                self.out
                    .push_back(Output::Event(Event::ConsentExpired { component }));
                continue;
            }
            if consent.next.is_none_or(|next| next > now) {
                continue;
            }
            let next = interval(now, &self.config, &mut self.rng);
            self.selected[at].consent.next = next;
            self.ask_consent(at);
        }
    }

    /// RFC 7675, 5.1: a check of its own each time, never repeated. During a restart the old pair's
    /// credentials are gone, and its consent runs out unless a new pair comes.
    fn ask_consent(&mut self, at: usize) {
        if !self.selected[at].is_current {
            return;
        }
        let selected = self.selected[at].selected;
        let priority = self.priority_of(selected.base.0, Kind::PeerReflexive);
        let Some((id, payload)) = self.binding_request(priority, false) else {
            return;
        };
        let asked = &mut self.selected[at].consent.asked;
        if asked.len() >= MAX_ASKED {
            asked.remove(0);
        }
        asked.push(id);
        self.out.push_back(Output::Transmit {
            base: selected.base,
            to: selected.remote,
            payload,
        });
    }

    /// Takes an answer to a question for consent; false if it is none.
    pub(super) fn handle_consent(
        &mut self,
        now: Instant,
        base: usize,
        from: SocketAddr,
        message: &Message<'_>,
    ) -> bool {
        let id = message.transaction();
        let Some(chosen) = self
            .selected
            .iter_mut()
            .find(|chosen| chosen.consent.asked.contains(&id))
        else {
            return false;
        };
        let is_right = self.remote.as_ref().is_some_and(|remote| {
            message.integrity(Protection::Sha1, &remote.key) == Integrity::Right
        });
        if !is_right || from != chosen.selected.remote || base != chosen.selected.base.0 {
            return false;
        }
        chosen.consent.asked.retain(|asked| *asked != id);
        if message.class() == Class::Success {
            chosen.consent.until = now.checked_add(self.config.consent_timeout);
            return true;
        }
        // RFC 7675, 5.2: the peer takes it back.
        let is_forbidden = matches!(
            message.attribute(AttributeType::ERROR_CODE),
            Some(Attribute::ErrorCode(error)) if error.code == 403
        );
        if is_forbidden {
            chosen.consent.withdraw();
            let component = chosen.component;
            self.out
                .push_back(Output::Event(Event::ConsentExpired { component }));
        }
        true
    }
}

/// Questions within the 30 s of a consent.
const MAX_ASKED: usize = 8;
