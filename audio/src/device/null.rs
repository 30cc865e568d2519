//! A device without hardware, which runs on a virtual clock.

use std::time::Duration;

use super::{DeviceEnd, DevicePort, pair};
use crate::sound::Sound;

/// Is a sound card that is not there: it plays and captures only as its clock is moved.
///
/// For tests, and for machines without a sound card (MIX-02).
#[derive(Debug)]
pub struct Null {
    end: DeviceEnd,
    rate: u32,
    /// What the microphone will hear.
    around: Vec<i16>,
    captured: usize,
    /// Time that has passed but is not a whole sample yet, in samples times 10⁹.
    remainder: u128,
}

impl Null {
    /// Makes the device, in a silent room, and the port that goes to a mixer of that rate.
    pub fn new(rate: u32) -> (Self, DevicePort) {
        let (port, end) = pair(rate);
        let device = Self {
            end,
            rate,
            around: Vec::new(),
            captured: 0,
            remainder: 0,
        };
        (device, port)
    }

    /// Lets somebody speak into the microphone; silence follows.
    ///
    /// # Errors
    /// [`RateError`](crate::resample::RateError) if the sound's rate is not supported.
    pub fn speak(&mut self, sound: &Sound) -> Result<(), crate::resample::RateError> {
        let sound = sound.resampled(self.rate)?;
        self.around.drain(..self.captured);
        self.captured = 0;
        self.around.extend(sound.samples);
        Ok(())
    }

    /// Moves the device's clock: captures so much time, and returns what was played meanwhile.
    pub fn advance(&mut self, elapsed: Duration) -> Vec<i16> {
        let time = u128::from(self.rate) * elapsed.as_nanos() + self.remainder;
        self.remainder = time % 1_000_000_000;
        let count = usize::try_from(time / 1_000_000_000).unwrap_or(usize::MAX);
        let rest = &self.around[self.captured..];
        let mut captured = rest[..count.min(rest.len())].to_vec();
        self.captured += captured.len();
        captured.resize(count, 0);
        self.end.capture(&captured);
        let mut played = captured;
        self.end.play(&mut played);
        played
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixer::{Mixer, TICK};
    use crate::speech::{self, Voice};
    use crate::wave::{Player, PlayerOptions};
    use std::time::Instant;

    #[test]
    fn fractions_of_samples_add_up() {
        let (mut device, _port) = Null::new(8_000);
        let played: usize = (0..1_000)
            .map(|_| device.advance(Duration::from_micros(333)).len())
            .sum();
        assert_eq!(played, 2_664);
    }

    #[test]
    fn sound_goes_through_both_ways() {
        let mut mixer = Mixer::new(16_000).unwrap();
        let (mut device, port) = Null::new(16_000);
        let (mut other, other_port) = Null::new(16_000);
        let bridge = mixer.open_bridge();
        for port in [port, other_port] {
            let port = mixer.add(port).unwrap();
            mixer.join(bridge, port).unwrap();
        }
        let said = speech::utterance(Voice::Bob, 16_000);
        device.speak(&said).unwrap();
        let mut now = Instant::now();
        let mut heard = Vec::new();
        for _ in 0..710 {
            assert!(device.advance(TICK).iter().all(|&sample| sample == 0));
            mixer.tick(now);
            heard.extend(other.advance(TICK));
            now += TICK;
        }
        let start = heard.iter().position(|&sample| sample != 0).unwrap();
        let first = said.samples.iter().position(|&sample| sample != 0).unwrap();
        assert!(start - first <= 160, "{start} {first}");
        assert_eq!(heard[start..][..100_000], said.samples[first..][..100_000]);
    }

    #[test]
    fn a_device_outside_bridges_hears_silence_without_gaps() {
        let mut mixer = Mixer::new(8_000).unwrap();
        let (mut device, port) = Null::new(8_000);
        let port = mixer.add(port).unwrap();
        let bridge = mixer.open_bridge();
        let options = PlayerOptions {
            loop_count: 0,
            ..PlayerOptions::default()
        };
        let mut player = Player::new(&Sound::new(8_000, vec![5; 80]), 8_000, options).unwrap();
        player.start().unwrap();
        let player = mixer.add(player).unwrap();
        mixer.join(bridge, player).unwrap();
        let mut now = Instant::now();
        let mut heard = Vec::new();
        for tick in 0..30 {
            match tick {
                10 => mixer.join(bridge, port).unwrap(),
                20 => mixer.leave(bridge, port).unwrap(),
                _ => {}
            }
            mixer.tick(now);
            now += TICK;
            heard.extend(device.advance(TICK));
        }
        assert_eq!(heard.iter().filter(|&&sample| sample == 5).count(), 800);
        let stats = mixer.port::<DevicePort>(port).unwrap().stats();
        assert_eq!((stats.not_played, stats.dropped_speaker), (0, 0));
    }
}
