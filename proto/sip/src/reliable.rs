//! Reliable provisional responses (RFC 3262): their numbers and their retransmission, for both sides.
//!
//! PRACK itself, and what it means to offer and answer, is the business of the call
//! ([`usage::invitation`](crate::usage::invitation)).

use crate::{
    HeaderName, Headers, Response, Status, answer::Answer, header::RSeq, transaction::Timers,
};
use base::Rng;
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Whether provisional responses are to be acknowledged (RFC 3262), both ways.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Reliability {
    /// Never: we do not say that we can, and refuse callers who insist (420).
    Off,
    /// Where it is of use: we say that we can. Those of our responses are reliable that carry a
    /// description to a caller who can, and all to a caller who insists.
    #[default]
    Supported,
    /// Always: we insist (Require: 100rel), and refuse callers who cannot (421).
    Required,
}

impl Reliability {
    /// True if responses to an INVITE with these headers can be made reliable.
    pub fn is_usable(self, headers: &Headers) -> bool {
        self != Self::Off && Demand::of(headers) >= Demand::Able
    }
}

/// What a peer says of 100rel in its INVITE.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Demand {
    Unable,
    Able,
    Insists,
}

impl Demand {
    pub(crate) fn of(headers: &Headers) -> Self {
        if headers.has_token(HeaderName::Require, OPTION) {
            Self::Insists
        } else if headers.has_token(HeaderName::Supported, OPTION) {
            Self::Able
        } else {
            Self::Unable
        }
    }
}

/// The number of a provisional response that wants PRACK; `None` if it wants none (RFC 3262, 4: 100
/// never does, and one without RSeq cannot be acknowledged).
pub(crate) fn number_of(response: &Response) -> Option<u32> {
    let is_reliable = response.status.is_provisional()
        && response.status != Status::TRYING
        && response.headers.has_token(HeaderName::Require, OPTION);
    let number = response.headers.typed::<RSeq>().filter(|_| is_reliable);
    Some(number?.ok()?.0)
}

/// The caller's side: the last response that came in its order, of one INVITE in one dialog.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Received {
    /// The CSeq number of the INVITE.
    invite: u32,
    last: u32,
}

impl Received {
    /// Takes a number. False for a repeated response, and for one that comes before its predecessor:
    /// neither is acknowledged or looked at (RFC 3262, 4).
    pub(crate) fn take(last: &mut Option<Self>, invite: u32, number: u32) -> bool {
        let is_next = match last {
            Some(known) if known.invite == invite => known.last.checked_add(1) == Some(number),
            // The first one says where counting begins.
            Some(_) | None => true,
        };
        if is_next {
            *last = Some(Self {
                invite,
                last: number,
            });
        }
        is_next
    }
}

/// The callee's side: the reliable provisional responses to one INVITE, one at a time.
#[derive(Debug)]
pub(crate) struct Outstanding {
    /// The number of the next one.
    next: u32,
    current: Option<Current>,
    /// Those that wait until `current` is acknowledged.
    waiting: VecDeque<Answer>,
}

/// The one that lacks its PRACK.
#[derive(Debug)]
struct Current {
    number: u32,
    answer: Answer,
    /// When it is sent again; `None` when a final response took its place.
    at: Option<Instant>,
    interval: Duration,
    until: Instant,
}

/// What [`Outstanding::handle_timeout`] wants.
#[derive(Debug)]
pub(crate) enum Due {
    /// Nothing.
    Nothing,
    /// This one sent again.
    Repeat(Box<Answer>),
    /// 64·T1 without PRACK: the INVITE refused (RFC 3262, 3).
    Missing,
}

impl Outstanding {
    /// Begins somewhere in the lower half of the numbers (RFC 3262, 3).
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self {
            next: 1 + rng.below((1 << 31) - 1),
            current: None,
            waiting: VecDeque::new(),
        }
    }

    /// True if one more response can be taken.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < MAX_WAITING
    }

    /// Takes a response to be sent reliably; returns it, numbered, if it goes at once. The others go
    /// one by one as they are acknowledged: RFC 3262, 3 demands it for the first and recommends it for
    /// all.
    pub(crate) fn push(&mut self, now: Instant, timers: &Timers, answer: Answer) -> Option<Answer> {
        if self.current.is_some() {
            self.waiting.push_back(answer);
            return None;
        }
        Some(self.start(now, timers, answer))
    }

    fn start(&mut self, now: Instant, timers: &Timers, answer: Answer) -> Answer {
        let number = self.next;
        // RFC 3262, 3: there is room for 2³¹ of them.
        self.next = self.next.saturating_add(1);
        let answer = answer
            .with_header(HeaderName::Require, OPTION)
            .with_header(HeaderName::RSeq, RSeq(number));
        self.current = Some(Current {
            number,
            answer: answer.clone(),
            at: Some(now + timers.t1),
            interval: timers.t1.saturating_mul(2),
            until: now + timers.timer_h,
        });
        answer
    }

    /// A PRACK names a response: says whether that one had a description; `None` if no such response is
    /// unacknowledged.
    pub(crate) fn acknowledge(&mut self, number: u32) -> Option<bool> {
        let current = self.current.take_if(|current| current.number == number)?;
        Some(current.answer.description.is_some())
    }

    /// The number of the response that lacks its PRACK.
    pub(crate) fn unacknowledged(&self) -> Option<u32> {
        self.current.as_ref().map(|current| current.number)
    }

    /// Starts the next one that waits, if none is unacknowledged.
    pub(crate) fn advance(&mut self, now: Instant, timers: &Timers) -> Option<Answer> {
        if self.current.is_some() {
            return None;
        }
        let answer = self.waiting.pop_front()?;
        Some(self.start(now, timers, answer))
    }

    /// True while a 2xx has to wait: a description is not acknowledged (RFC 3262, 3).
    pub(crate) fn holds_success(&self) -> bool {
        let current = self.current.iter().map(|current| &current.answer);
        current
            .chain(&self.waiting)
            .any(|answer| answer.description.is_some())
    }

    /// A 2xx is to follow: what need not go before it does not.
    pub(crate) fn drop_plain(&mut self) {
        self.waiting.retain(|answer| answer.description.is_some());
    }

    /// A final response goes: nothing is repeated or begun any more, but the PRACK may still come.
    pub(crate) fn stop(&mut self) {
        self.waiting.clear();
        if let Some(current) = &mut self.current {
            current.at = None;
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let current = self.current.as_ref()?;
        current.at.map(|at| at.min(current.until))
    }

    /// Repeats from T1 on, each time after twice as long, without the cap that other messages have.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Due {
        let Some(current) = &mut self.current else {
            return Due::Nothing;
        };
        let Some(at) = current.at else {
            return Due::Nothing;
        };
        if current.until <= now {
            current.at = None;
            return Due::Missing;
        }
        if at > now {
            return Due::Nothing;
        }
        current.at = Some(now + current.interval);
        current.interval = current.interval.saturating_mul(2);
        Due::Repeat(Box::new(current.answer.clone()))
    }
}

/// RFC 3262, 8.1.
pub(crate) const OPTION: &str = "100rel";
/// Provisional responses that wait for the PRACK of an earlier one: progress comes in steps of seconds.
const MAX_WAITING: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_takes_numbers_in_order() {
        let mut last = None;
        assert!(Received::take(&mut last, 1, 7));
        // Repeated; a gap; then in order.
        assert!(!Received::take(&mut last, 1, 7));
        assert!(!Received::take(&mut last, 1, 9));
        assert!(Received::take(&mut last, 1, 8));
        // A new INVITE begins anew.
        assert!(Received::take(&mut last, 2, u32::MAX));
        assert!(!Received::take(&mut last, 2, 0));
    }

    #[test]
    fn first_numbers_are_of_the_lower_half() {
        let mut rng = Rng::from_seed([1; 32]);
        for _ in 0..1_000 {
            let first = Outstanding::new(&mut rng).next;
            assert!((1..1 << 31).contains(&first));
        }
    }
}
