//! How agents end, and what applications do wrong.

use super::{
    PATIENCE, calls,
    party::{Events, Party, Runtime, config},
};
use base::{Key as _, LinkError};
use runtime_std::{CallError, SendError, Storage};
use sipsimple::{
    agent::{MediaFrame, StreamId},
    event::{AgentEvent, Event, Filter},
};
use std::{
    net::{Ipv4Addr, TcpListener, UdpSocket},
    sync::mpsc::{RecvTimeoutError, channel},
    time::Instant,
};

/// Of a call that stands: it is hung up, and nothing is left.
pub(super) fn shutdown<R: Runtime>() {
    let (mut alice, mut bob) = (Party::<R>::new(40), Party::<R>::new(41));
    calls::dial(&alice, &bob, "tcp");
    let (theirs, streams) = bob.incoming();
    bob.command(move |agent, now| agent.accept(now, theirs, &streams));
    let stream = alice.started();
    bob.started();
    let frames = alice.handle.frames(stream);
    let mut watched = alice.handle.observe(Filter {
        names: vec!["SIPEngineDidEnd".to_owned()],
        ..Filter::default()
    });
    let listening = alice.listening.clone();
    alice.handle.call(|agent, now| agent.shutdown(now)).unwrap();
    alice.last_event();
    // What the agent closed is closed: another program may have the ports.
    UdpSocket::bind(listening[0]).unwrap();
    TcpListener::bind(listening[1]).unwrap();
    alice.finish();
    bob.ended();
    assert!((frames.receive)().is_err());
    assert!((frames.send)(frame()).is_err());
    let told = rest(&mut watched);
    assert!(
        matches!(told[..], [Event::Agent(AgentEvent::DidEnd)]),
        "{told:?}"
    );
    bob.finish();
}

/// Who drops the last handle ends the agent properly.
pub(super) fn dropped_handles<R: Runtime>() {
    let (mut alice, mut bob) = (Party::<R>::new(42), Party::<R>::new(43));
    calls::dial(&alice, &bob, "udp");
    let (theirs, streams) = bob.incoming();
    bob.command(move |agent, now| agent.accept(now, theirs, &streams));
    let stream = alice.started();
    bob.started();
    // Ends of frames, and events, do not keep an agent alive; another handle does.
    let _frames = alice.handle.frames(stream);
    let (other, handle) = (alice.handle.clone(), alice.handle.clone());
    drop(handle);
    alice.handle = other;
    alice.handle.call(|_, _| ()).unwrap();
    alice.leave();
    bob.ended();
    bob.finish();
}

pub(super) fn reentrant_call<R: Runtime>() {
    let alice = Party::<R>::new(44);
    let other = Party::<R>::new(45);
    for inner in [alice.handle.clone(), other.handle.clone()] {
        let result = alice.handle.call(move |_, _| inner.call(|_, _| ()));
        assert!(
            matches!(result, Ok(Err(CallError::Reentrant))),
            "{result:?}"
        );
    }
    // Without waiting it is allowed, and done afterwards.
    let inner = alice.handle.clone();
    let posted = alice
        .handle
        .call(move |_, _| inner.post(|agent, now| agent.shutdown(now)));
    assert!(matches!(posted, Ok(Ok(()))), "{posted:?}");
    alice.finish();
    other.finish();
}

pub(super) fn panicking_closure<R: Runtime>() {
    let mut alice = Party::<R>::new(46);
    let frames = alice.handle.frames(StreamId::from_parts(0, 0));
    // The driver is kept until another request waits behind the panic: it is let go of, not kept.
    let (go, wait) = channel::<()>();
    let (waiting, answer) = channel::<()>();
    alice
        .handle
        .post(move |_, _| {
            wait.recv().unwrap();
            panic!("on purpose");
        })
        .unwrap();
    alice.handle.post(move |_, _| drop(waiting)).unwrap();
    go.send(()).unwrap();
    alice.gone();
    assert_eq!(
        answer.recv_timeout(PATIENCE),
        Err(RecvTimeoutError::Disconnected)
    );
    assert!(matches!(
        alice.handle.call(|_, _| ()),
        Err(CallError::Ended)
    ));
    assert_eq!(alice.handle.post(|_, _| ()), Err(SendError));
    assert!((frames.receive)().is_err() && (frames.send)(frame()).is_err());
    assert!(rest(&mut alice.handle.observe(Filter::default())).is_empty());
    let began = Instant::now();
    alice.last_event();
    assert!(began.elapsed() < PATIENCE, "the events have not ended");
    // Who waits is told.
    let bob = Party::<R>::new(51);
    let result: Result<(), CallError> = bob.handle.call(|_, _| panic!("on purpose"));
    match result {
        Err(CallError::Panicked(panic)) => {
            assert_eq!(*panic.downcast::<&str>().unwrap(), "on purpose");
        }
        other => panic!("{other:?}"),
    }
    bob.gone();
}

/// Who does not listen is told how much he missed, in its place; until he listens again the agent
/// takes no calls, and other observers miss nothing.
pub(super) fn slow_observer<R: Runtime>() {
    let mut slow = config(47);
    slow.limits.events = 16;
    let bob = Party::<R>::with(slow, Storage::Memory);
    let mut alice = Party::<R>::new(48);
    let mut lazy = bob.handle.observe(Filter::default());
    let mut awake = bob.handle.observe(Filter::default());
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let to: sip::Uri = format!("sip:{nobody};transport=tcp").parse().unwrap();
    let mut told = 0;
    for _ in 0..20 {
        let to = to.clone();
        bob.command(move |agent, now| agent.options(now, None, to));
        loop {
            let event = awake(Instant::now() + PATIENCE).unwrap().event;
            told += 1;
            match event {
                Event::Options(..) => break,
                Event::Lagged { .. } => panic!("lagged"),
                _ => {}
            }
        }
    }
    calls::dial(&alice, &bob, "udp");
    assert_eq!(alice.failed(), 503);
    bob.handle.call(|agent, now| agent.shutdown(now)).unwrap();
    told += rest(&mut awake).len();
    let heard = rest(&mut lazy);
    assert!(matches!(
        heard.last(),
        Some(Event::Agent(AgentEvent::DidEnd))
    ));
    assert!(heard.len() <= 17, "{}", heard.len());
    let missed: u64 = heard
        .iter()
        .map(|event| match event {
            Event::Lagged { missed } => *missed,
            _ => 0,
        })
        .sum();
    let gaps = heard
        .iter()
        .filter(|event| matches!(event, Event::Lagged { .. }));
    assert!(missed > 0);
    assert_eq!(heard.len() - gaps.count() + missed as usize, told);
    bob.leave();
    alice.finish();
}

/// The frames of a stream that is not there end at once.
pub(super) fn dead_stream<R: Runtime>() {
    let alice = Party::<R>::new(49);
    let frames = alice.handle.frames(StreamId::from_parts(7, 7));
    assert!((frames.receive)().is_err());
    assert!((frames.send)(frame()).is_err());
    alice.finish();
}

/// An agent that cannot listen says so, and that is its end.
pub(super) fn no_socket<R: Runtime>() {
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut config = config(50);
    config.udp_port = Some(taken.local_addr().unwrap().port());
    config.tcp_port = None;
    let mut alice = Party::<R>::quiet(config, Storage::Memory);
    let last = alice.last_event();
    let error = LinkError::AddressInUse;
    assert!(
        matches!(last, Event::Agent(AgentEvent::DidFail { error: e }) if e == error),
        "{last:?}"
    );
    alice.leave();
}

/// What comes until the events end.
fn rest(events: &mut Events) -> Vec<Event> {
    let mut told = Vec::new();
    while let Some(notification) = events(Instant::now() + PATIENCE) {
        told.push(notification.event);
    }
    told
}

fn frame() -> MediaFrame {
    MediaFrame::new(0, 0, bytes::Bytes::from_static(b"speech"))
}
