//! `sipsimple call --calls N`: many outgoing sessions of one agent, and one report.

use super::standing::Standing;
use crate::{
    agent::{self, Agent, Wait},
    config,
    options::{Call, Common},
    outcome::{Exit, Failure, Outcome},
    print::Printer,
};
use serde_json::json;
use sipsimple::{
    agent::{Connect, SessionId},
    event::{Event, SessionEvent},
    sip::Uri,
    stream::{StreamSpec, audio},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

pub(crate) fn run(common: &Common, options: &Call, uri: Uri, printer: &Printer) -> Outcome {
    let standing = Standing::new(&options.media)?;
    let config = config::read(common, Some(&options.media))?;
    let mut agent = Agent::start(common, config, printer)?;
    agent.print_listening(printer);
    let mut connect = Connect::new(uri, vec![StreamSpec::new(audio::KIND)]);
    connect.subject.clone_from(&options.subject);
    let mut calling = Calling {
        options,
        connect,
        standing,
        alive: BTreeSet::new(),
        begun: 0,
        next: Instant::now(),
        failures: BTreeMap::new(),
    };
    let result = calling.follow(&mut agent, common, printer);
    let stats = agent.settle(options.settle);
    agent.stop(printer);
    let failed = calling.failures.values().sum::<u32>();
    let data = json!({
        "calls": calling.begun,
        "failed": failed,
        "failures": calling.failures,
        "media": calling.standing.last_media,
        "stats": stats,
    });
    result.map_err(|failure| failure.with(data.clone()))?;
    if failed > 0 {
        let text = format!("{failed} calls failed");
        return Err(Failure::new(Exit::Rejected, text).with(data));
    }
    if calling.standing.heard_too_little > 0 {
        let text = format!(
            "{} calls had too little sound",
            calling.standing.heard_too_little
        );
        return Err(Failure::new(Exit::Media, text).with(data));
    }
    Ok(data)
}

struct Calling<'a> {
    options: &'a Call,
    connect: Connect,
    standing: Standing,
    alive: BTreeSet<SessionId>,
    begun: u32,
    /// When the next call may begin.
    next: Instant,
    /// How often calls failed for which reason.
    failures: BTreeMap<String, u32>,
}

impl Calling<'_> {
    fn follow(
        &mut self,
        agent: &mut Agent,
        common: &Common,
        printer: &Printer,
    ) -> Result<(), Failure> {
        let give_up = common.timeout.map(|timeout| Instant::now() + timeout);
        loop {
            self.standing.work(agent, None);
            self.begin(agent)?;
            if self.alive.is_empty() && self.is_complete() {
                return Ok(());
            }
            if give_up.is_some_and(|at| at <= Instant::now()) {
                return Err(Failure::new(Exit::TimedOut, "timed out"));
            }
            let may_begin = (self.has_room() && !self.is_complete()).then_some(self.next);
            let due = [self.standing.next_due(), may_begin, give_up];
            let due = due.into_iter().flatten().min();
            match agent.next_before(due.unwrap_or_else(|| Instant::now() + FOREVER)) {
                Wait::Event(notification) => {
                    printer.notification(&notification);
                    match notification.event {
                        Event::Session(id, event) => self.session(agent, id, event)?,
                        Event::Stream(stream, event) => {
                            self.standing.hear(agent, stream, &event)?;
                        }
                        _ => {}
                    }
                }
                Wait::Interrupted => return Err(Failure::new(Exit::Interrupted, "interrupted")),
                Wait::Over => return Err(agent::ended()),
                Wait::Late | Wait::Nothing => {}
            }
        }
    }

    /// Begins the call that is due, if there is one.
    fn begin(&mut self, agent: &Agent) -> Result<(), Failure> {
        let now = Instant::now();
        if self.is_complete() || !self.has_room() || self.next > now {
            return Ok(());
        }
        let connect = self.connect.clone();
        let begun = agent
            .runtime
            .call(move |agent, now| agent.connect(now, connect));
        match begun {
            Some(Ok(session)) => self.alive.insert(session),
            Some(Err(error)) => return Err(Failure::new(Exit::Usage, error.to_string())),
            None => return Err(agent::ended()),
        };
        self.begun += 1;
        // A pause is not made up for by a burst.
        self.next = (self.next + Duration::from_secs(1) / self.options.rate).max(now);
        Ok(())
    }

    fn session(
        &mut self,
        agent: &Agent,
        id: SessionId,
        event: SessionEvent,
    ) -> Result<(), Failure> {
        match event {
            SessionEvent::DidStart { streams } => self.standing.start(agent, id, &streams)?,
            SessionEvent::DidEnd { .. } => self.forget(id),
            SessionEvent::DidFail {
                code,
                reason,
                failure_reason,
                ..
            } => {
                self.forget(id);
                let text = format!("{code} {reason}: {failure_reason}");
                *self.failures.entry(text).or_default() += 1;
            }
            _ => {}
        }
        Ok(())
    }

    fn forget(&mut self, id: SessionId) {
        self.alive.remove(&id);
        self.standing.forget(id);
    }

    fn is_complete(&self) -> bool {
        Some(self.begun) >= self.options.calls
    }

    fn has_room(&self) -> bool {
        self.alive.len() < self.options.at_once as usize
    }
}

/// Until something happens.
const FOREVER: Duration = Duration::from_secs(3_600);
