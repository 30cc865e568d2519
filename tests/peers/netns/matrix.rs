//! Each kind of router before the caller, and each before the callee.

use super::{
    call::Exchange,
    world::{COTURN, Site, World},
};
use crate::{Outcome, translator};
use std::{ffi::OsString, thread};

/// The rows of this part.
pub(super) fn expected() -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    for caller in 0..KINDS.len() {
        for callee in 0..KINDS.len() {
            rows.extend([PAIR, SPEECH].map(|what| (PEER, row(caller, callee, what))));
        }
    }
    rows
}

/// The hosts.
pub(super) struct Hosts {
    callers: Vec<Site>,
    callees: Vec<Site>,
}

impl Hosts {
    pub(super) fn new(world: &mut World) -> Outcome<Self> {
        let mut sites = || -> Outcome<Vec<Site>> {
            let sites = KINDS.iter().map(|(_, rules)| world.add_site(Some(rules)));
            sites.collect()
        };
        Ok(Self {
            callers: sites()?,
            callees: sites()?,
        })
    }
}

/// Has each kind of host call each kind.
pub(super) fn run(exchange: &Exchange<'_>, hosts: &Hosts) {
    let options = exchange.turn(&[&format!("turn:{COTURN}")], &[]);
    // Each host is in one call at a time.
    for shift in 0..KINDS.len() {
        thread::scope(|scope| {
            for caller in 0..KINDS.len() {
                let callee = (caller + shift) % KINDS.len();
                let hosts = [&hosts.callers[caller], &hosts.callees[callee]];
                let options = &options;
                scope.spawn(move || {
                    exchange.lab.run(PEER, &row(caller, callee, PAIR), || {
                        speak(exchange, hosts, options, [caller, callee])
                    });
                });
            }
        });
    }
}

fn speak(
    exchange: &Exchange<'_>,
    hosts: [&Site; 2],
    options: &[OsString],
    [caller, callee]: [usize; 2],
) -> Outcome<()> {
    let name = format!("netns-{caller}-{callee}");
    let mut call = exchange.call(&name, hosts, [options; 2], SECONDS)?;
    let took = call.stands()?;
    let seen = call.finish(took)?;
    let (is_pair, value) = seen.is_pair(TABLE[caller][callee]);
    let is_good = is_pair && seen.is_done();
    let table = &exchange.lab.table;
    table.add(PEER, &row(caller, callee, PAIR), is_good, value);
    exchange.judge_later(PEER, row(caller, callee, SPEECH), &seen);
    Ok(())
}

fn row(caller: usize, callee: usize, what: &str) -> String {
    format!("{} calls {}: {what}", KINDS[caller].0, KINDS[callee].0)
}

/// What hosts stand behind.
const KINDS: [(&str, &str); 4] = [
    ("full cone", translator::FULL_CONE),
    ("port restricted", translator::PORT_RESTRICTED),
    ("symmetric", translator::SYMMETRIC),
    ("UDP blocked", translator::UDP_BLOCKED),
];

/// What must be chosen: the caller's candidate and the callee's. Direct wherever that is possible; a
/// symmetric one is seen by an address that only the check has shown. Where a relay is needed, and could
/// be either's, it is the callee's: of two pairs that have the same two kinds, the better one has the
/// better candidate at who controls (RFC 8445, 6.1.2.3).
const TABLE: [[(&str, &str); 4]; 4] = [
    [
        ("srflx", "srflx"),
        ("srflx", "srflx"),
        ("srflx", "prflx"),
        ("srflx", "relay"),
    ],
    [
        ("srflx", "srflx"),
        ("srflx", "srflx"),
        ("srflx", "relay"),
        ("srflx", "relay"),
    ],
    [
        ("prflx", "srflx"),
        ("prflx", "relay"),
        ("prflx", "relay"),
        ("prflx", "relay"),
    ],
    [
        ("relay", "srflx"),
        ("relay", "srflx"),
        ("relay", "prflx"),
        ("relay", "relay"),
    ],
];
/// Longer than either says its sentence.
const SECONDS: u32 = 7;
const PEER: &str = "coturn, two NATs";
const PAIR: &str = "the pair";
const SPEECH: &str = "speech both ways";
