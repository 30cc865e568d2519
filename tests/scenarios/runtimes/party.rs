//! An agent on a runtime, and what a test wants of it.

use super::PATIENCE;
use base::Transport;
use runtime_std::{CallError, SendError, Storage, Tap};
use simulator::{ProbeFactory, ProbeOptions};
use sipsimple::{
    agent::{Config, Frame, MediaFrame, SessionId, Stats, StreamId, UserAgent, replay},
    event::{AgentEvent, Event, Filter, Notification, SessionEvent},
    stream::{StreamFactory, audio::AudioFactory},
};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

/// All that a runtime is.
pub(super) trait Runtime: Clone + Send + 'static {
    fn start(config: Config, storage: Storage, tap: Tap) -> (Self, Events);

    fn call<R: Send + 'static>(
        &self,
        closure: impl FnOnce(&mut UserAgent, Instant) -> R + Send + 'static,
    ) -> Result<R, CallError>;

    fn post(
        &self,
        closure: impl FnOnce(&mut UserAgent, Instant) + Send + 'static,
    ) -> Result<(), SendError>;

    fn frames(&self, stream: StreamId) -> Frames;

    fn observe(&self, filter: Filter) -> Events;
}

/// Waits for the next event until a deadline.
pub(super) type Events = Box<dyn FnMut(Instant) -> Option<Notification>>;

/// Both ends of a stream's frames; `receive` waits.
pub(super) struct Frames {
    pub(super) send: Box<dyn Fn(MediaFrame) -> Result<(), SendError>>,
    pub(super) receive: Box<dyn Fn() -> Result<Frame, SendError>>,
}

pub(super) struct Party<R> {
    pub(super) handle: R,
    pub(super) events: Events,
    pub(super) listening: Vec<SocketAddr>,
    /// Ends with the driver.
    gone: Receiver<()>,
    seen: Vec<Event>,
}

/// An agent's configuration: any ports of the loopback, audio and probes, recorded.
pub(super) fn config(seed: u8) -> Config {
    let mut config = Config::new([seed; 32], Duration::from_secs(1_700_000_000));
    config.addresses = vec![Ipv4Addr::LOCALHOST.into()];
    config.factories = factories();
    config.record = true;
    config
}

fn factories() -> Vec<Box<dyn StreamFactory>> {
    // It lets the sender run into its credit first.
    let incoming = ProbeOptions {
        stall_ms: 200,
        ..ProbeOptions::default()
    };
    vec![
        Box::new(AudioFactory::new()),
        Box::new(ProbeFactory { incoming }),
    ]
}

impl<R: Runtime> Party<R> {
    pub(super) fn new(seed: u8) -> Self {
        Self::with(config(seed), Storage::Memory)
    }

    pub(super) fn with(config: Config, storage: Storage) -> Self {
        let mut party = Self::quiet(config, storage);
        party.listening = party.wait("DidStart", |event| match event {
            Event::Agent(AgentEvent::DidStart { listening }) => {
                assert_eq!(listening[0].transport, Transport::Udp);
                Some(listening.iter().map(|at| at.address).collect())
            }
            _ => None,
        });
        party
    }

    /// Does not wait until it listens.
    pub(super) fn quiet(config: Config, storage: Storage) -> Self {
        let (alive, gone) = channel::<()>();
        let tap: Tap = Box::new(move |_, _| {
            // The driver owns the tap: when it goes, the channel ends.
            let _ = &alive;
            true
        });
        let (handle, events) = R::start(config, storage, tap);
        Self {
            handle,
            events,
            listening: Vec::new(),
            gone,
            seen: Vec::new(),
        }
    }

    /// Our URI over a transport.
    pub(super) fn uri(&self, transport: &str) -> sip::Uri {
        let udp_and_tcp = &self.listening;
        let address = udp_and_tcp[usize::from(transport == "tcp")];
        format!("sip:me@{address};transport={transport}")
            .parse()
            .unwrap()
    }

    /// Waits for the first event that `find` likes.
    pub(super) fn wait<T>(&mut self, what: &str, find: impl Fn(&Event) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Some(notification) = (self.events)(deadline) else {
                panic!("{what} did not come; what came: {:#?}", self.seen);
            };
            let found = find(&notification.event);
            self.seen.push(notification.event);
            if let Some(found) = found {
                return found;
            }
        }
    }

    /// Waits for an event of a session.
    pub(super) fn wait_session<T>(
        &mut self,
        what: &str,
        find: impl Fn(SessionId, &SessionEvent) -> Option<T>,
    ) -> T {
        self.wait(what, |event| match event {
            Event::Session(id, event) => find(*id, event),
            _ => None,
        })
    }

    /// Waits for a call.
    pub(super) fn incoming(&mut self) -> (SessionId, Vec<StreamId>) {
        self.wait_session("NewIncoming", |id, event| match event {
            SessionEvent::NewIncoming { streams, .. } => Some((id, streams.clone())),
            _ => None,
        })
    }

    /// Waits until a call stands; returns its stream.
    pub(super) fn started(&mut self) -> StreamId {
        self.wait_session("DidStart", |_, event| match event {
            SessionEvent::DidStart { streams } => streams.first().copied(),
            _ => None,
        })
    }

    /// Waits until a call that stood is over.
    pub(super) fn ended(&mut self) {
        self.wait_session("DidEnd", |_, event| {
            matches!(event, SessionEvent::DidEnd { .. }).then_some(())
        });
    }

    /// Waits until a call fails; returns the code.
    pub(super) fn failed(&mut self) -> u16 {
        self.wait_session("DidFail", |_, event| match event {
            SessionEvent::DidFail { code, .. } => Some(*code),
            _ => None,
        })
    }

    /// Gives a command that must succeed.
    pub(super) fn command<T: Send + 'static, E: std::fmt::Debug + Send + 'static>(
        &self,
        command: impl FnOnce(&mut UserAgent, Instant) -> Result<T, E> + Send + 'static,
    ) -> T {
        self.handle.call(command).unwrap().unwrap()
    }

    /// Nothing comes any more, and the events have ended: the last one was this.
    pub(super) fn last_event(&mut self) -> Event {
        while let Some(notification) = (self.events)(Instant::now() + PATIENCE) {
            self.seen.push(notification.event);
        }
        self.seen.last().unwrap().clone()
    }

    /// Ends the agent: nothing is left, the recording says the same again, and the driver goes with
    /// the handle.
    pub(super) fn finish(mut self) {
        self.handle.call(|agent, now| agent.shutdown(now)).unwrap();
        let began = Instant::now();
        let last = self.last_event();
        assert!(matches!(last, Event::Agent(AgentEvent::DidEnd)), "{last:?}");
        // They have ended, and were not given up upon.
        assert!(began.elapsed() < PATIENCE);
        let (stats, recording) = self
            .handle
            .call(|agent, _| (agent.stats(), agent.take_record()))
            .unwrap();
        assert_eq!(stats, Stats::default());
        if !recording.is_empty() {
            let report = replay(Instant::now(), &recording, factories()).unwrap();
            assert_eq!(report.difference, None);
            assert!(report.inputs > 0 && report.outputs > 0);
        }
        self.leave();
    }

    /// Drops the handle, and waits until the driver is gone.
    pub(super) fn leave(self) {
        let Self { handle, gone, .. } = self;
        drop(handle);
        wait_until_gone(&gone);
    }

    /// Waits until the driver is gone.
    pub(super) fn gone(&self) {
        wait_until_gone(&self.gone);
    }
}

fn wait_until_gone(gone: &Receiver<()>) {
    let gone = gone.recv_timeout(PATIENCE);
    assert_eq!(gone, Err(RecvTimeoutError::Disconnected));
}

/// The loopback address of IPv6, if this machine has it.
pub(super) fn loopback6() -> Option<IpAddr> {
    let address = IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]);
    std::net::UdpSocket::bind((address, 0))
        .ok()
        .map(|_| address)
}
