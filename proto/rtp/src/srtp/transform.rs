//! The ciphers: counter mode with HMAC-SHA1 (RFC 3711, 4.1.1 and 4.2.1), and GCM (RFC 7714).

use super::Profile;
use aes::{
    Aes128, Aes256,
    cipher::{BlockCipherEncrypt, BlockSizeUser, InnerIvInit as _, StreamCipher as _, consts::U16},
};
use aes_gcm::{AeadInOut, Aes128Gcm, Aes256Gcm, KeyInit as _, Nonce, aead::array::Array};
use bytes::BytesMut;
use ctr::{Ctr128BE, CtrCore, cipher::StreamCipherCoreWrapper};
use hmac::{Hmac, Mac as _};
use sha1::Sha1;
use std::fmt;
use subtle::ConstantTimeEq as _;

/// What makes a packet's keystream its own: the source and a number that never comes twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Counter {
    pub(super) ssrc: u32,
    /// 48 bits for RTP, 31 for RTCP.
    pub(super) index: u64,
}

/// One direction of RTP or of RTCP with its session keys; `Debug` does not show them.
pub(super) struct Transform(Box<Kind>);

enum Kind {
    Cm128(CounterMode<Aes128>),
    Cm256(CounterMode<Aes256>),
    Gcm128(Gcm<Aes128Gcm>),
    Gcm256(Gcm<Aes256Gcm>),
}

impl Transform {
    /// The keys of one direction; `key` has the length that the profile wants.
    pub(super) fn new(
        profile: Profile,
        key: &[u8],
        auth: &[u8; 20],
        salt: [u8; 14],
        tag: usize,
    ) -> Self {
        const LENGTH: &str = "a session key has the length of its profile";
        let kind = match profile {
            Profile::AesCm128HmacSha1_80 | Profile::AesCm128HmacSha1_32 => {
                let aes = Aes128::new_from_slice(key).expect(LENGTH);
                Kind::Cm128(CounterMode::new(aes, auth, salt, tag))
            }
            Profile::AesCm256HmacSha1_80 | Profile::AesCm256HmacSha1_32 => {
                let aes = Aes256::new_from_slice(key).expect(LENGTH);
                Kind::Cm256(CounterMode::new(aes, auth, salt, tag))
            }
            Profile::AeadAes128Gcm => {
                let aead = Aes128Gcm::new_from_slice(key).expect(LENGTH);
                Kind::Gcm128(Gcm { aead, salt })
            }
            Profile::AeadAes256Gcm => {
                let aead = Aes256Gcm::new_from_slice(key).expect(LENGTH);
                Kind::Gcm256(Gcm { aead, salt })
            }
        };
        Self(Box::new(kind))
    }

    /// Encrypts `packet` from byte `clear` on and appends the tag. `trailer` is proved with it: the
    /// rollover counter of RTP, flag and index of RTCP. With `is_sent` the trailer goes along, too
    /// (behind the tag of GCM, before that of HMAC).
    pub(super) fn seal(
        &self,
        packet: &mut BytesMut,
        clear: usize,
        counter: Counter,
        trailer: Trailer,
    ) {
        match &*self.0 {
            Kind::Cm128(mode) => mode.seal(packet, clear, counter, trailer),
            Kind::Cm256(mode) => mode.seal(packet, clear, counter, trailer),
            Kind::Gcm128(mode) => mode.seal(packet, clear, counter, trailer),
            Kind::Gcm256(mode) => mode.seal(packet, clear, counter, trailer),
        }
    }

    /// Proves `packet`, which has no trailer any more, and then decrypts it and cuts the tag off. False
    /// if it is forged; it is as it was then.
    pub(super) fn open(
        &self,
        packet: &mut BytesMut,
        clear: usize,
        counter: Counter,
        trailer: Trailer,
    ) -> bool {
        match &*self.0 {
            Kind::Cm128(mode) => mode.open(packet, clear, counter, trailer),
            Kind::Cm256(mode) => mode.open(packet, clear, counter, trailer),
            Kind::Gcm128(mode) => mode.open(packet, clear, counter, trailer),
            Kind::Gcm256(mode) => mode.open(packet, clear, counter, trailer),
        }
    }

    /// True if the tag ends the packet: the trailer of RTCP then stands before it (RFC 3711, 3.4), else
    /// behind it (RFC 7714, 9.2).
    pub(super) fn is_tag_last(&self) -> bool {
        matches!(&*self.0, Kind::Cm128(_) | Kind::Cm256(_))
    }

    /// Bytes of the tag.
    pub(super) fn tag_len(&self) -> usize {
        match &*self.0 {
            Kind::Cm128(mode) => mode.tag,
            Kind::Cm256(mode) => mode.tag,
            Kind::Gcm128(_) | Kind::Gcm256(_) => GCM_TAG,
        }
    }
}

impl fmt::Debug for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transform(..)")
    }
}

/// Four bytes that are proved with a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Trailer {
    /// The rollover counter, which is not sent (RFC 3711, 4.2). GCM has it in its counter alone.
    Rollover(u32),
    /// Flag and index of SRTCP, which are sent in the clear.
    Index(u32),
}

/// AES in counter mode with HMAC-SHA1.
struct CounterMode<C> {
    aes: C,
    /// Its state after the key; each packet goes on from a copy.
    mac: Hmac<Sha1>,
    salt: [u8; 14],
    tag: usize,
}

impl<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>> CounterMode<C> {
    fn new(aes: C, auth: &[u8; 20], salt: [u8; 14], tag: usize) -> Self {
        let mac = Hmac::new_from_slice(auth).expect("HMAC takes keys of any length");
        Self {
            aes,
            mac,
            salt,
            tag,
        }
    }

    /// RFC 3711, 4.1.1: the salt, the source and the index, each in its place.
    fn iv(&self, counter: Counter) -> [u8; 16] {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt);
        xor(&mut iv[4..8], &counter.ssrc.to_be_bytes());
        xor(&mut iv[8..14], &counter.index.to_be_bytes()[2..]);
        iv
    }

    fn prove(&self, packet: &[u8], trailer: Trailer) -> [u8; 20] {
        let mut mac = self.mac.clone();
        mac.update(packet);
        let (Trailer::Rollover(number) | Trailer::Index(number)) = trailer;
        mac.update(&number.to_be_bytes());
        mac.finalize().into_bytes().into()
    }

    fn seal(&self, packet: &mut BytesMut, clear: usize, counter: Counter, trailer: Trailer) {
        keystream(&self.aes, &self.iv(counter), &mut packet[clear..]);
        let proof = self.prove(packet, trailer);
        if let Trailer::Index(index) = trailer {
            packet.extend_from_slice(&index.to_be_bytes());
        }
        packet.extend_from_slice(&proof[..self.tag]);
    }

    fn open(
        &self,
        packet: &mut BytesMut,
        clear: usize,
        counter: Counter,
        trailer: Trailer,
    ) -> bool {
        let end = packet.len() - self.tag;
        let proof = self.prove(&packet[..end], trailer);
        if !bool::from(proof[..self.tag].ct_eq(&packet[end..])) {
            return false;
        }
        packet.truncate(end);
        keystream(&self.aes, &self.iv(counter), &mut packet[clear..]);
        true
    }
}

/// AES in Galois counter mode.
struct Gcm<A> {
    aead: A,
    /// 12 bytes of it.
    salt: [u8; 14],
}

impl<A: AeadInOut<NonceSize = aes::cipher::consts::U12, TagSize = U16>> Gcm<A> {
    /// RFC 7714, 8.1 and 9.1: an RTP index is the rollover counter and the sequence number, an RTCP
    /// index ends at the same place.
    fn nonce(&self, counter: Counter) -> Array<u8, aes::cipher::consts::U12> {
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&self.salt[..12]);
        xor(&mut nonce[2..6], &counter.ssrc.to_be_bytes());
        xor(&mut nonce[6..12], &counter.index.to_be_bytes()[2..]);
        Nonce::from(nonce)
    }

    fn seal(&self, packet: &mut BytesMut, clear: usize, counter: Counter, trailer: Trailer) {
        let nonce = self.nonce(counter);
        let (head, body) = packet.split_at_mut(clear);
        let associated = Associated::new(head, trailer);
        let tag = self
            .aead
            .encrypt_inout_detached(&nonce, associated.bytes(head), body.into())
            .expect("a packet is shorter than 64 GiB");
        packet.extend_from_slice(&tag);
        if let Trailer::Index(index) = trailer {
            packet.extend_from_slice(&index.to_be_bytes());
        }
    }

    fn open(
        &self,
        packet: &mut BytesMut,
        clear: usize,
        counter: Counter,
        trailer: Trailer,
    ) -> bool {
        let nonce = self.nonce(counter);
        let end = packet.len() - GCM_TAG;
        let (sealed, tag) = packet.split_at_mut(end);
        let Ok(tag) = <[u8; GCM_TAG]>::try_from(&*tag) else {
            return false;
        };
        let (head, body) = sealed.split_at_mut(clear);
        let associated = Associated::new(head, trailer);
        let is_genuine = self
            .aead
            .decrypt_inout_detached(&nonce, associated.bytes(head), body.into(), &tag.into())
            .is_ok();
        if is_genuine {
            packet.truncate(end);
        }
        is_genuine
    }
}

/// What GCM proves without hiding it (RFC 7714, 8.2 and 9.2): the header, and of RTCP flag and index.
struct Associated {
    rtcp: Option<[u8; 12]>,
}

impl Associated {
    fn new(head: &[u8], trailer: Trailer) -> Self {
        let rtcp = match trailer {
            Trailer::Rollover(_) => None,
            Trailer::Index(index) => {
                let mut bytes = [0; 12];
                let (first, last) = bytes.split_at_mut(8);
                // The clear part of an RTCP packet has 8 bytes.
                first.copy_from_slice(&head[..8]);
                last.copy_from_slice(&index.to_be_bytes());
                Some(bytes)
            }
        };
        Self { rtcp }
    }

    fn bytes<'a>(&'a self, head: &'a [u8]) -> &'a [u8] {
        match &self.rtcp {
            Some(bytes) => bytes,
            None => head,
        }
    }
}

/// Adds the keystream of `aes` from `iv` on to `data`.
pub(super) fn keystream<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>>(
    aes: &C,
    iv: &[u8; 16],
    data: &mut [u8],
) {
    // RFC 3711, 4.1.1: the last 16 bits count blocks; a packet of 64 KiB has 4,096.
    let core = CtrCore::inner_iv_init(aes, iv.into());
    let mut stream: Ctr128BE<&C> = StreamCipherCoreWrapper::from_core(core);
    stream.apply_keystream(data);
}

fn xor(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to ^= from;
    }
}

/// RFC 7714, 14.2: tags of 128 bits only.
const GCM_TAG: usize = 16;
