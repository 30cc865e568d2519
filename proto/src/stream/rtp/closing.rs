//! The end of a transport.

use super::RtpTransport;
use crate::stream::{StreamInput, rtp::Ice};
use std::time::Instant;

impl RtpTransport {
    /// Leaves the session (BYE), ends its associations (`close_notify`), and closes the sockets; those that lead
    /// to relays when these have their addresses back.
    pub(crate) fn close(&mut self, now: Instant) {
        if let Some(flow) = &mut self.flow {
            flow.session.leave(now);
        }
        self.drain(now);
        self.handshakes.close();
        self.advance_handshakes(now);
        self.flow = None;
        self.early.clear();
        self.handshakes.clear();
        self.ports.close(&mut self.out);
        if let Some(ice) = &mut self.ice {
            ice.close(now, &mut self.out);
        }
    }

    /// True while something is left to be done after [`close`](Self::close).
    pub(crate) fn is_closing(&self) -> bool {
        self.ice.as_ref().is_some_and(Ice::is_leaving)
    }

    /// Takes an input after [`close`](Self::close).
    pub(crate) fn handle_closing(&mut self, now: Instant, input: StreamInput) {
        if let Some(ice) = &mut self.ice {
            ice.handle_leaving(now, input, &mut self.out);
        }
    }
}
