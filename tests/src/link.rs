//! What happens to packets between two hosts: delay, loss, doubling, reordering, rate.

use base::Rng;
use std::time::{Duration, Instant};

use crate::trace::Fate;

/// How packets travel from one host to another; the other direction has a path of its own.
#[derive(Clone, PartialEq, Debug)]
pub struct Path {
    /// The time that every packet takes.
    pub latency: Duration,
    /// Up to this much more, drawn for each packet: packets overtake each other.
    pub jitter: Duration,
    /// How packets are lost.
    pub loss: Loss,
    /// The share of packets that arrive twice, `0.0..=1.0`.
    pub duplicate: f64,
    /// The share of packets that are held back by [`reorder_delay`](Self::reorder_delay), `0.0..=1.0`.
    pub reorder: f64,
    /// For how long they are held back.
    pub reorder_delay: Duration,
    /// The largest IP packet in bytes; larger datagrams travel in fragments, each of which can be lost.
    pub mtu: usize,
    /// True if fragments are thrown away, as many middleboxes do: large datagrams vanish.
    pub drop_fragments: bool,
    /// Bytes a second; `None` for no limit.
    pub rate: Option<u64>,
    /// How many bytes may wait for the rate before the tail is dropped.
    pub queue: usize,
    /// True if ICMP errors come back.
    pub icmp: bool,
}

/// How packets are lost.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Loss {
    /// Not at all.
    None,
    /// Each with this probability, independently.
    Random(f64),
    /// In bursts (Gilbert–Elliott): a good and a bad state, changed before each packet.
    Burst {
        /// The probability to go from good to bad.
        to_bad: f64,
        /// The probability to go from bad to good.
        to_good: f64,
        /// The loss in the good state.
        good: f64,
        /// The loss in the bad state.
        bad: f64,
    },
}

impl Loss {
    /// The share that is lost in the long run.
    pub fn mean(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Random(probability) => probability,
            Self::Burst {
                to_bad,
                to_good,
                good,
                bad,
            } => {
                let in_bad = to_bad / (to_bad + to_good);
                bad * in_bad + good * (1.0 - in_bad)
            }
        }
    }
}

impl Path {
    /// One millisecond, nothing lost.
    pub const fn ideal() -> Self {
        Self {
            latency: Duration::from_millis(1),
            jitter: Duration::ZERO,
            loss: Loss::None,
            duplicate: 0.0,
            reorder: 0.0,
            reorder_delay: Duration::from_millis(30),
            mtu: 1500,
            drop_fragments: false,
            rate: None,
            queue: 256 * 1024,
            icmp: true,
        }
    }

    /// A usual way through the Internet: 20 ms with 5 ms of jitter, and `loss` of the packets lost.
    pub const fn lossy(loss: f64) -> Self {
        Self {
            latency: Duration::from_millis(20),
            jitter: Duration::from_millis(5),
            loss: Loss::Random(loss),
            ..Self::ideal()
        }
    }
}

/// A path in use.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) path: Path,
    /// Cut by a fault: nothing passes.
    pub(crate) cut: bool,
    bad: bool,
    busy_until: Option<Instant>,
    rng: Rng,
}

impl Link {
    pub(crate) fn new(path: Path, rng: Rng) -> Self {
        Self {
            path,
            cut: false,
            bad: false,
            busy_until: None,
            rng,
        }
    }

    /// Decides what happens to a datagram of `len` bytes of payload: one fate for each copy.
    pub(crate) fn send(&mut self, now: Instant, len: usize) -> (Fate, Option<Fate>) {
        if self.cut {
            return (Fate::Cut, None);
        }
        let fragments = (len + UDP_AND_IP).div_ceil(self.path.mtu).max(1);
        if fragments > 1 && self.path.drop_fragments {
            return (Fate::Fragment, None);
        }
        let Some(queued) = self.queue(now, len) else {
            return (Fate::QueueFull, None);
        };
        // Every fragment must arrive; the draws happen in any case, so that one packet's size does
        // not decide how many numbers the next one gets to see.
        let lost = (0..fragments).fold(false, |lost, _| self.lose() | lost);
        let first = if lost {
            Fate::Lost
        } else {
            Fate::Arrives(queued + self.delay())
        };
        let second = self
            .chance(self.path.duplicate)
            .then(|| Fate::Arrives(queued + self.delay()));
        (first, second)
    }

    /// How long a flight of a byte stream takes: a lost one is sent again by the kernel, later and
    /// later. Into how many pieces it is cut does not matter: the kernel packs them together again.
    pub(crate) fn segment_delay(&mut self, now: Instant, len: usize) -> Duration {
        let mut delay = self.queue(now, len).unwrap_or(TCP_QUEUE_DELAY) + self.path.latency;
        delay += self.path.jitter.mul_f64(self.rng.unit());
        let mut timeout = RETRANSMISSION;
        for _ in 0..MAX_RETRANSMISSIONS {
            if !self.lose() {
                break;
            }
            delay += timeout;
            timeout *= 2;
        }
        delay
    }

    /// True if a packet without a body (a SYN, an ICMP error) is lost.
    pub(crate) fn lose(&mut self) -> bool {
        let probability = match self.path.loss {
            Loss::None => return false,
            Loss::Random(probability) => probability,
            Loss::Burst {
                to_bad,
                to_good,
                good,
                bad,
            } => {
                let change = if self.bad { to_good } else { to_bad };
                self.bad ^= self.chance(change);
                if self.bad { bad } else { good }
            }
        };
        self.chance(probability)
    }

    /// How long the link takes to get to a packet, `None` if the queue is full.
    fn queue(&mut self, now: Instant, len: usize) -> Option<Duration> {
        let Some(rate) = self.path.rate else {
            return Some(Duration::ZERO);
        };
        let rate = rate.max(1);
        let nanos = |bytes: u64| Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / rate);
        let start = self.busy_until.map_or(now, |until| until.max(now));
        if start.saturating_duration_since(now) > nanos(self.path.queue as u64) {
            return None;
        }
        let end = start + nanos((len + UDP_AND_IP) as u64);
        self.busy_until = Some(end);
        Some(end.saturating_duration_since(now))
    }

    fn delay(&mut self) -> Duration {
        let mut delay = self.path.latency;
        if !self.path.jitter.is_zero() {
            delay += self.path.jitter.mul_f64(self.rng.unit());
        }
        if self.chance(self.path.reorder) {
            delay += self.path.reorder_delay;
        }
        delay
    }

    fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.unit() < probability
    }
}

/// The headers of a UDP datagram over IPv4.
const UDP_AND_IP: usize = 28;
/// The first retransmission timeout of a connection: the minimum of Linux (RFC 6298 says 1 s).
pub(crate) const RETRANSMISSION: Duration = Duration::from_millis(200);
/// After this many losses of one flight, 12.6 s, it goes through: a connection that breaks is made by
/// a fault, not by chance.
const MAX_RETRANSMISSIONS: u32 = 6;
/// What a full queue costs a connection, whose kernel sends again.
const TCP_QUEUE_DELAY: Duration = Duration::from_millis(400);

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Instant {
        Instant::now()
    }

    fn share_lost(loss: Loss) -> f64 {
        let path = Path {
            loss,
            ..Path::ideal()
        };
        let mut link = Link::new(path, Rng::from_seed([5; 32]));
        let now = start();
        let lost = (0..20_000)
            .filter(|_| link.send(now, 100).0 == Fate::Lost)
            .count();
        lost as f64 / 20_000.0
    }

    #[test]
    fn loss_is_what_was_asked_for() {
        assert_eq!(share_lost(Loss::None), 0.0);
        assert!((share_lost(Loss::Random(0.35)) - 0.35).abs() < 0.02);
        // A quarter of the time in the bad state, of which four fifths are lost.
        let burst = share_lost(Loss::Burst {
            to_bad: 0.05,
            to_good: 0.15,
            good: 0.0,
            bad: 0.8,
        });
        assert!((burst - 0.2).abs() < 0.03, "{burst}");
    }

    #[test]
    fn rate_delays_and_then_drops_the_tail() {
        let path = Path {
            rate: Some(128_000),
            queue: 10_000,
            ..Path::ideal()
        };
        let mut link = Link::new(path, Rng::from_seed([6; 32]));
        let now = start();
        let fates: Vec<Fate> = (0..20).map(|_| link.send(now, 972).0).collect();
        // 1,000 bytes at 128 kB/s take 7.8125 ms each.
        assert_eq!(fates[0], Fate::Arrives(Duration::from_nanos(8_812_500)));
        assert_eq!(fates[3], Fate::Arrives(Duration::from_nanos(32_250_000)));
        assert_eq!(fates[19], Fate::QueueFull);
        let admitted = fates.iter().filter(|f| **f != Fate::QueueFull).count();
        assert_eq!(admitted, 11);
    }

    #[test]
    fn large_datagrams_are_fragments() {
        let path = Path {
            drop_fragments: true,
            ..Path::ideal()
        };
        let mut link = Link::new(path, Rng::from_seed([7; 32]));
        let now = start();
        assert_eq!(link.send(now, 1_473).0, Fate::Fragment);
        assert!(matches!(link.send(now, 1_472).0, Fate::Arrives(_)));
    }

    #[test]
    fn doubled_packets_have_two_fates() {
        let path = Path {
            duplicate: 1.0,
            jitter: Duration::from_millis(9),
            ..Path::ideal()
        };
        let mut link = Link::new(path, Rng::from_seed([8; 32]));
        let (first, second) = link.send(start(), 10);
        assert!(matches!(first, Fate::Arrives(_)));
        assert!(matches!(second, Some(Fate::Arrives(_))));
        assert_ne!(Some(first), second);
    }
}
