//! Calls between two agents of a runtime.

use super::party::{Party, Runtime, config};
use bytes::Bytes;
use runtime_std::Storage;
use simulator::{ProbeEvent, ProbeOptions};
use sipsimple::{
    agent::{Connect, MediaFrame, SessionId, StreamId},
    event::{CustomEvent, Event, Originator, SessionEvent, StreamEvent},
    rtp::Digit,
    stream::{
        StreamSpec,
        audio::{KIND, SendDtmf},
    },
};
use std::{any::Any, fs, path::PathBuf};

pub(super) fn call_over_udp<R: Runtime>() {
    let (mut alice, mut bob) = (Party::<R>::new(1), Party::<R>::new(2));
    let (session, ours, _, theirs) = call(&mut alice, &mut bob, "udp");
    speak(&alice, ours, &bob, theirs, b"from alice");
    speak(&bob, theirs, &alice, ours, b"from bob");
    hold(&mut alice, session, &mut bob);
    for digit in "1159#*0D".chars() {
        let digit = Digit::try_from(digit).unwrap();
        alice.command(move |agent, now| {
            let sent = agent.command(now, ours, SendDtmf::new(digit));
            sent.unwrap()
        });
    }
    for expected in "1159#*0D".chars() {
        let digit = bob.wait("a digit", |event| match event {
            Event::Stream(_, StreamEvent::GotDtmf { digit }) => Some(*digit),
            _ => None,
        });
        assert_eq!(digit, expected);
    }
    alice.command(move |agent, now| agent.end(now, session));
    alice.ended();
    bob.ended();
    alice.finish();
    bob.finish();
}

pub(super) fn call_over_tcp<R: Runtime>() {
    let (mut alice, mut bob) = (Party::<R>::new(3), Party::<R>::new(4));
    let (_, ours, session, theirs) = call(&mut alice, &mut bob, "tcp");
    speak(&alice, ours, &bob, theirs, b"from alice");
    speak(&bob, theirs, &alice, ours, b"from bob");
    hold(&mut bob, session, &mut alice);
    bob.command(move |agent, now| agent.end(now, session));
    bob.ended();
    alice.ended();
    alice.finish();
    bob.finish();
}

pub(super) fn busy<R: Runtime>() {
    let (mut alice, mut bob) = (Party::<R>::new(5), Party::<R>::new(6));
    dial(&alice, &bob, "udp");
    let (session, _) = bob.incoming();
    bob.command(move |agent, now| agent.reject(now, session, 486, None));
    assert_eq!((alice.failed(), bob.failed()), (486, 486));
    alice.finish();
    bob.finish();
}

pub(super) fn cancel<R: Runtime>() {
    let (mut alice, mut bob) = (Party::<R>::new(7), Party::<R>::new(8));
    let session = dial(&alice, &bob, "tcp");
    let (theirs, _) = bob.incoming();
    bob.command(move |agent, now| agent.ring(now, theirs));
    alice.wait_session("ringing", |_, event| {
        (*event == SessionEvent::GotRingIndication).then_some(())
    });
    alice.command(move |agent, now| agent.end(now, session));
    assert_eq!((alice.failed(), bob.failed()), (487, 487));
    alice.finish();
    bob.finish();
}

/// An application's own stream sends a file over a connection of its own, from one directory to the
/// other, with far less memory than the file is long.
pub(super) fn application_stream<R: Runtime>() {
    let content: Vec<u8> = (0..300_000u64).map(|n| ((n * n) >> 7) as u8).collect();
    let place = Place::new::<R>();
    fs::write(place.0.join("alice/sent.bin"), &content).unwrap();
    let storage = |name| Storage::Directory(place.0.join(name));
    let mut alice = Party::<R>::with(config(9), storage("alice"));
    let mut bob = Party::<R>::with(config(10), storage("bob"));
    let probe = ProbeOptions {
        byte_stream: true,
        send_file: Some("sent.bin".to_owned()),
        ..ProbeOptions::default()
    };
    let connect = Connect::new(bob.uri("udp"), vec![probe.spec()]);
    let session = alice.command(move |agent, now| agent.connect(now, connect));
    let (theirs, streams) = bob.incoming();
    bob.command(move |agent, now| agent.accept(now, theirs, &streams));
    let (name, size) = bob.wait("the file", |event| match probe_event(event)? {
        ProbeEvent::Received { name, size, .. } => Some((name.clone(), *size)),
        ProbeEvent::Broken { what } => panic!("{what}"),
        _ => None,
    });
    assert_eq!(size, content.len() as u64);
    assert!(fs::read(place.0.join("bob").join(name)).unwrap() == content);
    let peak = alice.wait("its receipt", |event| match probe_event(event)? {
        ProbeEvent::Sent { peak, .. } => Some(*peak),
        ProbeEvent::Broken { what } => panic!("{what}"),
        _ => None,
    });
    assert!(peak < content.len() / 4, "{peak} bytes were in memory");
    alice.command(move |agent, now| agent.end(now, session));
    alice.ended();
    bob.ended();
    alice.finish();
    bob.finish();
}

/// Alice calls Bob, who takes the call: session and stream of both.
fn call<R: Runtime>(
    alice: &mut Party<R>,
    bob: &mut Party<R>,
    transport: &str,
) -> (SessionId, StreamId, SessionId, StreamId) {
    let ours = dial(alice, bob, transport);
    let (theirs, streams) = bob.incoming();
    bob.command(move |agent, now| agent.accept(now, theirs, &streams));
    (ours, alice.started(), theirs, bob.started())
}

pub(super) fn dial<R: Runtime>(alice: &Party<R>, bob: &Party<R>, transport: &str) -> SessionId {
    let connect = Connect::new(bob.uri(transport), vec![StreamSpec::new(KIND)]);
    alice.command(move |agent, now| agent.connect(now, connect))
}

/// Frames that one side writes are those that the other one hears, in order.
fn speak<R: Runtime>(
    from: &Party<R>,
    sent_by: StreamId,
    to: &Party<R>,
    heard_by: StreamId,
    text: &[u8],
) {
    let (mouth, ear) = (from.handle.frames(sent_by), to.handle.frames(heard_by));
    // Both are there before the first frame is: requests are done in order.
    to.handle.call(|_, _| ()).unwrap();
    let payload = |n: u32| Bytes::from([text, &n.to_be_bytes()].concat());
    for n in 0..20 {
        (mouth.send)(MediaFrame::new(0, n * 160, payload(n))).unwrap();
    }
    for n in 0..20 {
        let frame = (ear.receive)().unwrap();
        assert_eq!(frame.payload, payload(n));
    }
}

fn hold<R: Runtime>(holder: &mut Party<R>, session: SessionId, held: &mut Party<R>) {
    for expected in [true, false] {
        holder.command(move |agent, now| match expected {
            true => agent.hold(now, session),
            false => agent.unhold(now, session),
        });
        for (party, by) in [
            (&mut *holder, Originator::Local),
            (&mut *held, Originator::Remote),
        ] {
            party.wait_session("the hold", |_, event| match event {
                SessionEvent::DidChangeHoldState {
                    originator,
                    on_hold,
                    ..
                } => (*originator == by && *on_hold == expected).then_some(()),
                _ => None,
            });
        }
    }
}

fn probe_event(event: &Event) -> Option<&ProbeEvent> {
    let Event::Stream(_, StreamEvent::Custom(event)) = event else {
        return None;
    };
    let event: &dyn CustomEvent = event.as_ref();
    let event: &dyn Any = event;
    event.downcast_ref()
}

/// Two directories, removed in the end.
struct Place(PathBuf);

impl Place {
    fn new<R>() -> Self {
        let runtime: String = std::any::type_name::<R>()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        let name = format!("sipsimple-{runtime}-{}", std::process::id());
        let place = std::env::temp_dir().join(name);
        for party in ["alice", "bob"] {
            fs::create_dir_all(place.join(party)).unwrap();
        }
        Self(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left behind is the system's to clean.
        let _ = fs::remove_dir_all(&self.0);
    }
}
