//! `sipsimple tls`: the certificate of a server, and why it is trusted or not.

use super::account;
use crate::{
    agent::{self, Agent, Wait},
    config,
    options::{Common, Server},
    outcome::{self, Exit, Failure, Outcome},
    print::Printer,
};
use serde_json::{Value, json};
use sipsimple::{
    base::{HostPort, LinkError, TlsError},
    event::{AgentEvent, Event, OptionsEvent},
    tls::Certificate,
};
use std::time::Instant;

pub(crate) fn run(common: &Common, options: &Server, printer: &Printer) -> Outcome {
    if common.tls.no_tls {
        return Err(Failure::new(
            Exit::Usage,
            "--no-tls leaves nothing to look at",
        ));
    }
    let host: HostPort = options
        .host
        .parse()
        .map_err(|_| Failure::new(Exit::Usage, format!("{:?} is no host", options.host)))?;
    let uri = config::uri(&format!("sips:{host}"))
        .ok_or_else(|| Failure::new(Exit::Usage, format!("{host} cannot be asked")))?;
    let mut agent = Agent::start(common, config::read(common, None)?, printer)?;
    // Whatever is answered: what counts is the handshake before the question.
    let asked = agent
        .runtime
        .call(move |agent, now| agent.options(now, None, uri));
    let request = asked
        .ok_or_else(agent::ended)?
        .map_err(|error| Failure::new(Exit::Transport, error.to_string()))?;
    let deadline = Instant::now() + common.timeout.unwrap_or(account::PATIENCE);
    let mut servers: Vec<Value> = Vec::new();
    let result = loop {
        match agent.next_before(deadline) {
            Wait::Event(notification) => {
                printer.machine(&notification);
                match notification.event {
                    Event::Agent(event) => {
                        if let Some(verdict) = verdict(&event, common.tls.insecure_tls) {
                            printer.say(&verdict.text);
                            servers.push(verdict.data);
                            if verdict.is_trusted {
                                break Ok(());
                            }
                        }
                    }
                    // The last server that there was.
                    Event::Options(id, OptionsEvent::DidFail { code, reason }) if id == request => {
                        break Err(Failure::new(outcome::of_call(code, &reason), reason));
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
    let data = json!({ "servers": servers });
    match result {
        Ok(()) => Ok(data),
        Err(failure) => Err(agent.explain(failure).with(data)),
    }
}

/// What is said about a server.
struct Verdict {
    is_trusted: bool,
    text: String,
    data: Value,
}

fn verdict(event: &AgentEvent, is_insecure: bool) -> Option<Verdict> {
    Some(match event {
        AgentEvent::TlsDidStart {
            peer,
            wanted,
            security,
            ..
        } => {
            let judged = match is_insecure {
                true => "accepted without verification",
                false => "trusted",
            };
            let (version, suite) = (&security.version, &security.suite);
            Verdict {
                is_trusted: true,
                text: format!(
                    "{peer}, {version} {suite}\n{}wanted {wanted}: {judged}",
                    chain(&security.chain)
                ),
                data: json!({
                    "peer": peer, "wanted": wanted, "trusted": !is_insecure, "version": version,
                    "suite": suite, "chain": security.chain,
                }),
            }
        }
        AgentEvent::TlsDidFail {
            peer,
            wanted,
            error,
            presented,
            ..
        } => {
            let mut text = format!("{peer}\n{}wanted {wanted}: {error}", chain(presented));
            let advice = advice(*error, presented.first());
            if let Some(advice) = advice {
                text.push_str(&format!("\n{advice}"));
            }
            Verdict {
                is_trusted: false,
                text,
                data: json!({
                    "peer": peer, "wanted": wanted, "trusted": false, "error": error.to_string(),
                    "advice": advice, "chain": presented,
                }),
            }
        }
        _ => return None,
    })
}

/// A certificate a line, the server's own first.
fn chain(certificates: &[Certificate]) -> String {
    let mut lines = certificates.iter().enumerate();
    let line = |(at, certificate): (usize, &Certificate)| format!("{at:>3}. {certificate}\n");
    lines.by_ref().map(line).collect()
}

/// What a person can do about it.
fn advice(error: LinkError, own: Option<&Certificate>) -> Option<&'static str> {
    let LinkError::Tls(error) = error else {
        return None;
    };
    Some(match error {
        TlsError::WrongName => match own {
            Some(own) if own.uris.is_empty() && own.dns.is_empty() && own.addresses.is_empty() => {
                "it has no alternative names, and the common name proves nothing (RFC 5922, 7.1)"
            }
            Some(own) if own.dns.iter().any(|name| name.starts_with("*.")) => {
                "SIP has no wildcards (RFC 5922, 7.2); --tls-wildcard accepts them"
            }
            _ => "it has to name the domain that was asked for; --tls-name wants another name",
        },
        TlsError::UnknownIssuer => "--tls-ca FILE trusts the authorities in a file",
        TlsError::WrongPurpose => {
            "its extended key usage has to contain serverAuth or anyExtendedKeyUsage"
        }
        TlsError::NoCommonVersion => "we speak TLS 1.2 and 1.3",
        _ => return None,
    })
}
