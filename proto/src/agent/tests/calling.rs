//! What belongs to a call besides its beginning and its end: INFO and redirections.

use super::{World, config, origin, stream::ProbeFactory};
use crate::{
    agent::{Connect, InformError, Input, SessionId, replay},
    event::{Event, SessionEvent},
    session::{RedirectError, SessionError},
    stream::StreamSpec,
};
use bytes::BytesMut;
use sip::{InfoRequest, usage::invitation::InfoError};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

fn world() -> World {
    let mut configs = vec![config(1), config(2)];
    for config in &mut configs {
        config.factories.push(Box::new(ProbeFactory));
        config.sip.info.packages = Some(vec!["x-toy".to_owned()]);
    }
    let mut world = World::new(configs);
    world.run(TICK);
    world
}

fn call(world: &mut World, to: &str) -> SessionId {
    let mut call = Connect::new(to.parse().unwrap(), vec![StreamSpec::new("probe")]);
    call.redirects = 1;
    let session = world.command(0, |agent, now| agent.connect(now, call));
    world.run(TICK);
    session.unwrap()
}

/// The callee accepts.
fn accept(world: &mut World) -> SessionId {
    let mut events = world.hosts[1].events.iter();
    let incoming = events.find_map(|event| match event {
        Event::Session(id, SessionEvent::NewIncoming { streams, .. }) => {
            Some((*id, streams.clone()))
        }
        _ => None,
    });
    let (session, streams) = incoming.expect("a call");
    world
        .command(1, |agent, now| agent.accept(now, session, &streams))
        .unwrap();
    world.run(TICK);
    session
}

fn told(world: &World, host: usize) -> Vec<String> {
    let events = world.hosts[host].events.iter();
    let told = events.filter_map(|event| match event {
        Event::Session(_, SessionEvent::GotInfo(info)) => {
            Some(String::from_utf8_lossy(&info.body).into_owned())
        }
        _ => None,
    });
    told.collect()
}

fn replays(world: &mut World) {
    for host in &mut world.hosts {
        let factory = Box::new(ProbeFactory);
        let report = replay(origin(), &host.record, vec![factory]).unwrap();
        assert_eq!(report.difference, None);
    }
}

/// RFC 6086, between applications, and between streams that know the package.
#[test]
fn info_is_said_by_the_application_and_by_streams() {
    let mut world = world();
    let alice = call(&mut world, "sip:bob@10.0.0.2");
    let ask = InfoRequest::of_package("x-toy", "text/plain", "ask");
    let early = world.command(0, |agent, now| agent.inform(now, alice, ask.clone()));
    assert!(matches!(
        early,
        Err(InformError::Call(InfoError::WrongState(_)))
    ));
    let bob = accept(&mut world);
    let other = InfoRequest::of_package("other", "text/plain", "ask");
    let unwanted = world.command(0, |agent, now| agent.inform(now, alice, other));
    assert_eq!(unwanted, Err(InformError::Call(InfoError::NotWanted)));
    // The stream of the callee answers by itself.
    world
        .command(0, |agent, now| agent.inform(now, alice, ask.clone()))
        .unwrap();
    let digit = InfoRequest::legacy("application/dtmf", "1");
    world
        .command(0, |agent, now| agent.inform(now, alice, digit))
        .unwrap();
    world.run(TICK);
    assert_eq!(told(&world, 1), ["ask", "1"]);
    assert_eq!(told(&world, 0), ["answer"]);
    world.command(1, |agent, now| agent.end(now, bob)).unwrap();
    world.run(Duration::from_secs(100));
    let over = world.command(1, |agent, now| agent.inform(now, bob, ask));
    assert_eq!(over, Err(InformError::UnknownSession));
    replays(&mut world);
}

/// RFC 3261, 8.1.3.4, with a redirect server written by hand.
#[test]
fn a_call_is_redirected_and_stands() {
    let mut world = world();
    let alice = call(&mut world, "sip:bob@10.0.0.9");
    let sent = world.hosts[0].sent.iter();
    let invites = sent.filter(|bytes| bytes.starts_with(b"INVITE"));
    let invite = String::from_utf8_lossy(invites.last().unwrap()).into_owned();
    let line = |name: &str| invite.lines().find(|line| line.starts_with(name)).unwrap();
    let moved = format!(
        "SIP/2.0 302 Moved Temporarily\r\n{}\r\n{}\r\n{};tag=redirect\r\n{}\r\n{}\r\n\
         Contact: <sip:bob@10.0.0.2>;q=0.8, <mailto:bob@example.com>\r\nContent-Length: 0\r\n\r\n",
        line("Via:"),
        line("From:"),
        line("To:"),
        line("Call-ID:"),
        line("CSeq:"),
    );
    let input = Input::Datagram {
        link: world.udp(0),
        from: "10.0.0.9:5060".parse().unwrap(),
        to: None,
        payload: BytesMut::from(moved.as_bytes()),
    };
    world.input(0, input);
    world.run(TICK);
    let events = world.hosts[0].events.iter();
    let mut targets = events.filter_map(|event| match event {
        Event::Session(
            _,
            SessionEvent::GotRedirect {
                code: 302, targets, ..
            },
        ) => Some(targets),
        _ => None,
    });
    let target = targets.next().unwrap()[0].uri.clone();
    let unnamed = world.command(0, |agent, now| agent.follow_redirect(now, alice, None));
    assert_eq!(unnamed, Err(RedirectError::OtherDomain));
    world
        .command(0, |agent, now| {
            agent.follow_redirect(now, alice, Some(&target))
        })
        .unwrap();
    world.run(TICK);
    accept(&mut world);
    for host in 0..2 {
        assert!(world.names(host).contains(&"SIPSessionDidStart"), "{host}");
    }
    world
        .command(0, |agent, now| agent.end(now, alice))
        .unwrap();
    world.run(Duration::from_secs(100));
    replays(&mut world);
}

/// RFC 3261, 21.3: the callee names who else may be called; and its words reach the caller.
#[test]
fn a_caller_is_sent_elsewhere() {
    let mut world = world();
    call(&mut world, "sip:bob@10.0.0.2");
    let mut events = world.hosts[1].events.iter();
    let bob = events.find_map(|event| match event {
        Event::Session(id, SessionEvent::NewIncoming { .. }) => Some(*id),
        _ => None,
    });
    let bob = bob.expect("a call");
    let targets: Vec<sip::Uri> = ["sip:desk@10.0.0.7", "sips:home@example.com"]
        .map(|text| text.parse().unwrap())
        .into();
    for (code, targets, refused) in [
        (486, targets.clone(), SessionError::BadCode),
        (400, targets.clone(), SessionError::BadCode),
        (302, Vec::new(), SessionError::NoTarget),
    ] {
        let redirected = world.command(1, |agent, now| agent.redirect(now, bob, code, targets));
        assert_eq!(redirected, Err(refused));
    }
    world
        .command(1, |agent, now| {
            agent.redirect(now, bob, 302, targets.clone())
        })
        .unwrap();
    world.run(TICK);
    let heard = world.hosts[0].events.iter().find_map(|event| match event {
        Event::Session(_, SessionEvent::GotRedirect { code, targets, .. }) => {
            let targets = targets.iter().map(|target| target.uri.clone());
            Some((*code, targets.collect::<Vec<_>>()))
        }
        _ => None,
    });
    assert_eq!(heard, Some((302, targets.clone())));
    let failed = world.hosts[1].events.iter().any(|event| {
        matches!(event, Event::Session(id, SessionEvent::DidFail { code: 302, hints: None, .. })
            if *id == bob)
    });
    assert!(failed);
    let again = world.command(1, |agent, now| agent.redirect(now, bob, 302, targets));
    assert!(again.is_err());
    // What waits for a word of the caller is not the matter here.
    world.run(Duration::from_secs(100));
    replays(&mut world);
}
