use super::*;
use crate::speech::{self, Voice};
use crate::{Sound, measure, tone};
use std::sync::{Arc, Mutex};

const RATE: u32 = 8_000;

/// Says a constant, or a sound, and keeps what it hears.
struct Probe {
    says: Box<dyn Iterator<Item = i16> + Send>,
    heard: Arc<Mutex<Vec<i16>>>,
    is_finished: bool,
}

impl Probe {
    fn constant(value: i16) -> (Self, Arc<Mutex<Vec<i16>>>) {
        Self::new(std::iter::repeat(value))
    }

    fn new(says: impl Iterator<Item = i16> + Send + 'static) -> (Self, Arc<Mutex<Vec<i16>>>) {
        let heard = Arc::default();
        let probe = Self {
            says: Box::new(says),
            heard: Arc::clone(&heard),
            is_finished: false,
        };
        (probe, heard)
    }
}

impl AudioPort for Probe {
    fn pull(&mut self, samples: &mut [i16]) {
        samples.fill_with(|| self.says.next().unwrap_or(0));
    }

    fn push(&mut self, samples: &[i16]) {
        self.heard.lock().unwrap().extend(samples);
    }

    fn is_finished(&self) -> bool {
        self.is_finished
    }
}

struct Scene {
    mixer: Mixer,
    now: Instant,
}

impl Scene {
    fn new() -> Self {
        let mixer = Mixer::new(RATE).unwrap();
        let now = Instant::now();
        Self { mixer, now }
    }

    fn probe(&mut self, value: i16) -> (PortId, Arc<Mutex<Vec<i16>>>) {
        let (probe, heard) = Probe::constant(value);
        (self.mixer.add(probe).unwrap(), heard)
    }

    fn ticks(&mut self, count: u32) {
        for _ in 0..count {
            self.mixer.tick(self.now);
            self.now += TICK;
        }
    }
}

fn last(heard: &Arc<Mutex<Vec<i16>>>) -> Option<i16> {
    heard.lock().unwrap().last().copied()
}

/// ENG-32: what is joined hears and is heard; several form a conference.
#[test]
fn each_hears_all_others_and_never_itself() {
    // ABR-01.
    let mut scene = Scene::new();
    let bridge = scene.mixer.open_bridge();
    let ports: Vec<_> = [1, 20, 300].map(|value| scene.probe(value)).into();
    for (port, _) in &ports {
        scene.mixer.join(bridge, *port).unwrap();
    }
    scene.ticks(2);
    let heard: Vec<_> = ports.iter().map(|(_, heard)| last(heard)).collect();
    assert_eq!(heard, [Some(320), Some(301), Some(21)]);
    assert_eq!(ports[0].1.lock().unwrap().len(), 160);
}

#[test]
fn three_speakers_are_told_apart() {
    let mut scene = Scene::new();
    let bridge = scene.mixer.open_bridge();
    let length = Duration::from_secs(7);
    let sounds = [
        speech::utterance(Voice::Alice, RATE),
        speech::utterance(Voice::Bob, RATE),
        Sound::silence(RATE, length),
    ];
    let heard = sounds.clone().map(|sound| {
        let (probe, heard) = Probe::new(sound.samples.into_iter());
        let port = scene.mixer.add(probe).unwrap();
        scene.mixer.join(bridge, port).unwrap();
        heard
    });
    scene.ticks(700);
    let heard = heard.map(|heard| Sound::new(RATE, heard.lock().unwrap().clone()));
    let share =
        |sent: &Sound, heard: &Sound| measure::compare(sent, heard, RATE).unwrap().heard.share();
    assert_eq!(share(&sounds[1], &heard[0]), 1.0);
    assert_eq!(share(&sounds[0], &heard[1]), 1.0);
    let both: Vec<i16> = (0..56_000)
        .map(|n| sounds[0].samples.get(n).unwrap_or(&0) + sounds[1].samples[n])
        .collect();
    assert_eq!(heard[2].samples, both);
}

#[test]
fn loud_sums_saturate_and_are_counted() {
    let mut scene = Scene::new();
    let bridge = scene.mixer.open_bridge();
    let ports: Vec<_> = [30_000, 30_000, -30_000, -30_000, 0]
        .map(|value| scene.probe(value))
        .into();
    let (quiet, loud) = (&ports[4], &ports[..2]);
    for (port, _) in loud.iter().chain([quiet]) {
        scene.mixer.join(bridge, *port).unwrap();
    }
    scene.ticks(1);
    assert_eq!(last(&quiet.1), Some(i16::MAX));
    assert_eq!(scene.mixer.stats().clipped, 80);
    // Opposites cancel before anything is clipped.
    for (port, _) in &ports[2..4] {
        scene.mixer.join(bridge, *port).unwrap();
    }
    scene.ticks(1);
    assert_eq!(last(&quiet.1), Some(0));
    assert_eq!(last(&ports[0].1), Some(-30_000));
}

/// ENG-33: what has left is not heard any more.
#[test]
fn a_second_join_has_no_effect_and_strangers_cannot_leave() {
    // ABR-05, ABR-06.
    let mut scene = Scene::new();
    let bridge = scene.mixer.open_bridge();
    let (a, _) = scene.probe(1);
    let (b, heard) = scene.probe(2);
    scene.mixer.join(bridge, a).unwrap();
    scene.mixer.join(bridge, a).unwrap();
    assert_eq!(scene.mixer.leave(bridge, b), Err(BridgeError::NotMember));
    scene.mixer.join(bridge, b).unwrap();
    scene.ticks(1);
    assert_eq!(last(&heard), Some(1));
    scene.mixer.leave(bridge, a).unwrap();
    scene.ticks(1);
    assert_eq!(last(&heard), Some(0));
}

#[test]
fn nested_bridges_hear_each_other_once() {
    // ABR-02.
    let mut scene = Scene::new();
    let [inner, outer, third] = [(); 3].map(|()| scene.mixer.open_bridge());
    let ports: Vec<_> = [1, 20, 300, 4_000].map(|value| scene.probe(value)).into();
    scene.mixer.join(inner, ports[0].0).unwrap();
    scene.mixer.join(inner, ports[1].0).unwrap();
    scene.mixer.join(outer, ports[2].0).unwrap();
    scene.mixer.join(third, ports[3].0).unwrap();
    scene.mixer.join(outer, inner).unwrap();
    scene.mixer.join(outer, third).unwrap();
    scene.ticks(1);
    let heard: Vec<_> = ports
        .iter()
        .map(|(_, heard)| last(heard).unwrap())
        .collect();
    assert_eq!(heard, [4_320, 4_301, 4_021, 321]);
    scene.mixer.close_bridge(outer).unwrap();
    scene.ticks(1);
    let heard: Vec<_> = ports
        .iter()
        .map(|(_, heard)| last(heard).unwrap())
        .collect();
    // The port of the closed bridge hears nothing any more: its last sample is an old one.
    assert_eq!(heard, [20, 1, 4_021, 0]);
    assert_eq!(ports[2].1.lock().unwrap().len(), 80);
}

#[test]
fn cycles_are_refused_and_change_nothing() {
    // BUG-17.
    let mut scene = Scene::new();
    let [a, b, c] = [(); 3].map(|()| scene.mixer.open_bridge());
    let mixer = &mut scene.mixer;
    assert_eq!(mixer.join(a, a), Err(BridgeError::Cycle));
    mixer.join(a, b).unwrap();
    mixer.join(b, c).unwrap();
    assert_eq!(mixer.join(c, a), Err(BridgeError::Cycle));
    assert_eq!(mixer.join(a, c), Err(BridgeError::Cycle));
    assert_eq!(mixer.members(c).unwrap(), []);
    // A port on two floors of the same house would hear its echo.
    let (port, _) = scene.probe(1);
    scene.mixer.join(a, port).unwrap();
    assert_eq!(scene.mixer.join(c, port), Err(BridgeError::Cycle));
    let other = scene.mixer.open_bridge();
    scene.mixer.join(other, port).unwrap();
    assert_eq!(scene.mixer.join(c, other), Err(BridgeError::Cycle));
    scene.mixer.leave(a, b).unwrap();
    scene.mixer.join(c, other).unwrap();
}

#[test]
fn a_port_of_two_bridges_does_not_join_them() {
    let mut scene = Scene::new();
    let [left, right] = [(); 2].map(|()| scene.mixer.open_bridge());
    let (device, device_heard) = scene.probe(1);
    let (a, a_heard) = scene.probe(20);
    let (b, b_heard) = scene.probe(300);
    for (bridge, port) in [(left, a), (right, b), (left, device), (right, device)] {
        scene.mixer.join(bridge, port).unwrap();
    }
    scene.ticks(1);
    assert_eq!(last(&device_heard), Some(320));
    assert_eq!((last(&a_heard), last(&b_heard)), (Some(1), Some(1)));
}

/// AUS-04: a stream joins the bridges of its own mixer only.
#[test]
fn ports_of_other_mixers_are_strangers() {
    // ABR-07.
    let mut scene = Scene::new();
    let mut other = Scene::new();
    let bridge = scene.mixer.open_bridge();
    let (port, _) = other.probe(1);
    let (own, _) = scene.probe(1);
    assert_eq!(
        scene.mixer.join(bridge, port),
        Err(BridgeError::UnknownPort)
    );
    let stranger = other.mixer.open_bridge();
    assert_eq!(
        scene.mixer.join(stranger, own),
        Err(BridgeError::UnknownBridge)
    );
    assert_eq!(
        scene.mixer.join(bridge, stranger),
        Err(BridgeError::UnknownBridge)
    );
    assert_eq!(
        scene.mixer.close_bridge(stranger),
        Err(BridgeError::UnknownBridge)
    );
}

/// ENG-33: what has stopped leaves by itself.
#[test]
fn ports_that_are_gone_have_left() {
    // ABR-03.
    let mut scene = Scene::new();
    let bridge = scene.mixer.open_bridge();
    let (a, heard) = scene.probe(1);
    let (b, _) = scene.probe(2);
    let (c, _) = scene.probe(30);
    for port in [a, b, c] {
        scene.mixer.join(bridge, port).unwrap();
    }
    scene.mixer.port::<Probe>(b).unwrap().is_finished = true;
    assert!(scene.mixer.remove(c).is_some());
    scene.ticks(1);
    assert_eq!(last(&heard), Some(0));
    assert_eq!(scene.mixer.members(bridge).unwrap(), [Member::Port(a)]);
    assert!(scene.mixer.port::<Probe>(b).is_none());
    assert!(scene.mixer.port::<tone::Tone>(a).is_none());
    assert_eq!(scene.mixer.stats().ports, 1);
}

/// AUT-10: the volume of a port.
#[test]
fn settings_mute_and_scale() {
    // ADV-02, ADV-03, MIX-03.
    let mut scene = Scene::new();
    let bridge = scene.mixer.open_bridge();
    let (a, a_heard) = scene.probe(100);
    let (b, b_heard) = scene.probe(1_000);
    scene.mixer.join(bridge, a).unwrap();
    scene.mixer.join(bridge, b).unwrap();
    let quiet = PortSettings {
        spoken_volume: 50,
        heard_volume: 300,
        ..PortSettings::default()
    };
    scene.mixer.set(a, quiet).unwrap();
    scene.ticks(1);
    assert_eq!((last(&a_heard), last(&b_heard)), (Some(3_000), Some(50)));
    let mute = PortSettings {
        speaks: false,
        hears: false,
        ..PortSettings::default()
    };
    scene.mixer.set(a, mute).unwrap();
    assert_eq!(scene.mixer.settings(a), Some(mute));
    scene.ticks(1);
    assert_eq!(last(&b_heard), Some(0));
    assert_eq!(a_heard.lock().unwrap().len(), 80);
}

/// ENG-21: the sample rate is chosen once, when the mixer is made; ticks are 10 ms of it.
#[test]
fn rates_of_whole_milliseconds_only() {
    for rate in [0, 7_900, 8_050, 96_000] {
        assert_eq!(Mixer::new(rate).unwrap_err(), RateError(rate));
    }
    for rate in [8_000, 16_000, 32_000, 44_100, 48_000] {
        let mut mixer = Mixer::new(rate).unwrap();
        let (probe, heard) = Probe::constant(7);
        let port = mixer.add(probe).unwrap();
        let bridge = mixer.open_bridge();
        mixer.join(bridge, port).unwrap();
        mixer.tick(Instant::now());
        assert_eq!(heard.lock().unwrap().len(), rate as usize / 100);
    }
}
