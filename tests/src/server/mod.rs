//! Virtual servers: small, permissive, misbehaving on demand.
//!
//! They are written on the message layer of `sip` alone and share no machine with the user agent, so
//! that a mistake there is not repeated here.

mod peer;
mod proxy;
mod wire;

pub use peer::{Peer, Received};
pub use proxy::{Proxy, ProxyStats, RecordRoute};
