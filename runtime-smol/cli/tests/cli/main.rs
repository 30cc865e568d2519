//! The command as scripts see it: events, last line and exit codes are a contract.
//!
//! Nothing sleeps: every line is waited for, and given up after [`PATIENCE`].

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and says what it skipped"
)]

mod bench;
mod calls;
mod demo;
mod extensions;
mod failures;
mod ice;
mod names;
mod nat;
mod output;
mod peer;
mod registered;
mod srtp;
mod subscribed;
mod tls;

use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command that runs.
struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Option<JoinHandle<String>>,
    lines: Vec<Value>,
}

/// A command that has ended.
struct Ended {
    exit: i32,
    lines: Vec<Value>,
    stderr: String,
}

/// Runs `sipsimple` on the loopback, with JSON lines.
fn start(arguments: &[&str]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sipsimple"));
    command.args(arguments).args(["--json"]);
    if !arguments.contains(&"replay") && !arguments.contains(&"bench") {
        command.args(["--bind", "127.0.0.1"]);
    }
    spawn(&mut command)
}

fn spawn(command: &mut Command) -> Running {
    let mut child = command
        .env_remove("SIPSIMPLE_PASSWORD")
        .env_remove("SIPSIMPLE_TURN_PASSWORD")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (lines, stdout) = channel();
    let out = child.stdout.take().unwrap();
    thread::spawn(move || {
        for line in BufReader::new(out).lines() {
            // A test that failed reads no more.
            if line.is_ok_and(|line| lines.send(line).is_err()) {
                return;
            }
        }
    });
    let mut err = child.stderr.take().unwrap();
    let stderr = thread::spawn(move || {
        let mut text = String::new();
        err.read_to_string(&mut text).unwrap();
        text
    });
    Running {
        child,
        stdout,
        stderr: Some(stderr),
        lines: Vec::new(),
    }
}

/// Runs a command to its end.
fn run(arguments: &[&str]) -> Ended {
    start(arguments).end()
}

impl Running {
    /// The next line; `None` at the end.
    fn line(&mut self) -> Option<&Value> {
        let line = self.stdout.recv_timeout(PATIENCE).ok()?;
        let line: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{line:?} is no JSON: {error}"));
        self.lines.push(line);
        self.lines.last()
    }

    /// Waits for an event; returns its data.
    fn until(&mut self, event: &str) -> Value {
        while let Some(line) = self.line() {
            if line["event"] == event {
                return line["data"].clone();
            }
        }
        panic!("no {event}; instead: {:#?}", self.lines);
    }

    /// The first line of a command that listens: its URI over a transport.
    fn uri(&mut self, transport: &str) -> String {
        let line = self.line().expect("a first line").clone();
        assert_eq!(line["event"], "listening", "{line}");
        let address = line["data"][transport].as_str().unwrap();
        format!("sip:me@{address};transport={transport}")
    }

    /// Presses Ctrl-C.
    fn interrupt(&self) {
        let sent = Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits for the end.
    fn end(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        while self.line().is_some() {
            assert!(Instant::now() < deadline, "no end: {:#?}", self.lines);
        }
        Ended {
            exit: self.child.wait().unwrap().code().expect("no signal"),
            lines: std::mem::take(&mut self.lines),
            stderr: self.stderr.take().unwrap().join().unwrap(),
        }
    }
}

impl Drop for Running {
    /// A test that failed leaves nothing behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The last line, which must say the same as the exit code.
    fn last(&self) -> &Value {
        let last = self.lines.last().expect("a last line");
        let result = if self.exit == 0 { "ok" } else { "failed" };
        assert_eq!(last["result"], result, "{last}");
        assert_eq!(last["exit"], self.exit, "{last}");
        assert!(
            last["t"].is_number() && last["reason"].is_string(),
            "{last}"
        );
        assert_eq!(last["reason"] == "", self.exit == 0, "{last}");
        last
    }

    /// The names of the events about a session, with what changed its state left out.
    fn session_events(&self) -> Vec<&str> {
        let names = self.lines.iter().filter_map(|line| line["event"].as_str());
        names
            .filter(|name| name.starts_with("SIPSession"))
            .filter(|name| !name.ends_with("ChangedState") && !name.ends_with("Transaction"))
            .collect()
    }

    #[track_caller]
    fn assert_exit(&self, exit: i32) -> &Value {
        assert_eq!(self.exit, exit, "{:#?}\n{}", self.lines, self.stderr);
        self.last()
    }
}

/// A directory of one test that is removed at its end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let place = std::env::temp_dir().join(format!("sipsimple-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&place).unwrap();
        Self(place)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left behind is the system's to clean.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
