//! An answer of forty SRV records does not fit into a datagram of 512 bytes: NSD then sends none of them,
//! BIND some, both say that it is truncated, and all of them come over TCP (RFC 1035, 4.2; RFC 2181, 9).

use super::{
    Over,
    registrars::{Registrar, Registrars},
};
use crate::{
    Lab, Outcome,
    agent::Agent,
    capture::Capture,
    names::{Program, ZONE},
    network::Island,
    pcap::Packet,
};
use std::{
    fmt::Write as _,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

/// The rows.
pub(super) fn expected() -> Vec<(&'static str, String)> {
    PROGRAMS
        .map(|program| (program.name(), CASE.to_owned()))
        .to_vec()
}

/// Asks both, which know [`records`].
pub(super) fn run(lab: &Lab, island: &Island, registrars: &Registrars) {
    for program in PROGRAMS {
        lab.run(program.name(), CASE, || {
            ask(lab, island, registrars, program)
        });
    }
}

/// Whom the first of the targets is.
pub(super) fn registrars() -> [Registrar; 2] {
    PROGRAMS.map(|program| Registrar {
        over: Over::Tcp,
        address: alive(program),
        host: String::new(),
        instead: None,
    })
}

/// The first of the targets is the only one where somebody is.
pub(super) fn records() -> String {
    let mut text = String::new();
    for program in PROGRAMS {
        let (label, alive) = (label(program), alive(program));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{label} NAPTR 10 50 \"s\" \"SIP+D2T\" \"\" _sip._tcp.{label}\nalive.{label} A {alive}\n\
             nobody.{label} A {NOBODY}"
        );
        for priority in 1..=TARGETS {
            let target = if priority == 1 { "alive" } else { "nobody" };
            let port = 5059 + priority;
            let _ = writeln!(
                text,
                "_sip._tcp.{label} SRV {priority} 0 {port} {target}.{label}"
            );
        }
    }
    text
}

fn ask(lab: &Lab, island: &Island, registrars: &Registrars, program: Program) -> Outcome<()> {
    let (place, name) = (island.at(caller(program)), label(program));
    let domain = format!("{name}.{ZONE}");
    let server = program.address();
    let filter = format!("host {server} and port 53");
    let capture = Capture::start(lab, &place, "lo", name, &filter)?;
    let (server_option, bind) = (server.to_string(), place.address().to_string());
    let common = ["--dns", &server_option, "--bind", &bind];
    let account = format!("alice@{domain}");
    let words = [&["register", "--account", &account][..], &common].concat();
    let mut registering =
        Agent::start_unheard(lab, &place, &format!("{name}-register"), 5070, words)?;
    let registered = registering.finish(PATIENCE)?;
    let uri = format!("sip:{domain}");
    let words = [&["dns", &uri][..], &common].concat();
    let mut looking = Agent::start_unheard(lab, &place, &format!("{name}-dns"), 5070, words)?;
    let found = looking.finish(PATIENCE)?;
    let targets = found.data["result"].as_array();
    let ports: Vec<u64> = targets
        .into_iter()
        .flatten()
        .filter_map(|target| target["address"].as_str()?.rsplit(':').next()?.parse().ok())
        .collect();
    let queries = found.data["queries"].as_array();
    let answer = queries.into_iter().flatten().find_map(|query| {
        let is_services = query["query_type"] == "SRV";
        query["answer"].as_array().filter(|_| is_services)
    });
    let records = answer.map_or(0, Vec::len);
    let is_whole =
        records == usize::from(TARGETS) && ports == (5060..5060 + MOST).collect::<Vec<_>>();
    let (left, over_tcp) = truncated(&capture.finish()?, server);
    let has_shape = match program {
        Program::Nsd => left == [0, 0],
        Program::Bind => left.len() == 2 && left.iter().all(|left| (1..TARGETS).contains(left)),
    };
    lab.table.add(
        program.name(),
        CASE,
        (registered.exit, found.exit, over_tcp) == (0, 0, 2)
            && registrars.knows(&account)?
            && is_whole
            && has_shape,
        format!(
            "truncated to {left:?} records, {records} of them over TCP, the first {} as targets, exit {} {}",
            ports.len(),
            registered.exit,
            registered.reason
        ),
    );
    Ok(())
}

/// How many records the truncated answers have, and how many answers came over TCP (RFC 1035, 4.1.1).
fn truncated(packets: &[Packet], server: Ipv4Addr) -> (Vec<u16>, usize) {
    let server = SocketAddr::from((server, DNS));
    let answers = packets.iter().filter(|packet| packet.source == server);
    let (mut left, mut over_tcp) = (Vec::new(), 0);
    for Packet {
        sequence, payload, ..
    } in answers
    {
        match (sequence, payload.get(2), payload.get(6..8)) {
            (None, Some(flags), Some(&[high, low])) if flags & TC != 0 => {
                left.push(u16::from_be_bytes([high, low]));
            }
            (Some(_), Some(_), _) => over_tcp += 1,
            _ => {}
        }
    }
    (left, over_tcp)
}

const fn label(program: Program) -> &'static str {
    match program {
        Program::Nsd => "many-nsd",
        Program::Bind => "many-bind",
    }
}

const fn caller(program: Program) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 5, program as u8 + 1)
}

const fn alive(program: Program) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 6, program as u8 + 1)
}

const PROGRAMS: [Program; 2] = [Program::Nsd, Program::Bind];
const NOBODY: Ipv4Addr = Ipv4Addr::new(127, 0, 7, 1);
const TARGETS: u16 = 40;
/// So many targets a look-up has at most.
const MOST: u64 = 32;
const DNS: u16 = 53;
/// The bit of the flags' first byte (RFC 1035, 4.1.1).
const TC: u8 = 2;
const CASE: &str = "40 SRV records, truncated, asked for again over TCP";
const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_targets_stand_in_the_zone() {
        let records = records();
        for program in PROGRAMS {
            let line = format!("_sip._tcp.{} SRV", label(program));
            assert_eq!(records.matches(&line).count(), usize::from(TARGETS));
        }
        assert!(records.contains("SRV 1 0 5060 alive.many-nsd\n"));
        assert!(records.contains("SRV 40 0 5099 nobody.many-bind\n"));
    }
}
