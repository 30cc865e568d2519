//! Where servers are: RFC 3263 and its relatives over a caching stub resolver, as pure state machines.
//!
//! | part | what it does |
//! |---|---|
//! | [`Resolver`] | lookups in, datagrams and bytes for name servers out; servers, retries, TCP, cache, probing |
//! | [`Request`] | what can be asked: a SIP URI ([`Place`]), a [`Service`], a host, the XCAP roots of a domain |
//! | [`Name`], [`Question`], [`Data`] | the part of DNS that this needs |
//!
//! The resolver opens no socket and reads no clock: its owner opens a fresh socket for every
//! [`Output::Open`], so that the port is as random as the query's id (RFC 5452, 9.2), and hands in what
//! comes. Addresses of the hosts file and of the system's name servers come as data.
//!
//! Answers are believed only if they come from the server that was asked, to the id and the question
//! that were sent, and only as far as they follow from the question: no additional records, no records
//! of other names.

#![forbid(unsafe_code)]
// Enums of our own: a new variant must be looked at wherever they are matched.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

mod authority;
mod cache;
mod hosts;
mod known;
mod locate;
mod name;
mod place;
mod record;
mod request;
mod resolver;
mod service;
mod srv;
mod wire;

pub use known::QueryError;
pub use name::{InvalidName, Name};
pub use place::{Found, LookupError, Place, Reach};
pub use record::{Data, Kind, Naptr, Question, Srv};
pub use request::Request;
pub use resolver::{Config, Event, ExchangeId, Input, LookupId, Output, Resolver, Stats, Trace};
pub use service::Service;
