//! Subscriptions to the presence server: what we publish ourselves, and messages that wait.

use super::{PATIENCE, Site, Way, server::Challenge};
use crate::{
    Outcome,
    agent::Agent,
    message::{Seen, ladder},
};
use serde_json::Value;
use std::fs;

pub(super) fn expected(challenge: Challenge) -> Vec<String> {
    let cases = cases(challenge);
    cases.iter().map(|(name, _)| (*name).to_owned()).collect()
}

pub(super) fn run(site: &Site<'_>) {
    for (name, case) in cases(site.challenge) {
        site.run(name, || case(site, name));
    }
}

type Case = fn(&Site<'_>, &'static str) -> Outcome<()>;

fn cases(challenge: Challenge) -> Vec<(&'static str, Case)> {
    match challenge {
        Challenge::NoQop => vec![(PRESENCE_UDP, presence), (UNKNOWN, unknown)],
        Challenge::ShortNonces => vec![(SUMMARY, summary), (ONCE, once)],
        Challenge::Sha256 => vec![(PRESENCE_TCP, presence)],
        Challenge::Version6 => vec![(PRESENCE_UDP, presence)],
    }
}

/// One of ours publishes, another one watches: nothing yet, what is published, nothing again; and the
/// subscription is renewed meanwhile, and ended by its last NOTIFY.
fn presence(site: &Site<'_>, case: &'static str) -> Outcome<()> {
    let way = match case {
        PRESENCE_TCP => Way::Tcp,
        _ => Way::Udp,
    };
    let (watcher, shown) = (site.client("watcher"), site.client("shown"));
    let capture = site.watch(&[&watcher])?;
    let target = format!("sip:{}@{}", shown.user, site.challenge.domain());
    let subscribe = [
        "subscribe",
        &target,
        "--event",
        "presence",
        "--expires",
        "8",
    ];
    let mut watching = site.start(&watcher, way, &subscribe)?;
    let before = watching.event(GOT_NOTIFY, PATIENCE)?.data;
    let publish = ["publish", "presence", "--status", "open", "--note", NOTE];
    let publish = [&publish[..], &["--stay", "--timeout", "1"]].concat();
    let mut publishing = site.start(&shown, way, &publish)?;
    let published = heard(&mut watching, |body| body.contains(NOTE))?;
    let exit = publishing.finish(PATIENCE)?.exit;
    let after = heard(&mut watching, |body| !body.contains(NOTE))?;
    // Half of its life is over soon: the server answers a refresh with a report of its own.
    watching.event(GOT_NOTIFY, PATIENCE)?;
    let last = watching.interrupt()?;
    let ended = watching.events("SIPSubscriptionDidEnd").len();
    let states: Vec<String> = watching
        .events("SIPSubscriptionChangedState")
        .iter()
        .filter_map(|event| event.data["state"].as_str().map(str::to_owned))
        .collect();
    let messages = site.messages(&capture.finish()?, &watcher)?;
    let asked = Asked::of(&messages);
    let is_open = published["content_type"] == "application/pidf+xml"
        && text(&published).contains("<basic>open</basic>");
    let is_good = !text(&before).contains(NOTE)
        && is_open
        && !text(&after).contains(NOTE)
        && asked.is_good()
        && states.first().map(String::as_str) == Some("sent")
        && states.last().map(String::as_str) == Some("terminated")
        && ended == 1
        && (exit, last.exit) == (0, 130);
    site.add(
        case,
        is_good,
        format!(
            "{}, {} reports, exits {exit} and {}; {asked}; {}",
            states.join(" "),
            last.data["notifies"],
            last.exit,
            match way {
                // The server makes connections of its own to us.
                Way::Tcp => String::new(),
                _ => ladder(&messages),
            }
        ),
    );
    Ok(())
}

/// A message summary: what a voice mail server would publish.
fn summary(site: &Site<'_>, case: &'static str) -> Outcome<()> {
    let (phone, mailbox) = (site.client("phone"), site.client("mailbox"));
    let capture = site.watch(&[&phone])?;
    let target = format!("sip:{}@{}", mailbox.user, site.challenge.domain());
    let subscribe = [
        "subscribe",
        &target,
        "--event",
        "message-summary",
        "--expires",
        "8",
    ];
    let mut watching = site.start(&phone, Way::Udp, &subscribe)?;
    watching.event(GOT_NOTIFY, PATIENCE)?;
    let file = site.lab.directory.join("waiting-messages");
    fs::write(&file, WAITING).map_err(|error| error.to_string())?;
    let file = file.display().to_string();
    let publish = ["publish", &file, "--event", "message-summary"];
    let typed = ["--content-type", "application/simple-message-summary"];
    let publish = [&publish[..], &typed, &["--stay", "--timeout", "1"]].concat();
    let mut publishing = site.start(&mailbox, Way::Udp, &publish)?;
    let told = heard(&mut watching, |body| body.contains("Messages-Waiting: yes"))?;
    let exit = publishing.finish(PATIENCE)?.exit;
    heard(&mut watching, |body| {
        !body.contains("Messages-Waiting: yes")
    })?;
    // Half of its life is over soon: the server answers a refresh with a report of its own.
    watching.event(GOT_NOTIFY, PATIENCE)?;
    let last = watching.interrupt()?;
    let messages = site.messages(&capture.finish()?, &phone)?;
    let asked = Asked::of(&messages);
    let is_good = told["content_type"] == "application/simple-message-summary"
        && text(&told) == WAITING
        && asked.is_good()
        && (exit, last.exit) == (0, 130);
    site.add(
        case,
        is_good,
        format!(
            "{}, exits {exit} and {}; {asked}; {}",
            text(&told).replace("\r\n", ", "),
            last.exit,
            ladder(&messages)
        ),
    );
    Ok(())
}

/// Asked once: the answer is the end (RFC 6665, 4.4.3).
fn once(site: &Site<'_>, case: &'static str) -> Outcome<()> {
    let client = site.client("curious");
    let capture = site.watch(&[&client])?;
    let target = format!("sip:mailbox@{}", site.challenge.domain());
    let words = ["subscribe", &target, "--event", "presence", "--once"];
    let last = site.start(&client, Way::Udp, &words)?.finish(PATIENCE)?;
    let messages = site.messages(&capture.finish()?, &client)?;
    let reports = standing(&messages);
    let is_over = reports.len() == 1 && reports[0].starts_with("terminated");
    site.add(
        case,
        last.exit == 0 && last.data["notifies"] == 1 && is_over,
        format!(
            "exit {}, {}; {}",
            last.exit,
            reports.join(", "),
            ladder(&messages)
        ),
    );
    Ok(())
}

/// A package that the server does not have.
fn unknown(site: &Site<'_>, case: &'static str) -> Outcome<()> {
    let client = site.client("lost");
    let target = format!("sip:room@{}", site.challenge.domain());
    let words = ["subscribe", &target, "--event", "conference"];
    let last = site.start(&client, Way::Udp, &words)?.finish(PATIENCE)?;
    site.add(
        case,
        last.exit == 7 && last.reason.starts_with("489 "),
        format!("exit {} {}", last.exit, last.reason),
    );
    Ok(())
}

/// Waits for a report whose body is as it shall be.
fn heard(agent: &mut Agent, is_meant: impl Fn(&str) -> bool) -> Outcome<Value> {
    loop {
        let data = agent.event(GOT_NOTIFY, PATIENCE)?.data;
        if is_meant(text(&data)) {
            return Ok(data);
        }
    }
}

fn text(report: &Value) -> &str {
    report["body"].as_str().unwrap_or_default()
}

/// What the reports say of the subscription, each once.
fn standing(messages: &[Seen]) -> Vec<String> {
    let mut known: Vec<(u32, String)> = Vec::new();
    for seen in messages {
        let message = &seen.message;
        if let (true, Some((number, _)), Some(state)) = (
            message.is_request("NOTIFY") && !seen.is_ours,
            message.cseq(),
            message.header("subscription-state"),
        ) && !known.iter().any(|(other, _)| *other == number)
        {
            known.push((number, state.to_owned()));
        }
    }
    known.into_iter().map(|(_, state)| state).collect()
}

/// What we have asked for.
struct Asked {
    renewed: usize,
    ended: usize,
    refused: usize,
    unanswered: usize,
}

impl Asked {
    fn of(messages: &[Seen]) -> Self {
        let asked: Vec<_> = messages
            .iter()
            .filter(|seen| seen.message.is_request("SUBSCRIBE"))
            .map(|seen| &seen.message)
            .collect();
        let answer = |branch: &str| {
            let mut answers = messages.iter().filter_map(|seen| {
                let is_own = seen.message.branch() == branch;
                seen.message.status().filter(|_| is_own)
            });
            answers.find(|code| *code >= 200)
        };
        let count = |is_end: bool| {
            let meant = asked.iter().filter(|message| {
                message.tag("to").is_some() && (message.header("expires") == Some("0")) == is_end
            });
            meant
                .filter(|message| matches!(answer(message.branch()), Some(200..=299)))
                .count()
        };
        let codes: Vec<_> = asked
            .iter()
            .map(|message| answer(message.branch()))
            .collect();
        Self {
            renewed: count(false),
            ended: count(true),
            refused: codes
                .iter()
                .filter(|code| code.is_some_and(|code| code >= 300 && code != 407))
                .count(),
            unanswered: codes.iter().filter(|code| code.is_none()).count(),
        }
    }

    const fn is_good(&self) -> bool {
        self.renewed > 0 && self.ended == 1 && self.refused == 0 && self.unanswered == 0
    }
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} renewed, {} ended, {} refused, {} unanswered",
            self.renewed, self.ended, self.refused, self.unanswered
        )
    }
}

const PRESENCE_UDP: &str = "SUBSCRIBE presence, published by us, UDP";
const PRESENCE_TCP: &str = "SUBSCRIBE presence, published by us, TCP";
const SUMMARY: &str = "SUBSCRIBE message-summary, published by us";
const ONCE: &str = "SUBSCRIBE once";
const UNKNOWN: &str = "SUBSCRIBE to an unknown package";
const GOT_NOTIFY: &str = "SIPSubscriptionGotNotify";
const NOTE: &str = "under the old oak";
/// RFC 3842, 5.2.
const WAITING: &str = "Messages-Waiting: yes\r\nMessage-Account: sip:mailbox@example.com\r\nVoice-Message: 2/8 (0/2)\r\n";
