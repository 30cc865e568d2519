//! `sipsimple nat`: what stands between us and a STUN server.

use super::account;
use crate::{
    agent::{self, Agent, Wait},
    config,
    options::{Common, Nat},
    outcome::{Exit, Failure, Outcome},
    print::Printer,
};
use serde_json::{Value, json};
use sipsimple::event::{Event, NatDetectionError, NatDetectionEvent};
use std::time::Instant;

pub(crate) fn run(common: &Common, options: &Nat, printer: &Printer) -> Outcome {
    let mut agent = Agent::start(common, config::read(common, None)?, printer)?;
    let server = options.stun.clone();
    let asked = agent
        .runtime
        .call(move |agent, now| agent.detect_nat_type(now, server, Value::Null));
    let detection = asked
        .ok_or_else(agent::ended)?
        .map_err(|error| Failure::new(Exit::Internal, error.to_string()))?;
    let deadline = Instant::now() + common.timeout.unwrap_or(account::PATIENCE);
    let result = loop {
        match agent.next_before(deadline) {
            Wait::Event(notification) => {
                printer.machine(&notification);
                match &notification.event {
                    Event::NatDetection(id, told) if *id == detection => break found(told),
                    _ => {}
                }
            }
            Wait::Late => break Err(Failure::new(Exit::TimedOut, "no answer in time")),
            Wait::Interrupted => break Err(Failure::new(Exit::Interrupted, "interrupted")),
            Wait::Over => return Err(agent::ended()),
            Wait::Nothing => {}
        }
    };
    agent.stop(&printer.only_machine());
    let data = match &result {
        Ok(data) => data,
        Err(failure) => &failure.data,
    };
    for line in lines(data) {
        printer.say(&line);
    }
    result
}

/// The last line: the class, and what it was made of.
fn found(told: &NatDetectionEvent) -> Outcome {
    let NatDetectionEvent::DetectedNatType {
        nat_type,
        error,
        behaviour,
        ..
    } = told
    else {
        return Err(Failure::new(Exit::Internal, "an event of another kind"));
    };
    if let Some(error) = error {
        let exit = match error {
            NatDetectionError::Lookup(_) => Exit::Resolution,
            NatDetectionError::Ended => Exit::Internal,
            _ => Exit::Transport,
        };
        return Err(Failure::new(exit, error.to_string()));
    }
    let mut data = serde_json::to_value(behaviour).unwrap_or_default();
    data["nat_type"] = json!(nat_type);
    match data["mapped_address"].is_null() {
        true => Err(Failure::new(Exit::TimedOut, "the STUN server does not answer").with(data)),
        false => Ok(data),
    }
}

/// What was found, for people.
fn lines(data: &Value) -> Vec<String> {
    let line = |(name, field): (&str, &str)| {
        let value = data.get(field)?;
        let text = value.as_str().unwrap_or("not known");
        Some(format!("{name:15} {text}"))
    };
    [
        ("server", "server"),
        ("other address", "other_address"),
        ("we ask from", "local_address"),
        ("it sees", "mapped_address"),
        ("mapping", "mapping"),
        ("filtering", "filtering"),
        ("class", "nat_type"),
    ]
    .into_iter()
    .filter_map(line)
    .collect()
}
