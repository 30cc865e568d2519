//! Sessions that send and receive RTP, in an order that no cache foresees.
//!
//! Buffers are cut from one arena, as an agent does it, so that a steady state allocates nothing.

use super::Operation;
use base::{Clock, Rng};
use bytes::{BufMut, Bytes, BytesMut};
use rtp::{Config, Frame, JitterBuffer, JitterConfig, Outgoing, PayloadType, Received, Session};
use std::{
    hint::black_box,
    net::SocketAddr,
    time::{Duration, Instant},
};

pub(crate) const STREAMS: [usize; 3] = [1, 1_000, 10_000];
pub(crate) const SPEECH: [u8; 160] = [0xd5; 160];

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) sessions: Vec<Session>,
    /// The order in which streams are served.
    order: Vec<usize>,
    arena: BytesMut,
    pub(crate) round: u32,
}

impl World {
    pub(crate) fn new(streams: usize) -> Self {
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

    pub(crate) fn tick(&mut self) {
        self.now += Duration::from_millis(20);
        self.round = self.round.wrapping_add(1);
    }

    pub(crate) fn send(&mut self) {
        self.tick();
        let outgoing = Outgoing {
            payload_type: 0,
            marker: false,
            timestamp: self.round.wrapping_mul(160),
            payload: &SPEECH,
        };
        for &stream in &self.order {
            self.sessions[stream].write(self.now, outgoing, &mut self.arena);
            black_box(self.arena.split().freeze());
        }
    }

    pub(crate) fn receive(&mut self) {
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

/// Jitter buffers, each pushed one frame and asked for one in a round.
pub(crate) struct Players {
    world: World,
    buffers: Vec<JitterBuffer>,
}

impl Players {
    pub(crate) fn new(streams: usize) -> Self {
        let buffer = || JitterBuffer::new(JitterConfig::new(8_000));
        let mut players = Self {
            world: World::new(streams),
            buffers: (0..streams).map(|_| buffer()).collect(),
        };
        (0..10).for_each(|_| players.play());
        players
    }

    pub(crate) fn play(&mut self) {
        self.world.tick();
        let (now, round) = (self.world.now, self.world.round);
        for &stream in &self.world.order {
            let buffer = &mut self.buffers[stream];
            // Every third packet comes later than the one after it was spoken.
            let late = Duration::from_millis(if round.is_multiple_of(3) { 19 } else { 0 });
            buffer.push(Frame {
                payload_type: 0,
                marker: false,
                sequence: u64::from(round),
                timestamp: round.wrapping_mul(160),
                ssrc: 9,
                arrived: now + late,
                payload: Bytes::from_static(&SPEECH),
            });
            black_box(buffer.pull(now));
        }
    }
}

/// What a runtime reads: the packet of this round, cut from its buffer.
pub(crate) fn datagram(arena: &mut BytesMut, round: u32) -> Bytes {
    arena.reserve(12 + SPEECH.len());
    arena.put_u16(0x8000);
    arena.put_u16(round as u16);
    arena.put_u32(round.wrapping_mul(160));
    arena.put_u32(9);
    arena.put_slice(&SPEECH);
    arena.split().freeze()
}

pub(crate) fn operations(full: bool) -> Vec<Operation> {
    let counts = STREAMS
        .into_iter()
        .filter(|&streams| full || streams < 10_000);
    counts
        .flat_map(|streams| {
            [
                Operation::new(format!("rtp/send, {streams} streams"), streams, move || {
                    let mut world = World::new(streams);
                    // The first packet makes the session ready for reports.
                    world.send();
                    move || world.send()
                }),
                Operation::new(
                    format!("rtp/receive, {streams} streams"),
                    streams,
                    move || {
                        let mut world = World::new(streams);
                        // The first packets make the sources known.
                        (0..3).for_each(|_| world.receive());
                        move || world.receive()
                    },
                ),
                Operation::new(
                    format!("rtp/play out, {streams} streams"),
                    streams,
                    move || {
                        let mut players = Players::new(streams);
                        move || players.play()
                    },
                ),
            ]
        })
        .collect()
}
