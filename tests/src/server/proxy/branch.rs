//! One branch of a forwarded request: a client transaction (RFC 3261, 17.1).

use base::Transport;
use bytes::Bytes;
use sip::{HeaderName, Headers, Method, Request, Response, Status, header::CSeq};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{
    Proxy,
    context::{T2, Timer},
    route::Hop,
};
use crate::server::wire::Flow;

/// One branch of a forwarded request.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) id: String,
    request: Request,
    transport: Transport,
    to: SocketAddr,
    bytes: Bytes,
    state: State,
    interval: Duration,
    cancel: Cancel,
    cancel_interval: Duration,
    /// Why it is cancelled.
    reasons: Headers,
    /// The final response.
    pub(super) last: Option<Response>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Calling,
    Proceeding,
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cancel {
    No,
    /// It waits for a provisional response (RFC 3261, 9.1).
    Wanted,
    Sent,
}

impl Branch {
    pub(super) fn is_pending(&self) -> bool {
        self.state != State::Done
    }

    fn cancel_request(&self) -> Request {
        let mut cancel = self.sibling(&Method::Cancel);
        cancel.headers.copy_from(&self.reasons, HeaderName::Reason);
        cancel
    }

    /// An ACK or a CANCEL: what it shares with the request.
    fn sibling(&self, method: &Method) -> Request {
        let mut request = Request::new(method.clone(), self.request.uri.clone());
        let headers = &mut request.headers;
        let own = &self.request.headers;
        if let Some(via) = own.values(HeaderName::Via).next() {
            headers.push(HeaderName::Via, via);
        }
        headers.push(HeaderName::MaxForwards, 70u32);
        for name in [
            HeaderName::Route,
            HeaderName::From,
            HeaderName::To,
            HeaderName::CallId,
        ] {
            headers.copy_from(own, name);
        }
        if let Ok(cseq) = own.cseq() {
            headers.push(HeaderName::CSeq, CSeq::new(cseq.number, method.clone()));
        }
        request
    }
}

impl Proxy {
    pub(super) fn forward(
        &mut self,
        now: Instant,
        id: u64,
        request: &Request,
        second_part: &str,
        incoming: Flow,
        hop: Hop,
    ) {
        let (request, branch_id) = self.forwarded(request, second_part, incoming, &hop);
        let invite = request.method == Method::Invite;
        let (t1, timer_c) = (self.t1, self.timer_c);
        let Some(context) = self.contexts.get_mut(&id) else {
            return;
        };
        let index = context.branches.len();
        let branch = Branch {
            id: branch_id.clone(),
            bytes: request.to_bytes(),
            request,
            transport: hop.transport,
            to: hop.address,
            state: State::Calling,
            interval: t1,
            cancel: Cancel::No,
            cancel_interval: t1,
            reasons: Headers::new(),
            last: None,
        };
        let bytes = branch.bytes.clone();
        context.branches.push(branch);
        self.by_branch.insert(branch_id, (id, index));
        self.wire.send(hop.transport, hop.address, None, bytes);
        if !hop.transport.is_reliable() {
            self.arm(now, id, Timer::Again(index), t1);
        }
        self.arm(now, id, Timer::Silent(index), t1 * 64);
        if invite {
            self.arm(now, id, Timer::Rings(index), timer_c);
        }
    }

    pub(super) fn send_again(&mut self, now: Instant, id: u64, index: usize) {
        let Some(branch) = self.branch(id, index) else {
            return;
        };
        let invite = branch.request.method == Method::Invite;
        match branch.state {
            State::Done => return,
            State::Proceeding if invite => return,
            State::Proceeding => branch.interval = T2,
            State::Calling if invite => branch.interval *= 2,
            State::Calling => branch.interval = (branch.interval * 2).min(T2),
        }
        let interval = branch.interval;
        let (transport, to, bytes) = (branch.transport, branch.to, branch.bytes.clone());
        self.wire.send(transport, to, None, bytes);
        self.arm(now, id, Timer::Again(index), interval);
    }

    pub(super) fn branch_response(
        &mut self,
        now: Instant,
        id: u64,
        index: usize,
        response: Response,
        method: &Method,
    ) {
        let timer_c = self.timer_c;
        let Some(branch) = self.branch(id, index) else {
            return;
        };
        let own = branch.request.method.clone();
        if *method == Method::Cancel && own != Method::Cancel {
            // The answer to our CANCEL: what counts is the one to the INVITE.
            return self.disarm(id, Timer::CancelAgain(index));
        }
        let invite = own == Method::Invite;
        let status = response.status;
        let was = branch.state;
        if status.is_provisional() {
            if was == State::Done {
                return;
            }
            branch.state = State::Proceeding;
            let cancel = branch.cancel == Cancel::Wanted;
            if invite {
                self.disarm(id, Timer::Again(index));
                if was == State::Calling && !cancel {
                    self.disarm(id, Timer::Silent(index));
                }
                if status != Status::TRYING {
                    // RFC 3261, 16.7, item 2
                    self.arm(now, id, Timer::Rings(index), timer_c);
                }
            }
            if cancel {
                self.send_cancel(now, id, index);
            }
            return self.collect(now, id, response);
        }
        if invite && !status.is_success() {
            self.acknowledge(id, index, &response);
        }
        if was == State::Done && !(invite && status.is_success()) {
            self.stats.absorbed += 1;
            return;
        }
        self.finish_branch(id, index, response.clone());
        self.collect(now, id, response);
    }

    /// A branch that cannot answer any more counts as one that answered so.
    pub(super) fn branch_failed(&mut self, now: Instant, id: u64, index: usize, status: Status) {
        let Some(branch) = self.branch(id, index).filter(|branch| branch.is_pending()) else {
            return;
        };
        let response = Response::to_request(&branch.request, status, Some("proxy"));
        self.finish_branch(id, index, response.clone());
        self.collect(now, id, response);
    }

    /// Cancels what is not answered, for reasons that its callees are told (RFC 3326).
    pub(super) fn cancel_branches(&mut self, now: Instant, id: u64, reasons: &Headers) {
        let count = self.contexts.get(&id).map_or(0, |c| c.branches.len());
        for index in 0..count {
            if let Some(branch) = self.branch(id, index)
                && branch.cancel == Cancel::No
            {
                branch.reasons.copy_from(reasons, HeaderName::Reason);
            }
            self.cancel_branch(now, id, index);
        }
    }

    pub(super) fn cancel_branch(&mut self, now: Instant, id: u64, index: usize) {
        let Some(branch) = self.branch(id, index) else {
            return;
        };
        if branch.cancel != Cancel::No || branch.request.method != Method::Invite {
            return;
        }
        match branch.state {
            State::Calling => branch.cancel = Cancel::Wanted,
            State::Proceeding => self.send_cancel(now, id, index),
            State::Done => {}
        }
    }

    pub(super) fn send_cancel_again(&mut self, now: Instant, id: u64, index: usize) {
        let Some(branch) = self.branch(id, index).filter(|branch| branch.is_pending()) else {
            return;
        };
        branch.cancel_interval = (branch.cancel_interval * 2).min(T2);
        let interval = branch.cancel_interval;
        let (transport, to) = (branch.transport, branch.to);
        let bytes = branch.cancel_request().to_bytes();
        self.wire.send(transport, to, None, bytes);
        self.arm(now, id, Timer::CancelAgain(index), interval);
    }

    pub(super) fn branches_towards(
        &self,
        transport: Transport,
        to: SocketAddr,
    ) -> Vec<(u64, usize)> {
        let mut found = Vec::new();
        for (&id, context) in &self.contexts {
            for (index, branch) in context.branches.iter().enumerate() {
                if branch.state == State::Calling
                    && (branch.transport, branch.to) == (transport, to)
                {
                    found.push((id, index));
                }
            }
        }
        found
    }

    fn send_cancel(&mut self, now: Instant, id: u64, index: usize) {
        let t1 = self.t1;
        self.stats.cancelled += 1;
        let Some(branch) = self.branch(id, index) else {
            return;
        };
        branch.cancel = Cancel::Sent;
        let (transport, to) = (branch.transport, branch.to);
        let bytes = branch.cancel_request().to_bytes();
        self.wire.send(transport, to, None, bytes);
        if !transport.is_reliable() {
            self.arm(now, id, Timer::CancelAgain(index), t1);
        }
        // RFC 3261, 9.1: the transaction is over 64*T1 after the CANCEL.
        self.arm(now, id, Timer::Silent(index), t1 * 64);
    }

    /// RFC 3261, 17.1.1.3
    fn acknowledge(&mut self, id: u64, index: usize, response: &Response) {
        let Some(branch) = self.branch(id, index) else {
            return;
        };
        let mut ack = branch.sibling(&Method::Ack);
        ack.headers.remove(HeaderName::To);
        ack.headers.copy_from(&response.headers, HeaderName::To);
        let (transport, to) = (branch.transport, branch.to);
        self.wire.send(transport, to, None, ack.to_bytes());
    }

    fn finish_branch(&mut self, id: u64, index: usize, response: Response) {
        if let Some(branch) = self.branch(id, index) {
            branch.state = State::Done;
            branch.last = Some(response);
        }
        for timer in [
            Timer::Again(index),
            Timer::Silent(index),
            Timer::Rings(index),
            Timer::CancelAgain(index),
        ] {
            self.disarm(id, timer);
        }
    }

    fn branch(&mut self, id: u64, index: usize) -> Option<&mut Branch> {
        self.contexts.get_mut(&id)?.branches.get_mut(index)
    }
}
