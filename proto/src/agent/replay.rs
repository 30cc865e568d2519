//! Running a recording again.

use super::{Command, Config, Input, UserAgent, record::VERSION};
use crate::stream::StreamFactory;
use serde::{Deserialize, de::IgnoredAny};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// What a replay found.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Inputs that were handed in again.
    pub inputs: u64,
    /// Commands that were given again.
    pub commands: u64,
    /// Outputs that were the same.
    pub outputs: u64,
    /// From the first to the last line.
    pub duration: Duration,
    /// The first line that is not the same; nothing after it was looked at.
    pub difference: Option<Difference>,
}

/// Where recording and replay part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The line of the recording, from 1; one past its end if the replay says more.
    pub line: usize,
    /// What was recorded.
    pub recorded: Option<String>,
    /// What the replay says instead.
    pub replayed: Option<String>,
}

/// A recording that cannot be replayed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The first line is not the one of a recording.
    #[error("not a recording")]
    NotARecording,
    /// Another version of the format.
    #[error("a recording of version {0}, not {VERSION}")]
    Version(u32),
    /// The line is no step.
    #[error("line {0} cannot be read")]
    BadLine(usize),
    /// The line is a command for a stream whose factory is missing or does not know it.
    #[error("line {0}: no such command of this kind of stream")]
    UnknownCommand(usize),
}

/// Makes the agent of a recording again, hands it the recorded inputs and commands at their recorded
/// moments counted from `now`, and compares everything that it says, byte by byte.
///
/// `factories` are those of the recorded agent: a recording does not hold code.
///
/// # Errors
///
/// The bytes are no recording, or need other factories. That the outputs differ is not an error but
/// [`Report::difference`].
pub fn replay(
    now: Instant,
    recording: &[u8],
    factories: Vec<Box<dyn StreamFactory>>,
) -> Result<Report, ReplayError> {
    let mut lines = (1..).zip(recording.split(|&byte| byte == b'\n'));
    let (_, first) = lines.next().ok_or(ReplayError::NotARecording)?;
    let mut run = Run::new(now, first, factories)?;
    let mut last = 1;
    for (number, line) in lines {
        // After the last line end nothing is left.
        if line.is_empty() {
            continue;
        }
        last = number;
        run.step(now, number, line)?;
        if run.report.difference.is_some() {
            return Ok(run.report);
        }
    }
    if let Some(more) = run.said.pop_front() {
        run.report.difference = Some(Difference {
            line: last + 1,
            recorded: None,
            replayed: Some(more),
        });
    }
    Ok(run.report)
}

struct Run {
    agent: UserAgent,
    /// Lines that the replay has said and the recording has not yet.
    said: VecDeque<String>,
    report: Report,
}

#[derive(Deserialize)]
struct Header {
    sipsimple_recording: u32,
    config: serde_json::Value,
}

#[derive(Deserialize)]
struct Step {
    t: u64,
    #[serde(rename = "in")]
    input: Option<Input>,
    #[serde(rename = "do")]
    command: Option<Command>,
    out: Option<IgnoredAny>,
}

impl Run {
    fn new(
        now: Instant,
        first: &[u8],
        factories: Vec<Box<dyn StreamFactory>>,
    ) -> Result<Self, ReplayError> {
        let header: Header =
            serde_json::from_slice(first).map_err(|_| ReplayError::NotARecording)?;
        if header.sipsimple_recording != VERSION {
            return Err(ReplayError::Version(header.sipsimple_recording));
        }
        let mut config: Config =
            serde_json::from_value(header.config).map_err(|_| ReplayError::NotARecording)?;
        config.record = true;
        config.is_replay = true;
        config.factories = factories;
        let mut run = Self {
            agent: UserAgent::new(now, config),
            said: VecDeque::new(),
            report: Report {
                inputs: 0,
                commands: 0,
                outputs: 0,
                duration: Duration::ZERO,
                difference: None,
            },
        };
        run.listen();
        run.compare(1, first);
        Ok(run)
    }

    fn step(&mut self, now: Instant, number: usize, line: &[u8]) -> Result<(), ReplayError> {
        let bad_line = ReplayError::BadLine(number);
        let step: Step = serde_json::from_slice(line).map_err(|_| bad_line)?;
        self.report.duration = Duration::from_nanos(step.t);
        let at = now.checked_add(self.report.duration).ok_or(bad_line)?;
        match (step.input, step.command, step.out) {
            (Some(input), None, None) => {
                if self.has_said_more(number, line) {
                    return Ok(());
                }
                self.report.inputs += 1;
                self.agent.handle_input(at, input);
            }
            (None, Some(command), None) => {
                if self.has_said_more(number, line) {
                    return Ok(());
                }
                self.report.commands += 1;
                let unknown = ReplayError::UnknownCommand(number);
                self.agent.repeat(at, command).map_err(|_| unknown)?;
            }
            (None, None, Some(_)) => self.report.outputs += 1,
            _ => return Err(bad_line),
        }
        self.listen();
        self.compare(number, line);
        Ok(())
    }

    /// True if outputs of the replay are left where the recording has its next cause.
    fn has_said_more(&mut self, number: usize, line: &[u8]) -> bool {
        if self.said.is_empty() {
            return false;
        }
        self.compare(number, line);
        true
    }

    /// Takes what the replay has written, and drops its outputs.
    fn listen(&mut self) {
        while self.agent.poll_output().is_some() {}
        let record = String::from_utf8(self.agent.take_record()).expect("recordings are JSON");
        self.said.extend(record.lines().map(str::to_owned));
    }

    fn compare(&mut self, number: usize, line: &[u8]) {
        let replayed = self.said.pop_front();
        if replayed.as_deref().map(str::as_bytes) != Some(line) {
            self.report.difference = Some(Difference {
                line: number,
                recorded: Some(String::from_utf8_lossy(line).into_owned()),
                replayed,
            });
        }
    }
}
