//! Who may use a server.

use base::{Rng, digest::Secret};
use sip::{
    HeaderName, Headers, Request, Response, Status,
    auth::{Challenger, Denial, Policy, Verified},
};
use std::{collections::BTreeMap, time::Instant};

/// The users of a server, and what asks them for their passwords: the stack's own
/// [`Challenger`], which no user agent uses to answer.
#[derive(Debug)]
pub struct Gate {
    policy: Policy,
    users: BTreeMap<String, Secret>,
    rng: Rng,
    /// Made when the first request comes: only then is the time known.
    challenger: Option<Challenger>,
    denied: u64,
}

impl Gate {
    /// Asks by `policy`; `seed` decides the key of its nonces.
    pub fn new(policy: Policy, seed: [u8; 32]) -> Self {
        Self {
            policy,
            users: BTreeMap::new(),
            rng: Rng::from_seed(seed),
            challenger: None,
            denied: 0,
        }
    }

    /// Adds a user, or changes the password.
    pub fn add_user(&mut self, name: &str, password: &str) {
        let secret = Secret::Password(password.to_owned());
        self.users.insert(name.to_owned(), secret);
    }

    /// True if there is such a user.
    pub fn knows(&self, name: &str) -> bool {
        self.users.contains_key(name)
    }

    /// How many requests were not let through.
    pub const fn denied(&self) -> u64 {
        self.denied
    }

    /// Forgets all nonces, as a restart does: those that are still used are stale.
    pub fn restart(&mut self) {
        self.challenger = None;
    }

    /// Lets a request through, or says what it gets: 401 or 407 with challenges, or 400.
    pub(crate) fn check(
        &mut self,
        now: Instant,
        request: &Request,
        tag: &str,
    ) -> Result<Verified, Box<Response>> {
        let challenger = self
            .challenger
            .get_or_insert_with(|| Challenger::new(now, self.policy.clone(), &mut self.rng));
        let users = &self.users;
        let denial = match challenger.verify(now, request, |user, _| users.get(user).cloned()) {
            Ok(verified) => return Ok(verified),
            Err(denial) => denial,
        };
        self.denied += 1;
        let status = match denial {
            Denial::Malformed => Status::BAD_REQUEST,
            _ => self.policy.asker.status(),
        };
        let mut response = Response::to_request(request, status, Some(tag));
        if denial != Denial::Malformed {
            challenger.challenge(now, &denial, &mut response.headers);
        }
        Err(Box::new(response))
    }

    /// Takes our own credentials out of a request that goes on (RFC 3261, 22.3): they are for us alone.
    pub(crate) fn strip(&self, headers: &mut Headers) {
        let name = HeaderName::ProxyAuthorization;
        let ours = format!("realm=\"{}\"", self.policy.realm);
        let is_ours = |value: &[u8]| String::from_utf8_lossy(value).contains(&ours);
        let others: Vec<Vec<u8>> = headers
            .get_all(name)
            .filter(|value| !is_ours(value))
            .map(<[u8]>::to_vec)
            .collect();
        headers.remove(name);
        for value in others {
            headers.push(name, value);
        }
    }
}
