//! Keys in the description: SDES (RFC 4568).
//!
//! Offers list one key for each suite that the settings name, the one in use first; answers take the
//! first line of the peer that we can live with. What is agreed on is read out of both descriptions
//! alone, so nothing is to be undone when a proposal is refused.

use crate::stream::{Encryption, Refusal, StreamError};
use base::Rng;
use rtp::srtp::{MasterKey, Profile};
use sdp::{Crypto, Media};

/// The machine that puts keys into the descriptions of one m-line.
///
/// *Ask* it for the lines of each offer and answer, and tell it what was [agreed](Self::agreed) on.
/// A key of ours protects one direction of one stream and no other (RFC 4568, 7.1.2). It stays over
/// re-offers, hold and a move of the peer; it is another one once we have [moved](Self::moved), and in
/// the answer to a peer who takes another one himself: whoever does may be another device, which knows
/// nothing of our counters (RFC 4568, 7.1.4).
#[derive(Debug)]
pub(crate) struct Sdes {
    policy: Encryption,
    suites: Vec<Profile>,
    rng: Rng,
    /// Keys that were never in use, at most one a suite.
    spare: Vec<MasterKey>,
    current: Option<Keys>,
    /// The key in use belongs to an address that we have left.
    is_stale: bool,
}

/// The keys of both directions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Keys {
    /// Of what we send.
    pub(crate) local: MasterKey,
    /// Of what the peer sends.
    pub(crate) remote: MasterKey,
}

impl Sdes {
    pub(crate) const fn new(policy: Encryption, suites: Vec<Profile>, rng: Rng) -> Self {
        Self {
            policy,
            suites,
            rng,
            spare: Vec::new(),
            current: None,
            is_stale: false,
        }
    }

    /// The transport protocol of a first offer: keys without insisting on them stand in plain RTP,
    /// where whoever does not know them passes over them (RFC 4568 asks for RTP/SAVP; everybody does
    /// it so who has to talk to both).
    pub(crate) const fn protocol(&self) -> &'static str {
        match matches!(self.policy, Encryption::SdesMandatory) {
            true => "RTP/SAVP",
            false => "RTP/AVP",
        }
    }

    /// The lines of an offer, the preferred one first (RFC 4568, 5.1.1).
    pub(crate) fn offer(&mut self) -> Vec<Crypto> {
        if self.policy == Encryption::Off {
            return Vec::new();
        }
        let mut keys: Vec<MasterKey> = Vec::with_capacity(self.suites.len() + 1);
        if let Some(current) = &self.current {
            keys.push(match self.is_stale {
                true => self.spare(current.local.profile()),
                false => current.local.clone(),
            });
        }
        for suite in self.suites.clone() {
            if keys.iter().all(|key| key.profile() != suite) {
                keys.push(self.spare(suite));
            }
        }
        let line = |(tag, key): (u32, &MasterKey)| line(tag, key);
        (1..).zip(&keys).map(line).collect()
    }

    /// The line that answers `offered`; `None` to go on without keys.
    ///
    /// # Errors
    ///
    /// Policy and offer do not go together.
    pub(crate) fn answer(&mut self, offered: &Media) -> Result<Option<Crypto>, Refusal> {
        let is_secure = is_secure(offered);
        if self.policy == Encryption::Off {
            return match is_secure {
                true => Err(SWITCHED_OFF),
                false => Ok(None),
            };
        }
        // RFC 4568, 5.1.2: the first one that is acceptable.
        let Some((tag, remote)) = lines(offered).find_map(acceptable) else {
            return match (is_secure, self.policy) {
                (true, _) => Err(NO_KEY),
                (false, Encryption::SdesMandatory) => Err(REQUIRED),
                (false, _) => Ok(None),
            };
        };
        let local = match &self.current {
            Some(current) if current.remote == remote && !self.is_stale => current.local.clone(),
            _ => self.spare(remote.profile()),
        };
        Ok(Some(line(tag, &local)))
    }

    /// Reads which keys an exchange agreed on; `None` for media in the clear.
    ///
    /// # Errors
    ///
    /// The answer names a key that was not offered, or none although the policy or the transport
    /// protocol demands one (RFC 4568, 5.1.3).
    pub(crate) fn agreed(
        &mut self,
        local: &Media,
        remote: &Media,
        we_offered: bool,
    ) -> Result<Option<Keys>, StreamError> {
        let keys = match we_offered {
            true => answered(local, remote)?.map(|(local, remote)| Keys { local, remote }),
            false => answered(remote, local)?.map(|(remote, local)| Keys { local, remote }),
        };
        let demands = self.policy == Encryption::SdesMandatory || is_secure(local);
        if keys.is_none() && demands {
            return Err(StreamError::NotEncrypted("the peer answers without a key"));
        }
        if let Some(keys) = &keys {
            // It is in use now: what is offered beside it is another one.
            let before = self.spare.len();
            self.spare.retain(|spare| *spare != keys.local);
            // All spare ones were made at the address that is ours now.
            self.is_stale &= before == self.spare.len();
        }
        self.current.clone_from(&keys);
        Ok(keys)
    }

    /// Our address is another one: so is the key of the next description (RFC 4568, 7.1.4).
    pub(crate) fn moved(&mut self) {
        self.spare.clear();
        self.is_stale = true;
    }

    fn spare(&mut self, suite: Profile) -> MasterKey {
        if let Some(known) = self.spare.iter().find(|key| key.profile() == suite) {
            return known.clone();
        }
        let mut material = vec![0; suite.key_len() + suite.salt_len()];
        self.rng.fill(&mut material);
        let key = MasterKey::new(suite, &material).expect("as long as the suite wants it");
        self.spare.push(key.clone());
        key
    }
}

fn line(tag: u32, key: &MasterKey) -> Crypto {
    Crypto::new(tag, key.profile().suite(), key.material().to_vec())
}

fn lines(media: &Media) -> impl Iterator<Item = Crypto> {
    media.attributes.iter().filter_map(Crypto::read)
}

/// The tag and the key of a line, if we can protect with it what it protects.
fn acceptable(line: Crypto) -> Option<(u32, MasterKey)> {
    let suite = Profile::of_suite(&line.suite)?;
    Some((line.tag, MasterKey::new(suite, line.plain_key()?)?))
}

/// What an answer took of an offer: the offerer's key, then the answerer's.
fn answered(offer: &Media, answer: &Media) -> Result<Option<(MasterKey, MasterKey)>, StreamError> {
    if !offer.attributes.has("crypto") || !answer.attributes.has("crypto") {
        return Ok(None);
    }
    let mut answers = lines(answer);
    // RFC 4568, 5.1.3: one line and no more, with a tag and the suite of that tag.
    let (Some(line), None) = (answers.next(), answers.next()) else {
        return Err(NOT_OFFERED);
    };
    let (tag, answered) = acceptable(line).ok_or(NOT_OFFERED)?;
    let offered = lines(offer)
        .filter(|line| line.tag == tag)
        .find_map(acceptable);
    match offered {
        Some((_, key)) if key == answered => Err(SAME_KEY),
        Some((_, key)) if key.profile() == answered.profile() => Ok(Some((key, answered))),
        _ => Err(NOT_OFFERED),
    }
}

fn is_secure(media: &Media) -> bool {
    media.rtp_profile().is_some_and(|profile| profile.secure)
}

const SWITCHED_OFF: Refusal = Refusal {
    code: 488,
    warning: "encryption of media is switched off",
};
const NO_KEY: Refusal = Refusal {
    code: 488,
    warning: "no crypto line is acceptable",
};
const REQUIRED: Refusal = Refusal {
    code: 488,
    warning: "media must be encrypted",
};
const NOT_OFFERED: StreamError =
    StreamError::NotEncrypted("the answer takes no key that was offered");
/// RFC 4568, 7.1.2: who answers with the key of the offer lets both directions use one keystream.
const SAME_KEY: StreamError = StreamError::NotEncrypted("the answer repeats the key of the offer");

#[cfg(test)]
mod tests;
