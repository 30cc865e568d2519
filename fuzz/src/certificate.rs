//! Certificates as peers present them, before anybody has verified them.

use sipsimple::tls::Certificate;

/// Reads a certificate for people: what it says is no longer than what it is made of.
///
/// # Panics
/// It is, or the reader panics.
pub fn certificate(data: &[u8]) {
    let Some(certificate) = Certificate::read(data) else {
        return;
    };
    let text = format!("{} {certificate:?}", certificate.names());
    // Bytes that are no text are written in up to ten characters, and everything at most three times.
    assert!(
        text.len() <= 40 * data.len() + 4_096,
        "{} of {}",
        text.len(),
        data.len()
    );
}
