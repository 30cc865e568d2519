//! The jitter buffer: order, and a little delay, from what the network delivers.

mod splice;

use crate::{COMFORT_NOISE, Frame};
use serde::{Deserialize, Serialize};
use splice::{Line, Position};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The machine that decides what is played next, for one stream of speech.
///
/// *Feed* it each frame of a [`Session`](crate::Session) by [`push`](Self::push), placeholders
/// included, and ask by [`pull`](Self::pull) whenever the speech of the last answer is used up. It has
/// no timers: the one who plays is its clock.
///
/// Speech starts a fixed time after its first frame came ([`JitterConfig::depth`]) and goes on in
/// order of sequence numbers, whatever the length of the frames. A gap in the numbers is loss, to be
/// concealed; a gap in the timestamps alone is silence of the speaker, after which the delay is set
/// anew. When the sender turns out to be slower than us the buffer runs empty and the delay grows by
/// what is concealed; when it is faster, a frame is dropped now and then.
///
/// When another source speaks, or the same one starts its sequence anew, two packets in a row of it
/// make it the one that is played; the first of them is not lost. A second source that speaks at the
/// same time (RFC 8108) is not mixed: the first one stays.
#[derive(Clone, Debug)]
pub struct JitterBuffer {
    config: JitterConfig,
    /// By position, each once.
    queue: VecDeque<Entry>,
    line: Line,
    /// The position to play next; `None` until something was played.
    next: Option<u64>,
    /// The timestamp that it should have.
    next_timestamp: u32,
    state: State,
    /// When the first frame of what waits came, while nothing plays.
    since: Option<Instant>,
    /// What was concealed since the last frame that was played, in units of the clock.
    concealed: u32,
    /// How many of those stand for frames that had not come rather than for known losses.
    owed: u32,
    /// The last thing played, or skipped, was no speech: what follows is not concealed.
    quiet: bool,
    step: Step,
    surplus: Surplus,
    statistics: JitterStatistics,
}

/// How a jitter buffer works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct JitterConfig {
    /// The rate of the timestamps' clock, in Hz.
    pub clock_rate: u32,
    /// How long speech waits for late packets. The default, 60 ms, bears what a good wireless network does.
    pub depth: Duration,
    /// How much speech may wait at most before the oldest is dropped. The default is 240 ms.
    pub limit: Duration,
    /// How long a packet is until packets tell; the default is 20 ms (RFC 3551, 4.2).
    pub packet: Duration,
}

impl JitterConfig {
    /// Chooses the defaults for everything else.
    pub const fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate,
            depth: Duration::from_millis(60),
            limit: Duration::from_millis(240),
            packet: Duration::from_millis(20),
        }
    }

    fn units(&self, duration: Duration) -> u32 {
        let units = duration.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000;
        u32::try_from(units).unwrap_or(u32::MAX)
    }
}

/// What to play next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Playout {
    /// This frame; with payload type 13 it says what kind of noise to make until the next one.
    Play(Frame),
    /// A frame is missing: something that resembles what was played before, `units` of the clock long.
    Conceal {
        /// How long, in units of the clock.
        units: u32,
    },
    /// Nothing, for as long as suits; comfort noise if the last frame was that.
    Silence,
}

/// What a jitter buffer did, in frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JitterStatistics {
    /// Handed out to be played.
    pub played: u64,
    /// Answered by [`Playout::Conceal`].
    pub concealed: u64,
    /// Never came, or came too late.
    pub lost: u64,
    /// Came when their time was over.
    pub late: u64,
    /// Came twice.
    pub duplicates: u64,
    /// Dropped because too much was waiting.
    pub discarded: u64,
    /// Dropped because one packet alone, of another source or far out of sequence, proves nothing.
    pub stray: u64,
    /// How often another source, or another sequence, was followed.
    pub switches: u64,
    /// How long the last frame that was played had waited.
    pub delay: Duration,
}

#[derive(Clone, Debug)]
struct Entry {
    position: u64,
    frame: Frame,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Nothing plays; the first frame that waits starts at its arrival and the depth.
    Filling,
    Playing,
}

impl JitterBuffer {
    /// Starts empty.
    pub fn new(config: JitterConfig) -> Self {
        Self {
            config,
            queue: VecDeque::new(),
            line: Line::default(),
            next: None,
            next_timestamp: 0,
            state: State::Filling,
            since: None,
            concealed: 0,
            owed: 0,
            quiet: true,
            step: Step {
                units: config.units(config.packet),
                seen: None,
            },
            surplus: Surplus::default(),
            statistics: JitterStatistics::default(),
        }
    }

    /// Takes a frame in order of arrival; its time is [`Frame::arrived`].
    pub fn push(&mut self, frame: Frame) {
        match self.line.place(&frame) {
            Position::At(position) => self.insert(position, frame),
            Position::Apart { abandoned } => {
                self.statistics.stray += u64::from(abandoned);
                // Nothing to play is no reason to follow anybody.
                if frame.payload.is_empty() {
                    self.statistics.stray += 1;
                } else if self.line.wait(frame) {
                    self.statistics.switches += 1;
                    for frame in self.line.switch() {
                        if let Position::At(position) = self.line.place(&frame) {
                            self.insert(position, frame);
                        }
                    }
                }
            }
        }
    }

    /// Says what to play next.
    pub fn pull(&mut self, now: Instant) -> Playout {
        self.bound();
        loop {
            let Some(front) = self.queue.front() else {
                return self.underrun();
            };
            let due = front.frame.arrived + self.config.depth;
            let (position, timestamp) = (front.position, front.frame.timestamp);
            let placeholder = front.frame.payload.is_empty();
            if self.state == State::Filling {
                // The first to come is not always the first in order.
                if now < self.since.map_or(due, |since| since + self.config.depth) {
                    return Playout::Silence;
                }
                self.start(position, timestamp);
            }
            let next = self.next.unwrap_or(position);
            let ahead = timestamp.wrapping_sub(self.next_timestamp) as i32;
            if position > next {
                match self.miss(next, position, ahead) {
                    Some(playout) => return playout,
                    None => continue,
                }
            }
            if !placeholder && ahead > 0 && now < due {
                // Silence of the speaker: the delay is set anew.
                return Playout::Silence;
            }
            let Some(Entry { frame, .. }) = self.queue.pop_front() else {
                return self.underrun();
            };
            self.next = Some(position + 1);
            if placeholder {
                // Packets of events or keep-alive take a number and no time.
                self.quiet = true;
                continue;
            }
            return self.play(now, frame);
        }
    }

    /// What was done so far.
    pub const fn statistics(&self) -> JitterStatistics {
        self.statistics
    }

    /// How many frames wait, placeholders included.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// True if no frame waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn insert(&mut self, position: u64, frame: Frame) {
        if self.next.is_some_and(|next| position < next) {
            self.statistics.late += 1;
            return;
        }
        // Nearly always at the very end.
        let place = self
            .queue
            .partition_point(|entry| entry.position < position);
        if self
            .queue
            .get(place)
            .is_some_and(|entry| entry.position == position)
        {
            self.statistics.duplicates += 1;
            return;
        }
        let before = place.checked_sub(1).and_then(|place| self.queue.get(place));
        if let Some(before) = before.filter(|before| before.position + 1 == position) {
            let advance = frame.timestamp.wrapping_sub(before.frame.timestamp);
            self.step
                .observe(advance, self.config.units(LONGEST_PACKET));
        }
        if self.state == State::Filling {
            self.since.get_or_insert(frame.arrived);
        }
        self.queue.insert(place, Entry { position, frame });
        if self.queue.len() > CAPACITY {
            self.discard();
        }
    }

    /// Begins, or begins again after silence, with the frame that waits first.
    fn start(&mut self, position: u64, timestamp: u32) {
        if let Some(next) = self.next {
            self.statistics.lost += self.line.missing(next, position);
        }
        self.state = State::Playing;
        self.since = None;
        self.next = Some(position);
        self.next_timestamp = timestamp;
        self.concealed = 0;
        self.owed = 0;
        self.surplus = Surplus::default();
    }

    /// Frames between the one to play and the first that waits never came.
    fn miss(&mut self, next: u64, position: u64, ahead: i32) -> Option<Playout> {
        let missing = self.line.missing(next, position);
        if missing == 0 || ahead <= 0 {
            // A splice, or time that stood still: nothing to fill.
            self.statistics.lost += missing;
            self.next = Some(position);
            return None;
        }
        let known = self.owed == 0;
        if known && !self.may_conceal() {
            self.statistics.lost += missing;
            self.next = Some(position);
            return None;
        }
        self.statistics.lost += 1;
        self.next = Some(next + 1);
        self.next_timestamp = self.next_timestamp.wrapping_add(self.step.units);
        if known {
            return Some(self.conceal());
        }
        // It was concealed when the buffer was empty.
        self.owed -= 1;
        None
    }

    fn underrun(&mut self) -> Playout {
        if self.state == State::Filling || self.quiet || !self.may_conceal() {
            self.state = State::Filling;
            return Playout::Silence;
        }
        self.owed += 1;
        self.conceal()
    }

    fn may_conceal(&self) -> bool {
        let so_far = self.concealed;
        so_far == 0
            || so_far.saturating_add(self.step.units) <= self.config.units(LONGEST_CONCEALMENT)
    }

    fn conceal(&mut self) -> Playout {
        self.concealed = self.concealed.saturating_add(self.step.units);
        self.statistics.concealed += 1;
        Playout::Conceal {
            units: self.step.units,
        }
    }

    fn play(&mut self, now: Instant, frame: Frame) -> Playout {
        self.quiet = frame.payload_type == COMFORT_NOISE;
        let length = if self.quiet { 0 } else { self.step.units };
        self.next_timestamp = frame.timestamp.wrapping_add(length);
        self.concealed = 0;
        self.owed = 0;
        self.statistics.played += 1;
        self.statistics.delay = now.saturating_duration_since(frame.arrived);
        Playout::Play(frame)
    }

    /// Keeps the delay within its limits: at once if far too much waits, frame by frame if a little
    /// more than the depth has been waiting for a while.
    fn bound(&mut self) {
        if self.state != State::Playing {
            return;
        }
        let frames = |duration| self.config.units(duration) / self.step.units.max(1);
        let (depth, limit) = (
            frames(self.config.depth) as usize,
            frames(self.config.limit) as usize,
        );
        if self.queue.len() > limit.max(depth + 1) {
            while self.queue.len() > depth.max(1) {
                self.discard();
            }
            self.surplus = Surplus::default();
        } else if self.surplus.observe(self.queue.len()) > depth + 1 {
            self.discard();
        }
    }

    fn discard(&mut self) {
        let Some(entry) = self.queue.pop_front() else {
            return;
        };
        if let Some(next) = self.next {
            self.statistics.lost += self.line.missing(next, entry.position);
        }
        if !entry.frame.payload.is_empty() {
            self.statistics.discarded += 1;
            self.next_timestamp = entry.frame.timestamp.wrapping_add(self.step.units);
        }
        self.next = Some(entry.position + 1);
    }
}

/// How long a packet of this sender is.
#[derive(Clone, Copy, Debug)]
struct Step {
    units: u32,
    /// The last advance of the timestamp from one packet to the next.
    seen: Option<u32>,
}

impl Step {
    /// The first advance is believed, after that only what is seen twice in a row: a short silence
    /// looks like a long packet.
    fn observe(&mut self, advance: u32, longest: u32) {
        if advance == 0 || advance > longest {
            return;
        }
        if self.seen.is_none_or(|seen| seen == advance) {
            self.units = advance;
        }
        self.seen = Some(advance);
    }
}

/// The fewest frames that waited lately.
#[derive(Clone, Copy, Debug)]
struct Surplus {
    pulls: u32,
    least: usize,
}

impl Default for Surplus {
    fn default() -> Self {
        Self {
            pulls: 0,
            least: usize::MAX,
        }
    }
}

impl Surplus {
    /// Returns the least of a whole window when it is over, 0 in between.
    fn observe(&mut self, waiting: usize) -> usize {
        self.pulls += 1;
        self.least = self.least.min(waiting);
        if self.pulls < SURPLUS_WINDOW {
            return 0;
        }
        std::mem::take(self).least
    }
}

/// Frames that wait at most: two seconds of 20 ms; beyond it the player has stopped.
const CAPACITY: usize = 100;
/// What is played at most in one packet; a longer advance is silence.
const LONGEST_PACKET: Duration = Duration::from_millis(120);
/// Repeated speech becomes a buzz after that; silence is better.
const LONGEST_CONCEALMENT: Duration = Duration::from_millis(100);
/// Pulls, one or two seconds of them, before a surplus counts as one of the clocks and not of the network.
const SURPLUS_WINDOW: u32 = 64;

#[cfg(test)]
mod tests;
