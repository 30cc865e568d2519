//! TLS as a machine of bytes: what an agent trusts and shows, certificates as people read them, and the
//! check of names (RFC 5922).
//!
//! The cryptography is rustls' with a provider that the runtime brings; nothing here draws randomness
//! or reads a clock. The secrets of a connection come from that provider and not from the agent's
//! seed, so what a connection writes is never the same twice. That is no matter for recordings:
//! they are made on the inside of `link`'s filter, where a secured link is
//! [`Input::Secured`](crate::agent::Input::Secured), plaintext both ways and its end, and a replay takes
//! exactly these without any cryptography.

mod certificate;
mod config;
mod connection;
mod der;
mod name;
#[cfg(test)]
pub(crate) mod testing;
mod verifier;

pub use certificate::Certificate;
pub(crate) use config::Context;
pub use config::{Identity, IdentityError, TlsConfig};
pub(crate) use connection::{Connection, Heard};
pub use connection::{Refusal, Security};
pub(crate) use name::proves;
