//! `sipsimple answer`: waits for sessions.

use super::call::{Plan, Step, perform};
use crate::{
    agent::{self, Agent, Wait},
    media::{self, Described, Media},
    options::{Answer, Common},
    outcome::{Exit, Failure, Outcome},
    print::Printer,
};
use serde_json::{Value, json};
use sipsimple::{
    agent::{SessionId, StreamId},
    event::{Event, SessionEvent, StreamEvent},
    stream::{StreamSpec, audio},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

pub(crate) fn run(common: &Common, options: &Answer, printer: &Printer) -> Outcome {
    let plan = Plan::new(&options.media)?;
    let media = Media::new(&options.media)?;
    let mut config = agent::config(common, Some(&options.media))?;
    config.streams_without_offer = vec![StreamSpec::new(audio::KIND)];
    let mut agent = Agent::start(common, config, printer)?;
    agent.print_listening(printer);
    let mut waiting = Waiting {
        options,
        plan,
        media,
        described: Described::default(),
        calls: BTreeMap::new(),
        owners: BTreeMap::new(),
        done: 0,
        failed: 0,
        last_media: Value::Null,
        heard_too_little: 0,
    };
    let result = waiting.follow(&mut agent, common, printer);
    let stats = waiting.settle(&mut agent);
    let data = json!({
        "calls": waiting.done,
        "failed": waiting.failed,
        "media": waiting.last_media,
        "stats": stats,
    });
    agent.stop(printer);
    match result {
        Ok(()) if waiting.heard_too_little > 0 => {
            let text = format!("{} calls had too little sound", waiting.heard_too_little);
            Err(Failure::new(Exit::Media, text).with(data))
        }
        Ok(()) => Ok(data),
        Err(failure) => Err(failure.with(data)),
    }
}

struct Waiting<'a> {
    options: &'a Answer,
    plan: Plan,
    media: Media,
    described: Described,
    calls: BTreeMap<SessionId, Call>,
    owners: BTreeMap<StreamId, SessionId>,
    done: u64,
    failed: u64,
    last_media: Value,
    heard_too_little: u64,
}

#[derive(Default)]
struct Call {
    streams: Vec<StreamId>,
    /// When to take or refuse it.
    decide: Option<Instant>,
    steps: Vec<(Instant, Step)>,
}

impl Waiting<'_> {
    fn follow(
        &mut self,
        agent: &mut Agent,
        common: &Common,
        printer: &Printer,
    ) -> Result<(), Failure> {
        let give_up = common.timeout.map(|timeout| Instant::now() + timeout);
        loop {
            if self.options.count.is_some_and(|count| self.done >= count) && self.calls.is_empty() {
                return Ok(());
            }
            self.described.refresh(&agent.runtime);
            let due = self.calls.values().flat_map(|call| {
                call.decide
                    .into_iter()
                    .chain(call.steps.first().map(|s| s.0))
            });
            let next = due
                .chain(give_up)
                .min()
                .unwrap_or_else(|| Instant::now() + FOREVER);
            match agent.next_before(next) {
                Wait::Event(notification) => {
                    printer.notification(&notification);
                    match notification.event {
                        Event::Session(id, event) => self.session(agent, id, event)?,
                        Event::Stream(stream, StreamEvent::DidChangeRtpParameters) => {
                            self.media.attach(&agent.runtime, stream)?;
                        }
                        Event::Stream(stream, StreamEvent::WillEnd) => self.look(agent, stream),
                        _ => {}
                    }
                }
                Wait::Late => {
                    if give_up.is_some_and(|at| at <= Instant::now()) {
                        return Err(Failure::new(Exit::TimedOut, "timed out"));
                    }
                    self.due(agent);
                }
                Wait::Interrupted => return Err(Failure::new(Exit::Interrupted, "interrupted")),
                Wait::Over => return Err(agent::ended()),
                Wait::Nothing => {}
            }
        }
    }

    fn session(
        &mut self,
        agent: &Agent,
        id: SessionId,
        event: SessionEvent,
    ) -> Result<(), Failure> {
        match event {
            SessionEvent::NewIncoming { streams } => {
                let now = Instant::now();
                let decides = self.options.auto || self.options.reject.is_some();
                let ring = self.options.ring.unwrap_or(Duration::ZERO);
                let call = Call {
                    decide: decides.then(|| now + ring),
                    streams,
                    steps: Vec::new(),
                };
                if ring > Duration::ZERO || !decides {
                    // A caller that gave up already needs no ringing.
                    let _ = agent.runtime.call(move |agent, now| agent.ring(now, id));
                }
                self.calls.insert(id, call);
                self.due(agent);
            }
            SessionEvent::DidStart { streams } => {
                for stream in &streams {
                    self.owners.insert(*stream, id);
                    self.described.add(*stream);
                    self.media.attach(&agent.runtime, *stream)?;
                    self.plan.send_digits(agent, *stream)?;
                }
                if let Some(call) = self.calls.get_mut(&id) {
                    call.steps = self.plan.steps(Instant::now());
                }
            }
            SessionEvent::DidEnd { .. } => {
                self.calls.remove(&id);
                self.done += 1;
            }
            SessionEvent::DidFail { .. } => {
                self.calls.remove(&id);
                self.done += 1;
                self.failed += 1;
            }
            _ => {}
        }
        Ok(())
    }

    /// Does what is due in any call.
    fn due(&mut self, agent: &Agent) {
        let now = Instant::now();
        for (id, call) in &mut self.calls {
            let id = *id;
            if call.decide.take_if(|at| *at <= now).is_some() {
                let (reject, streams) = (self.options.reject, call.streams.clone());
                // A caller that gave up meanwhile is told by its own event.
                let _ = agent.runtime.call(move |agent, now| match reject {
                    Some(code) => agent.reject(now, id, code, None),
                    None => agent.accept(now, id, &streams),
                });
            }
            while call.steps.first().is_some_and(|(at, _)| *at <= now) {
                let (_, step) = call.steps.remove(0);
                perform(agent, id, step);
            }
        }
    }

    /// Keeps what can be said about a stream that ends.
    fn look(&mut self, agent: &Agent, stream: StreamId) {
        if self.owners.remove(&stream).is_none() {
            return;
        }
        let hearing = self.media.detach(stream);
        if let Some(data) = self.described.take(&agent.runtime, stream) {
            self.last_media = data;
        }
        media::add_hearing(&mut self.last_media, hearing);
        let audible = hearing.map_or(Duration::ZERO, |hearing| hearing.audible);
        if self
            .options
            .media
            .expect_audio
            .is_some_and(|expected| audible < expected)
        {
            self.heard_too_little += 1;
        }
    }

    /// Waits until nothing is alive any more, and says what is.
    fn settle(&self, agent: &mut Agent) -> Value {
        let deadline = Instant::now() + self.options.settle;
        loop {
            let stats = agent.runtime.call(|agent, _| agent.stats());
            let is_rest = stats == Some(sipsimple::agent::Stats::default());
            let now = Instant::now();
            if is_rest || now >= deadline {
                return serde_json::to_value(stats).unwrap_or_default();
            }
            if let Wait::Interrupted | Wait::Over = agent.next_before(deadline.min(now + LOOK)) {
                return serde_json::to_value(stats).unwrap_or_default();
            }
        }
    }
}

/// Until something happens.
const FOREVER: Duration = Duration::from_secs(3_600);
const LOOK: Duration = Duration::from_secs(1);
