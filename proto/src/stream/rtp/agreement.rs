//! How keys are agreed on: in the description (SDES) or by DTLS, as policy and peer will (RFC 8643).

use super::{
    Keys, Sdes,
    dtls::{Description, Terms, is_described},
};
use crate::stream::{Encryption, Refusal, SrtpProfile, StreamError};
use base::Rng;
use dtls::Credentials;
use sdp::{Attribute, Media, Session};

/// The machine that says in descriptions how keys come about, and reads what both mean: one way and no
/// other for an m-line.
///
/// What was agreed on once is what is offered later.
#[derive(Debug)]
pub(crate) struct KeyAgreement {
    policy: Encryption,
    sdes: Sdes,
    dtls: Description,
    method: Option<Method>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Method {
    Sdes,
    Dtls,
}

/// What protects packets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Agreed {
    /// Nothing.
    Clear,
    /// Keys that stand in the descriptions.
    Sdes(Keys),
    /// Keys that a handshake gives; until then there are no media.
    Dtls(Terms),
}

impl KeyAgreement {
    pub(crate) fn new(
        policy: Encryption,
        suites: Vec<SrtpProfile>,
        credentials: Credentials,
        mut rng: Rng,
    ) -> Self {
        let sdes = match policy {
            Encryption::Opportunistic => Encryption::SdesOptional,
            Encryption::DtlsMandatory => Encryption::Off,
            policy => policy,
        };
        Self {
            policy,
            sdes: Sdes::new(sdes, suites, rng.fork()),
            dtls: Description::new(credentials, rng),
            method: None,
        }
    }

    /// What the settings want.
    pub(crate) const fn policy(&self) -> Encryption {
        self.policy
    }

    /// The transport protocol of a first offer.
    pub(crate) const fn protocol(&self) -> &'static str {
        match self.policy {
            // RFC 5764, 8
            Encryption::DtlsMandatory => "UDP/TLS/RTP/SAVP",
            _ => self.sdes.protocol(),
        }
    }

    /// Whether our offers have a peer begin a handshake.
    pub(crate) fn offers_dtls(&self) -> bool {
        match self.method {
            Some(method) => method == Method::Dtls,
            None => matches!(
                self.policy,
                Encryption::Opportunistic | Encryption::DtlsMandatory
            ),
        }
    }

    /// The attributes of an offer.
    pub(crate) fn offer(&mut self) -> Vec<Attribute> {
        let mut attributes = Vec::new();
        if self.offers_dtls() {
            attributes = self.dtls.offer();
        }
        if self.method != Some(Method::Dtls) {
            attributes.extend(self.sdes.offer().iter().map(sdp::Crypto::attribute));
        }
        attributes
    }

    /// The attributes of an answer; none to go on without keys.
    ///
    /// # Errors
    ///
    /// Policy and offer do not go together.
    pub(crate) fn answer(
        &mut self,
        remote: &Session,
        index: usize,
    ) -> Result<Vec<Attribute>, Refusal> {
        let Some(offered) = remote.media.get(index) else {
            return Ok(Vec::new());
        };
        let by_sdes = |sdes: &mut Sdes| {
            let line = sdes.answer(offered)?;
            Ok(line.iter().map(sdp::Crypto::attribute).collect())
        };
        if self.policy == Encryption::Off {
            return by_sdes(&mut self.sdes);
        }
        let is_described = is_described(remote, index);
        let insists = is_dtls(offered) || self.policy == Encryption::DtlsMandatory;
        // Between both the one in use stays; a policy that names keys in descriptions likes them better.
        let prefers_dtls = match self.method {
            Some(method) => method == Method::Dtls,
            None => self.policy == Encryption::Opportunistic,
        };
        let takes_dtls = insists || prefers_dtls && is_described;
        if !takes_dtls {
            let answer: Result<Vec<Attribute>, Refusal> = by_sdes(&mut self.sdes);
            let is_keyed = answer.as_ref().is_ok_and(|answer| !answer.is_empty());
            if is_keyed || !is_described {
                return answer;
            }
        }
        match self.dtls.answer(remote, index) {
            Some(answer) => answer,
            None => Err(NOT_DESCRIBED),
        }
    }

    /// Reads what both descriptions mean.
    ///
    /// # Errors
    ///
    /// They do not fit each other, or what we insist on is not there.
    pub(crate) fn agreed(
        &mut self,
        local: &Session,
        remote: &Session,
        index: usize,
        is_offerer: bool,
    ) -> Result<Agreed, StreamError> {
        let line = |session: &Session| session.media.get(index).cloned();
        let (Some(ours), Some(theirs)) = (line(local), line(remote)) else {
            return Ok(Agreed::Clear);
        };
        let (offer, answer) = match is_offerer {
            true => (local, remote),
            false => (remote, local),
        };
        let has_key = |session: &Session| {
            let line = session.media.get(index);
            line.is_some_and(|line| !is_dtls(line) && line.attributes.has("crypto"))
        };
        let by_dtls = is_described(offer, index) && is_described(answer, index) && !has_key(answer);
        if by_dtls {
            let terms = self.dtls.agreed(local, remote, index, is_offerer)?;
            self.method = Some(Method::Dtls);
            return Ok(Agreed::Dtls(terms));
        }
        if is_dtls(&ours) || self.policy == Encryption::DtlsMandatory {
            return Err(WITHOUT_DTLS);
        }
        let keys = self.sdes.agreed(&ours, &theirs, is_offerer)?;
        self.method = keys.as_ref().map(|_| Method::Sdes);
        Ok(keys.map_or(Agreed::Clear, Agreed::Sdes))
    }

    /// Our address is another one: so is the key of the next description (RFC 4568, 7.1.4). An association
    /// goes along (RFC 8842, 3.2: nothing in SRTP asks for another one).
    pub(crate) fn moved(&mut self) {
        self.sdes.moved();
    }
}

fn is_dtls(media: &Media) -> bool {
    media.rtp_profile().is_some_and(|profile| profile.dtls)
}

const NOT_DESCRIBED: Refusal = Refusal {
    code: 488,
    warning: "media must be encrypted by keys of DTLS",
};
const WITHOUT_DTLS: StreamError = StreamError::NotEncrypted("the peer answers without DTLS");
