//! DTLS in descriptions: fingerprints, roles and the identity of an association (RFC 5763, 8122, 8842).

use crate::stream::{Refusal, StreamError};
use base::Rng;
use dtls::{Credentials, Expected, Role};
use sdp::{Attribute, Fingerprint, Session, Setup};
use std::net::SocketAddr;

/// The machine that puts what DTLS needs into the descriptions of one m-line.
///
/// *Ask* it for the attributes of each offer and answer, and tell it what was [agreed](Self::agreed) on.
/// What names an association stays over re-offers, hold and ICE restarts; it is another one in the answer to
/// a peer that wants another one (RFC 8842, 5.3).
#[derive(Debug)]
pub(crate) struct Description {
    credentials: Credentials,
    rng: Rng,
    /// `a=tls-id` of ours.
    tls_id: Option<String>,
    current: Option<Terms>,
}

/// What makes an association this one and no other (RFC 8842, 3.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Terms {
    /// Our part.
    pub(crate) role: Role,
    /// Who the peer must be.
    pub(crate) expected: Expected,
    /// The names that both gave it.
    named: Named,
}

/// How an association is told from the next one with the same peer.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Named {
    /// By `a=tls-id`, ours and the peer's.
    Ids(String, String),
    /// A peer that knows no names tells it by its address, and ours (RFC 8842, 4).
    Way(Option<SocketAddr>, Option<SocketAddr>),
    /// With ICE addresses come and go.
    Nothing,
}

/// What a description says of DTLS.
struct Said {
    expected: Option<Expected>,
    setup: Option<Setup>,
    tls_id: Option<String>,
}

impl Description {
    pub(crate) const fn new(credentials: Credentials, rng: Rng) -> Self {
        Self {
            credentials,
            rng,
            tls_id: None,
            current: None,
        }
    }

    /// The attributes of an offer (RFC 8842, 5.2 and 5.5).
    pub(crate) fn offer(&mut self) -> Vec<Attribute> {
        let mut attributes = vec![Setup::ActPass.attribute(), self.fingerprint()];
        attributes.push(self.tls_id());
        attributes
    }

    /// The attributes of an answer; `None` if the offer says nothing of DTLS.
    ///
    /// # Errors
    ///
    /// What it says cannot be answered.
    pub(crate) fn answer(
        &mut self,
        remote: &Session,
        index: usize,
    ) -> Option<Result<Vec<Attribute>, Refusal>> {
        let said = Said::read(remote, index)?;
        Some(self.answer_to(&said))
    }

    fn answer_to(&mut self, said: &Said) -> Result<Vec<Attribute>, Refusal> {
        let Some(expected) = &said.expected else {
            return Err(NO_HASH);
        };
        // RFC 4145, 4.1: who does not say begins himself.
        let offered = said.setup.unwrap_or(Setup::Active);
        if offered == Setup::HoldConn {
            // RFC 8842, 5.1
            return Err(HELD);
        }
        let kept = self.current.as_ref().filter(|current| {
            let is_named = match (&current.named, &said.tls_id) {
                (Named::Ids(_, theirs), Some(id)) => theirs == id,
                (Named::Ids(..), None) => false,
                (Named::Way(..) | Named::Nothing, id) => id.is_none(),
            };
            is_named && current.expected == *expected && offered.allows(setup(current.role))
        });
        let answer = match kept {
            Some(current) => setup(current.role),
            None => offered.answer(),
        };
        if kept.is_none() && self.current.is_some() {
            self.tls_id = None;
        }
        let mut attributes = vec![answer.attribute(), self.fingerprint()];
        // RFC 8842, 5.3: not to a peer that says none.
        if said.tls_id.is_some() {
            attributes.push(self.tls_id());
        }
        Ok(attributes)
    }

    /// Reads what both descriptions mean.
    ///
    /// # Errors
    ///
    /// They do not fit each other.
    pub(crate) fn agreed(
        &mut self,
        local: &Session,
        remote: &Session,
        index: usize,
        is_offerer: bool,
    ) -> Result<Terms, StreamError> {
        let (Some(ours), Some(theirs)) = (Said::read(local, index), Said::read(remote, index))
        else {
            return Err(NO_FINGERPRINT);
        };
        let expected = theirs.expected.ok_or(WEAK)?;
        let (offered, answered) = match is_offerer {
            true => (ours.setup, theirs.setup),
            false => (theirs.setup, ours.setup),
        };
        let offered = offered.unwrap_or(Setup::Active);
        // RFC 4145, 4.1
        let answered = answered.unwrap_or(Setup::Passive);
        if !offered.allows(answered) {
            return Err(NO_PART);
        }
        let role = match (answered, is_offerer) {
            (Setup::Active, true) | (Setup::Passive, false) => Role::Passive,
            (Setup::Passive, true) | (Setup::Active, false) => Role::Active,
            (Setup::ActPass | Setup::HoldConn, _) => return Err(NO_PART),
        };
        let is_ice = [local, remote]
            .iter()
            .all(|session| session.inherited(index, "ice-ufrag").is_some());
        let named = match (ours.tls_id, theirs.tls_id) {
            (Some(ours), Some(theirs)) => Named::Ids(ours, theirs),
            _ if is_ice => Named::Nothing,
            _ => {
                let known = self.current.as_ref().map(|current| &current.named);
                // The null address of a hold is none.
                let (ours, theirs) = match known {
                    Some(Named::Way(ours, theirs)) => (*ours, *theirs),
                    _ => (None, None),
                };
                Named::Way(
                    local.media_address(index).or(ours),
                    remote.media_address(index).or(theirs),
                )
            }
        };
        let terms = Terms {
            role,
            expected,
            named,
        };
        self.current = Some(terms.clone());
        Ok(terms)
    }

    fn fingerprint(&self) -> Attribute {
        let digest = self.credentials.identity().fingerprint();
        Fingerprint::sha256(digest).attribute()
    }

    /// RFC 8842, 4: 120 bits at least.
    fn tls_id(&mut self) -> Attribute {
        let id = self.tls_id.get_or_insert_with(|| self.rng.token(TLS_ID));
        Attribute::new("tls-id", id)
    }
}

impl Said {
    /// `None` without a fingerprint. Those of the m-line stand for those of the session (RFC 8122, 5).
    fn read(session: &Session, index: usize) -> Option<Self> {
        let media = session.media.get(index)?;
        let level = match media.attributes.has("fingerprint") {
            true => &media.attributes,
            false => &session.attributes,
        };
        if !level.has("fingerprint") {
            return None;
        }
        let known: Vec<Fingerprint> = level
            .all("fingerprint")
            .filter_map(Fingerprint::read)
            .collect();
        let known = known.iter().map(|known| (&*known.hash, &known.digest[..]));
        let setup = session.inherited(index, "setup");
        Some(Self {
            expected: Expected::new(known),
            setup: setup.and_then(|word| Setup::read(&Attribute::new("setup", word))),
            tls_id: media.attributes.value("tls-id").map(str::to_owned),
        })
    }
}

/// Whether an m-line names the certificate of its side.
pub(crate) fn is_described(session: &Session, index: usize) -> bool {
    Said::read(session, index).is_some()
}

const fn setup(role: Role) -> Setup {
    match role {
        Role::Active => Setup::Active,
        Role::Passive => Setup::Passive,
    }
}

/// Characters of five bits.
const TLS_ID: usize = 26;
const NO_HASH: Refusal = Refusal {
    code: 488,
    warning: "no fingerprint by SHA-256 or better",
};
const HELD: Refusal = Refusal {
    code: 488,
    warning: "DTLS cannot be held",
};
const NO_FINGERPRINT: StreamError =
    StreamError::NotEncrypted("the peer answers without a fingerprint");
const WEAK: StreamError =
    StreamError::NotEncrypted("the peer answers without a fingerprint by SHA-256 or better");
const NO_PART: StreamError =
    StreamError::NotEncrypted("the peer takes no part in DTLS that was offered");
