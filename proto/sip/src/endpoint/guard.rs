//! Authenticating those who reach us (RFC 3261, 22.2).

use super::{Endpoint, Server};
use crate::{
    Request, Status,
    answer::Answer,
    auth::{Asker, Challenger, Denial, Guard, Policy},
};
use base::digest::Secret;
use std::time::Instant;

/// A guard at work.
#[derive(Debug)]
pub(super) struct Watch {
    guard: Guard,
    challenger: Challenger,
}

impl Endpoint {
    /// Lets only users of the guard reach us from outside of dialogs, or everybody again. Running
    /// calls go on, and nonces of an earlier guard are stale.
    pub fn set_guard(&mut self, now: Instant, guard: Option<Guard>) {
        let now = self.advance(now);
        self.watch = guard.map(|guard| {
            let policy = Policy {
                asker: Asker::Server,
                ..guard.policy.clone()
            };
            let challenger = Challenger::new(now, policy, &mut self.rng);
            Box::new(Watch { guard, challenger })
        });
    }

    /// Takes down who sends a request outside of dialogs; the answer, if that has to be shown first.
    pub(super) fn identify(
        &mut self,
        now: Instant,
        request: &Request,
        server: &mut Server,
    ) -> Option<Answer> {
        let Watch { guard, challenger } = self.watch.as_deref_mut()?;
        if !guard.asks(&request.method) {
            return None;
        }
        let users = &guard.users;
        match challenger.verify(now, request, |username, hash| {
            let fitting =
                |(name, secret): &&(String, Secret)| name == username && secret.fits(hash);
            users.iter().find(fitting).map(|(_, secret)| secret.clone())
        }) {
            Ok(verified) => {
                server.verified = Some(Box::new(verified));
                None
            }
            Err(Denial::Malformed) => Some(Answer::new(Status::BAD_REQUEST)),
            Err(denial) => {
                let mut answer = Answer::new(Status::UNAUTHORIZED);
                challenger.challenge(now, &denial, &mut answer.headers);
                Some(answer)
            }
        }
    }
}
