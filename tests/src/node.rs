//! What lives on a host.

use base::Deadline;
use sipsimple::agent::{Input, Output, UserAgent};
use std::{any::Any, time::Instant};

/// What lives on a [`Host`](crate::Host): a user agent, or a virtual server.
///
/// The world treats both alike, so a proxy with timers of its own is simulated, not mocked. After
/// every [`handle`](Self::handle) and every command the world drains
/// [`poll_output`](Self::poll_output) and then asks [`poll_timeout`](Self::poll_timeout).
pub trait Node: Any {
    /// Takes one input; never called with a `now` before an earlier one.
    fn handle(&mut self, now: Instant, input: Input);

    /// Says the next thing that it wants.
    fn poll_output(&mut self) -> Option<Output>;

    /// Says when [`Input::Timeout`] is wanted.
    fn poll_timeout(&self) -> Option<Deadline>;

    /// Gives up what it recorded since the last time; most nodes record nothing.
    fn take_record(&mut self) -> Vec<u8> {
        Vec::new()
    }
}

impl Node for UserAgent {
    fn handle(&mut self, now: Instant, input: Input) {
        self.handle_input(now, input);
    }

    fn poll_output(&mut self) -> Option<Output> {
        Self::poll_output(self)
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        Self::poll_timeout(self)
    }

    fn take_record(&mut self) -> Vec<u8> {
        Self::take_record(self)
    }
}
