//! What audio costs: companding, mixing, whole tracks.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use audio::codec::{self, Codec};
use audio::frame::Encoded;
use audio::mixer::TICK;
use audio::resample::Resampler;
use audio::speech::{self, Voice};
use audio::track::{Track, TrackConfig};
use audio::{AudioPort, Mixer, Sound};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

/// 20 ms of speech.
fn frame() -> Vec<i16> {
    speech::utterance(Voice::Alice, 8_000).samples[8_000..8_160].to_vec()
}

fn open(name: &str) -> Box<dyn Codec> {
    codec::open(name, 8_000, 1).expect("a codec of this crate")
}

#[divan::bench(args = ["PCMU", "PCMA"])]
fn g711_encode(bencher: Bencher<'_, '_>, name: &str) {
    let (samples, mut codec, mut payload) = (frame(), open(name), Vec::new());
    bencher.counter(ItemsCount::new(160usize)).bench_local(|| {
        payload.clear();
        codec.encode(black_box(&samples), &mut payload);
        payload.len()
    });
}

#[divan::bench(args = ["PCMU", "PCMA"])]
fn g711_decode(bencher: Bencher<'_, '_>, name: &str) {
    let (mut codec, mut payload, mut samples) = (open(name), Vec::new(), Vec::new());
    codec.encode(&frame(), &mut payload);
    bencher.counter(ItemsCount::new(160usize)).bench_local(|| {
        samples.clear();
        codec.decode(black_box(&payload), &mut samples);
        samples.len()
    });
}

#[divan::bench(args = [(8_000, 16_000), (48_000, 8_000), (44_100, 48_000)])]
fn resample_10_ms(bencher: Bencher<'_, '_>, (from, to): (u32, u32)) {
    let mut resampler = Resampler::new(from, to).expect("usual rates");
    let (input, mut output) = (vec![1_000i16; from as usize / 100], Vec::new());
    bencher.bench_local(|| {
        output.clear();
        resampler.process(black_box(&input), &mut output);
        output.len()
    });
}

/// Says always the same.
struct Speaker(Vec<i16>);

impl AudioPort for Speaker {
    fn pull(&mut self, samples: &mut [i16]) {
        samples.copy_from_slice(&self.0);
    }

    fn push(&mut self, samples: &[i16]) {
        black_box(samples);
    }
}

/// One tick of 10 ms with so many ports that all hear each other.
#[divan::bench(args = [2, 16, 100])]
fn mix(bencher: Bencher<'_, '_>, ports: u32) {
    let mut mixer = Mixer::new(16_000).expect("a usual rate");
    let bridge = mixer.open_bridge();
    for _ in 0..ports {
        let port = mixer.add(Speaker(vec![100; 160])).expect("room");
        mixer.join(bridge, port).expect("no cycle");
    }
    let mut now = Instant::now();
    bencher.counter(ItemsCount::new(ports)).bench_local(|| {
        now += TICK;
        mixer.tick(now);
    });
}

struct Call {
    arriving: SyncSender<rtp::Frame>,
    sent: Receiver<Encoded>,
}

/// Two ticks, 20 ms, of so many tracks in 50 calls of two: a frame in and a frame out for each.
#[divan::bench(args = [8_000, 16_000])]
fn tracks_100(bencher: Bencher<'_, '_>, rate: u32) {
    let mut mixer = Mixer::new(rate).expect("a usual rate");
    let mut calls = Vec::new();
    let mut bridge = mixer.open_bridge();
    for number in 0..100 {
        if number % 2 == 0 {
            bridge = mixer.open_bridge();
        }
        let (arriving, source) = sync_channel(10);
        let (sink, sent) = sync_channel(10);
        let config = TrackConfig::new(open("PCMU"), 0, 0);
        let track = Track::new(rate, config, source, sink).expect("usual rates");
        let port = mixer.add(track).expect("room");
        mixer.join(bridge, port).expect("no cycle");
        calls.push(Call { arriving, sent });
    }
    let mut payload = Vec::new();
    open("PCMU").encode(&frame(), &mut payload);
    let payload = bytes::Bytes::from(payload);
    let (mut now, mut sequence) = (Instant::now(), 0u64);
    bencher.counter(ItemsCount::new(100usize)).bench_local(|| {
        sequence += 1;
        for call in &calls {
            let frame = rtp::Frame {
                payload_type: 0,
                marker: false,
                sequence,
                timestamp: (sequence * 160) as u32,
                ssrc: 1,
                arrived: now,
                payload: payload.clone(),
            };
            call.arriving.send(frame).expect("room");
        }
        for _ in 0..2 {
            mixer.tick(now);
            now += TICK;
        }
        calls
            .iter()
            .map(|call| call.sent.try_iter().count())
            .sum::<usize>()
    });
}

/// The comparison that `demo` makes, for one way of a call.
#[divan::bench(sample_count = 5)]
fn compare_speech(bencher: Bencher<'_, '_>) {
    let sent = speech::utterance(Voice::Alice, 8_000);
    let mut samples = vec![0; 500];
    samples.extend(&sent.samples);
    let heard = Sound::new(8_000, samples);
    bencher.bench_local(|| audio::measure::compare(&sent, &heard, 8_000));
}
