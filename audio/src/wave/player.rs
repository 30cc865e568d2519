//! Plays a sound into a bridge.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use super::{WaveError, read};
use crate::port::AudioPort;
use crate::resample::RateError;
use crate::sound::{Sound, samples_in};

/// Says how a sound is played (WPL-01).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayerOptions {
    /// In percent; more than 100 amplifies (WAV-03).
    pub volume: u16,
    /// How often; 0 plays for ever (WPL-02).
    pub loop_count: u32,
    /// The silence between two rounds.
    pub pause_time: Duration,
    /// The silence before the first round; the older `initial_play = false` means `pause_time`
    /// here.
    pub initial_delay: Duration,
}

impl Default for PlayerOptions {
    fn default() -> Self {
        Self {
            volume: 100,
            loop_count: 1,
            pause_time: Duration::ZERO,
            initial_delay: Duration::ZERO,
        }
    }
}

/// Tells what became of a [`Player`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayerEvent {
    /// The first round begins (WPL-05).
    DidStart,
    /// All rounds are done, or it was stopped (WPL-06).
    DidEnd,
}

/// Says that a player plays already (WPL-08).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("already playing")]
pub struct AlreadyPlaying;

/// Is a port that plays a sound, once or again and again; reusable (WPL-01).
///
/// It hears nothing. What becomes of it is told by [`poll_event`](Self::poll_event).
#[derive(Clone, Debug)]
pub struct Player {
    samples: Vec<i16>,
    options: PlayerOptions,
    rate: u32,
    state: State,
    /// The first round of this run has begun.
    has_begun: bool,
    /// At most a start and an end of one run.
    events: VecDeque<PlayerEvent>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Idle,
    /// Silence for so many samples, then so many rounds; `None` is for ever.
    Waiting {
        left: usize,
        rounds: Option<u32>,
    },
    Playing {
        at: usize,
        rounds: Option<u32>,
    },
}

impl Player {
    /// Prepares a sound for a mixer of that rate; nothing is played yet.
    ///
    /// # Errors
    /// [`RateError`] if one of the rates is not supported.
    pub fn new(sound: &Sound, rate: u32, options: PlayerOptions) -> Result<Self, RateError> {
        Ok(Self {
            samples: sound.resampled(rate)?.samples,
            options,
            rate,
            state: State::Idle,
            has_begun: false,
            events: VecDeque::new(),
        })
    }

    /// Reads a WAV file for a mixer of that rate; nothing is played yet.
    ///
    /// # Errors
    /// [`WaveError`] if it cannot be read (WPL-07).
    pub fn open(
        path: impl AsRef<Path>,
        rate: u32,
        options: PlayerOptions,
    ) -> Result<Self, WaveError> {
        Ok(Self::new(&read(path)?, rate, options)?)
    }

    /// Starts playing (WPL-03), with the next tick.
    ///
    /// # Errors
    /// [`AlreadyPlaying`] until it has ended.
    pub fn start(&mut self) -> Result<(), AlreadyPlaying> {
        if self.is_active() {
            return Err(AlreadyPlaying);
        }
        self.events.clear();
        self.has_begun = false;
        self.state = State::Waiting {
            left: samples_in(self.rate, self.options.initial_delay),
            rounds: (self.options.loop_count > 0).then_some(self.options.loop_count),
        };
        Ok(())
    }

    /// Stops at once; no effect if it does not play.
    pub fn stop(&mut self) {
        if self.is_active() {
            self.end();
        }
    }

    /// Says whether it plays; true in pauses, too (WPL-04, WAV-05).
    pub fn is_active(&self) -> bool {
        !matches!(self.state, State::Idle)
    }

    /// Returns the options that it plays with.
    pub fn options(&self) -> PlayerOptions {
        self.options
    }

    /// Returns what has happened since the last call, one at a time.
    pub fn poll_event(&mut self) -> Option<PlayerEvent> {
        self.events.pop_front()
    }

    fn end(&mut self) {
        self.state = State::Idle;
        self.events.push_back(PlayerEvent::DidEnd);
    }

    /// Is called at the end of a wait.
    fn begin_round(&mut self, rounds: Option<u32>) {
        if !self.has_begun {
            self.has_begun = true;
            self.events.push_back(PlayerEvent::DidStart);
        }
        self.state = State::Playing { at: 0, rounds };
    }

    /// Is called at the end of a round.
    fn end_round(&mut self, rounds: Option<u32>) {
        let rounds = rounds.map(|rounds| rounds - 1);
        if rounds == Some(0) || self.samples.is_empty() {
            self.end();
            return;
        }
        let left = samples_in(self.rate, self.options.pause_time);
        self.state = State::Waiting { left, rounds };
    }
}

impl AudioPort for Player {
    fn pull(&mut self, samples: &mut [i16]) {
        samples.fill(0);
        let mut place = 0;
        while place < samples.len() {
            let open = samples.len() - place;
            match self.state {
                State::Idle => return,
                State::Waiting { left: 0, rounds } => self.begin_round(rounds),
                State::Waiting { left, rounds } => {
                    let count = left.min(open);
                    let left = left - count;
                    self.state = State::Waiting { left, rounds };
                    place += count;
                }
                State::Playing { at, rounds } => {
                    let rest = &self.samples[at..];
                    let count = rest.len().min(open);
                    for (sample, &original) in samples[place..].iter_mut().zip(&rest[..count]) {
                        let scaled = i32::from(original) * i32::from(self.options.volume) / 100;
                        *sample = scaled.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
                    }
                    place += count;
                    self.state = State::Playing {
                        at: at + count,
                        rounds,
                    };
                    if count == rest.len() {
                        self.end_round(rounds);
                    }
                }
            }
        }
    }

    fn push(&mut self, _samples: &[i16]) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn player(options: PlayerOptions) -> Player {
        let sound = Sound::new(8_000, vec![100; 120]);
        Player::new(&sound, 8_000, options).unwrap()
    }

    fn play(player: &mut Player, ticks: usize) -> Vec<i16> {
        let mut all = vec![7; ticks * 80];
        for piece in all.chunks_mut(80) {
            player.pull(piece);
        }
        all
    }

    #[test]
    fn plays_once_and_tells() {
        let mut player = player(PlayerOptions::default());
        assert_eq!(play(&mut player, 1), [0; 80]);
        player.start().unwrap();
        assert_eq!(player.start(), Err(AlreadyPlaying));
        let heard = play(&mut player, 2);
        assert!(heard[..120].iter().all(|&s| s == 100) && heard[120..].iter().all(|&s| s == 0));
        assert!(!player.is_active());
        assert_eq!(player.poll_event(), Some(PlayerEvent::DidStart));
        assert_eq!(player.poll_event(), Some(PlayerEvent::DidEnd));
        assert_eq!(player.poll_event(), None);
        // Reusable.
        player.start().unwrap();
        assert_eq!(play(&mut player, 1), [100; 80]);
        player.stop();
        assert_eq!(play(&mut player, 1), [0; 80]);
    }

    #[test]
    fn loops_with_pauses_volume_and_delay() {
        let mut player = player(PlayerOptions {
            volume: 150,
            loop_count: 2,
            pause_time: SECOND / 100,
            initial_delay: SECOND / 50,
        });
        player.start().unwrap();
        let heard = play(&mut player, 8);
        let expected = |place: usize| match place {
            160..280 | 360..480 => 150,
            _ => 0,
        };
        for (place, &sample) in heard.iter().enumerate() {
            assert_eq!(sample, expected(place), "{place}");
        }
        let events: Vec<_> = std::iter::from_fn(|| player.poll_event()).collect();
        assert_eq!(events, [PlayerEvent::DidStart, PlayerEvent::DidEnd]);
    }

    #[test]
    fn zero_loops_never_end() {
        let mut player = player(PlayerOptions {
            loop_count: 0,
            ..PlayerOptions::default()
        });
        player.start().unwrap();
        for round in 0..3 {
            assert!(play(&mut player, 1_000).iter().all(|&sample| sample == 100));
            // WPL-05: told once, however many rounds there are.
            let started = (round == 0).then_some(PlayerEvent::DidStart);
            assert_eq!(player.poll_event(), started);
        }
        assert!(player.is_active());
        player.stop();
        assert_eq!(player.poll_event(), Some(PlayerEvent::DidEnd));
    }

    #[test]
    fn nothing_is_played_for_ever_in_no_time() {
        let options = PlayerOptions {
            loop_count: 0,
            ..PlayerOptions::default()
        };
        let empty = Sound::new(8_000, Vec::new());
        let mut player = Player::new(&empty, 8_000, options).unwrap();
        player.start().unwrap();
        assert_eq!(play(&mut player, 1), [0; 80]);
        assert!(!player.is_active());
    }
}
