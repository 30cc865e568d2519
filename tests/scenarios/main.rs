//! Every scenario, vector and house rule, in one binary.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and says what it skipped"
)]

mod codecs;
mod digest;
mod hygiene;
mod proxy;
mod rtp;
mod sdp;
mod torture;
mod world;
