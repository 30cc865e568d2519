//! The way of a request: which target, which flow, which bytes.

use super::{
    Endpoint, Output,
    flow::{self, Waiter},
    reach::Shown,
};
use crate::{
    FlowId, HeaderName, LookupError, LookupId, Method, Request,
    attempt::{Attempt, AttemptId, Candidate, Draft, Failure, Owner, Race, Stage},
    header::Via,
    transaction::{Outgoing, Path},
    usage::Progress,
};
use base::{Host, HostPort, LinkError, Target, Transport};
use bytes::Bytes;
use std::time::Instant;

impl Endpoint {
    /// Sends a request of a usage on its way.
    pub(super) fn start_attempt(&mut self, now: Instant, owner: Owner, draft: Draft) -> AttemptId {
        let prefer = draft.prefer.and_then(|(flow, to)| {
            let up = self
                .flows
                .table
                .get(flow)
                .filter(|flow| flow.state == flow::State::Up)?;
            let target = Target {
                transport: up.transport,
                address: up.peer.unwrap_or(to),
                name: Host::Ip(to.ip()),
            };
            Some(Candidate {
                flow: Some(flow),
                ..Candidate::new(target)
            })
        });
        let mut attempt = Attempt::new(owner, draft);
        attempt.candidates.extend(prefer);
        let id = self.attempts.insert(attempt);
        self.try_next(now, id);
        id
    }

    /// Asks where the next hop is.
    fn resolve(&mut self, now: Instant, id: AttemptId) {
        let lookup = self.lookups.insert(id);
        let Some(attempt) = self.attempts.get_mut(id) else {
            return;
        };
        attempt.is_resolved = true;
        attempt.stage = Stage::Resolving(lookup);
        let uri = attempt.draft.hop.clone();
        self.out.push_back(Output::Resolve { lookup, uri });
        self.watch(now, id);
    }

    pub(super) fn handle_resolved(
        &mut self,
        now: Instant,
        lookup: LookupId,
        targets: Result<Vec<Target>, LookupError>,
    ) {
        let Some(id) = self.lookups.remove(lookup) else {
            return;
        };
        let Some(attempt) = self.attempts.get_mut(id) else {
            return;
        };
        match targets {
            Ok(mut targets) if !targets.is_empty() => {
                targets.truncate(MAX_TARGETS);
                self.avoided.order(now, &mut targets);
                attempt.candidates = targets.into_iter().map(Candidate::new).collect();
            }
            Ok(_) => attempt.failure = Some(Failure::Lookup(LookupError::NotFound)),
            Err(error) => attempt.failure = Some(Failure::Lookup(error)),
        }
        self.try_next(now, id);
    }

    /// Goes on with the next target, or reports that there is none.
    pub(super) fn try_next(&mut self, now: Instant, id: AttemptId) {
        loop {
            let Some(attempt) = self.attempts.get_mut(id) else {
                return;
            };
            if attempt.withdrawal.is_some() {
                return self.fail(now, id, Failure::Cancelled);
            }
            let Some(candidate) = attempt.candidates.pop_front() else {
                // A way that was known has broken; silence on it says enough.
                if !attempt.is_resolved && attempt.failure != Some(Failure::Timeout) {
                    return self.resolve(now, id);
                }
                let failure = attempt
                    .failure
                    .unwrap_or(Failure::Lookup(LookupError::NotFound));
                return self.fail(now, id, failure);
            };
            if self.try_candidate(now, id, candidate) {
                return;
            }
        }
    }

    /// Tries one target. False if it leads nowhere.
    pub(super) fn try_candidate(
        &mut self,
        now: Instant,
        id: AttemptId,
        candidate: Candidate,
    ) -> bool {
        let transport = candidate.target.transport;
        if let Some(flow) = candidate.flow {
            return self.send_over(now, id, flow, candidate);
        }
        if !transport.is_reliable() {
            return match self.flows.socket_for(candidate.target.address) {
                Some(flow) => self.send_over(now, id, flow, candidate),
                None => self.note_failure(id, LinkError::Unreachable),
            };
        }
        let draft = self.attempts.get(id).map(|attempt| &attempt.draft);
        let identity = draft.and_then(|draft| draft.identity);
        let is_in_dialog = draft
            .and_then(|draft| draft.request.headers.to().ok())
            .is_some_and(|to| to.tag().is_some());
        // RFC 5922, 7.1: certificates name domains. The addresses in Contact and Record-Route were proven
        // by the connection over which the dialog came to be.
        if is_in_dialog
            && let Some(flow) = self.flows.proven_connection_to(&candidate.target, identity)
        {
            return self.send_over(now, id, flow, candidate);
        }
        match self.connection(now, &candidate.target, identity, Waiter::Attempt(id)) {
            Connection::Up(flow) => self.send_over(now, id, flow, candidate),
            Connection::Coming(flow) => {
                if let Some(attempt) = self.attempts.get_mut(id) {
                    attempt.stage = Stage::Connecting(Race::new(flow, candidate));
                }
                self.watch(now, id);
                true
            }
            Connection::Impossible => self.note_failure(id, LinkError::TooMany),
        }
    }

    pub(super) fn note_failure(&mut self, id: AttemptId, error: LinkError) -> bool {
        if let Some(attempt) = self.attempts.get_mut(id) {
            attempt.failure = Some(Failure::Transport(Some(error)));
        }
        false
    }

    /// Sends the request over `flow`. False if this target leads nowhere.
    pub(super) fn send_over(
        &mut self,
        now: Instant,
        id: AttemptId,
        flow: FlowId,
        candidate: Candidate,
    ) -> bool {
        let Some(transport) = self.flows.table.get(flow).map(|flow| flow.transport) else {
            return false;
        };
        let branch = self.branch();
        let Some(attempt) = self.attempts.get(id) else {
            return false;
        };
        let Some(here) = self.flows.address_of(flow) else {
            return false;
        };
        let method = attempt.draft.request.method.clone();
        let draft = &attempt.draft;
        let makes_dialog = draft
            .request
            .headers
            .to()
            .is_ok_and(|to| to.tag().is_none());
        let contact = draft.contact.as_ref();
        let contact =
            contact.and_then(|contact| self.contact_on(contact, transport, &here, makes_dialog));
        let message = compose(draft, contact, transport, &here, &branch);
        let path = Path {
            flow,
            to: candidate.target.address,
            transport,
        };
        if !transport.is_reliable()
            && !candidate.any_size
            && self.config.oversize.is_some_and(|max| message.len() > max)
        {
            return self.try_by_tcp(now, id, candidate);
        }
        if method == Method::Ack {
            self.send(now, path, message.clone());
            if let Some(attempt) = self.attempts.get_mut(id) {
                attempt.stage = Stage::Sent { path, message };
            }
            self.report(now, id, Progress::Sent { path });
            return true;
        }
        let outgoing = Outgoing {
            path,
            method: &method,
            branch: &branch,
            message,
        };
        let Ok(transaction) = self.transactions.request(now, outgoing) else {
            return self.note_failure(id, LinkError::TooMany);
        };
        self.clients.insert(transaction, id);
        if let Some(attempt) = self.attempts.get_mut(id) {
            attempt.live.push(transaction);
            attempt.stage = Stage::Trying {
                transaction,
                path,
                answered: false,
            };
        }
        self.watch(now, id);
        self.report(now, id, Progress::Sent { path });
        true
    }

    /// RFC 3261, 18.1.1: a large request goes by TCP, and as a datagram if there is no TCP.
    fn try_by_tcp(&mut self, now: Instant, id: AttemptId, candidate: Candidate) -> bool {
        let by_tcp = Candidate::new(Target {
            transport: Transport::Tcp,
            ..candidate.target.clone()
        });
        let by_udp = Candidate {
            any_size: true,
            ..candidate
        };
        // No TCP there a moment ago.
        let place = (Transport::Tcp, by_tcp.target.address);
        if self.avoided.contains(now, place) {
            return self.try_candidate(now, id, by_udp);
        }
        let Some(attempt) = self.attempts.get_mut(id) else {
            return false;
        };
        attempt.candidates.push_front(by_udp);
        self.try_candidate(now, id, by_tcp)
    }

    /// Finds or opens the connection to `target`.
    pub(super) fn connection(
        &mut self,
        now: Instant,
        target: &Target,
        identity: Option<crate::IdentityId>,
        waiter: Waiter,
    ) -> Connection {
        if let Some(id) = self.flows.connection_to(target, identity) {
            return match self.flows.table.get_mut(id) {
                Some(flow) if flow.state == flow::State::Up => Connection::Up(id),
                Some(flow) => {
                    flow.waiting.push(waiter);
                    Connection::Coming(id)
                }
                None => Connection::Impossible,
            };
        }
        if self.flows.connections() >= self.config.limits.flows {
            return Connection::Impossible;
        }
        if target.transport.is_web_socket() {
            let rng = &mut self.rng;
            self.flows.name_us(|| rng.token(12));
        }
        let id = self
            .flows
            .connect(now, target, identity, self.config.idle_opened, waiter);
        self.out.push_back(Output::Connect {
            flow: id,
            target: target.clone(),
            identity,
        });
        Connection::Coming(id)
    }

    fn branch(&mut self) -> String {
        let mut branch = String::with_capacity(COOKIE.len() + 20);
        branch.push_str(COOKIE);
        self.rng.push_token(20, &mut branch);
        branch
    }
}

/// What became of the search for a connection.
pub(super) enum Connection {
    Up(FlowId),
    Coming(FlowId),
    Impossible,
}

/// Prints a request for one way.
fn compose(
    draft: &Draft,
    contact: Option<Shown>,
    transport: Transport,
    here: &HostPort,
    branch: &str,
) -> Bytes {
    let mut request: Request = draft.request.clone();
    request
        .headers
        .insert_first(HeaderName::Via, Via::ours(transport, here, branch));
    if let Some(contact) = contact {
        contact.write(&mut request.headers, true);
    }
    request.to_bytes()
}

/// RFC 3261, 8.1.1.7.
const COOKIE: &str = crate::header::via::COOKIE;

/// More targets than any sane DNS zone has; a longer list is cut.
const MAX_TARGETS: usize = 32;
