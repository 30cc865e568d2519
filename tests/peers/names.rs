//! NSD, a name server, with the zone of the test.

use crate::{
    Lab, Outcome,
    network::Island,
    process::{self, Process},
};
use std::{
    fs,
    net::Ipv4Addr,
    thread,
    time::{Duration, Instant},
};

/// A running name server, authoritative for [`ZONE`].
#[derive(Debug)]
pub(crate) struct NameServer {
    process: Process,
}

impl NameServer {
    /// Starts it with these records, whose names are relative to the zone, and waits until it answers.
    pub(crate) fn start(lab: &Lab, island: &Island, name: &str, records: &str) -> Outcome<Self> {
        let directory = lab.directory.join(name);
        let write = |file: &str, text: String| {
            let path = directory.join(file);
            fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
        };
        fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        let text = format!(
            "$ORIGIN {ZONE}.\n$TTL 60\n@ SOA ns hostmaster 1 60 60 600 60\n@ NS ns\nns A {ADDRESS}\n{records}"
        );
        write("zone", text)?;
        let at = directory.display();
        let config = format!(
            "server:\n ip-address: {ADDRESS}\n zonesdir: {at}\n database: \"\"\n username: \"\"\n \
             chroot: \"\"\n pidfile: {at}/pid\n xfrdfile: {at}/xfrd.state\n zonelistfile: {at}/zone.list\n \
             server-count: 1\nremote-control:\n control-enable: no\n\
             zone:\n name: {ZONE}\n zonefile: zone\n"
        );
        write("nsd.conf", config)?;
        let place = island.at(ADDRESS);
        let mut command = place.command("nsd");
        command.args(["-d", "-c"]).arg(directory.join("nsd.conf"));
        let process = Process::start(name, command, &lab.directory)?;
        let deadline = Instant::now() + START;
        loop {
            let mut ask = place.command("dig");
            ask.args([&format!("@{ADDRESS}"), ZONE, "SOA"]);
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

/// The records of a SIP server that is found by NAPTR and SRV: TLS before TCP before UDP.
pub(crate) fn server(name: &str, address: Ipv4Addr) -> String {
    format!(
        "{name} NAPTR 10 50 \"s\" \"SIPS+D2T\" \"\" _sips._tcp.{name}\n\
         {name} NAPTR 20 50 \"s\" \"SIP+D2T\" \"\" _sip._tcp.{name}\n\
         {name} NAPTR 30 50 \"s\" \"SIP+D2U\" \"\" _sip._udp.{name}\n\
         _sips._tcp.{name} SRV 0 0 5061 host.{name}\n\
         _sip._tcp.{name} SRV 0 0 5060 host.{name}\n\
         _sip._udp.{name} SRV 0 0 5060 host.{name}\n\
         host.{name} A {address}\n"
    )
}

/// The domain of all names of the test (RFC 2606).
pub(crate) const ZONE: &str = "peers.example";
/// Where the name server is on its island.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);
const START: Duration = Duration::from_secs(10);
