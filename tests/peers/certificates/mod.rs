//! One certificate for each case of what a server may present, behind a TLS stack that somebody else
//! wrote: Kamailio with OpenSSL. Everything is asked by name, through a name server of the test's own;
//! nothing is switched off, and no address is dialled.

mod authority;
mod zone;

use crate::{Lab, Outcome, capture, process::Process};
use authority::{Authority, Kind};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};
use zone::NameServer;

/// A certificate, whom it is shown to, and what becomes of that.
struct Case {
    name: &'static str,
    kind: Kind,
    /// The name that is asked for.
    host: &'static str,
    /// It is good enough.
    is_trusted: bool,
    /// What a refusal says of it beside the host.
    presented: &'static str,
}

const fn case(
    name: &'static str,
    kind: Kind,
    host: &'static str,
    is_trusted: bool,
    presented: &'static str,
) -> Case {
    Case {
        name,
        kind,
        host,
        is_trusted,
        presented,
    }
}

const CASES: [Case; 9] = [
    case(
        "URI SAN only",
        Kind::Uri,
        "uri.example",
        true,
        "URI:sip:uri.example",
    ),
    case(
        "DNS SAN only",
        Kind::Dns,
        "dns.example",
        true,
        "DNS:dns.example",
    ),
    case(
        "wildcard",
        Kind::Wildcard,
        "any.wild.example",
        false,
        "DNS:*.wild.example",
    ),
    case(
        "SRV target's name only",
        Kind::Target,
        DOMAIN,
        false,
        "DNS:sip1.hoster.example",
    ),
    case(
        "IP only",
        Kind::Ip(at(4)),
        "ip.example",
        false,
        "IP:127.61.0.5",
    ),
    case(
        "CN only",
        Kind::CommonName,
        "cn.example",
        false,
        "CN=cn.example",
    ),
    case(
        "expired",
        Kind::Expired,
        "expired.example",
        false,
        "to 2020-02-01",
    ),
    case(
        "wrong usage",
        Kind::WrongUsage,
        "usage.example",
        false,
        "for clientAuth",
    ),
    case(
        "unknown CA",
        Kind::UnknownAuthority,
        "unknown.example",
        false,
        "issued by CN=nobody",
    ),
];

/// The rows of this part.
pub(crate) fn expected() -> Vec<(&'static str, String)> {
    let cases = CASES.iter().map(|case| case.name);
    let others = [WILDCARD, TARGET_ITSELF, NO_TWO, WIRESHARK];
    cases
        .chain(others)
        .map(|case| (PEER, case.to_owned()))
        .collect()
}

pub(crate) fn run(lab: &Lab) {
    if let Err(error) = work(lab) {
        lab.say(&format!("{PEER}: {error}"));
    }
}

fn work(lab: &Lab) -> Outcome<()> {
    let directory = lab.directory.join("certificates");
    fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    let site = Site {
        lab,
        authority: Authority::new(&directory, "somebody")?,
        names: NameServer::start(names(0), DOMAIN)?,
    };
    let _server = start(lab, &directory, &site.authority)?;
    for case in &CASES {
        lab.run(PEER, case.name, || {
            let (is_good, value) = site.judge(case)?;
            lab.table.add(PEER, case.name, is_good, value);
            Ok(())
        });
    }
    lab.run(PEER, WILDCARD, || {
        let seen = site.ask("options", "sips:any.wild.example", &["--tls-wildcard"])?;
        lab.table.add(PEER, WILDCARD, seen.exit == 0, seen.shown());
        Ok(())
    });
    lab.run(PEER, TARGET_ITSELF, || {
        let seen = site.ask("options", &format!("sips:{TARGET}"), &[])?;
        lab.table
            .add(PEER, TARGET_ITSELF, seen.exit == 0, seen.shown());
        Ok(())
    });
    lab.run(PEER, NO_TWO, || site.cross());
    lab.run(PEER, WIRESHARK, || {
        let path = directory.join("options.pcapng");
        let file = path.display().to_string();
        let seen = site.ask("options", "sips:uri.example", &["--pcap", &file])?;
        let verdict = capture::look(&path)?;
        let (is_good, value) = verdict.of_count(2);
        // Messages that were secured stand there without headers of IP and TCP, and so without checksums.
        let value = format!("exit {}, {value}", seen.exit);
        lab.table
            .add(PEER, WIRESHARK, is_good && seen.exit == 0, value);
        Ok(())
    });
    Ok(())
}

/// How to ask.
struct Site<'a> {
    lab: &'a Lab,
    authority: Authority,
    names: NameServer,
}

/// How the command ended.
struct Seen {
    exit: i32,
    reason: String,
}

impl Seen {
    fn shown(&self) -> String {
        match self.exit {
            0 => "exit 0".to_owned(),
            exit => format!("exit {exit}: {}", self.reason),
        }
    }
}

impl Site<'_> {
    /// Asks in three ways, each of which must come to the same.
    fn judge(&self, case: &Case) -> Outcome<(bool, String)> {
        let host = case.host;
        let (account, proxy) = (format!("me@{host}"), format!("sip:{host};transport=tls"));
        let all = [
            self.ask("tls", host, &[])?,
            self.ask("options", &format!("sips:{host}"), &[])?,
            self.ask(
                "register",
                "--once",
                &["--account", &account, "--proxy", &proxy],
            )?,
        ];
        let wanted = format!("wanted {host};");
        let is_good = |seen: &Seen| match case.is_trusted {
            true => seen.exit == 0,
            false => {
                let reason = &seen.reason;
                seen.exit == 4 && reason.contains(&wanted) && reason.contains(case.presented)
            }
        };
        let exits = all.each_ref().map(|seen| seen.exit);
        let value = match all.iter().find(|seen| !is_good(seen)) {
            Some(bad) => format!("exits {exits:?}: {}", bad.reason),
            None if case.is_trusted => "tls, options, register: exit 0".to_owned(),
            None => format!(
                "tls, options, register: exit 4, {wanted} presented {}",
                case.presented
            ),
        };
        Ok((all.iter().all(is_good), value))
    }

    /// Leads every name to every certificate that is not its own.
    fn cross(&self) -> Outcome<()> {
        let mut refused = 0;
        let mut good = Vec::new();
        for shift in 1..CASES.len() {
            let names = NameServer::start(names(shift), "nothing.example")?;
            for (at, case) in CASES.iter().enumerate() {
                let seen = self.ask_through(&names, "tls", case.host, &["--tls-wildcard"])?;
                match seen.exit {
                    4 if seen.reason.contains("presented") => refused += 1,
                    _ => {
                        let other = CASES[(at + shift) % CASES.len()].name;
                        good.push(format!("{other} for {}: {}", case.host, seen.shown()));
                    }
                }
            }
        }
        let value = match good.is_empty() {
            true => format!("{refused} of {refused} refused"),
            false => good.join("; "),
        };
        self.lab.table.add(PEER, NO_TWO, good.is_empty(), value);
        Ok(())
    }

    fn ask(&self, verb: &str, what: &str, more: &[&str]) -> Outcome<Seen> {
        self.ask_through(&self.names, verb, what, more)
    }

    fn ask_through(
        &self,
        names: &NameServer,
        verb: &str,
        what: &str,
        more: &[&str],
    ) -> Outcome<Seen> {
        let mut command = Command::new(&self.lab.binary);
        command.args([verb, what]).args(more);
        command.args(["--json", "--bind", "127.0.0.1", "--timeout", "10"]);
        command.args(["--dns", &names.address.to_string()]);
        command.arg("--tls-ca").arg(&self.authority.file);
        let output = command.output().map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let last: Option<Value> = text
            .lines()
            .last()
            .and_then(|line| serde_json::from_str(line).ok());
        let reason = last.as_ref().and_then(|last| last["reason"].as_str());
        let reason = reason.ok_or_else(|| format!("{command:?} has no last line: {text}"))?;
        Ok(Seen {
            exit: output.status.code().ok_or("a signal")?,
            reason: reason.to_owned(),
        })
    }
}

/// Where names lead: each to the certificate that comes so many after its own.
fn names(shift: usize) -> BTreeMap<String, Ipv4Addr> {
    let place = |(index, case): (usize, &Case)| {
        let address = at((index + shift) % CASES.len());
        (case.host.to_owned(), address)
    };
    let mut names: BTreeMap<String, Ipv4Addr> = CASES.iter().enumerate().map(place).collect();
    if shift == 0 {
        // Only SRV says where its domain is.
        if let Some(address) = names.remove(DOMAIN) {
            names.insert(TARGET.to_owned(), address);
        }
    }
    names
}

/// Where the certificate with that number is shown.
const fn at(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 61, 0, index as u8 + 1)
}

/// Starts a Kamailio that shows a certificate at each address, and waits until it listens.
fn start(lab: &Lab, directory: &Path, authority: &Authority) -> Outcome<Server> {
    let stranger = Authority::new(directory, "nobody")?;
    let (mut listen, mut tls) = (String::new(), String::new());
    for (index, case) in CASES.iter().enumerate() {
        let signer = match case.kind {
            Kind::UnknownAuthority => &stranger,
            _ => authority,
        };
        let (certificate, key) = signer.sign(directory, case)?;
        let (certificate, key) = (certificate.display(), key.display());
        listen += &format!("listen=tls:{}:{PORT}\n", at(index));
        // Whoever speaks to no address is shown the first.
        let sections = [format!("{}:{PORT}", at(index)), "default".to_owned()];
        for section in sections.iter().take(if index == 0 { 2 } else { 1 }) {
            tls += &format!(
                "[server:{section}]\nmethod = TLSv1.2+\nverify_certificate = no\n\
                 require_certificate = no\nprivate_key = {key}\ncertificate = {certificate}\n"
            );
        }
    }
    tls += "[client:default]\nmethod = TLSv1.2+\nverify_certificate = no\n";
    let config = include_str!("kamailio.cfg")
        .replace("@LISTEN@", &listen)
        .replace("@MODULES@", &modules()?)
        .replace("@RUN@", &directory.display().to_string());
    for (file, text) in [("tls.cfg", tls), ("kamailio.cfg", config)] {
        let path = directory.join(file);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let mut command = Command::new("kamailio");
    command.arg("-f").arg(directory.join("kamailio.cfg"));
    command.arg("-w").arg(directory).arg("-Y").arg(directory);
    command.arg("-P").arg(directory.join("pid"));
    command.args(["-m", "64", "-M", "8", "-DD", "-E"]);
    let server = Server(Process::start(
        "kamailio-certificates",
        command,
        &lab.directory,
    )?);
    let deadline = Instant::now() + START;
    let last = SocketAddr::from((at(CASES.len() - 1), PORT));
    while TcpStream::connect(last).is_err() {
        if Instant::now() > deadline {
            return Err("Kamailio does not listen".to_owned());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(server)
}

/// Where its modules are: the architecture is in the path.
fn modules() -> Outcome<String> {
    let known = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
        .map(|machine| format!("/usr/lib/{machine}/kamailio/modules/"));
    let found = known.into_iter().find(|path| Path::new(path).is_dir());
    found.ok_or_else(|| "Kamailio's modules are not there".to_owned())
}

struct Server(Process);

impl Drop for Server {
    fn drop(&mut self) {
        // Its children end with it only if it is asked.
        let _ = self.0.end();
    }
}

const PEER: &str = "certificates";
const WILDCARD: &str = "wildcard, --tls-wildcard";
const TARGET_ITSELF: &str = "SRV target's name, asked for itself";
const NO_TWO: &str = "none is good for two cases";
const WIRESHARK: &str = "Wireshark on our capture of TLS";
/// The domain that is found by SRV, and the name that SRV leads to.
const DOMAIN: &str = "domain.example";
const TARGET: &str = "sip1.hoster.example";
/// Of SIP over TLS (RFC 3261, 19.1.2).
const PORT: u16 = 5061;
const START: Duration = Duration::from_secs(15);
