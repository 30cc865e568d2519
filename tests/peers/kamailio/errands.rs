//! What is neither registration nor plain call: messages, OPTIONS, a publication, GRUUs, and a server that
//! forgets everything.

use super::{PATIENCE, Site, Way, registering::SUCCEEDED, server::Challenge};
use crate::{Outcome, message::ladder, now};
use std::time::Duration;

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
        Challenge::NoQop => vec![
            (OPTIONS, options),
            (RESTART_UDP, restart),
            (RESTART_TCP, restart),
            (MESSAGE_WS, message),
            (RESTART_WS, restart),
        ],
        Challenge::ShortNonces => vec![
            (MESSAGE_UDP, message),
            (MESSAGE_TCP, message),
            (PUBLISH, publish),
        ],
        Challenge::Sha256 => vec![
            (GRUU, gruu),
            (GRUU_AS_CONTACT, gruu_as_contact),
            (MESSAGE_TLS, message),
            (MESSAGE_WSS, message),
            (RESTART_WSS, restart),
        ],
        Challenge::Version6 => vec![(OPTIONS, options), (MESSAGE_UDP, message), (GRUU, gruu)],
    }
}

fn options(site: &Site<'_>, case: &'static str) -> Outcome<()> {
    let client = site.client("asker");
    let target = format!("sip:{}", site.challenge.domain());
    let mut agent = site.start(&client, Way::Udp, &["options", &target])?;
    let last = agent.finish(PATIENCE)?;
    let value = format!("exit {} {}", last.exit, last.reason);
    site.add(case, last.exit == 0, value);
    Ok(())
}

/// Two of ours who are both registered write to each other.
fn message(site: &Site<'_>, case: &'static str) -> Outcome<()> {
    let way = match case {
        MESSAGE_TCP => Way::Tcp,
        MESSAGE_TLS => Way::Tls,
        MESSAGE_WS => Way::Ws,
        MESSAGE_WSS => Way::Wss,
        _ => Way::Udp,
    };
    let mut heard = Vec::new();
    let mut exits = Vec::new();
    for (from, to) in [("anna", "bert"), ("bert", "anna")] {
        let (writer, reader) = (site.client(from), site.client(to));
        let receive = ["receive-messages", "--register", "--count", "1"];
        let mut reading = site.start(&reader, way, &receive)?;
        reading.event(SUCCEEDED, PATIENCE)?;
        let target = format!("sip:{to}@{}", site.challenge.domain());
        let text = format!("{from} was here");
        let mut writing = site.start(&writer, way, &["message", &target, &text])?;
        let got = reading.event("SIPEngineGotMessage", PATIENCE)?;
        let is_same = got.data["body"] == text.as_str();
        heard.push(is_same);
        exits.push((
            writing.finish(PATIENCE)?.exit,
            reading.finish(PATIENCE)?.exit,
        ));
    }
    site.add(
        case,
        heard == [true, true] && exits == [(0, 0), (0, 0)],
        format!("read as written {heard:?}, exits {exits:?}"),
    );
    Ok(())
}

fn publish(site: &Site<'_>, case: &'static str) -> Outcome<()> {
    let client = site.client("present");
    let capture = site.watch(&[&client])?;
    let words = [
        "publish",
        "presence",
        "--status",
        "open",
        "--note",
        "here",
        "--expires",
    ];
    let words = [&words[..], &["6", "--stay", "--timeout", "4"]].concat();
    let last = site.start(&client, Way::Udp, &words)?.finish(PATIENCE)?;
    let messages = site.messages(&capture.finish()?, &client)?;
    let requests: Vec<_> = messages
        .iter()
        .filter(|seen| seen.message.is_request("PUBLISH"))
        .map(|seen| &seen.message)
        .collect();
    let with_tag = requests
        .iter()
        .filter(|message| message.header("sip-if-match").is_some())
        .count();
    let removed = requests
        .last()
        .is_some_and(|message| message.header("expires") == Some("0") && message.body.is_empty());
    let refused = messages
        .iter()
        .filter(|seen| seen.message.status() >= Some(400) && seen.message.status() != Some(407))
        .count();
    site.add(
        case,
        last.exit == 0 && with_tag >= 2 && removed && refused == 0,
        format!(
            "exit {}, {with_tag} of {} by entity tag, {}; {}",
            last.exit,
            requests.len(),
            if removed { "removed" } else { "NOT REMOVED" },
            ladder(&messages)
        ),
    );
    Ok(())
}

/// A call to the URI that the registrar gave to one device.
fn gruu(site: &Site<'_>, case: &'static str) -> Outcome<()> {
    let (caller, callee) = (site.client("caller"), site.client("device"));
    let capture = site.watch(&[&callee])?;
    let answer = [
        "answer",
        "--auto",
        "--count",
        "1",
        "--register",
        "--instance",
        INSTANCE,
    ];
    let mut answering = site.start(&callee, Way::Udp, &answer)?;
    let registered = answering.event(SUCCEEDED, PATIENCE)?.data;
    let gruu = registered["public_gruu"].as_str();
    let gruu = gruu.ok_or_else(|| format!("no public GRUU in {registered}"))?;
    let call = ["call", gruu, "--hangup-after", "0.5"];
    let mut calling = site.start(&caller, Way::Udp, &call)?;
    let (last, other) = (calling.finish(PATIENCE)?, answering.finish(PATIENCE)?);
    let messages = site.messages(&capture.finish()?, &callee)?;
    let contact = registered["contact_header"].as_str().unwrap_or_default();
    let invited = messages
        .iter()
        .find_map(|seen| {
            seen.message
                .request()
                .filter(|(method, _)| *method == "INVITE")
        })
        .map(|(_, target)| target.to_owned());
    let is_good = gruu.contains(INSTANCE)
        && invited
            .as_deref()
            .is_some_and(|target| target.starts_with(contact));
    site.add(
        case,
        is_good && last.exit == 0 && other.exit == 0,
        format!(
            "{gruu}, INVITE to {}, exit {} and {}",
            invited.unwrap_or_default(),
            last.exit,
            other.exit
        ),
    );
    Ok(())
}

/// Who has a GRUU says it in Contact (RFC 5627, 4.4), and what the other one sends in the dialog finds him
/// by it.
fn gruu_as_contact(site: &Site<'_>, case: &'static str) -> Outcome<()> {
    let (caller, callee) = (site.client("caller"), site.client("device"));
    let capture = site.watch(&[&callee])?;
    let answer = ["answer", "--auto", "--count", "1", "--register"];
    let device = ["--instance", INSTANCE];
    let mut answering = site.start(&callee, Way::Udp, &[&answer, &device[..]].concat())?;
    let registered = answering.event(SUCCEEDED, PATIENCE)?.data;
    let gruu = registered["public_gruu"].as_str();
    let gruu = gruu.ok_or_else(|| format!("no public GRUU in {registered}"))?;
    let target = format!("sip:{}@{}", callee.user, site.challenge.domain());
    let call = ["call", &target, "--hangup-after", "0.5"];
    let mut calling = site.start(&caller, Way::Udp, &call)?;
    let (last, other) = (calling.finish(PATIENCE)?, answering.finish(PATIENCE)?);
    let messages = site.messages(&capture.finish()?, &callee)?;
    let address = registered["contact_header"].as_str().unwrap_or_default();
    let is_said = messages.iter().any(|seen| {
        let is_invite = seen.message.cseq().is_some_and(|cseq| cseq.1 == "INVITE");
        let is_taken = seen.is_ours && seen.message.status() == Some(200);
        is_taken && is_invite && seen.message.contact() == Some(gruu)
    });
    let came = |method: &str| {
        let targets: Vec<&str> = messages
            .iter()
            .filter(|seen| !seen.is_ours && seen.message.is_request(method))
            .filter_map(|seen| seen.message.request().map(|(_, target)| target))
            .collect();
        !targets.is_empty() && targets.iter().all(|target| target.starts_with(address))
    };
    let (ack, bye) = (came("ACK"), came("BYE"));
    site.add(
        case,
        is_said && ack && bye && last.exit == 0 && other.exit == 0,
        format!(
            "{}, ACK there {ack}, BYE there {bye}, exit {} and {}; {}",
            if is_said { gruu } else { "NO GRUU IN CONTACT" },
            last.exit,
            other.exit,
            ladder(&messages)
        ),
    );
    Ok(())
}

/// The server forgets us; over a connection its end tells us, over UDP the next refresh.
fn restart(site: &Site<'_>, case: &'static str) -> Outcome<()> {
    let client = site.client("steady");
    let (way, expires) = match case {
        RESTART_TCP => (Way::Tcp, "600"),
        RESTART_WS => (Way::Ws, "600"),
        RESTART_WSS => (Way::Wss, "600"),
        _ => (Way::Udp, "4"),
    };
    let words = ["register", "--stay", "--expires", expires];
    let mut agent = site.start(&client, way, &words)?;
    agent.event(SUCCEEDED, PATIENCE)?;
    site.server.borrow_mut().restart()?;
    let begun = now();
    let forgotten = site.server.borrow().bindings(&client.user)?.len();
    // What was said before is over: the server answers only now.
    agent.event(SUCCEEDED, RECOVERY)?;
    let after = now() - begun;
    let bindings = site.server.borrow().bindings(&client.user)?.len();
    let exit = agent.interrupt()?.exit;
    let left = site.server.borrow().bindings(&client.user)?.len();
    site.add(
        case,
        bindings == 1 && left == 0 && exit == 130,
        format!(
            "{forgotten} bindings after the restart, {bindings} {after:.1} s later, {left} after exit {exit}"
        ),
    );
    Ok(())
}

const OPTIONS: &str = "OPTIONS to the domain";
const MESSAGE_UDP: &str = "MESSAGE both ways, UDP";
const MESSAGE_TCP: &str = "MESSAGE both ways, TCP";
const MESSAGE_TLS: &str = "MESSAGE both ways, TLS";
const MESSAGE_WS: &str = "MESSAGE both ways, WS";
const MESSAGE_WSS: &str = "MESSAGE both ways, WSS";
const PUBLISH: &str = "PUBLISH, refreshed and removed";
const GRUU: &str = "public GRUU, a call to it";
const GRUU_AS_CONTACT: &str = "public GRUU as Contact, ACK and BYE to it";
const RESTART_UDP: &str = "restart of the server, UDP";
const RESTART_TCP: &str = "restart of the server, TCP";
const RESTART_WS: &str = "restart of the server, WS";
const RESTART_WSS: &str = "restart of the server, WSS";
const INSTANCE: &str = "urn:uuid:8f2b6a52-5f3e-4d57-9c3c-0c6a7e0b9d11";
/// After a failure as a whole we wait up to 30 s (RFC 5626, 4.5).
const RECOVERY: Duration = Duration::from_secs(40);
