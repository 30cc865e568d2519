//! What an endpoint holds, and what it has seen.

use serde::Serialize;

/// What is alive in an endpoint. All zero at rest: after the last call has ended on the wire, too,
/// and idle connections are closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Transactions, both roles.
    pub transactions: usize,
    /// Dialogs, early and confirmed.
    pub dialogs: usize,
    /// Invitations, lingering ones included.
    pub invitations: usize,
    /// OPTIONS requests of ours that run.
    pub options: usize,
    /// Registrations, until they are removed.
    pub registrations: usize,
    /// Publications, until they are removed.
    pub publications: usize,
    /// MESSAGE requests, ours that wait or run, and those of peers until they are answered.
    pub messages: usize,
    /// Subscriptions, ours and those of peers.
    pub subscriptions: usize,
    /// REFER requests and the reports about them, both ways.
    pub referrals: usize,
    /// Requests on their way to a final response.
    pub attempts: usize,
    /// Questions to the resolver.
    pub lookups: usize,
    /// Connections, opened and accepted; sockets for datagrams do not count.
    pub connections: usize,
    /// Incoming calls whose 2xx is not acknowledged.
    pub unacknowledged: usize,
}

/// What an endpoint has seen since it was made; only ever rises.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Counters {
    /// Messages received.
    pub received: u64,
    /// Messages sent, retransmissions included.
    pub sent: u64,
    /// Requests answered 400, 413, 505 or 513 because of their form.
    pub malformed: u64,
    /// Keep-alives, STUN, empty and foreign datagrams.
    pub noise: u64,
    /// Messages dropped without an answer.
    pub dropped: u64,
    /// Bytes received in requests that were answered without state.
    pub stateless_in: u64,
    /// Bytes of those answers.
    pub stateless_out: u64,
}
