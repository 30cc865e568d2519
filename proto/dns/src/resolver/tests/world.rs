//! Name servers in memory, and the clock.

use super::{A, after, parts};
use crate::{
    Config, Event, ExchangeId, Found, Input, LookupError, LookupId, Name, Output, Place, Reach,
    Request, Resolver, Trace,
};
use base::{Rng, Transport};
use bytes::Bytes;
use std::{collections::BTreeMap, net::SocketAddr, sync::OnceLock, time::Instant};

/// Three name servers.
pub(super) const ALL: [SocketAddr; 3] = [server(1), server(2), server(3)];

pub(super) const fn server(last: u8) -> SocketAddr {
    SocketAddr::new(
        std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 50 + last)),
        53,
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "an arbitrary origin for a virtual clock"
)]
pub(super) fn at(time: u64) -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    after(*START.get_or_init(Instant::now), time)
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(super) fn place(host: &str) -> Place {
    Place::new(host.parse().unwrap())
}

/// Milliseconds since the start.
pub(super) fn ms(time: Instant) -> u128 {
    time.duration_since(at(0)).as_millis()
}

/// The lookup of a URI by an agent with UDP and TCP.
pub(super) fn sip(host: &str) -> Request {
    let reach = [Transport::Udp, Transport::Tcp];
    Request::Sip {
        place: place(host),
        reach: reach
            .map(|transport| Reach::new(transport, true, true))
            .to_vec(),
    }
}

/// How a server treats queries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Answers,
    Silent,
    /// Answers with this code and nothing else.
    Code(u8),
    /// ICMP says that nobody listens.
    Unreachable,
}

pub(super) struct World {
    pub(super) resolver: Resolver,
    /// By place in [`ALL`]; those that are not listed answer.
    pub(super) fates: Vec<Fate>,
    /// Names about which nobody says anything.
    pub(super) mute: Vec<&'static str>,
    /// Datagrams hold nothing but the question.
    pub(super) truncates: bool,
    pub(super) sockets: BTreeMap<ExchangeId, (SocketAddr, bool)>,
    /// Every datagram and every write, with its server.
    pub(super) sent: Vec<(SocketAddr, Bytes)>,
    /// Not looked at by a server yet.
    pub(super) pending: Vec<(ExchangeId, Bytes)>,
    pub(super) opened: usize,
    pub(super) streams: usize,
    pub(super) traces: Vec<Trace>,
    pub(super) name_servers: Vec<(Vec<SocketAddr>, bool)>,
    done: BTreeMap<LookupId, Result<Found, LookupError>>,
}

impl World {
    /// A resolver with one server.
    pub(super) fn new() -> Self {
        let mut world = Self::bare(Config::default());
        world.resolver.set_name_servers(at(0), ALL[..1].to_vec());
        world.drain(at(0));
        world
    }

    /// A resolver that knows no server.
    pub(super) fn bare(config: Config) -> Self {
        Self {
            resolver: Resolver::new(config, Rng::from_seed([9; 32])),
            fates: Vec::new(),
            mute: Vec::new(),
            truncates: false,
            sockets: BTreeMap::new(),
            sent: Vec::new(),
            pending: Vec::new(),
            opened: 0,
            streams: 0,
            traces: Vec::new(),
            name_servers: Vec::new(),
            done: BTreeMap::new(),
        }
    }

    /// Carries out what the resolver wants.
    pub(super) fn drain(&mut self, now: Instant) {
        while let Some(output) = self.resolver.poll_output() {
            match output {
                Output::Open {
                    exchange,
                    server,
                    stream,
                } => {
                    self.opened += 1;
                    self.streams += usize::from(stream);
                    self.sockets.insert(exchange, (server, stream));
                    let input = match self.fate(server) {
                        Fate::Unreachable if stream => Input::Failed { exchange },
                        _ => Input::Opened { exchange },
                    };
                    self.resolver.handle_input(now, input);
                }
                Output::Send { exchange, payload } => {
                    let (server, _) = self.sockets[&exchange];
                    self.sent.push((server, payload.clone()));
                    self.pending.push((exchange, payload));
                }
                Output::Close { exchange } => {
                    assert!(self.sockets.remove(&exchange).is_some(), "closed once");
                    self.pending.retain(|(of, _)| *of != exchange);
                }
                Output::Event(Event::Trace(trace)) => self.traces.push(trace),
                Output::Event(Event::Done { lookup, result }) => {
                    assert!(self.done.insert(lookup, result).is_none(), "done once");
                }
                Output::Event(Event::NameServers { servers, first }) => {
                    self.name_servers.push((servers, first));
                }
            }
        }
    }

    /// Lets the servers answer what is pending; says what they were asked.
    pub(super) fn serve(&mut self, now: Instant) -> Vec<String> {
        self.drain(now);
        let mut asked = Vec::new();
        for (exchange, query) in std::mem::take(&mut self.pending) {
            let Some(&(server, stream)) = self.sockets.get(&exchange) else {
                continue;
            };
            let query = if stream { query.slice(2..) } else { query };
            let (_, name, kind) = parts(&query);
            asked.push(format!("{name} {kind}"));
            if self.mute.contains(&name.as_str()) {
                continue;
            }
            let reply = match self.fate(server) {
                Fate::Silent => continue,
                Fate::Unreachable => {
                    self.resolver.handle_input(now, Input::Failed { exchange });
                    continue;
                }
                Fate::Code(code) => error(&query, code),
                Fate::Answers if self.truncates && !stream => truncated(&query),
                Fate::Answers => answer(&query),
            };
            let input = match stream {
                false => Input::Datagram {
                    exchange,
                    from: server,
                    payload: reply.into(),
                },
                true => {
                    let framed = [&(reply.len() as u16).to_be_bytes()[..], &reply].concat();
                    // Cut where it hurts.
                    let (head, rest) = framed.split_at(1);
                    let payload = Bytes::copy_from_slice(head);
                    self.resolver
                        .handle_input(now, Input::Bytes { exchange, payload });
                    Input::Bytes {
                        exchange,
                        payload: Bytes::copy_from_slice(rest),
                    }
                }
            };
            self.resolver.handle_input(now, input);
        }
        self.drain(now);
        asked
    }

    /// Hands in the time.
    pub(super) fn wake(&mut self, now: Instant) {
        self.resolver.handle_input(now, Input::Timeout);
        self.drain(now);
    }

    /// Wakes the resolver at all its deadlines, with servers that answer at once.
    pub(super) fn run_until(&mut self, end: Instant) {
        self.drain(at(0));
        while let Some(deadline) = self.resolver.poll_timeout().filter(|next| next.at <= end) {
            self.wake(deadline.at);
            self.serve(deadline.at);
        }
    }

    pub(super) fn is_open(&self, lookup: LookupId) -> bool {
        !self.done.contains_key(&lookup)
    }

    /// What a lookup found, as text.
    pub(super) fn results(&self, lookup: LookupId) -> Result<Vec<String>, LookupError> {
        match self.done.get(&lookup).expect("the lookup is over") {
            Ok(Found::Targets(targets)) => Ok(targets
                .iter()
                .map(|t| format!("{} {} {}", t.transport, t.address, t.name))
                .collect()),
            Ok(Found::Uris(uris)) => Ok(uris.clone()),
            Err(error) => Err(*error),
        }
    }

    fn fate(&self, server: SocketAddr) -> Fate {
        let place = ALL.iter().position(|other| *other == server);
        place
            .and_then(|place| self.fates.get(place))
            .copied()
            .unwrap_or(Fate::Answers)
    }
}

fn labels(text: &str) -> Vec<u8> {
    let labels = text.split('.').filter(|label| !label.is_empty());
    let mut bytes: Vec<u8> = labels
        .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat())
        .collect();
    bytes.push(0);
    bytes
}

/// A record of one minute.
pub(super) fn record(owner: &str, kind: u16, data: &[u8]) -> Vec<u8> {
    let head = [labels(owner), kind.to_be_bytes().to_vec(), vec![0, 1]].concat();
    let length = (data.len() as u16).to_be_bytes();
    [&head[..], &60u32.to_be_bytes(), &length, data].concat()
}

/// Flags, one question, so many answers and authorities, and the query's own question.
pub(super) fn reply(
    query: &[u8],
    flags: u16,
    answers: &[Vec<u8>],
    authority: &[Vec<u8>],
) -> Vec<u8> {
    let counts = [1, answers.len() as u16, authority.len() as u16, 0];
    let head = [flags].into_iter().chain(counts).flat_map(u16::to_be_bytes);
    let mut bytes = query[..2].to_vec();
    bytes.extend(head);
    bytes.extend_from_slice(&query[12..]);
    bytes.extend(answers.concat());
    bytes.extend(authority.concat());
    bytes
}

fn error(query: &[u8], code: u8) -> Vec<u8> {
    reply(query, 0x8180 | u16::from(code), &[], &[])
}

fn truncated(query: &[u8]) -> Vec<u8> {
    reply(query, 0x8380, &[], &[])
}

/// What the zone of `example.com` says.
pub(super) fn answer(query: &[u8]) -> Vec<u8> {
    let (_, name, kind) = parts(query);
    let srv = |priority: u8, port: u16, host: &str| {
        let numbers = [u16::from(priority), 0, port]
            .map(u16::to_be_bytes)
            .concat();
        record(&name, 33, &[numbers, labels(host)].concat())
    };
    let naptr = |order: u8, service: &str, next: &str| {
        let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
        let fields = [vec![0, order, 0, 1], text("s"), text(service), text("")].concat();
        record(&name, 35, &[fields, labels(next)].concat())
    };
    let answers = match (name.as_str(), kind) {
        ("example.com", 35) => vec![
            naptr(2, "SIP+D2U", "_sip._udp.example.com"),
            naptr(1, "SIP+D2T", "_sip._tcp.example.com"),
        ],
        ("_sip._udp.example.com", 33) => vec![
            srv(2, 5070, "sip2.example.com"),
            srv(1, 5060, "sip1.example.com"),
        ],
        ("_sip._tcp.example.com", 33) => vec![srv(1, 5060, "sip1.example.com")],
        ("sip1.example.com", A) => vec![record(&name, A, &[192, 0, 2, 1])],
        ("sip2.example.com", A) => vec![record(&name, A, &[192, 0, 2, 2])],
        ("alias.example.com", _) => vec![record(&name, 5, &labels("sip1.example.com"))],
        ("circle.example.com", _) => vec![record(&name, 5, &labels("circle.example.com"))],
        _ => Vec::new(),
    };
    if answers.is_empty() {
        let numbers = [1, 2, 3, 4, 600].map(u32::to_be_bytes).concat();
        let soa = [labels("ns.example.com"), labels("a.example.com"), numbers].concat();
        let mut soa = record("example.com", 6, &soa);
        // Ten minutes.
        let ttl = labels("example.com").len() + 4;
        soa[ttl..ttl + 4].copy_from_slice(&600u32.to_be_bytes());
        let exists = ["sip1", "sip2"].iter().any(|host| name.starts_with(host));
        let code = if exists { 0x8180 } else { 0x8183 };
        return reply(query, code, &[], &[soa]);
    }
    reply(query, 0x8180, &answers, &[])
}
