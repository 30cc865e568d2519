//! The allocation: made, kept, given back (RFC 8656, 7 and 8).

use super::{Client, Lost, Output, State, request::Purpose};
use crate::stun::{Attribute, AttributeType, Message};
use std::time::{Duration, Instant};

impl Client {
    /// Asks for an address; once.
    pub fn allocate(&mut self, now: Instant) {
        if self.state == State::New {
            self.state = State::Allocating;
            self.ask(now, Purpose::Allocate);
        }
    }

    /// Gives the address back; [`Lost::Released`] follows.
    pub fn release(&mut self, now: Instant) {
        match self.state {
            State::Allocated => {
                self.state = State::Releasing;
                self.requests.clear();
                self.refresh = None;
                self.permissions.clear();
                self.peers.clear();
                self.ask(now, Purpose::Release);
            }
            State::New | State::Allocating => self.lose(Lost::Released),
            State::Releasing | State::Over => {}
        }
    }

    pub(super) fn allocated(&mut self, now: Instant, message: &Message<'_>) {
        let relayed = message.attribute(AttributeType::XOR_RELAYED_ADDRESS);
        let Some(Attribute::XorRelayedAddress(relayed)) = relayed else {
            return self.lose(Lost::Unusable);
        };
        // RFC 8656, 7.3: the family that was asked for.
        if relayed.is_ipv6() != self.config.is_v6 {
            return self.lose(Lost::Unusable);
        }
        self.state = State::Allocated;
        self.keep(now, message);
        self.out.push_back(Output::Allocated {
            relayed,
            mapped: message.mapped_address(),
        });
    }

    pub(super) fn refresh_allocation(&mut self, now: Instant) {
        self.ask(now, Purpose::Refresh);
    }

    pub(super) fn refreshed(&mut self, now: Instant, message: &Message<'_>) {
        if self.state == State::Allocated {
            self.keep(now, message);
        }
    }

    /// RFC 8656, 8: refreshed a minute before its end, or at half of a short life.
    fn keep(&mut self, now: Instant, message: &Message<'_>) {
        let lifetime = match message.attribute(AttributeType::LIFETIME) {
            Some(Attribute::Lifetime(seconds)) => Duration::from_secs(seconds.into()),
            _ => self.config.lifetime,
        };
        let margin = MARGIN.min(lifetime / 2);
        self.refresh = now.checked_add(lifetime.saturating_sub(margin).max(SHORTEST));
    }
}

/// Longer than a request may take that is repeated to the end.
const MARGIN: Duration = Duration::from_secs(60);
/// A server that grants nothing is not asked all the time.
const SHORTEST: Duration = Duration::from_secs(1);
