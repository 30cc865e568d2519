//! One conformance script, run on every runtime over loopback sockets and real time (architecture,
//! 1.8): whatever passes is a runtime. Nothing sleeps: every step waits for what must come, and gives
//! up after [`PATIENCE`].

mod calls;
mod edge;
mod ends;
mod party;

use party::Runtime;
use sipsimple::{
    agent::{Config, Frame, MediaFrame, StreamId, UserAgent},
    event::{Filter, Notification},
};
use smol::future::block_on;
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

macro_rules! conformance {
    ($($part:ident: $($step:ident),*;)*) => {
        mod on_smol {
            $($(#[test] fn $step() { super::$part::$step::<super::OnSmol>(); })*)*
        }
        mod on_std {
            $($(#[test] fn $step() { super::$part::$step::<super::OnStd>(); })*)*
        }
    };
}

conformance! {
    calls: call_over_udp, call_over_tcp, busy, cancel, application_stream;
    edge: options, ipv6, largest_datagram, refused, reset, lost_peer;
    ends: shutdown, dropped_handles, reentrant_call, panicking_closure, slow_observer, dead_stream,
        no_socket;
}

#[derive(Clone)]
struct OnSmol(runtime_smol::Handle);

#[derive(Clone)]
struct OnStd(runtime_std::Handle);

impl Runtime for OnSmol {
    fn start(
        config: Config,
        storage: runtime_smol::Storage,
        tap: runtime_smol::Tap,
    ) -> (Self, party::Events) {
        let (handle, events) = runtime_smol::start_tapped(config, storage, tap).unwrap();
        (Self(handle), smol_events(events))
    }

    fn call<R: Send + 'static>(
        &self,
        closure: impl FnOnce(&mut UserAgent, Instant) -> R + Send + 'static,
    ) -> Result<R, runtime_smol::CallError> {
        block_on(self.0.call(closure))
    }

    fn post(
        &self,
        closure: impl FnOnce(&mut UserAgent, Instant) + Send + 'static,
    ) -> Result<(), runtime_smol::SendError> {
        self.0.post(closure)
    }

    fn frames(&self, stream: StreamId) -> party::Frames {
        let (sender, receiver) = self.0.frames(stream);
        party::Frames {
            send: Box::new(move |frame: MediaFrame| sender.send(frame)),
            receive: Box::new(move || -> Result<Frame, _> { block_on(receiver.recv()) }),
        }
    }

    fn observe(&self, filter: Filter) -> party::Events {
        smol_events(self.0.observe(filter))
    }
}

impl Runtime for OnStd {
    fn start(
        config: Config,
        storage: runtime_std::Storage,
        tap: runtime_std::Tap,
    ) -> (Self, party::Events) {
        let (handle, events) = runtime_std::start_tapped(config, storage, tap).unwrap();
        (Self(handle), std_events(events))
    }

    fn call<R: Send + 'static>(
        &self,
        closure: impl FnOnce(&mut UserAgent, Instant) -> R + Send + 'static,
    ) -> Result<R, runtime_std::CallError> {
        self.0.call(closure)
    }

    fn post(
        &self,
        closure: impl FnOnce(&mut UserAgent, Instant) + Send + 'static,
    ) -> Result<(), runtime_std::SendError> {
        self.0.post(closure)
    }

    fn frames(&self, stream: StreamId) -> party::Frames {
        let (sender, receiver) = self.0.frames(stream);
        party::Frames {
            send: Box::new(move |frame: MediaFrame| sender.send(frame)),
            receive: Box::new(move || -> Result<Frame, _> { receiver.recv() }),
        }
    }

    fn observe(&self, filter: Filter) -> party::Events {
        std_events(self.0.observe(filter))
    }
}

fn smol_events(events: runtime_smol::Events) -> party::Events {
    Box::new(move |deadline| -> Option<Notification> { block_on(events.next_before(deadline)) })
}

fn std_events(events: runtime_std::Events) -> party::Events {
    Box::new(move |deadline| -> Option<Notification> { events.next_before(deadline) })
}
