//! SIPp: scenarios, its own and ours, its counters and its message log.

use crate::{
    Lab, Outcome,
    message::{Message, Seen},
    network::Place,
    process::{self, Process},
};
use std::{
    collections::BTreeMap,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// A running SIPp.
#[derive(Debug)]
pub(crate) struct Sipp {
    process: Process,
    name: String,
    directory: PathBuf,
}

/// How it shall run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup<'a> {
    pub(crate) name: &'a str,
    pub(crate) port: u16,
    pub(crate) transport: Transport,
    pub(crate) calls: u32,
    /// The path loses datagrams: persist.
    pub(crate) persists: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }

    pub(crate) const fn parameter(self) -> &'static str {
        match self {
            Self::Udp => "",
            Self::Tcp => ";transport=tcp",
        }
    }
}

impl Sipp {
    /// Starts the built-in `uas`.
    pub(crate) fn answer(lab: &Lab, place: &Place, setup: Setup<'_>) -> Outcome<Self> {
        let mut command = place.command("sipp");
        if setup.persists {
            let patient = patient(&built_in("uas")?)?;
            let path = lab.directory.join(format!("{}.xml", setup.name));
            fs::write(&path, patient).map_err(|error| error.to_string())?;
            command.arg("-sf").arg(&path);
        } else {
            command.args(["-sn", "uas"]);
        }
        Self::start_listening(lab, place, command, setup)
    }

    /// Starts the built-in `uac` towards an address.
    pub(crate) fn call(lab: &Lab, place: &Place, target: &str, setup: Setup<'_>) -> Outcome<Self> {
        let mut command = place.command("sipp");
        command.args(["-sn", "uac", target, "-s", "bob"]);
        command.args(["-r", &RATE.to_string(), "-d", "2000"]);
        Self::start(lab, place, command, setup)
    }

    /// Plays a scenario of ours: waits for a call, or calls `target`. If it `repeats`, it answers what
    /// comes again by what it said before; if not, the scenario has to expect it.
    pub(crate) fn play(
        lab: &Lab,
        place: &Place,
        scenario: &Path,
        target: Option<&str>,
        repeats: bool,
        setup: Setup<'_>,
    ) -> Outcome<Self> {
        let mut command = place.command("sipp");
        command.args(target).arg("-sf").arg(scenario);
        command.args(["-recv_timeout", "12000"]);
        if !repeats {
            command.arg("-nr");
        }
        match target {
            Some(_) => Self::start(lab, place, command, setup),
            None => Self::start_listening(lab, place, command, setup),
        }
    }

    /// Starts it, and waits until it has its socket: it has no way to say that it listens.
    fn start_listening(
        lab: &Lab,
        place: &Place,
        command: Command,
        setup: Setup<'_>,
    ) -> Outcome<Self> {
        let sipp = Self::start(lab, place, command, setup)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while !listens(place, setup.transport, setup.port)? {
            if Instant::now() > deadline {
                return Err(format!("{} does not listen", setup.name));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(sipp)
    }

    fn start(lab: &Lab, place: &Place, mut command: Command, setup: Setup<'_>) -> Outcome<Self> {
        let file = |suffix: &str| lab.directory.join(format!("{}.{suffix}", setup.name));
        let address = place.address().to_string();
        let transport = match setup.transport {
            Transport::Udp => "u1",
            Transport::Tcp => "t1",
        };
        let limit = if setup.persists { "3000" } else { "100" };
        command.args([
            "-i",
            &address,
            "-p",
            &setup.port.to_string(),
            "-t",
            transport,
        ]);
        command.args(["-mi", &address, "-mp", &(setup.port + 2).to_string()]);
        command.args(["-m", &setup.calls.to_string(), "-l", limit, "-nostdin"]);
        command.args(["-timeout", "150s", "-timeout_error", "-fd", "1"]);
        command.args(["-trace_stat", "-stf"]).arg(file("csv"));
        command
            .args(["-trace_err", "-error_file"])
            .arg(file("errors"));
        command
            .args(["-trace_msg", "-message_file"])
            .arg(file("messages"));
        if setup.persists {
            command.args(["-max_invite_retrans", "10", "-max_non_invite_retrans", "11"]);
        }
        Ok(Self {
            process: Process::start(setup.name, command, &lab.directory)?,
            name: setup.name.to_owned(),
            directory: lab.directory.clone(),
        })
    }

    /// Waits until it has done all its calls, and returns its counters.
    pub(crate) fn finish(&mut self, limit: Duration) -> Outcome<Counters> {
        let status = self.process.wait(limit)?;
        // 1: a call failed; the counters say it better.
        if !matches!(status.code(), Some(0 | 1)) {
            return Err(format!("{}: {status}", self.name));
        }
        Counters::read(&self.directory.join(format!("{}.csv", self.name)))
    }

    /// The regular expressions that did not match, or should not have: of those SIPp tells its error
    /// log always, its counters and its exit status only at times.
    pub(crate) fn mismatches(&self) -> Vec<String> {
        let path = self.directory.join(format!("{}.errors", self.name));
        // SIPp makes the file when there is something to write.
        let text = fs::read_to_string(path).unwrap_or_default();
        let notes = text.split("regexp match").skip(1);
        notes
            .filter_map(|note| note.split("with regexp").nth(1))
            .filter_map(|note| note.split('\'').nth(1))
            .map(str::to_owned)
            .collect()
    }

    /// Reads its message log; what it received is ours.
    pub(crate) fn messages(&self) -> Outcome<Vec<Seen>> {
        let path = self.directory.join(format!("{}.messages", self.name));
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        messages(&bytes)
    }
}

/// The counters of a run.
#[derive(Clone, Debug)]
pub(crate) struct Counters(BTreeMap<String, u64>);

impl Counters {
    fn read(path: &Path) -> Outcome<Self> {
        let text =
            fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut lines = text.lines();
        let (names, last) = (lines.next().unwrap_or(""), lines.last().unwrap_or(""));
        let pairs = names.split(';').zip(last.split(';'));
        let counted =
            pairs.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
        Ok(Self(counted.collect()))
    }

    /// A counter over the whole run.
    pub(crate) fn total(&self, name: &str) -> Outcome<u64> {
        let found = self.0.get(&format!("{name}(C)"));
        found
            .copied()
            .ok_or_else(|| format!("SIPp has no counter {name}"))
    }
}

/// Whether somebody has the port at a place, for datagrams or to be connected to.
fn listens(place: &Place, transport: Transport, port: u16) -> Outcome<bool> {
    let IpAddr::V4(address) = place.address() else {
        return Err("SIPp is looked for at addresses of IPv4".to_owned());
    };
    let (table, state) = match transport {
        Transport::Udp => ("/proc/net/udp", None),
        Transport::Tcp => ("/proc/net/tcp", Some(TCP_LISTEN)),
    };
    let sockets = process::run(place.command("cat").arg(table))?;
    let address = u32::from_le_bytes(address.octets());
    let local = format!("{address:08X}:{port:04X}");
    Ok(sockets.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_it = fields.get(1) == Some(&local.as_str());
        is_it && state.is_none_or(|state| fields.get(3) == Some(&state))
    }))
}

/// The state of a socket that listens, in the kernel's table.
const TCP_LISTEN: &str = "0A";

/// Asks SIPp for one of its scenarios; it always says that it failed.
fn built_in(name: &str) -> Outcome<String> {
    let output = Command::new("sipp").args(["-sd", name]).output();
    let output = output.map_err(|error| format!("cannot run sipp: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Mends the built-in `uas` for a path with losses.
///
/// After two answers in a row SIPp no longer knows an INVITE that comes again, and gives up the
/// call: it shall not ring. And the last 200 shall be repeated as long as RFC 3261 (timer J) says.
fn patient(scenario: &str) -> Outcome<String> {
    let ringing = scenario.split_once("SIP/2.0 180 Ringing");
    let ringing = ringing.and_then(|(before, after)| {
        let (begin, end) = (before.rfind("<send>")?, after.find("</send>")?);
        Some((&before[..begin], &after[end + "</send>".len()..]))
    });
    let (before, after) = ringing.ok_or("the built-in scenario of SIPp does not ring")?;
    if !after.contains("milliseconds=\"4000\"") {
        return Err("the built-in scenario of SIPp does not wait for 4 s".to_owned());
    }
    Ok(format!(
        "{before}{}",
        after.replacen("\"4000\"", "\"33000\"", 1)
    ))
}

/// Reads a message log: `-----… DATE TIME`, a line with the number of bytes, an empty line, the bytes.
fn messages(bytes: &[u8]) -> Outcome<Vec<Seen>> {
    let mut seen = Vec::new();
    let mut rest = bytes;
    while let Some((line, after)) = line(rest) {
        rest = after;
        if !line.starts_with("-----") {
            continue;
        }
        let time = line.rsplit(' ').next().and_then(seconds);
        let Some((note, after)) = self::line(rest) else {
            break;
        };
        let is_ours = match note {
            note if note.contains(" message received ") => true,
            note if note.contains(" message sent ") => false,
            _ => continue,
        };
        let number = note
            .split(['(', '[', ' ', ']'])
            .find_map(|word| word.parse::<usize>().ok());
        let (Some(at), Some(length)) = (time, number) else {
            return Err(format!("a note that is not understood: {line} {note}"));
        };
        let message = after.get(1..1 + length).ok_or("the message log is cut")?;
        rest = &after[1 + length..];
        let message = Message::of_datagram(message)
            .ok_or_else(|| format!("no message: {}", String::from_utf8_lossy(message)))?;
        seen.push(Seen {
            at,
            is_ours,
            message,
        });
    }
    Ok(seen)
}

fn line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((
        std::str::from_utf8(&bytes[..end]).unwrap_or(""),
        &bytes[end + 1..],
    ))
}

/// Seconds since midnight.
fn seconds(text: &str) -> Option<f64> {
    let mut parts = text.split(':').map(|part| part.parse::<f64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    Some((hours * 60.0 + minutes) * 60.0 + seconds)
}

/// Calls a second.
pub(crate) const RATE: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read() {
        let text = "SIP/2.0 200 OK\r\nCall-ID: x\r\n\r\n";
        let log = format!(
            "----- 2026-01-01 01:02:03.250000\nUDP message sent ({0} bytes):\n\n{text}\n\
             ----- 2026-01-01 01:02:04.000000\nTCP message received [{0}] bytes :\n\n{text}\n",
            text.len()
        );
        let seen = messages(log.as_bytes()).unwrap();
        assert_eq!(
            seen.iter().map(|seen| seen.is_ours).collect::<Vec<_>>(),
            [false, true]
        );
        assert_eq!(seen[0].at, 3723.25);
        assert_eq!(seen[1].message.call_id(), "x");
        assert!(messages(&log.as_bytes()[..log.len() - 9]).is_err());
    }
}
