//! STUN: what is read is written again and read the same; no datagram breaks the reader.

use ice::stun::{Attribute, AttributeType, Integrity, Key, Message, Protection, Writer, is_stun};

/// Reads a datagram, and one with the same attributes that is protected.
///
/// # Panics
/// An attribute changes when it is written again, a protection is not recognised, or the reader panics.
pub fn stun(data: &[u8]) {
    let Ok(message) = Message::parse(data) else {
        return;
    };
    assert!(is_stun(data));
    let key = Key::short_term("key");
    let mut writer = Writer::new(message.class(), message.method(), message.transaction());
    let mut read = Vec::new();
    let mut all_are_read = true;
    for raw in message.attributes() {
        let is_protection = [
            AttributeType::MESSAGE_INTEGRITY,
            AttributeType::MESSAGE_INTEGRITY_SHA256,
            AttributeType::FINGERPRINT,
        ]
        .contains(&raw.kind);
        match raw.read() {
            Ok(attribute) if !is_protection => {
                writer = writer.attribute(&attribute);
                read.push(attribute);
            }
            Ok(_) => {}
            Err(_) => all_are_read = false,
        }
    }
    if data.len() > 60_000 {
        // The protection might not fit.
        return;
    }
    let bytes = writer
        .integrity(Protection::Sha1, &key)
        .integrity(Protection::Sha256, &key)
        .fingerprint()
        .finish();
    let again = Message::parse(&bytes).expect("what we write can be read");
    for protection in [Protection::Sha1, Protection::Sha256] {
        assert_eq!(again.integrity(protection, &key), Integrity::Right);
    }
    let attributes = again.attributes().filter_map(|raw| raw.read().ok());
    let written: Vec<Attribute<'_>> = attributes.take(read.len()).collect();
    assert_eq!(written, read);
    // RFC 8489, 14: of attributes that stand twice the first counts, also where nobody can read it.
    if all_are_read {
        assert_eq!(again.mapped_address(), message.mapped_address());
    }
}
