//! Threads with a core of their own, and what they cost.

use std::{fs, process::Command, time::Duration};

/// Keeps this thread on a core, counted from the last one: the others of the machine are mostly at
/// home on the first. `None` where that cannot be done.
pub(super) fn pin(from_last: usize) -> Option<usize> {
    let cores = std::thread::available_parallelism().ok()?.get();
    let core = cores.checked_sub(1 + from_last % cores)?;
    let thread = fs::read_link("/proc/thread-self").ok()?;
    let thread = thread.file_name()?.to_str()?;
    let set = Command::new("taskset")
        .args(["-cp", &core.to_string(), thread])
        .output()
        .ok()?;
    set.status.success().then_some(core)
}

/// How long this thread has run on a core; `None` where the system does not say.
pub(super) fn cpu() -> Option<Duration> {
    // Nanoseconds on a core, nanoseconds waiting for one, how often.
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

/// How much memory this process has resident, in bytes.
pub(super) fn resident() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}
