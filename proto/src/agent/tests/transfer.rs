//! REFER written by hand from RFC 3515, at an agent that is in a call.

use super::{World, config, stream::ProbeFactory};
use crate::{
    agent::{Connect, Input, SessionId},
    event::{Event, SessionEvent},
    session::{SessionInfo, TransferState},
    stream::StreamSpec,
};
use base::Key as _;
use bytes::BytesMut;
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

/// Alice has called Bob; her session.
fn in_a_call() -> (World, SessionId) {
    let mut configs = vec![config(1), config(2)];
    for config in &mut configs {
        config.factories.push(Box::new(ProbeFactory));
    }
    let mut world = World::new(configs);
    world.run(TICK);
    let bob = "sip:bob@10.0.0.2".parse().unwrap();
    let call = Connect::new(bob, vec![StreamSpec::new("probe")]);
    let ours = world
        .command(0, |agent, now| agent.connect(now, call))
        .unwrap();
    world.run(TICK);
    let events = world.hosts[1].events.iter();
    let incoming = events.filter_map(|event| match event {
        Event::Session(id, SessionEvent::NewIncoming { streams, .. }) => {
            Some((*id, streams.clone()))
        }
        _ => None,
    });
    let (theirs, streams) = incoming.last().expect("a call");
    world
        .command(1, |agent, now| agent.accept(now, theirs, &streams))
        .unwrap();
    world.run(TICK);
    (world, ours)
}

fn info(world: &World, id: SessionId) -> SessionInfo {
    world.hosts[0].agent.session(id).expect("alive")
}

/// Hands a REFER in, and returns the first lines of what was said to it. In the dialog of the session, if
/// one is given.
fn refer(world: &mut World, session: Option<SessionId>, number: u32, further: &str) -> Vec<String> {
    let (call_id, from, to) = match session {
        Some(id) => {
            let call = info(world, id).call.expect("an invitation");
            let tag = call.remote_tag.expect("a dialog");
            (call.call_id, tag, format!(";tag={}", call.local_tag))
        }
        None => (format!("stranger{number}"), "x".to_owned(), String::new()),
    };
    let text = format!(
        "REFER sip:alice@10.0.0.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKrefer{number}\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:bob@10.0.0.2>;tag={from}\r\n\
         To: <sip:alice@10.0.0.1>{to}\r\n\
         Call-ID: {call_id}\r\n\
         CSeq: {number} REFER\r\n\
         Contact: <sip:bob@10.0.0.2>\r\n\
         {further}Content-Length: 0\r\n\r\n"
    );
    let before = world.hosts[0].sent.len();
    let input = Input::Datagram {
        link: world.udp(0),
        from: ([10, 0, 0, 9], 5060).into(),
        to: None,
        payload: BytesMut::from(text.as_bytes()),
    };
    world.input(0, input);
    let sent = world.hosts[0].sent[before..].iter();
    sent.filter_map(|bytes| {
        let text = std::str::from_utf8(bytes).ok()?;
        Some(text.lines().next()?.to_owned())
    })
    .collect()
}

fn transfers(world: &World) -> Vec<&'static str> {
    let names = world.names(0).into_iter();
    names
        .filter_map(|name| name.strip_prefix("SIPSessionTransfer"))
        .collect()
}

const CAROL: &str = "Refer-To: <sip:carol@10.0.0.3>\r\n";

/// A call is the user's to make: strangers are declined, and nobody is asked.
#[test]
fn xfr_04_refer_outside_of_calls_is_declined() {
    let (mut world, ours) = in_a_call();
    assert_eq!(refer(&mut world, None, 1, CAROL), ["SIP/2.0 603 Decline"]);
    // A dialog that is no call of ours is none (RFC 4538).
    let further = format!("{CAROL}Target-Dialog: 1@x;local-tag=2;remote-tag=3\r\n");
    assert_eq!(
        refer(&mut world, None, 2, &further),
        ["SIP/2.0 603 Decline"]
    );
    assert!(transfers(&world).is_empty());
    assert_eq!(info(&world, ours).transfer, None);
}

/// XFR-05; RFC 3515, 2.4.2: one Refer-To that can be read; and what we send is INVITE.
#[test]
fn xfr_05_refer_that_cannot_be_followed() {
    let (mut world, ours) = in_a_call();
    let bad = [
        "",
        "Refer-To: <sip:carol@10.0.0.3\r\n",
        "Refer-To: <sip:c@10.0.0.3>\r\nRefer-To: <sip:d@10.0.0.3>\r\n",
        "Refer-To: <sip:c@10.0.0.3?Replaces=nothing>\r\n",
    ];
    for (number, further) in (1..).zip(bad) {
        let said = refer(&mut world, Some(ours), number, further);
        assert_eq!(said, ["SIP/2.0 400 Bad Request"], "{further}");
    }
    let other = [
        "Refer-To: <sip:carol@10.0.0.3;method=BYE>\r\n",
        "Refer-To: <tel:+1-201-555-0123>\r\n",
    ];
    for (number, further) in (11..).zip(other) {
        let said = refer(&mut world, Some(ours), number, further);
        assert_eq!(said, ["SIP/2.0 603 Decline"], "{further}");
    }
    assert!(transfers(&world).is_empty());
}

/// XFR-04, XFR-05, SES-73: accepted at once with a first report; a second one meanwhile gets 480.
#[test]
fn xfr_05_a_second_refer_meanwhile_is_480() {
    let (mut world, ours) = in_a_call();
    let further = "Refer-To: <sip:carol@10.0.0.3?Replaces=1%40x%3Bto-tag%3D2%3Bfrom-tag%3D3>\r\n\
                   Referred-By: <sip:bob@example.com>\r\n";
    let said = refer(&mut world, Some(ours), 1, further);
    assert_eq!(said[0], "SIP/2.0 202 Accepted");
    assert!(said[1].starts_with("NOTIFY "), "{said:?}");
    let said = refer(&mut world, Some(ours), 2, CAROL);
    assert_eq!(said[0], "SIP/2.0 480 Temporarily Unavailable");
    assert_eq!(transfers(&world), ["NewIncoming"]);
    let transfer = info(&world, ours).transfer.expect("a transfer");
    assert_eq!(transfer.state, TransferState::Starting);
    assert_eq!(transfer.destination.as_str(), "sip:carol@10.0.0.3");
    let by = transfer.referred_by.expect("Referred-By");
    assert_eq!(by.as_str(), "sip:bob@example.com");
    let replaced = transfer.replaced_dialog_id.as_deref();
    assert_eq!(replaced, Some("1@x;to-tag=2;from-tag=3"));
    // XFR-02, XFR-04: what was asked for is in the new INVITE, unescaped once.
    let before = world.hosts[0].sent.len();
    let streams = vec![StreamSpec::new("probe")];
    let new = world.command(0, |agent, now| agent.accept_transfer(now, ours, streams));
    assert_ne!(new.unwrap(), ours);
    world.run(TICK);
    let sent = &world.hosts[0].sent[before..];
    let texts = sent
        .iter()
        .filter_map(|bytes| std::str::from_utf8(bytes).ok());
    let invite = texts.into_iter().find(|text| text.starts_with("INVITE "));
    let invite = invite.expect("an INVITE");
    for line in [
        "INVITE sip:carol@10.0.0.3 SIP/2.0\r\n",
        "\r\nReplaces: 1@x;to-tag=2;from-tag=3\r\n",
        "\r\nReferred-By: <sip:bob@example.com>\r\n",
        "\r\nRequire: replaces\r\n",
    ] {
        assert!(invite.contains(line), "{line} in {invite}");
    }
    let unknown = SessionId::from_parts(9, 9);
    let nobody = world.command(0, |agent, now| {
        agent.reject_transfer(now, unknown, None, None)
    });
    assert!(nobody.is_err());
}
