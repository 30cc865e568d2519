//! When to send an empty packet so that a NAT binding lives (RFC 6263, AUS-34).

use base::Deadline;
use std::time::{Duration, Instant};

/// The machine of a stream's keep-alive: an empty RTP packet at once and one after a second, then
/// every Tr, each only while nothing else was sent for as long.
///
/// *Feed* it [`handle_sent`](Self::handle_sent) with each RTP packet. *It says* by
/// [`poll_output`](Self::poll_output) that an empty packet with an agreed payload type is due. *Wake
/// it* at [`poll_timeout`](Self::poll_timeout), which may turn out to be early.
///
/// Where RTCP shares the port, or ICE checks consent, those keep the binding: whoever owns the machine does not
/// ask it then (RFC 6263, 4.3 and 5; RFC 7675, 5.1).
#[derive(Clone, Debug)]
pub struct KeepAlive {
    interval: Duration,
    /// How many of the packets at the start are still to come.
    first: u8,
    last_sent: Option<Instant>,
    next: Instant,
    due: bool,
}

impl KeepAlive {
    /// Starts with the first packet due at once; then `interval` is Tr, at least a second.
    pub fn new(now: Instant, interval: Duration) -> Self {
        Self {
            interval: interval.max(FIRST_GAP),
            first: FIRST,
            last_sent: None,
            next: now,
            due: false,
        }
    }

    /// Learns that an RTP packet went out.
    pub const fn handle_sent(&mut self, now: Instant) {
        self.last_sent = Some(now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout). Packets do not move it: the truth is
    /// looked at when it fires.
    pub const fn poll_timeout(&self) -> Option<Deadline> {
        Some(Deadline::new(self.next, "keep-alive"))
    }

    /// Looks whether nothing was sent for long enough.
    pub fn handle_timeout(&mut self, now: Instant) {
        if now < self.next {
            return;
        }
        let quiet = if self.first > 0 {
            FIRST_GAP
        } else {
            self.interval
        };
        let spoke = self
            .last_sent
            .filter(|&sent| now.saturating_duration_since(sent) < quiet);
        self.first = self.first.saturating_sub(1);
        let gap = if self.first > 0 {
            FIRST_GAP
        } else {
            self.interval
        };
        match spoke {
            Some(sent) => self.next = (sent + gap).max(now + MIN_STEP),
            None => {
                self.due = true;
                self.next = now + gap;
            }
        }
    }

    /// True once for each empty packet that is due.
    pub const fn poll_output(&mut self) -> bool {
        std::mem::replace(&mut self.due, false)
    }
}

impl KeepAlive {
    /// Tr of RFC 6263, 4 at its least.
    pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(15);
}

/// Packets at the start: the first may be lost, or come before the peer listens.
const FIRST: u8 = 2;
/// How far the packets at the start are apart.
const FIRST_GAP: Duration = Duration::from_secs(1);
/// A deadline lies in the future even when a packet was sent in this very moment.
const MIN_STEP: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs for `seconds`, sending speech where `speaks` says so every 20 ms; when packets came, in ms.
    #[expect(
        clippy::disallowed_methods,
        reason = "an arbitrary origin for a virtual clock"
    )]
    fn run(seconds: u64, speaks: impl Fn(u64) -> bool) -> Vec<u64> {
        let start = Instant::now();
        let mut machine = KeepAlive::new(start, KeepAlive::DEFAULT_INTERVAL);
        let mut sent = Vec::new();
        for ms in (0..=seconds * 1_000).step_by(20) {
            let now = start + Duration::from_millis(ms);
            if speaks(ms) {
                machine.handle_sent(now);
            }
            while machine.poll_timeout().unwrap().at <= now {
                machine.handle_timeout(now);
                if machine.poll_output() {
                    sent.push(ms);
                    machine.handle_sent(now);
                }
            }
        }
        sent
    }

    #[test]
    fn two_at_the_start_then_one_an_interval() {
        assert_eq!(run(40, |_| false), [0, 1_000, 16_000, 31_000]);
    }

    #[test]
    fn speech_needs_none() {
        assert_eq!(run(40, |_| true), [0; 0]);
    }

    #[test]
    fn silence_after_speech_needs_one_an_interval() {
        assert_eq!(run(40, |ms| ms <= 10_000), [25_000, 40_000]);
        assert_eq!(run(31, |ms| ms > 500 && ms < 10_000), [0, 24_980]);
    }

    #[test]
    fn an_interval_is_never_shorter_than_a_second() {
        #[expect(
            clippy::disallowed_methods,
            reason = "an arbitrary origin for a virtual clock"
        )]
        let now = Instant::now();
        let mut machine = KeepAlive::new(now, Duration::ZERO);
        for second in 0..3 {
            let now = now + Duration::from_secs(second);
            machine.handle_timeout(now);
            assert!(machine.poll_output());
            assert!(machine.poll_timeout().unwrap().at > now);
        }
    }
}
