//! Which rows of the tables no scenario reaches: a list that may only shrink.

use simulator::Stage;
use sipsimple::agent::UserAgent;
use std::{
    collections::BTreeSet,
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
    let with = |mark: char| -> BTreeSet<&str> {
        rows.lines()
            .filter_map(|line| line.strip_prefix(mark))
            .collect()
    };
    let reached = with('+');
    let unreached: BTreeSet<&str> = with('-').difference(&reached).copied().collect();
    let list = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios/unreached.txt");
    if env::var_os("SIPSIMPLE_WRITE_UNREACHED").is_some() {
        let lines: Vec<&str> = unreached.iter().copied().collect();
        fs::write(&list, lines.join("\n") + "\n").unwrap();
    }
    let known = fs::read_to_string(&list).unwrap();
    let known: BTreeSet<&str> = known.lines().collect();
    println!("{} rows reached, {} not:", reached.len(), unreached.len());
    for row in &unreached {
        println!("  {row}");
    }
    let lost: Vec<&&str> = unreached.difference(&known).collect();
    assert!(
        lost.is_empty(),
        "reached before, and not any more: {lost:#?}"
    );
    let gained: Vec<&&str> = known.difference(&unreached).collect();
    assert!(
        gained.is_empty(),
        "reached: strike them from unreached.txt: {gained:#?}"
    );
}

/// Whose scenarios count.
const SCENARIOS: [&str; 11] = [
    "beside::",
    "call::",
    "cancel::",
    "fork::",
    "generated::",
    "hold::",
    "loss::",
    "misuse::",
    "mixed::",
    "probe::",
    "race::",
];

const FILE: &str = "SIPSIMPLE_ROWS";
