//! Keeping alive what a peer holds for a limited time only: registrations, publications,
//! subscriptions and sessions (RFC 3261, 10.2.4; 3903, 4.1; 6665, 4.1.2.2; 4028, 10; BUG-11).
//!
//! | state   | input            | next    | what happens |
//! |---------|------------------|---------|--------------|
//! | Idle    | Grant            | Held    | the refresh is planned |
//! | Held    | Grant            | Held    | the refresh is planned anew |
//! | Held    | RefreshTime      | Due     | [`Due::Refresh`] |
//! | Held    | ExpiryTime       | Idle    | [`Due::Expired`] |
//! | Held    | Clear            | Idle    | |
//! | Due     | Grant            | Held    | the refresh is planned |
//! | Due     | Fail             | Again   | a second try is planned, if it can end before the expiry |
//! | Due     | ExpiryTime       | Idle    | [`Due::Expired`] |
//! | Due     | Clear            | Idle    | |
//! | Again   | Grant            | Held    | the refresh is planned |
//! | Again   | RefreshTime      | Last    | [`Due::Refresh`] |
//! | Again   | ExpiryTime       | Idle    | [`Due::Expired`] |
//! | Again   | Clear            | Idle    | |
//! | Last    | Grant            | Held    | the refresh is planned |
//! | Last    | ExpiryTime       | Idle    | [`Due::Expired`] |
//! | Last    | Clear            | Idle    | |

use base::{Deadline, Rng, SeldomRng, earliest};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// The refresh shall be sent.
    Refresh,
    /// Nothing has refreshed it in time: the peer holds it no more.
    Expired,
}

/// The life of something that a peer holds, and when to renew it.
///
/// *What it is*: the timer that registrations, publications, subscriptions and session timers share.
/// *What to feed*: every life that the peer grants, and the refreshes that failed. *What it says*:
/// [`Due`], from [`handle_timeout`](Self::handle_timeout). *When to wake it*: at
/// [`poll_timeout`](Self::poll_timeout).
///
/// A life of 180 s and more is renewed 2·64·T1 + 5 s before its end, so that a transaction that fails
/// wholly and a second one fit in; a shorter one after its half. The moment comes up to 5 % earlier,
/// never later, so that what was granted together is not renewed together.
#[derive(Debug)]
pub struct Refresh {
    state: State,
    /// What was granted.
    life: Option<Duration>,
    refresh_at: Option<Instant>,
    expires_at: Option<Instant>,
    /// How long a request may lack its final response: 64·T1.
    give_up: Duration,
    rng: SeldomRng,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Nothing is held.
    Idle,
    /// The peer holds it.
    Held,
    /// The refresh was asked for.
    Due,
    /// A refresh failed, and there is time for one more.
    Again,
    /// The second refresh was asked for.
    Last,
}

impl Refresh {
    /// Begins with nothing to renew. `give_up` is how long a request may lack its final response
    /// (64·T1: timer F).
    pub fn new(give_up: Duration, rng: &mut Rng) -> Self {
        Self {
            state: State::Idle,
            life: None,
            refresh_at: None,
            expires_at: None,
            give_up,
            rng: rng.fork_seldom(),
        }
    }

    /// The peer holds it from `now` on for `life`, which starts anew. Nothing at all is over at once.
    pub fn grant(&mut self, now: Instant, life: Duration) {
        let life = life.min(MAX_LIFE);
        let wait = before_expiry(life, self.give_up);
        let wait = wait.mul_f64(1.0 - JITTER * self.rng.draw(Rng::unit));
        self.hold(life, Some(now + wait), now + life);
    }

    /// A session was agreed or refreshed for `interval` (RFC 4028, 10): the refresher renews it after its
    /// half; both give it up min(32 s, a third of it) before its end.
    ///
    /// `counts_from`, at most `now`: the earliest moment that the peer may count from, whose 2xx may have been on
    /// its way for long. The half is reckoned from there, so that the peer does not give up before it; an eighth
    /// remains in any case.
    pub fn grant_session(
        &mut self,
        now: Instant,
        counts_from: Instant,
        interval: Duration,
        is_refresher: bool,
    ) {
        let interval = interval.min(MAX_LIFE);
        let refresh_at = is_refresher.then(|| (counts_from + interval / 2).max(now + interval / 8));
        let margin = (interval / 3).min(SESSION_MARGIN);
        self.hold(interval, refresh_at, now + (interval - margin));
    }

    fn hold(&mut self, life: Duration, refresh_at: Option<Instant>, expires_at: Instant) {
        self.state = State::Held;
        self.life = Some(life);
        self.refresh_at = refresh_at;
        self.expires_at = Some(expires_at);
    }

    /// A refresh failed without the peer having said that it holds it no more (silence, a broken way,
    /// 5xx): plans a second try, not before `retry_after`.
    ///
    /// False if this was the second one, or a further one could not end before the expiry. Then nothing
    /// has changed: [`clear`](Self::clear) gives up.
    pub fn fail(&mut self, now: Instant, retry_after: Option<Duration>) -> bool {
        let Some(expires_at) = self.expires_at.filter(|_| self.state == State::Due) else {
            return false;
        };
        // RFC 3261, 10.2.7: not at once.
        let pause = PAUSE.mul_f64(0.5 + 0.5 * self.rng.draw(Rng::unit));
        let again = now + pause.max(retry_after.unwrap_or_default().min(MAX_LIFE));
        if again + self.give_up > expires_at {
            return false;
        }
        self.state = State::Again;
        self.refresh_at = Some(again);
        true
    }

    /// Renews it at `at` if nothing earlier is planned: the way to the peer is gone, or has changed.
    pub fn hurry(&mut self, at: Instant) {
        if self.state == State::Held {
            self.refresh_at = Some(self.refresh_at.map_or(at, |planned| planned.min(at)));
        }
    }

    /// It is held no more.
    pub fn clear(&mut self) {
        self.state = State::Idle;
        self.life = None;
        self.refresh_at = None;
        self.expires_at = None;
    }

    /// What was granted last; `None` while nothing is held.
    pub const fn life(&self) -> Option<Duration> {
        self.life
    }

    /// When it ends if nothing renews it.
    pub const fn expires_at(&self) -> Option<Instant> {
        self.expires_at
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Deadline> {
        earliest([
            (self.refresh_at, "refresh"),
            (self.expires_at, "expiry of what is refreshed"),
        ])
    }

    /// Says what is due; after a long sleep only that it is over.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Due> {
        if self.expires_at.is_some_and(|at| at <= now) {
            self.clear();
            return Some(Due::Expired);
        }
        self.refresh_at.take_if(|at| *at <= now)?;
        self.state = match self.state {
            State::Again => State::Last,
            State::Idle | State::Held | State::Due | State::Last => State::Due,
        };
        Some(Due::Refresh)
    }
}

/// How long to wait before something that failed as a whole is begun anew (RFC 5626, 4.5): a registrar
/// that comes back must not be met by everybody at once.
///
/// The first wait is up to 30 s, and its upper bound doubles with every failure up to 1,800 s; each is
/// drawn between the half of its bound and the whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Begins without a failure.
    pub const fn new() -> Self {
        Self { failures: 0 }
    }

    /// It worked.
    pub const fn succeed(&mut self) {
        self.failures = 0;
    }

    /// It failed: how long to wait, not less than the peer asked for.
    pub fn fail(&mut self, rng: &mut Rng, retry_after: Option<Duration>) -> Duration {
        let doubled = BASE_TIME.saturating_mul(1 << self.failures.min(MAX_DOUBLINGS));
        self.failures = self.failures.saturating_add(1);
        let bound = doubled.min(MAX_TIME);
        let wait = bound.mul_f64(0.5 + 0.5 * rng.unit());
        wait.max(retry_after.unwrap_or_default().min(MAX_LIFE))
    }

    /// How often it failed since it worked.
    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

/// How long after its grant a life is renewed.
fn before_expiry(life: Duration, give_up: Duration) -> Duration {
    let half = life / 2;
    if life < LONG_LIFE {
        return half;
    }
    let margin = give_up.saturating_mul(2).saturating_add(MARGIN);
    // With timers that are longer than those of the RFC the margin may be more than there is.
    life.saturating_sub(margin).max(half)
}

/// A life that holds two whole transactions.
const LONG_LIFE: Duration = Duration::from_secs(180);
/// What remains beside two whole transactions, for the pause between them.
const MARGIN: Duration = Duration::from_secs(5);
/// Between a refresh that failed and the second one; part of the margin.
const PAUSE: Duration = Duration::from_secs(4);
/// How much earlier a refresh may come, as a part of the wait.
const JITTER: f64 = 0.05;
/// RFC 4028, 10.
const SESSION_MARGIN: Duration = Duration::from_secs(32);
/// What fits into an Expires header: 136 years.
const MAX_LIFE: Duration = Duration::from_secs(u32::MAX as u64);
/// RFC 5626, 4.5: `base-time` if all flows have failed.
const BASE_TIME: Duration = Duration::from_secs(30);
/// RFC 5626, 4.5: `max-time`.
const MAX_TIME: Duration = Duration::from_secs(1_800);
/// 30 s doubled so often is above 1,800 s.
const MAX_DOUBLINGS: u32 = 6;

#[cfg(test)]
mod tests;
