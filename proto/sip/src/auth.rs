//! Answering 401 and 407, and asking by them: RFC 3261, 22, with RFC 7616 and RFC 8760.
//!
//! An account has one [`Keyring`]; every Call-ID has one [`Authentication`], which remembers its
//! challenges; every request that is challenged has one [`Tries`]. Who asks has a [`Challenger`].

mod challenger;
mod guard;

pub use challenger::{Asker, Challenger, Denial, Policy, Verified};
pub use guard::Guard;

use crate::{HeaderName, Headers, Method, Request, Response};
use base::{
    Rng,
    digest::{Answer, Challenge, HashFunction, Identity, Info, MAX_CHALLENGES, Protected, Secret},
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What proves an identity to one realm (CRD-03). `Debug` does not show the secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Credentials {
    /// The realm that may ask for them. `*` is the realm of the account's own registrar or proxy,
    /// whatever its name: it is learnt from their challenges, and nobody else's are answered.
    pub realm: String,
    /// The user name, which need not be the user part of the address.
    pub username: String,
    /// The password, or HA1.
    pub secret: Secret,
}

impl Credentials {
    /// Puts credentials together.
    pub fn new(realm: impl Into<String>, username: impl Into<String>, secret: Secret) -> Self {
        Self {
            realm: realm.into(),
            username: username.into(),
            secret,
        }
    }
}

/// Who can have made a challenge, by the way that the challenged request took.
///
/// Credentials for `*` must not answer the challenges of strangers: what comes back is an offline test
/// for the password.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Origin {
    /// A REGISTER, along the account's own route: nobody but its registrar or proxy.
    Registrar,
    /// Another request along the account's own route: its proxy, or whoever is behind it.
    OwnRoute,
    /// A request to a peer that was reached without the account's own route.
    Elsewhere,
}

/// Why a challenge is not answered; the request has failed.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    thiserror::Error,
    Serialize,
    Deserialize,
)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no Digest challenge with an algorithm and a protection that are known.
    #[error("no challenge that can be understood")]
    NotUnderstood,
    /// There are no credentials for its realm.
    #[error("no credentials for the realm")]
    NoCredentials,
    /// There are credentials for the account's own realm only, and this is not known to be it.
    #[error("the challenge does not come from the account's own server")]
    Stranger,
    /// It asks for a weaker hash than the realm has accepted before.
    #[error("the challenge is weaker than before")]
    Weaker,
    /// The credentials were shown, and turned down.
    #[error("the credentials were rejected")]
    Rejected,
    /// The request has been challenged too often.
    #[error("challenged too often")]
    TooOften,
    /// The response tries to prove that its server knows the secret, and does not.
    #[error("the server does not know the secret")]
    Impostor,
}

/// The credentials of an account, and what it knows of the realms that asked for them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Keyring {
    credentials: Vec<Credentials>,
    prefer_strongest: bool,
    realms: Realms,
}

/// What is known of the realms that asked for credentials of an account: what its registrar has taught
/// one usage, its calls and messages must know, too.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Realms {
    /// What `*` stands for.
    own: Vec<Vec<u8>>,
    /// The strongest hash that each realm has accepted.
    accepted: Vec<(Vec<u8>, HashFunction)>,
}

impl Realms {
    /// Begins without knowledge.
    pub const fn new() -> Self {
        Self {
            own: Vec::new(),
            accepted: Vec::new(),
        }
    }

    /// Takes over what `other` knows.
    pub fn merge(&mut self, other: &Self) {
        for realm in &other.own {
            self.learn(realm);
        }
        for (realm, hash) in &other.accepted {
            self.accept(realm, *hash);
        }
    }

    fn knows(&self, realm: &[u8]) -> bool {
        self.own.iter().any(|own| own == realm)
    }

    fn learn(&mut self, realm: &[u8]) {
        if !self.knows(realm) && self.own.len() < MAX_OWN_REALMS {
            self.own.push(realm.to_vec());
        }
    }

    fn accept(&mut self, realm: &[u8], hash: HashFunction) {
        if let Some((_, strongest)) = self.accepted.iter_mut().find(|(known, _)| known == realm) {
            *strongest = hash.max(*strongest);
        } else if self.accepted.len() < MAX_SPACES {
            self.accepted.push((realm.to_vec(), hash));
        }
    }
}

impl Keyring {
    /// Begins with these credentials.
    pub const fn new(credentials: Vec<Credentials>) -> Self {
        Self {
            credentials,
            prefer_strongest: true,
            realms: Realms::new(),
        }
    }

    /// The same, choosing between challenges as [`set_prefer_strongest`](Self::set_prefer_strongest) says.
    pub(crate) const fn preferring(credentials: Vec<Credentials>, strongest: bool) -> Self {
        let mut keyring = Self::new(credentials);
        keyring.prefer_strongest = strongest;
        keyring
    }

    /// What is known of realms, to be shared with the other usages of the account.
    pub const fn realms(&self) -> &Realms {
        &self.realms
    }

    /// Takes over what the other usages of the account know.
    pub fn merge(&mut self, realms: &Realms) {
        self.realms.merge(realms);
    }

    /// Chooses between several challenges of one realm: the strongest, which is the default, or the
    /// topmost (RFC 8760, 2.4). The strongest is a local policy that departs from the RFC, and never
    /// goes below what the realm has accepted before.
    pub const fn set_prefer_strongest(&mut self, prefer_strongest: bool) {
        self.prefer_strongest = prefer_strongest;
    }

    /// Replaces the credentials; what is known of realms stays.
    pub fn set_credentials(&mut self, credentials: Vec<Credentials>) {
        self.credentials = credentials;
    }

    /// The credentials.
    pub(crate) fn credentials(&self) -> &[Credentials] {
        &self.credentials
    }

    /// Finds who answers a realm: credentials that name it, before those for `*`.
    fn find(&self, realm: &[u8], is_own: bool) -> Option<&Credentials> {
        let named = self
            .credentials
            .iter()
            .find(|known| known.realm.as_bytes() == realm);
        named.or_else(|| {
            self.credentials
                .iter()
                .find(|known| is_own && known.realm == OWN)
        })
    }

    /// Of the credentials that a request has shown, those for realms that are named here.
    pub(crate) fn only_named(&self, shown: &Headers) -> Headers {
        let mut named = Headers::new();
        for field in shown.iter() {
            let answer = Answer::parse(field.value).ok().flatten();
            if answer.is_some_and(|answer| self.find(&answer.realm, false).is_some()) {
                named.push(field.name, field.value);
            }
        }
        named
    }

    /// True if `*` stands for this realm when it asks over that way, or may come to.
    fn is_own(&self, realm: &[u8], is_proxy: bool, origin: Origin) -> bool {
        let is_known = self.realms.knows(realm);
        match origin {
            Origin::Registrar => is_known || self.realms.own.len() < MAX_OWN_REALMS,
            // The first 407 is the nearest proxy's. Once a realm is known, another one may be that of
            // whoever stands behind it.
            Origin::OwnRoute => is_known || is_proxy && self.realms.own.is_empty(),
            Origin::Elsewhere => false,
        }
    }

    fn least(&self, realm: &[u8]) -> HashFunction {
        let known = self
            .realms
            .accepted
            .iter()
            .find(|(known, _)| self.prefer_strongest && known == realm);
        known.map_or(HashFunction::Md5, |(_, hash)| *hash)
    }
}

/// The challenges that requests of one Call-ID have met, answered in advance by those that follow
/// (RFC 3261, 22.3: credentials are not carried from dialog to dialog).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Authentication {
    spaces: Vec<Space>,
}

/// A realm that asks, as a user agent or registrar or as a proxy.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Space {
    is_proxy: bool,
    /// `*` may answer it.
    is_own: bool,
    challenge: Challenge,
    /// How often the nonce was used.
    uses: u32,
    /// One for the life of the nonce, as the `-sess` algorithms want it (RFC 7616, 3.4.2).
    cnonce: String,
    /// The last uses and their Request-URIs: what the server's proof is about.
    shown: VecDeque<(u32, Box<str>)>,
}

/// What one request has been through; a new request begins with a new one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tries {
    rounds: u8,
    /// Whose challenges were answered.
    answered: Vec<(bool, Vec<u8>)>,
}

impl Authentication {
    /// Begins without a challenge.
    pub const fn new() -> Self {
        Self { spaces: Vec::new() }
    }

    /// Shows credentials to all who have asked for them: replaces Authorization and
    /// Proxy-Authorization of a request that is complete but for them, and counts the nonces up.
    ///
    /// `origin` says which way the request goes: what `*` stands for is not shown to strangers, even
    /// where RFC 3261, 22.3 would show it to everybody who sees the Call-ID.
    ///
    /// ACK and CANCEL are left alone: nobody may challenge them, and ACK carries copies of what the
    /// INVITE had (RFC 3261, 22.1).
    pub fn authorize(&mut self, keyring: &Keyring, request: &mut Request, origin: Origin) {
        if matches!(request.method, Method::Ack | Method::Cancel) {
            return;
        }
        request.headers.remove(HeaderName::Authorization);
        request.headers.remove(HeaderName::ProxyAuthorization);
        for space in &mut self.spaces {
            let is_own = space.is_own && origin != Origin::Elsewhere;
            let Some(credentials) = keyring.find(&space.challenge.realm, is_own) else {
                continue;
            };
            if !credentials.secret.fits(space.challenge.algorithm().hash) {
                continue;
            }
            space.uses = space.uses.saturating_add(1);
            let who = Identity {
                username: &credentials.username,
                secret: &credentials.secret,
            };
            let protected = Protected {
                method: request.method.as_str().as_bytes(),
                uri: request.uri.as_str().as_bytes(),
                body: &request.body,
            };
            if space.shown.len() == SHOWN {
                space.shown.pop_front();
            }
            space
                .shown
                .push_back((space.uses, request.uri.as_str().into()));
            let value = space
                .challenge
                .answer(who, protected, space.uses, &space.cnonce);
            let name = match space.is_proxy {
                true => HeaderName::ProxyAuthorization,
                false => HeaderName::Authorization,
            };
            request.headers.push(name, value);
        }
    }

    /// A request was answered 401 or 407: takes over all challenges that can be answered, so that the
    /// request can be sent again, with the next CSeq number and [`authorize`](Self::authorize)d.
    ///
    /// All realms are answered at once. Of several challenges of one realm the keyring's policy chooses.
    ///
    /// # Errors
    ///
    /// See [`Refusal`]; the request has failed, and nothing has changed.
    pub fn handle_challenge(
        &mut self,
        keyring: &mut Keyring,
        rng: &mut Rng,
        response: &Response,
        origin: Origin,
        tries: &mut Tries,
    ) -> Result<(), Refusal> {
        if tries.rounds >= MAX_ROUNDS {
            return Err(Refusal::TooOften);
        }
        let mut offers = challenges(response);
        let mut chosen: Vec<Space> = Vec::new();
        let mut refusal = Refusal::NotUnderstood;
        while let Some(first) = offers.first() {
            let (is_proxy, realm) = (first.0, first.1.realm.clone());
            let same = offers
                .extract_if(.., |(proxy, offer)| {
                    *proxy == is_proxy && offer.realm == realm
                })
                .collect();
            let is_own = keyring.is_own(&realm, is_proxy, origin)
                // Of several unknown realms in one 407, the topmost is learnt.
                && (origin == Origin::Registrar || keyring.realms.knows(&realm) || !chosen.iter().any(|space| space.is_own));
            match choose(keyring, same, is_own) {
                Ok(challenge) => {
                    let cnonce = rng.token(CNONCE);
                    chosen.push(Space {
                        is_proxy,
                        is_own,
                        challenge,
                        uses: 0,
                        cnonce,
                        shown: VecDeque::new(),
                    });
                }
                Err(why) => refusal = why,
            }
        }
        if chosen.is_empty() {
            return Err(refusal);
        }
        for space in &chosen {
            let is_repeated = tries
                .answered
                .iter()
                .any(|(proxy, realm)| (*proxy, realm) == (space.is_proxy, &space.challenge.realm));
            // RFC 7616, 3.3: stale says that the secret was right.
            if is_repeated && !space.challenge.stale {
                return Err(Refusal::Rejected);
            }
        }
        tries.rounds += 1;
        for space in chosen {
            if space.is_own {
                keyring.realms.learn(&space.challenge.realm);
            }
            tries
                .answered
                .push((space.is_proxy, space.challenge.realm.clone()));
            self.spaces.retain(|old| {
                old.is_proxy != space.is_proxy || old.challenge.realm != space.challenge.realm
            });
            if self.spaces.len() < MAX_SPACES {
                self.spaces.push(space);
            }
        }
        Ok(())
    }

    /// A request that was [`authorize`](Self::authorize)d was answered 2xx: verifies that the server
    /// knows the secret, if it tries to prove that, remembers how strong a hash each realm accepts, and
    /// takes over the next nonce, if the response brings one (RFC 7616, 3.5).
    ///
    /// # Errors
    ///
    /// [`Refusal::Impostor`] if the proof is wrong; what the response says is not to be trusted, and
    /// nothing has changed.
    pub fn handle_success(
        &mut self,
        keyring: &mut Keyring,
        response: &Response,
    ) -> Result<(), Refusal> {
        let told = [
            (HeaderName::AuthenticationInfo, false),
            (HeaderName::ProxyAuthenticationInfo, true),
        ]
        .map(|(name, is_proxy)| {
            let info = response.headers.get(name).map(Info::parse);
            (info.and_then(Result::ok).unwrap_or_default(), is_proxy)
        });
        for (info, is_proxy) in &told {
            if !self.is_proven(keyring, info, *is_proxy, &response.body) {
                return Err(Refusal::Impostor);
            }
        }
        for space in self.spaces.iter().filter(|space| space.uses > 0) {
            keyring
                .realms
                .accept(&space.challenge.realm, space.challenge.algorithm().hash);
        }
        for (info, is_proxy) in told {
            let Some(next) = info.next_nonce else {
                continue;
            };
            // The header names no realm: it is clear only if one server has asked.
            let mut asked = self
                .spaces
                .iter_mut()
                .filter(|space| space.is_proxy == is_proxy);
            if let (Some(space), None) = (asked.next(), asked.next())
                && space.challenge.nonce != next
            {
                space.challenge.renew(&next);
                space.uses = 0;
                space.shown.clear();
            }
        }
        Ok(())
    }

    /// False if a server gives a proof that is of none of those who asked (RFC 7616, 3.5). No proof
    /// proves nothing, and is no offence.
    fn is_proven(&self, keyring: &Keyring, info: &Info, is_proxy: bool, body: &[u8]) -> bool {
        let Some(proof) = &info.rspauth else {
            return true;
        };
        // The form of RFC 2069 has none.
        let mut asked = self
            .spaces
            .iter()
            .filter(|space| space.is_proxy == is_proxy && space.challenge.qop().is_some())
            .peekable();
        asked.peek().is_none()
            || asked.any(|space| {
                let shown = match info.nc {
                    Some(nc) => space.shown.iter().find(|(uses, _)| *uses == nc),
                    None => space.shown.back(),
                };
                let credentials = keyring.find(&space.challenge.realm, space.is_own);
                let (Some((nc, uri)), Some(credentials)) = (shown, credentials) else {
                    return false;
                };
                let who = Identity {
                    username: &credentials.username,
                    secret: &credentials.secret,
                };
                let answered = Protected {
                    method: b"",
                    uri: uri.as_bytes(),
                    body,
                };
                space
                    .challenge
                    .computation(who, answered, *nc, &space.cnonce)
                    .response()
                    .matches(proof)
            })
    }
}

/// All challenges of a response that can be understood, topmost first.
fn challenges(response: &Response) -> Vec<(bool, Challenge)> {
    let mut all = Vec::new();
    for (name, is_proxy) in [
        (HeaderName::WwwAuthenticate, false),
        (HeaderName::ProxyAuthenticate, true),
    ] {
        for value in response.headers.get_all(name) {
            let offers = Challenge::parse_all(value).unwrap_or_default();
            all.extend(offers.into_iter().map(|offer| (is_proxy, offer)));
        }
    }
    all.truncate(MAX_CHALLENGES);
    all
}

/// Chooses between the challenges of one realm.
fn choose(
    keyring: &Keyring,
    offers: Vec<(bool, Challenge)>,
    is_own: bool,
) -> Result<Challenge, Refusal> {
    let realm = offers
        .first()
        .map(|(_, offer)| offer.realm.clone())
        .unwrap_or_default();
    let Some(credentials) = keyring.find(&realm, is_own) else {
        let has_own = keyring.credentials.iter().any(|known| known.realm == OWN);
        return Err(if has_own {
            Refusal::Stranger
        } else {
            Refusal::NoCredentials
        });
    };
    let least = keyring.least(&realm);
    let mut best: Option<Challenge> = None;
    let mut refusal = Refusal::NoCredentials;
    for (_, offer) in offers {
        let hash = offer.algorithm().hash;
        if !credentials.secret.fits(hash) {
            continue;
        }
        if hash < least {
            refusal = Refusal::Weaker;
            continue;
        }
        match &best {
            Some(best) if !keyring.prefer_strongest || hash <= best.algorithm().hash => {}
            Some(_) | None => best = Some(offer),
        }
    }
    best.ok_or(refusal)
}

/// The realm of credentials that the account's own servers may ask for.
const OWN: &str = "*";
/// A registrar, a proxy, and one more of each after a move.
const MAX_OWN_REALMS: usize = 4;
/// Proxies in a row that each want their own credentials.
const MAX_SPACES: usize = 8;
/// A registrar and its proxy one after the other, each stale once, and one to spare.
const MAX_ROUNDS: u8 = 5;
/// Requests of one Call-ID that may run at a time: a re-INVITE, an INFO, a BYE, and one to spare.
const SHOWN: usize = 4;
/// Characters of five random bits each: 80 bits.
const CNONCE: usize = 16;

#[cfg(test)]
mod tests;
