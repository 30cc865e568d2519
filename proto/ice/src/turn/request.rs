//! Requests to the server: repetition, challenges, failure (RFC 8489, 6.2, 9.2).

use super::{Client, Lost, Output, Realm, State};
use crate::stun::{
    Attribute, AttributeType, Class, Integrity, Key, Message, Method, Protection, TransactionId,
    Writer,
};
use bytes::Bytes;
use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// A request that waits for its response.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) id: TransactionId,
    pub(super) purpose: Purpose,
    pub(super) next: Instant,
    sent: u32,
    rto: Duration,
    message: Bytes,
}

/// What a request is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    Allocate,
    Refresh,
    Release,
    Permission(IpAddr),
    Channel(SocketAddr, u16),
}

impl Purpose {
    const fn method(self) -> Method {
        match self {
            Self::Allocate => Method::ALLOCATE,
            Self::Refresh | Self::Release => Method::REFRESH,
            Self::Permission(_) => Method::CREATE_PERMISSION,
            Self::Channel(..) => Method::CHANNEL_BIND,
        }
    }
}

impl Client {
    /// Sends a request.
    pub(super) fn ask(&mut self, now: Instant, purpose: Purpose) {
        let mut id = [0; 12];
        self.rng.fill(&mut id);
        let id = TransactionId(id);
        let mut writer = Writer::new(Class::Request, purpose.method(), id);
        let lifetime = u32::try_from(self.config.lifetime.as_secs()).unwrap_or(u32::MAX);
        writer = match purpose {
            Purpose::Allocate => {
                let writer = writer
                    .attribute(&Attribute::RequestedTransport(UDP))
                    .attribute(&Attribute::Lifetime(lifetime));
                match self.config.is_v6 {
                    true => writer.attribute(&Attribute::RequestedAddressFamily(true)),
                    // RFC 8656, 7.1: IPv4 is what comes without it, and old servers do not know it.
                    false => writer,
                }
            }
            Purpose::Refresh => writer.attribute(&Attribute::Lifetime(lifetime)),
            Purpose::Release => writer.attribute(&Attribute::Lifetime(0)),
            Purpose::Permission(peer) => {
                writer.attribute(&Attribute::XorPeerAddress(SocketAddr::new(peer, 0)))
            }
            Purpose::Channel(peer, number) => writer
                .attribute(&Attribute::ChannelNumber(number))
                .attribute(&Attribute::XorPeerAddress(peer)),
        };
        if let Some(realm) = &self.realm {
            writer = writer
                .attribute(&Attribute::Username(&self.config.username))
                .attribute(&Attribute::Realm(&realm.realm))
                .attribute(&Attribute::Nonce(&realm.nonce))
                .integrity(Protection::Sha1, &realm.key);
        }
        let message = writer.fingerprint().finish();
        self.out.push_back(Output::Transmit(message.clone()));
        let rto = self.config.rto;
        let wait = match self.config.is_stream {
            true => self.config.stream_timeout,
            false => rto,
        };
        self.requests.push(Request {
            id,
            purpose,
            next: now + wait,
            sent: 1,
            rto,
            message,
        });
    }

    /// Repeats requests, and gives up those that nobody answers.
    pub(super) fn requests_due(&mut self, now: Instant) {
        let mut silent = Vec::new();
        let most = match self.config.is_stream {
            true => 1,
            false => self.config.transmissions,
        };
        let (out, first) = (&mut self.out, self.config.rto);
        self.requests.retain_mut(|request| {
            if request.next > now {
                return true;
            }
            if request.sent >= most {
                silent.push(request.purpose);
                return false;
            }
            request.sent += 1;
            request.rto = request.rto.saturating_mul(2);
            request.next = match request.sent < most {
                true => now + request.rto,
                false => now + first.saturating_mul(16),
            };
            out.push_back(Output::Transmit(request.message.clone()));
            true
        });
        for purpose in silent {
            match purpose {
                Purpose::Release => self.lose(Lost::Released),
                // A server that is silent once is silent for all.
                _ => self.lose(Lost::Silent),
            }
        }
    }

    /// Takes a response of the server.
    pub(super) fn handle_response(&mut self, now: Instant, message: &Message<'_>) {
        let id = message.transaction();
        let Some(at) = self.requests.iter().position(|request| request.id == id) else {
            return;
        };
        let code = match message.attribute(AttributeType::ERROR_CODE) {
            Some(Attribute::ErrorCode(error)) if message.class() == Class::Error => error.code,
            _ => 0,
        };
        let integrity = self
            .realm
            .as_ref()
            .map(|realm| message.integrity(Protection::Sha1, &realm.key));
        // RFC 8489, 9.2.5: what is wrongly proved has not come; only refusals need no proof, since the
        // server may not know the key.
        let is_proved = match integrity {
            None | Some(Integrity::Right) => true,
            Some(Integrity::Missing) => message.class() == Class::Error,
            Some(Integrity::Wrong) => false,
        };
        if !is_proved {
            return;
        }
        let purpose = self.requests.swap_remove(at).purpose;
        if message.class() == Class::Success {
            self.challenged = 0;
            return self.handle_success(now, purpose, message);
        }
        match code {
            401 | 438 => self.handle_challenge(now, purpose, code, message),
            300 => match message.attribute(AttributeType::ALTERNATE_SERVER) {
                Some(Attribute::AlternateServer(server)) if purpose == Purpose::Allocate => {
                    self.lose(Lost::Redirected(server));
                }
                _ => self.lose(Lost::Unusable),
            },
            // RFC 8656, 7.4 and 8.3.
            437 if purpose == Purpose::Release => self.lose(Lost::Released),
            437 => self.lose(Lost::Forgotten),
            441 => self.lose(Lost::NotAuthenticated),
            code => self.handle_refusal(now, purpose, code),
        }
    }

    /// RFC 8489, 9.2.5: 401 is answered by the password, 438 by the same with another nonce; in
    /// the middle of its life, too.
    fn handle_challenge(
        &mut self,
        now: Instant,
        purpose: Purpose,
        code: u16,
        message: &Message<'_>,
    ) {
        let realm = match message.attribute(AttributeType::REALM) {
            Some(Attribute::Realm(realm)) => Some(realm),
            _ => self.realm.as_ref().map(|known| known.realm.as_str()),
        };
        let nonce = message.attribute(AttributeType::NONCE);
        let (Some(realm), Some(Attribute::Nonce(nonce))) = (realm, nonce) else {
            return self.lose(Lost::Unusable);
        };
        // A 401 to the nonce that it gave itself is a wrong password.
        let is_same = self
            .realm
            .as_ref()
            .is_some_and(|known| known.realm == realm && known.nonce == nonce);
        self.challenged += 1;
        if (code == 401 && is_same) || self.challenged > MAX_CHALLENGES {
            return self.lose(Lost::NotAuthenticated);
        }
        let key = Key::long_term(&self.config.username, realm, &self.config.password);
        self.realm = Some(Realm {
            realm: realm.to_owned(),
            nonce: nonce.to_owned(),
            key,
        });
        self.ask(now, purpose);
    }

    fn handle_success(&mut self, now: Instant, purpose: Purpose, message: &Message<'_>) {
        match purpose {
            Purpose::Allocate => self.allocated(now, message),
            Purpose::Refresh => self.refreshed(now, message),
            Purpose::Release => self.lose(Lost::Released),
            Purpose::Permission(peer) => self.permitted(now, peer),
            Purpose::Channel(peer, number) => self.bound(now, peer, number),
        }
    }

    fn handle_refusal(&mut self, now: Instant, purpose: Purpose, code: u16) {
        match purpose {
            Purpose::Allocate | Purpose::Refresh => self.lose(Lost::Refused(code)),
            Purpose::Release => self.lose(Lost::Released),
            // RFC 8656, 10.2: only these are about the peer.
            Purpose::Permission(peer) if matches!(code, 403 | 443) => self.forbidden(peer, code),
            Purpose::Permission(peer) => self.postponed(now, peer),
            // RFC 8656, 12.3: what it has agreed to once it takes for an error.
            Purpose::Channel(peer, number) if code == 400 && self.is_bound(peer, number) => {
                self.ask(now, Purpose::Release);
                self.lose(Lost::OutOfSync);
            }
            Purpose::Channel(peer, _) => self.unbound(peer),
        }
    }

    pub(super) fn is_asking(&self, wanted: impl Fn(Purpose) -> bool) -> bool {
        self.state != State::Over && self.requests.iter().any(|request| wanted(request.purpose))
    }
}

/// REQUESTED-TRANSPORT of UDP (RFC 8656, 18.8).
const UDP: u8 = 17;
/// Challenges in a row: the first, one for a stale nonce, one more for a slow server.
const MAX_CHALLENGES: u32 = 4;
