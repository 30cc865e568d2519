//! What is said and heard in calls: the mixer, files, tones, and what can be told about it.

use crate::{
    options::MediaOptions,
    outcome::{Exit, Failure},
    recording,
    runtime::{FrameReceiver, FrameSender, Runtime},
};
use audio::{
    AudioPort, BridgeId, Engine, Mixer, PortId, Sound, Track, codec,
    frame::{Encoded, FrameSink, FrameSource, Received},
    measure,
    tone::Tone,
    track::TrackConfig,
    wave::{self, Player, PlayerOptions},
};
use serde_json::Value;
use sipsimple::{
    agent::{MediaFrame, StreamId},
    stream::audio::{AudioFormat, AudioStream},
};
use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    time::Duration,
};

/// The audio of all calls of one agent.
pub(crate) struct Media {
    engine: Engine,
    source: Source,
    record: Option<PathBuf>,
    /// How long speech waits for late packets.
    patience: Option<Duration>,
    recorded: u32,
    calls: BTreeMap<StreamId, Call>,
}

/// What every call says.
enum Source {
    Tone,
    Sound { sound: Sound, rounds: u32 },
    Echo,
}

/// The ports of one call.
struct Call {
    format: AudioFormat,
    said: BridgeId,
    heard: BridgeId,
    track: PortId,
    /// What is said in it, once anything is.
    speaker: Option<PortId>,
    meter: PortId,
    recorder: Option<PortId>,
}

/// What was heard in a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hearing {
    /// RMS in dBFS over the last ten seconds.
    rms: f64,
    dominant_hz: Option<f64>,
    /// How long anything above silence was heard.
    pub(crate) audible: Duration,
}

impl Media {
    pub(crate) fn new(options: &MediaOptions) -> Result<Self, Failure> {
        let source = match &options.play {
            Some(path) => Source::Sound {
                sound: wave::read(path)
                    .map_err(|error| Failure::new(Exit::Configuration, error.to_string()))?,
                rounds: u32::from(!options.repeat),
            },
            None if options.echo => Source::Echo,
            None => Source::Tone,
        };
        Self::with(source, options.record.clone(), None)
    }

    /// Says `sound` once, and keeps what is heard in a file. Nobody talks back, so that speech may wait
    /// long: what a busy machine delivers late is late, but not lost.
    pub(crate) fn saying(sound: Sound, record: &Path) -> Result<Self, Failure> {
        let source = Source::Sound { sound, rounds: 1 };
        Self::with(source, Some(record.to_owned()), Some(PATIENCE))
    }

    fn with(
        source: Source,
        record: Option<PathBuf>,
        patience: Option<Duration>,
    ) -> Result<Self, Failure> {
        let internal =
            |error: &dyn std::fmt::Display| Failure::new(Exit::Internal, format!("audio: {error}"));
        let mixer = Mixer::new(RATE).map_err(|error| internal(&error))?;
        Ok(Self {
            engine: Engine::start(mixer).map_err(|error| internal(&error))?,
            source,
            record,
            patience,
            recorded: 0,
            calls: BTreeMap::new(),
        })
    }

    /// Hears a stream that runs and speaks in it.
    pub(crate) fn attach(&mut self, runtime: &Runtime, stream: StreamId) -> Result<(), Failure> {
        self.listen(runtime, stream)?;
        let Some(call) = self
            .calls
            .get(&stream)
            .filter(|call| call.speaker.is_none())
        else {
            return Ok(());
        };
        let speaker = self
            .speaker(call.said)
            .map_err(|error| Failure::new(Exit::Media, error))?;
        if let Some(call) = self.calls.get_mut(&stream) {
            call.speaker = Some(speaker);
        }
        Ok(())
    }

    /// Hears a stream that runs; one that runs in another format than before is connected anew, and goes
    /// on to speak if it did.
    pub(crate) fn listen(&mut self, runtime: &Runtime, stream: StreamId) -> Result<(), Failure> {
        let format = runtime.call(move |agent, _| {
            agent
                .stream::<AudioStream>(stream)
                .and_then(AudioStream::format)
        });
        let Some(Some(format)) = format else {
            return Ok(());
        };
        if self
            .calls
            .get(&stream)
            .is_some_and(|call| call.format == format)
        {
            return Ok(());
        }
        let spoke = self
            .calls
            .get(&stream)
            .is_some_and(|call| call.speaker.is_some());
        self.detach(runtime, stream);
        let connected = self.connect(runtime, stream, format).and_then(|mut call| {
            if spoke {
                call.speaker = Some(self.speaker(call.said)?);
            }
            Ok(call)
        });
        let call = connected.map_err(|error| Failure::new(Exit::Media, error))?;
        self.calls.insert(stream, call);
        Ok(())
    }

    /// Somebody holds, or does no more: a recording leaves that out.
    pub(crate) fn hold(&self, runtime: &Runtime, stream: StreamId) {
        if let Some(recorder) = self.calls.get(&stream).and_then(|call| call.recorder) {
            recording::follow(runtime, &self.engine, stream, recorder);
        }
    }

    /// What is said, to a bridge.
    fn speaker(&self, said: BridgeId) -> Result<PortId, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let bridges = &[said];
        let attached = match &self.source {
            Source::Tone => self
                .engine
                .attach(Tone::new(RATE, TONE_HZ, TONE_LEVEL), bridges),
            Source::Echo => self.engine.attach(Echo::default(), bridges),
            Source::Sound { sound, rounds } => {
                let options = PlayerOptions {
                    loop_count: *rounds,
                    ..PlayerOptions::default()
                };
                let mut player = Player::new(sound, RATE, options).map_err(|error| text(&error))?;
                player.start().map_err(|error| text(&error))?;
                self.engine.attach(player, bridges)
            }
        };
        attached.map_err(|error| text(&error))
    }

    /// What was heard in a stream so far.
    pub(crate) fn hearing(&self, stream: StreamId) -> Option<Hearing> {
        let meter = self.calls.get(&stream)?.meter;
        let hearing = self
            .engine
            .call(move |mixer| mixer.port::<Meter>(meter).map(|meter| meter.hearing()));
        hearing.ok().flatten()
    }

    fn connect(
        &mut self,
        runtime: &Runtime,
        stream: StreamId,
        format: AudioFormat,
    ) -> Result<Call, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let codec = codec::open(&format.codec, format.sample_rate, format.channels)
            .ok_or_else(|| format!("no codec for {}", format.codec))?;
        let (sender, receiver) = runtime.frames(stream);
        let mut config =
            TrackConfig::new(codec, format.receive_payload_type, format.send_payload_type);
        config.frame_length = format.packet_time;
        if let Some(patience) = self.patience {
            config.jitter.depth = patience;
            config.jitter.least = patience;
            config.jitter.limit = 2 * patience;
        }
        let track = Track::new(RATE, config, Inbound(receiver), Outbound(sender))
            .map_err(|error| text(&error))?;
        let (said, heard) = self
            .engine
            .call(|mixer| (mixer.open_bridge(), mixer.open_bridge()))
            .map_err(|error| text(&error))?;
        // Two bridges, so that a recording has what is heard and not what is said.
        let track = self
            .engine
            .attach(track, &[said, heard])
            .map_err(|error| text(&error))?;
        let meter = self
            .engine
            .attach(Meter::default(), &[heard])
            .map_err(|error| text(&error))?;
        let recorder = match &self.record {
            Some(path) => {
                self.recorded += 1;
                let path = numbered(path, self.recorded);
                let recorder = recording::start(runtime, &self.engine, stream, path, heard)?;
                Some(recorder)
            }
            None => None,
        };
        Ok(Call {
            format,
            said,
            heard,
            track,
            speaker: None,
            meter,
            recorder,
        })
    }

    /// Disconnects all streams.
    pub(crate) fn detach_all(&mut self, runtime: &Runtime) {
        for stream in self.calls.keys().copied().collect::<Vec<_>>() {
            self.detach(runtime, stream);
        }
    }

    /// Disconnects a stream, completes its recording, and says what was heard.
    pub(crate) fn detach(&mut self, runtime: &Runtime, stream: StreamId) -> Option<Hearing> {
        let call = self.calls.remove(&stream)?;
        if let Some(recorder) = call.recorder {
            recording::stop(runtime, &self.engine, stream, recorder);
        }
        let hearing = self.engine.call(move |mixer| {
            let hearing = mixer.port::<Meter>(call.meter).map(|meter| meter.hearing());
            for port in call.speaker.into_iter().chain([call.track, call.meter]) {
                mixer.remove(port);
            }
            for bridge in [call.said, call.heard] {
                // It was open until here.
                let _ = mixer.close_bridge(bridge);
            }
            hearing
        });
        hearing.ok().flatten()
    }
}

/// Adds what was heard before the call was taken to a `media` object.
pub(crate) fn add_early(media: &mut Value, early: Option<Hearing>) {
    if let (Value::Object(fields), Some(early)) = (media, early) {
        let audible = (early.audible.as_secs_f64() * 10.0).round() / 10.0;
        fields.insert("early_audible_s".to_owned(), audible.into());
    }
}

/// Adds what was heard to a `media` object.
pub(crate) fn add_hearing(media: &mut Value, hearing: Option<Hearing>) {
    if let (Value::Object(fields), Some(hearing)) = (media, hearing) {
        let rounded = |value: f64| (value * 10.0).round() / 10.0;
        // JSON has no infinity: silence is the level of no sample at all.
        fields.insert(
            "received_rms".to_owned(),
            rounded(hearing.rms.max(SILENCE)).into(),
        );
        fields.insert(
            "received_dominant_hz".to_owned(),
            hearing.dominant_hz.map(rounded).into(),
        );
        fields.insert(
            "received_audible_s".to_owned(),
            rounded(hearing.audible.as_secs_f64()).into(),
        );
    }
}

/// The second recording of a name is `name-2.wav`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    if number <= 1 {
        return path.to_owned();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path
        .extension()
        .map(|extension| format!(".{}", extension.to_string_lossy()));
    path.with_file_name(format!("{stem}-{number}{}", extension.unwrap_or_default()))
}

struct Inbound(FrameReceiver);

impl FrameSource for Inbound {
    fn receive(&mut self) -> Received {
        match self.0.try_recv() {
            Ok(Some(frame)) => Received::Frame(frame),
            Ok(None) => Received::Nothing,
            Err(_) => Received::End,
        }
    }
}

struct Outbound(FrameSender);

impl FrameSink for Outbound {
    fn send(&mut self, frame: Encoded) -> bool {
        let mut out = MediaFrame::new(frame.payload_type, frame.timestamp, frame.payload);
        out.marker = frame.marker;
        self.0.send(out)
    }
}

/// Says what it hears.
#[derive(Default)]
struct Echo(VecDeque<i16>);

impl AudioPort for Echo {
    fn pull(&mut self, samples: &mut [i16]) {
        for sample in samples {
            *sample = self.0.pop_front().unwrap_or(0);
        }
    }

    fn push(&mut self, samples: &[i16]) {
        self.0.extend(samples);
        let surplus = self.0.len().saturating_sub(ECHO);
        self.0.drain(..surplus);
    }
}

/// Remembers the last seconds of what it hears.
#[derive(Default)]
struct Meter {
    samples: VecDeque<i16>,
    audible: Duration,
}

impl Meter {
    fn hearing(&self) -> Hearing {
        let samples: Vec<i16> = self.samples.iter().copied().collect();
        let sound = Sound::new(RATE, samples);
        Hearing {
            rms: sound.level(),
            dominant_hz: measure::dominant_frequency(&sound),
            audible: self.audible,
        }
    }
}

impl AudioPort for Meter {
    fn pull(&mut self, samples: &mut [i16]) {
        samples.fill(0);
    }

    fn push(&mut self, samples: &[i16]) {
        if measure::level(samples) > AUDIBLE {
            self.audible += Duration::from_secs_f64(samples.len() as f64 / f64::from(RATE));
        }
        // Silence before the first sound says nothing about the call.
        if self.audible > Duration::ZERO {
            self.samples.extend(samples);
        }
        let surplus = self.samples.len().saturating_sub(METER);
        self.samples.drain(..surplus);
    }
}

/// The mixer's rate, that of all codecs there are.
pub(crate) const RATE: u32 = 8_000;
/// Ten packets.
const PATIENCE: Duration = Duration::from_millis(200);
const TONE_HZ: f64 = 440.0;
const TONE_LEVEL: f64 = -20.0;
/// What counts as sound, in dBFS.
const AUDIBLE: f64 = -50.0;
const SILENCE: f64 = -99.9;
/// Ten seconds.
const METER: usize = 10 * RATE as usize;
/// A tenth of a second.
const ECHO: usize = RATE as usize / 10;
