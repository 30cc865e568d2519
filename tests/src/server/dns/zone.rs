//! A zone, from its text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    NAME_ERROR,
    message::{Query, Record, Reply, put_name, put_text},
};

/// The records of a zone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Zone(Vec<Record>);

impl Zone {
    /// Reads lines of `name TTL type data`.
    pub(super) fn parse(text: &str) -> Self {
        let lines = text
            .lines()
            .map(|line| line.split(';').next().unwrap_or(line));
        let lines = lines.filter(|line| !line.trim().is_empty());
        Self(lines.map(record).collect())
    }

    pub(super) fn into_records(self) -> Vec<Record> {
        self.0
    }

    /// Answers from the zone, along aliases (RFC 1034, 4.3.2).
    pub(super) fn answer(&self, query: &Query, reply: &mut Reply) {
        let mut name = query.name.clone();
        for _ in 0..=MAX_ALIASES {
            let of_name = || self.0.iter().filter(|record| record.name == name);
            let wanted = || of_name().filter(|record| record.kind == query.kind);
            reply.answers.extend(wanted().cloned());
            if wanted().next().is_some() {
                return;
            }
            let Some(alias) = of_name().find(|record| record.kind == CNAME) else {
                // A name that only stands above others exists, too (RFC 8020).
                let below = format!(".{name}");
                let exists = of_name().next().is_some()
                    || self.0.iter().any(|record| record.name.ends_with(&below));
                if !exists {
                    reply.code = NAME_ERROR;
                }
                let is_apex = |record: &&Record| {
                    record.kind == SOA
                        && (name == record.name || name.ends_with(&format!(".{}", record.name)))
                };
                reply.authority.extend(self.0.iter().find(is_apex).cloned());
                return;
            };
            reply.answers.push(alias.clone());
            name = name_of(&alias.data);
        }
    }
}

/// An address record, whatever the question was.
pub(super) fn addresses(name: &str, ip: IpAddr) -> Vec<Record> {
    let (kind, data) = match ip {
        IpAddr::V4(ip) => (A, ip.octets().to_vec()),
        IpAddr::V6(ip) => (AAAA, ip.octets().to_vec()),
    };
    vec![Record {
        name: name.to_owned(),
        kind,
        ttl: 3_600,
        data,
    }]
}

/// The name of a type, as it stands in zones.
pub(super) fn kind_name(kind: u16) -> String {
    let known = KINDS.iter().find(|(_, number)| *number == kind);
    known.map_or_else(|| format!("TYPE{kind}"), |(name, _)| (*name).to_owned())
}

fn record(line: &str) -> Record {
    let mut words = words(line).into_iter();
    let mut word = || words.next().unwrap_or_else(|| panic!("too short: {line}"));
    let name = absolute(&word());
    let ttl = word().parse().unwrap_or_else(|_| panic!("no TTL: {line}"));
    let kind_text = word();
    let known = KINDS.iter().find(|(name, _)| *name == kind_text);
    let (_, kind) = *known.unwrap_or_else(|| panic!("no type: {line}"));
    let mut data = Vec::new();
    let number = |text: String| -> [u8; 2] {
        let number: u16 = text.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        number.to_be_bytes()
    };
    match kind {
        A => {
            let ip: Ipv4Addr = word()
                .parse()
                .unwrap_or_else(|_| panic!("no address: {line}"));
            data.extend(ip.octets());
        }
        AAAA => {
            let ip: Ipv6Addr = word()
                .parse()
                .unwrap_or_else(|_| panic!("no address: {line}"));
            data.extend(ip.octets());
        }
        CNAME | NS => put_name(&mut data, &absolute(&word())),
        SRV => {
            for _ in 0..3 {
                data.extend(number(word()));
            }
            put_name(&mut data, &absolute(&word()));
        }
        NAPTR => {
            for _ in 0..2 {
                data.extend(number(word()));
            }
            for _ in 0..3 {
                put_text(&mut data, &word());
            }
            put_name(&mut data, &absolute(&word()));
        }
        TXT => put_text(&mut data, &word()),
        // RFC 1035, 3.3.13: the last number alone is meant, for how long what is not there is
        // remembered (RFC 2308, 4).
        _ => {
            put_name(&mut data, "ns");
            put_name(&mut data, "hostmaster");
            let minimum: u32 = word()
                .parse()
                .unwrap_or_else(|_| panic!("no number: {line}"));
            for number in [1, 3_600, 600, 86_400, minimum] {
                data.extend(number.to_be_bytes());
            }
        }
    }
    Record {
        name,
        kind,
        ttl,
        data,
    }
}

/// Words, and what stands in quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (n, part) in line.split('"').enumerate() {
        match n % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

fn absolute(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn name_of(data: &[u8]) -> String {
    let mut labels = Vec::new();
    let mut rest = data;
    while let [len, tail @ ..] = rest
        && *len > 0
    {
        let (label, after) = tail.split_at(usize::from(*len).min(tail.len()));
        labels.push(String::from_utf8_lossy(label).into_owned());
        rest = after;
    }
    labels.join(".")
}

const A: u16 = 1;
const NS: u16 = 2;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const NAPTR: u16 = 35;
const KINDS: [(&str, u16); 8] = [
    ("A", A),
    ("NS", NS),
    ("CNAME", CNAME),
    ("SOA", SOA),
    ("TXT", TXT),
    ("AAAA", AAAA),
    ("SRV", SRV),
    ("NAPTR", NAPTR),
];
const MAX_ALIASES: usize = 8;
