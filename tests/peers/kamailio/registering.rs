//! Registrations: over each transport, kept, taken back, refused.

use super::{Client, PATIENCE, Site, Way, server::Challenge};
use crate::{
    Outcome,
    message::{Message, Seen, ladder},
    network,
};
use std::fs;

pub(super) fn expected(challenge: Challenge) -> Vec<String> {
    let ways = WAYS.map(over).into_iter();
    let at_loopback = ways_at_loopback(challenge)
        .iter()
        .map(|way| over_loopback(*way));
    let others = [KEPT, REMOVED, WRONG, SHORT].map(str::to_owned);
    ways.chain(at_loopback).chain(others).collect()
}

pub(super) fn run(site: &Site<'_>) {
    for way in WAYS {
        let client = site.client(&format!("over-{}", way.name().to_lowercase()));
        site.run(&over(way), || once(site, &over(way), &client, way));
    }
    for &way in ways_at_loopback(site.challenge) {
        let client = site.client_at_loopback(&format!("near-{}", way.name().to_lowercase()));
        let case = over_loopback(way);
        site.run(&case, || once(site, &case, &client, way));
    }
    site.run(KEPT, || kept(site));
    site.run(WRONG, || wrong(site));
    site.run(SHORT, || short(site));
}

/// Registers, and asks the server what it knows.
fn once(site: &Site<'_>, case: &str, client: &Client, way: Way) -> Outcome<()> {
    let capture = site.watch(&[client])?;
    let last = site.start(client, way, &["register"])?.finish(PATIENCE)?;
    let packets = capture.finish()?;
    let bindings = site.server.borrow().bindings(&client.user)?;
    // Of WebSockets it tells what is below them.
    let below = match way {
        Way::Udp => "udp",
        Way::Tcp | Way::Ws => "tcp",
        Way::Tls | Way::Wss => "tls",
    };
    let socket = format!("at {below}:{}:{}", network::host(client.server), way.port());
    // RFC 7118, 5.3: nobody can connect to us there.
    let is_web = bindings
        .iter()
        .all(|binding| binding.contains(".invalid;transport=ws "));
    let is_bound = bindings.len() == 1
        && bindings[0].ends_with(&socket)
        && is_web == matches!(way, Way::Ws | Way::Wss);
    let (is_proved, how) = match way.is_secret() {
        // It is hidden from the capture.
        true => (true, "encrypted".to_owned()),
        false => proof(site, &site.messages(&packets, client)?),
    };
    site.add(
        case,
        last.exit == 0 && is_bound && is_proved,
        format!("exit {}, {how}, {}", last.exit, bindings.join(", ")),
    );
    Ok(())
}

/// How the last REGISTER proved who we are, and whether the server's configuration asks for that.
fn proof(site: &Site<'_>, messages: &[Seen]) -> (bool, String) {
    let proved = requests(messages)
        .filter_map(|message| message.header("authorization"))
        .next_back();
    let value = |name: &str| {
        let fields = proved.unwrap_or_default().split([',', ' ']);
        let mut values =
            fields.filter_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
        values
            .next()
            .map(|value| value.trim_matches('"').to_owned())
    };
    let (algorithm, qop, count) = (value("algorithm"), value("qop"), value("nc"));
    let is_right = proved.is_some()
        && match site.challenge {
            Challenge::NoQop => qop.is_none() && count.is_none(),
            Challenge::ShortNonces => qop.as_deref() == Some("auth") && count.is_some(),
            Challenge::Sha256 | Challenge::Version6 => algorithm.as_deref() == Some("SHA-256"),
        };
    let shown = |value: Option<String>, none: &str| value.unwrap_or_else(|| none.to_owned());
    let text = format!(
        "{}, {}",
        shown(algorithm, "no algorithm"),
        shown(qop.map(|qop| format!("qop={qop}")), "no qop"),
    );
    (is_right, text)
}

/// Stays registered for several times of its life, and leaves.
fn kept(site: &Site<'_>) -> Outcome<()> {
    let client = site.client("stays");
    let capture = site.watch(&[&client])?;
    let words = ["register", "--stay", "--expires", LIFE, "--timeout", STAY];
    let mut agent = site.start(&client, Way::Udp, &words)?;
    for _ in 0..SUCCESSES {
        agent.event(SUCCEEDED, PATIENCE)?;
    }
    let bindings = site.server.borrow().bindings(&client.user)?.len();
    let last = agent.finish(PATIENCE)?;
    let left = site.server.borrow().bindings(&client.user)?.len();
    let messages = site.messages(&capture.finish()?, &client)?;
    let challenges = statuses(&messages, 401);
    let nonces = nonces(&messages);
    let reused = nonces.iter().filter(|uses| **uses > 1).count();
    // A nonce is used again while it lives, unless the server has no way to count its uses; one
    // that has died costs one more challenge.
    let is_good = match site.challenge {
        Challenge::ShortNonces => challenges >= 2 && nonces.len() >= 2 && reused >= 1,
        Challenge::NoQop | Challenge::Sha256 | Challenge::Version6 => {
            challenges == 1 && nonces.len() == 1
        }
    };
    site.add(
        KEPT,
        is_good && bindings == 1,
        format!(
            "{bindings} binding after {SUCCESSES} successes, {} requests, {challenges} challenges, nonces used {nonces:?} times",
            requests(&messages).count()
        ),
    );
    let taken_back = requests(&messages)
        .next_back()
        .and_then(|message| message.header("expires"))
        .map(str::to_owned);
    site.add(
        REMOVED,
        last.exit == 0 && left == 0 && taken_back.as_deref() == Some("0"),
        format!(
            "exit {}, last Expires {}, {left} bindings",
            last.exit,
            taken_back.unwrap_or_default()
        ),
    );
    Ok(())
}

fn wrong(site: &Site<'_>) -> Outcome<()> {
    let client = site.client("forgetful");
    // One for each site: they are looked at side by side.
    let password = site.lab.directory.join(format!("{}.password", client.name));
    fs::write(&password, "guess").map_err(|error| error.to_string())?;
    let capture = site.watch(&[&client])?;
    let mut agent = site.start_with(&client, Way::Udp, &["register"], &password)?;
    let last = agent.finish(PATIENCE)?;
    let messages = site.messages(&capture.finish()?, &client)?;
    let bindings = site.server.borrow().bindings(&client.user)?.len();
    let ladder = ladder(&messages);
    site.add(
        WRONG,
        last.exit == 6 && bindings == 0 && ladder == "REGISTER 401/REGISTER REGISTER 401/REGISTER",
        format!("exit {}: {}; {ladder}", last.exit, last.reason),
    );
    Ok(())
}

fn short(site: &Site<'_>) -> Outcome<()> {
    let client = site.client("hasty");
    let capture = site.watch(&[&client])?;
    let words = ["register", "--expires", "30"];
    let last = site.start(&client, Way::Udp, &words)?.finish(PATIENCE)?;
    let messages = site.messages(&capture.finish()?, &client)?;
    let asked: Vec<&str> = requests(&messages)
        .map(|message| message.header("expires").unwrap_or("none"))
        .collect();
    let ladder = ladder(&messages);
    site.add(
        SHORT,
        last.exit == 0 && statuses(&messages, 423) == 1 && asked.last() == Some(&"90"),
        format!("exit {}, Expires {asked:?}; {ladder}", last.exit),
    );
    Ok(())
}

/// How often each nonce was used.
fn nonces(messages: &[Seen]) -> Vec<usize> {
    let mut used: Vec<(&str, usize)> = Vec::new();
    for message in requests(messages) {
        let value = message.header("authorization").unwrap_or_default();
        let nonce = value
            .split("nonce=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let Some(nonce) = nonce else { continue };
        match used.iter_mut().find(|(known, _)| *known == nonce) {
            Some((_, uses)) => *uses += 1,
            None => used.push((nonce, 1)),
        }
    }
    used.into_iter().map(|(_, uses)| uses).collect()
}

/// The REGISTERs, each once.
fn requests(messages: &[Seen]) -> impl DoubleEndedIterator<Item = &Message> {
    let registers = messages.iter().map(|seen| &seen.message);
    let mut known: Vec<&str> = Vec::new();
    let fresh = registers
        .filter(|message| message.is_request("REGISTER"))
        .filter(|message| {
            let is_new = !known.contains(&message.branch());
            known.push(message.branch());
            is_new
        });
    fresh.collect::<Vec<_>>().into_iter()
}

fn statuses(messages: &[Seen], status: u16) -> usize {
    let with = |seen: &&Seen| seen.message.status() == Some(status);
    messages.iter().filter(with).count()
}

/// What is done over `::1`, too.
const fn ways_at_loopback(challenge: Challenge) -> &'static [Way] {
    match challenge {
        Challenge::Version6 => &[Way::Udp, Way::Tcp],
        _ => &[],
    }
}

fn over_loopback(way: Way) -> String {
    format!("register with sip:[::1] over {}", way.name())
}

fn over(way: Way) -> String {
    format!("register over {}", way.name())
}

pub(super) const SUCCEEDED: &str = "SIPAccountRegistrationDidSucceed";
const WAYS: [Way; 5] = [Way::Udp, Way::Tcp, Way::Tls, Way::Ws, Way::Wss];
const KEPT: &str = "refreshes in time, nonces used again";
const REMOVED: &str = "unregisters";
const WRONG: &str = "wrong password";
const SHORT: &str = "423, asked again for Min-Expires";
/// Seconds of a registration, and of our stay: longer than a nonce lives.
const LIFE: &str = "4";
const STAY: &str = "9";
/// More than there can be in one life of a registration.
const SUCCESSES: usize = 4;
