//! ICE (RFC 8445), TURN (RFC 8656) and STUN (RFC 8489) as pure state machines.
//!
//! | part | what it does |
//! |---|---|
//! | [`Agent`] | finds out which pair of addresses works for one media stream, and watches it |
//! | [`nat`] | finds out how the translators on the way behave |
//! | [`turn`] | holds an address at a relay |
//! | [`stun`] | messages, their attributes and their protection |
//!
//! Nothing here knows a socket or a clock: datagrams and the time come in, datagrams and events go out.

#![forbid(unsafe_code)]

pub mod nat;
pub mod stun;
pub mod turn;

mod agent;
mod candidate;
mod pair;
mod role;
#[cfg(test)]
mod tests;

pub use agent::{
    Agent, BaseId, Component, Config, Credentials, Description, Event, Output, Selected, State,
    UnknownBase,
};
pub use candidate::{Candidate, Kind};
pub use pair::{PairInfo, PairState, Step};
pub use role::Role;
