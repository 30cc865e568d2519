//! SRTP and SRTCP (RFC 3711, 6188, 7714): packets sealed and opened in place.
//!
//! | part | what it does |
//! |---|---|
//! | [`Profile`], [`MasterKey`] | which transforms, and the secret that all keys come from |
//! | [`Sealer`] | one direction out: protects RTP and RTCP packets with one master key |
//! | [`Opener`] | one direction in: proves and decrypts, refuses what was there before, follows a new key |
//!
//! How keys are agreed on is somebody else's business (SDES, RFC 4568; DTLS-SRTP, RFC 5764). There
//! are no master key identifiers, no key derivation rate other than 0 and no packets without
//! encryption or authentication.

mod key;
mod open;
mod packet;
mod profile;
mod replay;
mod rollover;
mod seal;
#[cfg(test)]
mod tests;
mod transform;

pub use key::MasterKey;
pub use open::{Opener, Refused};
pub use profile::Profile;
pub use seal::{CannotSeal, Sealer};

/// Sources that one key protects at a time, in each direction. A call has one, a mixer's leg a few;
/// only packets that are proved to be genuine make an entry.
const MAX_SOURCES: usize = 16;
