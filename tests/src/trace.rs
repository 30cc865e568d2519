//! Every step of a run, as data, as lines and as a ladder.

use base::Transport;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use std::{fmt, fmt::Write as _, net::SocketAddr, time::Duration};

use crate::host::HostId;

/// What happened in a run, step by step.
///
/// Two runs of one seed are equal step by step: [`first_difference`](Self::first_difference).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Trace {
    steps: Vec<Step>,
    names: Vec<String>,
}

/// One step.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// When, since the beginning of the world.
    pub at: Duration,
    /// On which host.
    pub host: HostId,
    /// What.
    pub action: Action,
}

/// What happened in a step.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Action {
    /// The host sent a datagram; one step for each copy.
    Send {
        /// The number of the packet, the same in its [`Arrive`](Self::Arrive).
        packet: u64,
        /// The source address.
        from: SocketAddr,
        /// The destination address.
        to: SocketAddr,
        /// What.
        payload: Bytes,
        /// What becomes of it.
        fate: Fate,
    },
    /// A datagram came to the host.
    Arrive {
        /// The number of the packet.
        packet: u64,
        /// [`Fate::Delivered`], or why the node did not get it.
        fate: Fate,
    },
    /// The node wrote to a connection.
    Write {
        /// Our end.
        from: SocketAddr,
        /// The other end.
        to: SocketAddr,
        /// What.
        payload: Bytes,
    },
    /// Bytes of a connection were handed to the node.
    Read {
        /// The other end.
        from: SocketAddr,
        /// Our end.
        to: SocketAddr,
        /// How many.
        len: usize,
    },
    /// The node was woken by its own deadline.
    Timeout {
        /// Its name.
        why: &'static str,
    },
    /// Anything else that the world told the node, in words.
    Input(String),
    /// The node asked for something else, in words.
    Output(String),
    /// The node told its application.
    Event(String),
    /// The script or a fault did something, in words.
    Note(String),
}

/// What becomes of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Fate {
    /// It arrives after this time.
    Arrives(Duration),
    /// The node got it.
    Delivered,
    /// Lost by the path's [`Loss`](crate::Loss).
    Lost,
    /// Lost by the test's own decision.
    Intercepted,
    /// The path is cut.
    Cut,
    /// A fragment, where fragments do not pass.
    Fragment,
    /// The queue before the path was full.
    QueueFull,
    /// No host has the address.
    NoRoute,
    /// An address translator keeps it: no binding, or not for this sender.
    Filtered,
    /// Larger than a datagram can be.
    TooLarge,
    /// The host has no socket there.
    Refused,
    /// The host sleeps or is down.
    Down,
}

impl Fate {
    /// True if the node on the other side never got it.
    pub const fn is_loss(self) -> bool {
        !matches!(self, Self::Arrives(_) | Self::Delivered)
    }
}

impl Trace {
    /// All steps in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Finds the first step in which two runs differ: its number and both steps.
    pub fn first_difference(&self, other: &Self) -> Option<Difference> {
        let len = self.steps.len().max(other.steps.len());
        (0..len)
            .find(|&n| self.steps.get(n) != other.steps.get(n))
            .map(|step| Difference {
                step,
                left: self.steps.get(step).cloned(),
                right: other.steps.get(step).cloned(),
            })
    }

    /// Writes one line a step.
    pub fn lines(&self) -> String {
        let mut out = String::new();
        for step in &self.steps {
            let name = self.name(step.host);
            let _ = writeln!(out, "{:>13.6} {name:<8} {step}", step.at.as_secs_f64());
        }
        out
    }

    /// Draws what went over the wire between the hosts, one column a host, events at their host.
    pub fn ladder(&self) -> String {
        let mut out = format!("{:>10} ", "");
        for name in &self.names {
            let _ = write!(out, "{name:^COLUMN$}");
        }
        out.push('\n');
        for step in &self.steps {
            if let Some(row) = self.row(step) {
                let _ = writeln!(out, "{:>10.3} {row}", step.at.as_secs_f64());
            }
        }
        out
    }

    pub(crate) fn push(&mut self, at: Duration, host: HostId, action: Action) {
        self.steps.push(Step { at, host, action });
    }

    pub(crate) fn add_host(&mut self, name: &str) {
        self.names.push(name.to_owned());
    }

    pub(crate) fn name(&self, host: HostId) -> &str {
        self.names.get(host.index()).map_or("?", String::as_str)
    }

    fn row(&self, step: &Step) -> Option<String> {
        let column = step.host.index();
        let lifelines = |marked: String| {
            let mut row = String::new();
            for n in 0..self.names.len() {
                let cell = if n == column { marked.as_str() } else { "|" };
                let _ = write!(row, "{cell:^COLUMN$}");
            }
            row.trim_end().to_owned()
        };
        match &step.action {
            Action::Send {
                from,
                to,
                payload,
                fate,
                ..
            } => {
                let end = if fate.is_loss() { "--x" } else { "-->" };
                let what = first_line(payload);
                Some(format!(
                    "{} {from} {end} {to} {what}",
                    lifelines("*".into())
                ))
            }
            Action::Write { from, to, payload } => {
                let what = first_line(payload);
                Some(format!("{} {from} ==> {to} {what}", lifelines("*".into())))
            }
            Action::Event(event) => {
                let mut event = event.clone();
                event.truncate(event.floor_boundary(100));
                Some(format!("{} ! {event}", lifelines("!".into())))
            }
            Action::Note(note) => Some(format!("{} # {note}", lifelines("#".into()))),
            Action::Arrive { .. }
            | Action::Read { .. }
            | Action::Timeout { .. }
            | Action::Input(_)
            | Action::Output(_) => None,
        }
    }
}

/// Where two runs part.
#[derive(Clone, PartialEq, Debug)]
pub struct Difference {
    /// The number of the step.
    pub step: usize,
    /// The step of the one run, if it has so many.
    pub left: Option<Step>,
    /// The step of the other.
    pub right: Option<Step>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.action {
            Action::Send {
                packet,
                from,
                to,
                payload,
                fate,
            } => {
                let what = first_line(payload);
                let len = payload.len();
                write!(f, "send #{packet} {from} > {to} {len} B {fate:?} {what}")
            }
            Action::Arrive { packet, fate } => write!(f, "arrive #{packet} {fate:?}"),
            Action::Write { from, to, payload } => {
                let what = first_line(payload);
                write!(f, "write {from} > {to} {} B {what}", payload.len())
            }
            Action::Read { from, to, len } => write!(f, "read {from} > {to} {len} B"),
            Action::Timeout { why } => write!(f, "timeout {why}"),
            Action::Input(text) => write!(f, "input {text}"),
            Action::Output(text) => write!(f, "output {text}"),
            Action::Event(text) => write!(f, "event {text}"),
            Action::Note(text) => write!(f, "note {text}"),
        }
    }
}

/// The first line of a message, or the first bytes of anything else, short enough for a trace.
fn first_line(payload: &Bytes) -> String {
    let line = payload
        .split(|b| matches!(b, b'\r' | b'\n'))
        .next()
        .unwrap_or(payload);
    let line = &line[..line.len().min(FIRST_LINE)];
    match std::str::from_utf8(line) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => HEXLOWER.encode(&line[..line.len().min(12)]),
    }
}

trait FloorBoundary {
    fn floor_boundary(&self, at: usize) -> usize;
}

impl FloorBoundary for str {
    /// The last character boundary that is not after `at`.
    fn floor_boundary(&self, at: usize) -> usize {
        let at = at.min(self.len());
        (0..=at)
            .rev()
            .find(|&n| self.is_char_boundary(n))
            .unwrap_or(0)
    }
}

// Wide enough for a transport address.
const COLUMN: usize = 12;
const FIRST_LINE: usize = 72;

/// Over what a payload of the trace travelled.
impl Action {
    /// The payload that was put on the wire, with both addresses and the transport.
    pub const fn sent(&self) -> Option<(Transport, SocketAddr, SocketAddr, &Bytes)> {
        match self {
            Self::Send {
                from, to, payload, ..
            } => Some((Transport::Udp, *from, *to, payload)),
            Self::Write { from, to, payload } => Some((Transport::Tcp, *from, *to, payload)),
            Self::Arrive { .. }
            | Self::Read { .. }
            | Self::Timeout { .. }
            | Self::Input(_)
            | Self::Output(_)
            | Self::Event(_)
            | Self::Note(_) => None,
        }
    }
}
