//! Ids of what a resolver has under way.

base::ids! {
    /// A lookup under way.
    LookupId;
    /// A socket for one query with one name server.
    ExchangeId;
    /// A query under way.
    QueryId;
}

/// Who waits for the answer of a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asker {
    Lookup(LookupId),
    /// The proof of the servers.
    Probe,
}
