//! Whether what is said and heard is encrypted, and how (AUS-11, RTP-08, RTP-10).

use super::{AudioStream, Role};
use crate::{
    event::{KeyMethod, StreamEvent},
    stream::{Agreement, Discarded, Encryption, Refusal, SrtpProfile, StreamError, rtp::Agreed},
};
use serde::Serialize;

/// How media are encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct EncryptionInfo {
    /// How keys were agreed on.
    pub method: KeyMethod,
    /// What protects.
    pub cipher: SrtpProfile,
    /// The keys stood in signalling that others than the next hop could read.
    pub keys_in_clear: bool,
    /// What it kept from being played or sent.
    pub discarded: Discarded,
}

impl AudioStream {
    /// True while what we send and play is encrypted (AUS-11, RTP-08).
    pub fn is_srtp_active(&self) -> bool {
        self.transport.profile().is_some()
    }

    /// How media are encrypted; `None` while they are not.
    pub fn encryption(&self) -> Option<EncryptionInfo> {
        let secured = self.secured.flatten()?;
        Some(EncryptionInfo {
            method: secured.method,
            cipher: secured.cipher,
            keys_in_clear: secured.keys_in_clear,
            discarded: self.transport.discarded(),
        })
    }

    /// Whether our policy and an offered line go together.
    pub(super) fn accepts_keys(
        &mut self,
        remote: &sdp::Session,
        index: usize,
    ) -> Result<(), Refusal> {
        self.keys.answer(remote, index).map(drop)
    }

    pub(super) fn agree_keys(
        &mut self,
        agreed: Agreement<'_>,
        role: Role,
    ) -> Result<Agreed, StreamError> {
        let (local, remote, index) = (agreed.local, agreed.remote, agreed.index);
        let is_offerer = role == Role::Offerer;
        let keys = self.keys.agreed(local, remote, index, is_offerer)?;
        self.protocol = local.media.get(index).map(|line| line.protocol.clone());
        self.method = match &keys {
            Agreed::Dtls(_) => (KeyMethod::Dtls, false),
            Agreed::Sdes(_) | Agreed::Clear => (KeyMethod::Sdes, !agreed.is_confidential),
        };
        Ok(keys)
    }

    /// Follows what handshakes have come to.
    pub(super) fn hear_handshakes(&mut self) {
        while let Some(secured) = self.transport.poll_secured() {
            match secured {
                Ok(()) => self.tell_encryption(),
                Err(failure) => self.fail(StreamError::NotEncrypted(failure.reason())),
            }
        }
    }

    /// Tells what an agreement means for encryption, if that is news and known.
    pub(super) fn tell_encryption(&mut self) {
        if self.transport.is_waiting_for_keys() {
            return;
        }
        let (method, keys_in_clear) = self.method;
        let secured = self.transport.profile().map(|cipher| Secured {
            method,
            cipher,
            keys_in_clear,
        });
        let told = self.secured.replace(secured);
        if told == self.secured {
            return;
        }
        match secured {
            Some(secured) => self.push(StreamEvent::DidEnableEncryption {
                method: secured.method,
                cipher: secured.cipher,
                keys_in_clear: secured.keys_in_clear,
            }),
            // Who did not wish for it needs no telling.
            None if self.keys.policy() == Encryption::Off => {}
            None => self.push(StreamEvent::DidNotEnableEncryption { reason: NO_KEY }),
        }
    }
}

/// What an agreement said of encryption.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Secured {
    method: KeyMethod,
    cipher: SrtpProfile,
    keys_in_clear: bool,
}

const NO_KEY: &str = "the peer agreed on no key";
