//! The worklist, and every way from a child to the agent: the wiring diagram.

mod endpoint;
mod links;
mod referral;
mod resolver;
pub(super) mod session;
mod stream;

use super::{Child, SessionId, StreamId, UserAgent};
use crate::{
    session::SessionInput,
    stream::{MediaStream, StreamError, StreamInput},
};
use base::Deadline;
use std::{collections::BTreeMap, time::Instant};

impl UserAgent {
    /// Puts a child into the worklist, if it is not there.
    pub(super) fn touch(&mut self, child: Child) {
        let mark = match child {
            Child::Life => &mut self.touched.life,
            Child::Links => &mut self.touched.links,
            Child::Endpoint => &mut self.touched.endpoint,
            Child::Resolver => &mut self.touched.resolver,
            Child::Accounts => &mut self.touched.accounts,
            Child::Subscriptions => &mut self.touched.subscriptions,
            Child::NatDetections => &mut self.touched.detections,
            Child::Session(id) => match self.sessions.get_mut(id) {
                Some(entry) => &mut entry.touched,
                None => return,
            },
            Child::Stream(id) => {
                self.streams.touch(id);
                return self.collect_touched();
            }
        };
        if !std::mem::replace(mark, true) {
            self.dirty.push_back(child);
        }
    }

    /// Puts the streams into the worklist that sessions have touched.
    pub(super) fn collect_touched(&mut self) {
        self.dirty
            .extend(self.streams.take_touched().map(Child::Stream));
    }

    /// Moves the clock; never back.
    pub(super) fn clamp(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Fires what is due, in the order of the deadlines; each timer sees what the one before it did.
    pub(super) fn advance(&mut self) {
        for _ in 0..self.config.limits.timers_per_step {
            let Some((child, deadline)) = self.timers.pop_due(self.now) else {
                return;
            };
            tracing::trace!(?child, why = deadline.why, "timer");
            match child {
                Child::Life => self.network_due(),
                Child::Resolver => self.resolver.handle_input(self.now, dns::Input::Timeout),
                Child::Accounts => self.accounts_timeout(),
                Child::Subscriptions => self.subscriptions_timeout(),
                Child::NatDetections => self.detections.handle_timeout(self.now),
                Child::Links => self.links.handle_timeout(self.now),
                Child::Endpoint => self.endpoint.handle_input(self.now, sip::Input::Timeout),
                Child::Session(id) => self.session_input(id, SessionInput::Timeout),
                Child::Stream(id) => self.stream_input(id, StreamInput::Timeout),
            }
            self.touch(child);
            self.settle();
        }
    }

    /// Drains one touched child after the other until none is left. Nothing that it calls calls it.
    pub(super) fn settle(&mut self) {
        let mut cascade = Cascade::default();
        while let Some(child) = self.dirty.pop_front() {
            self.unmark(child);
            while self.drain_one(child) {
                if cascade.is_endless(child) {
                    self.break_cascade(child, &cascade);
                    break;
                }
            }
            let deadline = self.deadline(child);
            self.timers.set(child, deadline);
        }
    }

    fn unmark(&mut self, child: Child) {
        match child {
            Child::Life => self.touched.life = false,
            Child::Links => self.touched.links = false,
            Child::Endpoint => self.touched.endpoint = false,
            Child::Resolver => self.touched.resolver = false,
            Child::Accounts => self.touched.accounts = false,
            Child::Subscriptions => self.touched.subscriptions = false,
            Child::NatDetections => self.touched.detections = false,
            Child::Session(id) => {
                if let Some(entry) = self.sessions.get_mut(id) {
                    entry.touched = false;
                }
            }
            Child::Stream(id) => self.streams.unmark(id),
        }
    }

    /// Takes one output of a child to where it goes; false if there was none.
    fn drain_one(&mut self, child: Child) -> bool {
        match child {
            Child::Life => {
                self.life_settled();
                None
            }
            Child::Links => {
                let output = self.links.poll_output();
                if output.is_none() && self.life.is_ending() {
                    self.touch(Child::Life);
                }
                output.map(|output| self.route_links(output))
            }
            Child::Endpoint => {
                let output = self.endpoint.poll_output();
                output.map(|output| self.route_endpoint(output))
            }
            Child::Resolver => {
                let output = self.resolver.poll_output();
                output.map(|output| self.route_resolver(output))
            }
            Child::Accounts => self.drain_accounts(),
            Child::Subscriptions => self.drain_subscriptions(),
            Child::NatDetections => {
                let output = self.detections.poll_output();
                output.map(|output| self.route_detection(output))
            }
            Child::Session(id) => {
                let entry = self.sessions.get_mut(id);
                let output = entry.and_then(|entry| entry.session.poll_output());
                output.map(|output| self.route_session(id, output))
            }
            Child::Stream(id) => {
                let stream = self.streams.drain(id);
                let output = stream.and_then(MediaStream::poll_output);
                output.map(|output| self.route_stream(id, output))
            }
        }
        .is_some()
    }

    fn deadline(&self, child: Child) -> Option<Deadline> {
        match child {
            Child::Life => [self.life.poll_timeout(), self.network.poll_timeout()]
                .into_iter()
                .flatten()
                .min(),
            Child::Links => self.links.poll_timeout(),
            Child::Endpoint => self.endpoint.poll_timeout(),
            Child::Resolver => self.resolver.poll_timeout(),
            Child::Accounts => self.accounts.poll_timeout(),
            Child::Subscriptions => self.subscriptions.poll_timeout(),
            Child::NatDetections => self.detections.poll_timeout(),
            Child::Session(id) => self.sessions.get(id)?.session.poll_timeout(),
            Child::Stream(id) => self.streams.get(id)?.poll_timeout(),
        }
    }

    /// A child of ours talks without end: a bug. Debug builds stop; release builds end the child and
    /// go on.
    fn break_cascade(&mut self, child: Child, cascade: &Cascade) {
        let trail = &cascade.trail;
        debug_assert!(
            false,
            "{child:?} was polled {LIMIT} times; before it: {trail:?}"
        );
        tracing::error!(?child, ?trail, "endless cascade");
        match child {
            Child::Stream(id) => {
                self.fail_stream(id, StreamError::Custom("endless cascade"));
                self.remove_stream(id);
            }
            Child::Session(id) => self.remove_session(id),
            // What exists once cannot end; it is drained again with the next input.
            Child::Life
            | Child::Links
            | Child::Endpoint
            | Child::Resolver
            | Child::Accounts
            | Child::Subscriptions
            | Child::NatDetections => {}
        }
    }

    /// Hands an input to a session.
    pub(super) fn session_input(&mut self, id: SessionId, input: SessionInput) {
        if let Some(entry) = self.sessions.get_mut(id) {
            let (now, streams) = (self.now, &mut self.streams);
            entry.session.handle_input(now, streams, input);
            self.touch(Child::Session(id));
            self.collect_touched();
        }
    }

    /// Hands an input to a stream.
    pub(super) fn stream_input(&mut self, id: StreamId, input: StreamInput) {
        if let Some(stream) = self.streams.touch(id) {
            stream.handle_input(self.now, input);
            self.collect_touched();
        }
    }
}

/// Counts how often children are polled in one `settle`.
///
/// Counting begins when more outputs were routed than one child may have said: before, none can have
/// said too much, and the usual settle of a few outputs counts nothing.
#[derive(Default)]
struct Cascade {
    routed: u32,
    counts: BTreeMap<Child, u32>,
    trail: Vec<Child>,
}

impl Cascade {
    /// Notes one output of `child`; true if it said too much.
    fn is_endless(&mut self, child: Child) -> bool {
        self.routed = self.routed.saturating_add(1);
        if self.routed <= LIMIT {
            return false;
        }
        if self.trail.len() == TRAIL {
            self.trail.remove(0);
        }
        self.trail.push(child);
        let limit = match child {
            Child::Session(_) | Child::Stream(_) => LIMIT,
            // They speak for all sessions at once: the end of 10,000 calls is no cascade.
            Child::Life
            | Child::Links
            | Child::Endpoint
            | Child::Resolver
            | Child::Accounts
            | Child::Subscriptions
            | Child::NatDetections => SHARED_LIMIT,
        };
        let count = self.counts.entry(child).or_default();
        *count += 1;
        *count > limit
    }
}

/// Outputs of one session or stream in one settle.
const LIMIT: u32 = 1_000;
/// Outputs of a child that exists once in one settle: more than all sessions together can cause.
const SHARED_LIMIT: u32 = 1_000_000;
/// Causes that are shown when a cascade is cut.
const TRAIL: usize = 32;
