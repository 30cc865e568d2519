//! When an account subscribes, and when again (ACC-39; RFC 6665, 4.1.3).

use super::named;
use crate::{
    event::{Hints, SubscriptionEvent},
    id::SubscriptionId,
};
use base::{Deadline, Rng};
use sip::{
    Status,
    refresh::Backoff,
    usage::subscription::{Retry, State, SubscriptionEnd},
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// What the policy wants.
#[derive(Debug)]
pub(crate) enum SubscribingDo {
    /// Subscribe anew.
    Subscribe,
    /// Renew what stands; where there is no dialog yet, subscribe anew.
    Renew,
    /// End it.
    Unsubscribe,
    /// Tell the application.
    Tell(SubscriptionEvent),
    /// Nothing of it is left.
    Forget,
}

/// Keeps a subscription while that is wanted.
///
/// Feed it wishes, the events of what subscribes for it, and time at
/// [`poll_timeout`](Self::poll_timeout); it says [`SubscribingDo`]s.
#[derive(Debug)]
pub(crate) struct Subscribing {
    is_wanted: bool,
    /// Who is refused or forgotten is asked again.
    is_kept: bool,
    /// A SUBSCRIBE is out, or its subscription stands.
    is_live: bool,
    state: State,
    retry_at: Option<Instant>,
    /// When it was last asked for anew.
    asked_at: Option<Instant>,
    backoff: Backoff,
    rng: Rng,
    out: VecDeque<SubscribingDo>,
}

impl Subscribing {
    /// Begins with a SUBSCRIBE that is out; `is_kept` makes it be repeated when it is no more.
    pub(crate) fn new(is_kept: bool, rng: &mut Rng) -> Self {
        Self {
            is_wanted: true,
            is_kept,
            is_live: true,
            state: State::Null,
            retry_at: None,
            asked_at: None,
            backoff: Backoff::new(),
            rng: rng.fork(),
            out: VecDeque::new(),
        }
    }

    /// The part that another notifier has in a subscription: whoever is forked anew, is so by the one
    /// that was forked.
    pub(crate) fn fork(of: SubscriptionId, rng: &mut Rng) -> Self {
        let mut fork = Self::new(false, rng);
        let told = SubscriptionEvent::DidFork { of };
        fork.out.push_back(SubscribingDo::Tell(told));
        fork
    }

    /// Renews it, or asks at once for what waits to be asked for again; false if it cannot be: it has no
    /// answer yet, or is being ended (SUB-05).
    pub(crate) fn renew(&mut self) -> bool {
        let stands = !matches!(self.state, State::Null | State::Sent | State::Terminated);
        let can = self.is_wanted && (self.retry_at.is_some() || stands);
        if can {
            self.move_on();
        }
        can
    }

    /// Asks once more from another address, if that is wanted.
    pub(crate) fn move_on(&mut self) {
        if self.retry_at.take().is_some() {
            self.subscribe();
        } else if self.is_wanted && self.is_live {
            self.out.push_back(SubscribingDo::Renew);
        }
    }

    /// It shall not be any more; false if that was said before (SUB-04).
    pub(crate) fn unsubscribe(&mut self) -> bool {
        if !std::mem::take(&mut self.is_wanted) {
            return false;
        }
        self.tell(SubscriptionEvent::WillEnd);
        match self.is_live {
            true => self.out.push_back(SubscribingDo::Unsubscribe),
            false => self.end(),
        }
        true
    }

    /// Something became of what subscribes for it.
    pub(crate) fn handle_event(&mut self, now: Instant, event: sip::SubscriptionEvent) {
        match event {
            sip::SubscriptionEvent::StateChanged {
                prev,
                state,
                text,
                code,
                reason,
            } => {
                self.state = state;
                self.tell(SubscriptionEvent::ChangedState {
                    prev_state: prev,
                    state,
                    text,
                    code: code.map(Status::code),
                    reason,
                });
                let begins = matches!(prev, State::Null | State::Sent);
                if begins && !matches!(state, State::Sent | State::Terminated) {
                    self.tell(SubscriptionEvent::DidSucceed);
                }
                if matches!(state, State::Pending | State::Active | State::Other) {
                    self.backoff.succeed();
                }
            }
            sip::SubscriptionEvent::GotNotify { content, .. } => {
                self.tell(SubscriptionEvent::GotNotify { content });
            }
            sip::SubscriptionEvent::RefreshFailed {
                code,
                reason,
                headers,
            } => self.tell(SubscriptionEvent::RefreshDidFail {
                code: code.code(),
                reason,
                hints: Hints::of(&headers),
            }),
            sip::SubscriptionEvent::Ended {
                cause,
                code,
                reason,
                retry,
                headers,
            } => {
                let hints = Hints::of(&headers);
                self.ended(now, &cause, (code, reason), retry, hints);
            }
            // Forks are told when they are made.
            _ => {}
        }
    }

    fn ended(
        &mut self,
        now: Instant,
        cause: &SubscriptionEnd,
        (code, reason): (Option<Status>, Option<String>),
        retry: Retry,
        hints: Option<Box<Hints>>,
    ) {
        self.is_live = false;
        if !self.is_wanted || *cause == SubscriptionEnd::Unsubscribed {
            return self.end();
        }
        let refused = code.filter(|_| *cause == SubscriptionEnd::Refused);
        let wait = match self.is_kept {
            true => self.wait(now, refused, retry),
            false => None,
        };
        self.tell(SubscriptionEvent::DidFail {
            error: cause.to_string(),
            code: code.map(Status::code),
            reason,
            is_authentication: matches!(
                refused,
                Some(Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED)
            ),
            retry_after: wait.as_ref().map(Duration::as_secs_f64),
            hints,
        });
        match wait {
            Some(Duration::ZERO) => {
                self.asked_at = Some(now);
                self.subscribe();
            }
            Some(wait) => self.retry_at = now.checked_add(wait),
            None => self.out.push_back(SubscribingDo::Forget),
        }
    }

    /// When it is asked for again: as ACC-39 says for a refusal that it names, else as the peer and the
    /// RFC say; `None` if the answer would be the same.
    fn wait(&mut self, now: Instant, refused: Option<Status>, retry: Retry) -> Option<Duration> {
        let asked = match retry {
            Retry::After(seconds) => Some(Duration::from_secs(seconds.into())),
            _ => None,
        };
        if let Some(wait) = refused.and_then(|code| named(code, &mut self.rng)) {
            return Some(wait.max(asked.unwrap_or_default()));
        }
        match retry {
            Retry::Never => None,
            Retry::After(seconds) if seconds > 0 => asked,
            Retry::Now | Retry::After(_) => Some(self.at_once(now)),
            // Later.
            _ => Some(self.backoff.fail(&mut self.rng, None)),
        }
    }

    /// At once, but not again and again: a notifier that always says so must not be asked without end.
    fn at_once(&mut self, now: Instant) -> Duration {
        let stood = self.asked_at.map(|at| now.saturating_duration_since(at));
        match stood.is_none_or(|stood| stood >= CALM) {
            true => Duration::ZERO,
            false => self.backoff.fail(&mut self.rng, None),
        }
    }

    /// It cannot be asked for any more.
    pub(crate) fn give_up(&mut self, error: String) {
        self.is_live = false;
        self.tell(SubscriptionEvent::DidFail {
            error,
            code: None,
            reason: None,
            is_authentication: false,
            retry_after: None,
            hints: None,
        });
        self.out.push_back(SubscribingDo::Forget);
    }

    fn subscribe(&mut self) {
        self.is_live = true;
        self.state = State::Null;
        self.out.push_back(SubscribingDo::Subscribe);
    }

    fn end(&mut self) {
        self.retry_at = None;
        self.tell(SubscriptionEvent::DidEnd);
        self.out.push_back(SubscribingDo::Forget);
    }

    fn tell(&mut self, event: SubscriptionEvent) {
        self.out.push_back(SubscribingDo::Tell(event));
    }

    pub(crate) fn poll_output(&mut self) -> Option<SubscribingDo> {
        self.out.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        self.retry_at
            .map(|at| Deadline::new(at, "next subscription"))
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.retry_at.take_if(|at| *at <= now).is_some() {
            self.asked_at = Some(now);
            self.subscribe();
        }
    }
}

/// How long a subscription that was asked for anew must have stood before it is asked for at once again.
const CALM: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use sip::Headers;

    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin")]
    fn now() -> Instant {
        Instant::now()
    }

    fn ended(cause: SubscriptionEnd, code: Option<u16>, retry: Retry) -> sip::SubscriptionEvent {
        let code = code.and_then(Status::new);
        sip::SubscriptionEvent::Ended {
            cause,
            code,
            reason: code.map(|code| code.phrase().to_owned()),
            retry,
            headers: Headers::new(),
        }
    }

    fn subscribing() -> Subscribing {
        Subscribing::new(true, &mut Rng::from_seed([4; 32]))
    }

    /// After how many seconds it is asked for again; `None` if it is not.
    fn told(subscribing: &mut Subscribing) -> Option<f64> {
        let mut after = None;
        let mut is_over = false;
        while let Some(wanted) = subscribing.poll_output() {
            match wanted {
                SubscribingDo::Tell(SubscriptionEvent::DidFail { retry_after, .. }) => {
                    after = retry_after;
                }
                SubscribingDo::Forget => is_over = true,
                _ => {}
            }
        }
        assert_eq!(after.is_none(), is_over);
        after
    }

    /// RFC 6665, 4.1.3, by the words of the notifier: each with its consequence.
    #[test]
    fn acc_39_each_reason_has_its_consequence() {
        let terminated = |reason: &str, seconds| {
            let mut subscribing = subscribing();
            let retry = Retry::of_reason(Some(reason), seconds);
            let cause = SubscriptionEnd::Terminated(Some(reason.to_owned()));
            subscribing.handle_event(now(), ended(cause, None, retry));
            told(&mut subscribing)
        };
        for reason in ["deactivated", "timeout"] {
            assert_eq!(terminated(reason, Some(99)), Some(0.0), "{reason}");
        }
        for reason in ["probation", "giveup", "of-its-own"] {
            assert_eq!(terminated(reason, Some(99)), Some(99.0), "{reason}");
            let later = terminated(reason, None).unwrap();
            assert!((15.0..=30.0).contains(&later), "{reason}: {later}");
        }
        for reason in ["rejected", "noresource", "invariant"] {
            assert_eq!(terminated(reason, Some(99)), None, "{reason}");
        }
    }

    /// ACC-39, by the code of a refusal.
    #[test]
    fn acc_39_each_refusal_has_its_consequence() {
        let refused = |code, seconds| {
            let mut subscribing = subscribing();
            let retry = Retry::of_status(Status::new(code).unwrap(), seconds);
            let event = ended(SubscriptionEnd::Refused, Some(code), retry);
            subscribing.handle_event(now(), event);
            told(&mut subscribing)
        };
        for code in [401, 407, 423] {
            let wait = refused(code, None).unwrap();
            assert!((60.0..=120.0).contains(&wait), "{code}: {wait}");
            assert_eq!(refused(code, Some(500)), Some(500.0), "{code}");
        }
        for code in [405, 406, 489] {
            assert_eq!(refused(code, None), Some(3_600.0), "{code}");
        }
        for code in [403, 404, 603] {
            assert_eq!(refused(code, None), None, "{code}");
        }
        assert_eq!(refused(481, None), Some(0.0));
        assert_eq!(refused(503, Some(7)), Some(7.0));
        assert!((15.0..=30.0).contains(&refused(500, None).unwrap()));
    }

    /// A notifier that wants to be asked anew at once, always, is so once in a while only.
    #[test]
    fn who_is_always_deactivated_is_no_storm() {
        let mut subscribing = subscribing();
        let mut now = now();
        let mut waits = Vec::new();
        for _ in 0..4 {
            let cause = SubscriptionEnd::Terminated(Some("deactivated".to_owned()));
            subscribing.handle_event(now, ended(cause, None, Retry::Now));
            let wait = told(&mut subscribing).unwrap();
            waits.push(wait);
            now += Duration::from_secs_f64(wait) + Duration::from_secs(1);
            subscribing.handle_timeout(now);
        }
        assert_eq!(waits[0], 0.0);
        assert!(waits[1..].iter().all(|wait| *wait >= 15.0), "{waits:?}");
        // Who has stood for a while is asked at once.
        now += CALM;
        let cause = SubscriptionEnd::Expired;
        subscribing.handle_event(now, ended(cause, None, Retry::Now));
        assert_eq!(told(&mut subscribing), Some(0.0));
    }

    /// SUB-04, SUB-05: ended once, wherever it is.
    #[test]
    fn sub_04_05_ended_once_and_not_asked_again() {
        let mut waiting = subscribing();
        let event = ended(SubscriptionEnd::Timeout, Some(408), Retry::Later);
        waiting.handle_event(now(), event);
        assert!(told(&mut waiting).is_some());
        assert!(waiting.poll_timeout().is_some());
        assert!(waiting.unsubscribe() && !waiting.unsubscribe());
        assert_eq!(told(&mut waiting), None);
        assert!(waiting.poll_timeout().is_none());
        assert!(!waiting.renew());
        // What failed while it was being ended is ended.
        let mut leaving = subscribing();
        assert!(!leaving.renew(), "no answer yet");
        leaving.unsubscribe();
        let event = ended(SubscriptionEnd::Timeout, Some(408), Retry::Later);
        leaving.handle_event(now(), event);
        assert_eq!(told(&mut leaving), None);
    }
}
