//! A name server (RFC 1035) with a zone, and with every fault that resolvers meet.

mod message;
mod zone;

use base::{Deadline, Transport};
use bytes::Bytes;
use sipsimple::agent::{Class, Input, LinkId, Open, Output};
use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use crate::node::Node;
use message::{Query, Reply};
use zone::Zone;

/// A query that a [`NameServer`] got.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// When.
    pub at: Instant,
    /// Over what.
    pub transport: Transport,
    /// From where.
    pub from: SocketAddr,
    /// The name, in lower case, without the final dot.
    pub name: String,
    /// The type as it stands in zones (`SRV`).
    pub kind: String,
}

/// How a [`NameServer`] misbehaves.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DnsFault {
    /// It says nothing.
    Silent,
    /// It answers so much later.
    Slow(Duration),
    /// Its datagrams hold nothing but the word that they were cut (TC); over TCP it answers.
    Truncating,
    /// The same, but it takes no connection either: each one is closed.
    TruncatingForEver,
    /// It answers with another id than that of the query.
    WrongId,
    /// It answers a question that nobody asked, with the address of somebody else.
    WrongQuestion(IpAddr),
    /// Its datagrams come from this other address of its host.
    OtherSource(IpAddr),
    /// It answers, and adds records that nobody asked for (RFC 5452, 6): lines of a zone.
    Poisoning(&'static str),
    /// It names other servers instead of answering (RFC 1912, 2.8: lame).
    Lame,
    /// It says that there is no such name.
    NoName,
    /// It fails (2).
    Failing,
    /// It does not answer us (5).
    Refusing,
    /// It answers with bytes that are no message.
    Garbage,
}

/// An authoritative name server that answers recursive queries from one zone file, over UDP and TCP.
///
/// Its messages are written from RFC 1035, 4 by hand and share nothing with the resolver that reads
/// them.
#[derive(Debug)]
pub struct NameServer {
    zone: Zone,
    fault: Option<DnsFault>,
    udp: Option<LinkId>,
    streams: BTreeMap<LinkId, Vec<u8>>,
    links: u32,
    asked: Vec<Asked>,
    late: VecDeque<(Instant, Output)>,
    out: VecDeque<Output>,
}

impl NameServer {
    /// Listens on `address`, an address of its host, over UDP and TCP; `zone` is the text of a zone:
    /// `name TTL type data` on each line, names absolute, `;` begins a comment.
    ///
    /// # Panics
    ///
    /// The text is no zone: a mistake of the test.
    pub fn new(address: SocketAddr, zone: &str) -> Self {
        let mut server = Self {
            zone: Zone::parse(zone),
            fault: None,
            udp: None,
            streams: BTreeMap::new(),
            links: 0,
            asked: Vec::new(),
            late: VecDeque::new(),
            out: VecDeque::new(),
        };
        let (bind, class) = (address, Class::Signalling);
        let multicast = None;
        server.udp = Some(server.open(Open::Udp {
            bind,
            class,
            multicast,
        }));
        server.open(Open::Listen { bind, class });
        server
    }

    /// Serves another zone from here on.
    ///
    /// # Panics
    ///
    /// The text is no zone.
    pub fn set_zone(&mut self, zone: &str) {
        self.zone = Zone::parse(zone);
    }

    /// Misbehaves from here on, or no more.
    pub fn set_fault(&mut self, fault: Option<DnsFault>) {
        self.fault = fault;
    }

    /// What it was asked so far.
    pub fn asked(&self) -> &[Asked] {
        &self.asked
    }

    /// Takes what it was asked since the last time.
    pub fn take_asked(&mut self) -> Vec<Asked> {
        std::mem::take(&mut self.asked)
    }

    fn open(&mut self, how: Open) -> LinkId {
        use base::Key as _;
        self.links += 1;
        let link = LinkId::from_parts(0, self.links);
        self.out.push_back(Output::Open { link, how });
        link
    }

    /// The reply to a query, or nothing; `stream` for TCP.
    fn reply(
        &mut self,
        now: Instant,
        from: SocketAddr,
        bytes: &[u8],
        stream: bool,
    ) -> Option<Vec<u8>> {
        let query = Query::parse(bytes)?;
        let transport = if stream {
            Transport::Tcp
        } else {
            Transport::Udp
        };
        self.asked.push(Asked {
            at: now,
            transport,
            from,
            name: query.name.clone(),
            kind: zone::kind_name(query.kind),
        });
        let mut reply = Reply::new(&query);
        self.zone.answer(&query, &mut reply);
        match &self.fault {
            Some(DnsFault::Silent) => return None,
            Some(DnsFault::Truncating | DnsFault::TruncatingForEver) if !stream => {
                reply = Reply::new(&query);
                reply.truncated = true;
            }
            Some(DnsFault::WrongId) => reply.id = reply.id.wrapping_add(1),
            Some(DnsFault::WrongQuestion(ip)) => {
                let other = Query {
                    name: format!("other.{}", query.name),
                    ..query
                };
                reply = Reply::new(&other);
                reply.answers = zone::addresses(&other.name, *ip);
            }
            Some(DnsFault::Poisoning(lines)) => {
                reply.additional = Zone::parse(lines).into_records();
                // In the answer, too, beside what was asked for.
                reply.answers.extend(reply.additional.clone());
            }
            Some(DnsFault::Lame) => {
                reply = Reply::new(&query);
                reply.recursion_available = false;
                reply.authority = Zone::parse(REFERRAL).into_records();
            }
            Some(DnsFault::NoName) => reply = Reply::refused(&query, NAME_ERROR),
            Some(DnsFault::Failing) => reply = Reply::refused(&query, SERVER_FAILURE),
            Some(DnsFault::Refusing) => reply = Reply::refused(&query, REFUSED),
            Some(DnsFault::Garbage) => return Some(b"this is no message of DNS".to_vec()),
            _ => {}
        }
        let mut bytes = reply.to_bytes();
        if !stream && bytes.len() > MAX_DATAGRAM {
            // RFC 1035, 4.2.1
            let mut cut = Reply::new(&query_of(&reply));
            cut.truncated = true;
            bytes = cut.to_bytes();
        }
        Some(bytes)
    }

    fn say(&mut self, now: Instant, output: Output) {
        match self.fault {
            Some(DnsFault::Slow(delay)) => self.late.push_back((now + delay, output)),
            _ => self.out.push_back(output),
        }
    }

    fn datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        let Some(link) = self.udp else { return };
        let Some(reply) = self.reply(now, from, bytes, false) else {
            return;
        };
        let source = match self.fault {
            Some(DnsFault::OtherSource(ip)) => Some(ip),
            _ => None,
        };
        self.say(
            now,
            Output::Transmit {
                link,
                from: source,
                to: from,
                payload: reply.into(),
            },
        );
    }

    /// RFC 1035, 4.2.2: two bytes of length before each message.
    fn bytes(&mut self, now: Instant, link: LinkId, bytes: &[u8]) {
        let Some(mut buffer) = self.streams.remove(&link) else {
            return;
        };
        buffer.extend_from_slice(bytes);
        let more = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.out.push_back(Output::Receive { link, more });
        while let [high, low, rest @ ..] = &buffer[..] {
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            let Some(message) = rest.get(..len).map(<[u8]>::to_vec) else {
                break;
            };
            buffer.drain(..2 + len);
            let nobody = SocketAddr::new([0, 0, 0, 0].into(), 0);
            if let Some(reply) = self.reply(now, nobody, &message, true) {
                let mut payload = u16::try_from(reply.len())
                    .unwrap_or(u16::MAX)
                    .to_be_bytes()
                    .to_vec();
                payload.extend(reply);
                let payload = Bytes::from(payload);
                self.say(now, Output::Write { link, payload });
            }
        }
        self.streams.insert(link, buffer);
    }
}

/// The question of a reply, to be answered anew.
fn query_of(reply: &Reply) -> Query {
    reply.question.clone()
}

impl Node for NameServer {
    fn handle(&mut self, now: Instant, input: Input) {
        while self.late.front().is_some_and(|(at, _)| *at <= now) {
            self.out
                .extend(self.late.pop_front().map(|(_, output)| output));
        }
        match input {
            Input::Datagram { from, payload, .. } => self.datagram(now, from, &payload),
            Input::Accepted { connection, .. } => match self.fault {
                Some(DnsFault::TruncatingForEver) => {
                    self.out.push_back(Output::Refuse { connection });
                }
                _ => {
                    self.links += 1;
                    let link = base::Key::from_parts(0, self.links);
                    self.out.push_back(Output::Adopt { connection, link });
                    self.streams.insert(link, Vec::new());
                }
            },
            Input::Bytes { link, payload } => self.bytes(now, link, &payload),
            Input::Closed { link, .. } => drop(self.streams.remove(&link)),
            _ => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        let (at, _) = self.late.front()?;
        Some(Deadline::new(*at, "late answer"))
    }
}

/// RFC 1035, 4.1.1
const SERVER_FAILURE: u8 = 2;
const NAME_ERROR: u8 = 3;
const REFUSED: u8 = 5;
/// RFC 1035, 4.2.1, without the extension of RFC 6891.
const MAX_DATAGRAM: usize = 512;
const REFERRAL: &str = "example.com. 3600 NS ns.elsewhere.example.";
