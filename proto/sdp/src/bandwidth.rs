//! Bounds of bandwidth.

use crate::Text;

/// A `b=` line (RFC 8866, section 5.8; SDP-07).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bandwidth {
    /// What is bounded: `AS`, `CT`, `TIAS`, `RS`, `RR`, …
    pub kind: Text,
    /// The bound as written: kilobits per second for `AS` and `CT`, bits for the others.
    pub value: Text,
}
