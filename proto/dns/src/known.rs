//! What a lookup knows so far, and what it must ask before it can go on.

use crate::{Data, Kind, Name, Naptr, Question, Srv, hosts::Hosts};
use serde::Serialize;
use std::{collections::BTreeMap, net::IpAddr};

/// Why a question has no records.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// There is no such name.
    #[error("no such name")]
    NoName,
    /// The name has no records of this type.
    #[error("no such records")]
    NoRecords,
    /// No server answered in time.
    #[error("timed out")]
    TimedOut,
    /// No server could say: they failed, or cannot be reached.
    #[error("the name servers failed")]
    Failed,
    /// The servers do not answer us.
    #[error("the name servers refused")]
    Refused,
    /// No name server is known.
    #[error("no name server")]
    NoServer,
    /// One lookup led to too many questions.
    #[error("too many questions")]
    TooMany,
}

/// Records, or why there are none.
pub(crate) type Answer = Result<Vec<Data>, QueryError>;
/// The answers of one lookup.
pub(crate) type Answers = BTreeMap<Question, Answer>;

/// The answers of one lookup, seen by the procedure that asks.
///
/// The procedure is run from its start whenever answers have come. What it asks for and is not known
/// is noted in `missing`; it goes as far as it can, so that questions which do not depend on each other
/// are asked at once.
#[derive(Debug)]
pub(crate) struct Known<'a> {
    answers: &'a Answers,
    hosts: &'a Hosts,
    missing: Vec<Question>,
    worst: Option<QueryError>,
}

impl<'a> Known<'a> {
    pub(crate) const fn new(answers: &'a Answers, hosts: &'a Hosts) -> Self {
        Self {
            answers,
            hosts,
            missing: Vec::new(),
            worst: None,
        }
    }

    /// True if the hosts file has the name: it decides, DNS is not asked about it at all.
    pub(crate) fn is_local(&self, name: &Name) -> bool {
        self.hosts.addresses(name).is_some()
    }

    /// True if all that was asked for is known.
    pub(crate) fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// What was asked for and is not known.
    pub(crate) fn into_missing(self) -> Vec<Question> {
        self.missing
    }

    /// Of all questions that have no records: the reason that says most.
    pub(crate) const fn worst(&self) -> Option<QueryError> {
        self.worst
    }

    pub(crate) fn naptr(&mut self, name: &Name) -> Vec<&'a Naptr> {
        let records = self.ask(name, Kind::Naptr).iter();
        let rule = |data: &'a Data| match data {
            Data::Naptr(rule) => Some(rule),
            Data::A(_) | Data::Aaaa(_) | Data::Srv(_) | Data::Txt(_) | Data::Ns(_) => None,
        };
        records.filter_map(rule).collect()
    }

    pub(crate) fn srv(&mut self, name: &Name) -> Vec<&'a Srv> {
        let records = self.ask(name, Kind::Srv).iter();
        let srv = |data: &'a Data| match data {
            Data::Srv(srv) => Some(srv),
            Data::A(_) | Data::Aaaa(_) | Data::Naptr(_) | Data::Txt(_) | Data::Ns(_) => None,
        };
        records.filter_map(srv).collect()
    }

    pub(crate) fn txt(&mut self, name: &Name) -> Vec<&'a str> {
        let records = self.ask(name, Kind::Txt).iter();
        let text = |data: &'a Data| match data {
            Data::Txt(text) => Some(text.as_str()),
            Data::A(_) | Data::Aaaa(_) | Data::Naptr(_) | Data::Srv(_) | Data::Ns(_) => None,
        };
        records.filter_map(text).collect()
    }

    pub(crate) fn ns(&mut self, zone: &Name) -> Vec<&'a Name> {
        let records = self.ask(zone, Kind::Ns).iter();
        let server = |data: &'a Data| match data {
            Data::Ns(server) => Some(server),
            Data::A(_) | Data::Aaaa(_) | Data::Naptr(_) | Data::Srv(_) | Data::Txt(_) => None,
        };
        records.filter_map(server).collect()
    }

    /// The addresses of a host in the families that are of use: of both in turn, IPv6 first, so that a
    /// family that does not work costs one try (RFC 8305, 4; RFC 7984). Those of the hosts file keep
    /// their order.
    pub(crate) fn addresses(&mut self, name: &Name, v4: bool, v6: bool) -> Vec<IpAddr> {
        if let Some(mut addresses) = self.hosts.addresses(name) {
            addresses.retain(|ip| if ip.is_ipv4() { v4 } else { v6 });
            return addresses;
        }
        let mut of = |wanted: bool, kind| match wanted {
            true => self.ask(name, kind),
            false => &[],
        };
        let six = of(v6, Kind::Aaaa).iter();
        let four = of(v4, Kind::A).iter();
        let address = |data: &Data| match data {
            Data::A(ip) => Some(IpAddr::V4(*ip)),
            Data::Aaaa(ip) => Some(IpAddr::V6(*ip)),
            Data::Naptr(_) | Data::Srv(_) | Data::Txt(_) | Data::Ns(_) => None,
        };
        let (mut six, mut four) = (six.filter_map(address), four.filter_map(address));
        let mut addresses = Vec::new();
        loop {
            let pair = [six.next(), four.next()];
            if pair == [None, None] {
                return addresses;
            }
            addresses.extend(pair.into_iter().flatten());
        }
    }

    fn ask(&mut self, name: &Name, kind: Kind) -> &'a [Data] {
        let question = Question::new(name.clone(), kind);
        match self.answers.get(&question) {
            Some(Ok(data)) => data,
            Some(Err(error)) => {
                self.worst = self.worst.max(Some(*error));
                &[]
            }
            None => {
                if !self.missing.contains(&question) {
                    self.missing.push(question);
                }
                &[]
            }
        }
    }
}
