//! What one RTP packet costs, with one stream and with ten thousand.
//!
//! A round sends or receives one packet of 160 bytes on each stream, in an order that no cache
//! foresees. Buffers are cut from one arena, as an agent does it, so that a steady state allocates
//! nothing.

use base::{Clock, Rng};
use bytes::{BufMut, Bytes, BytesMut};
use divan::{AllocProfiler, Bencher, black_box, counter::ItemsCount};
use rtp::{Config, Frame, JitterBuffer, JitterConfig, Outgoing, PayloadType, Received, Session};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const STREAMS: [usize; 3] = [1, 1_000, 10_000];
const SPEECH: [u8; 160] = [0xd5; 160];

struct World {
    now: Instant,
    sessions: Vec<Session>,
    /// The order in which streams are served.
    order: Vec<usize>,
    arena: BytesMut,
    round: u32,
}

impl World {
    fn new(streams: usize) -> Self {
        let now = Instant::now();
        let mut rng = Rng::from_seed([7; 32]);
        let clock = Clock::new(now, Duration::from_secs(1_800_000_000));
        let speech = PayloadType {
            number: 0,
            clock_rate: 8_000,
        };
        let config = Config::new(8_000, vec![speech]);
        let sessions = (0..streams)
            .map(|_| Session::new(now, config.clone(), clock, rng.fork()))
            .collect();
        let mut order: Vec<usize> = (0..streams).collect();
        for at in (1..streams).rev() {
            order.swap(at, rng.below(at as u32 + 1) as usize);
        }
        Self {
            now,
            sessions,
            order,
            arena: BytesMut::with_capacity(64 * 1024),
            round: 0,
        }
    }

    fn tick(&mut self) {
        self.now += Duration::from_millis(20);
        self.round = self.round.wrapping_add(1);
    }

    fn send(&mut self) {
        self.tick();
        let outgoing = Outgoing {
            payload_type: 0,
            marker: false,
            timestamp: self.round.wrapping_mul(160),
            payload: &SPEECH,
        };
        for &stream in &self.order {
            black_box(self.sessions[stream].write(self.now, outgoing, &mut self.arena));
        }
    }

    fn receive(&mut self) {
        self.tick();
        let from = SocketAddr::from(([192, 0, 2, 1], 4_000));
        for &stream in &self.order {
            let datagram = datagram(&mut self.arena, self.round);
            let session = &mut self.sessions[stream];
            let received = session.handle_rtp(self.now, from, datagram);
            assert!(matches!(received, Received::Media(_)));
            black_box(received);
            while let Some(output) = session.poll_output() {
                black_box(output);
            }
        }
    }
}

/// What a runtime reads: the packet of this round, cut from its buffer.
fn datagram(arena: &mut BytesMut, round: u32) -> Bytes {
    arena.reserve(12 + SPEECH.len());
    arena.put_u16(0x8000);
    arena.put_u16(round as u16);
    arena.put_u32(round.wrapping_mul(160));
    arena.put_u32(9);
    arena.put_slice(&SPEECH);
    arena.split().freeze()
}

#[divan::bench(args = STREAMS)]
fn send(bencher: Bencher<'_, '_>, streams: usize) {
    let mut world = World::new(streams);
    world.send();
    bencher
        .counter(ItemsCount::new(streams))
        .bench_local(|| world.send());
}

#[divan::bench(args = STREAMS)]
fn receive(bencher: Bencher<'_, '_>, streams: usize) {
    let mut world = World::new(streams);
    // The first packets make the sources known.
    (0..3).for_each(|_| world.receive());
    bencher
        .counter(ItemsCount::new(streams))
        .bench_local(|| world.receive());
}

/// What `receive` costs before the session sees anything: the copy into the buffer.
#[divan::bench(args = STREAMS)]
fn receive_floor(bencher: Bencher<'_, '_>, streams: usize) {
    let mut arena = BytesMut::with_capacity(64 * 1024);
    let mut round = 0u32;
    bencher.counter(ItemsCount::new(streams)).bench_local(|| {
        round = round.wrapping_add(1);
        (0..streams).for_each(|_| drop(black_box(datagram(&mut arena, round))));
    });
}

#[divan::bench]
fn play_out(bencher: Bencher<'_, '_>) {
    let mut world = World::new(1);
    let mut buffer = JitterBuffer::new(JitterConfig::new(8_000));
    let mut tick = |world: &mut World| {
        world.tick();
        buffer.push(Frame {
            payload_type: 0,
            marker: false,
            sequence: u64::from(world.round),
            timestamp: world.round.wrapping_mul(160),
            ssrc: 9,
            arrived: world.now,
            payload: Bytes::from_static(&SPEECH),
        });
        buffer.pull(world.now)
    };
    (0..10).for_each(|_| drop(tick(&mut world)));
    bencher
        .counter(ItemsCount::new(1usize))
        .bench_local(|| tick(&mut world));
}

#[divan::bench]
fn parse(bencher: Bencher<'_, '_>) {
    let packet = datagram(&mut BytesMut::new(), 1);
    bencher.bench(|| rtp::Packet::parse(black_box(&packet)).map(|packet| packet.payload().len()));
}

#[divan::bench]
fn report(bencher: Bencher<'_, '_>) {
    let mut world = World::new(1);
    let mut end = || {
        world.send();
        world.receive();
        let session = &mut world.sessions[0];
        loop {
            world.now = world.now.max(
                session
                    .poll_timeout()
                    .map_or(world.now, |deadline| deadline.at),
            );
            session.handle_timeout(world.now);
            if let Some(output) = session.poll_output() {
                return output;
            }
        }
    };
    end();
    bencher.bench_local(end);
}
