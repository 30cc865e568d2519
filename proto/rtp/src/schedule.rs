//! When to send RTCP (RFC 3550, 6.3 and A.7).

use base::Rng;
use std::time::{Duration, Instant};

/// The transmission schedule of one participant, in the RFC's own terms.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// Octets per second for the RTCP of the whole session.
    rtcp_bw: f64,
    avg_rtcp_size: f64,
    initial: bool,
    tp: Instant,
    tn: Instant,
    pmembers: u32,
}

/// How large the session is, ourselves included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Group {
    pub(crate) members: u32,
    pub(crate) senders: u32,
    pub(crate) we_sent: bool,
}

impl Schedule {
    /// Joins the session (6.3.2). `size` is the probable size of the first compound packet.
    pub(crate) fn new(now: Instant, rtcp_bw: f64, size: usize, rng: &mut Rng) -> Self {
        let mut schedule = Self {
            rtcp_bw: rtcp_bw.max(MIN_BANDWIDTH),
            avg_rtcp_size: (size + LOWER_LAYERS) as f64,
            initial: true,
            tp: now,
            tn: now,
            pmembers: 1,
        };
        schedule.tn = now
            + schedule.interval(
                Group {
                    members: 1,
                    senders: 0,
                    we_sent: false,
                },
                rng,
            );
        schedule
    }

    /// The next time to look whether it is time.
    pub(crate) const fn next(&self) -> Instant {
        self.tn
    }

    /// Expires the transmission timer (6.3.6): true if a packet is to be sent now, else the timer was
    /// reconsidered.
    pub(crate) fn expire(&mut self, now: Instant, group: Group, rng: &mut Rng) -> bool {
        let reconsidered = self.tp + self.interval(group, rng);
        self.pmembers = group.members;
        if reconsidered > now {
            self.tn = reconsidered;
            return false;
        }
        self.tp = now;
        // Drawn again: the first draw is conditioned on being small enough.
        self.tn = now + self.interval(group, rng);
        self.initial = false;
        true
    }

    /// Learns the size of a compound packet that was sent or received.
    pub(crate) fn observe(&mut self, size: usize) {
        self.avg_rtcp_size += ((size + LOWER_LAYERS) as f64 - self.avg_rtcp_size) / 16.0;
    }

    /// Brings the next report forward because the group became smaller, or because we began to send
    /// (reverse reconsideration, 6.3.4 and 6.3.8).
    pub(crate) fn reconsider(&mut self, now: Instant, members: u32) {
        if members >= self.pmembers {
            return;
        }
        let ratio = f64::from(members) / f64::from(self.pmembers);
        self.tn = now + self.tn.saturating_duration_since(now).mul_f64(ratio);
        // tp = tc - ratio (tc - tp), without going back from a moment.
        self.tp += now.saturating_duration_since(self.tp).mul_f64(1.0 - ratio);
        self.pmembers = members;
    }

    /// Begins to leave a large group (6.3.7): the schedule counts BYE packets from now on.
    pub(crate) fn leave(&mut self, now: Instant, size: usize, rng: &mut Rng) {
        let bandwidth = self.rtcp_bw;
        *self = Self::new(now, bandwidth, size, rng);
    }

    /// The deterministic interval of a receiver, by which silent members are timed out (6.3.5).
    pub(crate) fn receiver_interval(&self, group: Group) -> Duration {
        self.deterministic(
            Group {
                we_sent: false,
                ..group
            },
            T_MIN,
        )
    }

    /// The interval between two reports, as drawn for the timer (6.3.1).
    fn interval(&self, group: Group, rng: &mut Rng) -> Duration {
        let minimum = if self.initial { T_MIN / 2 } else { T_MIN };
        self.deterministic(group, minimum)
            .mul_f64((0.5 + rng.unit()) / COMPENSATION)
    }

    fn deterministic(&self, group: Group, minimum: Duration) -> Duration {
        let (members, senders) = (f64::from(group.members), f64::from(group.senders));
        let (n, bandwidth) = if senders > members * SENDER_FRACTION {
            (members, self.rtcp_bw)
        } else if group.we_sent {
            (senders, self.rtcp_bw * SENDER_FRACTION)
        } else {
            (members - senders, self.rtcp_bw * (1.0 - SENDER_FRACTION))
        };
        let seconds = self.avg_rtcp_size * n / bandwidth;
        minimum.max(Duration::try_from_secs_f64(seconds).unwrap_or(minimum))
    }
}

/// The least time between reports, Tmin of RFC 3550, 6.2.
pub(crate) const T_MIN: Duration = Duration::from_secs(5);
/// The share of the bandwidth that is kept for senders.
const SENDER_FRACTION: f64 = 0.25;
/// e - 3/2: reconsideration converges below the intended average.
const COMPENSATION: f64 = 1.218_28;
/// UDP and IPv4 headers count as well (RFC 3550, 6.2).
const LOWER_LAYERS: usize = 28;
/// Octets per second below which nothing could ever be reported.
const MIN_BANDWIDTH: f64 = 1.0;

#[cfg(test)]
mod tests {
    use super::*;
    use base::Rng;
    use proptest::prelude::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "an arbitrary origin for a virtual clock"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    const PAIR: Group = Group {
        members: 2,
        senders: 2,
        we_sent: true,
    };

    fn schedule(rng: &mut Rng) -> (Instant, Schedule) {
        let now = start();
        (now, Schedule::new(now, 500.0, 100, rng))
    }

    #[test]
    fn the_first_report_comes_after_half_the_minimum() {
        for seed in 0..100 {
            let mut rng = Rng::from_seed([seed; 32]);
            let (now, schedule) = schedule(&mut rng);
            let first = schedule.next() - now;
            assert!(
                first >= Duration::from_secs_f64(2.5 * 0.5 / COMPENSATION),
                "{first:?}"
            );
            assert!(
                first < Duration::from_secs_f64(2.5 * 1.5 / COMPENSATION),
                "{first:?}"
            );
        }
    }

    #[test]
    fn reports_average_five_seconds_and_keep_their_distance() {
        let mut rng = Rng::from_seed([1; 32]);
        let (now, mut schedule) = schedule(&mut rng);
        let mut sent: Vec<Instant> = Vec::new();
        while sent.len() < 2_000 {
            let tn = schedule.next();
            if schedule.expire(tn, PAIR, &mut rng) {
                sent.push(tn);
            }
        }
        let mean = (sent[1_999] - now).as_secs_f64() / 2_000.0;
        assert!((4.8..5.2).contains(&mean), "{mean}");
        let least = sent.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
        assert!(
            least >= Duration::from_secs_f64(5.0 * 0.5 / COMPENSATION),
            "{least:?}"
        );
    }

    #[test]
    fn a_large_group_shares_the_bandwidth() {
        let mut rng = Rng::from_seed([1; 32]);
        let (_, schedule) = schedule(&mut rng);
        let group = Group {
            members: 1_000,
            senders: 1,
            we_sent: false,
        };
        // 999 receivers of 128 octets share 375 octets a second.
        let receiver = schedule.receiver_interval(group).as_secs_f64();
        assert!(
            (receiver - 999.0 * 128.0 / 375.0).abs() < 1e-6,
            "{receiver}"
        );
        let sender = schedule.deterministic(
            Group {
                we_sent: true,
                ..group
            },
            T_MIN,
        );
        assert_eq!(sender, T_MIN);
        let all = schedule
            .deterministic(
                Group {
                    senders: 1_000,
                    ..group
                },
                T_MIN,
            )
            .as_secs_f64();
        assert!((all - 1_000.0 * 128.0 / 500.0).abs() < 1e-6, "{all}");
    }

    #[test]
    fn a_group_that_shrinks_reports_sooner() {
        let mut rng = Rng::from_seed([1; 32]);
        let (now, mut schedule) = schedule(&mut rng);
        let first = schedule.next();
        let large = Group {
            members: 100,
            senders: 1,
            we_sent: false,
        };
        while !schedule.expire(schedule.next(), large, &mut rng) {}
        let (tp, tn) = (schedule.tp, schedule.tn);
        assert!(tp >= first && tn > tp && first > now);
        let middle = tp + (tn - tp) / 2;
        schedule.reconsider(middle, 25);
        let near = |a: Instant, b: Instant| a.max(b) - a.min(b) < Duration::from_micros(1);
        assert!(near(schedule.tn, middle + (tn - middle) / 4));
        assert!(near(schedule.tp + (middle - tp) / 4, middle));
        // Growing changes nothing.
        let before = schedule.tn;
        schedule.reconsider(middle, 26);
        assert_eq!(schedule.tn, before);
    }

    proptest! {
        #[test]
        fn it_is_never_due_at_once_again(seed: [u8; 32], members in 1u32..5_000, senders in 0u32..5_000, we_sent: bool) {
            let mut rng = Rng::from_seed(seed);
            let (_, mut schedule) = schedule(&mut rng);
            let group = Group { members, senders: senders.min(members), we_sent };
            for _ in 0..20 {
                let tn = schedule.next();
                schedule.expire(tn, group, &mut rng);
                prop_assert!(schedule.next() > tn);
            }
        }
    }
}
