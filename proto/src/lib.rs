#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "matches the open enums of its siblings everywhere"
)]

pub mod account;
pub mod agent;
pub mod capture;
mod edge;
pub mod event;
mod id;
mod link;
pub mod session;
pub mod stream;
pub mod system;
pub mod tls;
pub mod websocket;

pub use link::{LinkCounters, LinkLimits};

pub use base;
pub use dns;
pub use dtls;
pub use ice;
pub use rtp;
pub use rustls;
pub use sdp;
pub use sip;
