//! What one RTP packet costs, with one stream and with ten thousand.
//!
//! A round sends or receives one packet of 160 bytes on each stream.

use crate::measure::rtp::{Players, STREAMS, World, datagram};
use bytes::BytesMut;
use divan::{Bencher, black_box, counter::ItemsCount};

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

#[divan::bench(args = STREAMS)]
fn play_out(bencher: Bencher<'_, '_>, streams: usize) {
    let mut players = Players::new(streams);
    bencher
        .counter(ItemsCount::new(streams))
        .bench_local(|| players.play());
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
