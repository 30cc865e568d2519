//! A running Kamailio.

use crate::{
    Lab, Outcome,
    authority::Authority,
    names::ZONE,
    network::Place,
    process::{self, Process},
};
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// How it challenges; the last one is reached over IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// As RFC 2069 did.
    NoQop,
    /// With a nonce count, and nonces that live for 5 s.
    ShortNonces,
    Sha256,
    /// As `Sha256`.
    Version6,
}

impl Challenge {
    pub(crate) const ALL: [Self; 4] =
        [Self::NoQop, Self::ShortNonces, Self::Sha256, Self::Version6];

    /// As the table says it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NoQop => "no qop",
            Self::ShortNonces => "qop, nonces of 5 s",
            Self::Sha256 => "SHA-256",
            Self::Version6 => "IPv6, SHA-256",
        }
    }

    /// One label of a domain.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::NoQop => "plain",
            Self::ShortNonces => "short",
            Self::Sha256 => "sha",
            Self::Version6 => "six",
        }
    }

    const fn define(self) -> &'static str {
        match self {
            Self::NoQop => "NO_QOP",
            Self::ShortNonces => "SHORT_NONCES",
            Self::Sha256 | Self::Version6 => "SHA_256",
        }
    }

    pub(crate) const fn address(self) -> IpAddr {
        match self {
            Self::Version6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xffff)),
            _ => IpAddr::V4(Ipv4Addr::new(127, 0, 1, self as u8 + 1)),
        }
    }

    pub(crate) fn domain(self) -> String {
        format!("{}.{ZONE}", self.label())
    }
}

/// A server of one domain.
pub(crate) struct Server<'a> {
    lab: &'a Lab,
    place: Place,
    pub(crate) challenge: Challenge,
    name: String,
    directory: PathBuf,
    process: Option<Process>,
}

impl<'a> Server<'a> {
    /// Writes what it needs, and starts it; `name` is that of its files.
    pub(crate) fn start(
        lab: &'a Lab,
        place: Place,
        authority: &Authority,
        challenge: Challenge,
        name: &str,
    ) -> Outcome<Self> {
        let directory = lab.directory.join(name);
        fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        let write = |file: &str, text: &str| {
            let path = directory.join(file);
            fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
        };
        let domain = challenge.domain();
        let certificate = authority.issue(&domain)?;
        write(
            "tls.cfg",
            &format!(
                "[server:default]\nmethod = TLSv1.2+\nverify_certificate = no\n\
                 require_certificate = no\nprivate_key = {}\ncertificate = {}\n\
                 [client:default]\nmethod = TLSv1.2+\nverify_certificate = yes\nca_list = {}\n",
                certificate.key.display(),
                certificate.certificate.display(),
                authority.root().display(),
            ),
        )?;
        let loopback = match place.address().is_ipv6() {
            true => LOOPBACK_OF_VERSION_6,
            false => "",
        };
        let config = include_str!("kamailio.cfg")
            .replace("@RUN@", &directory.display().to_string())
            .replace("@DOMAIN@", &domain)
            .replace("@ADDRESS@", &place.host())
            .replace("@LOOPBACK@", loopback)
            .replace("@PASSWORD@", PASSWORD)
            .replace("@MODULES@", &modules()?);
        write("kamailio.cfg", &config)?;
        let state = directory.join("state.db");
        for table in ["standard", "presence"] {
            let script = format!(".read {TABLES}/{table}-create.sql");
            process::run(Command::new("sqlite3").arg(&state).arg(script))?;
        }
        let mut server = Self {
            lab,
            place,
            challenge,
            name: name.to_owned(),
            directory,
            process: None,
        };
        server.restart()?;
        Ok(server)
    }

    /// Ends it if it runs, starts it, and waits until it answers; it has forgotten who was registered.
    pub(crate) fn restart(&mut self) -> Outcome<()> {
        if let Some(mut process) = self.process.take() {
            process.end()?;
        }
        let process = launch(
            self.lab,
            &self.place,
            &self.name,
            &self.directory,
            self.challenge.define(),
        )?;
        self.process = Some(process);
        Ok(())
    }

    /// Asks its console.
    pub(crate) fn ask(&self, words: &[&str]) -> Outcome<String> {
        ask(&self.directory, words)
    }

    /// What it knows of a user, one line a binding: Contact and the socket that the REGISTER came to.
    pub(crate) fn bindings(&self, user: &str) -> Outcome<Vec<String>> {
        // To ask for somebody who is not there is an error: ask for all.
        let dump = self.ask(&["ul.dump"])?;
        let of_user = dump
            .split("AoR: ")
            .find(|record| record.lines().next().map(str::trim) == Some(user));
        let contacts = of_user.unwrap_or_default().split("Contact: {").skip(1);
        Ok(contacts
            .map(|contact| {
                let field = |name: &str| {
                    let mut lines = contact.lines().map(str::trim);
                    let value = lines.find_map(|line| line.strip_prefix(name));
                    value.unwrap_or("?").trim().to_owned()
                };
                format!("{} at {}", field("Address:"), field("Socket:"))
            })
            .collect())
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Its children end with it only if it is asked.
            let _ = process.end();
        }
    }
}

/// Starts a Kamailio whose files are in a directory, and waits until it answers.
pub(crate) fn launch(
    lab: &Lab,
    place: &Place,
    name: &str,
    directory: &Path,
    define: &str,
) -> Outcome<Process> {
    let mut command = place.command("kamailio");
    command.args(["-A", define]);
    command.arg("-f").arg(directory.join("kamailio.cfg"));
    command.arg("-w").arg(directory).arg("-Y").arg(directory);
    command.arg("-P").arg(directory.join("pid"));
    command.args(["-m", "64", "-M", "8", "-DD", "-E"]);
    let process = Process::start(name, command, &lab.directory)?;
    let deadline = Instant::now() + START;
    while let Err(error) = ask(directory, &["core.uptime"]) {
        if Instant::now() > deadline {
            return Err(format!("{name} does not start: {error}"));
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(process)
}

/// Asks the console of a Kamailio.
pub(crate) fn ask(directory: &Path, words: &[&str]) -> Outcome<String> {
    let socket = format!("unix:{}", directory.join("ctl").display());
    process::run(Command::new("kamcmd").args(["-s", &socket]).args(words))
}

/// Where its modules are: the architecture is in the path.
pub(crate) fn modules() -> Outcome<String> {
    let known = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
        .map(|machine| format!("/usr/lib/{machine}/kamailio/modules/"));
    let found = known.into_iter().find(|path| Path::new(path).is_dir());
    found.ok_or_else(|| "Kamailio's modules are not there".to_owned())
}

/// A server of IPv6 listens there, too.
const LOOPBACK_OF_VERSION_6: &str = "listen=udp:[::1]:5060\nlisten=tcp:[::1]:5060";
/// Everybody's.
pub(crate) const PASSWORD: &str = "password-of-everybody";
const TABLES: &str = "/usr/share/kamailio/db_sqlite";
const START: Duration = Duration::from_secs(15);
