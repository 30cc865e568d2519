//! Checks out (RFC 8445, 7.2.4).

use super::{Agent, BaseId, Output};
use crate::{
    Kind,
    pair::PairState,
    role::Role,
    stun::{Attribute, Class, Method, Protection, TransactionId, Writer},
};
use bytes::Bytes;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// A Binding request on its way.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) id: TransactionId,
    pub(super) pair: usize,
    pub(super) base: usize,
    pub(super) to: SocketAddr,
    pub(super) role: Role,
    pub(super) use_candidate: bool,
    /// What our end is worth if the peer sees it at an unknown address.
    pub(super) priority: u32,
    /// Not repeated any more, and its silence says nothing (RFC 8445, 7.3.1.4).
    pub(super) is_cancelled: bool,
    sent: u32,
    rto: Duration,
    /// When it is repeated, or given up.
    pub(super) next: Instant,
    message: Bytes,
}

impl Agent {
    pub(super) fn check(&mut self, now: Instant, at: usize) {
        let use_candidate = self.role == Role::Controlling && self.pairs[at].nominate;
        let pair = &self.pairs[at];
        let base = self.locals[pair.local].base;
        let to = self.remotes[pair.remote].address;
        let priority = self.priority_of(base, Kind::PeerReflexive);
        let Some((id, message)) = self.binding_request(priority, use_candidate) else {
            return;
        };
        self.out.push_back(Output::Transmit {
            base: BaseId(base),
            to,
            payload: message.clone(),
        });
        // RFC 8445, 14.3.
        let many = self
            .pairs
            .iter()
            .filter(|pair| matches!(pair.state, PairState::Waiting | PairState::InProgress));
        let many = u32::try_from(many.count()).unwrap_or(u32::MAX);
        let rto = self.config.rto.max(self.pace().saturating_mul(many));
        self.checks.push(Check {
            id,
            pair: at,
            base,
            to,
            role: self.role,
            use_candidate,
            priority,
            is_cancelled: false,
            sent: 1,
            rto,
            next: now + rto,
            message,
        });
        let why = match use_candidate {
            true => "check sent that chooses it",
            false => "check sent",
        };
        // A pair that works and is to be chosen goes on working.
        match self.pairs[at].state {
            PairState::Succeeded => self.pairs[at].note(now, why),
            _ => self.pairs[at].set(now, PairState::InProgress, why),
        }
    }

    /// RFC 8445, 7.1 and 7.2.2; nothing before the peer's description.
    pub(super) fn binding_request(
        &mut self,
        priority: u32,
        use_candidate: bool,
    ) -> Option<(TransactionId, Bytes)> {
        let id = self.transaction_id();
        let remote = self.remote.as_ref()?;
        let username = format!("{}:{}", remote.credentials.ufrag, self.local.ufrag);
        let role = match self.role {
            Role::Controlling => Attribute::IceControlling(self.tie_breaker),
            Role::Controlled => Attribute::IceControlled(self.tie_breaker),
        };
        let mut writer = Writer::new(Class::Request, Method::BINDING, id)
            .attribute(&Attribute::Username(&username))
            .attribute(&Attribute::Priority(priority))
            .attribute(&role);
        if use_candidate {
            writer = writer.attribute(&Attribute::UseCandidate);
        }
        let message = writer
            .integrity(Protection::Sha1, &remote.key)
            .fingerprint()
            .finish();
        Some((id, message))
    }

    /// Repeats checks, and gives up those that nobody answers (RFC 8489, 6.2.1).
    pub(super) fn checks_due(&mut self, now: Instant) {
        let mut silent = Vec::new();
        let most = self.config.transmissions;
        let out = &mut self.out;
        self.checks.retain_mut(|check| {
            if check.next > now {
                return true;
            }
            if check.is_cancelled || check.sent >= most {
                silent.push((check.pair, check.is_cancelled, check.use_candidate));
                return false;
            }
            check.sent += 1;
            check.rto = check.rto.saturating_mul(2);
            // RFC 8489, 6.2.1: the last one is waited for 16 times the first interval.
            check.next = match check.sent < most {
                true => now + check.rto,
                false => now + self.config.rto.saturating_mul(16),
            };
            out.push_back(Output::Transmit {
                base: BaseId(check.base),
                to: check.to,
                payload: check.message.clone(),
            });
            true
        });
        for (at, is_cancelled, use_candidate) in silent {
            if !is_cancelled {
                self.check_failed(now, at, use_candidate, "nobody answered");
            }
        }
    }

    /// RFC 8445, 7.2.5.2 and 7.2.5.3.4.
    pub(super) fn check_failed(
        &mut self,
        now: Instant,
        at: usize,
        use_candidate: bool,
        why: &'static str,
    ) {
        let pair = &mut self.pairs[at];
        // What has worked is not forgotten for one check more that went wrong.
        if pair.is_valid() && !use_candidate && !pair.wanted {
            return pair.set(now, PairState::Succeeded, "it has worked before");
        }
        pair.seen_as = None;
        (pair.nominate, pair.wanted, pair.nominated) = (false, false, false);
        pair.set(now, PairState::Failed, why);
    }
}
