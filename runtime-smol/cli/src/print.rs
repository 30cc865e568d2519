//! What the user sees: events as they come, and the last line.

use crate::{
    options::{Color, Common},
    outcome::{Exit, Failure, Outcome},
};
use serde_json::{Value, json};
use sipsimple::{
    agent::StreamId,
    event::{Notification, Sender},
};
use std::{
    env,
    io::{self, IsTerminal, Write},
    time::Instant,
};

/// Prints for people, or for programs.
#[derive(Debug)]
pub(crate) struct Printer {
    json: bool,
    quiet: bool,
    /// On stdout, and on stderr.
    colors: [bool; 2],
    start: Instant,
}

impl Printer {
    pub(crate) fn new(common: &Common) -> Self {
        Self {
            json: common.json,
            quiet: common.quiet,
            colors: match common.color {
                Color::Always => [true; 2],
                Color::Never => [false; 2],
                Color::Auto => {
                    // https://no-color.org: whatever it says, unless it is empty.
                    let is_wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
                    [io::stdout().is_terminal(), io::stderr().is_terminal()]
                        .map(|is_terminal| is_wanted && is_terminal)
                }
            },
            start: Instant::now(),
        }
    }

    /// An event of an agent.
    pub(crate) fn notification(&self, notification: &Notification) {
        let event = &notification.event;
        let at = notification
            .at
            .saturating_duration_since(self.start)
            .as_secs_f64();
        self.line(
            at,
            event.name(),
            Some(&event.sender().to_string()),
            event.data(),
        );
    }

    /// An event of an agent whose story a verb tells people in words of its own.
    pub(crate) fn machine(&self, notification: &Notification) {
        if self.json {
            self.notification(notification);
        }
    }

    /// Prints events for programs only.
    pub(crate) const fn only_machine(&self) -> Self {
        Self {
            quiet: true,
            ..*self
        }
    }

    /// An event of the command itself.
    pub(crate) fn event(&self, name: &str, data: Value) {
        self.line(self.start.elapsed().as_secs_f64(), name, None, data);
    }

    /// What a call's media are like at the moment.
    pub(crate) fn media(&self, stream: StreamId, data: &Value, text: &str) {
        match self.json {
            true => self.line(
                self.start.elapsed().as_secs_f64(),
                "media",
                Some(&Sender::Stream(stream).to_string()),
                data.clone(),
            ),
            false => self.say(text),
        }
    }

    /// A line for people only.
    pub(crate) fn say(&self, text: &str) {
        if !self.json && !self.quiet {
            put(text);
        }
    }

    /// The last line.
    pub(crate) fn result(&self, outcome: &Outcome) {
        let (result, exit, reason, data) = match outcome {
            Ok(data) => ("ok", Exit::Done, "", data),
            Err(Failure { exit, reason, data }) => ("failed", *exit, reason.as_str(), data),
        };
        if self.json {
            let t = rounded(self.start.elapsed().as_secs_f64());
            put(&json!({"t": t, "result": result, "exit": exit as u8, "reason": reason, "data": data}).to_string());
        } else if exit != Exit::Done {
            let text = format!("sipsimple: {reason}");
            complain(&painted(&text, RED, self.colors[1]));
        }
    }

    fn line(&self, at: f64, name: &str, sender: Option<&str>, data: Value) {
        if self.json {
            let mut line = json!({"t": rounded(at), "event": name, "data": data});
            if let Some(sender) = sender {
                line["sender"] = sender.into();
            }
            put(&line.to_string());
        } else if !self.quiet {
            let data = match &data {
                Value::Null => String::new(),
                Value::Object(fields) if fields.is_empty() => String::new(),
                data => data.to_string(),
            };
            let color = match name.ends_with("DidFail") {
                true => RED,
                false => BOLD,
            };
            let name = painted(name, color, self.colors[0]);
            put(&format!(
                "{at:8.3}  {:10} {name} {data}",
                sender.unwrap_or("")
            ));
        }
    }
}

/// Select Graphic Rendition (ECMA-48, 8.3.117).
fn painted(text: &str, code: &str, is_painted: bool) -> String {
    match is_painted {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    }
}

const RED: &str = "31";
const BOLD: &str = "1";

fn rounded(seconds: f64) -> f64 {
    (seconds * 1_000.0).round() / 1_000.0
}

/// A reader that went away wants no more lines.
fn put(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Says something to the user that is no result.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
