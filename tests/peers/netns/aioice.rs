//! aioice in both roles: it answers our checks, and, where it controls, asks for every pair that it checks
//! to be used (RFC 8445, 8.1.1 knows only the other way; RFC 5245, 8.1.1.2 has this one).

use super::{
    call::Exchange,
    stun,
    world::{Site, World},
};
use crate::{
    Outcome, agent::Agent, capture::Capture, network::INTERFACE, pcap::Packet, process::Process,
};
use serde_json::Value;
use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// The rows.
pub(super) fn expected() -> Vec<(&'static str, String)> {
    let rows = |who| [PAIR, NOMINATION, SPEECH].map(|what| (PEER, row(who, what)));
    [true, false].map(rows).concat()
}

/// Two hosts of one network.
pub(super) struct Hosts([Site; 2]);

impl Hosts {
    pub(super) fn new(world: &mut World) -> Outcome<Self> {
        Ok(Self([world.add_site(None)?, world.add_site(None)?]))
    }
}

/// Calls it, and is called by it.
pub(super) fn run(exchange: &Exchange<'_>, hosts: &Hosts) {
    for is_ours in [true, false] {
        let case = || speak(exchange, hosts, is_ours);
        exchange.lab.run(PEER, &row(is_ours, PAIR), case);
    }
}

fn speak(exchange: &Exchange<'_>, hosts: &Hosts, is_ours: bool) -> Outcome<()> {
    let Hosts([ours, theirs]) = hosts;
    let lab = exchange.lab;
    let name = match is_ours {
        true => "aioice-answers",
        false => "aioice-calls",
    };
    let (our, their) = (ours.place.address(), theirs.place.address());
    let record = lab.directory.join(format!("{name}.wav"));
    let capture = Capture::start(lab, &ours.place, INTERFACE, name, "udp")?;
    let mut command = theirs.place.command(PYTHON);
    command.arg(script()).arg(format!("{their}:{PORT}"));
    let common = [
        "--ice",
        "--srtp",
        "off",
        "--codecs",
        "PCMU",
        "--play",
        &exchange.speech.caller_file.to_string_lossy(),
        "--record",
        &record.to_string_lossy(),
    ]
    .map(str::to_owned);
    let (mut peer, mut agent);
    if is_ours {
        command.arg("answer");
        peer = started(lab.directory.as_path(), name, command)?;
        let target = format!("sip:echo@{their}:{PORT}");
        let call = ["call", &target, "--hangup-after", "7"].map(str::to_owned);
        agent = Agent::start(lab, &ours.place, name, PORT, [&call[..], &common].concat())?;
    } else {
        let answer = ["answer", "--auto", "--count", "1"].map(str::to_owned);
        let words = [&answer[..], &common].concat();
        agent = Agent::start(lab, &ours.place, name, PORT, words)?;
        command.args(["call", &format!("sip:alice@{our}:{PORT}"), "7"]);
        peer = started(lab.directory.as_path(), name, command)?;
    }
    let last = agent.finish(LIMIT)?;
    peer.wait(LIMIT)?;
    let packets = capture.finish()?;
    let said = told(&peer, "completed");
    let ice = &last.data["media"]["ice"];
    let pair = |pair: &Value| {
        ["local", "remote"].map(|end| pair[end].as_str().unwrap_or_default().to_owned())
    };
    // What is ours is the other one's remote.
    let is_same = ["rtp", "rtcp"]
        .iter()
        .zip(["1", "2"])
        .all(|(field, number)| {
            let (ours, mut theirs) = (pair(&ice[field]), pair(&said["pairs"][number]));
            theirs.reverse();
            ours == theirs && !ours[0].is_empty()
        });
    let value = format!(
        "{} {}, it says {}; exit {} {}",
        ice["state"],
        pair(&ice["rtp"]).join(" to "),
        pair(&said["pairs"]["1"]).join(" to "),
        last.exit,
        last.reason
    );
    let is_good = is_same && last.exit == 0 && ice["state"] == "completed";
    lab.table.add(PEER, &row(is_ours, PAIR), is_good, value);
    let of = |address: IpAddr| {
        let checks = packets
            .iter()
            .filter(|packet| packet.source.ip() == address && is_check(packet));
        let nominated = checks.clone().filter(|packet| has(packet, USE_CANDIDATE));
        let is_at_once = checks
            .clone()
            .next()
            .is_some_and(|packet| has(packet, USE_CANDIDATE));
        (checks.count(), nominated.count(), is_at_once)
    };
    let (we, it) = (of(our), of(their));
    // Regular nomination comes when a pair has worked, the aggressive one with the first check.
    let is_good = match is_ours {
        true => we.1 >= 2 && !we.2 && it.1 == 0 && it.0 > 0,
        false => we.1 == 0 && we.0 > 0 && it.1 >= 2 && it.2,
    };
    let first = |is_it| if is_it { ", the first one" } else { "" };
    let value = format!(
        "{} of our {} checks nominate{}, {} of its {}{}",
        we.1,
        we.0,
        first(we.2),
        it.1,
        it.0,
        first(it.2)
    );
    lab.table
        .add(PEER, &row(is_ours, NOMINATION), is_good, value);
    exchange.judge_file_later(PEER, row(is_ours, SPEECH), record);
    Ok(())
}

/// Starts it, and waits until it listens.
fn started(directory: &Path, name: &str, command: std::process::Command) -> Outcome<Process> {
    let process = Process::start(&format!("{name}-python"), command, directory)?;
    let is_up = |line: &str| line.contains("listening").then_some(());
    let up = process.wait_for(&mut 0, LIMIT, is_up);
    up.ok_or("aioice does not start")?;
    Ok(process)
}

/// What it has told by an event of this name.
fn told(process: &Process, name: &str) -> Value {
    let lines = process.lines();
    let mut values = lines
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    values
        .find(|value| value["event"] == name)
        .unwrap_or_default()
}

/// True for a Binding request with a user name: a check, and no question for our address.
fn is_check(packet: &Packet) -> bool {
    stun::kind(&packet.payload) == Some(BINDING) && has(packet, USERNAME)
}

fn has(packet: &Packet, attribute: u16) -> bool {
    stun::attribute(&packet.payload, attribute).is_some()
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/netns/aioice_agent.py")
}

fn row(is_ours: bool, what: &str) -> String {
    let who = if is_ours { "we call" } else { "it calls" };
    format!("{who}: {what}")
}

/// A Binding request.
const BINDING: u16 = 0x0001;
const USERNAME: u16 = 0x0006;
/// RFC 8445, 16.1.
const USE_CANDIDATE: u16 = 0x0025;
/// The one that the system's packages belong to.
const PYTHON: &str = "/usr/bin/python3";
const PORT: u16 = 5_060;
const LIMIT: Duration = Duration::from_secs(20);
const PEER: &str = "aioice";
const PAIR: &str = "the pair";
const NOMINATION: &str = "who nominates";
const SPEECH: &str = "speech there and back";
