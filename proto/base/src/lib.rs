//! Ground that every machine of sipsimple stands on: ids and their tables, time, randomness, addresses.
//!
//! Nothing here knows a protocol. A thing belongs here only if at least two protocol crates need it
//! and it would otherwise be written twice; it is not a drawer for helpers.

#![forbid(unsafe_code)]
// Enums of our own: a new variant must be looked at wherever they are matched.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

pub mod clock;
pub mod deadline;
pub mod digest;
pub mod id;
pub mod net;
pub mod rng;
pub mod scan;
pub mod table;
pub mod timers;

pub use clock::Clock;
pub use deadline::{Deadline, earliest};
pub use id::Key;
pub use net::{Host, HostPort, LinkError, Target, TlsError, Transport};
pub use rng::{Rng, SeldomRng};
pub use table::{Index, Table};
pub use timers::Timers;

#[doc(hidden)]
pub mod export {
    pub use serde;
}
