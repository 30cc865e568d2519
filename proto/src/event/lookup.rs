//! What happens to lookups and to the resolver that makes them (requirements 15 and 16).

use serde::{Serialize, Serializer};
use std::net::SocketAddr;

/// What happens to a lookup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub enum LookupEvent {
    /// `DNSLookupTrace`: one query is over (DNL-15). Told of every lookup, those for requests included.
    Trace {
        /// The type of record.
        query_type: dns::Kind,
        /// The name.
        query_name: dns::Name,
        /// The records, as they stand in a zone.
        answer: Vec<String>,
        /// Why there are none.
        #[serde(serialize_with = "as_text")]
        error: Option<dns::QueryError>,
        /// The operation that asks (`lookup_sip_proxy`).
        context: &'static str,
        /// The service, of `lookup_service`.
        service: Option<&'static str>,
        /// What is looked for.
        uri: String,
        /// The servers that were asked, in order; none if the answer was known.
        nameservers: Vec<SocketAddr>,
    },
    /// `DNSLookupDidSucceed` (DNL-13); last event of a lookup of the application.
    DidSucceed {
        /// What was found, in the order in which it shall be tried.
        result: dns::Found,
    },
    /// `DNSLookupDidFail` (DNL-14); last event of a lookup of the application.
    DidFail {
        /// Why.
        #[serde(serialize_with = "as_text")]
        error: dns::LookupError,
    },
}

/// What happens to the resolver.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub enum ResolverEvent {
    /// `DNSResolverDidInitialize` (DNM-06).
    DidInitialize {
        /// The servers that are asked.
        nameservers: Vec<SocketAddr>,
    },
    /// `DNSNameserversDidChange` (DNM-07).
    NameserversDidChange {
        /// The servers that are asked from now on.
        nameservers: Vec<SocketAddr>,
    },
}

/// Writes an error as a person reads it: its variants are for programs, which have the event.
fn as_text<E: TextOr, S: Serializer>(error: &E, serializer: S) -> Result<S::Ok, S::Error> {
    error.text().serialize(serializer)
}

/// An error, or none.
trait TextOr {
    fn text(&self) -> Option<String>;
}

impl TextOr for dns::LookupError {
    fn text(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl TextOr for Option<dns::QueryError> {
    fn text(&self) -> Option<String> {
        self.map(|error| error.to_string())
    }
}
