//! Reliable provisional responses and UPDATE (RFC 3262, RFC 3311).

use super::{Case, ITS_RTP, Scene, Sofia, Wire};
use crate::{
    Outcome,
    core::{Core, description, port_of},
};
use sip::{
    Config, Description, DialogId, Headers, InvitationEvent, InvitationId, Method, Status,
    endpoint::config::Reliability,
};

/// The cases of this part.
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "it calls: our answer in 183, PRACK, UPDATE both ways",
            body: |scene| incoming(scene, Offer::InInvite),
            wire: Wire::Is(LADDER),
        },
        Case {
            name: "it calls without offer: our offer in 183, its answer in PRACK",
            body: |scene| incoming(scene, Offer::InProgress),
            wire: Wire::Is(LADDER),
        },
        Case {
            name: "we call: its answer in 183, PRACK, UPDATE both ways",
            body: |scene| outgoing(scene, Offer::InInvite),
            wire: Wire::Is(LADDER),
        },
        Case {
            name: "we call without offer: its offer in 183, our answer in PRACK",
            body: |scene| outgoing(scene, Offer::InProgress),
            wire: Wire::Is(LADDER),
        },
        Case {
            name: "it insists on 100rel, we do not know it: 420",
            body: refused,
            wire: Wire::Is("INVITE 420 ACK"),
        },
    ]
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Offer {
    InInvite,
    InProgress,
}

fn incoming(scene: &Scene<'_>, offer: Offer) -> Outcome<String> {
    let mut options = vec!["rel=1"];
    if offer == Offer::InProgress {
        options.push("offerless=1");
    }
    let (mut sofia, core) = (scene.sofia(&options)?, scene.core(Config::new("tested"))?);
    sofia.tell(&format!("invite {}", scene.our_uri()))?;
    let (call, dialog, proposed) = core.incoming()?;
    match offer {
        Offer::InInvite => is_its(proposed.as_ref(), ITS_RTP)?,
        Offer::InProgress if proposed.is_some() => return Err("an offer".to_owned()),
        Offer::InProgress => {}
    }
    core.with(call, |call, now| {
        let headers = Headers::new();
        let code = Status::SESSION_PROGRESS;
        call.provisional(now, code, None, headers, Some(description(OUR_RTP)))
    })?;
    sofia.learns(OUR_RTP)?;
    sofia.response("prack", 200)?;
    if offer == Offer::InProgress {
        is_its(Some(&core.answered()?.1), ITS_RTP)?;
    }
    update(&core, &mut sofia, call, dialog, 2)?;
    core.with(call, |call, now| {
        call.accept(now, description(OUR_RTP + 2), Headers::new())
    })?;
    core.acknowledged()?;
    sofia.state("ready")?;
    update(&core, &mut sofia, call, dialog, 4)?;
    sofia.tell("bye 1")?;
    over(&core, &mut sofia, "hung up")
}

fn outgoing(scene: &Scene<'_>, offer: Offer) -> Outcome<String> {
    let (mut sofia, core) = (scene.sofia(&["rel=1"])?, scene.core(Config::new("tested"))?);
    let ours = (offer == Offer::InInvite).then(|| description(OUR_RTP));
    let call = core.invite(&scene.sofia_uri(), ours)?;
    let number = sofia.incoming()?;
    sofia.tell(&format!("respond {number} 183 sdp"))?;
    let dialog = match offer {
        Offer::InInvite => {
            let (dialog, answer) = core.answered()?;
            is_its(Some(&answer), ITS_RTP)?;
            dialog
        }
        Offer::InProgress => {
            let (dialog, offer) = core.offered()?;
            is_its(Some(&offer), ITS_RTP)?;
            let answer = description(OUR_RTP);
            core.with(call, |call, now| call.answer(now, dialog, answer))?;
            dialog
        }
    };
    sofia.event("nua_i_prack", |event| event["status"] == 200)?;
    asked(&core, Method::Prack)?;
    update(&core, &mut sofia, call, dialog, 2)?;
    sofia.tell(&format!("respond {number} 200"))?;
    core.acknowledged()?;
    sofia.state("ready")?;
    update(&core, &mut sofia, call, dialog, 4)?;
    core.with(call, |call, now| call.end(now, &Headers::new()))?;
    over(&core, &mut sofia, "user request")
}

fn refused(scene: &Scene<'_>) -> Outcome<String> {
    let mut config = Config::new("tested");
    config.reliable = Reliability::Off;
    let (mut sofia, core) = (scene.sofia(&["rel=1"])?, scene.core(config)?);
    sofia.tell(&format!("invite {} Require: 100rel", scene.our_uri()))?;
    sofia.response("invite", 420)?;
    sofia.state("terminated")?;
    Ok(format!("{} calls of ours", core.stats().invitations))
}

/// Changes the session from both sides, first from ours: to ports that are `step` above the first ones.
fn update(
    core: &Core,
    sofia: &mut Sofia,
    call: InvitationId,
    dialog: DialogId,
    step: u16,
) -> Outcome<()> {
    let ours = OUR_RTP + step;
    core.with(call, |call, now| {
        call.update(now, dialog, Some(description(ours)), &Headers::new())
    })?;
    core.answered()?;
    sofia.learns(ours)?;
    sofia.tell(&format!("update 1 {}", ITS_RTP + step))?;
    let (dialog, offer) = core.offered()?;
    is_its(Some(&offer), ITS_RTP + step)?;
    core.with(call, |call, now| {
        call.answer(now, dialog, description(ours))
    })?;
    sofia.response("update", 200).map(drop)
}

/// Waits until a request within the call has got its final response.
fn asked(core: &Core, wanted: Method) -> Outcome<()> {
    core.call_event("transaction", |event| match event {
        InvitationEvent::Transaction { method, .. } => (*method == wanted).then_some(()),
        _ => None,
    })
}

/// Waits for the end on both sides.
fn over(core: &Core, sofia: &mut Sofia, expected: &str) -> Outcome<String> {
    sofia.state("terminated")?;
    match core.ended()? {
        cause if cause == expected => Ok(cause),
        cause => Err(format!("ended by {cause}")),
    }
}

fn is_its(description: Option<&Description>, port: u16) -> Outcome<()> {
    let found = description.and_then(|description| port_of(&description.body));
    match found == Some(port) {
        true => Ok(()),
        false => Err(format!("its port is {found:?}, not {port}")),
    }
}

const OUR_RTP: u16 = 20_000;
const LADDER: &str = "INVITE 183 PRACK 200/PRACK UPDATE 200/UPDATE UPDATE 200/UPDATE 200 ACK \
    UPDATE 200/UPDATE UPDATE 200/UPDATE BYE 200/BYE";
