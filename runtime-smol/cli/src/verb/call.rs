//! `sipsimple call`: an outgoing session.

use super::{
    calls,
    plan::{Plan, Step, perform},
};
use crate::{
    agent::{self, Agent, Wait},
    config,
    described::Described,
    media::{self, Hearing, Media},
    options::{Call, Common, MediaOptions},
    outcome::{self, Exit, Failure, Outcome},
    print::Printer,
};
use serde_json::{Value, json};
use sipsimple::{
    agent::{Connect, SessionId, StreamId},
    event::{Event, SessionEvent, StreamEvent},
    sip::{RedirectTarget, Uri},
    stream::{StreamSpec, audio},
};
use std::time::{Duration, Instant};

pub(crate) fn run(common: &Common, options: &Call, printer: &Printer) -> Outcome {
    let uri = config::uri(&options.uri)
        .ok_or_else(|| Failure::new(Exit::Usage, format!("{:?} is no SIP URI", options.uri)))?;
    if options.calls.is_some() {
        return calls::run(common, options, uri, printer);
    }
    let transfer = match &options.transfer {
        Some(text) => Some(config::uri(text).ok_or_else(|| {
            Failure::new(Exit::Usage, format!("--transfer: {text:?} is no SIP URI"))
        })?),
        None => None,
    };
    let plan = Plan::new(&options.media)?;
    let media = Media::new(&options.media)?;
    let mut agent = Agent::start(common, config::read(common, Some(&options.media))?, printer)?;
    agent.print_listening(printer);
    let mut connect = Connect::new(uri, vec![StreamSpec::new(audio::KIND)]);
    connect.subject.clone_from(&options.subject);
    if options.follow_redirects {
        connect.redirects = MAX_REDIRECTS;
    }
    let session = match agent
        .runtime
        .call(move |agent, now| agent.connect(now, connect))
    {
        Some(Ok(session)) => session,
        Some(Err(error)) => return Err(Failure::new(Exit::Usage, error.to_string())),
        None => return Err(agent::ended()),
    };
    let mut running = Running {
        session,
        transfer,
        plan,
        media,
        described: Described::default(),
        media_data: Value::Null,
        hearing: None,
        early: None,
        speaks_early: options.early_media,
        stream: None,
    };
    let begun = Instant::now();
    let ended = running.follow(
        &mut agent,
        common,
        options.cancel_after.map(|after| begun + after),
        printer,
    );
    agent.stop(printer);
    let data = json!({"media": running.media_data});
    match ended {
        Ok(()) => running
            .judge(&options.media)
            .map(|()| data.clone())
            .map_err(|failure| failure.with(data)),
        Err(failure) => Err(failure.with(data)),
    }
}

struct Running {
    session: SessionId,
    /// Whom the peer shall call instead, until it is asked.
    transfer: Option<Uri>,
    plan: Plan,
    media: Media,
    described: Described,
    media_data: Value,
    hearing: Option<Hearing>,
    /// What was heard before the call was taken.
    early: Option<Hearing>,
    speaks_early: bool,
    stream: Option<StreamId>,
}

impl Running {
    fn follow(
        &mut self,
        agent: &mut Agent,
        common: &Common,
        mut cancel: Option<Instant>,
        printer: &Printer,
    ) -> Result<(), Failure> {
        let give_up = common.timeout.map(|timeout| Instant::now() + timeout);
        let mut steps: Vec<(Instant, Step)> = Vec::new();
        loop {
            self.described.refresh(&agent.runtime, Some(printer));
            let next = [give_up, cancel, steps.first().map(|(at, _)| *at)]
                .into_iter()
                .flatten()
                .min();
            match agent.next_before(next.unwrap_or_else(|| Instant::now() + FOREVER)) {
                Wait::Event(notification) => {
                    printer.notification(&notification);
                    match notification.event {
                        Event::Session(id, event) if id == self.session => match event {
                            SessionEvent::DidStart { streams } => {
                                cancel = None;
                                self.stream = streams.first().copied();
                                steps = self.plan.steps(Instant::now());
                                if let Some(stream) = self.stream {
                                    self.early = self.media.hearing(stream);
                                    self.described.add(stream);
                                    self.media.attach(&agent.runtime, stream)?;
                                    self.plan.send_digits(agent, stream)?;
                                }
                                self.transfer(agent)?;
                            }
                            SessionEvent::TransferDidFail { code, reason } => {
                                self.look(agent);
                                perform(agent, self.session, Step::HangUp);
                                let text = format!("transfer: {code} {reason}");
                                return Err(Failure::new(outcome::of_call(code, &reason), text));
                            }
                            SessionEvent::GotRedirect { targets, .. } => {
                                redirect(agent, self.session, targets);
                            }
                            SessionEvent::WillEnd { .. } => self.look(agent),
                            SessionEvent::DidEnd { end_reason, .. } => {
                                return match outcome::of_end(&end_reason) {
                                    Exit::Done => Ok(()),
                                    exit => Err(Failure::new(exit, end_reason)),
                                };
                            }
                            SessionEvent::DidFail {
                                code,
                                reason,
                                failure_reason,
                                ..
                            } => {
                                self.early = self.stream.and_then(|id| self.media.hearing(id));
                                self.look(agent);
                                let exit = outcome::of_call(code, &failure_reason);
                                let text = match code {
                                    0 => failure_reason,
                                    code => format!("{code} {reason}: {failure_reason}"),
                                };
                                return Err(agent.explain(Failure::new(exit, text)));
                            }
                            _ => {}
                        },
                        // What the other side says before the call is taken is heard; we speak afterwards,
                        // unless that was asked for.
                        Event::Stream(stream, StreamEvent::DidStart) => {
                            self.stream = Some(stream);
                            self.described.add(stream);
                            match self.speaks_early {
                                true => self.media.attach(&agent.runtime, stream)?,
                                false => self.media.listen(&agent.runtime, stream)?,
                            }
                        }
                        Event::Stream(stream, StreamEvent::DidChangeRtpParameters) => {
                            self.media.listen(&agent.runtime, stream)?;
                        }
                        Event::Stream(
                            stream,
                            StreamEvent::IceNegotiationDidFail { reason, checked },
                        ) => {
                            self.stream.get_or_insert(stream);
                            self.described.add_ice_failure(stream, reason, &checked);
                        }
                        Event::Stream(stream, StreamEvent::DidChangeHoldState { .. }) => {
                            self.media.hold(&agent.runtime, stream);
                        }
                        _ => {}
                    }
                }
                Wait::Late => {
                    let now = Instant::now();
                    if let Some((at, step)) = steps.first().copied()
                        && at <= now
                    {
                        steps.remove(0);
                        if step == Step::HangUp {
                            self.look(agent);
                        }
                        perform(agent, self.session, step);
                    } else if cancel.is_some_and(|at| at <= now) {
                        cancel = None;
                        perform(agent, self.session, Step::HangUp);
                    } else if give_up.is_some_and(|at| at <= now) {
                        self.look(agent);
                        perform(agent, self.session, Step::HangUp);
                        return Err(Failure::new(Exit::TimedOut, "timed out"));
                    }
                }
                Wait::Interrupted => {
                    self.look(agent);
                    perform(agent, self.session, Step::HangUp);
                    return Err(Failure::new(Exit::Interrupted, "interrupted"));
                }
                Wait::Over => return Err(agent::ended()),
                Wait::Nothing => {}
            }
        }
    }

    /// Asks the peer to call somebody else, if that is wanted.
    fn transfer(&mut self, agent: &Agent) -> Result<(), Failure> {
        let (session, Some(target)) = (self.session, self.transfer.take()) else {
            return Ok(());
        };
        let asked = agent
            .runtime
            .call(move |agent, now| agent.transfer(now, session, Some(target), None));
        match asked {
            Some(Err(error)) => Err(Failure::new(Exit::Usage, format!("--transfer: {error}"))),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// Keeps what can be said about the media, while it is there.
    fn look(&mut self, agent: &Agent) {
        let Some(stream) = self.stream else { return };
        if let Some(data) = self.described.take(&agent.runtime, stream) {
            self.media_data = data;
        }
        if let Some(hearing) = self.media.detach(&agent.runtime, stream) {
            self.hearing = Some(hearing);
        }
        media::add_hearing(&mut self.media_data, self.hearing);
        media::add_early(&mut self.media_data, self.early);
    }

    fn judge(&self, options: &MediaOptions) -> Result<(), Failure> {
        let audible = self
            .hearing
            .map_or(Duration::ZERO, |hearing| hearing.audible);
        match options.expect_audio {
            Some(expected) if audible < expected => {
                let text = format!(
                    "heard {:.1} s of sound, expected {:.1} s",
                    audible.as_secs_f64(),
                    expected.as_secs_f64()
                );
                Err(Failure::new(Exit::Media, text))
            }
            _ => Ok(()),
        }
    }
}

/// Calls the preferred target that may be called; if there is none, the call ends.
fn redirect(agent: &Agent, session: SessionId, targets: Vec<RedirectTarget>) {
    // One that may not be redirected is over already.
    let _ = agent.runtime.call(move |agent, now| {
        targets.iter().any(|target| {
            agent
                .follow_redirect(now, session, Some(&target.uri))
                .is_ok()
        })
    });
}

/// Redirections that are followed: more are a circle, or a joke.
const MAX_REDIRECTS: u8 = 5;
/// Until something happens.
const FOREVER: Duration = Duration::from_secs(3_600);
