//! Attended transfers (RFC 5589, 7): REFER and Replaces, with us in each of the three roles.

use super::{Case, Scene, Wire};
use crate::{
    Outcome,
    core::{Core, address, description},
    message::Seen,
};
use sip::{
    Config, Event, Headers, IncomingReferralEvent, InvitationEvent, InvitationId, Invite, Refer,
    ReferralEvent, Status,
};

/// The cases of this part.
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "attended transfer: we transfer one to another",
            body: transferor,
            wire: Wire::Fits(referred),
        },
        Case {
            name: "attended transfer: one transfers us to another",
            body: transferee,
            wire: Wire::Fits(replacing),
        },
        Case {
            name: "attended transfer: one transfers another to us",
            body: target,
            wire: Wire::Fits(replacing),
        },
    ]
}

/// Bob and Carol are Sofia, we have called both.
fn transferor(scene: &Scene<'_>) -> Outcome<String> {
    let (mut bob, mut carol) = (scene.sofia(&[])?, scene.other_sofia()?);
    let core = scene.core(Config::new("tested"))?;
    let first = core.invite(&scene.sofia_uri(), Some(description(OUR_RTP)))?;
    bob.takes_call()?;
    core.acknowledged()?;
    let second = core.invite(&scene.other_uri(), Some(description(OUR_RTP + 2)))?;
    carol.takes_call()?;
    core.acknowledged()?;
    let mut refer = Refer::in_call(first, address(&scene.other_uri())?);
    refer.replaces = Some(second);
    core.act(|endpoint, now| endpoint.refer(now, refer))
        .map_err(|error| error.to_string())?;
    // Carol hangs up the call that was replaced.
    carol.event("nua_i_invite", |event| event["replaces"].is_string())?;
    let outcome = core.event("outcome of REFER", |event| match event {
        Event::Referral(_, ReferralEvent::Ended { outcome, code, .. }) => {
            Some(format!("REFER {outcome}, {}", code.map_or(0, Status::code)))
        }
        _ => None,
    })?;
    carol.state("ready")?;
    core.with(first, |call, now| call.end(now, &Headers::new()))?;
    bob.state("terminated")?;
    match outcome.as_str() {
        "REFER succeeded, 200" => Ok(outcome),
        _ => Err(outcome),
    }
}

/// Bob has called us and Carol, and wants us to speak with each other.
fn transferee(scene: &Scene<'_>) -> Outcome<String> {
    let (mut bob, mut carol) = (scene.sofia(&[])?, scene.other_sofia()?);
    let core = scene.core(Config::new("tested"))?;
    bob.tell(&format!("invite {}", scene.our_uri()))?;
    taken(&core)?;
    bob.state("ready")?;
    bob.tell(&format!("invite {}", scene.other_uri()))?;
    carol.takes_call()?;
    bob.state("ready")?;
    bob.tell(&format!("transfer 1 {} 2", scene.other_uri()))?;
    let (referral, refer) = core.event("REFER", |event| match event {
        Event::IncomingReferral(id, IncomingReferralEvent::Incoming(refer)) => {
            Some((*id, refer.clone()))
        }
        _ => None,
    })?;
    core.act(|endpoint, now| endpoint.accept_referral(now, referral))
        .map_err(|error| error.to_string())?;
    let mut invite = Invite::new(address(&scene.our_uri())?, address(&scene.other_uri())?);
    invite.offer = Some(description(OUR_RTP + 2));
    invite.replaces = refer.replaces.clone();
    core.act(|endpoint, now| endpoint.invite(now, invite))
        .map_err(|error| error.to_string())?;
    core.acknowledged()?;
    core.act(|endpoint, now| endpoint.report_referral(now, referral, Status::OK, None))
        .map_err(|error| error.to_string())?;
    // Carol has hung up on Bob, who hears that we have reached her, and lets us go.
    bob.has_told("nua_i_notify", |event| {
        event["body"]
            .as_str()
            .is_some_and(|body| body.starts_with("SIP/2.0 200"))
    })?;
    bob.tell("bye 1")?;
    let cause = core.ended()?;
    carol.state("ready")?;
    carol.tell("bye 2")?;
    core.ended()?;
    Ok(format!("{cause} by Bob"))
}

/// We have called Bob; Carol calls us in his place, because he told her to.
fn target(scene: &Scene<'_>) -> Outcome<String> {
    let (mut bob, mut carol) = (scene.sofia(&[])?, scene.other_sofia()?);
    let core = scene.core(Config::new("tested"))?;
    let first = core.invite(&scene.sofia_uri(), Some(description(OUR_RTP)))?;
    bob.takes_call()?;
    core.acknowledged()?;
    bob.state("ready")?;
    bob.tell(&format!("invite {}", scene.other_uri()))?;
    carol.takes_call()?;
    bob.state("ready")?;
    bob.tell(&format!("transfer 2 {} 1", scene.our_uri()))?;
    let (_, replaced) = taken(&core)?;
    if replaced != Some(first) {
        return Err(format!("it replaces {replaced:?}, not {first:?}"));
    }
    let cause = core.ended()?;
    bob.state("terminated")?;
    bob.has_told("nua_i_notify", |event| {
        event["body"]
            .as_str()
            .is_some_and(|body| body.starts_with("SIP/2.0 200"))
    })?;
    carol.tell("bye 2")?;
    core.ended()?;
    Ok(format!("the first call: {cause}"))
}

/// Takes the next call; returns it and the one that it replaces.
fn taken(core: &Core) -> Outcome<(InvitationId, Option<InvitationId>)> {
    let (call, replaced) = core.event("call", |event| match event {
        Event::Invitation(id, InvitationEvent::Incoming(call)) => Some((*id, call.replaces)),
        _ => None,
    })?;
    core.with(call, |call, now| {
        call.accept(now, description(OUR_RTP), Headers::new())
    })?;
    core.acknowledged()?;
    Ok((call, replaced))
}

/// Our REFER has the other call in Refer-To.
fn referred(seen: &[Seen]) -> Outcome<String> {
    let mut refers = seen.iter().filter(|seen| seen.message.is_request("REFER"));
    let refer = refers.next().ok_or("no REFER")?;
    let value = refer.message.header("refer-to").unwrap_or_default();
    let is_good = refer.is_ours && value.contains("?Replaces=") && value.contains("%3Bto-tag%3D");
    let by = refer.message.header("referred-by").is_some();
    match is_good && by {
        true => Ok("Replaces in Refer-To, Referred-By".to_owned()),
        false => Err(format!("Refer-To: {value}")),
    }
}

/// An INVITE names a call by Replaces.
fn replacing(seen: &[Seen]) -> Outcome<String> {
    let values = seen.iter().filter(|seen| seen.message.is_request("INVITE"));
    let mut values = values.filter_map(|seen| seen.message.header("replaces"));
    let value = values.next().ok_or("no Replaces")?;
    match value.contains("to-tag=") && value.contains("from-tag=") {
        true => Ok("Replaces in INVITE".to_owned()),
        false => Err(format!("Replaces: {value}")),
    }
}

const OUR_RTP: u16 = 20_000;
