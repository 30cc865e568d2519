//! OPTIONS between two agents, over datagrams and over streams that are cut anywhere.

use super::{World, config};
use crate::agent::{Input, Stats};
use base::LinkError;
use bytes::BytesMut;
use std::time::Duration;

fn ask(transport: &str) -> World {
    let mut world = World::new(vec![config(1), config(2)]);
    world.run(Duration::from_secs(1));
    let to = format!("sip:bob@10.0.0.2;transport={transport}")
        .parse()
        .unwrap();
    world
        .command(0, |agent, now| agent.options(now, None, to))
        .unwrap();
    world
}

fn answer(world: &World) -> String {
    let events = world.hosts[0].events.iter();
    let mut answers = events.filter(|event| event.name().starts_with("SIPOptions"));
    let answer = answers.next().expect("an answer");
    assert!(answers.next().is_none(), "one result");
    format!("{} {}", answer.name(), answer.data())
}

#[test]
fn over_both_transports() {
    for transport in ["udp", "tcp"] {
        let mut world = ask(transport);
        world.run(Duration::from_secs(1));
        let answer = answer(&world);
        assert!(answer.starts_with("SIPOptionsGotAnswer"), "{answer}");
        assert!(answer.contains(r#""code":200"#), "{answer}");
        assert!(answer.contains("INVITE"), "Allow: {answer}");
        assert!(answer.contains("sipsimple/"), "Server: {answer}");
        // Transactions and connections are gone in the end.
        world.run(Duration::from_secs(100));
        world.command(0, |agent, now| agent.shutdown(now));
        world.command(1, |agent, now| agent.shutdown(now));
        world.run(Duration::from_secs(10));
        assert_eq!(world.hosts[0].agent.stats(), Stats::default());
        assert_eq!(world.hosts[1].agent.stats(), Stats::default());
        assert_eq!(world.names(0).last(), Some(&"SIPEngineDidEnd"));
        assert_eq!(world.names(1).last(), Some(&"SIPEngineDidEnd"));
    }
}

#[test]
fn nobody_there() {
    let mut world = World::new(vec![config(1)]);
    world.run(Duration::from_secs(1));
    let to = "sip:bob@10.0.0.9;transport=tcp".parse().unwrap();
    world
        .command(0, |agent, now| agent.options(now, None, to))
        .unwrap();
    world.run(Duration::from_secs(40));
    let answer = answer(&world);
    assert!(answer.starts_with("SIPOptionsDidFail"), "{answer}");
    assert!(answer.contains("503"), "{answer}");
    assert_eq!(world.hosts[0].agent.stats(), Stats::default());
}

#[test]
fn a_name_that_nobody_knows() {
    let mut world = World::new(vec![config(1)]);
    world.run(Duration::from_secs(1));
    let to = "sip:bob@example.com".parse().unwrap();
    world
        .command(0, |agent, now| agent.options(now, None, to))
        .unwrap();
    let answer = answer(&world);
    assert!(answer.contains("no name server"), "{answer}");
}

#[test]
fn lost_datagrams_are_sent_again() {
    let mut world = ask("udp");
    let mut lost = 0;
    world.drop = Box::new(move |_, _, _| {
        lost += 1;
        lost <= 3
    });
    world.run(Duration::from_secs(10));
    assert!(answer(&world).starts_with("SIPOptionsGotAnswer"));
}

#[test]
fn undeliverable_datagrams_end_the_request() {
    let mut world = ask("udp");
    world.drop = Box::new(|_, _, _| true);
    let link = world.udp(0);
    let undeliverable = Input::Undeliverable {
        link,
        to: ([10, 0, 0, 2], 5060).into(),
        error: LinkError::Refused,
    };
    world.input(0, undeliverable);
    let answer = answer(&world);
    assert!(answer.contains("503"), "{answer}");
}

#[test]
fn a_stream_of_garbage_is_closed_and_forgotten() {
    let mut world = ask("tcp");
    world.run(Duration::from_secs(1));
    let link = world.connections(1)[0];
    let payload = BytesMut::from(&b"EHLO example.com\r\n"[..]);
    world.input(1, Input::Bytes { link, payload });
    world.run(Duration::from_secs(1));
    assert_eq!(world.connections(1), []);
    assert_eq!(world.hosts[1].agent.stats().links, 0);
    assert_eq!(world.hosts[1].agent.counters().links.noise, 1);
}

#[test]
fn the_trace_shows_every_message_with_both_ends() {
    for (transport, messages) in [("udp", 2), ("tcp", 2)] {
        let mut world = World::new(vec![config(1), config(2)]);
        world.run(Duration::from_secs(1));
        for host in 0..2 {
            world.command(host, |agent, now| agent.set_trace(now, true));
        }
        let to = format!("sip:bob@10.0.0.2;transport={transport}")
            .parse()
            .unwrap();
        world
            .command(0, |agent, now| agent.options(now, None, to))
            .unwrap();
        world.run(Duration::from_secs(1));
        for host in 0..2 {
            let outputs = world.hosts[host].outputs.iter();
            let traces: Vec<_> = outputs
                .filter(|output| output.starts_with("Trace"))
                .collect();
            assert_eq!(traces.len(), messages, "{traces:?}");
            let sent = traces.iter().filter(|trace| trace.contains("sent: true"));
            assert_eq!(sent.count(), 1);
            let own = format!("local: 10.0.0.{}", host + 1);
            let other = format!("peer: 10.0.0.{}", 2 - host);
            assert!(
                traces
                    .iter()
                    .all(|trace| trace.contains(&own) && trace.contains(&other))
            );
        }
    }
}
