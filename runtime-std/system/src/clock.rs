//! Time and randomness of this machine.

use std::{
    fs::File,
    io::{self, Read},
    time::{Duration, Instant, SystemTime},
};

/// Fetches 32 bytes of randomness from the system: the seed of an agent.
///
/// # Errors
///
/// The system has no source of randomness.
pub fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(seed)
}

/// Time since 1970.
pub fn unix_time() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}

/// Notices that the machine slept, or that its wall clock was set.
#[derive(Debug)]
pub struct Drift {
    checked: Instant,
    unix: Duration,
    /// Time since boot, sleep included, where the system tells.
    awake: Option<Duration>,
}

/// What a [`Drift`] noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Jump {
    /// The machine slept for so long.
    Slept(Duration),
    /// The wall clock was set.
    Set,
}

impl Drift {
    /// Starts to compare at `now`.
    pub fn new(now: Instant) -> Self {
        Self {
            checked: now,
            unix: unix_time(),
            awake: since_boot(),
        }
    }

    /// Compares the clocks, not more often than every two seconds.
    pub fn check(&mut self, now: Instant) -> Option<Jump> {
        let elapsed = now.saturating_duration_since(self.checked);
        if elapsed < CHECK_EVERY {
            return None;
        }
        let before = std::mem::replace(self, Self::new(now));
        if let (Some(then), Some(since)) = (before.awake, self.awake)
            && let Some(asleep) = since.checked_sub(then + elapsed)
            && asleep > TOLERANCE
        {
            return Some(Jump::Slept(asleep));
        }
        let expected = before.unix + elapsed;
        (self.unix.abs_diff(expected) > TOLERANCE).then_some(Jump::Set)
    }
}

/// The monotonic clock stands still while Linux sleeps, this one does not.
fn since_boot() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = text.split(' ').next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

const CHECK_EVERY: Duration = Duration::from_secs(2);
const TOLERANCE: Duration = Duration::from_secs(1);
