//! The keys of SRTP by DTLS (RFC 5763, 5764; DTLS 1.2 of RFC 6347 and 1.3 of RFC 9147): one association as
//! a pure state machine.
//!
//! | part | what it does |
//! |---|---|
//! | [`Association`] | the handshake with one peer: datagrams and the time come in, datagrams and keys go out |
//! | [`Identity`], [`Credentials`] | the certificate that we show |
//! | [`Expected`] | which certificates the peer's description allows (RFC 8122) |
//!
//! Keys come out for a certificate that is expected, and never else.
//!
//! All that is drawn is drawn from the generator that an association is given, so that the same seed gives
//! the same bytes on the wire.

#![forbid(unsafe_code)]

mod association;
mod draw;
mod fingerprint;
mod identity;
mod provider;

pub use association::{Association, Failure, Keys, Output, Role};
pub use fingerprint::{Expected, Hash};
pub use identity::{BadIdentity, Credentials, Identity};

/// Whether a datagram on the socket of media is of DTLS, by its first byte (RFC 7983, 7).
pub fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(20..=63))
}
