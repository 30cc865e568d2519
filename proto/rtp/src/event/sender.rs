//! Sending digits (RFC 4733, 2.5.1).

use super::{Digit, Report};
use base::Deadline;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The machine that sends digits one after the other (RFC 4733, 2.5.1).
///
/// *Feed* it digits by [`send`](Self::send). *It says* by [`poll_output`](Self::poll_output) what to
/// put into packets with the agreed payload type; while [`is_sending`](Self::is_sending), audio is not
/// sent. *Wake it* at [`poll_timeout`](Self::poll_timeout).
///
/// Each event begins at the media time that the machine is given; its first packet has the marker, an
/// update follows every 20 ms, and the last packet is sent three times. Its clock is the one of the
/// audio that it interrupts (2.1).
#[derive(Clone, Debug)]
pub struct EventSender {
    clock_rate: u32,
    queue: VecDeque<Wanted>,
    phase: Phase,
    out: VecDeque<EventPacket>,
}

/// What goes into one RTP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventPacket {
    /// The marker bit.
    pub marker: bool,
    /// The media time at which the event, or this segment of it, began.
    pub timestamp: u32,
    /// The payload.
    pub payload: [u8; 4],
}

/// Too many digits are waiting; none was added.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("too many digits are waiting to be sent")]
pub struct QueueFull;

#[derive(Clone, Copy, Debug)]
struct Wanted {
    digit: Digit,
    duration: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Idle,
    /// A tone; `next` is when its next packet is due.
    Tone {
        tone: Tone,
        next: Instant,
    },
    /// The last packet again, `left` times, the first at `next`; the next digit not before `pause`.
    Repeat {
        packet: EventPacket,
        left: u8,
        next: Instant,
        pause: Instant,
    },
    /// Silence between two digits.
    Pause {
        until: Instant,
    },
}

#[derive(Clone, Copy, Debug)]
struct Tone {
    digit: Digit,
    began: Instant,
    /// In units of the clock.
    total: u64,
    /// Media time and place in the tone at which the present segment began.
    timestamp: u32,
    base: u64,
    /// How often the end of the last segment is still to be repeated.
    segment_repeats: u8,
    marker: bool,
}

impl EventSender {
    /// The duration of a digit if none is chosen.
    pub const DEFAULT_DURATION: Duration = Duration::from_millis(100);

    /// Starts silent; `clock_rate` is the agreed one, in Hz.
    pub const fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate,
            queue: VecDeque::new(),
            phase: Phase::Idle,
            out: VecDeque::new(),
        }
    }

    /// Sends a digit, or queues it behind the others. The duration is held between 40 ms (what
    /// receivers of tones need, ITU-T Q.24) and 30 s. `media_time` is what
    /// [`Session::media_time`](crate::Session::media_time) says.
    ///
    /// # Errors
    ///
    /// If 64 digits are waiting already.
    pub fn send(
        &mut self,
        now: Instant,
        media_time: u32,
        digit: Digit,
        duration: Duration,
    ) -> Result<(), QueueFull> {
        if self.queue.len() == MAX_QUEUE {
            return Err(QueueFull);
        }
        let duration = duration.clamp(MIN_DURATION, MAX_DURATION);
        self.queue.push_back(Wanted { digit, duration });
        if matches!(self.phase, Phase::Idle) {
            self.begin(now, media_time);
        }
        Ok(())
    }

    /// True from the first packet of an event until the last repetition of its end: audio waits.
    pub const fn is_sending(&self) -> bool {
        matches!(self.phase, Phase::Tone { .. } | Phase::Repeat { .. })
    }

    /// True if no digit is being sent or waiting.
    pub const fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub const fn poll_timeout(&self) -> Option<Deadline> {
        match self.phase {
            Phase::Idle => None,
            Phase::Tone { next, .. } | Phase::Repeat { next, .. } => {
                Some(Deadline::new(next, "telephone event"))
            }
            Phase::Pause { until } => Some(Deadline::new(until, "telephone event pause")),
        }
    }

    /// Sends what is due: one step, so that a late wake-up is no burst.
    pub fn handle_timeout(&mut self, now: Instant, media_time: u32) {
        match self.phase {
            Phase::Tone { tone, next } if now >= next => self.sound(now, next, tone),
            Phase::Repeat {
                packet,
                left,
                next,
                pause,
            } if now >= next => {
                self.out.push_back(packet);
                let next = step(next, now);
                self.phase = match left {
                    // The repetitions stand in the pause; the next event keeps its distance from them.
                    ..=1 => Phase::Pause {
                        until: pause.max(next),
                    },
                    _ => Phase::Repeat {
                        packet,
                        left: left - 1,
                        next,
                        pause,
                    },
                };
            }
            Phase::Pause { until } if now >= until => self.begin(now, media_time),
            Phase::Idle | Phase::Tone { .. } | Phase::Repeat { .. } | Phase::Pause { .. } => {}
        }
    }

    /// Takes the next packet.
    pub fn poll_output(&mut self) -> Option<EventPacket> {
        self.out.pop_front()
    }

    fn begin(&mut self, now: Instant, media_time: u32) {
        let Some(wanted) = self.queue.pop_front() else {
            self.phase = Phase::Idle;
            return;
        };
        let tone = Tone {
            digit: wanted.digit,
            began: now,
            total: self.units(wanted.duration),
            timestamp: media_time,
            base: 0,
            segment_repeats: 0,
            marker: true,
        };
        self.sound(now, now, tone);
    }

    /// Sends the packets of one interval of a tone, due at `due`.
    fn sound(&mut self, now: Instant, due: Instant, mut tone: Tone) {
        let next = step(due, now);
        // Each packet stands for the interval that it begins, like one of audio.
        let intervals =
            now.saturating_duration_since(tone.began).as_nanos() / INTERVAL.as_nanos() + 1;
        let elapsed = u64::try_from(intervals)
            .unwrap_or(u64::MAX)
            .saturating_mul(self.units(INTERVAL));
        let elapsed = elapsed.min(tone.total);
        if tone.segment_repeats > 0 {
            tone.segment_repeats -= 1;
            self.push(
                &tone,
                tone.timestamp.wrapping_sub(u32::from(u16::MAX)),
                u16::MAX,
                false,
            );
        }
        while elapsed - tone.base > u64::from(u16::MAX) {
            // RFC 4733, 2.5.1.3: the segment ends without E, the next one begins without marker.
            self.push(&tone, tone.timestamp, u16::MAX, false);
            tone.segment_repeats = REPEATS;
            tone.timestamp = tone.timestamp.wrapping_add(u32::from(u16::MAX));
            tone.base += u64::from(u16::MAX);
        }
        // The loop left no more than 16 bits.
        let duration = (elapsed - tone.base) as u16;
        let end = elapsed == tone.total;
        let packet = self.push(&tone, tone.timestamp, duration, end);
        tone.marker = false;
        self.phase = if end {
            // RFC 4733, 2.5.1.4.
            let packet = EventPacket {
                marker: false,
                ..packet
            };
            let end = tone.began + self.duration(tone.total);
            Phase::Repeat {
                packet,
                left: REPEATS,
                next,
                pause: end + PAUSE,
            }
        } else {
            Phase::Tone { tone, next }
        };
    }

    fn push(&mut self, tone: &Tone, timestamp: u32, duration: u16, end: bool) -> EventPacket {
        let report = Report {
            code: tone.digit.code(),
            end,
            volume: VOLUME,
            duration,
        };
        let packet = EventPacket {
            marker: tone.marker,
            timestamp,
            payload: report.to_bytes(),
        };
        self.out.push_back(packet);
        packet
    }

    fn units(&self, duration: Duration) -> u64 {
        // At most 30 s of a clock of 32 bits.
        (duration.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000) as u64
    }

    fn duration(&self, units: u64) -> Duration {
        Duration::from_nanos(units * 1_000_000_000 / u64::from(self.clock_rate.max(1)))
    }
}

/// The next interval after `due`, but in the future.
fn step(due: Instant, now: Instant) -> Instant {
    let next = due + INTERVAL;
    if next > now { next } else { now + INTERVAL }
}

/// The spacing of updates: the natural one between packets of audio (RFC 4733, 2.5.1.2).
const INTERVAL: Duration = Duration::from_millis(20);
/// Silence between two digits (ITU-T Q.24 wants 40 ms), which also holds the repeated ends.
const PAUSE: Duration = Duration::from_millis(60);
const MIN_DURATION: Duration = Duration::from_millis(40);
/// Longer than any key is meant to be held; a segment of a 48 kHz clock lasts 1.4 s.
const MAX_DURATION: Duration = Duration::from_secs(30);
/// The end is sent once, and this often again (RFC 4733, 2.5.1.4).
const REPEATS: u8 = 2;
/// -10 dBm0, what telephones send.
const VOLUME: u8 = 10;
/// A card number, a PIN and a menu choice fit three times over; a burst beyond it is a program gone wrong.
const MAX_QUEUE: usize = 64;
