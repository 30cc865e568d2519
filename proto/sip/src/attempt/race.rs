//! Two families at once (RFC 8305): the connection that is there first carries the request.

use super::Candidate;
use crate::FlowId;
use base::Target;

/// The connections to one server that are coming up for an attempt: one, or one in each family.
///
/// A second server is no rival, however slow the first: the priorities of SRV records (RFC 2782) would
/// mean nothing. That two targets are one server is seen by their transport and port; DNS gives the
/// addresses of a server in both families in turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Race {
    runners: Vec<(FlowId, Candidate)>,
}

impl Race {
    pub(crate) fn new(flow: FlowId, candidate: Candidate) -> Self {
        Self {
            runners: vec![(flow, candidate)],
        }
    }

    /// True if `next` may be tried beside what is coming up.
    pub(crate) fn admits(&self, next: &Target) -> bool {
        let [(_, only)] = &self.runners[..] else {
            return false;
        };
        let first = &only.target;
        first.transport == next.transport
            && next.transport.is_reliable()
            && first.address.port() == next.address.port()
            && first.address.is_ipv4() != next.address.is_ipv4()
    }

    pub(crate) fn add(&mut self, flow: FlowId, candidate: Candidate) {
        self.runners.push((flow, candidate));
    }

    /// A connection did not come up: returns its target if it was one of these.
    pub(crate) fn remove(&mut self, flow: FlowId) -> Option<Candidate> {
        let at = self.runners.iter().position(|(id, _)| *id == flow)?;
        Some(self.runners.remove(at).1)
    }

    pub(crate) const fn is_over(&self) -> bool {
        self.runners.is_empty()
    }

    pub(crate) fn into_runners(self) -> Vec<(FlowId, Candidate)> {
        self.runners
    }
}
