//! The flight recorder: everything that went into an agent and came out of it, one JSON object a line.
//!
//! The first line is `{"sipsimple_recording":1,"secret":"…","config":{…}}`. Every further line has
//! `t`, the nanoseconds since the agent was made, and one of `in` (an [`Input`]), `do` (a [`Command`])
//! and `out` (an [`Output`]). An input or command stands before the outputs that it caused.

use super::{Command, Config, Input, Output};
use serde::Serialize;
use std::time::Instant;

/// The version of the format; a recording of another version is not replayed.
pub(super) const VERSION: u32 = 1;

/// Writes lines until its owner fetches them.
pub(super) struct Recorder {
    origin: Instant,
    buffer: Vec<u8>,
    limit: usize,
    /// The limit was reached: nothing more is recorded, since a recording with a hole is none.
    is_full: bool,
}

#[derive(Serialize)]
struct Header<'a> {
    sipsimple_recording: u32,
    secret: &'static str,
    config: &'a Config,
}

impl Recorder {
    /// Begins a recording with its first line.
    pub(super) fn new(now: Instant, config: &Config) -> Self {
        let mut recorder = Self {
            origin: now,
            buffer: Vec::new(),
            limit: config.limits.record,
            is_full: false,
        };
        recorder.line(&Header {
            sipsimple_recording: VERSION,
            secret: SECRET,
            config,
        });
        recorder
    }

    pub(super) fn input(&mut self, now: Instant, input: &Input) {
        self.step(now, "in", input);
    }

    pub(super) fn command(&mut self, now: Instant, command: &Command) {
        self.step(now, "do", command);
    }

    pub(super) fn output(&mut self, now: Instant, output: &Output) {
        self.step(now, "out", output);
    }

    /// Takes what was written since the last call: whole lines.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    fn step(&mut self, now: Instant, kind: &str, what: &impl Serialize) {
        if self.is_full {
            return;
        }
        let t = now.saturating_duration_since(self.origin).as_nanos();
        self.buffer
            .extend_from_slice(format!("{{\"t\":{t},\"{kind}\":").as_bytes());
        self.json(what);
        self.buffer.extend_from_slice(b"}\n");
        self.check_limit();
    }

    fn line(&mut self, what: &impl Serialize) {
        self.json(what);
        self.buffer.push(b'\n');
        self.check_limit();
    }

    fn json(&mut self, what: &impl Serialize) {
        serde_json::to_writer(&mut self.buffer, what).expect("our own types are JSON");
    }

    fn check_limit(&mut self) {
        if self.buffer.len() > self.limit {
            tracing::error!("nobody fetches the recording: it stops here");
            self.is_full = true;
        }
    }
}

const SECRET: &str = "This recording holds the seed and the passwords of an agent, hence every key that it used. \
                      Treat it like a password.";
