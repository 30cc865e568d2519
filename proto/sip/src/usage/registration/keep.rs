//! The way to the registrar: kept open, and begun anew when it is dead (RFC 5626, 4.4 and 4.5).

use super::{Effect, Phase, Registrar, RegistrationEvent};
use crate::{FlowId, Response, config::Pulse};
use base::scan::number;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

impl Registrar {
    /// How the way shall be kept open that a registrar has answered by.
    pub(super) fn pulse_of(&self, response: &Response, is_outbound: bool) -> Option<Pulse> {
        if !is_outbound && !self.keep_alive.without_outbound {
            return None;
        }
        let longest = match self.path?.transport.is_reliable() {
            true => self.keep_alive.stream?,
            false => self.keep_alive.datagram?,
        };
        // RFC 5626, 4.4: the edge proxy takes the flow for dead soon after.
        let asked = response.headers.get("Flow-Timer").filter(|_| is_outbound);
        let asked = asked.and_then(|value| number(value, u32::MAX.into()).ok());
        let asked = asked.map(|seconds| Duration::from_secs(seconds).max(LEAST));
        Some(Pulse {
            every: asked.map_or(longest, |asked| asked.min(longest)),
            is_answered: is_outbound,
        })
    }

    /// The way that is to be kept open.
    pub(crate) fn keeps(&self) -> Option<((FlowId, SocketAddr), Pulse)> {
        let path = self.path.filter(|_| self.lease.phase() != Phase::Off)?;
        Some(((path.flow, path.to), self.pulse?))
    }

    /// A connection is gone. The registrar reaches us by it: it is opened again after a while, for all
    /// that it served have lost it at once.
    pub(crate) fn handle_flow_down(&mut self, now: Instant, flow: FlowId) {
        if self.holds(flow) {
            self.begin_anew(now);
        }
    }

    /// The registrar is not reached any more, or does not reach us; true if it is ours.
    pub(crate) fn handle_flow_failed(
        &mut self,
        now: Instant,
        flow: FlowId,
        to: SocketAddr,
    ) -> bool {
        let is_ours = self.holds(flow) && self.path.is_some_and(|path| path.to == to);
        if is_ours {
            // What the translator made of us before is not what it makes of us now.
            if self.contact.mapped.take().is_some() {
                self.stale = self.bound.take().map(Box::new);
                self.rewritten = None;
            }
            self.begin_anew(now);
        }
        is_ours
    }

    /// True while requests to us come by this connection.
    pub(crate) fn holds(&self, flow: FlowId) -> bool {
        self.lease.phase() != Phase::Off && self.path.is_some_and(|path| path.flow == flow)
    }

    /// RFC 5626, 4.5: so that a server that comes back is not met by everybody at once.
    fn begin_anew(&mut self, now: Instant) {
        let registrar = self.path.take().map(|path| path.to);
        let retry_after = self.rng.draw(|rng| self.backoff.fail(rng, None));
        self.lease.hurry(now + retry_after);
        self.effects
            .push_back(Effect::Tell(RegistrationEvent::FlowFailed {
                registrar,
                retry_after,
            }));
    }
}

/// A Flow-Timer below this would have us talking all the time.
const LEAST: Duration = Duration::from_secs(5);
