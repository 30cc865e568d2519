//! `sipsimple register`: tells the registrar where we are.

use super::account::{self, Standing};
use crate::{
    agent::{self, Agent, Wait},
    config,
    options::{Common, Register},
    outcome::{Exit, Failure, Outcome},
    print::Printer,
};
use serde_json::{Value, json};
use sipsimple::event::{AccountEvent, Event};
use std::time::Instant;

pub(crate) fn run(common: &Common, options: &Register, printer: &Printer) -> Outcome {
    let mut config = config::read(common, None)?;
    if let Some(expires) = options.expires {
        for account in &mut config.accounts {
            account.register_expires = expires;
        }
    }
    let mut agent = Agent::start(common, config, printer)?;
    let mut data = register(&mut agent, common, printer)?;
    if options.unregister {
        unregister(&mut agent, common, printer)?;
        data["unregistered"] = true.into();
    } else if options.stay {
        let standing = stay(&mut agent, common, printer)?;
        if standing == Standing::Interrupted {
            unregister(&mut agent, common, printer)?;
            return Err(Failure::new(Exit::Interrupted, "interrupted").with(data));
        }
    }
    match options.unregister || options.stay {
        // It shuts down as it is: the binding shall outlive it.
        false => agent.leave(),
        true => agent.stop(printer),
    }
    Ok(data)
}

/// Registers, and waits for the result.
pub(super) fn register(
    agent: &mut Agent,
    common: &Common,
    printer: &Printer,
) -> Result<Value, Failure> {
    account::asked(agent.runtime.call(|agent, now| agent.register(now, None)))?;
    let deadline = Instant::now() + common.timeout.unwrap_or(account::PATIENCE);
    account::wait(agent, printer, deadline, |event| match event {
        Event::Account(_, AccountEvent::RegistrationDidSucceed { .. }) => Some(Ok(event.data())),
        Event::Account(
            _,
            AccountEvent::RegistrationDidFail {
                error,
                code,
                is_authentication,
                ..
            },
        ) => Some(Err(account::failure(*code, error, *is_authentication))),
        _ => None,
    })
}

fn unregister(agent: &mut Agent, common: &Common, printer: &Printer) -> Result<(), Failure> {
    if agent
        .runtime
        .call(|agent, now| agent.unregister(now, None))
        .is_none()
    {
        return Err(agent::ended());
    }
    let deadline = Instant::now() + common.timeout.unwrap_or(account::PATIENCE);
    account::wait(agent, printer, deadline, |event| match event {
        Event::Account(_, AccountEvent::RegistrationDidEnd { .. }) => Some(Ok(())),
        Event::Account(_, AccountEvent::RegistrationDidNotEnd { code, reason, .. }) => {
            Some(Err(account::failure(*code, reason, false)))
        }
        _ => None,
    })
}

/// Stays registered until the time is over, or the user has enough.
fn stay(agent: &mut Agent, common: &Common, printer: &Printer) -> Result<Standing, Failure> {
    printer.event("registered", json!({}));
    let deadline = common.timeout.map(|time| Instant::now() + time);
    loop {
        let until = deadline.unwrap_or_else(|| Instant::now() + account::PATIENCE);
        match agent.next_before(until) {
            Wait::Event(notification) => printer.notification(&notification),
            Wait::Late if deadline.is_some() => return Ok(Standing::Over),
            Wait::Late | Wait::Nothing => {}
            Wait::Interrupted => return Ok(Standing::Interrupted),
            Wait::Over => return Err(agent::ended()),
        }
    }
}
