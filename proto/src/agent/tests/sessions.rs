//! Calls between two agents with a stream of the application's own.

use super::{
    World, config, origin,
    stream::{Knock, Probe, ProbeFactory},
};
use crate::{
    agent::{
        Connect, ConnectError, Input, MediaFrame, SessionId, Stats, StreamId, System, UserAgent,
        replay,
    },
    event::{Event, SessionEvent},
    session::{SessionError, State},
    stream::StreamSpec,
};
use bytes::Bytes;
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

fn world() -> World {
    let mut configs = vec![config(1), config(2)];
    for config in &mut configs {
        config.factories.push(Box::new(ProbeFactory));
    }
    let mut world = World::new(configs);
    world.run(TICK);
    world
}

fn call(world: &mut World, transport: &str) -> SessionId {
    let to = format!("sip:bob@10.0.0.2;transport={transport}")
        .parse()
        .unwrap();
    let mut call = Connect::new(to, vec![StreamSpec::new("probe")]);
    call.subject = Some("a test".to_owned());
    world
        .command(0, |agent, now| agent.connect(now, call))
        .unwrap()
}

fn incoming(world: &World) -> (SessionId, Vec<StreamId>) {
    let events = world.hosts[1].events.iter();
    let mut calls = events.filter_map(|event| match event {
        Event::Session(id, SessionEvent::NewIncoming { streams, .. }) => {
            Some((*id, streams.clone()))
        }
        _ => None,
    });
    calls.next_back().expect("a call")
}

fn session_events(world: &World, host: usize) -> Vec<&'static str> {
    let events = world.hosts[host].events.iter();
    let mine = events.filter(|event| matches!(event, Event::Session(..)));
    let told =
        |name: &&str| !name.ends_with("ChangedState") && !name.ends_with("DidProcessTransaction");
    mine.map(Event::name).filter(told).collect()
}

/// Both ends have let go of everything.
fn rest(world: &mut World) {
    world.run(Duration::from_secs(100));
    for host in 0..2 {
        world.command(host, UserAgent::shutdown);
    }
    world.run(Duration::from_secs(10));
    for host in &world.hosts {
        assert_eq!(host.agent.stats(), Stats::default());
    }
}

fn replays(world: &mut World) {
    for host in &mut world.hosts {
        let report = replay(origin(), &host.record, vec![Box::new(ProbeFactory)]).unwrap();
        assert_eq!(report.difference, None);
    }
}

#[test]
fn a_call_with_media_both_ways() {
    for transport in ["udp", "tcp"] {
        let mut world = world();
        let alice = call(&mut world, transport);
        world.run(TICK);
        let (bob, streams) = incoming(&world);
        world.command(1, |agent, now| agent.ring(now, bob)).unwrap();
        world.run(TICK);
        world
            .command(1, |agent, now| agent.accept(now, bob, &streams))
            .unwrap();
        world.run(TICK);
        assert_eq!(
            session_events(&world, 0),
            [
                "SIPSessionNewOutgoing",
                "SIPSessionGotRingIndication",
                "SIPSessionGotProvisionalResponse",
                "SIPSessionWillStart",
                "SIPInvitationGotSDPUpdate",
                "SIPSessionDidStart"
            ]
        );
        assert_eq!(
            session_events(&world, 1),
            [
                "SIPSessionNewIncoming",
                "SIPSessionWillStart",
                "SIPInvitationGotSDPUpdate",
                "SIPSessionDidStart"
            ]
        );
        let info = world.hosts[0].agent.session(alice).unwrap();
        assert_eq!(info.state, State::Connected);
        for (host, stream) in [(0, info.streams[0]), (1, streams[0])] {
            for n in 0..3 {
                let frame = MediaFrame::new(0, n * 160, Bytes::from_static(b"\x80speech"));
                world
                    .command(host, |agent, now| agent.write_media(now, stream, frame))
                    .unwrap();
            }
        }
        world.run(TICK);
        let knocks = world.command(0, |agent, now| {
            agent.command(now, info.streams[0], Knock(1))
        });
        assert_eq!(knocks, Ok(2));
        world.run(TICK);
        let heard = |host: usize, id| world.hosts[host].agent.stream::<Probe>(id).unwrap().heard;
        assert_eq!((heard(0, info.streams[0]), heard(1, streams[0])), (3, 4));
        world.command(1, |agent, now| agent.end(now, bob)).unwrap();
        world.run(TICK);
        assert_eq!(
            session_events(&world, 0)[6..],
            ["SIPSessionWillEnd", "SIPSessionDidEnd"]
        );
        assert_eq!(
            session_events(&world, 1)[4..],
            ["SIPSessionWillEnd", "SIPSessionDidEnd"]
        );
        assert!(world.names(0).contains(&"ProbeStreamKnocked"));
        let late = world.command(0, |agent, now| {
            agent.command(now, info.streams[0], Knock(1))
        });
        assert!(late.is_err());
        rest(&mut world);
        let agent = &world.hosts[0].agent;
        // INVITE, ACK, and 200 to BYE.
        assert_eq!(agent.counters().sip.sent, 3);
        let coverage = agent.coverage();
        let reached = |pair: &str| coverage.iter().any(|(name, seen)| name == pair && *seen);
        assert!(reached("session outgoing Confirmed"), "{coverage:?}");
        assert!(
            reached("transaction client INVITE: Calling Provisional"),
            "{coverage:?}"
        );
        replays(&mut world);
    }
}

#[test]
fn reject_and_cancel() {
    let mut world = world();
    call(&mut world, "udp");
    world.run(TICK);
    let (bob, _) = incoming(&world);
    world
        .command(1, |agent, now| agent.reject(now, bob, 486, None))
        .unwrap();
    world.run(TICK);
    assert_eq!(session_events(&world, 0).last(), Some(&"SIPSessionDidFail"));
    let alice = call(&mut world, "udp");
    world.run(TICK);
    let (bob, _) = incoming(&world);
    world.command(1, |agent, now| agent.ring(now, bob)).unwrap();
    world.run(TICK);
    world
        .command(0, |agent, now| agent.end(now, alice))
        .unwrap();
    world.run(TICK);
    assert_eq!(session_events(&world, 1).last(), Some(&"SIPSessionDidFail"));
    let again = world.command(1, |agent, now| agent.accept(now, bob, &[]));
    assert!(matches!(
        again,
        Err(SessionError::UnknownSession | SessionError::WrongState(_))
    ));
    rest(&mut world);
    replays(&mut world);
}

#[test]
fn hold_is_told_and_undone() {
    let mut world = world();
    let alice = call(&mut world, "tcp");
    world.run(TICK);
    let (bob, streams) = incoming(&world);
    world
        .command(1, |agent, now| agent.accept(now, bob, &streams))
        .unwrap();
    world.run(TICK);
    world
        .command(0, |agent, now| agent.hold(now, alice))
        .unwrap();
    world.run(TICK);
    assert!(world.hosts[0].agent.session(alice).unwrap().on_hold);
    world
        .command(0, |agent, now| agent.unhold(now, alice))
        .unwrap();
    world.run(TICK);
    assert!(!world.hosts[0].agent.session(alice).unwrap().on_hold);
    let events = session_events(&world, 0);
    let changes = events
        .iter()
        .filter(|name| **name == "SIPSessionDidChangeHoldState");
    assert_eq!(changes.count(), 2);
    // The end of the agent is the end of its sessions.
    rest(&mut world);
    replays(&mut world);
}

#[test]
fn calls_that_cannot_be_made_change_nothing() {
    let mut world = world();
    let to = || "sip:bob@10.0.0.2".parse::<sip::Uri>().unwrap();
    let mut connect = |call| {
        world
            .command(0, |agent, now| agent.connect(now, call))
            .unwrap_err()
    };
    assert_eq!(connect(Connect::new(to(), vec![])), ConnectError::NoStreams);
    let unknown = connect(Connect::new(
        to(),
        vec![StreamSpec::new("probe"), StreamSpec::new("fax")],
    ));
    assert!(matches!(unknown, ConnectError::Stream(_)));
    let many = vec![StreamSpec::new("probe"); 17];
    assert_eq!(connect(Connect::new(to(), many)), ConnectError::TooMany);
    for (name, value) in [
        ("Via", "x"),
        ("t", "x"),
        ("X", "a\r\nVia: b"),
        ("a b", "x"),
        ("", "x"),
    ] {
        let mut call = Connect::new(to(), vec![StreamSpec::new("probe")]);
        call.headers.push((name.to_owned(), value.to_owned()));
        assert!(matches!(connect(call), ConnectError::Header(_)), "{name}");
    }
    assert_eq!(world.hosts[0].agent.stats(), Stats::default());
    world.run(TICK);
    assert!(world.hosts[0].sent.is_empty());
}

#[test]
fn a_call_of_media_that_nobody_takes_is_refused() {
    let mut configs = vec![config(1), config(2)];
    configs[0].factories.push(Box::new(ProbeFactory));
    let mut world = World::new(configs);
    world.run(TICK);
    call(&mut world, "udp");
    world.run(TICK);
    let failed = world.hosts[0].events.iter().any(|event| {
        matches!(
            event,
            Event::Session(_, SessionEvent::DidFail { code: 488, .. })
        )
    });
    assert!(failed, "{:?}", world.hosts[0].events);
    assert!(
        world
            .names(1)
            .iter()
            .all(|name| *name != "SIPSessionNewIncoming")
    );
    rest(&mut world);
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "was polled 1000 times"))]
fn a_stream_that_talks_without_end_is_ended() {
    let mut world = world();
    let to = "sip:bob@10.0.0.2".parse().unwrap();
    let mut spec = StreamSpec::new("probe");
    spec.options = serde_json::json!({ "endless": true });
    let call = Connect::new(to, vec![spec]);
    world
        .command(0, |agent, now| agent.connect(now, call))
        .unwrap();
    rest(&mut world);
}

/// An application that does not keep up with its events would miss the call (architecture, 1.8).
#[test]
fn a_congested_agent_takes_no_calls() {
    let mut world = world();
    for (is_congested, expected) in [(true, Some("30")), (false, None)] {
        world.input(1, Input::System(System::Congested(is_congested)));
        call(&mut world, "udp");
        world.run(TICK);
        let answers = world.hosts[1].sent.iter().rev();
        let refusal = answers
            .map(|sent| String::from_utf8_lossy(sent).into_owned())
            .find(|sent| sent.starts_with("SIP/2.0 503 "));
        let retry_after = refusal.as_deref().and_then(|text| {
            let line = text.lines().find_map(|l| l.strip_prefix("Retry-After: "));
            line.map(str::to_owned)
        });
        assert_eq!(retry_after.as_deref(), expected);
        world.hosts[1].sent.clear();
    }
    let calls = world.names(1);
    let calls = calls
        .iter()
        .filter(|name| **name == "SIPSessionNewIncoming");
    assert_eq!(calls.count(), 1);
}

/// RFC 3261, 18.1.1 sends large requests by TCP; where TCP is switched off there is none to send by.
#[test]
fn eng_49_what_is_large_goes_as_a_datagram_where_tcp_is_off() {
    for (tcp_port, connections) in [(Some(5060), 1), (None, 0)] {
        let mut configs = vec![config(1), config(2)];
        configs[0].tcp_port = tcp_port;
        for config in &mut configs {
            config.factories.push(Box::new(ProbeFactory));
        }
        let mut world = World::new(configs);
        world.run(TICK);
        let to = "sip:bob@10.0.0.2".parse().unwrap();
        let mut call = Connect::new(to, vec![StreamSpec::new("probe")]);
        call.subject = Some("a".repeat(1_300));
        world
            .command(0, |agent, now| agent.connect(now, call))
            .unwrap();
        world.run(TICK);
        assert_eq!(world.connections(0).len(), connections, "{tcp_port:?}");
        let has_come = world.names(1).contains(&"SIPSessionNewIncoming");
        assert!(has_come, "{tcp_port:?}");
    }
}
