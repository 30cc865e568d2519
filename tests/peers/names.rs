//! Name servers with the zone of the test: NSD, and BIND.

use crate::{
    Lab, Outcome,
    network::Place,
    process::{self, Process},
};
use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// Which name server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Program {
    Nsd,
    Bind,
}

impl Program {
    /// As the table says it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nsd => "NSD",
            Self::Bind => "BIND",
        }
    }

    /// Where it is on its island.
    pub(crate) const fn address(self) -> Ipv4Addr {
        match self {
            Self::Nsd => ADDRESS,
            // It serves only the addresses that an interface is given.
            Self::Bind => Ipv4Addr::LOCALHOST,
        }
    }

    /// What its configuration says, with its files in a directory.
    fn config(self, directory: &Path, address: IpAddr) -> String {
        let at = directory.display();
        match self {
            Self::Nsd => format!(
                "server:\n ip-address: {address}\n zonesdir: {at}\n database: \"\"\n username: \"\"\n \
                 chroot: \"\"\n pidfile: {at}/pid\n xfrdfile: {at}/xfrd.state\n zonelistfile: {at}/zone.list\n \
                 server-count: 1\nremote-control:\n control-enable: no\n\
                 zone:\n name: {ZONE}\n zonefile: zone\n"
            ),
            Self::Bind => format!(
                "options {{ directory \"{at}\"; listen-on {{ {address}; }}; listen-on-v6 {{ none; }}; \
                 recursion no; allow-query {{ any; }}; pid-file \"{at}/pid\"; \
                 session-keyfile \"{at}/session.key\"; dnssec-validation no; }};\n\
                 controls {{ }};\n\
                 zone \"{ZONE}\" {{ type primary; file \"{at}/zone\"; }};\n"
            ),
        }
    }

    /// How it is started so that it stays in the foreground.
    fn command(self, place: &Place, config: &Path) -> Command {
        let (program, options): (_, &[&str]) = match self {
            Self::Nsd => ("nsd", &["-d", "-c"]),
            Self::Bind => ("named", &["-g", "-n", "1", "-c"]),
        };
        let mut command = place.command(program);
        command.args(options).arg(config);
        command
    }
}

/// A running name server, authoritative for [`ZONE`].
#[derive(Debug)]
pub(crate) struct NameServer {
    process: Process,
}

impl NameServer {
    /// Starts it with these records, whose names are relative to the zone, and waits until it answers.
    pub(crate) fn start(
        lab: &Lab,
        place: &Place,
        program: Program,
        name: &str,
        records: &str,
    ) -> Outcome<Self> {
        let directory = lab.directory.join(name);
        let write = |file: &str, text: String| {
            let path = directory.join(file);
            fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
        };
        fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        let address = place.address();
        let text = format!(
            "$ORIGIN {ZONE}.\n$TTL 60\n@ SOA ns hostmaster 1 60 60 600 60\n@ NS ns\nns A {address}\n{records}"
        );
        write("zone", text)?;
        write("config", program.config(&directory, address))?;
        let command = program.command(place, &directory.join("config"));
        let process = Process::start(name, command, &lab.directory)?;
        let deadline = Instant::now() + START;
        loop {
            let mut ask = place.command("dig");
            ask.args([&format!("@{address}"), ZONE, "SOA"]);
            ask.args(["+short", "+tries=1", "+time=1"]);
            // It fails while nobody listens.
            if process::run(&mut ask).is_ok_and(|answer| answer.contains("hostmaster")) {
                return Ok(Self { process });
            }
            if Instant::now() > deadline {
                return Err(format!("{name} does not answer"));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        // Its children end with it only if it is asked.
        let _ = self.process.end();
    }
}

/// The records of a SIP server that is found by NAPTR and SRV: TLS before TCP before UDP; WebSockets have
/// no such records (RFC 7118).
pub(crate) fn server(name: &str, address: impl Into<IpAddr>) -> String {
    let address = address.into();
    // RFC 3596.
    let kind = if address.is_ipv4() { "A" } else { "AAAA" };
    format!(
        "{name} NAPTR 10 50 \"s\" \"SIPS+D2T\" \"\" _sips._tcp.{name}\n\
         {name} NAPTR 20 50 \"s\" \"SIP+D2T\" \"\" _sip._tcp.{name}\n\
         {name} NAPTR 30 50 \"s\" \"SIP+D2U\" \"\" _sip._udp.{name}\n\
         _sips._tcp.{name} SRV 0 0 5061 host.{name}\n\
         _sip._tcp.{name} SRV 0 0 5060 host.{name}\n\
         _sip._udp.{name} SRV 0 0 5060 host.{name}\n\
         host.{name} {kind} {address}\n\
         {name} {kind} {address}\n"
    )
}

/// The domain of all names of the test (RFC 2606).
pub(crate) const ZONE: &str = "peers.example";
/// Where NSD is on its island.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);
const START: Duration = Duration::from_secs(10);
