//! A check of ICE: read and proved, and written.

use super::Operation;
use bytes::Bytes;
use ice::stun::{
    Attribute, AttributeType, Class, Integrity, Key, Message, Method, Protection, TransactionId,
    Writer,
};
use std::hint::black_box;

/// A check as a controlling agent sends it (RFC 8445, 7.2.4), protected and with a fingerprint.
pub(crate) fn write(key: &Key) -> Bytes {
    Writer::new(Class::Request, Method::BINDING, TransactionId([7; 12]))
        .attribute(&Attribute::Username("h6vY:evtj"))
        .attribute(&Attribute::Priority(0x6e00_01ff))
        .attribute(&Attribute::IceControlling(0x932f_f9b1_5126_3b36))
        .attribute(&Attribute::UseCandidate)
        .integrity(Protection::Sha1, key)
        .fingerprint()
        .finish()
}

/// Reads a check, and proves who has sent it.
pub(crate) fn read(check: &[u8], key: &Key) {
    let message = Message::parse(black_box(check)).expect("a message");
    assert_eq!(message.integrity(Protection::Sha1, key), Integrity::Right);
    black_box(message.attribute(AttributeType::USERNAME));
}

pub(crate) fn key() -> Key {
    Key::short_term("VOkJxbRl1RmTxUk/WvJxBt")
}

pub(crate) fn operations() -> Vec<Operation> {
    let reads = || {
        let key = key();
        let check = write(&key);
        move || read(&check, &key)
    };
    let writes = || {
        let key = key();
        move || drop(black_box(write(black_box(&key))))
    };
    vec![
        Operation::new("stun/parse and verify", 1, reads),
        Operation::new("stun/build", 1, writes),
    ]
}
