//! Sound devices: a port for the mixer, an end for the device's callback.

mod null;

pub use null::Null;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::port::AudioPort;
use crate::ring::{Reader, WaitingWriter, Writer, ring};
use crate::sound::samples_in;

/// Makes the two sides of a device that runs at the mixer's rate.
///
/// The [`DevicePort`] goes to the mixer, the [`DeviceEnd`] to the callback of the sound card. Both
/// directions are bounded: towards the speaker the oldest samples are dropped, from the
/// microphone the newest.
pub fn pair(rate: u32) -> (DevicePort, DeviceEnd) {
    let (speaker_writer, speaker) = ring(samples_in(rate, RING));
    let (microphone, microphone_reader) = ring(samples_in(rate, MICROPHONE));
    let counters = Counters {
        not_played: speaker.missing(),
        not_captured: microphone_reader.missing(),
        dropped_microphone: microphone.dropped(),
    };
    let port = DevicePort {
        speaker: WaitingWriter::new(speaker_writer, samples_in(rate, WAITING)),
        microphone: microphone_reader,
        was_pushed: false,
        tick: rate as usize / 100,
        counters,
    };
    let end = DeviceEnd {
        speaker,
        microphone,
    };
    (port, end)
}

/// Is the mixer's side of a device (ADV-01).
#[derive(Debug)]
pub struct DevicePort {
    speaker: WaitingWriter,
    microphone: Reader,
    was_pushed: bool,
    /// Samples in a tick.
    tick: usize,
    counters: Counters,
}

/// Is the callback's side of a device; it neither locks nor allocates.
#[derive(Debug)]
pub struct DeviceEnd {
    speaker: Reader,
    microphone: Writer,
}

/// Counts samples that one of the two sides of a device did not have in time, or not taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceStats {
    /// Dropped on the way to the speaker, because the device did not take them.
    pub dropped_speaker: u64,
    /// Played as silence, because the mixer did not have them.
    pub not_played: u64,
    /// Dropped on the way from the microphone, because the mixer did not take them.
    pub dropped_microphone: u64,
    /// Taken as silence, because the device did not have them.
    pub not_captured: u64,
}

#[derive(Debug)]
struct Counters {
    not_played: Arc<AtomicU64>,
    not_captured: Arc<AtomicU64>,
    dropped_microphone: Arc<AtomicU64>,
}

impl DevicePort {
    /// Counts what went wrong.
    pub fn stats(&self) -> DeviceStats {
        DeviceStats {
            dropped_speaker: self.speaker.dropped(),
            not_played: self.counters.not_played.load(Ordering::Relaxed),
            dropped_microphone: self.counters.dropped_microphone.load(Ordering::Relaxed),
            not_captured: self.counters.not_captured.load(Ordering::Relaxed),
        }
    }
}

impl AudioPort for DevicePort {
    fn begin(&mut self, _now: Instant) {
        if !self.was_pushed {
            // In no bridge, or muted: the device goes on and needs its silence.
            self.speaker.write(&SILENCE[..self.tick.min(SILENCE.len())]);
        }
        self.was_pushed = false;
    }

    fn pull(&mut self, samples: &mut [i16]) {
        self.microphone.read(samples);
    }

    fn push(&mut self, samples: &[i16]) {
        self.speaker.write(samples);
        self.was_pushed = true;
    }
}

impl DeviceEnd {
    /// Fills in what the speaker plays next; silence if nothing is there.
    pub fn play(&mut self, samples: &mut [i16]) {
        self.speaker.read(samples);
    }

    /// Takes what the microphone heard.
    pub fn capture(&mut self, samples: &[i16]) {
        self.microphone.write(samples);
    }
}

/// Enough for the callbacks of usual devices, 20 ms, between two ticks.
const RING: Duration = Duration::from_millis(40);
/// What waits for a device that takes too little: more would be heard as delay.
const WAITING: Duration = Duration::from_millis(60);
const MICROPHONE: Duration = Duration::from_millis(60);
/// A tick at the highest rate of a mixer.
const SILENCE: [i16; 480] = [0; 480];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_are_bounded_and_counted() {
        let (mut port, mut end) = pair(8_000);
        for tick in 0..20 {
            port.push(&[tick; 80]);
            end.capture(&[tick; 80]);
        }
        // 20 ticks: 4 in the ring, the last 6 waiting, 10 dropped between; 6 captured, 14 dropped.
        let mut samples = [0; 320];
        end.play(&mut samples);
        assert_eq!((samples[0], samples[319]), (0, 3));
        port.push(&[20; 80]);
        end.play(&mut samples);
        assert_eq!((samples[0], samples[319]), (14, 17));
        let mut captured = [0; 560];
        port.pull(&mut captured);
        assert_eq!((captured[0], captured[479], captured[480]), (0, 5, 0));
        let expected = DeviceStats {
            dropped_speaker: 800,
            not_played: 0,
            dropped_microphone: 14 * 80,
            not_captured: 80,
        };
        assert_eq!(port.stats(), expected);
    }
}
