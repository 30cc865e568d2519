//! Responses to our checks (RFC 8445, 7.2.5).

use super::{Agent, Event, Local, Output, check::Check};
use crate::{
    Candidate, Kind,
    pair::PairState,
    stun::{Attribute, AttributeType, Class, Integrity, Message, Protection},
};
use std::{net::SocketAddr, time::Instant};

impl Agent {
    /// Takes a response; false if it belongs to nothing, or is forged.
    pub(super) fn handle_response(
        &mut self,
        now: Instant,
        base: usize,
        from: SocketAddr,
        message: &Message<'_>,
    ) -> bool {
        if self.handle_answer(base, from, message) || self.handle_consent(now, base, from, message)
        {
            return true;
        }
        let id = message.transaction();
        let Some(at) = self.checks.iter().position(|check| check.id == id) else {
            return false;
        };
        let code = match message.attribute(AttributeType::ERROR_CODE) {
            Some(Attribute::ErrorCode(error)) => error.code,
            _ => 0,
        };
        // RFC 8445, 7.2.2 and RFC 8489, 9.1.4: what is not proved is as if it had not come. A peer that does
        // not know the key says so without a proof, and gets no say.
        let Some(remote) = &self.remote else {
            return false;
        };
        if message.integrity(Protection::Sha1, &remote.key) != Integrity::Right {
            return false;
        }
        let check = self.checks.swap_remove(at);
        if message.class() == Class::Error {
            self.refused(now, &check, code);
            return true;
        }
        // RFC 8445, 7.2.5.2.1.
        if from != check.to || base != check.base {
            self.check_failed(
                now,
                check.pair,
                check.use_candidate,
                "answered from another address",
            );
            return true;
        }
        match message.mapped_address() {
            Some(mapped) if message.unknown().next().is_none() => {
                self.succeeded(now, &check, mapped);
            }
            _ => self.check_failed(now, check.pair, check.use_candidate, "unusable answer"),
        }
        true
    }

    fn refused(&mut self, now: Instant, check: &Check, code: u16) {
        if code != ROLE_CONFLICT {
            return self.check_failed(now, check.pair, check.use_candidate, "refused");
        }
        // RFC 8445, 7.2.5.1: unless something else has changed the role meanwhile.
        if check.role == self.role {
            self.tie_breaker = self.rng.u64();
            self.switch_role();
        }
        self.trigger(now, check.pair, "role changed");
    }

    pub(super) fn switch_role(&mut self) {
        let role = self.role.other();
        self.set_role(role);
        self.out
            .push_back(Output::Event(Event::RoleDidChange(role)));
    }

    /// RFC 8445, 7.2.5.3.
    fn succeeded(&mut self, now: Instant, check: &Check, mapped: SocketAddr) {
        let at = check.pair;
        let seen = self.seen_as(check, mapped);
        let pair = &mut self.pairs[at];
        pair.seen_as = Some(seen);
        pair.set(now, PairState::Succeeded, "it works");
        if check.use_candidate || pair.wanted {
            pair.nominated = true;
            pair.note(now, "chosen");
        }
        self.thaw_like(now, at);
    }

    /// The candidate of ours that the peer sees, which may be one that nobody knew (RFC 8445,
    /// 7.2.5.3.1).
    fn seen_as(&mut self, check: &Check, mapped: SocketAddr) -> usize {
        let component = self.bases[check.base].component;
        let known = self.locals.iter().position(|local| {
            local.candidate.address == mapped && local.candidate.component == component
        });
        if let Some(known) = known {
            return known;
        }
        let related = self.bases[check.base].address;
        let candidate = Candidate {
            foundation: self.foundation(Kind::PeerReflexive, related.ip(), Some(check.to.ip())),
            component,
            priority: check.priority,
            address: mapped,
            kind: Kind::PeerReflexive,
            related: Some(related),
        };
        let local = Local {
            candidate,
            base: check.base,
        };
        let own = self.pairs[check.pair].local;
        // Without room for it, it is shown as what it leaves from.
        self.add_local(local).unwrap_or(own)
    }
}

/// RFC 8445, 7.3.1.1.
pub(super) const ROLE_CONFLICT: u16 = 487;
