//! What we understand: methods, extensions and bodies.

/// Methods that we understand (RFC 3261, 20.5).
pub(crate) const ALLOWED: [&str; 6] = ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "MESSAGE"];
/// Extensions that we understand (RFC 3261, 20.37).
pub(crate) const SUPPORTED: [&str; 0] = [];
/// Bodies that we understand (RFC 3261, 20.1); parts of a multipart are looked through.
pub(crate) const ACCEPTED: &str =
    "application/sdp, multipart/mixed, multipart/alternative, multipart/related";
