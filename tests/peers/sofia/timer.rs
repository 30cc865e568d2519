//! Session timers (RFC 4028): who refreshes, and what happens when nobody does any more.

use super::{Case, PATIENCE, Scene, Wire};
use crate::{
    Outcome,
    core::{Core, description},
    message::{Message, Seen},
};
use sip::{
    Config, HeaderName, Headers, InvitationEvent, InvitationId, Method, Status,
    header::{Refresher, SessionExpires},
};
use std::{thread, time::Duration};

/// The cases of this part.
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "we call and refresh, until we die",
            body: we_call,
            wire: Wire::Fits(|seen| refreshed(seen, Who::We, "uac")),
        },
        Case {
            name: "we call, it refreshes, until it dies",
            body: we_call_for_it,
            wire: Wire::Fits(|seen| refreshed(seen, Who::It, "uas")),
        },
        Case {
            name: "it calls and refreshes, until it dies",
            body: it_calls,
            wire: Wire::Fits(|seen| refreshed(seen, Who::It, "uac")),
        },
        Case {
            name: "it calls, we refresh, until we die",
            body: it_calls_for_us,
            wire: Wire::Fits(|seen| refreshed(seen, Who::We, "uas")),
        },
        Case {
            name: "we call and refresh, it takes that over, until it dies",
            body: it_takes_over,
            wire: Wire::Fits(|seen| handed_over(seen, Who::It)),
        },
        Case {
            name: "we call, it refreshes, we take that over, until we die",
            body: we_take_over,
            wire: Wire::Fits(|seen| handed_over(seen, Who::We)),
        },
        Case {
            name: "we call, it wants longer intervals: 422",
            body: we_ask_too_little,
            wire: Wire::Fits(|seen| raised(seen, Who::We, 100)),
        },
        Case {
            name: "it calls, we want longer intervals: 422",
            body: it_asks_too_little,
            wire: Wire::Fits(|seen| raised(seen, Who::It, 20)),
        },
    ]
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    We,
    It,
}

fn we_call(scene: &Scene<'_>) -> Outcome<String> {
    let mut sofia = scene.sofia(&["expires=6", "min-se=2"])?;
    let target = scene.sofia_uri();
    let words = ["call", &target, "--session-expires", "6", "--min-se", "2"];
    let mut agent = scene.agent(&words)?;
    sofia.takes_call()?;
    agent.event("SIPSessionDidStart", PATIENCE)?;
    sofia.state("ready")?;
    sofia.refreshed(INTERVAL)?;
    agent.freeze()?;
    Ok(outlived())
}

fn it_calls(scene: &Scene<'_>) -> Outcome<String> {
    let mut sofia = scene.sofia(&["expires=6", "min-se=2", "refresher=local"])?;
    let words = ["answer", "--auto", "--count", "1", "--min-se", "2"];
    let mut agent = scene.agent(&words)?;
    sofia.tell(&format!("invite {}", scene.our_uri()))?;
    agent.event("SIPSessionDidStart", PATIENCE)?;
    sofia.state("ready")?;
    sofia.refreshed(INTERVAL)?;
    sofia.freeze()?;
    let ended = agent.event("SIPSessionDidEnd", INTERVAL * 2)?;
    match ended.data["end_reason"].as_str() {
        Some("session expired") => Ok("we say session expired".to_owned()),
        _ => Err(format!("we say {}", ended.data)),
    }
}

/// Who calls may say that the callee refreshes; the command leaves it open, the library does not have to.
fn we_call_for_it(scene: &Scene<'_>) -> Outcome<String> {
    let mut sofia = scene.sofia(&["expires=6", "min-se=2"])?;
    let core = scene.core(callee_refreshes())?;
    let call = core.invite(&scene.sofia_uri(), Some(description(20_000)))?;
    sofia.takes_call()?;
    core.acknowledged()?;
    sofia.state("ready")?;
    answer(&core, call)?;
    sofia.refreshed(PATIENCE)?;
    sofia.freeze()?;
    outlive(&core)
}

/// It asks by UPDATE to be the one who refreshes.
fn it_takes_over(scene: &Scene<'_>) -> Outcome<String> {
    let mut sofia = scene.sofia(&["expires=6", "min-se=2"])?;
    let core = scene.core(refreshing(Refresher::Uac))?;
    let call = core.invite(&scene.sofia_uri(), Some(description(20_000)))?;
    sofia.takes_call()?;
    core.acknowledged()?;
    sofia.state("ready")?;
    sofia.refreshed(INTERVAL)?;
    sofia.tell("refresh 1 local")?;
    answer(&core, call)?;
    sofia.response("update", 200)?;
    answer(&core, call)?;
    sofia.refreshed(PATIENCE)?;
    sofia.freeze()?;
    outlive(&core)
}

/// We ask by UPDATE to be the one who refreshes (RFC 4028, 7.4).
fn we_take_over(scene: &Scene<'_>) -> Outcome<String> {
    let mut sofia = scene.sofia(&["expires=6", "min-se=2"])?;
    let core = scene.core(refreshing(Refresher::Uas))?;
    let call = core.invite(&scene.sofia_uri(), Some(description(20_000)))?;
    sofia.takes_call()?;
    let dialog = core.acknowledged()?;
    sofia.state("ready")?;
    answer(&core, call)?;
    core.acknowledged()?;
    let mut headers = Headers::new();
    let asked = SessionExpires {
        seconds: 6,
        refresher: Some(Refresher::Uac),
    };
    headers.push(HeaderName::SessionExpires, asked);
    core.with(call, |call, now| call.update(now, dialog, None, &headers))?;
    for update in ["200 to UPDATE", "refresh"] {
        core.call_event(update, |event| match event {
            InvitationEvent::Transaction { method, code, .. } => {
                (*method == Method::Update && *code == Status::OK).then_some(())
            }
            _ => None,
        })?;
    }
    core.freeze();
    Ok(outlived())
}

/// Answers what it offers: it refreshes by a re-INVITE that offers again.
fn answer(core: &Core, call: InvitationId) -> Outcome<()> {
    let (dialog, _) = core.offered()?;
    core.with(call, |call, now| {
        call.answer(now, dialog, description(20_000))
    })
}

/// Waits until we have given up a session that it refreshes no more.
fn outlive(core: &Core) -> Outcome<String> {
    match core.ended_within(INTERVAL * 2)? {
        cause if cause == "session expired" => Ok(format!("we say {cause}")),
        cause => Err(format!("we say {cause}")),
    }
}

/// Judges a session whose refresher changed: from the second request that asks for it on, `next` refreshes alone, and the
/// other one hangs up when it does no more.
fn handed_over(seen: &[Seen], next: Who) -> Outcome<String> {
    let is_refresh = |seen: &&Seen| {
        let is_within = seen.message.tag("to").is_some();
        let asks = seen.message.is_request("UPDATE") || seen.message.is_request("INVITE");
        is_within && asks && seen.message.header("session-expires").is_some()
    };
    let refreshes: Vec<&Seen> = seen.iter().filter(is_refresh).collect();
    let first = refreshes.first().ok_or("nobody refreshed")?;
    if first.is_ours == (next == Who::We) {
        return Err("the old one did not refresh".to_owned());
    }
    let change = refreshes
        .iter()
        .position(|seen| seen.is_ours != first.is_ours);
    let after = &refreshes[change.ok_or("nobody took over")?..];
    let asks = after[0]
        .message
        .header("session-expires")
        .unwrap_or_default();
    if asks.replace(' ', "") != "6;refresher=uac" {
        return Err(format!("asked for {asks}"));
    }
    if after.len() < 2 || after.iter().any(|seen| seen.is_ours == first.is_ours) {
        return Err("the old one goes on, or the new one does not".to_owned());
    }
    let mut byes = seen.iter().filter(|seen| seen.message.is_request("BYE"));
    let bye = byes.next().ok_or("nobody hung up")?;
    if bye.is_ours == (next == Who::We) {
        return Err("the wrong side hung up".to_owned());
    }
    Ok(format!("{} refreshes after the change", after.len() - 1))
}

/// The same, where the callee is we.
fn it_calls_for_us(scene: &Scene<'_>) -> Outcome<String> {
    let mut sofia = scene.sofia(&["expires=6", "min-se=2", "refresher=remote"])?;
    let core = scene.core(callee_refreshes())?;
    sofia.tell(&format!("invite {}", scene.our_uri()))?;
    let (call, ..) = core.incoming()?;
    core.with(call, |call, now| {
        call.accept(now, description(20_000), Headers::new())
    })?;
    core.acknowledged()?;
    sofia.state("ready")?;
    sofia.refreshed(INTERVAL)?;
    core.freeze();
    Ok(outlived())
}

fn callee_refreshes() -> Config {
    refreshing(Refresher::Uas)
}

fn refreshing(refresher: Refresher) -> Config {
    let mut config = Config::new("tested");
    config.session_timer.expires = Some(INTERVAL);
    config.session_timer.min_se = Duration::from_secs(2);
    config.session_timer.refresher = Some(refresher);
    config
}

/// Lets the time pass in which Sofia has to give the session up; it tells that only when its BYE has
/// timed out, too.
fn outlived() -> String {
    thread::sleep(INTERVAL + Duration::from_millis(1_500));
    "we are silent".to_owned()
}

/// Judges a session that was refreshed once, and ended when nobody refreshed it.
fn refreshed(seen: &[Seen], who: Who, refresher: &str) -> Outcome<String> {
    let accepted = seen.iter().find(|seen| seen.message.status() == Some(200));
    let granted = accepted.and_then(|seen| seen.message.header("session-expires"));
    let granted = granted.ok_or("the 200 grants no interval")?;
    if granted.replace(' ', "") != format!("6;refresher={refresher}") {
        return Err(format!("granted is {granted}"));
    }
    let is_refresh = |seen: &&Seen| {
        let is_within = seen.message.tag("to").is_some();
        let asks = seen.message.is_request("UPDATE") || seen.message.is_request("INVITE");
        is_within && asks
    };
    let mut refreshes = seen.iter().filter(is_refresh);
    let first = refreshes.next().ok_or("nobody refreshed")?;
    if first.is_ours != (who == Who::We) {
        return Err("the wrong side refreshed".to_owned());
    }
    let last = refreshes.next_back().unwrap_or(first);
    let mut byes = seen.iter().filter(|seen| seen.message.is_request("BYE"));
    let bye = byes.next().ok_or("nobody hung up")?;
    if bye.is_ours == (who == Who::We) {
        return Err("the wrong side hung up".to_owned());
    }
    let (begun, waited) = (
        first.at - accepted.map_or(0.0, |seen| seen.at),
        bye.at - last.at,
    );
    // RFC 4028, 10: half of the interval, and the smaller of 32 s and a third of it before its end.
    // Sofia counts whole seconds, and hangs up at the end itself.
    let latest = if bye.is_ours { 4.6 } else { 7.5 };
    let is_in_time = (2.0..4.0).contains(&begun) && (3.9..latest).contains(&waited);
    let value = format!("refreshed after {begun:.1} s, BYE {waited:.1} s after the last one");
    is_in_time.then_some(value.clone()).ok_or(value)
}

fn we_ask_too_little(scene: &Scene<'_>) -> Outcome<String> {
    let mut sofia = scene.sofia(&["expires=200", "min-se=100"])?;
    let target = scene.sofia_uri();
    let words = ["call", &target, "--session-expires", "10", "--min-se", "4"];
    let mut agent = scene.agent(&[&words[..], &["--hangup-after", "0.2"]].concat())?;
    sofia.takes_call()?;
    let last = agent.finish(PATIENCE)?;
    match last.exit {
        0 => Ok("exit 0".to_owned()),
        exit => Err(format!("exit {exit}: {}", last.reason)),
    }
}

fn it_asks_too_little(scene: &Scene<'_>) -> Outcome<String> {
    let mut sofia = scene.sofia(&["expires=10", "min-se=4"])?;
    let words = ["answer", "--auto", "--count", "1", "--min-se", "20"];
    let mut agent = scene.agent(&words)?;
    sofia.tell(&format!("invite {}", scene.our_uri()))?;
    sofia.state("ready")?;
    sofia.tell("bye 1")?;
    let last = agent.finish(PATIENCE)?;
    match last.exit {
        0 => Ok("exit 0".to_owned()),
        exit => Err(format!("exit {exit}: {}", last.reason)),
    }
}

/// Judges an INVITE that was told the least interval, and came again with it.
fn raised(seen: &[Seen], caller: Who, least: u32) -> Outcome<String> {
    let messages: Vec<&Message> = seen.iter().map(|seen| &seen.message).collect();
    let invites = messages
        .iter()
        .filter(|message| message.is_request("INVITE"));
    let [first, second] = invites.collect::<Vec<_>>()[..] else {
        return Err("not two INVITEs".to_owned());
    };
    let refusal = messages
        .iter()
        .find(|message| message.status() == Some(422));
    let said = refusal.and_then(|message| seconds(message.header("min-se")));
    let asked = (
        seconds(first.header("session-expires")),
        seconds(second.header("session-expires")),
        seconds(second.header("min-se")),
    );
    let is_good = said == Some(least)
        && asked.0 == Some(10)
        && asked.1.min(asked.2) >= Some(least)
        && first.call_id() == second.call_id()
        && first.tag("from") == second.tag("from")
        && seen
            .iter()
            .any(|seen| seen.message.is_request("INVITE") && seen.is_ours == (caller == Who::We));
    let value = format!("Min-SE {said:?}, asked for {asked:?}");
    is_good.then_some(value.clone()).ok_or(value)
}

fn seconds(value: Option<&str>) -> Option<u32> {
    value?.split(';').next()?.trim().parse().ok()
}

const INTERVAL: Duration = Duration::from_secs(6);
