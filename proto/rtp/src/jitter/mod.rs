//! The jitter buffer: order, and as little delay as the network allows, from what it delivers.

mod config;
mod delay;
mod splice;
mod step;

pub use config::{JitterConfig, JitterStatistics};

use crate::{COMFORT_NOISE, Frame};
use delay::{Delay, micros};
use splice::{Line, Position};
use std::{collections::VecDeque, time::Instant};
use step::Step;

/// The machine that decides what is played next, for one stream of speech.
///
/// *Feed* it each frame of a [`Session`](crate::Session) by [`push`](Self::push), placeholders
/// included, and ask by [`pull`](Self::pull) whenever the speech of the last answer is used up. It has
/// no timers: the one who plays is its clock.
///
/// *Delay.* How much later than the fastest packets speech is played follows what packets took lately:
/// it is where 20 ms more would not save one packet in a hundred from being late. It begins with
/// [`JitterConfig::depth`] and stays between [`least`](JitterConfig::least) and
/// [`limit`](JitterConfig::limit).
///
/// *Order.* Speech goes on in order of sequence numbers, whatever the length of the frames. A frame
/// that is not there in its time is concealed, for 100 ms at most. When it comes after all, it is played
/// if the delay is too small anyway, so that the delay grows by what was concealed; else it is late.
/// When the delay is too great, because the network became better or the speaker's clock is faster
/// than ours, frames are shortened a little, ten in a second at most, and dropped if that is too slow.
///
/// *Silence.* A gap in the timestamps alone is silence of the speaker, and so is what follows comfort
/// noise (RFC 3389): there the delay is set anew at no cost.
///
/// When another source speaks, or the same one starts its sequence anew, two packets in a row of it
/// make it the one that is played; the first of them is not lost. A second source that speaks at the
/// same time (RFC 8108) is not mixed: the first one stays.
///
/// It holds at most 100 frames, and allocates nothing once it held that many.
#[derive(Clone, Debug)]
pub struct JitterBuffer {
    /// How much more than wanted may wait, in microseconds.
    excess: i64,
    /// By position, each once.
    queue: VecDeque<Entry>,
    line: Line,
    delay: Delay,
    /// The position to play next; `None` until something was played.
    next: Option<u64>,
    /// The media time that it should have, in microseconds.
    next_media: i64,
    state: State,
    /// What was concealed since the last frame that was played, in microseconds.
    concealed: i64,
    /// How many frames that was: what comes of them now stands for time that is over.
    owed: u32,
    /// The last thing played, or skipped, was no speech: what follows is not concealed.
    quiet: bool,
    step: Step,
    /// When a frame was shortened last, in microseconds.
    cut: i64,
    /// When one was dropped last.
    dropped: i64,
    statistics: JitterStatistics,
}

/// What to play next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Playout {
    /// This frame; with payload type 13 it says what kind of noise to make until the next one.
    Play(Frame),
    /// This frame in less time: about `units` of the clock less, at most half of it, where it is
    /// heard least.
    Shorten {
        /// The frame.
        frame: Frame,
        /// How much less, in units of the clock.
        units: u32,
    },
    /// A frame is missing: something that resembles what was played before, `units` of the clock long.
    Conceal {
        /// How long, in units of the clock.
        units: u32,
    },
    /// Nothing, for as long as suits; comfort noise if the last frame was that.
    Silence,
}

#[derive(Clone, Debug)]
struct Entry {
    position: u64,
    /// When it was spoken, in microseconds.
    media: i64,
    frame: Frame,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Nothing plays; the first frame that waits starts when it is due.
    Filling,
    Playing,
}

impl JitterBuffer {
    /// Starts empty.
    pub fn new(config: JitterConfig) -> Self {
        let delay = Delay::new(&config);
        Self {
            excess: micros(config.limit),
            queue: VecDeque::new(),
            line: Line::default(),
            next: None,
            next_media: 0,
            state: State::Filling,
            concealed: 0,
            owed: 0,
            quiet: true,
            step: Step::new(delay.units(micros(config.packet))),
            cut: 0,
            dropped: 0,
            statistics: JitterStatistics::default(),
            delay,
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
                    self.delay.renew();
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
        let clock = self.delay.micros(now);
        loop {
            let Some(front) = self.queue.front() else {
                return self.underrun();
            };
            let (position, media) = (front.position, front.media);
            let placeholder = front.frame.payload.is_empty();
            let due = media + self.delay.target();
            if self.state == State::Filling {
                if clock < due {
                    return Playout::Silence;
                }
                self.start(position, media);
            }
            let next = self.next.unwrap_or(position);
            let is_gap = media - self.next_media > self.length() / 2;
            if position > next {
                match self.miss(next, position, is_gap) {
                    Some(playout) => return playout,
                    None => continue,
                }
            }
            if !placeholder && is_gap && clock < due {
                // Silence of the speaker: the delay is set anew.
                return Playout::Silence;
            }
            if self.pass(clock - due, clock) {
                continue;
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
            return self.play(now, media, frame, clock - due);
        }
    }

    /// What was done so far.
    pub fn statistics(&self) -> JitterStatistics {
        JitterStatistics {
            target: self.delay.depth(),
            ..self.statistics
        }
    }

    /// How many frames wait, placeholders included.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// True if no frame waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The length of a frame in microseconds.
    fn length(&self) -> i64 {
        self.delay.length(self.step.units())
    }

    fn insert(&mut self, position: u64, frame: Frame) {
        // Nearly always at the very end.
        let place = self
            .queue
            .partition_point(|entry| entry.position < position);
        let there = self.queue.get(place);
        if there.is_some_and(|entry| entry.position == position) {
            self.statistics.duplicates += 1;
            return;
        }
        let tells = !frame.payload.is_empty() && frame.payload_type != COMFORT_NOISE;
        let media = self.delay.place(&frame, tells);
        if self.next.is_some_and(|next| position < next) {
            self.statistics.late += 1;
            return;
        }
        let before = place.checked_sub(1).and_then(|place| self.queue.get(place));
        if let Some(before) = before.filter(|before| before.position + 1 == position) {
            let advance = frame.timestamp.wrapping_sub(before.frame.timestamp);
            self.step.observe(advance, self.delay.units(LONGEST_PACKET));
        }
        let entry = Entry {
            position,
            media,
            frame,
        };
        self.queue.insert(place, entry);
        if self.queue.len() > CAPACITY {
            self.discard();
        }
    }

    /// Begins, or begins again after silence, with the frame that waits first.
    fn start(&mut self, position: u64, media: i64) {
        if let Some(next) = self.next {
            self.statistics.lost += self.line.missing(next, position);
        }
        self.state = State::Playing;
        self.next = Some(position);
        self.next_media = media;
        self.concealed = 0;
        self.owed = 0;
    }

    /// Frames between the one to play and the first that waits are not there.
    fn miss(&mut self, next: u64, position: u64, is_gap: bool) -> Option<Playout> {
        let missing = self.line.missing(next, position);
        if missing == 0 || !is_gap || self.owed == 0 && !self.may_conceal() {
            // A splice, or time that stood still: nothing to fill; or too much.
            self.statistics.lost += missing;
            self.next = Some(position);
            return None;
        }
        if self.owed == 0 {
            // It may come before the next one is asked for.
            self.owed = 1;
            return Some(self.conceal());
        }
        self.owed -= 1;
        self.statistics.lost += 1;
        self.next = Some(next + 1);
        self.next_media += self.length();
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
        self.concealed == 0 || self.concealed + self.length() <= LONGEST_CONCEALMENT
    }

    fn conceal(&mut self) -> Playout {
        self.concealed += self.length();
        self.statistics.concealed += 1;
        Playout::Conceal {
            units: self.step.units(),
        }
    }

    fn play(&mut self, now: Instant, media: i64, frame: Frame, excess: i64) -> Playout {
        self.quiet = frame.payload_type == COMFORT_NOISE;
        let length = if self.quiet { 0 } else { self.length() };
        self.next_media = media + length;
        self.concealed = 0;
        self.owed = 0;
        self.statistics.played += 1;
        self.statistics.delay = now.saturating_duration_since(frame.arrived);
        let clock = self.delay.micros(now);
        if self.quiet || excess < LEAST_CUT || clock < self.cut + CUT_PACE {
            return Playout::Play(frame);
        }
        self.cut = clock;
        self.statistics.shortened += 1;
        Playout::Shorten {
            frame,
            units: self.delay.units(excess.min(length / 2)),
        }
    }

    /// Passes over the first frame if it is later than wanted by a whole one and another follows.
    fn pass(&mut self, excess: i64, clock: i64) -> bool {
        let length = self.length();
        let is_speech = |entry: &Entry| {
            !entry.frame.payload.is_empty() && entry.frame.payload_type != COMFORT_NOISE
        };
        let follows = match (self.queue.front(), self.queue.get(1)) {
            (Some(first), Some(second)) => {
                second.position == first.position + 1 && is_speech(first) && is_speech(second)
            }
            _ => false,
        };
        if !follows || excess < length {
            return false;
        }
        if self.owed > 0 {
            // Its time was filled.
            self.owed -= 1;
            self.statistics.late += 1;
            self.statistics.lost += 1;
            self.skip();
            return true;
        }
        let too_many = if excess >= self.excess {
            excess / length.max(1)
        } else {
            i64::from(excess >= MANY * length && clock >= self.dropped + DROP_PACE)
        };
        if too_many == 0 {
            return false;
        }
        self.dropped = clock;
        (0..too_many)
            .take(self.queue.len() - 1)
            .for_each(|_| self.discard());
        true
    }

    fn discard(&mut self) {
        let Some(entry) = self.queue.front() else {
            return;
        };
        if let Some(next) = self.next {
            self.statistics.lost += self.line.missing(next, entry.position);
        }
        self.statistics.discarded += u64::from(!entry.frame.payload.is_empty());
        self.skip();
    }

    /// Goes on behind the first frame.
    fn skip(&mut self) {
        let Some(entry) = self.queue.pop_front() else {
            return;
        };
        if !entry.frame.payload.is_empty() {
            self.next_media = entry.media + self.length();
        }
        self.next = Some(entry.position + 1);
    }
}

/// Frames that wait at most: two seconds of 20 ms; beyond it the player has stopped.
const CAPACITY: usize = 100;
/// What is played at most in one packet; a longer advance is silence. In microseconds, as the rest.
const LONGEST_PACKET: i64 = 120_000;
/// Repeated speech becomes a buzz after that; silence is better.
const LONGEST_CONCEALMENT: i64 = 100_000;
/// The least that is worth shortening a frame for.
const LEAST_CUT: i64 = 5_000;
/// From one shortened frame to the next: speech at nine tenths of its pace is not noticed.
const CUT_PACE: i64 = 100_000;
/// How many frames too much are too many for that, …
const MANY: i64 = 3;
/// … and the time from one that is dropped to the next.
const DROP_PACE: i64 = 200_000;

#[cfg(test)]
mod tests;
