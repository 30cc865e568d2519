//! What a scenario says: at this time, until that is so.

use sipsimple::event::Event;
use std::time::Duration;

use crate::{host::HostId, world::World};

/// Something that a scenario waits for.
pub struct Condition(Box<dyn FnMut(&World) -> bool>);

impl std::fmt::Debug for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Condition")
    }
}

impl Condition {
    /// True when `holds` says so; asked after every step.
    pub fn new(holds: impl FnMut(&World) -> bool + 'static) -> Self {
        Self(Box::new(holds))
    }

    /// True when `host` has been told an event that `wants` likes, counted from now on.
    pub fn event(world: &World, host: HostId, wants: impl Fn(&Event) -> bool + 'static) -> Self {
        let mut seen = world.host(host).inbox().notifications.len();
        Self::new(move |world| {
            let notifications = &world.host(host).inbox().notifications;
            let fresh = notifications.get(seen..).unwrap_or_default();
            seen = notifications.len();
            fresh.iter().any(|notification| wants(&notification.event))
        })
    }

    /// True when `host` has been told the event of this name (`SIPSessionDidStart`), from now on.
    pub fn told(world: &World, host: HostId, name: &'static str) -> Self {
        Self::event(world, host, move |event| event.name() == name)
    }

    /// True when both have been true, each at a moment of its own.
    #[must_use]
    pub fn and(mut self, mut other: Self) -> Self {
        let (mut left, mut right) = (false, false);
        Self::new(move |world| {
            left |= (self.0)(world);
            right |= (other.0)(world);
            left && right
        })
    }
}

impl World {
    /// Does something `after` a time from now.
    pub fn at(&mut self, after: Duration, script: impl FnOnce(&mut Self) + 'static) {
        self.schedule_script(self.now() + after, script);
    }

    /// Runs until `condition` holds, at most for `limit`; says whether it did.
    pub fn until(&mut self, limit: Duration, mut condition: Condition) -> bool {
        let end = self.now() + limit;
        loop {
            if (condition.0)(self) {
                return true;
            }
            if !self.step(end) {
                self.run_for(end.saturating_duration_since(self.now()));
                return (condition.0)(self);
            }
        }
    }

    /// Runs until nothing is on its way and nobody wants to be woken within `quiet`, at most for
    /// `limit`; says whether it came to rest.
    pub fn rest(&mut self, quiet: Duration, limit: Duration) -> bool {
        let end = self.now() + limit;
        loop {
            let Some(next) = self.next_event() else {
                return true;
            };
            if next > self.now() + quiet {
                return true;
            }
            if !self.step(end) {
                return false;
            }
        }
    }
}
