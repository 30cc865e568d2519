//! `sipsimple publish`: event state for a server to hand on.

use super::account;
use crate::{
    agent::{self, Agent, Wait},
    config,
    options::{Common, Publish, Status},
    outcome::{Exit, Failure, Outcome},
    print::Printer,
};
use serde_json::json;
use sipsimple::{
    agent as library,
    event::{Event, PublicationEvent},
    sip::usage::publication::State,
};
use std::time::Instant;

pub(crate) fn run(common: &Common, options: &Publish, printer: &Printer) -> Outcome {
    let mut config = config::read(common, None)?;
    if let Some(expires) = options.expires {
        for account in &mut config.accounts {
            account.publish_expires = expires;
        }
    }
    let account = config.accounts.first();
    let Some(address) = account.and_then(|account| account.uri.as_ref()) else {
        return Err(Failure::new(Exit::Usage, "--account is missing"));
    };
    let publish = content(options, address.as_str())?;
    let event = publish.event.clone();
    let mut agent = Agent::start(common, config, printer)?;
    let asked = agent.runtime.call(|agent, now| agent.publish(now, publish));
    account::asked(asked)?;
    let code = reach(&mut agent, common, printer, State::Published)?;
    if options.stay {
        let deadline = common.timeout.map(|time| Instant::now() + time);
        loop {
            let until = deadline.unwrap_or_else(|| Instant::now() + account::PATIENCE);
            match agent.next_before(until) {
                Wait::Event(notification) => printer.notification(&notification),
                Wait::Late if deadline.is_some() => break,
                Wait::Late | Wait::Nothing => {}
                Wait::Interrupted => break,
                Wait::Over => return Err(agent::ended()),
            }
        }
        if agent
            .runtime
            .call(move |agent, now| agent.unpublish(now, None, &event))
            .is_none()
        {
            return Err(agent::ended());
        }
        reach(&mut agent, common, printer, State::Unpublished)?;
        agent.stop(printer);
    } else {
        // What is published shall outlive it.
        agent.leave();
    }
    Ok(json!({ "code": code }))
}

/// Waits for a state.
fn reach(
    agent: &mut Agent,
    common: &Common,
    printer: &Printer,
    wanted: State,
) -> Result<u16, Failure> {
    let deadline = Instant::now() + common.timeout.unwrap_or(account::PATIENCE);
    account::wait(agent, printer, deadline, |event| match event {
        Event::Publication(
            _,
            PublicationEvent::ChangedState {
                state,
                code: Some(code),
                reason,
                ..
            },
        ) => match (*state == wanted, code) {
            (true, 200..300) => Some(Ok(*code)),
            (_, 300..) => {
                let reason = reason.as_deref().unwrap_or_default();
                Some(Err(account::failure(*code, reason, false)))
            }
            _ => None,
        },
        _ => None,
    })
}

/// A file, or a presence document of one line.
fn content(options: &Publish, entity: &str) -> Result<library::Publish, Failure> {
    if let (Some(event), Some(content_type)) = (&options.event, &options.content_type) {
        let body = std::fs::read(&options.what).map_err(|error| {
            Failure::new(Exit::Configuration, format!("{}: {error}", options.what))
        })?;
        return Ok(library::Publish::new(event, content_type, body));
    }
    if options.what != "presence" {
        let text = "a file needs --event and --content-type";
        return Err(Failure::new(Exit::Usage, text));
    }
    let basic = match options.status {
        Status::Open => "open",
        Status::Closed => "closed",
    };
    let note = options
        .note
        .as_deref()
        .map(|note| format!("<note>{}</note>", escaped(note)))
        .unwrap_or_default();
    let pidf = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"{}\">\
         <tuple id=\"t1\"><status><basic>{basic}</basic></status>{note}</tuple></presence>",
        escaped(entity)
    );
    Ok(library::Publish::new(
        "presence",
        "application/pidf+xml",
        pidf,
    ))
}

/// Text as XML writes it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_cannot_leave_its_element() {
        assert_eq!(escaped("a<b & \"c\">"), "a&lt;b &amp; &quot;c&quot;&gt;");
    }
}
