//! Which rows of the tables no scenario reaches: a list that may only shrink.

use simulator::{Line, Stage};
use sipsimple::agent::UserAgent;
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

/// Counting happens in a process of its own, which plays every scenario once, with so many seeds.
pub(crate) const SEEDS: u64 = 2;

/// True in that process.
pub(crate) fn is_counting() -> bool {
    env::var_os(FILE).is_some()
}

/// Notes which rows the agents of a stage have reached.
pub(crate) fn cover(stage: &Stage) {
    let Some(path) = env::var_os(FILE) else {
        return;
    };
    let mut lines = String::new();
    for host in stage.up() {
        let agent = stage.world.node::<UserAgent>(host);
        for (pair, reached) in agent.coverage() {
            let mark = if reached { '+' } else { '-' };
            lines.push_str(&format!("{mark}{pair}\n"));
        }
    }
    for line in stage.lines_up() {
        for (pair, reached) in stage.world.node::<Line>(line).coverage() {
            let mark = if reached { '+' } else { '-' };
            lines.push_str(&format!("{mark}{pair}\n"));
        }
    }
    // Appended in one piece: the scenarios run side by side.
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(lines.as_bytes()).unwrap();
}

#[test]
fn no_row_of_the_tables_is_lost() {
    if is_counting() {
        return;
    }
    let path =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("rows-{}", std::process::id()));
    fs::write(&path, "").unwrap();
    let status = Command::new(env::current_exe().unwrap())
        .args(SCENARIOS)
        .env(FILE, &path)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    let rows = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(status.success());
    let mut hits: BTreeMap<&str, u32> = BTreeMap::new();
    for line in rows.lines() {
        let (mark, row) = line.split_at(1);
        *hits.entry(row).or_default() += u32::from(mark == "+");
    }
    let list = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios/unreached.txt");
    if env::var_os("SIPSIMPLE_WRITE_UNREACHED").is_some() {
        let rare = hits.iter().filter(|(_, hits)| **hits < ENOUGH);
        let lines: Vec<&str> = rare.map(|(row, _)| *row).collect();
        fs::write(&list, lines.join("\n") + "\n").unwrap();
    }
    let known = fs::read_to_string(&list).unwrap();
    let known: BTreeSet<&str> = known.lines().collect();
    println!("{} rows, not reached:", hits.len());
    let mut lost = Vec::new();
    for (row, hits) in &hits {
        match hits {
            0 if !known.contains(row) => lost.push(row),
            0 => println!("  {row}"),
            hits if *hits >= ENOUGH && known.contains(row) => {
                println!("  {row}: now it is, strike it from unreached.txt");
            }
            _ => {}
        }
    }
    assert!(
        lost.is_empty(),
        "reached before, and not any more: {lost:#?}"
    );
}

/// How many agents must have been at a row before it counts as reached: what one run in hundreds
/// happens to meet, the next change of anything loses again.
const ENOUGH: u32 = 4;

/// Whose scenarios count.
const SCENARIOS: [&str; 24] = [
    "beside::",
    "call::",
    "cancel::",
    "clock::",
    "early::",
    "fork::",
    "generated::",
    "hold::",
    "info::",
    "invitation::",
    "loss::",
    "misuse::",
    "mixed::",
    "pickup::",
    "prack::",
    "presence::",
    "probe::",
    "proposal::",
    "race::",
    "redirect::",
    "roam::",
    "subscription::",
    "transfer::",
    "update::",
];

const FILE: &str = "SIPSIMPLE_ROWS";
