//! Whether what is said and heard is encrypted, and how (AUS-11, RTP-08, RTP-10).

use super::{AudioStream, Role};
use crate::{
    event::{KeyMethod, StreamEvent},
    stream::{Agreement, Discarded, Encryption, Refusal, SrtpProfile, StreamError, rtp::Keys},
};
use sdp::Media;
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
    pub(super) fn accepts_keys(&mut self, offered: &Media) -> Result<(), Refusal> {
        self.sdes.answer(offered).map(drop)
    }

    pub(super) fn agree_keys(
        &mut self,
        agreed: Agreement<'_>,
        role: Role,
    ) -> Result<Option<Keys>, StreamError> {
        let line = |session: &sdp::Session| session.media.get(agreed.index).cloned();
        let (Some(local), Some(remote)) = (line(agreed.local), line(agreed.remote)) else {
            return Ok(None);
        };
        let keys = self.sdes.agreed(&local, &remote, role == Role::Offerer)?;
        self.protocol = Some(local.protocol);
        Ok(keys)
    }

    /// Tells what an agreement means for encryption, if that is news.
    pub(super) fn tell_encryption(&mut self, is_confidential: bool) {
        let secured = self.transport.profile().map(|cipher| Secured {
            method: KeyMethod::Sdes,
            cipher,
            keys_in_clear: !is_confidential,
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
            None if self.sdes.policy() == Encryption::Off => {}
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
