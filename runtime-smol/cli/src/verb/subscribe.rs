//! `sipsimple subscribe`: hears of somebody's state.

use super::account;
use crate::{
    agent::{self, Agent, Wait},
    config,
    options::{Common, Subscribe},
    outcome::{Exit, Failure, Outcome},
    print::Printer,
};
use serde_json::{Value, json};
use sipsimple::{
    agent as library,
    event::{Event, SubscriptionEvent},
};
use std::time::{Duration, Instant};

pub(crate) fn run(common: &Common, options: &Subscribe, printer: &Printer) -> Outcome {
    let to = config::uri(&options.uri)
        .ok_or_else(|| Failure::new(Exit::Usage, format!("{:?} is no SIP URI", options.uri)))?;
    let mut subscribe = library::Subscribe::new(to, options.event.as_str());
    subscribe.accept.clone_from(&options.accept);
    subscribe.event_list = options.event_list;
    subscribe.expires = match options.once {
        true => Duration::ZERO,
        false => options.expires.unwrap_or(subscribe.expires),
    };
    let mut agent = Agent::start(common, config::read(common, None)?, printer)?;
    let asked = agent
        .runtime
        .call(|agent, now| agent.subscribe(now, subscribe));
    let refused = |error: library::SubscribeError| {
        let exit = match error {
            library::SubscribeError::Refused(_) => Exit::Usage,
            _ => Exit::Internal,
        };
        Failure::new(exit, error.to_string())
    };
    asked.ok_or_else(agent::ended)?.map_err(refused)?;
    let mut heard = Heard::default();
    let result = watch(&mut agent, common, options.once, printer, &mut heard);
    agent.stop(printer);
    let data = heard.data();
    match result {
        Ok(()) => Ok(data),
        Err(failure) => Err(agent.explain(failure).with(data)),
    }
}

/// What was heard.
#[derive(Default)]
struct Heard {
    has_succeeded: bool,
    reports: u64,
    last: Value,
}

impl Heard {
    fn data(&self) -> Value {
        json!({ "notifies": self.reports, "last": self.last })
    }
}

/// Listens until the subscription or the time is over, or the user has enough.
fn watch(
    agent: &mut Agent,
    common: &Common,
    is_once: bool,
    printer: &Printer,
    heard: &mut Heard,
) -> Result<(), Failure> {
    let deadline = match (common.timeout, is_once) {
        (Some(time), _) => Some(Instant::now() + time),
        (None, true) => Some(Instant::now() + account::PATIENCE),
        (None, false) => None,
    };
    loop {
        let until = deadline.unwrap_or_else(|| Instant::now() + account::PATIENCE);
        let notification = match agent.next_before(until) {
            Wait::Event(notification) => notification,
            Wait::Late if deadline.is_some() => {
                return match !is_once && heard.reports > 0 {
                    true => Ok(()),
                    false => Err(Failure::new(Exit::TimedOut, "no report in time")),
                };
            }
            Wait::Late | Wait::Nothing => continue,
            Wait::Interrupted => return Err(Failure::new(Exit::Interrupted, "interrupted")),
            Wait::Over => return Err(agent::ended()),
        };
        printer.notification(&notification);
        let Event::Subscription(_, event) = &notification.event else {
            continue;
        };
        match event {
            SubscriptionEvent::DidSucceed => heard.has_succeeded = true,
            SubscriptionEvent::GotNotify { .. } => {
                heard.reports += 1;
                heard.last = notification.event.data();
            }
            // What stood once is tried again as long as that makes sense.
            SubscriptionEvent::DidFail {
                error,
                code,
                reason,
                is_authentication,
                retry_after,
                ..
            } if !heard.has_succeeded || retry_after.is_none() => {
                return Err(failure(*code, reason.as_deref(), error, *is_authentication));
            }
            SubscriptionEvent::DidEnd => return Ok(()),
            _ => {}
        }
    }
}

/// What an end that was not asked for means.
fn failure(
    code: Option<u16>,
    reason: Option<&str>,
    error: &str,
    is_authentication: bool,
) -> Failure {
    match code {
        // The words of a lookup or a transport say more than the code that stands for them.
        Some(503) if !error.starts_with("refused") => account::failure(503, error, false),
        Some(code) => account::failure(code, reason.unwrap_or(error), is_authentication),
        None if error.starts_with("terminated") => Failure::new(Exit::Rejected, error),
        None => Failure::new(Exit::TimedOut, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_their_exits() {
        let exit = |code, error| failure(code, None, error, false).exit;
        assert_eq!(exit(None, "terminated: rejected"), Exit::Rejected);
        assert_eq!(exit(None, "no NOTIFY"), Exit::TimedOut);
        assert_eq!(exit(Some(489), "refused"), Exit::Rejected);
        assert_eq!(exit(Some(408), "timeout"), Exit::TimedOut);
        assert_eq!(exit(Some(503), "refused"), Exit::Rejected);
        assert_eq!(exit(Some(503), "transport failure"), Exit::Transport);
        let lookup = exit(Some(503), "name resolution: not found");
        assert_eq!(lookup, Exit::Resolution);
        assert_eq!(
            failure(Some(407), None, "", true).exit,
            Exit::Authentication
        );
    }
}
