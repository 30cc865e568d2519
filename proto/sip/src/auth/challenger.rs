//! The server's side of digest authentication: asking, and verifying what comes (RFC 3261, 22; RFC
//! 7616, 3; RFC 8760).

mod nonce;
mod uses;

use crate::{HeaderName, Headers, Request, Status};
use base::{
    Rng,
    digest::{Algorithm, Answer, Challenge, HashFunction, Qop, Secret, Session},
};
use bytes::Bytes;
use nonce::{Mint, Nonce};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    time::{Duration, Instant},
};
use uses::{Uses, Verdict};

/// Whether a user agent or registrar asks, or a proxy on the way: 401 or 407 (RFC 3261, 22.2, 22.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Asker {
    /// 401, `WWW-Authenticate`, `Authorization`.
    #[default]
    Server,
    /// 407, `Proxy-Authenticate`, `Proxy-Authorization`.
    Proxy,
}

impl Asker {
    /// The status of a challenge.
    pub const fn status(self) -> Status {
        match self {
            Self::Server => Status::UNAUTHORIZED,
            Self::Proxy => Status::PROXY_AUTHENTICATION_REQUIRED,
        }
    }

    const fn asks_in(self) -> HeaderName {
        match self {
            Self::Server => HeaderName::WwwAuthenticate,
            Self::Proxy => HeaderName::ProxyAuthenticate,
        }
    }

    const fn is_answered_in(self) -> HeaderName {
        match self {
            Self::Server => HeaderName::Authorization,
            Self::Proxy => HeaderName::ProxyAuthorization,
        }
    }

    const fn tells_in(self) -> HeaderName {
        match self {
            Self::Server => HeaderName::AuthenticationInfo,
            Self::Proxy => HeaderName::ProxyAuthenticationInfo,
        }
    }
}

/// What a [`Challenger`] asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Policy {
    /// The protection space, shown to users.
    pub realm: String,
    /// Who asks.
    pub asker: Asker,
    /// What is accepted, the most wanted first: one challenge each, in this order (RFC 8760, 2.3).
    pub algorithms: Vec<Algorithm>,
    /// What may be protected. Empty asks in the form of RFC 2069, which RFC 3261, 22.4 forbids to
    /// servers; a few still do.
    pub protection: Vec<Qop>,
    /// How long a nonce is good.
    pub nonce_life: Duration,
    /// Names the nonce to use next in the response to a request whose nonce has lived for more than
    /// half of its life (RFC 7616, 3.5), so that nobody has to be challenged again. Never for `-sess`
    /// algorithms, whose key is made of the first nonce.
    pub next_nonce: bool,
    /// How many nonces that are in use are remembered, so that no use comes twice. Beyond it the
    /// oldest is called stale: its owner is challenged once more.
    pub uses: usize,
}

impl Policy {
    /// Asks for SHA-256 before MD5, with `auth`, by nonces that live for five minutes.
    pub fn new(realm: impl Into<String>) -> Self {
        let named = |name: &str| Algorithm::from_name(name.as_bytes());
        Self {
            realm: realm.into(),
            asker: Asker::Server,
            algorithms: ["SHA-256", "MD5"].into_iter().filter_map(named).collect(),
            protection: vec![Qop::Auth],
            nonce_life: Duration::from_secs(300),
            next_nonce: true,
            // About 100 bytes each: 1 MB.
            uses: 10_000,
        }
    }
}

/// Challenges requests, and verifies the credentials that they bring.
///
/// Nonces carry their own time under a keyed hash (RFC 2104), so a challenge leaves nothing behind
/// here, however many strangers ask. Only a nonce that was answered rightly is remembered, to refuse
/// a count that was used before; see [`Policy::uses`].
#[derive(Debug)]
pub struct Challenger {
    policy: Policy,
    mint: Mint,
    uses: Uses,
}

/// Why a request is not let through.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Denial {
    /// It shows no credentials for the realm: challenge it.
    #[error("no credentials for this realm")]
    Missing,
    /// Its credentials cannot be read; 400 is the answer (RFC 7616, 3.4).
    #[error("the credentials are damaged")]
    Malformed,
    /// Its credentials use an algorithm or a protection that was not asked for.
    #[error("an algorithm or a protection that was not asked for")]
    Unwanted,
    /// The secret is wrong, or there is no such user.
    #[error("wrong credentials")]
    Wrong {
        /// Who it claims to be.
        username: String,
    },
    /// The secret is right, the nonce is too old or of another life of this server.
    #[error("the nonce is stale")]
    Stale,
    /// The secret is right, and its use of the nonce was seen before (RFC 7616, 5.8).
    #[error("the credentials were used before")]
    Replayed,
}

impl Denial {
    /// The secret was right: the client may try again without asking its user.
    pub const fn is_stale(&self) -> bool {
        matches!(self, Self::Stale | Self::Replayed)
    }
}

/// A request whose credentials were right. `Debug` shows the user only.
#[derive(Clone, PartialEq, Eq)]
pub struct Verified {
    /// Who it is. Whether this user may speak for the address in From is the caller's to decide
    /// (RFC 3261, 22.1).
    pub username: String,
    answer: Answer,
    secret: Secret,
    /// The client's nonce of the first answer, for `-sess` algorithms.
    session: Option<Box<[u8]>>,
    next_nonce: Option<String>,
    asker: Asker,
}

impl Verified {
    /// Adds what proves that the server knows the secret, too, to a response with this body
    /// (RFC 7616, 3.5).
    pub fn push_info(&self, headers: &mut Headers, body: &[u8]) {
        let next = self.next_nonce.as_deref().map(str::as_bytes);
        let session = session_of(&self.answer, self.session.as_deref());
        let value = self.answer.info(&self.secret, session, body, next);
        if !value.is_empty() {
            headers.push(self.asker.tells_in(), Bytes::from(value));
        }
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl Challenger {
    /// Begins with a key of its own: nonces of an earlier life are stale.
    pub fn new(now: Instant, policy: Policy, rng: &mut Rng) -> Self {
        Self {
            mint: Mint::new(now, rng),
            uses: Uses::default(),
            policy,
        }
    }

    /// What it asks for.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How many nonces are remembered.
    pub fn remembered(&self) -> usize {
        self.uses.len()
    }

    /// Verifies the credentials of a request. `secret` knows the password of a user of the realm, or
    /// the HA1 for the hash function that the user has chosen.
    ///
    /// ACK and CANCEL cannot be challenged (RFC 3261, 22.1): do not ask about them.
    ///
    /// # Errors
    ///
    /// See [`Denial`]; each but [`Denial::Malformed`] is answered by a [`challenge`](Self::challenge).
    pub fn verify(
        &mut self,
        now: Instant,
        request: &Request,
        secret: impl FnOnce(&str, HashFunction) -> Option<Secret>,
    ) -> Result<Verified, Denial> {
        let answer = self.credentials(&request.headers)?;
        let algorithm = answer.algorithm();
        let is_wanted = self.policy.algorithms.contains(&algorithm)
            && match answer.qop {
                Some(qop) => self.policy.protection.contains(&qop),
                // RFC 3261, 22.4, item 8: optional to receive. A session key has no client nonce then.
                None => !algorithm.session,
            };
        if !is_wanted {
            return Err(Denial::Unwanted);
        }
        if answer.cnonce.len() > MAX_CNONCE {
            return Err(Denial::Malformed);
        }
        let username = String::from_utf8_lossy(&answer.username).into_owned();
        let known = secret(&username, algorithm.hash).filter(|secret| secret.fits(algorithm.hash));
        let is_known = known.is_some();
        // A stranger costs as much time as a user whose secret is wrong.
        let secret = known.unwrap_or_else(|| Secret::Password(String::new()));
        let nonce = self.mint.read(&answer.nonce, &self.policy.realm);
        let session = nonce
            .and_then(|nonce| self.uses.session(nonce))
            .map(Box::from);
        let first = session_of(&answer, session.as_deref());
        let method = request.method.as_str().as_bytes();
        let is_right = answer.is_right(&secret, first, method, &request.body);
        if !is_right || !is_known {
            return Err(Denial::Wrong { username });
        }
        let life = self.policy.nonce_life;
        let Some((nonce, age)) = nonce
            .map(|nonce| (nonce, self.mint.age(now, nonce)))
            .filter(|(_, age)| *age <= life)
        else {
            return Err(Denial::Stale);
        };
        self.uses.forget(|nonce| self.mint.age(now, nonce) > life);
        // The form of RFC 2069 counts nothing: a nonce is good once.
        let count = if answer.qop.is_some() { answer.nc } else { 1 };
        let cnonce = algorithm.session.then_some(&answer.cnonce[..]);
        match self.uses.record(nonce, count, cnonce, self.policy.uses) {
            Verdict::New => {}
            Verdict::Used => return Err(Denial::Replayed),
            Verdict::Forgotten => return Err(Denial::Stale),
        }
        let wants_next = self.policy.next_nonce && !algorithm.session && age > life / 2;
        Ok(Verified {
            next_nonce: wants_next.then(|| self.mint.make(now, &self.policy.realm)),
            session: session.or_else(|| cnonce.map(Box::from)),
            username,
            answer,
            secret,
            asker: self.policy.asker,
        })
    }

    /// Adds one challenge for each algorithm to a response with [`Asker::status`], all with one new
    /// nonce.
    pub fn challenge(&mut self, now: Instant, denial: &Denial, headers: &mut Headers) {
        let nonce = self.mint.make(now, &self.policy.realm);
        let protects = |qop| self.policy.protection.contains(&qop);
        for &algorithm in &self.policy.algorithms {
            let challenge = Challenge {
                realm: self.policy.realm.clone().into_bytes(),
                nonce: nonce.clone().into_bytes(),
                opaque: None,
                algorithm: Some(algorithm),
                auth: protects(Qop::Auth),
                auth_int: protects(Qop::AuthInt),
                stale: denial.is_stale(),
                session_nonce: None,
            };
            headers.push(self.policy.asker.asks_in(), Bytes::from(challenge.print()));
        }
    }

    /// The credentials for our realm; those for others are none of our business.
    fn credentials(&self, headers: &Headers) -> Result<Answer, Denial> {
        let mut denial = Denial::Missing;
        for value in headers.get_all(self.policy.asker.is_answered_in()) {
            match Answer::parse(value) {
                Ok(Some(answer)) if answer.realm == self.policy.realm.as_bytes() => {
                    return Ok(answer);
                }
                Ok(_) => {}
                Err(_) => denial = Denial::Malformed,
            }
        }
        Err(denial)
    }
}

/// The nonces that the key of a `-sess` algorithm is made of; the first client nonce counts
/// (RFC 7616, 3.4.2).
fn session_of<'a>(answer: &'a Answer, first: Option<&'a [u8]>) -> Option<Session<'a>> {
    first.map(|cnonce| Session {
        nonce: &answer.nonce,
        cnonce,
    })
}

/// Characters of a client nonce: those in use have some ten to sixty, and they are remembered.
const MAX_CNONCE: usize = 256;

#[cfg(test)]
mod tests;
