//! The response context of a request (RFC 3261, 16.7), and its server transaction.

use base::Deadline;
use bytes::Bytes;
use sip::{HeaderName, Headers, Method, Request, Response, Status, header::Reason};
use std::time::{Duration, Instant};

use super::{Proxy, branch::Branch};
use crate::server::wire::Flow;

/// A request that is being forwarded.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) key: Key,
    /// As it came, with `received` and `rport`.
    pub(super) request: Request,
    pub(super) flow: Flow,
    pub(super) branches: Vec<Branch>,
    /// The last response that went up: the answer to a retransmission.
    last: Option<Bytes>,
    pub(super) done: Done,
    /// How long until a final response is sent again (Timer G).
    interval: Duration,
}

/// What went up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Done {
    Nothing,
    Success,
    Failure,
}

/// What identifies a server transaction (RFC 3261, 17.2.3); an ACK has the one of its INVITE.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key {
    branch: String,
    sent_by: String,
    method: String,
}

/// What a context waits for; the number is that of a branch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Timer {
    /// Send the request of a branch again (A, E).
    Again(usize),
    /// A branch did not answer (B, F), or not to its CANCEL.
    Silent(usize),
    /// A branch rings for too long (C).
    Rings(usize),
    /// Send a CANCEL again.
    CancelAgain(usize),
    /// Send the final response again (G).
    FinalAgain,
    /// Nothing belonging to it can come any more (H, J, L).
    Over,
}

impl Timer {
    const fn why(self) -> &'static str {
        match self {
            Self::Again(_) => "proxy timer A or E",
            Self::Silent(_) => "proxy timer B or F",
            Self::Rings(_) => "proxy timer C",
            Self::CancelAgain(_) => "proxy timer E of CANCEL",
            Self::FinalAgain => "proxy timer G",
            Self::Over => "proxy transaction over",
        }
    }
}

impl Key {
    pub(super) fn of(request: &Request) -> Self {
        let method = match request.method {
            Method::Ack => Method::Invite.as_str(),
            ref method => method.as_str(),
        };
        Self::new(request, method)
    }

    pub(super) fn cancelled_by(request: &Request) -> Self {
        Self::new(request, Method::Invite.as_str())
    }

    fn new(request: &Request, method: &str) -> Self {
        let via = request.headers.via();
        let (branch, sent_by) = via.map_or_else(
            |_| Default::default(),
            |via| {
                let branch = via.branch().unwrap_or_default().to_owned();
                (branch, via.sent_by().to_string())
            },
        );
        Self {
            branch,
            sent_by,
            method: method.to_owned(),
        }
    }
}

impl Context {
    pub(super) const fn new(key: Key, request: Request, flow: Flow) -> Self {
        Self {
            key,
            request,
            flow,
            branches: Vec::new(),
            last: None,
            done: Done::Nothing,
            interval: Duration::ZERO,
        }
    }
}

impl Proxy {
    pub(super) fn arm(&mut self, now: Instant, id: u64, timer: Timer, after: Duration) {
        let deadline = Deadline::new(now + after, timer.why());
        self.timers.set((id, timer), Some(deadline));
    }

    pub(super) fn disarm(&mut self, id: u64, timer: Timer) {
        self.timers.set((id, timer), None);
    }

    pub(super) fn fire(&mut self, now: Instant, id: u64, timer: Timer) {
        match timer {
            Timer::Again(index) => self.send_again(now, id, index),
            Timer::CancelAgain(index) => self.send_cancel_again(now, id, index),
            Timer::Silent(index) => self.branch_failed(now, id, index, Status::REQUEST_TIMEOUT),
            Timer::Rings(index) => self.cancel_branch(now, id, index),
            Timer::FinalAgain => self.final_again(now, id),
            Timer::Over => self.over(now, id),
        }
    }

    /// Answers with a response of our own.
    pub(super) fn respond(&mut self, now: Instant, id: u64, status: Status) {
        let Some(context) = self.contexts.get(&id) else {
            return;
        };
        let tag = (status != Status::TRYING).then_some("proxy");
        let response = Response::to_request(&context.request, status, tag);
        self.send_up(now, id, response);
    }

    /// Sends a response up through the server transaction.
    pub(super) fn send_up(&mut self, now: Instant, id: u64, response: Response) {
        let limit = self.t1 * 64;
        let t1 = self.t1;
        let Some(context) = self.contexts.get_mut(&id) else {
            return;
        };
        let flow = context.flow;
        if !response.status.is_provisional() {
            context.done = match response.status.is_success() {
                true => Done::Success,
                false => Done::Failure,
            };
            let failed_invite =
                context.done == Done::Failure && context.request.method == Method::Invite;
            context.interval = t1;
            if failed_invite && !flow.transport.is_reliable() {
                self.arm(now, id, Timer::FinalAgain, t1);
            }
            self.arm(now, id, Timer::Over, limit);
        }
        if let Some(context) = self.contexts.get_mut(&id) {
            context.last = Some(response.to_bytes());
        }
        self.send_response(Some(flow), &response);
    }

    /// Answers a retransmission of the request.
    pub(super) fn repeat(&mut self, id: u64) {
        self.stats.absorbed += 1;
        let Some(context) = self.contexts.get(&id) else {
            return;
        };
        // RFC 6026, 7.1: after a 2xx an INVITE that comes again is ignored.
        if context.done == Done::Success && context.request.method == Method::Invite {
            return;
        }
        let flow = context.flow;
        if let Some(last) = context.last.clone() {
            self.wire.send(flow.transport, flow.peer, flow.link, last);
        }
    }

    /// An ACK with the branch of its INVITE: it ends the retransmissions of a failure. After a 2xx
    /// it is the mistake of a peer, and is forwarded as one would expect.
    pub(super) fn acknowledged(&mut self, now: Instant, id: u64, flow: Flow, request: Request) {
        let failed = |context: &Context| context.done == Done::Failure;
        if self.contexts.get(&id).is_some_and(failed) {
            self.stats.absorbed += 1;
            self.disarm(id, Timer::FinalAgain);
        } else {
            self.forward_stateless(now, flow, request);
        }
    }

    /// RFC 3261, 16.7, from the response of a branch to the response that goes up.
    pub(super) fn collect(&mut self, now: Instant, id: u64, response: Response) {
        let Some(context) = self.contexts.get(&id) else {
            return;
        };
        let invite = context.request.method == Method::Invite;
        let done = context.done;
        let status = response.status;
        if status.is_provisional() {
            if done == Done::Nothing && status != Status::TRYING {
                self.pass_up_in(now, id, response);
            }
            return;
        }
        if status.is_success() {
            // RFC 3261, 16.7, item 5: every 2xx to an INVITE, whatever went up before.
            if invite || done == Done::Nothing {
                self.pass_up_in(now, id, response);
            }
            let mut reasons = Headers::new();
            reasons.push(HeaderName::Reason, Reason::completed_elsewhere());
            return self.cancel_branches(now, id, &reasons);
        }
        if status.class() == 6 {
            // RFC 3261, 16.7, item 5: it is not sent up before the others have answered.
            let mut reasons = Headers::new();
            reasons.push(
                HeaderName::Reason,
                Reason::sip(status.code(), &response.reason),
            );
            self.cancel_branches(now, id, &reasons);
        }
        self.choose(now, id);
    }

    /// Sends the best response up once all branches have one (RFC 3261, 16.7, item 6).
    fn choose(&mut self, now: Instant, id: u64) {
        let Some(context) = self.contexts.get(&id) else {
            return;
        };
        if context.done != Done::Nothing {
            return;
        }
        let mut finals = Vec::new();
        for branch in &context.branches {
            match &branch.last {
                Some(response) => finals.push(response),
                None => return,
            }
        }
        let Some(best) = finals.iter().copied().min_by_key(|r| rank(r.status)) else {
            return;
        };
        let mut best = best.clone();
        if best.status == Status::SERVICE_UNAVAILABLE {
            // RFC 3261, 16.7, item 6: we are not unavailable, one of ours is.
            best.status = Status::SERVER_INTERNAL_ERROR;
        }
        if matches!(best.status.code(), 401 | 407) {
            // RFC 3261, 16.7, item 7
            for name in [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate] {
                best.headers.remove(name);
                for response in &finals {
                    best.headers.copy_from(&response.headers, name);
                }
            }
        }
        if best.status == Status::REQUEST_TIMEOUT && context.request.method != Method::Invite {
            // RFC 4320, 4.2: the sender has timed out, too; a 408 would come too late.
            return self.arm(now, id, Timer::Over, Duration::ZERO);
        }
        self.pass_up_in(now, id, best);
    }

    fn pass_up_in(&mut self, now: Instant, id: u64, mut response: Response) {
        drop_via(&mut response);
        self.send_up(now, id, response);
    }

    /// Forwards a response of which nothing is known any more (RFC 3261, 16.7, item 1).
    pub(super) fn pass_up(&mut self, flow: Option<Flow>, mut response: Response) {
        drop_via(&mut response);
        if response.headers.contains(HeaderName::Via) {
            self.send_response(flow, &response);
        }
    }

    fn final_again(&mut self, now: Instant, id: u64) {
        let Some(context) = self.contexts.get_mut(&id) else {
            return;
        };
        context.interval = (context.interval * 2).min(T2);
        let (flow, interval) = (context.flow, context.interval);
        if let Some(last) = context.last.clone() {
            self.wire.send(flow.transport, flow.peer, flow.link, last);
        }
        self.arm(now, id, Timer::FinalAgain, interval);
    }

    fn over(&mut self, now: Instant, id: u64) {
        let limit = self.t1 * 64;
        let Some(context) = self.contexts.get(&id) else {
            return;
        };
        if context.branches.iter().any(Branch::is_pending) {
            return self.arm(now, id, Timer::Over, limit);
        }
        self.disarm(id, Timer::FinalAgain);
        if let Some(context) = self.contexts.remove(&id) {
            self.by_key.remove(&context.key);
            for (index, branch) in context.branches.iter().enumerate() {
                self.by_branch.remove(&branch.id);
                for timer in [
                    Timer::Again(index),
                    Timer::Silent(index),
                    Timer::Rings(index),
                    Timer::CancelAgain(index),
                ] {
                    self.disarm(id, timer);
                }
            }
        }
    }
}

/// Takes our Via off.
fn drop_via(response: &mut Response) {
    let rest: Vec<Bytes> = response
        .headers
        .values(HeaderName::Via)
        .skip(1)
        .map(Bytes::copy_from_slice)
        .collect();
    response.headers.remove(HeaderName::Via);
    for value in rest.iter().rev() {
        response.headers.insert_first(HeaderName::Via, &value[..]);
    }
}

/// RFC 3261, 16.7, item 6: 6xx before all others, then the lowest class; inside a class what the
/// caller can do something about.
fn rank(status: Status) -> (u8, u8) {
    let class = match status.class() {
        6 => 0,
        class => class,
    };
    let helpful = matches!(status.code(), 401 | 407 | 415 | 420 | 484);
    (class, u8::from(!helpful))
}

pub(super) const T2: Duration = Duration::from_secs(4);
