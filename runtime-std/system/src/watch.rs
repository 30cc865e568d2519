//! What this machine says about itself, and when it changes: addresses, name servers, clocks, sleep.

use sipsimple::{
    agent::System,
    system::{self, SystemText},
};
use std::{
    fs::{self, File},
    io::{self, Read as _},
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

/// Looks at the machine every five seconds and tells what has changed.
#[derive(Debug)]
pub struct Watch {
    facts: Vec<System>,
    clocks: Clocks,
}

/// The clocks at one moment.
#[derive(Clone, Copy, Debug)]
struct Clocks {
    at: Instant,
    unix: Duration,
    /// Time since boot, sleep included, where the system tells.
    boot: Option<Duration>,
}

impl Watch {
    /// Takes a first look at `now`.
    pub fn new(now: Instant) -> Self {
        Self {
            facts: facts(),
            clocks: Clocks::read(now),
        }
    }

    /// All facts, for the start of an agent.
    pub fn facts(&self) -> Vec<System> {
        self.facts.clone()
    }

    /// When to look again.
    pub fn deadline(&self) -> Instant {
        self.clocks.at + EVERY
    }

    /// Looks again if it is time to, and tells what has changed.
    pub fn check(&mut self, now: Instant) -> Vec<System> {
        if now < self.deadline() {
            return Vec::new();
        }
        let clocks = Clocks::read(now);
        let mut news = clocks.since(&self.clocks);
        self.clocks = clocks;
        let facts = facts();
        let changed = facts.iter().filter(|fact| !self.facts.contains(fact));
        news.extend(changed.cloned());
        self.facts = facts;
        news
    }
}

impl Clocks {
    fn read(at: Instant) -> Self {
        Self {
            at,
            unix: unix_time(),
            boot: since_boot(),
        }
    }

    /// What the clocks say of the time between two looks.
    fn since(&self, before: &Self) -> Vec<System> {
        let elapsed = self.at.saturating_duration_since(before.at);
        let mut news = Vec::new();
        if let (Some(then), Some(since)) = (before.boot, self.boot)
            && let Some(asleep) = since.checked_sub(then + elapsed)
            && asleep > TOLERANCE
        {
            news.push(System::Resumed { asleep });
        }
        // After a sleep, too: the agent counts wall-clock time by the monotonic clock, which stood.
        if self.unix.abs_diff(before.unix + elapsed) > TOLERANCE {
            news.push(System::UnixTime(self.unix));
        }
        news
    }
}

fn facts() -> Vec<System> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let text = SystemText {
        fib_trie: read("/proc/net/fib_trie"),
        route: read("/proc/net/route"),
        if_inet6: read("/proc/net/if_inet6"),
        hosts: read("/etc/hosts"),
        resolv_conf: read("/etc/resolv.conf"),
    };
    vec![
        System::Interfaces(system::interfaces(&text)),
        System::Hosts(system::hosts(&text.hosts)),
        System::NameServers(system::name_servers(&text.resolv_conf)),
    ]
}

/// The monotonic clock stands still while Linux sleeps, this one does not.
fn since_boot() -> Option<Duration> {
    let text = fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = text.split(' ').next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// A change of address is to be followed within five seconds, of which the agent waits one and a
/// proxy may take two.
const EVERY: Duration = Duration::from_secs(1);
/// The clocks are read one after the other, and `/proc/uptime` has two digits.
const TOLERANCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn sleep_and_a_set_clock_are_told_apart() {
        let before = Clocks {
            at: Instant::now(),
            unix: 1_000 * SECOND,
            boot: Some(50 * SECOND),
        };
        let after = |unix: u32, boot: u32| Clocks {
            at: before.at + 5 * SECOND,
            unix: unix * SECOND,
            boot: Some(boot * SECOND),
        };
        assert_eq!(after(1_005, 55).since(&before), []);
        let asleep = 60 * SECOND;
        let resumed = System::Resumed { asleep };
        let set = |unix: u32| System::UnixTime(unix * SECOND);
        assert_eq!(after(1_065, 115).since(&before), [resumed, set(1_065)]);
        assert_eq!(after(900, 55).since(&before), [set(900)]);
    }

    #[test]
    fn a_look_comes_in_time_and_tells_nothing_twice() {
        let now = Instant::now();
        let mut watch = Watch::new(now);
        assert_eq!(watch.facts().len(), 3);
        assert_eq!(watch.deadline(), now + EVERY);
        watch.facts.clear();
        assert_eq!(watch.check(now + EVERY / 2), []);
        let told = watch.check(now + EVERY);
        // The clock was moved by the test, not by the machine.
        let facts = told
            .iter()
            .filter(|told| !matches!(told, System::UnixTime(_)));
        assert_eq!(facts.count(), 3, "{told:?}");
        assert_eq!(watch.deadline(), now + 2 * EVERY);
    }
}
