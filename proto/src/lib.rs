//! A SIP SIMPLE user agent as one pure state machine: bytes, commands and time in, bytes and events out.

#![forbid(unsafe_code)]

pub mod agent;
pub mod event;
mod link;
pub mod session;
pub mod stream;
pub mod system;

pub use link::{LinkCounters, LinkLimits};

pub use base;
pub use rtp;
pub use sdp;
pub use sip;
