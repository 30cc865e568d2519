//! NOTIFYs to peers, one at a time (RFC 6665, 4.2.2).

use super::{Effect, Method, Notifier, NotifierEnd, NotifierEvent, Signal, State};
use crate::{
    HeaderName, Headers, Status,
    attempt::Failure,
    dialog::{Impact, impact},
    usage::{Ask, Progress},
};
use std::time::Instant;

impl Notifier {
    /// Sends the latest state, or lets it wait for the NOTIFY that is outstanding.
    pub(super) fn send(&mut self, now: Instant) {
        if self.is_silent() {
            return;
        }
        let Some(dialog) = self.dialog else { return };
        if self.is_sending {
            self.is_queued = true;
            return;
        }
        self.is_sending = true;
        self.is_queued = false;
        let mut headers = Headers::new();
        headers.push(HeaderName::Event, self.event_value());
        headers.push(HeaderName::SubscriptionState, self.standing(now));
        let ask = Box::new(Ask {
            method: Method::Notify,
            headers,
            body: self.latest.clone(),
        });
        self.effects.push_back(Effect::Inside { dialog, ask });
    }

    /// Something became of a NOTIFY.
    pub(crate) fn handle_progress(&mut self, now: Instant, tag: u32, progress: &Progress<'_>) {
        if !self.exchange.is_running(tag) {
            return;
        }
        let (status, reason) = match progress {
            Progress::Response(response) if response.status.is_final() => {
                self.exchange.finish(Some(response));
                (response.status, response.reason.to_string())
            }
            Progress::Failed(failure) => {
                self.exchange.finish(None);
                // RFC 3261, 8.1.3.1
                let status = match failure {
                    Failure::Timeout | Failure::Cancelled => Status::REQUEST_TIMEOUT,
                    Failure::Transport(_) | Failure::Lookup(_) => Status::SERVICE_UNAVAILABLE,
                };
                (status, status.phrase().to_owned())
            }
            Progress::Sent { .. } | Progress::Response(_) | Progress::Late(_) | Progress::Over => {
                return;
            }
        };
        self.is_sending = false;
        if self.state != State::Terminated {
            self.effects
                .push_back(Effect::Tell(NotifierEvent::Notified {
                    code: status,
                    reason,
                }));
        }
        if status.is_failure() && impact(&Method::Notify, status) != Impact::Transaction {
            // RFC 6665, 4.2.2: the subscription is removed, and nothing more is sent.
            self.is_queued = false;
            self.end(Signal::Failed, NotifierEnd::Failed(status));
        } else if self.is_queued {
            self.send(now);
        }
        self.release();
    }

    /// The value of Subscription-State.
    fn standing(&self, now: Instant) -> String {
        if let Some((reason, retry_after)) = self.goodbye {
            let mut value = format!("terminated;reason={}", reason.as_str());
            if let Some(seconds) = retry_after {
                value.push_str(&format!(";retry-after={seconds}"));
            }
            return value;
        }
        let word = match self.state {
            State::Pending => "pending",
            State::Incoming | State::Active | State::Terminated => "active",
        };
        let left = self
            .expires
            .map_or(0, |at| at.saturating_duration_since(now).as_secs());
        // RFC 6665, 4.2.2
        format!("{word};expires={left}")
    }

    fn event_value(&self) -> String {
        match &self.id {
            Some(id) => format!("{};id={id}", self.event),
            None => self.event.to_string(),
        }
    }
}
