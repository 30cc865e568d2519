//! RTP and RTCP sessions, jitter buffer and telephone events as pure state machines.

#![forbid(unsafe_code)]
