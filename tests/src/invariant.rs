//! What must hold after every step.

use sipsimple::event::{AgentEvent, Event};
use std::{fmt, time::Duration};

use crate::{host::HostId, world::World};

/// Something that must never happen, and did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// When, since the beginning of the world.
    pub at: Duration,
    /// On which host.
    pub host: HostId,
    /// What, in words.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.as_secs_f64();
        write!(f, "{at:.6} {:?}: {}", self.host, self.text)
    }
}

/// What the invariants allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// How often a node may ask to be woken at one moment without time moving.
    pub spins: u32,
    /// How many outputs may follow one input.
    pub outputs: u32,
    /// How many bytes a node may write beyond what the kernel took.
    pub write_backlog: usize,
    /// Log events of this level or worse (1 is the worst) are violations; 0 allows all.
    pub log_level: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            spins: 1_000,
            outputs: 100_000,
            write_backlog: 1024 * 1024,
            log_level: 1,
        }
    }
}

impl World {
    pub(crate) fn check_event(&mut self, host: HostId, event: &Event) {
        if let Event::Agent(AgentEvent::Log {
            sender,
            level,
            message,
        }) = event
            && *level <= self.limits().log_level
        {
            self.violated(host, format!("error log of {sender}: {message}"));
        }
    }
}
