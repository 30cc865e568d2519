//! WebSockets themselves (RFC 7118): the sub-protocol, and the pings that keep them alive.

use super::{PATIENCE, Site, Way, registering::SUCCEEDED, server::Challenge};
use crate::{Outcome, web::Unit};
use std::{thread, time::Duration};

pub(super) fn expected(challenge: Challenge) -> Vec<String> {
    match challenge {
        Challenge::NoQop => vec![PROTOCOL.to_owned(), ALIVE.to_owned()],
        _ => Vec::new(),
    }
}

pub(super) fn run(site: &Site<'_>) {
    if site.challenge == Challenge::NoQop {
        site.run(ALIVE, || stays(site));
    }
}

/// Registers once, and says nothing more for several times of what the server takes for silence.
fn stays(site: &Site<'_>) -> Outcome<()> {
    let client = site.client("quiet");
    let capture = site.watch(&[&client])?;
    let words = ["register", "--stay", "--expires", "600"];
    let mut agent = site.start(&client, Way::Ws, &words)?;
    agent.event(SUCCEEDED, PATIENCE)?;
    thread::sleep(SILENCE);
    let bindings = site.server.borrow().bindings(&client.user)?.len();
    let failures = agent.events(FLOW_FAILED).len();
    let exit = agent.interrupt()?.exit;
    let units = site.web_units(&capture.finish()?, &client)?;
    let heads: Vec<(bool, &str)> = units
        .iter()
        .filter_map(|(_, is_ours, unit)| match unit {
            Unit::Head(head) => Some((*is_ours, head.as_str())),
            _ => None,
        })
        .collect();
    let is_agreed = match heads[..] {
        [(true, asked), (false, answered)] => {
            let named = |head: &str| {
                head.to_lowercase()
                    .contains("sec-websocket-protocol: sip\r\n")
            };
            asked.starts_with("GET / HTTP/1.1\r\n")
                && answered.starts_with("HTTP/1.1 101 ")
                && named(asked)
                && named(answered)
        }
        _ => false,
    };
    let shown: Vec<_> = heads
        .iter()
        .map(|(_, head)| head.lines().next().unwrap_or_default())
        .collect();
    site.add(PROTOCOL, is_agreed, shown.join(", "));
    let count = |is_ours: bool, wanted: &Unit| {
        let same = units
            .iter()
            .filter(|unit| unit.1 == is_ours && unit.2 == *wanted);
        same.count()
    };
    let (pings, pongs) = (count(false, &Unit::Ping), count(true, &Unit::Pong));
    site.add(
        ALIVE,
        pings >= 3 && pongs == pings && (bindings, failures, exit) == (1, 0, 130),
        format!(
            "{pings} pings, {pongs} pongs, {bindings} binding after {SILENCE:?}, {failures} lost connections, exit {exit}"
        ),
    );
    Ok(())
}

const PROTOCOL: &str = "WS: sub-protocol sip";
const ALIVE: &str = "WS: pings of the server answered, nothing else said";
const FLOW_FAILED: &str = "SIPAccountRegistrationFlowDidFail";
const SILENCE: Duration = Duration::from_secs(11);
