//! `sipsimple bench`: how fast the stack is on this machine, measured from outside.

mod ice;
mod load;
mod memory;
mod messages;
mod server;
mod srtp;
mod text;
mod thread;

use crate::{
    options::{Bench, What},
    outcome::{Exit, Failure, Outcome},
    print::Printer,
};
use load::{Kind, Load};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) fn run(options: &Bench, printer: &Printer) -> Outcome {
    if options.seconds.is_zero() {
        return Err(Failure::new(
            Exit::Usage,
            "--seconds: nothing can be measured",
        ));
    }
    let data = match options.what {
        What::Parse => messages::parse(options.seconds),
        What::Print => messages::print(options.seconds),
        What::Transactions => exchange(Kind::Messages, options.seconds)?,
        What::Calls => exchange(Kind::Calls, options.seconds)?,
        What::Srtp => srtp::seal(options.seconds),
        What::Ice => {
            let failed = |error| Failure::new(Exit::Internal, error);
            ice::find(options.seconds).map_err(failed)?
        }
        What::Memory => memory::weigh(options.count)?,
    };
    for line in lines(&data) {
        printer.say(&line);
    }
    Ok(data)
}

/// Drives a server on one core from a generator on another.
fn exchange(kind: Kind, time: Duration) -> Result<Value, Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Transport, error.to_string());
    let server = server::Server::start().map_err(failed)?;
    let load = Load::start(server.address(), kind, time).map_err(failed)?;
    let did = load.wait()?;
    let served = server.stop()?;
    let units = did.done.max(1) as f64;
    let micros =
        |time: Option<Duration>| time.map(|time| rounded(time.as_secs_f64() * 1e6 / units));
    Ok(json!({
        "transport": "udp",
        "done": did.done,
        "lost": did.lost,
        "per_second": (did.done as f64 / did.time.as_secs_f64()).round(),
        "kept": served.kept,
        "server_cpu_us": micros(served.cpu),
        "generator_cpu_us": micros(did.cpu),
        "server_core": served.core,
        "generator_core": did.core,
    }))
}

/// Figures for people, a line each.
fn lines(data: &Value) -> Vec<String> {
    let fields = data.as_object().into_iter().flatten();
    fields
        .map(|(name, value)| match value {
            Value::Null => format!("{name:20} not known here"),
            value => format!("{name:20} {value}"),
        })
        .collect()
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
