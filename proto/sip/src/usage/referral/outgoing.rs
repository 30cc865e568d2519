//! REFER of ours (RFC 3515, 2.4.1; XFR-06).

use super::{PACKAGE, ReferralEnd, ReferralEvent};
use crate::usage::sipfrag::Sipfrag;
use crate::{
    DialogId, Headers, Request, Response, Status,
    attempt::Draft,
    config::Config,
    dialog::{Dialog, InDialog},
    usage::{
        Ask, Effect, Exchange, Parties, Progress, Shared,
        subscription::{
            Forks, Opening, Plan, State, Subscription, SubscriptionEnd, SubscriptionEvent,
        },
    },
};
use base::{Deadline, Rng};
use std::{collections::VecDeque, sync::Arc, time::Instant};

/// A REFER of ours and the reports about it.
#[derive(Debug)]
pub(crate) struct Referral {
    subscription: Subscription,
    is_accepted: bool,
    /// What the last report said.
    latest: Option<Sipfrag>,
    is_told: bool,
    effects: VecDeque<Effect<ReferralEvent>>,
}

impl Referral {
    /// Refers, inside a dialog or outside. `headers` are all that REFER says beside those of every
    /// request.
    pub(crate) fn outgoing(
        now: Instant,
        parties: Parties,
        headers: Headers,
        expires: u32,
        dialog: Option<DialogId>,
        config: &Arc<Config>,
        rng: &mut Rng,
    ) -> Self {
        let plan = Plan {
            opening: Opening::Refer(0),
            event: PACKAGE.into(),
            id: None,
            accept: Vec::new(),
            expires,
            forks: Forks::One,
            event_list: false,
            headers,
            body: None,
        };
        Self {
            subscription: Subscription::begin(now, parties, plan, dialog, config, rng),
            is_accepted: false,
            latest: None,
            is_told: false,
            effects: VecDeque::new(),
        }
    }

    pub(crate) fn poll_effect(&mut self) -> Option<Effect<ReferralEvent>> {
        while self.effects.is_empty() {
            let effect = self.subscription.poll_effect()?;
            match effect.told() {
                Ok(event) => self.translate(event),
                Err(effect) => return Some(effect),
            }
        }
        self.effects.pop_front()
    }

    fn translate(&mut self, event: SubscriptionEvent) {
        match event {
            SubscriptionEvent::StateChanged {
                state: State::Accepted,
                code: Some(code),
                reason,
                ..
            } => self.accepted(code, reason.unwrap_or_default()),
            SubscriptionEvent::GotNotify { content, .. } => {
                self.accepted(Status::ACCEPTED, Status::ACCEPTED.phrase().to_owned());
                let report = content.and_then(|content| Sipfrag::parse(&content.body));
                if let Some(report) = report {
                    self.report(report);
                }
            }
            SubscriptionEvent::Ended {
                cause,
                code,
                reason,
                ..
            } => self.ended(cause, code, reason),
            SubscriptionEvent::StateChanged { .. }
            | SubscriptionEvent::Forked { .. }
            | SubscriptionEvent::RefreshFailed { .. } => {}
        }
    }

    fn accepted(&mut self, code: Status, reason: String) {
        if !self.is_accepted {
            self.is_accepted = true;
            self.tell(ReferralEvent::Accepted { code, reason });
        }
    }

    fn report(&mut self, report: Sipfrag) {
        let is_final = report.status.is_final();
        self.tell(ReferralEvent::Progress {
            code: report.status,
            reason: report.reason.clone(),
        });
        self.latest = Some(report);
        if is_final {
            // Some say the outcome and let the subscription run on.
            self.tell_outcome();
        }
    }

    fn ended(&mut self, cause: SubscriptionEnd, code: Option<Status>, reason: Option<String>) {
        let outcome = match cause {
            SubscriptionEnd::NoSubscription => {
                if let Some(code) = code {
                    self.accepted(code, reason.clone().unwrap_or_default());
                }
                ReferralEnd::Unreported
            }
            _ if self.is_accepted => ReferralEnd::Lost(cause),
            _ => ReferralEnd::Refused,
        };
        let latest = self.latest.take();
        let (code, reason) = match (code, latest) {
            (None, Some(report)) => (Some(report.status), Some(report.reason)),
            (code, _) => (code, reason),
        };
        self.tell(ReferralEvent::Ended {
            outcome,
            code,
            reason,
        });
    }

    fn tell_outcome(&mut self) {
        let Some(Sipfrag { status, reason }) = self.latest.take() else {
            return;
        };
        self.tell(ReferralEvent::Ended {
            outcome: match status.is_success() {
                true => ReferralEnd::Succeeded,
                false => ReferralEnd::Failed,
            },
            code: Some(status),
            reason: Some(reason),
        });
    }

    /// Tells the application, unless it was told the end.
    fn tell(&mut self, event: ReferralEvent) {
        if !self.is_told {
            self.is_told = matches!(event, ReferralEvent::Ended { .. });
            self.effects.push_back(Effect::Tell(event));
        }
    }

    /// Says which dialog the REFER names.
    pub(crate) const fn set_named(&mut self, dialog: DialogId) {
        self.subscription.set_named(dialog);
    }

    pub(crate) fn half_of_dialog(&self) -> (&str, u32) {
        self.subscription.half_of_dialog()
    }

    pub(crate) const fn dialog(&self) -> Option<DialogId> {
        self.subscription.dialog()
    }

    pub(crate) fn takes(&self, request: &Request) -> bool {
        self.subscription.takes(request)
    }

    pub(crate) fn handle_notify(&mut self, now: Instant, request: &Request, shared: Shared) {
        self.subscription.handle_notify(now, request, shared);
    }

    pub(crate) fn handle_dialog_gone(&mut self) {
        self.subscription.handle_dialog_gone();
    }

    /// Wants no more reports; what the peer has begun goes on.
    pub(crate) fn leave(&mut self, now: Instant) {
        // Over already is over.
        let _ = self.subscription.leave(now);
    }

    pub(crate) fn start_inside(&mut self, made: InDialog, ask: Ask) -> (u32, Box<Draft>) {
        self.subscription.start_inside(made, ask)
    }

    pub(crate) const fn exchange(&mut self) -> &mut Exchange {
        self.subscription.exchange()
    }

    pub(crate) fn answer_challenge(
        &mut self,
        tag: u32,
        response: &Response,
        request: &mut Request,
        dialog: Option<&mut Dialog>,
    ) -> bool {
        self.subscription
            .answer_challenge(tag, response, request, dialog)
    }

    pub(crate) fn handle_progress(&mut self, now: Instant, tag: u32, progress: &Progress<'_>) {
        self.subscription.handle_progress(now, tag, progress);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        self.subscription.poll_timeout()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.subscription.handle_timeout(now);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.effects.is_empty() && self.subscription.is_over()
    }
}
