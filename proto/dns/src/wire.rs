//! Messages of DNS (RFC 1035, 4): queries out, replies in, and what a reply says to a question.
//!
//! Names, compression and record formats are read by `hickory-proto`; what is believed is decided here.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "the enums of DNS are open: what is not known is passed over"
)]

use crate::{Data, Kind, Name, Naptr, Question, Srv};
use bytes::Bytes;
use hickory_proto::{
    op::{Header, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{self, DNSClass, RData, Record, RecordType},
    serialize::binary::{BinDecodable as _, BinDecoder},
};

/// Prints a query for recursion. The id is the caller's: it must not be guessable.
///
/// No EDNS: routers that answer it wrongly are common, and what does not fit into 512 bytes comes over
/// TCP.
pub(crate) fn query(id: u16, question: &Question) -> Bytes {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    let labels = question.name.labels().map(str::as_bytes);
    let mut name = rr::Name::from_labels(labels).expect("a valid name");
    name.set_fqdn(true);
    message.add_query(Query::query(name, record_type(question.kind)));
    message.to_vec().expect("a query is printable").into()
}

/// A reply, as far as it is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reply {
    pub(crate) id: u16,
    /// The question that it repeats; `None` if there is none, or not one.
    pub(crate) question: Option<Question>,
    /// It did not fit (RFC 1035, 4.1.1): nothing of it is used.
    pub(crate) is_truncated: bool,
    code: ResponseCode,
    recursion_available: bool,
    answers: Vec<Entry>,
    /// Start of authority: the owner, and for how long what does not exist may be remembered
    /// (RFC 2308, 5).
    authority: Option<(Name, u32)>,
    /// The server names others instead of answering.
    has_referral: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    owner: Name,
    /// Seconds.
    ttl: u32,
    what: What,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum What {
    Alias(Name),
    Data(Data),
}

/// What a reply says to a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    /// These are the records, for so many seconds.
    Records(Vec<Data>, u32),
    /// The name is another name for this one, about which the reply says nothing.
    Alias(Name, u32),
    /// There is no such name, and how many seconds that may be remembered.
    NoName(Option<u32>),
    /// The name has no such records, and how many seconds that may be remembered.
    NoRecords(Option<u32>),
    /// This server does not know: another may.
    Failure,
    /// This server does not answer us.
    Refusal,
}

/// Bytes that are no reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Malformed;

impl Reply {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut decoder = BinDecoder::new(bytes);
        let header = Header::read(&mut decoder).map_err(|_| Malformed)?;
        let (metadata, counts) = (header.metadata, header.counts);
        let is_reply = metadata.message_type == MessageType::Response;
        if !is_reply || metadata.op_code != OpCode::Query {
            return Err(Malformed);
        }
        let mut reply = Self {
            id: metadata.id,
            question: None,
            is_truncated: metadata.truncation,
            code: metadata.response_code,
            recursion_available: metadata.recursion_available,
            answers: Vec::new(),
            authority: None,
            has_referral: false,
        };
        match counts.queries {
            // RFC 5452, 9.1 wants the question back; some servers leave it out of an error.
            0 => {}
            1 => {
                let query = Query::read(&mut decoder).map_err(|_| Malformed)?;
                reply.question = question(&query);
            }
            _ => return Err(Malformed),
        }
        if reply.is_truncated {
            return Ok(reply);
        }
        for _ in 0..counts.answers {
            let record = Record::read(&mut decoder).map_err(|_| Malformed)?;
            // The bytes are bounded by the message; a server that sends more names than anybody uses is
            // read up to here.
            if reply.answers.len() < MAX_RECORDS {
                reply.answers.extend(entry(&record));
            }
        }
        for _ in 0..counts.authorities {
            let record = Record::read(&mut decoder).map_err(|_| Malformed)?;
            match &record.data {
                RData::SOA(soa) => {
                    if let Some(owner) = name(&record.name) {
                        reply.authority = Some((owner, record.ttl.min(soa.minimum)));
                    }
                }
                RData::NS(_) => reply.has_referral = true,
                _ => {}
            }
        }
        Ok(reply)
    }

    /// False for errors, the absence of a name included.
    pub(crate) fn is_success(&self) -> bool {
        self.code == ResponseCode::NoError
    }

    /// Follows the question through the answers; records that it does not lead to are as if not there.
    pub(crate) fn says(&self, question: &Question) -> Said {
        match self.code {
            ResponseCode::NoError | ResponseCode::NXDomain => {}
            ResponseCode::Refused | ResponseCode::NotAuth => return Said::Refusal,
            _ => return Said::Failure,
        }
        let mut owner = &question.name;
        let mut ttl = u32::MAX;
        for _ in 0..=MAX_ALIASES {
            let of_owner = || self.answers.iter().filter(|entry| entry.owner == *owner);
            let mut data = Vec::new();
            for entry in of_owner() {
                if let What::Data(found) = &entry.what
                    && found.kind() == question.kind
                {
                    ttl = ttl.min(entry.ttl);
                    data.push(found.clone());
                }
            }
            if !data.is_empty() {
                return Said::Records(data, ttl);
            }
            let alias = of_owner().find_map(|entry| match &entry.what {
                What::Alias(name) => Some((name, entry.ttl)),
                What::Data(_) => None,
            });
            let Some((target, lives)) = alias else {
                return self.says_nothing_about(question, owner, ttl);
            };
            ttl = ttl.min(lives);
            owner = target;
        }
        // Aliases in a circle, or too many (RFC 1034, 3.6.2: chains should be avoided).
        Said::Failure
    }

    fn says_nothing_about(&self, question: &Question, owner: &Name, ttl: u32) -> Said {
        let authority = self
            .authority
            .as_ref()
            .filter(|(zone, _)| owner.is_within(zone))
            .map(|(_, lives)| (*lives).min(ttl));
        let is_aliased = *owner != question.name;
        if self.code == ResponseCode::NXDomain {
            // RFC 2308, 2.1: it is the end of the chain that does not exist.
            Said::NoName(authority)
        } else if authority.is_some() {
            Said::NoRecords(authority)
        } else if is_aliased {
            Said::Alias(owner.clone(), ttl)
        } else if self.has_referral && !self.recursion_available {
            // RFC 2308, 2.2: a referral is no answer; the server is lame for us.
            Said::Failure
        } else {
            Said::NoRecords(None)
        }
    }
}

fn question(query: &Query) -> Option<Question> {
    let kind = KINDS
        .into_iter()
        .find(|&kind| record_type(kind) == query.query_type())?;
    let is_internet = query.query_class() == DNSClass::IN;
    is_internet
        .then(|| name(query.name()))?
        .map(|name| Question::new(name, kind))
}

fn entry(record: &Record) -> Option<Entry> {
    if record.dns_class != DNSClass::IN {
        return None;
    }
    let what = match &record.data {
        RData::A(a) => What::Data(Data::A(a.0)),
        RData::AAAA(aaaa) => What::Data(Data::Aaaa(aaaa.0)),
        RData::CNAME(alias) => What::Alias(name(&alias.0)?),
        RData::SRV(srv) => What::Data(Data::Srv(Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: name(&srv.target)?,
        })),
        RData::NAPTR(rule) => What::Data(Data::Naptr(Naptr {
            order: rule.order,
            preference: rule.preference,
            flags: text(&rule.flags).to_ascii_lowercase(),
            service: text(&rule.services).to_ascii_uppercase(),
            regexp: text(&rule.regexp),
            replacement: name(&rule.replacement)?,
        })),
        RData::NS(server) => What::Data(Data::Ns(name(&server.0)?)),
        RData::TXT(txt) => What::Data(Data::Txt(text(&txt.txt_data.concat()))),
        _ => return None,
    };
    Some(Entry {
        owner: name(&record.name)?,
        // RFC 2181, 8: a time with the highest bit set counts as zero.
        ttl: i32::try_from(record.ttl).map_or(0, i32::unsigned_abs),
        what,
    })
}

fn name(name: &rr::Name) -> Option<Name> {
    Name::from_labels(name.iter())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const fn record_type(kind: Kind) -> RecordType {
    match kind {
        Kind::A => RecordType::A,
        Kind::Aaaa => RecordType::AAAA,
        Kind::Naptr => RecordType::NAPTR,
        Kind::Srv => RecordType::SRV,
        Kind::Txt => RecordType::TXT,
        Kind::Ns => RecordType::NS,
    }
}

const KINDS: [Kind; 6] = [
    Kind::A,
    Kind::Aaaa,
    Kind::Naptr,
    Kind::Srv,
    Kind::Txt,
    Kind::Ns,
];
/// Aliases that are followed, in one reply and over several: usual chains have one or two.
pub(crate) const MAX_ALIASES: usize = 8;
/// Records of one reply that are kept; a farm of servers has some dozen.
const MAX_RECORDS: usize = 256;

#[cfg(test)]
mod tests;
