//! How a verb ends.

use serde_json::Value;
use std::process::ExitCode;

/// The exit codes of the command, a contract for scripts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    Done = 0,
    Usage = 1,
    Configuration = 2,
    Resolution = 3,
    Transport = 4,
    TimedOut = 5,
    Authentication = 6,
    Rejected = 7,
    Media = 8,
    Internal = 9,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A verb that did not do its job, with what it found out all the same.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) reason: String,
    pub(crate) data: Value,
}

impl Failure {
    pub(crate) fn new(exit: Exit, reason: impl Into<String>) -> Self {
        Self {
            exit,
            reason: reason.into(),
            data: Value::Null,
        }
    }

    pub(crate) fn with(mut self, data: Value) -> Self {
        self.data = data;
        self
    }
}

/// What the last line says of a verb that did its job.
pub(crate) type Outcome = Result<Value, Failure>;

/// The exit code for a call that stood, and ended for this reason.
pub(crate) fn of_end(reason: &str) -> Exit {
    match reason {
        reason if reason.starts_with("name resolution") => Exit::Resolution,
        reason if reason.starts_with("transport") => Exit::Transport,
        // It stood, and what is to be heard did not come about.
        reason if reason.starts_with("not encrypted") => Exit::Media,
        // The peer is silent, or knows nothing of the call any more.
        "timeout" | "session expired" | "dialog gone" => Exit::TimedOut,
        // What carried its media is gone, and nothing else does.
        reason if reason.starts_with("ICE failed") => Exit::Media,
        _ => Exit::Done,
    }
}

/// The exit code for a call that ended with this status code and reason.
pub(crate) fn of_call(code: u16, reason: &str) -> Exit {
    match (code, reason) {
        (_, reason) if reason.starts_with("name resolution") => Exit::Resolution,
        (_, reason) if reason.starts_with("transport") => Exit::Transport,
        (401 | 403 | 407, _) => Exit::Authentication,
        (408, _) => Exit::TimedOut,
        (0, "timeout") => Exit::TimedOut,
        (0, _) => Exit::Media,
        _ => Exit::Rejected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_stood_is_done_unless_the_network_ended_it() {
        for (reason, exit) in [
            ("user request", Exit::Done),
            ("hung up", Exit::Done),
            ("replaced", Exit::Done),
            ("session expired", Exit::TimedOut),
            ("dialog gone", Exit::TimedOut),
            ("transport: connection reset", Exit::Transport),
            ("transport failure", Exit::Transport),
            ("name resolution: not found", Exit::Resolution),
            ("not encrypted: another certificate", Exit::Media),
            ("ICE failed: no pair of addresses works", Exit::Media),
        ] {
            assert_eq!(of_end(reason), exit, "{reason}");
        }
    }
}
