//! What becomes of a request: responses, challenges, silence, failure, and its end.

use super::{Child, Endpoint, Event, Output, dialogs::state_of, flow::Waiter, route::Connection};
use crate::{
    LookupError, Response, Status, TransactionId,
    attempt::{Attempt, AttemptId, Candidate, Failure, Owner, Stage, Withdrawal},
    dialog::DialogKey,
    header::RetryAfter,
    id::Party,
    transaction::Path,
    usage::{AnyUsage, Progress, invitation::COMPLETED_ELSEWHERE},
};
use base::{Deadline, Host, LinkError, Target, Transport};
use std::time::{Duration, Instant};

impl Endpoint {
    /// Sets the moment at which the current step counts as failed.
    pub(super) fn watch(&mut self, now: Instant, id: AttemptId) {
        let Some(attempt) = self.attempts.get_mut(id) else {
            return;
        };
        let has_next = !attempt.candidates.is_empty() && attempt.withdrawal.is_none();
        let dead_target = has_next.then_some(self.config.dead_target);
        // What goes on before there is a transaction may take as long as one.
        let give_up = self.config.transactions.timers.timer_b;
        let wait = match &attempt.stage {
            Stage::Resolving(_) => Some(give_up),
            Stage::Connecting(_) if attempt.has_rival() => {
                Some(self.config.connection_attempt_delay)
            }
            Stage::Connecting(_) => Some(dead_target.unwrap_or(give_up)),
            // A connection that is up tells when it breaks.
            Stage::Trying { path, answered, .. } => {
                dead_target.filter(|_| !answered && !path.transport.is_reliable())
            }
            Stage::New | Stage::Sent { .. } | Stage::Done => None,
        };
        let deadline = wait.map(|wait| Deadline::new(now + wait, "dead target"));
        self.timers.set(Child::Attempt(id), deadline);
    }

    /// The current step has taken too long.
    pub(super) fn handle_attempt_timeout(&mut self, now: Instant, id: AttemptId) {
        if self.try_rival(now, id) {
            return;
        }
        self.give_race_up(now, id);
        let Some(attempt) = self.attempts.get_mut(id) else {
            return;
        };
        let failure = match attempt.stage {
            Stage::Resolving(lookup) => {
                self.lookups.remove(lookup);
                Failure::Lookup(LookupError::TimedOut)
            }
            Stage::Connecting(_) => Failure::Transport(Some(LinkError::TimedOut)),
            // The abandoned transaction stays: a late 1xx is cancelled, a late 2xx acknowledged.
            Stage::Trying { path, .. } => {
                self.avoided.note(now, (path.transport, path.to), None);
                Failure::Timeout
            }
            Stage::New | Stage::Sent { .. } | Stage::Done => Failure::Timeout,
        };
        attempt.failure = Some(failure);
        self.try_next(now, id);
    }

    /// A response of a client transaction.
    pub(super) fn handle_transaction_response(
        &mut self,
        now: Instant,
        transaction: TransactionId,
        response: Response,
    ) {
        let Some(&id) = self.clients.get(&transaction) else {
            return;
        };
        let Some(attempt) = self.attempts.get_mut(id) else {
            return;
        };
        if attempt.current() != Some(transaction) {
            return self.handle_abandoned_response(now, id, transaction, &response);
        }
        if let Stage::Trying { answered, path, .. } = &mut attempt.stage {
            *answered = true;
            let place = (path.transport, path.to);
            match response.status {
                // RFC 3261, 21.5.4
                Status::SERVICE_UNAVAILABLE => {
                    self.avoided.note(now, place, retry_after(&response));
                }
                _ => self.avoided.forgive(place),
            }
        }
        self.watch(now, id);
        if self.is_taken_up(now, id, transaction, &response) {
            return;
        }
        self.report(now, id, Progress::Response(&response));
        if response.status.is_success() {
            self.tell_refusal(id);
        }
    }

    /// Tells why the owner of an attempt showed no credentials, or does not believe the response.
    fn tell_refusal(&mut self, id: AttemptId) {
        let Some(attempt) = self.attempts.get(id) else {
            return;
        };
        let why = match attempt.owner.party {
            Party::Invitation(id) => self.invitations.get(id).and_then(|call| call.refusal()),
            Party::Usage(id) => self.usages.get_mut(id).and_then(AnyUsage::refusal),
        };
        if let Some(why) = why {
            let request = &attempt.draft.request;
            let event = Event::NotAuthenticated {
                method: request.method.clone(),
                uri: request.uri.detached(),
                why,
            };
            self.out.push_back(Output::Event(event));
        }
    }

    /// True if a response of the current target is not for the owner: another try follows.
    fn is_taken_up(
        &mut self,
        now: Instant,
        id: AttemptId,
        transaction: TransactionId,
        response: &Response,
    ) -> bool {
        let Some(attempt) = self.attempts.get_mut(id) else {
            return true;
        };
        let status = response.status;
        if status.is_provisional() {
            if let Some(withdrawal) = attempt.withdrawal {
                self.carry_out(now, withdrawal, transaction);
            }
            return false;
        }
        if attempt.withdrawal.is_none() {
            let is_mendable = match attempt.owner.party {
                Party::Invitation(_) => is_challenge(status) || is_amendable(status),
                // Other usages make a new request of what is left.
                Party::Usage(_) => is_challenge(status),
            };
            if is_mendable && self.try_again_amended(now, id, response) {
                return true;
            }
            let Some(attempt) = self.attempts.get_mut(id) else {
                return true;
            };
            if status == Status::SERVICE_UNAVAILABLE && !attempt.candidates.is_empty() {
                // RFC 3263, 4.3
                attempt.unavailable = Some(Box::new(response.clone()));
                self.try_next(now, id);
                return true;
            }
        }
        if let Some(attempt) = self.attempts.get_mut(id) {
            attempt.stage = Stage::Done;
            attempt.is_taken = status.is_success();
        }
        false
    }

    /// Sends a request that was refused once more, the same way (RFC 3261, 8.1.3.5 and 22.2), when its
    /// owner has mended it. False if it has not.
    fn try_again_amended(&mut self, now: Instant, id: AttemptId, response: &Response) -> bool {
        let Some(Owner { party, tag }) = self.attempts.get(id).map(|attempt| attempt.owner) else {
            return false;
        };
        // What another usage of the account has learnt of this realm decides.
        self.share_realms(party);
        let Some(attempt) = self.attempts.get_mut(id) else {
            return false;
        };
        let Stage::Trying { path, .. } = attempt.stage else {
            return false;
        };
        let request = &mut attempt.draft.request;
        let is_answered = match party {
            Party::Invitation(id) => self
                .invitations
                .get_mut(id)
                .is_some_and(|owner| owner.amend(tag, response, request)),
            Party::Usage(id) => {
                let dialog = DialogKey::of_response(response)
                    .and_then(|key| self.by_tags.get(&key))
                    .and_then(|id| state_of(&mut self.dialogs, &mut self.invitations, id));
                self.usages
                    .get_mut(id)
                    .is_some_and(|owner| owner.answer_challenge(tag, response, request, dialog))
            }
        };
        if !is_answered {
            if is_challenge(response.status) {
                self.tell_refusal(id);
            }
            return false;
        }
        self.share_realms(party);
        let Some(attempt) = self.attempts.get_mut(id) else {
            return false;
        };
        attempt.candidates.push_front(Candidate {
            target: Target {
                transport: path.transport,
                address: path.to,
                name: Host::Ip(path.to.ip()),
            },
            flow: Some(path.flow),
            any_size: true,
        });
        self.try_next(now, id);
        true
    }

    /// A target that was given up answers after all, or a 2xx to INVITE comes again.
    fn handle_abandoned_response(
        &mut self,
        now: Instant,
        id: AttemptId,
        transaction: TransactionId,
        response: &Response,
    ) {
        if response.status.is_provisional() {
            self.send_cancel(now, transaction);
        } else if response.status.is_success() {
            self.report(now, id, Progress::Late(response));
        }
    }

    pub(super) fn handle_transaction_failure(
        &mut self,
        now: Instant,
        transaction: TransactionId,
        failure: Failure,
    ) {
        let Some(&id) = self.clients.get(&transaction) else {
            return;
        };
        let Some(attempt) = self.attempts.get_mut(id) else {
            return;
        };
        if attempt.current() != Some(transaction) {
            return;
        }
        if failure == Failure::Transport(Some(LinkError::TooLarge))
            && let Stage::Trying { path, .. } = &attempt.stage
        {
            // RFC 3261, 18.1.1: what does not fit into a datagram goes by TCP.
            attempt.candidates.push_front(Candidate::new(Target {
                transport: Transport::Tcp,
                address: path.to,
                name: Host::Ip(path.to.ip()),
            }));
        }
        if let Stage::Trying {
            path,
            answered: false,
            ..
        } = &attempt.stage
            && failure != Failure::Transport(Some(LinkError::TooLarge))
        {
            self.avoided.note(now, (path.transport, path.to), None);
        }
        attempt.failure = Some(failure);
        self.try_next(now, id);
    }

    pub(super) fn handle_client_terminated(&mut self, now: Instant, transaction: TransactionId) {
        let Some(id) = self.clients.remove(&transaction) else {
            return;
        };
        if let Some(attempt) = self.attempts.get_mut(id) {
            attempt.live.retain(|live| *live != transaction);
            self.finish_attempt(now, id);
        }
    }

    /// Ends an attempt without a response of its last target.
    pub(super) fn fail(&mut self, now: Instant, id: AttemptId, failure: Failure) {
        let Some(attempt) = self.attempts.get_mut(id) else {
            return;
        };
        let unavailable = attempt.unavailable.take();
        attempt.stage = Stage::Done;
        self.watch(now, id);
        match unavailable {
            Some(response) if failure != Failure::Cancelled => {
                self.report(now, id, Progress::Response(&response))
            }
            _ => self.report(now, id, Progress::Failed(failure)),
        }
        self.finish_attempt(now, id);
    }

    /// Removes an attempt of which nothing can come any more.
    fn finish_attempt(&mut self, now: Instant, id: AttemptId) {
        if self.attempts.get(id).is_some_and(Attempt::is_over) {
            self.report(now, id, Progress::Over);
            self.drop_attempt(id);
        }
    }

    /// Forgets an attempt.
    pub(super) fn drop_attempt(&mut self, id: AttemptId) {
        if let Some(attempt) = self.attempts.remove(id) {
            if let Stage::Resolving(lookup) = attempt.stage {
                self.lookups.remove(lookup);
            }
            for transaction in attempt.live {
                self.clients.remove(&transaction);
            }
            self.timers.set(Child::Attempt(id), None);
        }
    }

    /// Withdraws a request: at once if a provisional response came, when it comes otherwise
    /// (RFC 3261, 9.1), and without a trace if nothing was sent.
    pub(super) fn withdraw_attempt(
        &mut self,
        now: Instant,
        id: AttemptId,
        how: Withdrawal,
        reason: Option<Box<str>>,
    ) {
        let Some(attempt) = self.attempts.get_mut(id) else {
            return;
        };
        attempt.reason = reason;
        let withdrawal = *attempt.withdrawal.get_or_insert(how);
        match attempt.stage {
            Stage::Resolving(lookup) => {
                self.lookups.remove(lookup);
                self.fail(now, id, Failure::Cancelled);
            }
            Stage::Connecting(_) => self.fail(now, id, Failure::Cancelled),
            Stage::Trying {
                transaction,
                answered,
                ..
            } => {
                self.watch(now, id);
                if answered {
                    self.carry_out(now, withdrawal, transaction);
                }
            }
            Stage::New | Stage::Sent { .. } | Stage::Done => {}
        }
    }

    /// The provisional response that a withdrawal waits for is there.
    fn carry_out(&mut self, now: Instant, withdrawal: Withdrawal, invite: TransactionId) {
        match withdrawal {
            Withdrawal::Cancel => self.send_cancel(now, invite),
            Withdrawal::Leave => self.transactions.expire_invite(now, invite),
        }
    }

    /// Sends CANCEL the way of its INVITE; over a connection of its own if that way is gone.
    pub(super) fn send_cancel(&mut self, now: Instant, invite: TransactionId) {
        let Some(mut path) = self.transactions.path(invite) else {
            return;
        };
        if path.transport.is_reliable() && !self.flows.is_up(path.flow) {
            let target = Target {
                transport: path.transport,
                address: path.to,
                name: Host::Ip(path.to.ip()),
            };
            match self.connection(now, &target, None, Waiter::Cancel(invite)) {
                Connection::Up(flow) => path.flow = flow,
                Connection::Coming(_) => return,
                Connection::Impossible => return self.transactions.expire_invite(now, invite),
            }
        }
        self.cancel_over(now, invite, path);
    }

    /// Sends CANCEL over a way that is there.
    pub(super) fn cancel_over(&mut self, now: Instant, invite: TransactionId, path: Path) {
        let attempt = self
            .clients
            .get(&invite)
            .and_then(|id| self.attempts.get(*id));
        let reason = attempt.and_then(|attempt| match attempt.is_taken {
            // One target was given up, another one has answered: forks of our own.
            true => Some(COMPLETED_ELSEWHERE),
            false => attempt.reason.as_deref(),
        });
        // Too late or too early: the final response decides, or the next provisional one.
        let _ = self.transactions.cancel(now, invite, path, reason);
    }

    /// Sends the bytes of an ACK again.
    pub(super) fn resend(&mut self, now: Instant, id: AttemptId) {
        let sent = self
            .attempts
            .get(id)
            .and_then(|attempt| match &attempt.stage {
                Stage::Sent { path, message } => Some((*path, message.clone())),
                Stage::New
                | Stage::Resolving(_)
                | Stage::Connecting(_)
                | Stage::Trying { .. }
                | Stage::Done => None,
            });
        if let Some((path, message)) = sent {
            self.send(now, path, message);
        }
    }
}

/// True if credentials are wanted (RFC 3261, 22.2 and 22.3): nothing else is about authentication.
const fn is_challenge(status: Status) -> bool {
    matches!(
        status,
        Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED
    )
}

/// True if a call can say the same otherwise (RFC 3261, 8.1.3.5; RFC 4028, 7.3).
const fn is_amendable(status: Status) -> bool {
    matches!(
        status,
        Status::BAD_EXTENSION | Status::SESSION_INTERVAL_TOO_SMALL
    )
}

/// When a server wants to be asked again.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers.typed::<RetryAfter<'_>>()?.ok()?;
    Some(Duration::from_secs(value.seconds.into()))
}
