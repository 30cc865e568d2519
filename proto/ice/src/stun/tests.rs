mod oracle;

use super::*;
use proptest::prelude::*;
use std::net::SocketAddr;

/// RFC 5769, 2.2, as it is printed there.
const RESPONSE: &[u8] = &[
    0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63,
    0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43,
    0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5, 0x99, 0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9,
    0x2a, 0xf9, 0xba, 0x53, 0xf0, 0x6b, 0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96,
];

const ID: TransactionId = TransactionId([
    0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
]);

fn password() -> Key {
    Key::short_term("VOkJxbRl1RmTxUk/WvJxBt")
}

#[test]
fn the_response_of_rfc_5769_section_2_2() {
    assert!(is_stun(RESPONSE));
    let message = Message::parse(RESPONSE).unwrap();
    assert_eq!(
        (message.class(), message.method()),
        (Class::Success, Method::BINDING)
    );
    assert_eq!(message.transaction(), ID);
    assert_eq!(
        message.attribute(AttributeType::SOFTWARE),
        Some(Attribute::Software("test vector"))
    );
    assert_eq!(
        message.mapped_address(),
        Some("192.0.2.1:32853".parse().unwrap())
    );
    assert_eq!(
        message.integrity(Protection::Sha1, &password()),
        Integrity::Right
    );
    assert_eq!(
        message.integrity(Protection::Sha1, &Key::short_term("x")),
        Integrity::Wrong
    );
    assert_eq!(
        message.integrity(Protection::Sha256, &password()),
        Integrity::Missing
    );
    assert!(message.has_fingerprint());
    assert_eq!(message.unknown().count(), 0);
}

/// RFC 5769, 2.3: the same for an IPv6 address.
#[test]
fn an_ipv6_address_is_masked_by_the_transaction_too() {
    let address: SocketAddr = "[2001:db8:1234:5678:11:2233:4455:6677]:32853"
        .parse()
        .unwrap();
    let bytes = Writer::new(Class::Success, Method::BINDING, ID)
        .attribute(&Attribute::XorMappedAddress(address))
        .finish();
    let expected = [
        0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1,
        0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9,
    ];
    assert_eq!(&bytes[20..], expected);
    assert_eq!(
        Message::parse(&bytes).unwrap().mapped_address(),
        Some(address)
    );
}

#[test]
fn what_is_written_is_what_the_rfc_prints() {
    let bytes = Writer::new(Class::Success, Method::BINDING, ID)
        .attribute(&Attribute::Software("test vector"))
        .attribute(&Attribute::XorMappedAddress(
            "192.0.2.1:32853".parse().unwrap(),
        ))
        .integrity(Protection::Sha1, &password())
        .fingerprint()
        .finish();
    // RFC 5769 pads with a blank, where RFC 8489, 14 wants zero; only that and what hashes it differ.
    assert_eq!(bytes.len(), RESPONSE.len());
    assert_eq!(bytes[..35], RESPONSE[..35]);
    assert_eq!((bytes[35], RESPONSE[35]), (0, 0x20));
    assert_eq!(bytes[36..52], RESPONSE[36..52]);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(
        message.integrity(Protection::Sha1, &password()),
        Integrity::Right
    );
}

/// RFC 8489, 5: "00000000000001" and the two bits of the class between.
#[test]
fn classes_and_methods() {
    for (class, method, expected) in [
        (Class::Request, 1, 0x0001),
        (Class::Indication, 1, 0x0011),
        (Class::Success, 1, 0x0101),
        (Class::Error, 1, 0x0111),
        (Class::Request, 0xfff, 0x3eef),
        (Class::Error, 0xfff, 0x3fff),
    ] {
        let bytes = Writer::new(class, Method::new(method).unwrap(), ID).finish();
        assert_eq!(u16::from_be_bytes([bytes[0], bytes[1]]), expected);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(
            (message.class(), message.method().number()),
            (class, method)
        );
    }
    assert_eq!(Method::new(0x1000), None);
}

#[test]
fn damaged_messages_are_refused() {
    let cut = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = RESPONSE.to_vec();
        change(&mut bytes);
        Message::parse(&bytes)
            .map(|_| ())
            .map_err(|error| (error.what, error.kind))
    };
    assert_eq!(
        cut(&|b| b.truncate(19)),
        Err(("header", ErrorKind::Truncated))
    );
    assert_eq!(cut(&|b| b[0] = 0x41), Err(("header", ErrorKind::Cookie)));
    assert_eq!(cut(&|b| b[4] = 0), Err(("header", ErrorKind::Cookie)));
    assert_eq!(cut(&|b| b[3] = 0x38), Err(("length", ErrorKind::Length)));
    assert_eq!(
        cut(&|b| {
            b[3] = 0x3d;
            b.push(0);
        }),
        Err(("length", ErrorKind::Length))
    );
    assert_eq!(
        cut(&|b| b[23] = 0xff),
        Err(("attribute", ErrorKind::Length))
    );
    assert_eq!(
        cut(&|b| b[30] ^= 1),
        Err(("FINGERPRINT", ErrorKind::Fingerprint))
    );
    // A fingerprint of another size is no fingerprint of these bytes.
    assert_eq!(
        cut(&|b| b[75] = 3),
        Err(("FINGERPRINT", ErrorKind::Fingerprint))
    );
    let error = Message::parse(&RESPONSE[..19]).unwrap_err();
    assert_eq!(error.to_string(), "header: truncated at byte 0");
}

/// RFC 8489, 14.5 and 14.7.
#[test]
fn what_follows_the_protection_does_not_count() {
    let bytes = Writer::new(Class::Request, Method::BINDING, ID)
        .attribute(&Attribute::Username("a"))
        .integrity(Protection::Sha1, &password())
        .attribute(&Attribute::Realm("smuggled"))
        .integrity(Protection::Sha256, &password())
        .attribute(&Attribute::Nonce("smuggled"))
        .finish();
    let message = Message::parse(&bytes).unwrap();
    let kinds: Vec<AttributeType> = message.attributes().map(|raw| raw.kind).collect();
    assert_eq!(
        kinds,
        [
            AttributeType::USERNAME,
            AttributeType::MESSAGE_INTEGRITY,
            AttributeType::MESSAGE_INTEGRITY_SHA256
        ]
    );
    for protection in [Protection::Sha1, Protection::Sha256] {
        assert_eq!(message.integrity(protection, &password()), Integrity::Right);
    }
}

/// RFC 8489, 14.6: cut to a multiple of four, not below 16.
#[test]
fn a_cut_sha256_is_read() {
    for (length, expected) in [
        (32, Integrity::Right),
        (16, Integrity::Right),
        (12, Integrity::Wrong),
        (18, Integrity::Wrong),
        (36, Integrity::Wrong),
    ] {
        let writer = Writer::new(Class::Request, Method::BINDING, ID);
        let kind = AttributeType::MESSAGE_INTEGRITY_SHA256;
        let zeros = vec![0; length];
        let mut bytes = writer
            .attribute(&Attribute::Other(kind, &zeros))
            .finish()
            .to_vec();
        let mut mac = {
            use hmac::{Hmac, KeyInit as _, Mac as _};
            let mut mac: Hmac<sha2::Sha256> = Hmac::new_from_slice(b"key").unwrap();
            mac.update(&bytes[..20]);
            mac.finalize().into_bytes().to_vec()
        };
        // The length that is hashed ends after the value, which its padding may exceed.
        mac.resize(length, 0);
        bytes[24..24 + length].copy_from_slice(&mac);
        let message = Message::parse(&bytes).unwrap();
        let found = message.integrity(Protection::Sha256, &Key::short_term("key"));
        assert_eq!(found, expected, "{length}");
    }
}

/// RFC 8489, 14.8 and 14.13.
#[test]
fn errors_and_unknown_attributes() {
    let error = ErrorCode {
        code: 420,
        reason: "Unknown Attribute",
    };
    let bytes = Writer::new(Class::Error, Method::BINDING, ID)
        .attribute(&Attribute::ErrorCode(error))
        .attribute(&Attribute::UnknownAttributes(&[0x00, 0x2f]))
        .attribute(&Attribute::Other(
            AttributeType(0x002f),
            b"\x01\x02\x03\x04",
        ))
        .attribute(&Attribute::Other(AttributeType(0xff00), b"ignored"))
        .finish();
    assert_eq!(&bytes[20..28], [0x00, 0x09, 0x00, 0x15, 0, 0, 4, 20]);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(
        message.attribute(AttributeType::ERROR_CODE),
        Some(Attribute::ErrorCode(error))
    );
    let unknown: Vec<AttributeType> = message.unknown().collect();
    assert_eq!(unknown, [AttributeType(0x002f)]);
    for value in [
        &[0, 0, 2, 0][..],
        &[0, 0, 7, 0],
        &[0, 0, 4, 100],
        &[0, 0, 4],
        &[0, 0, 4, 0, 0xff],
    ] {
        let kind = AttributeType::ERROR_CODE;
        let bytes = Writer::new(Class::Error, Method::BINDING, ID)
            .attribute(&Attribute::Other(kind, value))
            .finish();
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(
            message.raw(kind).unwrap().read(),
            Err(InvalidAttribute(kind)),
            "{value:?}"
        );
    }
}

/// RFC 8489, 9.2.2: MD5("user:realm:pass") of its example.
#[test]
fn keys() {
    let key = Key::long_term("user", "realm", "pass");
    let example = [
        0x84, 0x93, 0xfb, 0xc5, 0x3b, 0xa5, 0x82, 0xfb, 0x4c, 0x04, 0x4c, 0x45, 0x6b, 0xdc, 0x40,
        0xeb,
    ];
    let bytes = |key: &Key| {
        Writer::new(Class::Request, Method::BINDING, ID)
            .integrity(Protection::Sha1, key)
            .finish()
    };
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let by_hand: Hmac<sha1::Sha1> = Hmac::new_from_slice(&example).unwrap();
    let mut by_hand = by_hand;
    let written = bytes(&key);
    by_hand.update(&written[..20]);
    assert_eq!(&by_hand.finalize().into_bytes()[..], &written[24..]);
    assert_ne!(
        bytes(&key),
        bytes(&Key::long_term_sha256("user", "realm", "pass"))
    );
    assert_eq!(format!("{key:?}"), "Key(..)");
}

/// RFC 8489, 5: a message holds 64 KiB, and what does not fit is left out whole.
#[test]
fn too_much_is_left_out() {
    let large = vec![0; 65_000];
    let bytes = Writer::new(Class::Indication, Method::BINDING, ID)
        .attribute(&Attribute::Other(AttributeType(0x8fff), &large))
        .attribute(&Attribute::Other(AttributeType(0x8fff), &large))
        .attribute(&Attribute::Software("fits"))
        .finish();
    assert_eq!(Message::parse(&bytes).unwrap().attributes().count(), 2);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = RESPONSE[..20].to_vec();
        bytes.extend_from_slice(&tail);
        let length = (tail.len() as u16).to_be_bytes();
        bytes[2..4].copy_from_slice(&length);
        if let Ok(message) = Message::parse(&bytes) {
            for raw in message.attributes() {
                let _ = raw.read();
            }
            let _ = message.integrity(Protection::Sha256, &password());
            let _ = message.mapped_address();
        }
    }

    #[test]
    fn addresses_come_back(port in any::<u16>(), v4 in any::<[u8; 4]>(), v6 in any::<[u8; 16]>(), id in any::<[u8; 12]>()) {
        for ip in [std::net::IpAddr::from(v4), std::net::IpAddr::from(v6)] {
            let address = SocketAddr::new(ip, port);
            let bytes = Writer::new(Class::Success, Method::BINDING, TransactionId(id))
                .attribute(&Attribute::XorMappedAddress(address))
                .fingerprint()
                .finish();
            prop_assert_eq!(Message::parse(&bytes).unwrap().mapped_address(), Some(address));
        }
    }
}
