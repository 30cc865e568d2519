//! Messages of ours as `stun-types` reads them, and its messages as we do.

use super::super::*;
use base::Rng;
use std::net::SocketAddr;
use stun_types::{
    attribute as theirs,
    message::{
        self, IntegrityAlgorithm, LongTermKeyCredentials, MessageClass,
        MessageIntegrityCredentials, MessageType, MessageWrite as _, MessageWriteExt as _,
        MessageWriteVec, ShortTermCredentials,
    },
};

const CLASSES: [(Class, MessageClass); 4] = [
    (Class::Request, MessageClass::Request),
    (Class::Indication, MessageClass::Indication),
    (Class::Success, MessageClass::Success),
    (Class::Error, MessageClass::Error),
];

/// What one message says.
struct Said {
    class: (Class, MessageClass),
    method: u16,
    id: [u8; 12],
    address: SocketAddr,
    username: String,
    realm: String,
    nonce: String,
    software: String,
    code: u16,
    reason: String,
    /// Of PRIORITY, which the other side knows as bytes only.
    priority: u32,
    password: String,
    is_long_term: bool,
    is_sha256: bool,
}

impl Said {
    fn draw(rng: &mut Rng) -> Self {
        let mut id = [0; 12];
        rng.fill(&mut id);
        let mut ip = [0u8; 16];
        rng.fill(&mut ip);
        let port = rng.below(65_536) as u16;
        let address = match rng.below(2) {
            0 => SocketAddr::from(([ip[0], ip[1], ip[2], ip[3]], port)),
            _ => SocketAddr::from((ip, port)),
        };
        let mut text = |longest: u32| {
            let length = rng.below(longest) as usize + 1;
            rng.token(length)
        };
        let (username, realm, nonce) = (text(400), text(120), text(120));
        let (software, reason, password) = (text(120), text(120), text(60));
        Self {
            class: CLASSES[rng.below(4) as usize],
            method: rng.below(0x1000) as u16,
            id,
            address,
            username,
            realm,
            nonce,
            software,
            code: 300 + rng.below(400) as u16,
            reason,
            priority: rng.u64() as u32,
            password,
            is_long_term: rng.below(2) == 0,
            is_sha256: rng.below(2) == 0,
        }
    }

    fn protection(&self) -> (Protection, IntegrityAlgorithm) {
        match self.is_sha256 {
            true => (Protection::Sha256, IntegrityAlgorithm::Sha256),
            false => (Protection::Sha1, IntegrityAlgorithm::Sha1),
        }
    }

    fn keys(&self) -> (Key, MessageIntegrityCredentials) {
        let (user, realm, password) = (&self.username, &self.realm, &self.password);
        if !self.is_long_term {
            let theirs = ShortTermCredentials::new(password.clone());
            return (Key::short_term(password), theirs.into());
        }
        // RFC 8489, 14.4: of which algorithm the key is, PASSWORD-ALGORITHM says, not the protection; without it
        // the one of MD5.
        let theirs = LongTermKeyCredentials::new(user.clone(), password.clone(), realm.clone());
        let ours = match self.is_sha256 {
            true => Key::long_term_sha256(user, realm, password),
            false => Key::long_term(user, realm, password),
        };
        (ours, theirs.into())
    }

    fn ours(&self) -> Vec<u8> {
        let method = Method::new(self.method).unwrap();
        let code = ErrorCode {
            code: self.code,
            reason: &self.reason,
        };
        Writer::new(self.class.0, method, TransactionId(self.id))
            .attribute(&Attribute::Username(&self.username))
            .attribute(&Attribute::Realm(&self.realm))
            .attribute(&Attribute::Nonce(&self.nonce))
            .attribute(&Attribute::Software(&self.software))
            .attribute(&Attribute::ErrorCode(code))
            .attribute(&Attribute::XorMappedAddress(self.address))
            .attribute(&Attribute::AlternateServer(self.address))
            .attribute(&Attribute::Priority(self.priority))
            .integrity(self.protection().0, &self.keys().0)
            .fingerprint()
            .finish()
            .to_vec()
    }

    fn id(&self) -> message::TransactionId {
        let mut bytes = [0; 16];
        bytes[4..].copy_from_slice(&self.id);
        u128::from_be_bytes(bytes).into()
    }

    fn theirs(&self) -> Vec<u8> {
        let kind = MessageType::from_class_method(self.class.1, message::Method::new(self.method));
        let mut writer = message::Message::builder(kind, self.id(), MessageWriteVec::new());
        let priority = self.priority.to_be_bytes();
        let priority = theirs::RawAttribute::new(PRIORITY, &priority);
        let username = theirs::Username::new(&self.username).unwrap();
        let realm = theirs::Realm::new(&self.realm).unwrap();
        let nonce = theirs::Nonce::new(&self.nonce).unwrap();
        let software = theirs::Software::new(&self.software).unwrap();
        let code = theirs::ErrorCode::new(self.code, &self.reason).unwrap();
        let mapped = theirs::XorMappedAddress::new(self.address, self.id());
        let alternate = theirs::AlternateServer::new(self.address);
        writer.add_attribute(&username).unwrap();
        writer.add_attribute(&realm).unwrap();
        writer.add_attribute(&nonce).unwrap();
        writer.add_attribute(&software).unwrap();
        writer.add_attribute(&code).unwrap();
        writer.add_attribute(&mapped).unwrap();
        writer.add_attribute(&alternate).unwrap();
        writer.add_attribute(&priority).unwrap();
        writer
            .add_message_integrity(&self.keys().1, self.protection().1)
            .unwrap();
        writer.add_fingerprint().unwrap();
        writer.finish()
    }
}

const PRIORITY: theirs::AttributeType = theirs::AttributeType::new(0x24);

/// Each side reads of the other's message what was said, and finds it proved.
#[test]
fn stun_types_and_we_read_each_other() {
    let mut rng = Rng::from_seed([11; 32]);
    for _ in 0..300 {
        let said = Said::draw(&mut rng);
        let (key, credentials) = said.keys();

        let bytes = said.ours();
        let read = message::Message::from_bytes(&bytes).unwrap();
        assert_eq!(
            (read.class(), read.method().value()),
            (said.class.1, said.method)
        );
        assert_eq!(read.transaction_id(), said.id());
        assert_eq!(
            read.validate_integrity(&credentials).unwrap(),
            said.protection().1
        );
        assert_eq!(
            read.attribute::<theirs::Username>().unwrap().username(),
            said.username
        );
        assert_eq!(
            read.attribute::<theirs::Realm>().unwrap().realm(),
            said.realm
        );
        assert_eq!(
            read.attribute::<theirs::Nonce>().unwrap().nonce(),
            said.nonce
        );
        assert_eq!(
            read.attribute::<theirs::Software>().unwrap().software(),
            said.software
        );
        let code = read.attribute::<theirs::ErrorCode>().unwrap();
        assert_eq!((code.code(), code.reason()), (said.code, &said.reason[..]));
        let mapped = read.attribute::<theirs::XorMappedAddress>().unwrap();
        assert_eq!(mapped.addr(said.id()), said.address);
        let alternate = read.attribute::<theirs::AlternateServer>().unwrap();
        assert_eq!(alternate.server(), said.address);
        let priority = read.raw_attribute(PRIORITY).unwrap();
        assert_eq!(&priority.value[..], said.priority.to_be_bytes());
        assert!(read.attribute::<theirs::Fingerprint>().is_ok());

        let bytes = said.theirs();
        let read = Message::parse(&bytes).unwrap();
        assert_eq!(
            (read.class(), read.method().number()),
            (said.class.0, said.method)
        );
        assert_eq!(read.transaction(), TransactionId(said.id));
        assert_eq!(read.integrity(said.protection().0, &key), Integrity::Right);
        assert!(read.has_fingerprint());
        let code = ErrorCode {
            code: said.code,
            reason: &said.reason,
        };
        for expected in [
            Attribute::Username(&said.username),
            Attribute::Realm(&said.realm),
            Attribute::Nonce(&said.nonce),
            Attribute::Software(&said.software),
            Attribute::ErrorCode(code),
            Attribute::XorMappedAddress(said.address),
            Attribute::AlternateServer(said.address),
            Attribute::Priority(said.priority),
        ] {
            assert_eq!(read.attribute(expected.kind()), Some(expected));
        }
    }
}
