//! Who plays: a tick each 10 ms, as a mixer has it.

use super::trace::{Packet, Trace};
use bytes::Bytes;
use rtp::{COMFORT_NOISE, Frame, JitterBuffer, Playout};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// A jitter buffer under test.
pub(super) trait Buffer {
    fn push(&mut self, frame: Frame);
    fn pull(&mut self, now: Instant) -> Playout;
}

impl Buffer for JitterBuffer {
    fn push(&mut self, frame: Frame) {
        Self::push(self, frame);
    }

    fn pull(&mut self, now: Instant) -> Playout {
        Self::pull(self, now)
    }
}

/// What every textbook begins with: each packet is played a constant time after the first one came,
/// by its timestamp.
pub(super) struct Constant {
    delay: Duration,
    begin: Option<Instant>,
    queue: VecDeque<Frame>,
    next: u64,
    first: u32,
    is_playing: bool,
}

impl Constant {
    pub(super) fn new(delay: Duration) -> Self {
        Self {
            delay,
            begin: None,
            queue: VecDeque::new(),
            next: 0,
            first: 0,
            is_playing: false,
        }
    }
}

impl Buffer for Constant {
    fn push(&mut self, frame: Frame) {
        if self.begin.is_none() {
            self.begin = Some(frame.arrived + self.delay);
            self.first = frame.timestamp;
        }
        let place = self
            .queue
            .partition_point(|other| other.sequence < frame.sequence);
        self.queue.insert(place, frame);
    }

    fn pull(&mut self, now: Instant) -> Playout {
        let (Some(begin), Some(front)) = (self.begin, self.queue.front()) else {
            return Playout::Silence;
        };
        if self.is_playing && front.sequence < self.next {
            self.queue.pop_front();
            return self.pull(now);
        }
        let units = front.timestamp.wrapping_sub(self.first);
        let due = begin + Duration::from_micros(u64::from(units) * 125);
        if now < due {
            return if self.is_playing {
                Playout::Conceal { units: 160 }
            } else {
                Playout::Silence
            };
        }
        self.is_playing = true;
        self.next = front.sequence + 1;
        self.queue
            .pop_front()
            .map_or(Playout::Silence, Playout::Play)
    }
}

/// What became of a trace.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heard {
    /// From the time at which the fastest packet would have come to the time at which it is heard, in
    /// milliseconds, on the average.
    pub(super) delay: f64,
    /// From its arrival.
    pub(super) waited: f64,
    /// Speech that was made up, of a hundred.
    pub(super) concealed: f64,
    /// Speech that came and was not played, of a hundred packets.
    pub(super) dropped: f64,
    /// Packets that were played, in order.
    pub(super) played: usize,
}

/// Lets a buffer play a trace, and ticks begin `phase` microseconds after the trace.
pub(super) fn play(buffer: &mut dyn Buffer, trace: &Trace, phase: i64) -> Heard {
    let begin = Instant::now();
    let mut coming: Vec<&Packet> = trace
        .packets
        .iter()
        .filter(|packet| packet.arrival.is_some())
        .collect();
    coming.sort_by_key(|packet| packet.arrival);
    let mut coming = coming.into_iter().peekable();
    let first = trace.packets.first().map_or(0, |packet| packet.sequence);
    let end = trace.packets.last().map_or(0, |packet| packet.earliest);
    let (mut heard, mut concealed, mut speech) = (Heard::default(), 0, 0);
    let mut last = None;
    let (mut tick, mut until) = (phase, 0);
    let at = |micros: i64| begin + Duration::from_micros(micros as u64);
    let micros = |units: u32| i64::from(units) * 1_000_000 / i64::from(trace.clock_rate);
    while tick < end {
        while let Some(packet) = coming.next_if(|packet| packet.arrival <= Some(tick)) {
            buffer.push(frame(packet, begin));
        }
        while until < tick + TICK {
            let start = until.max(tick);
            let (frame, cut) = match buffer.pull(at(tick)) {
                Playout::Play(frame) => (frame, 0),
                Playout::Shorten { frame, units } => (frame, micros(units)),
                Playout::Conceal { units } => {
                    concealed += micros(units);
                    until = start + micros(units);
                    continue;
                }
                Playout::Silence => {
                    until = start + TICK;
                    continue;
                }
            };
            assert!(last < Some(frame.sequence), "{last:?} {}", frame.sequence);
            last = Some(frame.sequence);
            let packet = &trace.packets[(frame.sequence - first) as usize];
            if packet.is_noise {
                continue;
            }
            assert!(cut * 2 <= trace.length);
            until = start + trace.length - cut;
            speech += trace.length - cut;
            heard.played += 1;
            heard.delay += (start - packet.earliest) as f64 / 1e3;
            heard.waited += (start - packet.arrival.unwrap_or(start)) as f64 / 1e3;
        }
        tick += TICK;
    }
    let came = trace.packets.iter().filter(|packet| {
        let in_time = packet
            .arrival
            .is_some_and(|arrival| arrival < end - 1_000_000);
        in_time && !packet.is_noise
    });
    heard.delay /= heard.played as f64;
    heard.waited /= heard.played as f64;
    heard.concealed = 100.0 * concealed as f64 / (speech + concealed) as f64;
    let came = came.count();
    heard.dropped = 100.0 * came.saturating_sub(heard.played) as f64 / came as f64;
    heard
}

fn frame(packet: &Packet, begin: Instant) -> Frame {
    Frame {
        payload_type: if packet.is_noise { COMFORT_NOISE } else { 0 },
        marker: false,
        sequence: packet.sequence,
        timestamp: packet.timestamp,
        ssrc: 1,
        arrived: begin + Duration::from_micros(packet.arrival.unwrap_or(0) as u64),
        payload: Bytes::from_static(&[0xff; 160]),
    }
}

const TICK: i64 = 10_000;
