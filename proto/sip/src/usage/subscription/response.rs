//! What becomes of the requests of our subscriptions (RFC 6665, 4.1.2).

use super::{
    Asked, Effect, End, Opening, Progress, Retry, Signal, State, Subscription, SubscriptionEnd,
    SubscriptionEvent,
};
use crate::{
    HeaderName, Headers, Method, Response, Status,
    attempt::Failure,
    dialog::{Impact, impact},
    header::{Expires, Item, MinExpires, RetryAfter},
    usage::exchange::without_unsupported,
};
use std::time::{Duration, Instant};

impl Subscription {
    /// Something became of a request.
    pub(crate) fn handle_progress(&mut self, now: Instant, tag: u32, progress: &Progress<'_>) {
        if !self.exchange.is_running(tag) {
            return;
        }
        match progress {
            Progress::Response(response) if response.status.is_final() => {
                self.exchange.finish(Some(response));
                self.handle_final(now, response);
            }
            Progress::Failed(failure) => {
                self.exchange.finish(None);
                self.handle_silence(now, *failure);
            }
            Progress::Sent { .. } | Progress::Response(_) | Progress::Late(_) | Progress::Over => {}
        }
    }

    fn handle_final(&mut self, now: Instant, response: &Response) {
        let Some(asked) = self.running.take() else {
            return;
        };
        match response.status.is_success() {
            true => self.handle_success(now, asked, response),
            false => self.handle_failure(
                now,
                asked,
                SubscriptionEnd::Refused,
                response.status,
                &response.reason,
                &response.headers,
            ),
        }
        self.leave_at_last(now, asked);
    }

    /// Its end was asked for while a request ran, which is over.
    fn leave_at_last(&mut self, now: Instant, asked: Asked) {
        let stands = self.running.is_none() && self.state != State::Terminated;
        if self.is_leaving && stands && asked != Asked::Leave {
            self.ask(now, Asked::Leave);
        }
    }

    fn handle_silence(&mut self, now: Instant, failure: Failure) {
        let Some(asked) = self.running.take() else {
            return;
        };
        // RFC 3261, 8.1.3.1
        let status = match failure {
            Failure::Timeout | Failure::Cancelled => Status::REQUEST_TIMEOUT,
            Failure::Transport(_) | Failure::Lookup(_) => Status::SERVICE_UNAVAILABLE,
        };
        self.handle_failure(
            now,
            asked,
            failure.into(),
            status,
            status.phrase(),
            &Headers::new(),
        );
        self.leave_at_last(now, asked);
    }

    fn handle_success(&mut self, now: Instant, asked: Asked, response: &Response) {
        let status = response.status;
        if status == Status::NO_NOTIFICATION {
            // RFC 6665, 4.1.2.2
            self.timer_n = None;
        }
        if asked == Asked::First {
            if self.is_unreported(response) {
                return self.finish(End {
                    signal: Signal::Failure,
                    cause: SubscriptionEnd::NoSubscription,
                    code: Some(status),
                    reason: Some(&response.reason),
                    retry: Retry::Never,
                    headers: response.headers.detached(),
                });
            }
            let is_known = !self.step(Signal::Success, Some((status, &response.reason)));
            // What a NOTIFY has said of its life counts (RFC 6665, 4.1.3).
            if is_known && self.refresh.expires_at().is_some() {
                return;
            }
        }
        let granted = match response.headers.typed::<Expires>() {
            // RFC 6665, 4.1.2.1: not more than was asked for.
            Some(Ok(Expires(seconds))) => seconds.min(self.asked),
            Some(Err(_)) | None => self.asked,
        };
        let is_plain = self.opening_is_plain() || asked != Asked::First;
        if granted > 0 && is_plain && !self.is_leaving {
            self.refresh.grant(now, Duration::from_secs(granted.into()));
        }
    }

    fn handle_failure(
        &mut self,
        now: Instant,
        asked: Asked,
        cause: SubscriptionEnd,
        status: Status,
        reason: &str,
        headers: &Headers,
    ) {
        let retry_after = match headers.typed::<RetryAfter<'_>>() {
            Some(Ok(value)) => Some(value.seconds),
            Some(Err(_)) | None => None,
        };
        let end = |cause, retry| End {
            signal: Signal::Failure,
            cause,
            code: Some(status),
            reason: Some(reason),
            retry,
            headers: headers.detached(),
        };
        // Otherwise a NOTIFY has made it.
        let is_open = asked != Asked::First || self.state == State::Sent;
        match asked {
            _ if is_open && self.reduce(status, headers) => self.send_again(now, asked),
            Asked::Leave => {
                self.finish(end(SubscriptionEnd::Unsubscribed, Retry::Never));
            }
            Asked::First if !is_open => {
                // One branch of a fork answers for others (RFC 6665, 4.1.4).
            }
            Asked::First | Asked::Refresh if self.lengthen(status, headers) => {
                self.send_again(now, asked);
            }
            Asked::First => {
                let retry = Retry::of_status(status, retry_after);
                self.finish(end(cause, retry));
            }
            Asked::Refresh if impact(&Method::Subscribe, status) != Impact::Transaction => {
                let retry = Retry::of_status(status, retry_after);
                self.finish(end(cause, retry));
            }
            Asked::Refresh => {
                // RFC 6665, 4.1.2.2: valid until it expires.
                self.timer_n = None;
                self.effects
                    .push_back(Effect::Tell(SubscriptionEvent::RefreshFailed {
                        code: status,
                        reason: reason.to_owned(),
                        headers: headers.detached(),
                    }));
                let wait = retry_after.map(|seconds| Duration::from_secs(seconds.into()));
                // Without another try its expiry ends it.
                let _ = self.refresh.fail(now, wait);
            }
        }
    }

    /// Sends what was refused once more, as it is wanted.
    fn send_again(&mut self, now: Instant, asked: Asked) {
        match asked {
            Asked::First => self.send_first(now),
            Asked::Refresh | Asked::Leave => self.ask(now, asked),
        }
    }

    /// Leaves out the extensions that a 420 does not know; once (RFC 3261, 8.1.3.5). A REFER whose
    /// receiver cannot be told of a dialog goes inside it (RFC 4538, 4).
    fn reduce(&mut self, status: Status, refused: &Headers) -> bool {
        if status != Status::BAD_EXTENSION || self.is_reduced {
            return false;
        }
        let Some(mut left) = without_unsupported(&self.plan.headers, refused) else {
            return false;
        };
        self.is_reduced = true;
        if !left.has_token(HeaderName::Require, "tdialog")
            && let Some(dialog) = self.named.take()
        {
            left.remove(HeaderName::TargetDialog);
            self.expect_no_more();
            self.dialog = Some(dialog);
        }
        self.plan.headers = left;
        true
    }

    /// Takes the longer life that a 423 asks for; once, and only if it is longer (RFC 6665, 4.2.1.1).
    fn lengthen(&mut self, status: Status, headers: &Headers) -> bool {
        let Some(Ok(MinExpires(least))) = headers.typed::<MinExpires>() else {
            return false;
        };
        let is_longer = status == Status::INTERVAL_TOO_BRIEF && least > self.asked;
        if !is_longer || self.is_lengthened {
            return false;
        }
        self.is_lengthened = true;
        self.plan.expires = least;
        true
    }

    /// True if a REFER was accepted without a subscription (RFC 4488, 4).
    fn is_unreported(&self, response: &Response) -> bool {
        let value = response.headers.typed_as::<Item<'_>>(HeaderName::ReferSub);
        matches!(self.plan.opening, Opening::Refer(_))
            && matches!(value, Some(Ok(item)) if item.is("false"))
    }
}
