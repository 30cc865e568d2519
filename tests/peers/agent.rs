//! The program that is tested: `sipsimple`.

use crate::{Lab, Outcome, network::Place, process::Process};
use serde_json::Value;
use std::{ffi::OsStr, time::Duration};

/// A running `sipsimple`.
#[derive(Debug)]
pub(crate) struct Agent {
    process: Process,
    next: usize,
}

/// An event that it told.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// Seconds since it began.
    pub(crate) at: f64,
    pub(crate) data: Value,
}

/// Its last line.
#[derive(Clone, Debug)]
pub(crate) struct Last {
    pub(crate) exit: i64,
    pub(crate) reason: String,
    pub(crate) data: Value,
}

impl Agent {
    /// Starts a verb with its options, and waits until it listens.
    pub(crate) fn start<S: AsRef<OsStr>>(
        lab: &Lab,
        place: &Place,
        name: &str,
        port: u16,
        options: impl IntoIterator<Item = S>,
    ) -> Outcome<Self> {
        let bind = place.address().to_string();
        let options: Vec<S> = options.into_iter().collect();
        let options = options.iter().map(AsRef::as_ref);
        let bound = options.chain(["--bind", bind.as_str()].map(OsStr::new));
        Self::start_anywhere(lab, place, name, port, bound)
    }

    /// Starts a verb that listens where a default route leads.
    pub(crate) fn start_anywhere<S: AsRef<OsStr>>(
        lab: &Lab,
        place: &Place,
        name: &str,
        port: u16,
        options: impl IntoIterator<Item = S>,
    ) -> Outcome<Self> {
        let mut agent = Self::start_unheard(lab, place, name, port, options)?;
        agent.event("listening", Duration::from_secs(5))?;
        Ok(agent)
    }

    /// Starts a verb that does not say when it listens.
    pub(crate) fn start_unheard<S: AsRef<OsStr>>(
        lab: &Lab,
        place: &Place,
        name: &str,
        port: u16,
        options: impl IntoIterator<Item = S>,
    ) -> Outcome<Self> {
        let mut command = place.command(&lab.binary);
        let port = port.to_string();
        command.args(options).arg("--json");
        command.args(["--udp-port", &port, "--tcp-port", &port]);
        let process = Process::start(name, command, &lab.directory)?;
        Ok(Self { process, next: 0 })
    }

    /// Waits for the next event of that name.
    pub(crate) fn event(&mut self, name: &str, limit: Duration) -> Outcome<Event> {
        let found = self.process.wait_for(&mut self.next, limit, |line| {
            let value: Value = serde_json::from_str(line).ok()?;
            (value["event"] == name).then(|| Event::of(&value))
        });
        found.ok_or_else(|| format!("sipsimple told no {name} within {limit:?}"))
    }

    /// Returns all events of that name so far.
    pub(crate) fn events(&self, name: &str) -> Vec<Event> {
        let lines = self.process.lines();
        let found = lines.iter().filter_map(|line| {
            let value: Value = serde_json::from_str(line).ok()?;
            (value["event"] == name).then(|| Event::of(&value))
        });
        found.collect()
    }

    /// Returns the first event of that name, if there was one.
    pub(crate) fn first(&self, name: &str) -> Option<Event> {
        self.events(name).into_iter().next()
    }

    /// Kills it without its knowing: it is silent from here on.
    pub(crate) fn freeze(&self) -> Outcome<()> {
        self.process.freeze()
    }

    /// Asks it to end, as its user does, and returns the last line.
    pub(crate) fn interrupt(&mut self) -> Outcome<Last> {
        self.process.end()?;
        self.finish(Duration::from_secs(1))
    }

    /// Waits for the end and returns the last line.
    pub(crate) fn finish(&mut self, limit: Duration) -> Outcome<Last> {
        let status = self.process.wait(limit)?;
        let lines = self.process.lines();
        let last: Value = lines
            .last()
            .and_then(|line| serde_json::from_str(line).ok())
            .ok_or_else(|| format!("sipsimple ended without a last line: {status}"))?;
        let exit = last["exit"].as_i64().ok_or("the last line has no exit")?;
        if status.code().map(i64::from) != Some(exit) {
            return Err(format!("the last line says {exit}, the program {status}"));
        }
        Ok(Last {
            exit,
            reason: last["reason"].as_str().unwrap_or_default().to_owned(),
            data: last["data"].clone(),
        })
    }
}

impl Event {
    fn of(line: &Value) -> Self {
        Self {
            at: line["t"].as_f64().unwrap_or_default(),
            data: line["data"].clone(),
        }
    }
}

impl Last {
    /// Says whether all counters of `stats` are zero, and which are not.
    pub(crate) fn rest(&self) -> (bool, String) {
        let mut count = 0;
        let mut alive = Vec::new();
        walk("", &self.data["stats"], &mut |name, value| {
            count += 1;
            if value != 0 {
                alive.push(format!("{name}={value}"));
            }
        });
        match (count, alive.as_slice()) {
            (0, _) => (false, "no stats".to_owned()),
            (_, []) => (true, format!("all {count} counters 0")),
            (_, alive) => (false, alive.join(" ")),
        }
    }
}

fn walk(name: &str, value: &Value, found: &mut impl FnMut(&str, i64)) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let name = if name.is_empty() {
                    field.clone()
                } else {
                    format!("{name}.{field}")
                };
                walk(&name, value, found);
            }
        }
        Value::Number(number) => found(name, number.as_i64().unwrap_or(-1)),
        _ => {}
    }
}
