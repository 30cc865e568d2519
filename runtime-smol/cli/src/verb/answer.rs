//! `sipsimple answer`: waits for sessions.

use super::{register, standing::Standing};
use crate::{
    agent::{self, Agent, Wait},
    config,
    options::{Answer, Common},
    outcome::{self, Exit, Failure, Outcome},
    print::Printer,
};
use serde_json::json;
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
    let standing = Standing::new(&options.media)?;
    let mut config = config::read(common, Some(&options.media))?;
    config.streams_without_offer = vec![StreamSpec::new(audio::KIND)];
    let mut agent = Agent::start(common, config, printer)?;
    agent.print_listening(printer);
    if options.register {
        register::register(&mut agent, common, printer)?;
    }
    let mut waiting = Waiting {
        options,
        standing,
        calls: BTreeMap::new(),
        done: 0,
        failed: 0,
        broken: None,
    };
    let result = waiting.follow(&mut agent, common, printer);
    let stats = agent.settle(options.settle);
    let data = json!({
        "calls": waiting.done,
        "failed": waiting.failed,
        "media": waiting.standing.last_media,
        "stats": stats,
    });
    agent.stop(printer);
    match result.and_then(|()| waiting.broken.map_or(Ok(()), Err)) {
        Ok(()) if waiting.standing.heard_too_little > 0 => {
            let text = format!(
                "{} calls had too little sound",
                waiting.standing.heard_too_little
            );
            Err(Failure::new(Exit::Media, text).with(data))
        }
        Ok(()) => Ok(data),
        Err(failure) => Err(failure.with(data)),
    }
}

struct Waiting<'a> {
    options: &'a Answer,
    standing: Standing,
    calls: BTreeMap<SessionId, Call>,
    done: u64,
    failed: u64,
    /// How the first call ended that stood, and was not ended by somebody.
    broken: Option<Failure>,
}

/// A call that is not over.
struct Call {
    streams: Vec<StreamId>,
    /// When to take or refuse it.
    decide: Option<Instant>,
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
            if give_up.is_some_and(|at| at <= Instant::now()) {
                return Err(Failure::new(Exit::TimedOut, "timed out"));
            }
            self.decide(agent);
            self.standing.work(agent, Some(printer));
            let decisions = self.calls.values().filter_map(|call| call.decide);
            let next = decisions
                .chain(self.standing.next_due())
                .chain(give_up)
                .min()
                .unwrap_or_else(|| Instant::now() + FOREVER);
            match agent.next_before(next) {
                Wait::Event(notification) => {
                    printer.notification(&notification);
                    match notification.event {
                        Event::Session(id, event) => self.session(agent, id, event)?,
                        Event::Stream(stream, StreamEvent::DidStart)
                            if self.options.early_media =>
                        {
                            self.standing.attach(agent, stream)?;
                        }
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

    fn session(
        &mut self,
        agent: &Agent,
        id: SessionId,
        event: SessionEvent,
    ) -> Result<(), Failure> {
        match event {
            SessionEvent::NewIncoming { streams, .. } => {
                let now = Instant::now();
                let decides = self.options.auto || self.options.reject.is_some();
                let ring = self.options.ring.unwrap_or(Duration::ZERO);
                let is_early = self.options.early_media;
                let call = Call {
                    decide: decides.then(|| now + ring),
                    streams: streams.clone(),
                };
                if ring > Duration::ZERO || !decides {
                    // A caller that gave up already needs no ringing; one that cannot be offered anything
                    // yet is only rung.
                    let _ = agent.runtime.call(move |agent, now| {
                        match is_early && agent.progress(now, id, &streams).is_ok() {
                            true => Ok(()),
                            false => agent.ring(now, id),
                        }
                    });
                }
                self.calls.insert(id, call);
            }
            SessionEvent::NewOutgoing { streams } => {
                // It takes the place of another one, and is waited for like that.
                let call = Call {
                    decide: None,
                    streams,
                };
                self.calls.insert(id, call);
            }
            SessionEvent::TransferNewIncoming { .. } => {
                let accepts = self.options.accept_transfers;
                // A caller who has hung up meanwhile waits for nothing.
                let _ = agent.runtime.call(move |agent, now| match accepts {
                    true => agent
                        .accept_transfer(now, id, vec![StreamSpec::new(audio::KIND)])
                        .map(drop),
                    false => agent.reject_transfer(now, id, None, None),
                });
            }
            SessionEvent::DidStart { streams } => {
                self.standing.start(agent, id, &streams)?;
            }
            SessionEvent::DidEnd { end_reason, .. } => {
                self.forget(id);
                let exit = outcome::of_end(&end_reason);
                if exit != Exit::Done {
                    self.failed += 1;
                    self.broken
                        .get_or_insert_with(|| Failure::new(exit, end_reason));
                }
            }
            SessionEvent::DidFail { .. } => {
                self.forget(id);
                self.failed += 1;
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes or refuses the calls for which it is time.
    fn decide(&mut self, agent: &Agent) {
        let now = Instant::now();
        for (id, call) in &mut self.calls {
            if call.decide.take_if(|at| *at <= now).is_some() {
                let (id, reject, streams) = (*id, self.options.reject, call.streams.clone());
                // A caller that gave up meanwhile is told by its own event.
                let _ = agent.runtime.call(move |agent, now| match reject {
                    Some(code) => agent.reject(now, id, code, None),
                    None => agent.accept(now, id, &streams),
                });
            }
        }
    }

    fn forget(&mut self, id: SessionId) {
        self.calls.remove(&id);
        self.standing.forget(id);
        self.done += 1;
    }
}

/// Until something happens.
const FOREVER: Duration = Duration::from_secs(3_600);
