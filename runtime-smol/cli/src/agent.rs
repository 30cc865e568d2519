//! An agent as the command line wants it, and what every verb does with it.

use crate::{
    options::Common,
    outcome::{Exit, Failure},
    print::{self, Printer},
    runtime::{Runtime, Tap},
    wire::{self, Wire},
};
use serde_json::{Value, json};
use sipsimple::{
    agent::{Config, Output, Stats},
    event::{AgentEvent, Event, Listening, Notification},
};
use std::{
    fs::File,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// A running agent.
pub(crate) struct Agent {
    pub(crate) runtime: Runtime,
    pub(crate) listening: Vec<Listening>,
    recording: Option<File>,
    interrupted: Arc<AtomicBool>,
    is_over: bool,
    /// What the last server that did not prove its name presented, and what was wanted of it.
    unproven: Option<String>,
}

impl Agent {
    /// Starts an agent and waits until it listens.
    pub(crate) fn start(
        common: &Common,
        config: Config,
        printer: &Printer,
    ) -> Result<Self, Failure> {
        Self::start_tapped(common, config, printer, Box::new(|_, _| true))
    }

    /// Starts an agent whose outputs are shown to `tap` first.
    pub(crate) fn start_tapped(
        common: &Common,
        config: Config,
        printer: &Printer,
        mut tap: Tap,
    ) -> Result<Self, Failure> {
        let recording = common
            .record_run
            .as_deref()
            .map(|path| wire::create_secret("--record-run", path))
            .transpose()?;
        let mut wire = Wire::open(common)?;
        let show: Tap = Box::new(move |now, output| {
            if let Output::Trace(trace) = output {
                wire.see(now, trace);
            }
            tap(now, output)
        });
        let runtime = Runtime::start(common.runtime, config, show)
            .map_err(|error| Failure::new(Exit::Internal, format!("cannot start: {error}")))?;
        let mut agent = Self {
            runtime,
            listening: Vec::new(),
            recording,
            interrupted: interrupted(),
            is_over: false,
            unproven: None,
        };
        let deadline = Instant::now() + START;
        loop {
            let Some(notification) = agent.runtime.next_before(deadline) else {
                return Err(Failure::new(Exit::Internal, "the agent does not start"));
            };
            match &notification.event {
                Event::Agent(AgentEvent::DidStart { listening }) => {
                    agent.listening.clone_from(listening);
                    return Ok(agent);
                }
                Event::Agent(AgentEvent::DidFail { error }) => {
                    printer.notification(&notification);
                    return Err(Failure::new(
                        Exit::Transport,
                        format!("cannot listen: {error}"),
                    ));
                }
                Event::Agent(AgentEvent::FailedToStartTls { .. }) => {
                    printer.notification(&notification);
                }
                _ => {}
            }
        }
    }

    /// Says where the agent listens.
    pub(crate) fn print_listening(&self, printer: &Printer) {
        let mut data = json!({});
        for listening in &self.listening {
            data[listening.transport.param_name()] = listening.address.to_string().into();
        }
        printer.event("listening", data);
    }

    /// Waits for the next event until `deadline`, and keeps the recording up to date.
    pub(crate) fn next_before(&mut self, deadline: Instant) -> Wait {
        let slice = deadline.min(Instant::now() + SLICE);
        let notification = self.runtime.next_before(slice);
        self.save_recording();
        match notification {
            Some(notification) => {
                match &notification.event {
                    Event::Agent(AgentEvent::DidEnd) => self.is_over = true,
                    Event::Agent(AgentEvent::TlsDidFail { reason, .. }) => {
                        self.unproven = Some(reason.clone());
                    }
                    Event::Agent(AgentEvent::TlsDidStart { .. }) => self.unproven = None,
                    _ => {}
                }
                Wait::Event(Box::new(notification))
            }
            // Its events have ended before the time.
            None if Instant::now() < slice => {
                self.is_over = true;
                Wait::Over
            }
            None if self.interrupted.load(Ordering::Relaxed) => Wait::Interrupted,
            None if Instant::now() >= deadline => Wait::Late,
            None => Wait::Nothing,
        }
    }

    /// A failure of transport, with the certificate that was the matter of it if there was one.
    pub(crate) fn explain(&self, mut failure: Failure) -> Failure {
        if let (Exit::Transport, Some(reason)) = (failure.exit, &self.unproven) {
            failure.reason = format!("{}: {reason}", failure.reason);
        }
        failure
    }

    /// Waits until nothing is alive any more, at most so long, and says what is.
    pub(crate) fn settle(&mut self, limit: Duration) -> Value {
        let deadline = Instant::now() + limit;
        loop {
            let stats = self.runtime.call(|agent, _| agent.stats());
            let is_rest = stats == Some(Stats::default());
            let now = Instant::now();
            if is_rest
                || now >= deadline
                || matches!(
                    self.next_before(deadline.min(now + LOOK)),
                    Wait::Interrupted | Wait::Over
                )
            {
                return serde_json::to_value(stats).unwrap_or_default();
            }
        }
    }

    /// Leaves without a word to servers: what they hold of us shall outlive the command.
    ///
    /// A runtime that is dropped ends its agent properly, and the REGISTER that removes the binding
    /// may be faster than the end of the program: it is not dropped.
    pub(crate) fn leave(mut self) {
        self.save_recording();
        std::mem::forget(self);
    }

    /// Ends the agent properly: calls are hung up, registrations removed, sockets closed.
    pub(crate) fn stop(&mut self, printer: &Printer) {
        self.runtime.call(|agent, now| agent.shutdown(now));
        let deadline = Instant::now() + STOP;
        while !self.is_over && Instant::now() < deadline {
            if let Wait::Event(notification) = self.next_before(deadline) {
                printer.notification(&notification);
            }
        }
    }

    fn save_recording(&mut self) {
        let Some(file) = &mut self.recording else {
            return;
        };
        let Some(bytes) = self.runtime.call(|agent, _| agent.take_record()) else {
            return;
        };
        if file.write_all(&bytes).is_err() {
            print::complain("sipsimple: the recording cannot be written and ends here");
            self.recording = None;
        }
    }
}

/// What waiting brought.
#[derive(Debug)]
pub(crate) enum Wait {
    Event(Box<Notification>),
    Late,
    Interrupted,
    /// The agent has ended.
    Over,
    Nothing,
}

/// The failure of a verb whose agent has ended by itself.
pub(crate) fn ended() -> Failure {
    Failure::new(Exit::Internal, "the agent has ended")
}

/// Set when the user wants to stop.
fn interrupted() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // Without the handler the signal ends the program at once: worse, but no reason not to run.
        let _ = signal_hook::flag::register(signal, flag.clone());
    }
    flag
}

/// How long sockets may take to open.
const START: Duration = Duration::from_secs(5);
/// How long an agent may take to hang up, and its connections to close.
const STOP: Duration = Duration::from_secs(10);
/// How often the agent is asked whether it is at rest.
const LOOK: Duration = Duration::from_secs(1);
/// How often recordings are written and interruptions are looked for.
const SLICE: Duration = Duration::from_millis(200);
