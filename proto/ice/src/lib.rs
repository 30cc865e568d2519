//! STUN (RFC 8489): messages, their attributes and their protection.

#![forbid(unsafe_code)]

pub mod stun;
