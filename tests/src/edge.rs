//! Where the outputs of nodes go.

use base::Key;
use sipsimple::{
    agent::{Input, LinkId, Open, Output},
    event::Event,
};
use std::{rc::Rc, time::Duration};

use crate::{host::HostId, trace::Action, world::World};

impl World {
    pub(crate) fn perform(&mut self, host: HostId, output: Output) {
        match output {
            Output::Transmit {
                link,
                from,
                to,
                payload,
            } => self.transmit(host, link, from, to, payload),
            Output::Write { link, payload } => self.write(host, link, payload),
            Output::Receive { link, more } => self.receive(host, link, more),
            Output::Open { link, how } => {
                self.record_output(host, || format!("open {link:?} {how:?}"));
                self.check_fresh(host, link);
                self.open(host, link, &how);
            }
            Output::Adopt { connection, link } => {
                self.record_output(host, || format!("adopt {connection:?} {link:?}"));
                self.check_fresh(host, link);
                self.adopt(host, connection, link);
            }
            Output::Refuse { connection } => {
                self.record_output(host, || format!("refuse {connection:?}"));
                self.refuse(host, connection);
            }
            Output::Finish { link } => {
                self.record_output(host, || format!("finish {link:?}"));
                self.finish(host, link);
            }
            Output::Close { link } => {
                self.record_output(host, || format!("close {link:?}"));
                self.close(host, link);
            }
            Output::Media { stream, frame } => {
                let now = self.now();
                self.host_mut(host).inbox.media.push((now, stream, frame));
            }
            Output::Store { request, what } => {
                self.record_output(host, || format!("store {request:?} {what:?}"));
                let result = self.host_mut(host).files.store(what);
                self.tell_after(DISK, host, Input::Stored { request, result });
            }
            Output::File { file, what } => {
                let done = self.host_mut(host).files.perform(file, what);
                self.tell_after(DISK, host, Input::File { file, done });
            }
            Output::Trace(trace) => self.host_mut(host).inbox.traces.push(trace),
            Output::Notify(notification) => {
                if self.is_tracing() {
                    self.record(host, Action::Event(format!("{:?}", notification.event)));
                }
                self.check_event(host, &notification.event);
                self.schedule_reactions(host, &notification.event);
                self.host_mut(host).inbox.notifications.push(notification);
            }
            other => self.violated(host, format!("an output unknown to the world: {other:?}")),
        }
    }

    fn open(&mut self, host: HostId, link: LinkId, how: &Open) {
        match how {
            Open::Connect { from, to, .. } => self.connect(host, link, *from, *to),
            Open::Udp { .. } | Open::Listen { .. } => self.bind(host, link, how),
            _ => self.violated(host, format!("a socket unknown to the world: {how:?}")),
        }
    }

    fn schedule_reactions(&mut self, host: HostId, event: &Event) {
        let mut due = Vec::new();
        for reaction in self.reactions() {
            if reaction.host == host && (reaction.wants)(event) {
                due.push((reaction.delay, Rc::clone(&reaction.react)));
            }
        }
        for (delay, react) in due {
            let event = event.clone();
            let epoch = self.host(host).epoch;
            self.schedule_script(self.now() + delay, move |world| {
                if world.host(host).epoch == epoch {
                    react(world, host, &event);
                }
            });
        }
    }

    fn record_output(&mut self, host: HostId, text: impl FnOnce() -> String) {
        if self.is_tracing() {
            self.record(host, Action::Output(text()));
        }
    }

    /// An id is never used twice.
    fn check_fresh(&mut self, host: HostId, link: LinkId) {
        let (generation, index) = link.parts();
        let before = self.host_mut(host).links_seen.insert(index, generation);
        if before.is_some_and(|before| before >= generation) {
            self.violated(host, format!("{link:?} was used before"));
        }
    }
}

/// How long a disk takes.
const DISK: Duration = Duration::from_micros(200);
