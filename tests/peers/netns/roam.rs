//! Another network in mid-call: the host loses its address and is given another one, and the call, media
//! found by ICE and all, goes on (RFC 8445, 9; APP-20).

use super::{
    call::{Exchange, Seen},
    world::{COTURN, Site, World},
};
use crate::{
    Outcome,
    capture::Capture,
    network::INTERFACE,
    now,
    pcap::Packet,
    phone::{RATE, read},
    roam::{is_sip, names},
    translator,
};
use audio::{Sound, measure};
use std::{path::Path, thread, time::Duration};

/// The rows.
pub(super) fn expected() -> Vec<(&'static str, String)> {
    let rows = |case: &Case| [SPEECH, FOLLOWS, QUIET, ENDS].map(|what| (PEER, case.row(what)));
    CASES.iter().flat_map(rows).collect()
}

/// The caller and the callee of each case.
pub(super) struct Hosts(Vec<[Site; 2]>);

impl Hosts {
    pub(super) fn new(world: &mut World) -> Outcome<Self> {
        let mut hosts = Vec::new();
        for case in CASES {
            let mut both = [world.add_site(case.rules)?, world.add_site(case.rules)?];
            both[case.mover].is_roaming = true;
            hosts.push(both);
        }
        Ok(Self(hosts))
    }
}

/// Moves one host after the other.
pub(super) fn run(exchange: &Exchange<'_>, hosts: &Hosts) {
    for ((case, hosts), number) in CASES.iter().zip(&hosts.0).zip(0..) {
        exchange.lab.run(PEER, &case.row(SPEECH), || {
            case.speak(exchange, hosts, number)
        });
    }
}

struct Case {
    name: &'static str,
    /// What both stand behind.
    rules: Option<&'static str>,
    /// 0 is the caller.
    mover: usize,
}

impl Case {
    fn row(&self, what: &str) -> String {
        format!("{}: {what}", self.name)
    }

    fn speak(&self, exchange: &Exchange<'_>, hosts: &[Site; 2], number: usize) -> Outcome<()> {
        let name = format!("netns-roam-{number}");
        let (lab, mut mover) = (exchange.lab, hosts[self.mover].clone());
        let mut captures = Vec::new();
        for (host, end) in hosts.iter().zip(["caller", "callee"]) {
            let name = format!("{name}-{end}");
            captures.push(Capture::start(
                lab,
                &host.place,
                INTERFACE,
                &name,
                "udp or tcp",
            )?);
        }
        let options = exchange.turn(&[&format!("turn:{COTURN}")], &["--loop"]);
        let both = [&hosts[0], &hosts[1]];
        let mut call = exchange.call(&name, both, [&options; 2], SECONDS)?;
        let took = call.stands()?;
        thread::sleep(Duration::from_secs(4));
        let old = mover.place.address();
        let new = mover.move_host()?;
        let moved = now();
        let seen = call.finish(took)?;
        let mut wires = Vec::new();
        for capture in captures {
            wires.push(capture.finish()?);
        }
        let (is_heard, value) = again(&seen);
        self.add(exchange, SPEECH, is_heard, value);
        let first = wires[self.mover]
            .iter()
            .find(|packet| packet.source.ip() == new && is_sip(packet));
        let after = first.map(|packet| packet.at - moved);
        let value = after.map_or_else(|| "never".to_owned(), |after| format!("after {after:.1} s"));
        self.add(
            exchange,
            FOLLOWS,
            after.is_some_and(|after| after <= 5.0),
            value,
        );
        let later: Vec<&Packet> = wires
            .iter()
            .flatten()
            .filter(|packet| packet.at > moved + 5.0)
            .collect();
        let named = later.iter().filter(|packet| names(packet, old)).count();
        let value = format!("{named} of {} packets name it", later.len());
        self.add(exchange, QUIET, named == 0 && later.len() > 500, value);
        self.add(exchange, ENDS, seen.is_done(), ended(&seen));
        Ok(())
    }

    fn add(&self, exchange: &Exchange<'_>, what: &str, is_good: bool, value: String) {
        exchange
            .lab
            .table
            .add(PEER, &self.row(what), is_good, value);
    }
}

fn ended(seen: &Seen) -> String {
    format!(
        "exit {} {} and {} {}",
        seen.caller.exit, seen.caller.reason, seen.callee.exit, seen.callee.reason
    )
}

/// Says whether neither end has heard nothing for more than 5 s, and both hear something at the end.
pub(super) fn again(seen: &Seen) -> (bool, String) {
    let heard = seen.records.each_ref().map(|record| silence(record));
    let is_heard = heard.iter().all(|heard| {
        heard
            .as_ref()
            .is_ok_and(|[longest, last]| *longest <= 5.0 && *last <= 2.0)
    });
    let shown = heard.map(|heard| match heard {
        Ok([longest, last]) => format!("{longest:.1} s silent at most, {last:.1} s at the end"),
        Err(error) => error,
    });
    (is_heard, shown.join("; "))
}

/// The longest silence of a recording behind its first sound, and the one at its end; seconds.
fn silence(record: &Path) -> Outcome<[f64; 2]> {
    let heard: Sound = read(record)?;
    let window = RATE as usize / 10;
    let windows = heard.samples.chunks(window);
    let is_loud = windows.map(|window| measure::level(window) > AUDIBLE);
    let (mut longest, mut silent) = (0, 0);
    for is_loud in is_loud.skip_while(|is_loud| !is_loud) {
        silent = match is_loud {
            true => 0,
            false => silent + 1,
        };
        longest = longest.max(silent);
    }
    match longest {
        0 => Err("nothing is heard".to_owned()),
        longest => Ok([longest, silent].map(|windows| f64::from(windows) / 10.0)),
    }
}

const CASES: &[Case] = &[
    Case {
        name: "the caller's address changes, no NAT",
        rules: None,
        mover: 0,
    },
    Case {
        name: "the callee's address changes, no NAT",
        rules: None,
        mover: 1,
    },
    Case {
        name: "the caller's address changes, port restricted",
        rules: Some(translator::PORT_RESTRICTED),
        mover: 0,
    },
    Case {
        name: "the callee's address changes, symmetric",
        rules: Some(translator::SYMMETRIC),
        mover: 1,
    },
];
const SECONDS: u32 = 15;
/// In dBFS: louder than any pause.
const AUDIBLE: f64 = -50.0;
const PEER: &str = "sipsimple, ICE";
const SPEECH: &str = "speech again within 5 s both ways";
const FOLLOWS: &str = "signalling follows within 5 s";
const QUIET: &str = "later packets without the old address";
const ENDS: &str = "hang-up";
