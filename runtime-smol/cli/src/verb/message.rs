//! `sipsimple message` and `sipsimple receive-messages`: messages outside of sessions.

use super::{account, register};
use crate::{
    agent::{self, Agent, Wait},
    config,
    options::{Common, ReceiveMessages, SendMessage},
    outcome::{Exit, Failure, Outcome},
    print::Printer,
};
use serde_json::json;
use sipsimple::{
    agent::Message,
    event::{Event, MessageEvent},
};
use std::{io::Read as _, time::Instant};

pub(crate) fn send(common: &Common, options: &SendMessage, printer: &Printer) -> Outcome {
    let to = config::uri(&options.uri)
        .ok_or_else(|| Failure::new(Exit::Usage, format!("{:?} is no SIP URI", options.uri)))?;
    let mut message = Message::new(to, text(&options.text)?);
    if let Some(content_type) = &options.content_type {
        message.content_type.clone_from(content_type);
    }
    let mut agent = Agent::start(common, config::read(common, None)?, printer)?;
    let id = account::asked(
        agent
            .runtime
            .call(|agent, now| agent.send_message(now, message)),
    )?;
    let deadline = Instant::now() + common.timeout.unwrap_or(account::PATIENCE);
    let result = account::wait(&mut agent, printer, deadline, |event| match event {
        Event::Message(own, MessageEvent::GotResponse { code, reason, .. }) if *own == id => {
            Some(match code {
                200..300 => Ok(json!({ "code": code, "reason": reason })),
                _ => Err(account::failure(*code, reason, false)),
            })
        }
        _ => None,
    })?;
    agent.stop(printer);
    Ok(result)
}

/// The text itself, or what stands on stdin.
fn text(text: &str) -> Result<String, Failure> {
    if text != "-" {
        return Ok(text.to_owned());
    }
    let mut read = String::new();
    std::io::stdin()
        .read_to_string(&mut read)
        .map_err(|error| Failure::new(Exit::Configuration, format!("stdin: {error}")))?;
    Ok(read)
}

pub(crate) fn receive(common: &Common, options: &ReceiveMessages, printer: &Printer) -> Outcome {
    let mut agent = Agent::start(common, config::read(common, None)?, printer)?;
    agent.print_listening(printer);
    if options.register {
        register::register(&mut agent, common, printer)?;
    }
    let deadline = common.timeout.map(|time| Instant::now() + time);
    let mut received = 0_u64;
    let result = loop {
        if options.count.is_some_and(|count| received >= count) {
            break Ok(json!({ "received": received }));
        }
        let until = deadline.unwrap_or_else(|| Instant::now() + account::PATIENCE);
        match agent.next_before(until) {
            Wait::Event(notification) => {
                printer.notification(&notification);
                if let Event::Message(_, MessageEvent::GotMessage(_)) = notification.event {
                    received += 1;
                }
            }
            Wait::Late if deadline.is_some() => {
                let late = Failure::new(Exit::TimedOut, "no message in time");
                break Err(late.with(json!({ "received": received })));
            }
            Wait::Late | Wait::Nothing => {}
            Wait::Interrupted => {
                let stopped = Failure::new(Exit::Interrupted, "interrupted");
                break Err(stopped.with(json!({ "received": received })));
            }
            Wait::Over => return Err(agent::ended()),
        }
    };
    agent.stop(printer);
    result
}
