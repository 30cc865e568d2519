//! The port of one RTP stream.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rtp::{Frame, JitterBuffer, JitterConfig, Playout};

use crate::codec::Codec;
use crate::frame::{Encoded, FrameSink, FrameSource, PlayoutReport, Received};
use crate::measure;
use crate::mixer::TICK;
use crate::port::AudioPort;
use crate::resample::{RateError, Resampler};
use crate::shorten::shorten;
use crate::sound::samples_in;

/// Is a stream as a port: what the peer says is heard in the bridge, and the bridge by the peer.
///
/// Inbound: jitter buffer, decoder, concealment of what is missing. Outbound: encoder, frames of a
/// fixed length. Give it to a mixer; it takes frames from its [`FrameSource`] at the start of each
/// tick and hands them to its [`FrameSink`]. It leaves the mixer by itself when the source ends.
///
/// In no bridge, or while it [hears](crate::mixer::PortSettings::hears) nothing, it sends nothing;
/// its media clock goes on, and the next frame has the marker.
pub struct Track {
    codec: Box<dyn Codec>,
    source: Box<dyn FrameSource>,
    sink: Box<dyn FrameSink>,
    inbound: Inbound,
    outbound: Outbound,
    next_report: Option<Instant>,
    has_ended: bool,
    stats: TrackStats,
}

/// Says how a stream is sent and received.
#[derive(Debug)]
pub struct TrackConfig {
    /// The codec, see [`codec::open`](crate::codec::open).
    pub codec: Box<dyn Codec>,
    /// The payload type as we have numbered it; others are not decoded.
    pub receive_payload_type: u8,
    /// The payload type as the peer has numbered it.
    pub send_payload_type: u8,
    /// The length of outbound frames, `ptime`: 10 ms to 200 ms in steps of 10 ms; anything else
    /// is brought to the nearest of these.
    pub frame_length: Duration,
    /// How the jitter buffer works; its clock is that of the codec.
    pub jitter: JitterConfig,
    /// Frames below this level, in dBFS, are not sent once it was quiet for 240 ms (AUT-11); `None`
    /// sends all.
    pub silence: Option<f64>,
}

impl TrackConfig {
    /// Chooses frames of 20 ms and the defaults of the jitter buffer.
    pub fn new(codec: Box<dyn Codec>, receive_payload_type: u8, send_payload_type: u8) -> Self {
        let mut jitter = JitterConfig::new(codec.description().clock_rate);
        // What speech waits for is not the network alone: whoever plays may be late himself, which no
        // arrival of a packet shows.
        jitter.least = jitter.depth;
        Self {
            codec,
            receive_payload_type,
            send_payload_type,
            frame_length: TICK * 2,
            jitter,
            silence: None,
        }
    }
}

/// Counts the frames of a track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackStats {
    /// Frames that were sent.
    pub sent: u64,
    /// Frames that were not sent because there was nothing to hear in them.
    pub silent: u64,
    /// Frames that were dropped because the sink had no room.
    pub dropped: u64,
    /// Frames that arrived.
    pub received: u64,
    /// Frames that were decoded and played.
    pub played: u64,
    /// Frames of another payload type, or with nothing in them.
    pub foreign: u64,
    /// Samples that were made up, at the codec's rate.
    pub concealed: u64,
}

impl Track {
    /// Makes the port for a mixer of that rate.
    ///
    /// # Errors
    /// [`RateError`] if the codec's rate cannot be brought to the mixer's.
    pub fn new(
        rate: u32,
        config: TrackConfig,
        source: impl FrameSource + 'static,
        sink: impl FrameSink + 'static,
    ) -> Result<Self, RateError> {
        let codec = config.codec.description();
        let ticks = (config.frame_length.as_nanos() + TICK.as_nanos() / 2) / TICK.as_nanos();
        let ticks = ticks.clamp(1, MAX_TICKS) as usize;
        let per_tick = samples_in(codec.sample_rate, TICK);
        Ok(Self {
            source: Box::new(source),
            sink: Box::new(sink),
            inbound: Inbound {
                jitter: JitterBuffer::new(config.jitter),
                payload_type: config.receive_payload_type,
                decoded: Vec::new(),
                ready: Vec::new(),
                resampler: Resampler::new(codec.sample_rate, rate)?,
                tick_samples: per_tick,
                rates: (codec.clock_rate, codec.sample_rate),
                now: None,
                concealed: 0,
                discarded: 0,
                loudness: Loudness::default(),
            },
            outbound: Outbound {
                payload_type: config.send_payload_type,
                frame_samples: per_tick * ticks,
                tick_samples: per_tick,
                rates: (codec.clock_rate, codec.sample_rate),
                waiting: Vec::new(),
                payload: Vec::new(),
                resampler: Resampler::new(rate, codec.sample_rate)?,
                taken: 0,
                silence: config.silence,
                quiet: 0,
                is_speaking: false,
                was_pushed: true,
            },
            codec: config.codec,
            next_report: None,
            has_ended: false,
            stats: TrackStats::default(),
        })
    }

    /// Counts what has come and gone.
    pub fn stats(&self) -> TrackStats {
        self.stats
    }

    /// Reports once a second what became of the inbound frames.
    fn report(&mut self, now: Instant) {
        match self.next_report {
            None => self.next_report = Some(now + REPORT),
            Some(due) if now >= due => {
                self.next_report = Some(now + REPORT);
                self.sink.report(self.inbound.report());
            }
            Some(_) => {}
        }
    }
}

impl AudioPort for Track {
    fn begin(&mut self, now: Instant) {
        self.outbound.tick();
        self.inbound.now = Some(now);
        loop {
            match self.source.receive() {
                Received::Frame(frame) => {
                    self.stats.received += 1;
                    let is_foreign = !self.inbound.push(frame);
                    self.stats.foreign += u64::from(is_foreign);
                }
                Received::Nothing => break,
                Received::End => {
                    self.has_ended = true;
                    break;
                }
            }
        }
        self.report(now);
    }

    fn pull(&mut self, samples: &mut [i16]) {
        let codec = self.codec.as_mut();
        self.inbound.pull(samples, codec, &mut self.stats);
    }

    fn push(&mut self, samples: &[i16]) {
        let codec = self.codec.as_mut();
        self.outbound
            .push(samples, codec, self.sink.as_mut(), &mut self.stats);
    }

    fn is_finished(&self) -> bool {
        self.has_ended
    }
}

impl std::fmt::Debug for Track {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Track")
            .field("codec", &self.codec)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

/// Is the way from the network to the bridge.
struct Inbound {
    jitter: JitterBuffer,
    payload_type: u8,
    /// One frame's samples at the codec's rate.
    decoded: Vec<i16>,
    /// Samples at the mixer's rate that were not pulled yet.
    ready: Vec<i16>,
    resampler: Resampler,
    /// Samples of a tick at the codec's rate.
    tick_samples: usize,
    /// The RTP clock rate, and the codec's sample rate.
    rates: (u32, u32),
    /// The time of this tick.
    now: Option<Instant>,
    /// Samples made up since the last report.
    concealed: u64,
    /// What the jitter buffer had discarded at the last report.
    discarded: u64,
    loudness: Loudness,
}

impl Inbound {
    /// Takes a frame; false if there is nothing in it for our codec.
    fn push(&mut self, mut frame: Frame) -> bool {
        let is_ours = frame.payload_type == self.payload_type && !frame.payload.is_empty();
        if !is_ours {
            // Its place in the sequence must not look like a loss.
            frame.payload.clear();
        }
        self.jitter.push(frame);
        is_ours
    }

    fn pull(&mut self, samples: &mut [i16], codec: &mut dyn Codec, stats: &mut TrackStats) {
        while self.ready.len() < samples.len() {
            self.decode(codec, stats);
        }
        samples.copy_from_slice(&self.ready[..samples.len()]);
        self.ready.drain(..samples.len());
        self.loudness.add(samples);
    }

    /// Appends the sound of one frame, or of the time of one.
    fn decode(&mut self, codec: &mut dyn Codec, stats: &mut TrackStats) {
        self.decoded.clear();
        match self.now.map(|now| self.jitter.pull(now)) {
            Some(Playout::Play(frame)) => {
                codec.decode(&frame.payload, &mut self.decoded);
                stats.played += 1;
            }
            Some(Playout::Shorten { frame, units }) => {
                codec.decode(&frame.payload, &mut self.decoded);
                stats.played += 1;
                let most = self.samples(units) as usize;
                shorten(&mut self.decoded, self.rates.1, most);
            }
            Some(Playout::Conceal { units }) => {
                let count = self.samples(units);
                codec.conceal(count as usize, &mut self.decoded);
                stats.concealed += count;
                self.concealed += count;
            }
            Some(Playout::Silence) | None => {}
        }
        if self.decoded.is_empty() {
            // Silence for as short as possible: the next frame may be due by then.
            self.decoded.resize(self.tick_samples, 0);
        }
        self.resampler.process(&self.decoded, &mut self.ready);
    }

    /// Units of the RTP clock in samples of the codec.
    fn samples(&self, units: u32) -> u64 {
        let (clock_rate, sample_rate) = self.rates;
        u64::from(units) * u64::from(sample_rate) / u64::from(clock_rate)
    }

    fn report(&mut self) -> PlayoutReport {
        let statistics = self.jitter.statistics();
        let discarded = statistics.discarded + statistics.late + statistics.duplicates;
        let before = std::mem::replace(&mut self.discarded, discarded);
        let concealed = std::mem::take(&mut self.concealed);
        let (_, sample_rate) = self.rates;
        PlayoutReport {
            discarded: discarded - before,
            concealed: Duration::from_secs_f64(concealed as f64 / f64::from(sample_rate)),
            delay: statistics.delay,
            level: self.loudness.take(),
        }
    }
}

/// Is the way from the bridge to the network.
struct Outbound {
    payload_type: u8,
    /// Samples of a frame, and of a tick, at the codec's rate.
    frame_samples: usize,
    tick_samples: usize,
    /// The RTP clock rate, and the codec's sample rate.
    rates: (u32, u32),
    /// Samples at the codec's rate that do not make a frame yet.
    waiting: Vec<i16>,
    /// Lent to the encoder.
    payload: Vec<u8>,
    resampler: Resampler,
    /// Samples, sent or passed in silence, before those that wait.
    taken: u64,
    /// The level below which there is nothing to hear, in dBFS.
    silence: Option<f64>,
    /// Samples since there was anything to hear.
    quiet: u64,
    /// The last tick belonged to a run of speech that has been sent.
    is_speaking: bool,
    was_pushed: bool,
}

impl Outbound {
    /// Begins a tick; a tick without a push was silence.
    fn tick(&mut self) {
        if !self.was_pushed {
            self.taken += (self.waiting.len() + self.tick_samples) as u64;
            self.waiting.clear();
            self.is_speaking = false;
        }
        self.was_pushed = false;
    }

    fn push(
        &mut self,
        samples: &[i16],
        codec: &mut dyn Codec,
        sink: &mut dyn FrameSink,
        stats: &mut TrackStats,
    ) {
        self.was_pushed = true;
        self.resampler.process(samples, &mut self.waiting);
        while self.waiting.len() >= self.frame_samples {
            if self.is_silent() {
                stats.silent += 1;
                self.is_speaking = false;
                self.pass();
                continue;
            }
            self.payload.clear();
            codec.encode(&self.waiting[..self.frame_samples], &mut self.payload);
            let frame = Encoded {
                payload_type: self.payload_type,
                marker: !self.is_speaking,
                timestamp: self.timestamp(),
                payload: Bytes::copy_from_slice(&self.payload),
            };
            if sink.send(frame) {
                stats.sent += 1;
            } else {
                stats.dropped += 1;
            }
            self.is_speaking = true;
            self.pass();
        }
    }

    /// Lets go of the first frame that waits.
    fn pass(&mut self) {
        self.waiting.drain(..self.frame_samples);
        self.taken += self.frame_samples as u64;
    }

    /// Says whether the first frame that waits belongs to a pause, which begins a moment after the last
    /// sound, so that the ends of words are heard.
    fn is_silent(&mut self) -> bool {
        let Some(threshold) = self.silence else {
            return false;
        };
        match measure::level(&self.waiting[..self.frame_samples]) < threshold {
            true => self.quiet += self.frame_samples as u64,
            false => self.quiet = 0,
        }
        let (_, sample_rate) = self.rates;
        self.quiet > samples_in(sample_rate, HANGOVER) as u64
    }

    /// Returns the media clock at the first sample that waits.
    fn timestamp(&self) -> u32 {
        let (clock_rate, sample_rate) = self.rates;
        // A clock of 32 bits wraps.
        (self.taken * u64::from(clock_rate) / u64::from(sample_rate)) as u32
    }
}

/// Gathers the level of what is played between two reports.
#[derive(Default)]
struct Loudness {
    energy: f64,
    samples: u64,
}

impl Loudness {
    fn add(&mut self, samples: &[i16]) {
        // At most 480 squares of 30 bits: the sum fits.
        let sum: i64 = samples.iter().map(|&s| i64::from(s) * i64::from(s)).sum();
        self.energy += sum as f64;
        self.samples += samples.len() as u64;
    }

    /// Returns the level in −dBov and starts anew.
    fn take(&mut self) -> u8 {
        let Self { energy, samples } = std::mem::take(self);
        if energy == 0.0 {
            return SILENT;
        }
        let level = measure::decibels(energy / samples as f64 / 32_768f64.powi(2));
        // The cast saturates at both ends.
        (-level.round()).min(f64::from(SILENT)) as u8
    }
}

/// How long it must be quiet before nothing is sent.
const HANGOVER: Duration = Duration::from_millis(240);
const REPORT: Duration = Duration::from_secs(1);
/// The longest outbound frame, 200 ms (RFC 3551, 4.2), in ticks.
const MAX_TICKS: u128 = 20;
/// RFC 6464, 3.
const SILENT: u8 = 127;

#[cfg(test)]
mod tests;
