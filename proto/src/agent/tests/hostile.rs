//! Bytes of strangers against a whole agent.

use super::{
    World, config, origin,
    stream::{Knock, ProbeFactory},
};
use crate::{
    agent::{Connect, Input, Stats, UserAgent, replay},
    event::{Event, SessionEvent},
    stream::StreamSpec,
};
use base::Rng;
use bytes::BytesMut;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn world() -> World {
    let mut configs = vec![config(1), config(2)];
    for config in &mut configs {
        config.factories.push(Box::new(ProbeFactory));
    }
    let mut world = World::new(configs);
    world.run(SECOND);
    world
}

/// What two agents say to each other in calls over both transports.
fn messages() -> Vec<Vec<u8>> {
    let mut world = world();
    for transport in ["udp", "tcp"] {
        let to = format!("sip:bob@10.0.0.2;transport={transport}")
            .parse()
            .unwrap();
        let call = Connect::new(to, vec![StreamSpec::new("probe")]);
        let alice = world
            .command(0, |agent, now| agent.connect(now, call))
            .unwrap();
        world.run(SECOND);
        accept_all(&mut world);
        world.run(SECOND);
        world
            .command(0, |agent, now| agent.hold(now, alice))
            .unwrap();
        world.run(SECOND);
        world
            .command(0, |agent, now| agent.end(now, alice))
            .unwrap();
        world.run(SECOND);
    }
    let sent = world.hosts.iter().flat_map(|host| &host.sent);
    sent.map(|message| message.to_vec()).collect()
}

fn accept_all(world: &mut World) {
    let calls: Vec<_> = world.hosts[1]
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Session(id, SessionEvent::NewIncoming { streams, .. }) => {
                Some((*id, streams.clone()))
            }
            _ => None,
        })
        .collect();
    for (session, streams) in calls {
        // Most of them are over.
        let _ = world.command(1, |agent, now| agent.accept(now, session, &streams));
        for stream in streams {
            let _ = world.command(1, |agent, now| agent.command(now, stream, Knock(1)));
        }
    }
    world.hosts[1].events.clear();
}

fn mutate(rng: &mut Rng, message: &mut Vec<u8>, others: &[Vec<u8>]) {
    let at = rng.below(message.len() as u32 + 1) as usize;
    match rng.below(6) {
        0 if at < message.len() => message[at] = rng.u32() as u8,
        1 => message.truncate(at),
        2 => {
            let end = (at + 1 + rng.below(20) as usize).min(message.len());
            message.drain(at..end);
        }
        3 => {
            let other = &others[rng.below(others.len() as u32) as usize];
            let from = rng.below(other.len() as u32) as usize;
            let piece = &other[from..(from + rng.below(80) as usize).min(other.len())];
            message.splice(at..at, piece.iter().copied());
        }
        4 => {
            let bytes: Vec<u8> = (0..rng.below(8)).map(|_| rng.u32() as u8).collect();
            message.splice(at..at, bytes);
        }
        _ => {}
    }
}

fn storm(seed: u8, steps: u32) {
    let messages = messages();
    let mut rng = Rng::from_seed([seed; 32]);
    let mut world = world();
    // A connection to write garbage to.
    for step in 0..steps {
        let mut message = messages[rng.below(messages.len() as u32) as usize].clone();
        for _ in 0..rng.below(4) {
            mutate(&mut rng, &mut message, &messages);
        }
        let payload = BytesMut::from(&message[..]);
        let connections = world.connections(1);
        let input = match rng.below(4) {
            0 if !connections.is_empty() => Input::Bytes {
                link: connections[rng.below(connections.len() as u32) as usize],
                payload,
            },
            _ => Input::Datagram {
                link: world.udp(1),
                from: ([10, 0, 0, 1], 5060).into(),
                to: None,
                payload,
            },
        };
        world.input(1, input);
        if step % 16 == 0 {
            let to = "sip:bob@10.0.0.2;transport=tcp".parse().unwrap();
            let _ = world.command(0, |agent, now| agent.options(now, None, to));
            accept_all(&mut world);
        }
        world.run(Duration::from_millis(u64::from(rng.below(2_000))));
    }
    world.run(400 * SECOND);
    // A good request is answered after each storm.
    let to = "sip:bob@10.0.0.2".parse().unwrap();
    world.hosts[0].events.clear();
    world
        .command(0, |agent, now| agent.options(now, None, to))
        .unwrap();
    world.run(SECOND);
    assert!(
        world.names(0).contains(&"SIPOptionsGotAnswer"),
        "{:?}",
        world.names(0)
    );
    for host in 0..2 {
        world.command(host, UserAgent::shutdown);
    }
    world.run(40 * SECOND);
    for host in &world.hosts {
        assert_eq!(host.agent.stats(), Stats::default());
        let report = replay(origin(), &host.record, vec![Box::new(ProbeFactory)]).unwrap();
        assert_eq!(report.difference, None);
    }
}

#[test]
fn storms_of_broken_messages_leave_nothing_behind() {
    for seed in 0..4 {
        storm(seed, 200);
    }
}
