//! The PROTOS suite c07-sip: thousands of malformed INVITEs and their CANCELs, each as one datagram, at one
//! endpoint that serves all of them. What it answers is a snapshot; nothing may stay of it.
//!
//! The application lets every call ring. A CANCEL that does not match, because the suite attacked what it
//! is matched by, leaves the call to its Expires and at last to the application.

use crate::{
    archive, heap,
    torture::folder,
    wire::{Wire, ms, request, secs},
};
use sip::{Event, InvitationEvent, endpoint::Stats};
use std::{collections::BTreeMap, fmt::Write, fs};

mod agent;

/// One INVITE of the suite, and its CANCEL.
pub(crate) struct Case {
    /// The line that is attacked, by its beginning; empty where whole lines are missing.
    pub(crate) attacked: String,
    pub(crate) invite: Vec<u8>,
    pub(crate) teardown: Vec<u8>,
}

/// All cases that are there, in their order.
pub(crate) fn cases() -> Option<Vec<Case>> {
    let folder = folder("sip-protos-c07")?;
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("index.json")).unwrap()).unwrap();
    let runs: Vec<(usize, String)> = index["first_difference_runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| {
            let line = run[1].as_str().unwrap_or_default();
            let end = line.find([':', '=', ' ']).unwrap_or(0);
            (run[0].as_u64().unwrap() as usize, line[..end].to_owned())
        })
        .collect();
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "zip") {
            files.extend(archive::zip(&fs::read(path).unwrap()));
        }
    }
    let invites = files
        .iter()
        .filter(|(name, _)| name.ends_with("-invite.sip"));
    let cases = invites.map(|(name, invite)| {
        let number: usize = name[..4].parse().unwrap();
        let run = runs.iter().rfind(|(first, _)| *first <= number);
        Case {
            attacked: run.map_or_else(|| "nothing".to_owned(), |(_, line)| line.clone()),
            invite: invite.clone(),
            teardown: files[&format!("{}.1-teardown.sip", &name[..4])].clone(),
        }
    });
    Some(cases.collect())
}

/// True for the selection of the suite whose outcome is in the snapshots.
pub(crate) fn is_known(cases: &[Case]) -> bool {
    if cases.len() != KNOWN {
        println!(
            "skipped: the snapshot is of {KNOWN} cases, not of {}",
            cases.len()
        );
    }
    cases.len() == KNOWN
}

/// How often each outcome came, by the line that was attacked.
#[derive(Default, PartialEq, Eq, Debug)]
pub(crate) struct Histogram(BTreeMap<String, BTreeMap<String, usize>>);

impl Histogram {
    pub(crate) fn count(&mut self, attacked: &str, outcome: String) {
        let line = self.0.entry(attacked.to_owned()).or_default();
        *line.entry(outcome).or_default() += 1;
    }

    pub(crate) fn table(&self) -> String {
        let mut table = String::new();
        let mut total = 0;
        for (attacked, outcomes) in &self.0 {
            let name = if attacked.is_empty() {
                "(lines)"
            } else {
                attacked
            };
            for (outcome, count) in outcomes {
                writeln!(table, "{name:15} {count:5}  {outcome}").unwrap();
                total += count;
            }
        }
        writeln!(table, "{:15} {total:5}", "all").unwrap();
        table
    }
}

/// Codes of the final responses, and of nothing else.
fn finals(wire: &mut Wire) -> String {
    let lines = wire.lines();
    let codes = lines.iter().map(|line| &line[8..11]);
    let codes: Vec<&str> = codes.filter(|code| !code.starts_with('1')).collect();
    match codes.is_empty() {
        true => "silence".to_owned(),
        false => codes.join(" "),
    }
}

fn play(wire: &mut Wire, cases: &[Case]) -> Histogram {
    let mut histogram = Histogram::default();
    for (number, case) in cases.iter().enumerate() {
        wire.events.clear();
        wire.call = None;
        wire.datagram(&case.invite);
        let incoming =
            |event: &Event| matches!(event, Event::Invitation(_, InvitationEvent::Incoming(_)));
        let called = wire.events.iter().any(incoming);
        let to_invite = match (
            called,
            called && wire.act(|call, now| call.ring(now)).is_ok(),
        ) {
            (_, true) => "a call".to_owned(),
            // Expires: 0.
            (true, false) => "a call, ".to_owned() + &finals(wire),
            (false, _) => finals(wire),
        };
        wire.lines();
        wire.datagram(&case.teardown);
        let to_cancel = finals(wire);
        histogram.count(
            &case.attacked,
            format!("INVITE: {to_invite}; CANCEL: {to_cancel}"),
        );
        let good = request("OPTIONS", &format!("good{number}"), None, 1);
        wire.datagram(good.replace("a84b4c76e66710", &format!("good{number}")));
        assert_eq!(wire.one().line(), "SIP/2.0 200 OK", "after case {number}");
        // 487 is repeated until its ACK, which never comes.
        wire.wait(ms(100));
        wire.lines();
    }
    histogram
}

/// What is left is refused by the application, and forgotten.
fn rest(wire: &mut Wire) {
    wire.wait(secs(2_000));
    let left: Vec<_> = wire.endpoint.invitations().collect();
    for id in left {
        wire.call = Some(id);
        wire.end();
    }
    wire.wait(secs(40));
    wire.lines();
    wire.events = Vec::new();
    assert_eq!(wire.endpoint.stats(), Stats::default());
    assert_eq!(wire.endpoint.poll_timeout(), None);
}

/// How many cases the snapshots are of.
const KNOWN: usize = 3_169;

#[test]
fn every_case_is_answered_and_nothing_stays() {
    let Some(cases) = cases() else { return };
    let mut wire = Wire::new();
    let histogram = play(&mut wire, &cases);
    rest(&mut wire);
    // Tables and maps have found their size: from here on not a byte may stay.
    let before = heap::live();
    heap::begin();
    let again = play(&mut wire, &cases);
    let peak = heap::peak() - before;
    rest(&mut wire);
    assert_eq!(again, histogram, "a second run is the first");
    drop(again);
    let after = heap::live();
    println!(
        "{} cases; live heap before {before}, after {after}, at most {peak} more",
        cases.len()
    );
    assert_eq!(after, before);
    if is_known(&cases) {
        insta::assert_snapshot!(histogram.table());
    }
}
