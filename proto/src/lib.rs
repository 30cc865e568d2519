//! A SIP SIMPLE user agent as one pure state machine: bytes, commands and time in, bytes and events out.

#![forbid(unsafe_code)]
