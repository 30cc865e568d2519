//! What the verbs of accounts share: waiting for a result, and what it means.

use crate::{
    agent::{self, Agent, Wait},
    outcome::{Exit, Failure, of_call},
    print::Printer,
};
use sipsimple::{agent::AccountError, event::Event};
use std::time::{Duration, Instant};

/// How a verb that stays came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    Over,
    Interrupted,
}

/// Waits for the event that `choose` takes.
pub(super) fn wait<T>(
    agent: &mut Agent,
    printer: &Printer,
    deadline: Instant,
    mut choose: impl FnMut(&Event) -> Option<Result<T, Failure>>,
) -> Result<T, Failure> {
    let result = loop {
        match agent.next_before(deadline) {
            Wait::Event(notification) => {
                printer.notification(&notification);
                if let Some(chosen) = choose(&notification.event) {
                    break chosen;
                }
            }
            Wait::Late => break Err(Failure::new(Exit::TimedOut, "no answer in time")),
            Wait::Interrupted => break Err(Failure::new(Exit::Interrupted, "interrupted")),
            Wait::Over => return Err(agent::ended()),
            Wait::Nothing => {}
        }
    };
    if result.is_err() {
        agent.stop(printer);
    }
    result.map_err(|failure| agent.explain(failure))
}

/// What a command that is refused means.
pub(super) fn asked<T>(reply: Option<Result<T, AccountError>>) -> Result<T, Failure> {
    let refused = |error: AccountError| {
        let exit = match error {
            AccountError::NoAddress | AccountError::TooLarge => Exit::Usage,
            _ => Exit::Transport,
        };
        Failure::new(exit, error.to_string())
    };
    reply.ok_or_else(agent::ended)?.map_err(refused)
}

/// What a final response, or the lack of one, means.
pub(super) fn failure(code: u16, reason: &str, is_authentication: bool) -> Failure {
    let exit = match is_authentication {
        true => Exit::Authentication,
        false => of_call(code, reason),
    };
    Failure::new(exit, format!("{code} {reason}"))
}

/// Longer than any transaction.
pub(super) const PATIENCE: Duration = Duration::from_secs(40);
