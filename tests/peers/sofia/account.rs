//! Digest authentication both ways (RFC 7616), and subscriptions both ways (RFC 6665).

use super::{Case, PATIENCE, Scene, Wire};
use crate::{Outcome, agent::Last, core};
use base::digest::{HashFunction, Secret};
use bytes::Bytes;
use sip::{
    Config, Description, Event, Headers, NotifierEvent, Package, Subscribe, SubscriptionEvent,
    auth::Guard,
};

/// The cases of this part.
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "we register, it verifies our digest",
            body: |scene| register(scene, PASSWORD, 0),
            wire: Wire::Is("REGISTER 401/REGISTER REGISTER 200/REGISTER"),
        },
        Case {
            name: "we register with a wrong password",
            body: |scene| register(scene, "wrong", 6),
            wire: Wire::Fits(|seen| {
                let accepted = seen.iter().any(|seen| seen.message.status() == Some(200));
                match accepted {
                    false => Ok("no 200".to_owned()),
                    true => Err("200".to_owned()),
                }
            }),
        },
        Case {
            name: "we call, it verifies our digest",
            body: call,
            wire: Wire::Is("INVITE 401 ACK INVITE 200 ACK BYE 200/BYE"),
        },
        Case {
            name: "it calls, we verify its digest",
            body: answer,
            wire: Wire::Is("INVITE 401 ACK INVITE 200 ACK BYE 200/BYE"),
        },
        Case {
            name: "we subscribe, it notifies",
            body: subscribe,
            wire: Wire::Fits(|_| Ok(String::new())),
        },
        Case {
            name: "it subscribes, we notify",
            body: notify,
            wire: Wire::Fits(|_| Ok(String::new())),
        },
    ]
}

/// The words of an account at Sofia.
fn account<'a>(verb: &[&'a str], password: &'a str) -> Vec<&'a str> {
    let words = [
        "--account",
        "alice@sofia.test",
        "--auth-realm",
        "sofia.test",
        "--password-file",
        password,
    ];
    [verb, &words].concat()
}

fn register(scene: &Scene<'_>, password: &str, exit: i64) -> Outcome<String> {
    let users = scene.file("users", &format!("alice:{PASSWORD}:\n"))?;
    let password = scene.file("password", password)?;
    let _sofia = scene.sofia(&[&format!("auth={}", users.display())])?;
    let (proxy, password) = (scene.sofia_uri(), password.to_string_lossy());
    let verb = ["register", "--once", "--proxy", &proxy];
    let mut agent = scene.quiet_agent(&account(&verb, &password))?;
    ended(&agent.finish(PATIENCE)?, exit)
}

fn call(scene: &Scene<'_>) -> Outcome<String> {
    let users = scene.file("users", &format!("alice:{PASSWORD}:\n"))?;
    let password = scene.file("password", PASSWORD)?;
    let mut sofia = scene.sofia(&[&format!("auth={}", users.display())])?;
    let (target, password) = (scene.sofia_uri(), password.to_string_lossy());
    let verb = ["call", &target, "--hangup-after", "0.2"];
    let mut agent = scene.agent(&account(&verb, &password))?;
    let known = sofia.event("known", |_| true)?;
    sofia.tell(&format!("respond {} 200 sdp", known["call"]))?;
    ended(&agent.finish(PATIENCE)?, 0)
}

fn answer(scene: &Scene<'_>) -> Outcome<String> {
    let (mut sofia, core) = (scene.sofia(&[])?, scene.core(Config::new("tested"))?);
    let secret = Secret::Password(PASSWORD.to_owned());
    let mut guard = Guard::new("ours.test", vec![("bob".to_owned(), secret)]);
    // Of several challenges Sofia reads the first, and it knows no hash but MD5.
    guard
        .policy
        .algorithms
        .retain(|algorithm| algorithm.hash == HashFunction::Md5);
    core.act(|endpoint, now| endpoint.set_guard(now, Some(guard)));
    sofia.tell(&format!("invite {}", scene.our_uri()))?;
    sofia.response("invite", 401)?;
    sofia.tell(&format!("password 1 ours.test bob {PASSWORD}"))?;
    let (call, caller) = core.event("call", |event| match event {
        Event::Invitation(id, sip::InvitationEvent::Incoming(call)) => {
            Some((*id, call.caller.clone()))
        }
        _ => None,
    })?;
    core.with(call, |call, now| {
        call.accept(now, core::description(20_000), Headers::new())
    })?;
    core.acknowledged()?;
    sofia.state("ready")?;
    sofia.tell("bye 1")?;
    core.ended()?;
    sofia.state("terminated")?;
    match caller.as_deref() {
        Some("bob") => Ok("the caller is bob".to_owned()),
        caller => Err(format!("the caller is {caller:?}")),
    }
}

fn subscribe(scene: &Scene<'_>) -> Outcome<String> {
    let (mut sofia, core) = (scene.sofia(&[])?, scene.core(Config::new("tested"))?);
    let (from, to) = (
        core::address(&scene.our_uri())?,
        core::address(&scene.sofia_uri())?,
    );
    let subscription = core
        .act(|endpoint, now| endpoint.subscribe(now, Subscribe::new(from, to, "presence")))
        .map_err(|error| error.to_string())?;
    let asked = sofia.event("nua_i_subscribe", |_| true)?;
    let number = &asked["call"];
    sofia.tell(&format!("notify {number} application/pidf+xml <one/>"))?;
    told(&core, "<one/>")?;
    sofia.tell(&format!("notify {number} application/pidf+xml <two/>"))?;
    told(&core, "<two/>")?;
    core.act(|endpoint, now| endpoint.unsubscribe(now, subscription))
        .map_err(|error| error.to_string())?;
    core.event("end of the subscription", |event| match event {
        Event::Subscription(_, SubscriptionEvent::Ended { cause, .. }) => Some(cause.to_string()),
        _ => None,
    })
}

fn told(core: &core::Core, document: &str) -> Outcome<()> {
    core.event(&format!("NOTIFY with {document}"), |event| match event {
        Event::Subscription(
            _,
            SubscriptionEvent::GotNotify {
                content: Some(content),
                ..
            },
        ) => (content.body == document.as_bytes()).then_some(()),
        _ => None,
    })
}

fn notify(scene: &Scene<'_>) -> Outcome<String> {
    let (mut sofia, core) = (scene.sofia(&[])?, scene.core(Config::new("tested"))?);
    let types = vec!["application/pidf+xml".to_owned()];
    core.act(|endpoint, _| endpoint.add_package(Package::new("presence", types)))
        .map_err(|error| error.to_string())?;
    sofia.tell(&format!("subscribe {} presence", scene.our_uri()))?;
    let id = core.event("subscription", |event| match event {
        Event::Notifier(id, NotifierEvent::Incoming(_)) => Some(*id),
        _ => None,
    })?;
    let document = |text: &'static str| {
        Some(Description {
            content_type: "application/pidf+xml".to_owned(),
            body: Bytes::from_static(text.as_bytes()),
        })
    };
    core.act(|endpoint, now| endpoint.accept_subscription(now, id, document("<one/>")))
        .map_err(|error| error.to_string())?;
    sofia.event("nua_i_notify", |event| event["body"] == "<one/>")?;
    core.act(|endpoint, now| endpoint.notify(now, id, document("<two/>")))
        .map_err(|error| error.to_string())?;
    sofia.event("nua_i_notify", |event| event["body"] == "<two/>")?;
    sofia.tell("unsubscribe 1")?;
    core.event("end of the subscription", |event| match event {
        Event::Notifier(_, NotifierEvent::Ended { cause }) => Some(cause.to_string()),
        _ => None,
    })
}

fn ended(last: &Last, expected: i64) -> Outcome<String> {
    let value = format!("exit {} {}", last.exit, last.reason);
    match last.exit == expected {
        true => Ok(value),
        false => Err(value),
    }
}

const PASSWORD: &str = "secret";
