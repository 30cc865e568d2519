//! Checks of the peer (RFC 8445, 7.3).

use super::{Agent, BaseId, Output, response::ROLE_CONFLICT};
use crate::{
    Candidate, Kind,
    pair::PairState,
    role::Role,
    stun::{
        Attribute, AttributeType, Class, ErrorCode, Integrity, Message, Method, Protection, Writer,
    },
};
use std::{net::SocketAddr, time::Instant};

/// A request of a peer, proved by our password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Early {
    base: usize,
    from: SocketAddr,
    priority: u32,
    use_candidate: bool,
}

impl Agent {
    /// Answers a request; false if it is not for us. Nobody who does not know our password makes us send
    /// more than one short refusal.
    pub(super) fn handle_request(
        &mut self,
        now: Instant,
        base: usize,
        from: SocketAddr,
        message: &Message<'_>,
    ) -> bool {
        let Some(Attribute::Username(username)) = message.attribute(AttributeType::USERNAME) else {
            // RFC 8489, 9.1.3.1.
            self.refuse(base, from, message, 400, "Bad Request", false);
            return false;
        };
        let fragment = username.split_once(':').map(|(ours, _)| ours);
        match message.integrity(Protection::Sha1, &self.local_key) {
            Integrity::Missing => {
                self.refuse(base, from, message, 400, "Bad Request", false);
                return false;
            }
            Integrity::Right if fragment == Some(self.local.ufrag.as_str()) => {}
            Integrity::Right | Integrity::Wrong => {
                self.refuse(base, from, message, 401, "Unauthorized", false);
                return false;
            }
        }
        if message.unknown().next().is_some() {
            self.refuse_unknown(base, from, message);
            return true;
        }
        if !self.agrees_on_role(message) {
            self.refuse(base, from, message, ROLE_CONFLICT, "Role Conflict", true);
            return true;
        }
        self.accept(base, from, message);
        let priority = match message.attribute(AttributeType::PRIORITY) {
            Some(Attribute::Priority(priority)) => priority,
            // RFC 8445, 7.1.1 has it in every check; without it the address is worth the least.
            _ => 1,
        };
        let request = Early {
            base,
            from,
            priority,
            use_candidate: message.raw(AttributeType::USE_CANDIDATE).is_some(),
        };
        if self.remote.is_some() {
            self.learn(now, &request);
            self.schedule(now);
        } else if !self.early.contains(&request) {
            // RFC 8445, 7.3: the rest follows when the description is there.
            if self.early.len() >= self.config.early {
                self.early.pop_front();
            }
            self.early.push_back(request);
        }
        true
    }

    /// RFC 8445, 7.3.1.1. False if the peer has to change its role.
    fn agrees_on_role(&mut self, message: &Message<'_>) -> bool {
        let theirs = [
            AttributeType::ICE_CONTROLLING,
            AttributeType::ICE_CONTROLLED,
        ]
        .into_iter()
        .find_map(|kind| match message.attribute(kind)? {
            Attribute::IceControlling(tie_breaker) => Some((Role::Controlling, tie_breaker)),
            Attribute::IceControlled(tie_breaker) => Some((Role::Controlled, tie_breaker)),
            _ => None,
        });
        match theirs {
            Some((role, tie_breaker)) if role == self.role => {
                let is_ours_larger = self.tie_breaker >= tie_breaker;
                let we_stay = is_ours_larger == (role == Role::Controlling);
                if !we_stay {
                    self.switch_role();
                }
                !we_stay
            }
            _ => true,
        }
    }

    /// RFC 8445, 7.3.1.2.
    fn accept(&mut self, base: usize, from: SocketAddr, message: &Message<'_>) {
        let payload = Writer::new(Class::Success, Method::BINDING, message.transaction())
            .attribute(&Attribute::XorMappedAddress(from))
            .integrity(Protection::Sha1, &self.local_key)
            .fingerprint()
            .finish();
        self.out.push_back(Output::Transmit {
            base: BaseId(base),
            to: from,
            payload,
        });
    }

    fn refuse(
        &mut self,
        base: usize,
        from: SocketAddr,
        message: &Message<'_>,
        code: u16,
        reason: &str,
        is_proved: bool,
    ) {
        let mut writer = Writer::new(Class::Error, Method::BINDING, message.transaction())
            .attribute(&Attribute::ErrorCode(ErrorCode { code, reason }));
        // RFC 8489, 9.1.3: errors about the proof itself are not proved.
        if is_proved {
            writer = writer.integrity(Protection::Sha1, &self.local_key);
        }
        self.out.push_back(Output::Transmit {
            base: BaseId(base),
            to: from,
            payload: writer.fingerprint().finish(),
        });
    }

    /// RFC 8489, 6.3.1.
    fn refuse_unknown(&mut self, base: usize, from: SocketAddr, message: &Message<'_>) {
        let unknown: Vec<u8> = message
            .unknown()
            .take(MAX_UNKNOWN)
            .flat_map(|kind| kind.0.to_be_bytes())
            .collect();
        let (code, reason) = (420, "Unknown Attribute");
        let payload = Writer::new(Class::Error, Method::BINDING, message.transaction())
            .attribute(&Attribute::ErrorCode(ErrorCode { code, reason }))
            .attribute(&Attribute::UnknownAttributes(&unknown))
            .integrity(Protection::Sha1, &self.local_key)
            .fingerprint()
            .finish();
        self.out.push_back(Output::Transmit {
            base: BaseId(base),
            to: from,
            payload,
        });
    }

    /// What a request shows: an address of the peer, a pair to check, one that it wants (RFC 8445,
    /// 7.3.1.3 to 7.3.1.5).
    pub(super) fn learn(&mut self, now: Instant, request: &Early) {
        let Some(remote) = self.remote_at(request) else {
            return;
        };
        let own = self.locals.iter().position(|local| {
            local.base == request.base && matches!(local.candidate.kind, Kind::Host | Kind::Relayed)
        });
        let Some(own) = own else {
            return;
        };
        let known = self
            .pairs
            .iter()
            .position(|pair| pair.local == own && pair.remote == remote);
        let is_wanted = request.use_candidate && self.role == Role::Controlled;
        let component = self.bases[request.base].component;
        let at = match known {
            Some(at) => at,
            // Nothing more is needed when a pair has been chosen, unless the peer chooses again.
            None if self.is_concluded(component) && !is_wanted => return,
            None if self.pairs.len() >= self.config.pairs * 2 => return,
            None => self.add_pair(now, own, remote),
        };
        let is_needed = is_wanted || !self.is_concluded(component);
        let pair = &mut self.pairs[at];
        pair.wanted |= is_wanted;
        match pair.state {
            PairState::Succeeded => {
                if is_wanted {
                    if !pair.nominated {
                        pair.note(now, "chosen by the peer");
                    }
                    pair.nominated = true;
                }
            }
            _ if !is_needed => {}
            PairState::InProgress => {
                for check in &mut self.checks {
                    check.is_cancelled |= check.pair == at;
                }
                self.trigger(now, at, "the peer checks it");
            }
            PairState::Frozen | PairState::Waiting | PairState::Failed => {
                self.trigger(now, at, "the peer checks it");
            }
        }
    }

    /// The candidate that a request came from, which may be a new one.
    fn remote_at(&mut self, request: &Early) -> Option<usize> {
        let component = self.bases[request.base].component;
        let known = self
            .remotes
            .iter()
            .position(|remote| remote.address == request.from && remote.component == component);
        if known.is_some() {
            return known;
        }
        if self.remotes.len() >= self.config.candidates {
            return None;
        }
        // RFC 8445, 7.3.1.3: unlike any foundation that a peer may use.
        let foundation = format!("prflx{}", self.remotes.len());
        self.remotes.push(Candidate {
            foundation,
            component,
            priority: request.priority,
            address: request.from,
            kind: Kind::PeerReflexive,
            related: None,
        });
        Some(self.remotes.len() - 1)
    }
}

/// Attributes that a refusal names; it stays shorter than what it refuses.
const MAX_UNKNOWN: usize = 8;
