//! The habits of the worklist (architecture, 1.3).

use super::{World, config, origin};
use crate::agent::{Input, Stats};
use bytes::BytesMut;
use std::time::Duration;

#[test]
fn time_never_steps_back() {
    let mut world = World::new(vec![config(1)]);
    world.run(Duration::from_secs(1));
    let agent = &mut world.hosts[0].agent;
    agent.handle_input(origin() + Duration::from_secs(2), Input::Timeout);
    agent.handle_input(origin() + Duration::from_secs(1), Input::Timeout);
    let record = String::from_utf8(agent.take_record()).unwrap();
    let times: Vec<&str> = record
        .lines()
        .map(|line| line.split(',').next().unwrap())
        .collect();
    assert_eq!(times, [r#"{"t":2000000000"#, r#"{"t":2000000000"#]);
}

#[test]
fn spurious_wake_ups_change_nothing() {
    let mut world = World::new(vec![config(1)]);
    world.run(Duration::from_secs(1));
    for _ in 0..10 {
        world.input(0, Input::Timeout);
    }
    assert!(world.hosts[0].agent.poll_output().is_none());
}

#[test]
fn noise_is_counted_and_answered_by_nothing() {
    let mut world = World::new(vec![config(1)]);
    world.run(Duration::from_secs(1));
    let link = world.udp(0);
    for noise in [
        &b""[..],
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"\x00\x01\x00\x00\x21\x12\xa4\x42123456789012",
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let datagram = Input::Datagram {
            link,
            from: ([10, 0, 0, 9], 5060).into(),
            to: None,
            payload: BytesMut::from(noise),
        };
        world.input(0, datagram);
    }
    let counters = world.hosts[0].agent.counters().links;
    assert_eq!(
        (counters.keep_alives, counters.stun, counters.noise),
        (3, 1, 2)
    );
    assert!(world.hosts[0].sent.is_empty());
    assert_eq!(world.hosts[0].agent.stats(), Stats::default());
}
