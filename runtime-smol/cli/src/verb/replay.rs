//! `sipsimple replay`: a flight recording, run again.

use crate::{
    options::Replay,
    outcome::{Exit, Failure, Outcome},
    print::Printer,
};
use serde_json::json;
use sipsimple::{agent::replay, stream::audio::AudioFactory};
use std::time::Instant;

pub(crate) fn run(options: &Replay, printer: &Printer) -> Outcome {
    let name = options.file.display();
    let bytes = std::fs::read(&options.file)
        .map_err(|error| Failure::new(Exit::Configuration, format!("{name}: {error}")))?;
    let report = replay(Instant::now(), &bytes, vec![Box::new(AudioFactory::new())])
        .map_err(|error| Failure::new(Exit::Configuration, format!("{name}: {error}")))?;
    let data = json!({
        "inputs": report.inputs,
        "commands": report.commands,
        "outputs": report.outputs,
        "seconds": report.duration.as_secs_f64(),
    });
    match report.difference {
        None => {
            printer.say(&format!(
                "the same: {} outputs of {} inputs and {} commands",
                report.outputs, report.inputs, report.commands
            ));
            Ok(data)
        }
        Some(difference) => {
            let line = |line: Option<String>| line.unwrap_or_else(|| "(nothing)".to_owned());
            let reason = format!(
                "{name}:{}: different\nrecorded: {}\nreplayed: {}",
                difference.line,
                line(difference.recorded),
                line(difference.replayed)
            );
            Err(Failure::new(Exit::Internal, reason).with(data))
        }
    }
}
