//! The calls that stand at the same time, and what is due in them.

use super::plan::{Plan, Step, perform};
use crate::{
    agent::Agent,
    described::Described,
    media::{self, Media},
    options::MediaOptions,
    outcome::Failure,
    print::Printer,
};
use serde_json::Value;
use sipsimple::{
    agent::{SessionId, StreamId},
    event::StreamEvent,
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// All calls of one agent that stand: their media, and the steps of the plan in each.
pub(crate) struct Standing {
    plan: Plan,
    media: Media,
    described: Described,
    expected: Option<Duration>,
    steps: BTreeMap<SessionId, Vec<(Instant, Step)>>,
    owners: BTreeMap<StreamId, SessionId>,
    /// The `media` object of the last stream that ended.
    pub(crate) last_media: Value,
    /// Streams in which less was heard than was expected.
    pub(crate) heard_too_little: u64,
}

impl Standing {
    pub(crate) fn new(options: &MediaOptions) -> Result<Self, Failure> {
        Ok(Self {
            plan: Plan::new(options)?,
            media: Media::new(options)?,
            described: Described::default(),
            expected: options.expect_audio,
            steps: BTreeMap::new(),
            owners: BTreeMap::new(),
            last_media: Value::Null,
            heard_too_little: 0,
        })
    }

    /// A call stands.
    pub(crate) fn start(
        &mut self,
        agent: &Agent,
        session: SessionId,
        streams: &[StreamId],
    ) -> Result<(), Failure> {
        for stream in streams {
            self.owners.insert(*stream, session);
            self.described.add(*stream);
            self.attach(agent, *stream)?;
            self.plan.send_digits(agent, *stream)?;
        }
        self.steps.insert(session, self.plan.steps(Instant::now()));
        Ok(())
    }

    /// A stream runs, perhaps before its call stands, or in another format than before.
    pub(crate) fn attach(&mut self, agent: &Agent, stream: StreamId) -> Result<(), Failure> {
        self.media.attach(&agent.runtime, stream)
    }

    /// Follows what a stream tells.
    pub(crate) fn hear(
        &mut self,
        agent: &Agent,
        stream: StreamId,
        event: &StreamEvent,
    ) -> Result<(), Failure> {
        match event {
            StreamEvent::DidChangeRtpParameters => self.attach(agent, stream)?,
            StreamEvent::DidChangeHoldState { .. } => self.media.hold(&agent.runtime, stream),
            // The call may not stand yet.
            StreamEvent::IceNegotiationDidFail { reason, checked } => {
                self.described.add_ice_failure(stream, reason, checked);
            }
            StreamEvent::WillEnd => self.look(agent, stream),
            _ => {}
        }
        Ok(())
    }

    /// A stream ends: keeps what can be said about it.
    fn look(&mut self, agent: &Agent, stream: StreamId) {
        let hearing = self.media.detach(&agent.runtime, stream);
        let described = self.described.take(&agent.runtime, stream);
        let has_stood = self.owners.remove(&stream).is_some();
        if let Some(data) = described {
            self.last_media = data;
        }
        if !has_stood {
            return;
        }
        media::add_hearing(&mut self.last_media, hearing);
        let audible = hearing.map_or(Duration::ZERO, |hearing| hearing.audible);
        if self.expected.is_some_and(|expected| audible < expected) {
            self.heard_too_little += 1;
        }
    }

    /// A call is over.
    pub(crate) fn forget(&mut self, session: SessionId) {
        self.steps.remove(&session);
    }

    /// When the next step is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let first = self.steps.values().filter_map(|steps| steps.first());
        first.map(|(at, _)| *at).min()
    }

    /// Does what is due, and looks at the media once in a while; of those of each call it tells if somebody
    /// wants to know.
    pub(crate) fn work(&mut self, agent: &Agent, printer: Option<&Printer>) {
        self.described.refresh(&agent.runtime, printer);
        let now = Instant::now();
        for (session, steps) in &mut self.steps {
            while steps.first().is_some_and(|(at, _)| *at <= now) {
                let (_, step) = steps.remove(0);
                perform(agent, *session, step);
            }
        }
    }
}
