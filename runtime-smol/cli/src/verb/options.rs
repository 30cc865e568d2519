//! `sipsimple options`: what a peer can do, and how long it takes to say so.

use crate::{
    agent::{self, Agent, Wait},
    config,
    options::{Common, Ping},
    outcome::{Exit, Failure, Outcome},
    print::Printer,
};
use serde_json::json;
use sipsimple::event::{Event, OptionsEvent};
use std::time::{Duration, Instant};

pub(crate) fn run(common: &Common, options: &Ping, printer: &Printer) -> Outcome {
    let uri = config::uri(&options.uri)
        .ok_or_else(|| Failure::new(Exit::Usage, format!("{:?} is no SIP URI", options.uri)))?;
    let mut agent = Agent::start(common, config::read(common, None)?, printer)?;
    let mut times = Vec::new();
    let mut failure = None;
    for round in 0..options.count {
        if round > 0 {
            pause(&mut agent, PAUSE);
        }
        let asked = Instant::now();
        let to = uri.clone();
        let request = match agent
            .runtime
            .call(move |agent, now| agent.options(now, None, to))
        {
            Some(Ok(request)) => request,
            Some(Err(error)) => return Err(Failure::new(Exit::Transport, error.to_string())),
            None => return Err(agent::ended()),
        };
        match wait(&mut agent, common, printer, request) {
            Ok(()) => times.push(asked.elapsed()),
            Err(error) if error.exit == Exit::Interrupted => return Err(error),
            Err(error) => failure = Some(error),
        }
    }
    agent.stop(printer);
    let ms = |time: &Duration| (time.as_secs_f64() * 10_000.0).round() / 10.0;
    let data = json!({
        "sent": options.count,
        "answered": times.len(),
        "min_ms": times.iter().min().map(ms),
        "max_ms": times.iter().max().map(ms),
        "mean_ms": (!times.is_empty()).then(|| ms(&(times.iter().sum::<Duration>() / times.len() as u32))),
    });
    printer.say(&format!("{} sent, {} answered", options.count, times.len()));
    match failure {
        None => Ok(data),
        Some(failure) => Err(failure.with(data)),
    }
}

fn wait(
    agent: &mut Agent,
    common: &Common,
    printer: &Printer,
    request: sipsimple::sip::RequestId,
) -> Result<(), Failure> {
    let deadline = Instant::now() + common.timeout.unwrap_or(PATIENCE);
    loop {
        match agent.next_before(deadline) {
            Wait::Event(notification) => {
                printer.notification(&notification);
                match notification.event {
                    Event::Options(id, OptionsEvent::GotAnswer { code, reason, .. })
                        if id == request =>
                    {
                        return match code {
                            200..300 => Ok(()),
                            401 | 403 | 407 => Err(Failure::new(
                                Exit::Authentication,
                                format!("{code} {reason}"),
                            )),
                            _ => Err(Failure::new(Exit::Rejected, format!("{code} {reason}"))),
                        };
                    }
                    Event::Options(id, OptionsEvent::DidFail { code, reason }) if id == request => {
                        let exit = match code {
                            408 => Exit::TimedOut,
                            _ if reason.starts_with("name resolution") => Exit::Resolution,
                            _ => Exit::Transport,
                        };
                        return Err(agent.explain(Failure::new(exit, reason)));
                    }
                    _ => {}
                }
            }
            Wait::Late => return Err(Failure::new(Exit::TimedOut, "no answer in time")),
            Wait::Interrupted => {
                agent.stop(printer);
                return Err(Failure::new(Exit::Interrupted, "interrupted"));
            }
            Wait::Over => return Err(agent::ended()),
            Wait::Nothing => {}
        }
    }
}

fn pause(agent: &mut Agent, time: Duration) {
    let until = Instant::now() + time;
    while let Wait::Event(_) | Wait::Nothing = agent.next_before(until) {}
}

const PAUSE: Duration = Duration::from_secs(1);
/// Longer than any transaction.
const PATIENCE: Duration = Duration::from_secs(40);
