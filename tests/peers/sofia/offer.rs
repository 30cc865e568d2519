//! Offers that one end asks the other for, by a re-INVITE without one (RFC 3261, 14; RFC 6337, 5.2.5).

use super::{Case, ITS_RTP, PATIENCE, Scene, Wire};
use crate::{
    Outcome,
    core::{description, port_of},
    message::Seen,
};
use sip::{Config, Headers, InvitationEvent};

/// The cases of this part.
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "we ask it for an offer in mid-call: its offer in 200, our answer in ACK",
            body: we_ask,
            wire: Wire::Fits(asked),
        },
        Case {
            name: "it asks us for an offer in mid-call: our offer in 200, its answer in ACK",
            body: it_asks,
            wire: Wire::Fits(asked),
        },
    ]
}

fn we_ask(scene: &Scene<'_>) -> Outcome<String> {
    let mut sofia = scene.sofia(&[])?;
    let target = scene.sofia_uri();
    let words = [
        "call",
        &target,
        "--codecs",
        "PCMA",
        "--request-after",
        "0.3",
    ];
    let mut agent = scene.agent(&[&words[..], &["--hangup-after", "1.5"]].concat())?;
    sofia.takes_call()?;
    agent.event("SIPSessionDidStart", PATIENCE)?;
    let last = agent.finish(PATIENCE)?;
    let updates = agent.events("SIPInvitationGotSDPUpdate");
    let agreed = updates
        .iter()
        .filter(|event| event.data["succeeded"] == true);
    let agreed = agreed.count();
    sofia.state("terminated")?;
    match (last.exit, agreed) {
        (0, 2) => Ok("agreed on twice".to_owned()),
        (exit, agreed) => Err(format!(
            "exit {exit} {}, agreed on {agreed} times",
            last.reason
        )),
    }
}

fn it_asks(scene: &Scene<'_>) -> Outcome<String> {
    let (mut sofia, core) = (scene.sofia(&[])?, scene.core(Config::new("tested"))?);
    let call = core.invite(&scene.sofia_uri(), Some(description(OUR_RTP)))?;
    sofia.takes_call()?;
    core.acknowledged()?;
    core.answered()?;
    sofia.state("ready")?;
    sofia.tell("reinvite 1")?;
    core.call_event("wish for an offer", |event| match event {
        InvitationEvent::OfferRequested { .. } => Some(()),
        _ => None,
    })?;
    core.with(call, |call, now| {
        call.offer(now, Some(description(OUR_RTP + 2)), &Headers::new())
    })?;
    let answer = core.answered()?.1;
    sofia.learns(OUR_RTP + 2)?;
    core.with(call, |call, now| call.end(now, &Headers::new()))?;
    core.ended()?;
    match port_of(&answer.body) {
        Some(ITS_RTP) => Ok("answered".to_owned()),
        port => Err(format!("its port is {port:?}")),
    }
}

/// Judges the second INVITE of a call: it has no offer, its 200 has, and the ACK answers.
fn asked(seen: &[Seen]) -> Outcome<String> {
    let mut invites = seen
        .iter()
        .enumerate()
        .filter(|(_, seen)| seen.message.is_request("INVITE") && seen.message.tag("to").is_some());
    let (at, invite) = invites.next().ok_or("no re-INVITE")?;
    let mut rest = seen[at..].iter();
    let ok = rest.find(|seen| seen.message.status() == Some(200));
    let ack = rest.find(|seen| seen.message.is_request("ACK"));
    let has = |seen: Option<&Seen>| seen.map(|seen| seen.message.body.starts_with(b"v=0"));
    match (invite.message.body.is_empty(), has(ok), has(ack)) {
        (true, Some(true), Some(true)) => {
            Ok("re-INVITE, 200 with an offer, ACK with an answer".to_owned())
        }
        what => Err(format!("{what:?}")),
    }
}

const OUR_RTP: u16 = 20_000;
