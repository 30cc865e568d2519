use super::*;
use crate::mixer::{Mixer, PortSettings};
use crate::speech::{self, Voice};
use crate::wave::{Player, PlayerOptions};
use crate::{BridgeId, PortId, Sound, codec, tone};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex};

/// Keeps what it hears.
struct Ear(Arc<Mutex<Vec<i16>>>);

impl AudioPort for Ear {
    fn pull(&mut self, samples: &mut [i16]) {
        samples.fill(0);
    }

    fn push(&mut self, samples: &[i16]) {
        self.0.lock().unwrap().extend(samples);
    }
}

/// Sends frames and reports where the test can read them.
struct Driver {
    frames: Sender<Encoded>,
    reports: Sender<PlayoutReport>,
    has_room: Arc<Mutex<bool>>,
}

impl FrameSink for Driver {
    fn send(&mut self, frame: Encoded) -> bool {
        let has_room = *self.has_room.lock().unwrap();
        if has_room {
            self.frames.send(frame).unwrap();
        }
        has_room
    }

    fn report(&mut self, report: PlayoutReport) {
        self.reports.send(report).unwrap();
    }
}

/// Is one end of a call: a mixer with a bridge, in it a track and an ear.
struct End {
    mixer: Mixer,
    bridge: BridgeId,
    track: PortId,
    heard: Arc<Mutex<Vec<i16>>>,
    arriving: Option<Sender<Frame>>,
    frames: Receiver<Encoded>,
    reports: Receiver<PlayoutReport>,
    has_room: Arc<Mutex<bool>>,
}

impl End {
    /// Its delay never shrinks: what is tested is what is played, sample by sample.
    fn new(rate: u32, name: &str, frame_length: Duration) -> Self {
        let codec = codec::open(name, 8_000, 1).unwrap();
        let mut config = TrackConfig::new(codec, 96, 96);
        config.frame_length = frame_length;
        config.jitter.least = config.jitter.depth;
        Self::with(rate, config)
    }

    fn with(rate: u32, config: TrackConfig) -> Self {
        let mut mixer = Mixer::new(rate).unwrap();
        let bridge = mixer.open_bridge();
        let (arriving, source) = channel();
        let (frames, sent) = channel();
        let (reports, reported) = channel();
        let has_room = Arc::new(Mutex::new(true));
        let driver = Driver {
            frames,
            reports,
            has_room: Arc::clone(&has_room),
        };
        let track = mixer
            .add(Track::new(rate, config, source, driver).unwrap())
            .unwrap();
        let heard = Arc::default();
        let ear = mixer.add(Ear(Arc::clone(&heard))).unwrap();
        mixer.join(bridge, track).unwrap();
        mixer.join(bridge, ear).unwrap();
        Self {
            mixer,
            bridge,
            track,
            heard,
            arriving: Some(arriving),
            frames: sent,
            reports: reported,
            has_room,
        }
    }

    fn play(&mut self, sound: &Sound) {
        let rate = self.mixer.rate();
        let mut player = Player::new(sound, rate, PlayerOptions::default()).unwrap();
        player.start().unwrap();
        let player = self.mixer.add(player).unwrap();
        self.mixer.join(self.bridge, player).unwrap();
    }

    fn heard(&self) -> Sound {
        Sound::new(self.mixer.rate(), self.heard.lock().unwrap().clone())
    }

    fn stats(&mut self) -> TrackStats {
        self.mixer.port::<Track>(self.track).unwrap().stats()
    }
}

/// Carries frames one way, with a delay of 20 ms and faults.
struct Link {
    /// Of a thousand frames.
    loss: u32,
    lost: u64,
    jitter: Duration,
    random: u32,
    sequence: u64,
    flying: BTreeMap<(Instant, u64), Frame>,
}

impl Link {
    fn new(loss: u32, jitter_ms: u64) -> Self {
        Self {
            loss,
            lost: 0,
            jitter: Duration::from_millis(jitter_ms),
            random: 7,
            sequence: 65_530,
            flying: BTreeMap::new(),
        }
    }

    fn random(&mut self, limit: u32) -> u32 {
        self.random = self
            .random
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        (self.random >> 8) % limit.max(1)
    }

    fn carry(&mut self, now: Instant, from: &End, to: &End) {
        for frame in from.frames.try_iter() {
            self.sequence += 1;
            if self.random(1_000) < self.loss {
                self.lost += 1;
                continue;
            }
            let jitter = self.random(self.jitter.as_micros() as u32);
            let arrived = now + Duration::from_millis(20) + Duration::from_micros(jitter.into());
            let frame = Frame {
                payload_type: frame.payload_type,
                marker: frame.marker,
                sequence: self.sequence,
                timestamp: frame.timestamp.wrapping_add(0xffff_fff0),
                ssrc: 1,
                arrived,
                payload: frame.payload,
            };
            self.flying.insert((arrived, self.sequence), frame);
        }
        let later = self.flying.split_off(&(now, u64::MAX));
        for frame in std::mem::replace(&mut self.flying, later).into_values() {
            if let Some(arriving) = &to.arriving {
                arriving.send(frame).unwrap();
            }
        }
    }
}

/// Lets one end speak to the other over a link.
fn call(from: &mut End, to: &mut End, link: &mut Link, sent: &Sound) {
    from.play(sent);
    run(
        from,
        to,
        link,
        Instant::now(),
        sent.duration() + Duration::from_millis(500),
    );
}

fn run(from: &mut End, to: &mut End, link: &mut Link, start: Instant, length: Duration) {
    let mut now = start;
    while now < start + length {
        from.mixer.tick(now);
        link.carry(now, from, to);
        to.mixer.tick(now);
        now += TICK;
    }
}

const FRAME: Duration = Duration::from_millis(20);

fn pair(name: &str) -> (End, End) {
    (End::new(8_000, name, FRAME), End::new(8_000, name, FRAME))
}

fn compare(sent: &Sound, heard: &Sound) -> measure::Comparison {
    measure::compare(sent, heard, 8_000).unwrap()
}

/// AUT-01: codec and jitter buffer between the packets of a stream and a bridge.
#[test]
fn speech_arrives() {
    for (name, voice) in [("PCMU", Voice::Alice), ("PCMA", Voice::Bob)] {
        let sent = speech::utterance(voice, 8_000);
        let (mut from, mut to) = pair(name);
        call(&mut from, &mut to, &mut Link::new(0, 0), &sent);
        let result = compare(&sent, &to.heard());
        assert!(result.is_faithful(), "{result:?}");
        assert!(
            result.heard.share() == 1.0 && result.sent.share() == 1.0,
            "{result:?}"
        );
        assert_eq!(to.stats().concealed, 0);
        // What was sent last may be on its way still.
        assert!(from.stats().sent - to.stats().received <= 2);
    }
}

#[test]
fn the_wrong_law_is_heard() {
    let sent = speech::utterance(Voice::Alice, 8_000);
    let mut from = End::new(8_000, "PCMU", FRAME);
    let mut to = End::new(8_000, "PCMA", FRAME);
    call(&mut from, &mut to, &mut Link::new(0, 0), &sent);
    let result = compare(&sent, &to.heard());
    assert!(
        !result.is_faithful() && result.heard.share() < 0.5,
        "{result:?}"
    );
}

#[test]
fn reordering_within_the_buffer_is_not_heard() {
    let sent = speech::utterance(Voice::Alice, 8_000);
    let (mut from, mut to) = pair("PCMU");
    call(&mut from, &mut to, &mut Link::new(0, 35), &sent);
    let result = compare(&sent, &to.heard());
    assert!(
        result.is_faithful() && result.heard.share() == 1.0,
        "{result:?}"
    );
    assert_eq!(to.stats().concealed, 0);
}

#[test]
fn delay_that_a_steady_network_does_not_need_is_given_up_unheard() {
    let sent = speech::utterance(Voice::Alice, 8_000);
    let config = || {
        let codec = codec::open("PCMU", 8_000, 1).unwrap();
        let mut config = TrackConfig::new(codec, 96, 96);
        config.jitter.least = Duration::ZERO;
        config
    };
    let (mut from, mut to) = (End::with(8_000, config()), End::with(8_000, config()));
    call(&mut from, &mut to, &mut Link::new(0, 0), &sent);
    let result = compare(&sent, &to.heard());
    assert!(
        result.is_faithful() && result.heard.share() > 0.95,
        "{result:?}"
    );
    let delays: Vec<Duration> = to.reports.try_iter().map(|report| report.delay).collect();
    assert!(delays.last() <= Some(&TICK), "{delays:?}");
    assert_eq!(to.stats().concealed, 0);
}

#[test]
fn some_loss_is_concealed() {
    for (voice, name) in [(Voice::Alice, "PCMU"), (Voice::Bob, "PCMA")] {
        let sent = speech::utterance(voice, 8_000);
        let (mut from, mut to) = pair(name);
        let mut link = Link::new(20, 35);
        call(&mut from, &mut to, &mut link, &sent);
        assert!(link.lost > 2);
        assert_eq!(to.stats().concealed, link.lost * 160);
        let lost = link.lost;
        let result = compare(&sent, &to.heard());
        assert!(result.is_faithful(), "{lost} lost: {result:?}");
    }
}

#[test]
fn losses_leave_no_holes() {
    let sent = tone::sine(8_000, 300.0, -20.0, Duration::from_secs(5));
    let (mut from, mut to) = pair("PCMU");
    let mut link = Link::new(50, 0);
    call(&mut from, &mut to, &mut link, &sent);
    assert!(link.lost > 5);
    let heard = to.heard().samples;
    let start = heard
        .iter()
        .position(|&sample| sample.abs() > 2_000)
        .unwrap();
    for window in heard[start..start + 38_400].chunks(80) {
        assert!(measure::level(window) > -28.0, "{}", measure::level(window));
    }
}

#[test]
fn mixers_of_other_rates_speak_to_each_other() {
    let sent = speech::utterance(Voice::Bob, 8_000);
    let mut from = End::new(48_000, "PCMA", FRAME);
    let mut to = End::new(16_000, "PCMA", Duration::from_millis(30));
    call(&mut from, &mut to, &mut Link::new(0, 0), &sent);
    let result = compare(&sent, &to.heard());
    assert!(
        result.is_faithful() && result.heard.share() > 0.97,
        "{result:?}"
    );
}

#[test]
fn frames_have_the_length_asked_for() {
    for (asked, samples) in [(0, 80), (10, 80), (24, 160), (30, 240), (5_000, 1_600)] {
        let mut end = End::new(8_000, "PCMU", Duration::from_millis(asked));
        let now = Instant::now();
        for tick in 0..41 {
            end.mixer.tick(now + TICK * tick);
        }
        let frames: Vec<Encoded> = end.frames.try_iter().collect();
        assert_eq!(frames.len(), 41 * 80 / samples);
        for (frame, number) in frames.iter().zip(0..) {
            assert_eq!(frame.payload.len(), samples);
            assert_eq!(frame.timestamp, number * samples as u32);
            assert_eq!(frame.marker, number == 0);
            assert_eq!(frame.payload_type, 96);
        }
    }
}

#[test]
fn silence_moves_the_clock_and_marks_the_return() {
    // RFC 3551, 4.1.
    let mut end = End::new(8_000, "PCMU", FRAME);
    let deaf = PortSettings {
        hears: false,
        ..PortSettings::default()
    };
    let mut now = Instant::now();
    for tick in 0..30 {
        match tick {
            // In the middle of a frame.
            5 => end.mixer.set(end.track, deaf).unwrap(),
            10 => end.mixer.set(end.track, PortSettings::default()).unwrap(),
            20 => end.mixer.leave(end.bridge, end.track).unwrap(),
            22 => end.mixer.join(end.bridge, end.track).unwrap(),
            _ => {}
        }
        end.mixer.tick(now);
        now += TICK;
    }
    let frames: Vec<(u32, bool)> = end
        .frames
        .try_iter()
        .map(|frame| (frame.timestamp / 80, frame.marker))
        .collect();
    let speaking = |from: u32, to: u32| (from..to).step_by(2).map(move |tick| (tick, tick == from));
    let expected: Vec<_> = speaking(0, 4)
        .chain(speaking(10, 20))
        .chain(speaking(22, 30))
        .collect();
    assert_eq!(frames, expected);
}

#[test]
fn a_full_sink_drops_the_newest_and_counts() {
    let mut end = End::new(8_000, "PCMU", FRAME);
    let now = Instant::now();
    for tick in 0..20 {
        *end.has_room.lock().unwrap() = tick < 10;
        end.mixer.tick(now + TICK * tick);
    }
    let stats = end.stats();
    assert_eq!((stats.sent, stats.dropped), (5, 5));
    let (mut bounded, _receiver) = sync_channel(1);
    let frame = end.frames.recv().unwrap();
    assert!(FrameSink::send(&mut bounded, frame.clone()));
    assert!(!FrameSink::send(&mut bounded, frame));
}

#[test]
fn foreign_frames_are_neither_decoded_nor_missing() {
    let (mut from, mut to) = pair("PCMU");
    let mut link = Link::new(0, 0);
    let start = Instant::now();
    from.play(&speech::utterance(Voice::Bob, 8_000));
    let second = Duration::from_secs(1);
    run(&mut from, &mut to, &mut link, start, second);
    for frame in link.flying.values_mut() {
        frame.payload_type = 101;
    }
    let foreign = link.flying.len() as u64;
    run(&mut from, &mut to, &mut link, start + second, second);
    assert!(foreign > 0);
    assert_eq!(to.stats().foreign, foreign);
    assert_eq!(to.stats().concealed, 0);
}

#[test]
fn every_second_is_reported() {
    let sent = speech::utterance(Voice::Alice, 8_000);
    let (mut from, mut to) = pair("PCMU");
    call(&mut from, &mut to, &mut Link::new(50, 0), &sent);
    let reports: Vec<PlayoutReport> = to.reports.try_iter().collect();
    assert_eq!(reports.len(), 6);
    let concealed: Duration = reports.iter().map(|report| report.concealed).sum();
    assert!(concealed >= FRAME && concealed < Duration::from_secs(1));
    // About −20 dBFS while speaking.
    assert!(
        reports
            .iter()
            .all(|report| (12..=35).contains(&report.level))
    );
    assert!(
        reports
            .iter()
            .all(|report| report.delay <= Duration::from_millis(200))
    );
    // Nobody speaks to the other end.
    let reports: Vec<PlayoutReport> = from.reports.try_iter().collect();
    assert!(reports.iter().all(|report| report.level == 127));
    assert_eq!(reports.len(), 6);
}

#[test]
fn a_track_whose_source_ends_leaves_the_mixer() {
    let mut end = End::new(8_000, "PCMU", FRAME);
    let now = Instant::now();
    end.mixer.tick(now);
    end.arriving = None;
    end.mixer.tick(now + TICK);
    assert!(end.mixer.port::<Track>(end.track).is_none());
}

/// AUT-11: pauses are not sent if that is wished for, the end of a word is, and the clock goes on.
#[test]
fn aut_11_pauses_are_not_sent_if_that_is_wished_for() {
    let pause = Duration::from_secs(2);
    let word = || tone::sine(8_000, 440.0, -20.0, Duration::from_millis(500));
    let mut samples = word().samples;
    samples.extend(Sound::silence(8_000, pause).samples);
    samples.extend(word().samples);
    let sound = Sound::new(8_000, samples);
    for silence in [None, Some(-50.0)] {
        let mut config = TrackConfig::new(codec::open("PCMU", 8_000, 1).unwrap(), 96, 96);
        config.silence = silence;
        let mut end = End::with(8_000, config);
        end.play(&sound);
        let start = Instant::now();
        let mut frames = Vec::new();
        for tick in 0..300 {
            end.mixer.tick(start + TICK * tick);
            frames.extend(end.frames.try_iter());
        }
        let marked: Vec<u32> = frames
            .iter()
            .filter(|frame| frame.marker)
            .map(|frame| frame.timestamp)
            .collect();
        let stats = end.stats();
        if silence.is_none() {
            assert_eq!((marked, stats.silent), (vec![0], 0));
            continue;
        }
        assert!(marked.len() == 2 && marked[0] == 0, "{marked:?}");
        assert!((19_000..=20_160).contains(&marked[1]), "{marked:?}");
        // Of three seconds two, without the moments after each word.
        assert!((80..=92).contains(&stats.silent), "{stats:?}");
        assert_eq!(stats.sent + stats.silent, 150, "{stats:?}");
    }
}

/// AUS-05, AUS-06: a recorder in the bridge of a stream writes what is heard in it, and nothing while the stream
/// is held.
#[test]
fn aus_05_and_aus_06_a_recorder_hears_the_stream_and_pauses_on_hold() {
    let directory = std::env::temp_dir().join(format!("audio-track-{}", std::process::id()));
    let path = directory.join("call.wav");
    let (mut from, mut to) = pair("PCMU");
    let mut recorder = crate::wave::Recorder::new(&path, 8_000);
    recorder.start().unwrap();
    let recorder = to.mixer.add(recorder).unwrap();
    to.mixer.join(to.bridge, recorder).unwrap();
    let second = Duration::from_secs(1);
    from.play(&tone::sine(8_000, 440.0, -20.0, second * 3));
    let mut link = Link::new(0, 0);
    let start = Instant::now();
    for (round, is_held) in [false, true, false].into_iter().enumerate() {
        let port = to.mixer.port::<crate::wave::Recorder>(recorder).unwrap();
        match is_held {
            true => port.pause(),
            false => port.resume(),
        }
        let at = start + second * round as u32;
        run(&mut from, &mut to, &mut link, at, second);
    }
    let port = to.mixer.port::<crate::wave::Recorder>(recorder).unwrap();
    port.stop().unwrap();
    let written = crate::wave::read(&path).unwrap();
    assert_eq!(written.duration(), second * 2);
    // All but the way there is sound.
    assert!(written.level() > -24.0, "{}", written.level());
    std::fs::remove_dir_all(directory).unwrap();
}
