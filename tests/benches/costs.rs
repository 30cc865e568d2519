//! The table of instructions, allocations and bytes.

use crate::measure::{Operation, call::weigh, dtls, heap, ice, leg, operations, registration};
use std::{fs, process::Command};

/// Prints what each operation costs whose name contains `word`.
pub(crate) fn print(word: &str) {
    println!("| operation | instructions | allocations | bytes |");
    println!("|---|---:|---:|---:|");
    for operation in operations(true) {
        if !operation.name.contains(word) {
            continue;
        }
        let instructions = instructions(&operation)
            .map_or_else(String::new, |instructions| format!("{instructions:.0}"));
        let mut round = operation.prepare();
        (0..WARM).for_each(|_| round());
        let spent = heap::spent(|| (0..COUNTED).for_each(|_| round()));
        let items = (COUNTED * operation.items) as f64;
        println!(
            "| {} | {instructions} | {:.2} | {:.0} |",
            operation.name,
            spent.allocations as f64 / items,
            spent.bytes as f64 / items,
        );
    }
    for (name, rings) in [("confirmed call", false), ("ringing call", true)] {
        if !name.contains(word) {
            continue;
        }
        let [calling, called] = weigh(CALLS, rings);
        println!(
            "\nA {name} at rest takes {calling} bytes where it was made, {called} where it came."
        );
    }
    if "registration".contains(word) {
        let bytes = registration::weigh(CALLS);
        println!("\nA registration at rest takes {bytes} bytes.");
    }
    if "audio leg".contains(word) {
        let [calling, called] = leg::weigh(LEGS);
        println!(
            "\nA call with audio takes {calling} bytes where it was made, {called} where it came."
        );
    }
    if "ice".contains(word) {
        for candidates in ice::CANDIDATES {
            let spent = ice::Pair::new(candidates).agree();
            println!(
                "\nTwo agents of {candidates} candidates agree after {} datagrams and {} ms.",
                spent.datagrams,
                spent.time.as_millis()
            );
        }
    }
    if "dtls".contains(word) {
        let [client, server] = dtls::weigh(ASSOCIATIONS);
        println!(
            "\nAn association at rest takes {client} bytes where it was begun, {server} at the other end."
        );
    }
}

/// Makes an operation ready and does it so many times: what `valgrind` runs.
pub(crate) fn repeat(name: &str, rounds: usize) {
    let operation = operations(true)
        .into_iter()
        .find(|operation| operation.name == name)
        .expect("an operation of the table");
    let mut round = operation.prepare();
    (0..rounds).for_each(|_| round());
}

/// Instructions of one operation: of two runs with different counts the difference, so that what
/// comes before does not count. `None` without `valgrind`.
fn instructions(operation: &Operation) -> Option<f64> {
    // Many streams in one round need few rounds.
    let more = (1_000 / operation.items).max(2);
    let few = run(&operation.name, WARM)?;
    let many = run(&operation.name, WARM + more)?;
    Some(many.saturating_sub(few) as f64 / (more * operation.items) as f64)
}

fn run(name: &str, rounds: usize) -> Option<u64> {
    let file = std::env::temp_dir().join(format!("sipsimple-costs-{}", std::process::id()));
    Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe().ok()?)
        .args(["--repeat", name, &rounds.to_string()])
        .status()
        .ok()
        .filter(std::process::ExitStatus::success)?;
    let text = fs::read_to_string(&file).ok()?;
    // The file is ours and temporary: that it stays is no reason to fail.
    let _ = fs::remove_file(&file);
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("totals: "))?;
    total.trim().parse().ok()
}

/// Rounds before the count begins: what is allocated once is there.
const WARM: usize = 3;

/// Rounds whose allocations are counted.
const COUNTED: usize = 16;

/// Associations that are weighed.
const ASSOCIATIONS: usize = 20;

/// Calls with audio that are weighed.
const LEGS: usize = 500;

/// Calls, or registrations, that are weighed together.
const CALLS: usize = 10_000;
