//! Captures that we write (`--pcap`), as Wireshark reads them: calls between two of us over what is not secured,
//! whose packets have all headers and checksums. Those that were secured are among the certificates.

use crate::{Lab, Outcome, agent::Agent, capture, network::Place};
use std::{path::Path, time::Duration};

/// The rows of this part.
pub(crate) fn expected() -> Vec<(&'static str, String)> {
    CASES.iter().flat_map(Case::rows).collect()
}

/// Runs all calls.
pub(crate) fn run(lab: &Lab) {
    for (number, case) in (0..).zip(CASES) {
        match Place::loopback_of_version_6() {
            Err(reason) if case.address.starts_with('[') => {
                lab.skip(case.rows().to_vec(), "ipv6", &reason);
            }
            _ => lab.run(PEER, &case.row(FORM), || case.judge(lab, number)),
        }
    }
}

struct Case {
    name: &'static str,
    /// What both listen on.
    address: &'static str,
    /// Behind the URI of the other one.
    parameter: &'static str,
}

impl Case {
    fn row(&self, what: &str) -> String {
        format!("our capture of a call, {}: {what}", self.name)
    }

    fn rows(&self) -> [(&'static str, String); 2] {
        [FORM, CHANGED].map(|what| (PEER, self.row(what)))
    }

    fn judge(&self, lab: &Lab, number: u16) -> Outcome<()> {
        let ports = [0, 1].map(|end| FIRST_PORT + 2 * number + end);
        let names = ["caller", "callee"].map(|end| format!("wireshark-{number}-{end}"));
        let files = names.each_ref().map(|name| {
            let path = lab.directory.join(format!("{name}.pcapng"));
            (path.display().to_string(), path)
        });
        let start = |end: usize, words: &[&str]| {
            let common = ["--bind", bare(self.address), "--pcap", &files[end].0];
            let words = [words, &common].concat();
            Agent::start_anywhere(lab, &Place::loopback(), &names[end], ports[end], words)
        };
        let mut callee = start(1, &["answer", "--auto", "--count", "1"])?;
        let target = format!("sip:bob@{}:{}{}", self.address, ports[1], self.parameter);
        let mut caller = start(0, &["call", &target, "--hangup-after", "0.5"])?;
        let exits = [caller.finish(PATIENCE)?.exit, callee.finish(PATIENCE)?.exit];
        let [ours, theirs] = files.each_ref().map(|(_, path)| look(path));
        let ((is_ours, ours), (is_theirs, theirs)) = (ours?, theirs?);
        let is_good = exits == [0, 0] && is_ours && is_theirs;
        let value = format!("exits {exits:?}; caller: {ours}; callee: {theirs}");
        lab.table.add(PEER, &self.row(FORM), is_good, value);
        let (is_noticed, value) = capture::notices(&files[0].1, b"\r\nCall-ID: ", 0, look)?;
        let is_good = is_noticed && value.contains("hecksum");
        lab.table.add(PEER, &self.row(CHANGED), is_good, value);
        Ok(())
    }
}

/// All packets are messages, and have right checksums.
fn look(path: &Path) -> Outcome<(bool, String)> {
    let (verdict, proven) = capture::look_closely(path)?;
    let (is_good, value) = verdict.of_count(proven);
    let is_whole = proven >= MESSAGES;
    Ok((
        is_good && is_whole,
        format!("{value}, {proven} with right checksums"),
    ))
}

/// An address without the brackets that it has in a URI.
fn bare(address: &str) -> &str {
    address.trim_matches(['[', ']'])
}

const CASES: &[Case] = &[
    Case {
        name: "UDP",
        address: "127.0.0.1",
        parameter: "",
    },
    Case {
        name: "TCP",
        address: "127.0.0.1",
        parameter: ";transport=tcp",
    },
    Case {
        name: "UDP and IPv6",
        address: "[::1]",
        parameter: "",
    },
];
/// INVITE, 200, ACK, BYE, 200 at least.
const MESSAGES: usize = 5;
const FIRST_PORT: u16 = 27_400;
const PATIENCE: Duration = Duration::from_secs(20);
const PEER: &str = "Wireshark";
const FORM: &str = "known, nothing malformed, checksums of IP, UDP and TCP right";
const CHANGED: &str = "one changed byte is noticed";
