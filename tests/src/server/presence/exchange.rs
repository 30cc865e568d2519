//! Requests that come again, and reports on their way (RFC 3261, 17.1.2 and 17.2.2).

use bytes::Bytes;
use sip::{Method, Request, Response};
use std::time::{Duration, Instant};

use super::{Presence, Timer};
use crate::server::wire::Flow;

/// A report that is not answered yet.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) branch: String,
    pub(super) bytes: Bytes,
    /// How long until it is sent again.
    pub(super) interval: Duration,
}

impl Presence {
    /// Answers a request that was answered before as it was; false if it is a new one.
    pub(super) fn repeat(&mut self, flow: Flow, request: &Request) -> bool {
        let Some((_, bytes)) = self.answered.get(&transaction(request)) else {
            return false;
        };
        let bytes = bytes.clone();
        self.wire.send(flow.transport, flow.peer, flow.link, bytes);
        true
    }

    pub(super) fn answer(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Request,
        response: &Response,
    ) {
        self.serial += 1;
        let (number, bytes) = (self.serial, response.to_bytes());
        self.answered
            .insert(transaction(request), (number, bytes.clone()));
        self.arm(now, Timer::Answered(number), T1 * 64);
        // RFC 3581: all that speak with it are where their requests come from.
        self.wire.send(flow.transport, flow.peer, flow.link, bytes);
    }

    /// Sends a report for the first time.
    pub(super) fn send(&mut self, now: Instant, id: u64, report: Report) {
        let Some(watcher) = self.watchers.get_mut(&id) else {
            return;
        };
        self.stats.notified += 1;
        self.by_branch.insert(report.branch.clone(), id);
        let bytes = report.bytes.clone();
        let (flow, to) = (watcher.flow, watcher.address);
        watcher.report = Some(report);
        self.wire.send(flow.transport, to, flow.link, bytes);
        if !flow.transport.is_reliable() {
            self.arm(now, Timer::Again(id), T1);
        }
        self.arm(now, Timer::Silent(id), T1 * 64);
    }

    pub(super) fn send_again(&mut self, now: Instant, id: u64) {
        let Some(watcher) = self.watchers.get_mut(&id) else {
            return;
        };
        let (flow, to) = (watcher.flow, watcher.address);
        let Some(report) = &mut watcher.report else {
            return;
        };
        report.interval = (report.interval * 2).min(T2);
        let (bytes, interval) = (report.bytes.clone(), report.interval);
        self.wire.send(flow.transport, to, flow.link, bytes);
        self.arm(now, Timer::Again(id), interval);
    }

    /// Takes the answer to a report.
    pub(super) fn response(&mut self, now: Instant, response: &Response) {
        let via = response.headers.via().ok();
        let branch = via.and_then(|via| via.branch().map(str::to_owned));
        let is_report = response
            .headers
            .cseq()
            .is_ok_and(|cseq| cseq.method == Method::Notify);
        if !is_report || response.status.is_provisional() {
            return;
        }
        let Some(id) = branch.and_then(|branch| self.by_branch.remove(&branch)) else {
            return;
        };
        self.timers.set(Timer::Again(id), None);
        self.timers.set(Timer::Silent(id), None);
        if !response.status.is_success() {
            // RFC 6665, 4.2.2: whoever does not take a report has no subscription.
            return self.lose(id);
        }
        let Some(watcher) = self.watchers.get_mut(&id) else {
            return;
        };
        watcher.report = None;
        if std::mem::take(&mut watcher.has_more) {
            self.report(now, id);
        } else if watcher.end.is_some() {
            self.forget(id);
        }
    }

    /// A watcher does not take a report.
    pub(super) fn lose(&mut self, id: u64) {
        self.stats.lost += 1;
        self.forget(id);
    }

    pub(super) fn forget(&mut self, id: u64) {
        if let Some(report) = self.watchers.remove(&id).and_then(|gone| gone.report) {
            self.by_branch.remove(&report.branch);
        }
        for timer in [Timer::Again(id), Timer::Silent(id), Timer::Expires(id)] {
            self.timers.set(timer, None);
        }
    }
}

/// RFC 3261, 17.2.3
fn transaction(request: &Request) -> String {
    let via = request.headers.via();
    let (branch, sent_by) = via.map_or_else(
        |_| Default::default(),
        |via| {
            let branch = via.branch().unwrap_or_default().to_owned();
            (branch, via.sent_by().to_string())
        },
    );
    format!("{branch} {sent_by} {}", request.method.as_str())
}

pub(super) const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
