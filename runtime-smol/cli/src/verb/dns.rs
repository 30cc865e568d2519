//! `sipsimple dns`: where a URI leads, and who said so.

use super::account;
use crate::{
    agent::{self, Agent, Wait},
    config,
    options::{Common, Dns},
    outcome::{Exit, Failure, Outcome},
    print::Printer,
};
use serde_json::{Value, json};
use sipsimple::{
    base::HostPort,
    dns::{Found, Service},
    event::{Event, LookupEvent},
    stream::Lookup,
};
use std::time::Instant;

pub(crate) fn run(common: &Common, options: &Dns, printer: &Printer) -> Outcome {
    let what = lookup(&options.uri).ok_or_else(|| {
        let text = format!(
            "{:?} is no URI of SIP, STUN, TURN, MSRP relays or XCAP",
            options.uri
        );
        Failure::new(Exit::Usage, text)
    })?;
    let mut agent = Agent::start(common, config::read(common, None)?, printer)?;
    printer.say(&options.uri);
    let asked = agent
        .runtime
        .call(move |agent, now| agent.lookup(now, what));
    let lookup = asked
        .ok_or_else(agent::ended)?
        .map_err(|error| Failure::new(Exit::Resolution, error.to_string()))?;
    let deadline = Instant::now() + common.timeout.unwrap_or(account::PATIENCE);
    let mut queries: Vec<Value> = Vec::new();
    let result = loop {
        match agent.next_before(deadline) {
            Wait::Event(notification) => {
                let event = &notification.event;
                printer.machine(&notification);
                match event {
                    Event::Lookup(id, LookupEvent::Trace { .. }) if *id == lookup => {
                        let query = event.data();
                        printer.say(&shown(&query));
                        queries.push(query);
                    }
                    Event::Lookup(id, LookupEvent::DidSucceed { result }) if *id == lookup => {
                        break Ok(result.clone());
                    }
                    Event::Lookup(id, LookupEvent::DidFail { error }) if *id == lookup => {
                        break Err(Failure::new(Exit::Resolution, error.to_string()));
                    }
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
    let mut data = json!({ "queries": queries });
    match result {
        Ok(found) => {
            for line in places(&found) {
                printer.say(&line);
            }
            data["result"] = serde_json::to_value(found).unwrap_or_default();
            Ok(data)
        }
        Err(failure) => Err(failure.with(data)),
    }
}

/// What is asked for: a SIP URI, or `stun:`, `turn:`, `turns:`, `msrprelay:` with a host, or `xcap:`
/// with a domain.
fn lookup(text: &str) -> Option<Lookup> {
    let Some((scheme, rest)) = text.split_once(':') else {
        return config::uri(text).map(|uri| Lookup::Sip { uri });
    };
    let services = [
        Service::MsrpRelay,
        Service::Stun,
        Service::Turn,
        Service::Turns,
    ];
    if let Some(service) = services.into_iter().find(|known| known.name() == scheme) {
        let HostPort { host, port } = rest.parse().ok()?;
        return Some(Lookup::Service {
            service,
            host,
            port,
        });
    }
    match scheme {
        "xcap" => rest.parse().ok().map(|domain| Lookup::Xcap { domain }),
        _ => config::uri(text).map(|uri| Lookup::Sip { uri }),
    }
}

/// A query as a branch of the tree: its records below it, or why there are none.
fn shown(query: &Value) -> String {
    let text = |name: &str| query[name].as_str().unwrap_or_default();
    let list = |name: &str| -> Vec<&str> {
        let items = query[name].as_array();
        items
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    };
    let servers = match list("nameservers")[..] {
        [] => "known already".to_owned(),
        ref servers => format!("asked {}", servers.join(", ")),
    };
    let mut lines = vec![format!(
        "+- {} {}  ({servers})",
        text("query_type"),
        text("query_name")
    )];
    let records = list("answer");
    lines.extend(records.iter().map(|record| format!("|    {record}")));
    if let Some(error) = query["error"].as_str() {
        lines.push(format!("|    {error}"));
    }
    lines.join("\n")
}

/// What was found, in the order in which it is tried.
fn places(found: &Found) -> Vec<String> {
    match found {
        Found::Targets(targets) => {
            let line = |(at, target): (usize, &sipsimple::base::Target)| {
                let (transport, address, name) = (target.transport, target.address, &target.name);
                format!("{:>3}. {transport} {address}  for {name}", at + 1)
            };
            targets.iter().enumerate().map(line).collect()
        }
        Found::Uris(uris) => uris.iter().map(|uri| format!("  {uri}")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_has_a_scheme_or_is_sip() {
        for (text, expected) in [
            ("bob@example.com", "Sip"),
            ("sips:example.com", "Sip"),
            ("stun:example.com", "Service"),
            ("turns:192.0.2.1:5349", "Service"),
            ("xcap:example.com", "Xcap"),
        ] {
            let found = format!("{:?}", lookup(text).unwrap());
            assert!(found.starts_with(expected), "{text}: {found}");
        }
        assert!(lookup("http://example.com/").is_none());
    }

    #[test]
    fn a_query_is_a_branch() {
        let query = json!({
            "query_type": "A",
            "query_name": "sip.example.",
            "nameservers": ["192.0.2.1:53"],
            "answer": ["60 A 192.0.2.7"],
            "error": null,
        });
        assert_eq!(
            shown(&query),
            "+- A sip.example.  (asked 192.0.2.1:53)\n|    60 A 192.0.2.7"
        );
        let known = json!({"query_type": "A", "query_name": "b.", "error": "no such name"});
        assert_eq!(shown(&known), "+- A b.  (known already)\n|    no such name");
    }
}
