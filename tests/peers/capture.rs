//! Packets on an interface, and Wireshark's opinion of them.

use crate::{
    Lab, Outcome,
    message::Seen,
    network::Place,
    pcap::{self, Packet},
    process::{self, Process},
};
use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// A running tcpdump.
#[derive(Debug)]
pub(crate) struct Capture {
    process: Process,
    path: PathBuf,
}

impl Capture {
    /// Starts it, and waits until it listens.
    pub(crate) fn start(
        lab: &Lab,
        place: &Place,
        interface: &str,
        name: &str,
        filter: &str,
    ) -> Outcome<Self> {
        let path = lab.directory.join(format!("{name}.pcap"));
        let mut command = place.command("tcpdump");
        command.args([
            "-i",
            interface,
            "-U",
            "--immediate-mode",
            "-s",
            "4096",
            "-B",
            "16384",
            "-Z",
            "root",
            "-w",
        ]);
        command.arg(&path).arg(filter);
        let process = Process::start(&format!("{name}.tcpdump"), command, &lab.directory)?;
        let deadline = Instant::now() + Duration::from_secs(5);
        // The file's head is written when the socket is open.
        while std::fs::metadata(&path).map_or(0, |data| data.len()) < 24 {
            if Instant::now() > deadline {
                return Err("tcpdump does not start".to_owned());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { process, path })
    }

    /// Ends it, and returns what it saw.
    pub(crate) fn finish(mut self) -> Outcome<Vec<Packet>> {
        self.settle()?;
        self.process.end()?;
        pcap::read(&self.path)
    }

    /// Waits until tcpdump has written what came before now: it may have had no turn since, and it drops what it has
    /// not read when it is ended. So it is asked until it answers twice in a row that it has no more, or, where
    /// something is always sent, has had its turn a few times.
    fn settle(&self) -> Outcome<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut answers = Vec::new();
        loop {
            let count = answers.len();
            self.process.ask()?;
            while answers.len() == count {
                if Instant::now() > deadline {
                    return Err("tcpdump does not answer".to_owned());
                }
                thread::sleep(Duration::from_millis(20));
                answers = self.captured()?;
            }
            if answers.len() >= ANSWERS
                || matches!(answers[..], [.., before, last] if before == last)
            {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// How many packets it had seen whenever it was asked.
    fn captured(&self) -> Outcome<Vec<usize>> {
        let path = self.path.with_extension("tcpdump.err");
        let said = std::fs::read_to_string(&path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let counts = said.lines().filter_map(|line| {
            let (count, _) = line.strip_prefix("tcpdump: ")?.split_once(" packet")?;
            count.parse().ok()
        });
        Ok(counts.collect())
    }
}

/// What Wireshark says of messages.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// How many it knew as SIP.
    pub(crate) known: usize,
    /// Malformed, or with an expert's warning or error.
    pub(crate) bad: Vec<String>,
}

impl Verdict {
    /// Says whether all messages are known and good, and what else they are.
    pub(crate) fn of(&self, messages: &[Seen]) -> (bool, String) {
        self.of_count(messages.len())
    }

    /// The same of so many messages.
    pub(crate) fn of_count(&self, count: usize) -> (bool, String) {
        let is_good = self.known > 0 && self.known == count && self.bad.is_empty();
        let faults = some(&self.bad);
        let known = self.known;
        (
            is_good,
            format!("{known} of {count} known as SIP, {faults}"),
        )
    }
}

/// No fault, or the first of them.
pub(crate) fn some(faults: &[String]) -> String {
    match faults.first() {
        None => "0 faults".to_owned(),
        Some(first) => format!("{} FAULTS, such as: {first}", faults.len()),
    }
}

/// Shows messages to Wireshark.
pub(crate) fn dissect(lab: &Lab, name: &str, messages: &[Seen]) -> Outcome<Verdict> {
    let path = lab.directory.join(format!("{name}.messages.pcap"));
    pcap::write(&path, messages)?;
    look(&path)
}

/// Has Wireshark look at a capture file.
pub(crate) fn look(path: &Path) -> Outcome<Verdict> {
    let known = tshark(path, "sip", &["frame.number"])?;
    let bad = tshark(path, &format!("_ws.malformed || {WARNED}"), FAULT)?;
    Ok(Verdict {
        known: known.len(),
        bad,
    })
}

/// The same of a file that we wrote, with every checksum computed: what is wrong in one is bad, too. Beside that,
/// how many packets prove theirs; messages that were secured are no packets, and have none.
pub(crate) fn look_closely(path: &Path) -> Outcome<(Verdict, usize)> {
    let known = tshark_with(path, SUMS, "sip", &["frame.number"])?;
    let wrong = format!("_ws.malformed || {WARNED} || {WRONG_SUM}");
    let bad = tshark_with(path, SUMS, &wrong, FAULT)?;
    let proven = tshark_with(path, SUMS, RIGHT_SUM, &["frame.number"])?;
    let known = known.len();
    Ok((Verdict { known, bad }, proven.len()))
}

/// What Wireshark says of the STUN and TURN of one sender in a capture of an interface, and whether that is good:
/// it knows them, finds nothing malformed, and proves all fingerprints that there are. Checksums of IP and UDP
/// are left to the interface, and say nothing before they get there.
pub(crate) fn stun(path: &Path, sender: IpAddr) -> Outcome<(bool, String)> {
    let version = if sender.is_ipv4() { "ip" } else { "ipv6" };
    let of = |what: &str| format!("{version}.src == {sender} && ({what})");
    let count = |what: &str| {
        let found = tshark_with(path, UNSEALED, &of(what), &["frame.number"]);
        found.map(|found| found.len())
    };
    let messages = count("stun.type")?;
    let (proven, channels) = (count("stun.att.crc32.status == 1")?, count("stun.channel")?);
    let wrong = of(&format!(
        "stun && (_ws.malformed || {WARNED} || stun.att.crc32.status == 0)"
    ));
    let bad = tshark_with(path, UNSEALED, &wrong, FAULT)?;
    let is_good = messages > 0 && proven > 0 && bad.is_empty();
    let faults = some(&bad);
    let value = format!(
        "{messages} messages, {proven} fingerprints right, {channels} of channel data, {faults}"
    );
    Ok((is_good, value))
}

/// Whether Wireshark notices one byte that is another one in a copy of a capture file, and what it says: that
/// many bytes after where `mark` stands first.
pub(crate) fn notices(
    path: &Path,
    mark: &[u8],
    after: usize,
    look: impl Fn(&Path) -> Outcome<(bool, String)>,
) -> Outcome<(bool, String)> {
    let copy = path.with_extension("changed");
    let mut bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let found = bytes.windows(mark.len()).position(|window| window == mark);
    let byte = found.and_then(|at| bytes.get_mut(at + mark.len() + after));
    *byte.ok_or("nothing in the file to change")? ^= 1;
    std::fs::write(&copy, bytes).map_err(|error| error.to_string())?;
    let (is_good, value) = look(&copy)?;
    Ok((!is_good && value.contains(", 1 FAULTS,"), value))
}

/// Whether Wireshark knows handshakes of DTLS in a capture file, both hellos of each, with nothing malformed and no
/// fault of theirs, and what it says.
pub(crate) fn handshakes(path: &Path) -> Outcome<(bool, String)> {
    let count = |kind: u8| {
        let filter = format!("dtls.handshake.type == {kind}");
        let found = tshark_with(path, UNSEALED, &filter, &["frame.number"]);
        found.map(|found| found.len())
    };
    let (of_clients, of_servers) = (count(1)?, count(2)?);
    let filter = format!("dtls && (_ws.malformed || {WARNED})");
    let bad = tshark_with(path, UNSEALED, &filter, FAULT)?;
    let is_good = of_clients > 0 && of_servers > 0 && bad.is_empty();
    let faults = some(&bad);
    let value = format!("{of_clients} ClientHello, {of_servers} ServerHello, {faults}");
    Ok((is_good, value))
}

/// What Wireshark finds behind the RTP headers of packets to a port.
pub(crate) fn rtp_payloads(path: &Path, port: u16) -> Outcome<Vec<Vec<u8>>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(path);
    // As if it had not read that they are sealed.
    command.args(["-o", "sdp.establish_conversation:FALSE"]);
    command.args(["--disable-protocol", "dtls"]);
    command.args(["-d", &format!("udp.port=={port},rtp")]);
    command.args(["-Y", &format!("rtp && udp.dstport == {port}")]);
    command.args(["-T", "fields", "-e", "rtp.payload"]);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let lines = process::run(&mut command)?;
    let payloads = lines.lines().map(|line| {
        let digits: Vec<u8> = line.bytes().filter(|byte| *byte != b':').collect();
        digits.chunks(2).filter_map(byte).collect()
    });
    Ok(payloads.collect())
}

fn tshark(path: &Path, filter: &str, fields: &[&str]) -> Outcome<Vec<String>> {
    tshark_with(path, &[], filter, fields)
}

fn tshark_with(
    path: &Path,
    arguments: &[&str],
    filter: &str,
    fields: &[&str],
) -> Outcome<Vec<String>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(path);
    command.args(arguments).args(["-Y", filter, "-T", "fields"]);
    for field in fields {
        command.args(["-e", field]);
    }
    Ok(process::run(&mut command)?
        .lines()
        .map(str::to_owned)
        .collect())
}

/// Of tcpdump, before its end.
const ANSWERS: usize = 5;
/// It looks at no checksum unless it is told to.
const SUMS: &[&str] = &[
    "-o",
    "ip.check_checksum:TRUE",
    "-o",
    "udp.check_checksum:TRUE",
    "-o",
    "tcp.check_checksum:TRUE",
];
/// It would take what is sealed for RTP and RTCP, and mind now and then what it makes of that.
const UNSEALED: &[&str] = &["--disable-protocol", "rtp", "--disable-protocol", "rtcp"];
/// Of IP (version 6 has none), UDP or TCP.
const WRONG_SUM: &str =
    "ip.checksum.status == 0 || udp.checksum.status == 0 || tcp.checksum.status == 0";
/// Of IP, and of UDP or TCP.
const RIGHT_SUM: &str = "(ipv6 || ip.checksum.status == 1) && \
    (udp.checksum.status == 1 || tcp.checksum.status == 1)";
/// From PI_WARN on.
const WARNED: &str = "_ws.expert.severity >= 6291456";
/// What is told of a packet that is not as it should be.
const FAULT: &[&str] = &["frame.number", "_ws.col.Info", "_ws.expert.message"];
