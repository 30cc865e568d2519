//! How long the packets of a source take, compared with each other, and the delay that suits them.

use super::JitterConfig;
use crate::Frame;
use std::time::{Duration, Instant};

/// Brings the speaker's clock onto ours, and chooses how late speech is played.
///
/// *Media time* is when a frame was spoken, in microseconds of our clock, but for a constant: the
/// delay of the network. *Transit* is what a packet took beyond that constant. A frame is due at its
/// media time and the [`target`](Self::target), a transit that few packets exceed.
///
/// Transits are counted in a histogram that forgets; the target is where waiting longer costs more
/// than it saves. Nothing has to be known of the clocks: one that runs slower or faster moves the
/// histogram, and so does another route.
#[derive(Clone, Debug)]
pub(super) struct Delay {
    clock_rate: u32,
    /// Least and most that the target may be above the fastest packet, in microseconds.
    least: i64,
    most: i64,
    /// Where our clock begins.
    epoch: Option<Instant>,
    /// A timestamp and its media time; `None` until a packet of a new source tells.
    anchor: Option<(u32, i64)>,
    /// When a packet came last.
    last: i64,
    /// Packets beyond the histogram in a row, and the transit of the first of them.
    beyond: (u32, i64),
    weights: [u32; BUCKETS],
    /// The bucket of `weights[0]`, counted from transit zero.
    lowest: i64,
    total: u64,
    /// Packets since the last forgetting.
    fresh: u32,
    target: i64,
}

impl Delay {
    pub(super) fn new(config: &JitterConfig) -> Self {
        let depth = micros(config.depth);
        let mut weights = [0; BUCKETS];
        // What is expected before anything is known.
        let expected = (depth / BUCKET - 1).clamp(0, BUCKETS as i64 - 1);
        weights[expected as usize] = PRIOR;
        let mut delay = Self {
            clock_rate: config.clock_rate.max(1),
            least: micros(config.least),
            most: micros(config.limit).max(micros(config.least)),
            epoch: None,
            anchor: None,
            last: 0,
            beyond: (0, 0),
            weights,
            lowest: 0,
            total: u64::from(PRIOR),
            fresh: 0,
            target: 0,
        };
        delay.choose();
        delay
    }

    /// A time on our clock. Times before the first packet count as its.
    pub(super) fn micros(&self, time: Instant) -> i64 {
        self.epoch
            .map_or(0, |epoch| micros(time.saturating_duration_since(epoch)))
    }

    /// The media time of a frame; it tells of the network if it has something to play.
    pub(super) fn place(&mut self, frame: &Frame, tells: bool) -> i64 {
        self.epoch.get_or_insert(frame.arrived);
        let arrived = self.micros(frame.arrived);
        let fastest = arrived - self.lowest * BUCKET;
        if !tells {
            // Events have the timestamp of their beginning: the arrival says more.
            return fastest;
        }
        let media = match self.media(frame.timestamp) {
            Some(media) if !self.is_jump(arrived, arrived - media) => media,
            Some(_) | None => {
                self.beyond = (0, 0);
                self.anchor = Some((frame.timestamp, fastest));
                fastest
            }
        };
        self.last = arrived;
        self.count((arrived - media).div_euclid(BUCKET));
        self.choose();
        media
    }

    /// The transit that is still in time: a frame is due at its media time and this.
    pub(super) const fn target(&self) -> i64 {
        self.target
    }

    /// The target above what the fastest packets take.
    pub(super) fn depth(&self) -> Duration {
        Duration::from_micros((self.target - self.lowest * BUCKET).max(0) as u64)
    }

    /// Learns that another source is followed: its timestamps have nothing to do with those before,
    /// but it takes the same network.
    pub(super) const fn renew(&mut self) {
        self.anchor = None;
    }

    /// Units of the clock in microseconds.
    pub(super) fn length(&self, units: u32) -> i64 {
        i64::from(units) * SECOND / i64::from(self.clock_rate)
    }

    /// Microseconds in units of the clock.
    pub(super) fn units(&self, length: i64) -> u32 {
        let units = length.max(0).saturating_mul(i64::from(self.clock_rate)) / SECOND;
        u32::try_from(units).unwrap_or(u32::MAX)
    }

    fn media(&mut self, timestamp: u32) -> Option<i64> {
        let (anchor, at) = self.anchor?;
        let ahead = timestamp.wrapping_sub(anchor) as i32;
        let media = at + i64::from(ahead) * SECOND / i64::from(self.clock_rate);
        // Moved along in whole seconds, which are exact.
        let seconds = ahead / self.clock_rate.min(i32::MAX as u32) as i32;
        if seconds > 0 {
            let moved = (seconds as u32).wrapping_mul(self.clock_rate);
            self.anchor = Some((anchor.wrapping_add(moved), at + i64::from(seconds) * SECOND));
        }
        Some(media)
    }

    /// True if the speaker's clock jumped: packets are far too early, or so late that the network
    /// cannot be it.
    fn is_jump(&mut self, arrived: i64, transit: i64) -> bool {
        let above = transit - self.lowest * BUCKET;
        let window = BUCKETS as i64 * BUCKET;
        if above < window {
            self.beyond = (0, 0);
            return above <= -window;
        }
        // The network delivers late what it held back, and was silent for as long.
        if self.beyond.0 == 0 && above > arrived - self.last + window / 2 {
            return true;
        }
        // Held back, packets come at once, each less late than the one before. After a pause of a
        // speaker whose clock stood still they all stay as late as the first.
        if self.beyond.0 == 0 {
            self.beyond.1 = transit;
        }
        self.beyond.0 += 1;
        self.beyond.0 >= PERSISTENT && transit >= self.beyond.1 - BUCKET
    }

    fn count(&mut self, bucket: i64) {
        if bucket < self.lowest {
            // Faster than any before. What falls off at the top stays at the very top.
            let by = (self.lowest - bucket).min(BUCKETS as i64 - 1) as usize;
            let off: u32 = self.weights[BUCKETS - by..].iter().sum();
            self.weights.copy_within(..BUCKETS - by, by);
            self.weights[..by].fill(0);
            self.weights[BUCKETS - 1] += off;
            self.lowest = bucket;
        }
        let at = (bucket - self.lowest).clamp(0, BUCKETS as i64 - 1) as usize;
        self.weights[at] += WEIGHT;
        self.total += u64::from(WEIGHT);
        self.fresh += 1;
        if self.fresh == FORGET {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.fresh = 0;
        let mut total = 0;
        for weight in &mut self.weights {
            *weight -= weight.div_ceil(8);
            total += u64::from(*weight);
        }
        self.total = total;
        let empty = self
            .weights
            .iter()
            .take_while(|weight| **weight == 0)
            .count();
        self.weights.rotate_left(empty % BUCKETS);
        self.lowest += (empty % BUCKETS) as i64;
    }

    /// Finds the transit at which waiting longer costs as much as it saves.
    fn choose(&mut self) {
        // In buckets, for all packets together: the price is a whole number of them.
        let (mut wait, mut cost) = (0, self.total * PRICE);
        let (mut best, mut chosen) = (u64::MAX, 0);
        for (end, &weight) in (1..).zip(&self.weights) {
            wait += self.total;
            if wait >= best {
                break;
            }
            // No more are late than there are: it stays above `wait`.
            cost = cost + self.total - u64::from(weight) * PRICE;
            if cost < best {
                (best, chosen) = (cost, end);
            }
        }
        let depth = (chosen * BUCKET).clamp(self.least, self.most);
        self.target = self.lowest * BUCKET + depth;
    }
}

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros())
        .unwrap_or(i64::MAX / 4)
        .min(i64::MAX / 4)
}

const SECOND: i64 = 1_000_000;
/// What one bucket of the histogram spans, in microseconds.
const BUCKET: i64 = 5_000;
/// 640 ms of them; beyond it speech is no conversation.
const BUCKETS: usize = 128;
/// How many buckets of delay it is worth that no packet is late: 20 ms for one packet in a hundred.
const PRICE: u64 = 2_000_000 / BUCKET as u64;
/// What a packet weighs when it comes, …
const WEIGHT: u32 = 256;
/// … and after how many packets all weigh an eighth less: half is forgotten in about 90 packets.
const FORGET: u32 = 16;
/// What the configured depth weighs at the beginning: half a packet, so that half a second tells more.
const PRIOR: u32 = WEIGHT / 2;
/// Packets that are all as late as the first of them: the speaker's clock stood still.
const PERSISTENT: u32 = 3;
