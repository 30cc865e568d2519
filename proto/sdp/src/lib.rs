//! SDP and the offer/answer model (RFC 8866, RFC 3264) as pure functions.

#![forbid(unsafe_code)]
