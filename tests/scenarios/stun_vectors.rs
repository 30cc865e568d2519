//! STUN and TURN messages of the standards (RFC 5769; RFC 8489, B.1) and of another implementation: what they
//! say, who protects them, and what is none.

use crate::vectors::{hex, list, load};
use ice::{
    stun::{Attribute, AttributeType, Integrity, Key, Message, Protection, is_stun},
    turn::Framer,
};
use serde_json::Value;

fn number(value: &Value) -> u16 {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    u16::from_str_radix(digits.expect("0x"), 16).expect("hexadecimal")
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value[key].as_str()
}

/// The key of a message of the standards, and where it counts.
fn key_of(case: &Value) -> (Protection, Key) {
    if let Some(password) = text(case, "short_term_password") {
        return (Protection::Sha1, Key::short_term(password));
    }
    let part = |key| text(case, key).expect("a part of the credentials");
    let (name, realm, password) = (part("username"), part("realm"), part("password_saslprep"));
    (
        Protection::Sha256,
        Key::long_term_sha256(name, realm, password),
    )
}

#[test]
fn rfc_5769_and_rfc_8489_messages_say_what_stands_there() {
    let Some(vectors) = load("stun/vectors.json") else {
        return;
    };
    let mut read = 0;
    for case in list(&vectors, "rfc") {
        let name = &case["file"];
        let bytes = hex(&case["hex"]);
        if case["known_bad"] == true {
            // As printed it is shorter than it says.
            assert!(Message::parse(&bytes).is_err(), "{name}");
            continue;
        }
        let message = Message::parse(&bytes).expect("a message");
        assert_eq!(
            message.transaction().0[..],
            hex(&case["transaction_id"]),
            "{name}"
        );
        for attribute in list(case, "attributes") {
            let kind = AttributeType(number(&attribute["type"]));
            let raw = message.raw(kind).expect("the attribute");
            assert_eq!(raw.value, hex(&attribute["value"]), "{name}: {kind:?}");
        }
        let said = |kind| message.attribute(kind);
        if let Some(software) = text(case, "software") {
            assert_eq!(
                said(AttributeType::SOFTWARE),
                Some(Attribute::Software(software))
            );
        }
        if let Some(username) = text(case, "username").filter(|_| case["userhash"].is_null()) {
            assert_eq!(
                said(AttributeType::USERNAME),
                Some(Attribute::Username(username))
            );
        }
        if let Some(priority) = case["priority"].as_u64() {
            let priority = u32::try_from(priority).expect("32 bits");
            assert_eq!(
                said(AttributeType::PRIORITY),
                Some(Attribute::Priority(priority))
            );
        }
        if let Some(address) = text(case, "xor_mapped_address") {
            assert_eq!(message.mapped_address(), address.parse().ok(), "{name}");
        }
        assert_eq!(
            message.has_fingerprint(),
            case["verified"]["fingerprint_ok"] == true
        );
        let (protection, key) = key_of(case);
        assert_eq!(
            message.integrity(protection, &key),
            Integrity::Right,
            "{name}"
        );
        let stranger = Key::short_term("somebody else");
        assert_eq!(
            message.integrity(protection, &stranger),
            Integrity::Wrong,
            "{name}"
        );
        read += 1;
    }
    assert!(read >= 3);
}

/// One bit anywhere makes it another message: the fingerprint notices where there is one, and the key always.
#[test]
fn rfc_5769_a_corrupted_message_fails() {
    let Some(vectors) = load("stun/vectors.json") else {
        return;
    };
    for case in list(&vectors, "rfc") {
        if case["known_bad"] == true {
            continue;
        }
        let (protection, key) = key_of(case);
        let bytes = hex(&case["hex"]);
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let is_right = Message::parse(&bytes)
                .is_ok_and(|message| message.integrity(protection, &key) == Integrity::Right);
            // What follows the protection is the fingerprint, which may be taken for another attribute.
            let is_behind =
                bit / 8 >= bytes.len() - 8 && case["verified"]["fingerprint_ok"] == true;
            assert!(!is_right || is_behind, "{}: bit {bit}", case["file"]);
            if is_right {
                let message = Message::parse(&bytes).expect("it was read");
                assert!(!message.has_fingerprint(), "{}: bit {bit}", case["file"]);
            }
        }
    }
}

#[test]
fn messages_of_another_implementation_are_read() {
    let Some(vectors) = load("stun/vectors.json") else {
        return;
    };
    // What was drawn for them; the vectors give its digest only.
    let key = Key::long_term("alice", "example.org", "secret");
    let mut protected = 0;
    for case in list(&vectors, "generated") {
        let name = &case["name"];
        let bytes = hex(&case["hex"]);
        let message = Message::parse(&bytes).expect("a message");
        let is_protected = !case["integrity_key_hex"].is_null();
        let expected = match is_protected {
            true => Integrity::Right,
            false => Integrity::Missing,
        };
        assert_eq!(
            message.integrity(Protection::Sha1, &key),
            expected,
            "{name}"
        );
        protected += usize::from(is_protected);
        let said = |kind| message.attribute(kind);
        let expect = case["expect"].as_object().expect("what it says");
        for (what, value) in expect {
            let address = || value.as_str().and_then(|text| text.parse().ok()).unwrap();
            let (kind, wanted) = match what.as_str() {
                "mapped_address" => (
                    AttributeType::MAPPED_ADDRESS,
                    Attribute::MappedAddress(address()),
                ),
                "xor_mapped_address" => (
                    AttributeType::XOR_MAPPED_ADDRESS,
                    Attribute::XorMappedAddress(address()),
                ),
                "xor_relayed_address" => (
                    AttributeType::XOR_RELAYED_ADDRESS,
                    Attribute::XorRelayedAddress(address()),
                ),
                "lifetime" => (
                    AttributeType::LIFETIME,
                    Attribute::Lifetime(value.as_u64().unwrap() as u32),
                ),
                "requested_transport" => (
                    AttributeType::REQUESTED_TRANSPORT,
                    Attribute::RequestedTransport(value.as_u64().unwrap() as u8),
                ),
                "realm" => (
                    AttributeType::REALM,
                    Attribute::Realm(value.as_str().unwrap()),
                ),
                "nonce" => (
                    AttributeType::NONCE,
                    Attribute::Nonce(value.as_str().unwrap()),
                ),
                "error" => {
                    let Some(Attribute::ErrorCode(error)) = said(AttributeType::ERROR_CODE) else {
                        panic!("{name}: no code");
                    };
                    assert_eq!(Some(u64::from(error.code)), value.as_u64(), "{name}");
                    continue;
                }
                "unknown_attributes" => {
                    let Some(Attribute::UnknownAttributes(types)) =
                        said(AttributeType::UNKNOWN_ATTRIBUTES)
                    else {
                        panic!("{name}: no types");
                    };
                    let types: Vec<u16> = types
                        .chunks(2)
                        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                        .collect();
                    let wanted: Vec<u16> = value.as_array().unwrap().iter().map(number).collect();
                    assert_eq!(types, wanted, "{name}");
                    continue;
                }
                "data" => {
                    let data = hex(value);
                    assert_eq!(said(AttributeType::DATA), Some(Attribute::Data(&data)));
                    continue;
                }
                "ok" => continue,
                other => panic!("{name}: {other} is not looked at"),
            };
            assert_eq!(said(kind), Some(wanted), "{name}");
        }
    }
    assert!(protected >= 3);
}

#[test]
fn what_is_no_message_is_refused() {
    let Some(vectors) = load("stun/vectors.json") else {
        return;
    };
    for case in list(&vectors, "negative") {
        let bytes = hex(&case["hex"]);
        assert!(Message::parse(&bytes).is_err(), "{}", case["name"]);
        if matches!(
            text(case, "name"),
            Some("first-bits-not-zero" | "bad-cookie")
        ) {
            assert!(!is_stun(&bytes), "{}", case["name"]);
        }
    }
}

/// RFC 8656, 12.5: in a stream channel data is padded, and a piece that is not whole is waited for.
#[test]
fn rfc_8656_channel_data_is_cut_from_a_stream() {
    let Some(vectors) = load("stun/vectors.json") else {
        return;
    };
    let mut cut = 0;
    for case in list(&vectors, "channel_data") {
        let bytes = hex(&case["hex"]);
        let mut framer = Framer::default();
        framer.push(&bytes);
        let piece = framer.poll().ok().flatten();
        let is_padded = bytes.len().is_multiple_of(4);
        if case["error"].is_null() && is_padded {
            let data = hex(&case["data"]);
            let piece = piece.expect("a piece");
            let channel = u16::from_be_bytes([piece[0], piece[1]]);
            assert_eq!(Some(u64::from(channel)), case["channel"].as_u64());
            assert_eq!(piece[4..], data[..]);
            cut += 1;
        } else {
            assert_eq!(piece, None, "{case}");
        }
    }
    assert_eq!(cut, 1);
}
