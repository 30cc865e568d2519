//! Challenges: what `WWW-Authenticate` and `Proxy-Authenticate` carry, read, printed and answered.

use super::{
    Algorithm, Computation, Qop, Secret, Session, nonce_count,
    text::{Cursor, InvalidChallenge, push_next, push_quoted},
};

/// A Digest challenge that can be answered (RFC 7616, 3.3).
///
/// Values are bytes without quotes and escapes: a realm in an old character set must be echoed as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Challenge {
    /// The protection space.
    pub realm: Vec<u8>,
    /// The server's nonce.
    pub nonce: Vec<u8>,
    /// What the server wants back unchanged; may be present and empty.
    pub opaque: Option<Vec<u8>>,
    /// The algorithm, or `None` if none was named: MD5 is meant then, and none is echoed.
    pub algorithm: Option<Algorithm>,
    /// True if `qop` offers `auth`.
    pub auth: bool,
    /// True if `qop` offers `auth-int`.
    pub auth_int: bool,
    /// True if only the nonce of the rejected credentials was too old: the same secret is worth another try.
    pub stale: bool,
    /// The nonce that the key of a `-sess` algorithm was made with, where the server has replaced
    /// [`nonce`](Self::nonce) by a `nextnonce` since (RFC 7616, 3.4.2: one key from challenge to challenge).
    pub session_nonce: Option<Vec<u8>>,
}

impl Challenge {
    /// Reads all Digest challenges of one header value.
    ///
    /// SIP puts one challenge into a value (RFC 3261, 7.3.1), HTTP several. Other schemes, unknown
    /// algorithms (RFC 7616, 3.3: ignored) and a `qop` without a known token are left out, so the
    /// list may be empty. Tokens are read in any case, quoted or not, as both are seen.
    ///
    /// # Errors
    ///
    /// If the value is not a list of challenges, holds more than [`MAX_CHALLENGES`], or a Digest
    /// challenge lacks its realm or its nonce.
    pub fn parse_all(value: &[u8]) -> Result<Vec<Self>, InvalidChallenge> {
        let mut cursor = Cursor::new(value);
        let mut challenges = Vec::new();
        cursor.skip_separators();
        for _ in 0..MAX_CHALLENGES {
            if cursor.is_at_end() {
                return Ok(challenges);
            }
            challenges.extend(parse_one(&mut cursor)?);
        }
        match cursor.is_at_end() {
            true => Ok(challenges),
            false => Err(cursor.error("too many challenges")),
        }
    }

    /// The algorithm in effect.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm.unwrap_or_default()
    }

    /// The protection that an answer chooses: `auth` before `auth-int`, `None` for the form of RFC 2069.
    pub const fn qop(&self) -> Option<Qop> {
        match (self.auth, self.auth_int) {
            (true, _) => Some(Qop::Auth),
            (false, true) => Some(Qop::AuthInt),
            (false, false) => None,
        }
    }

    /// Takes over the nonce that the server wants to see next (RFC 7616, 3.5); its count begins anew.
    pub fn renew(&mut self, nonce: &[u8]) {
        let old = std::mem::replace(&mut self.nonce, nonce.to_vec());
        self.session_nonce.get_or_insert(old);
    }

    /// Prints the value of `WWW-Authenticate` or `Proxy-Authenticate`.
    ///
    /// `qop` stands in quotes, `algorithm` and `stale` do not (RFC 7616, 3.3; RFC 3261, 25.1).
    pub fn print(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        out.extend_from_slice(b"Digest ");
        push_quoted(&mut out, "realm", &self.realm);
        push_next(&mut out, "nonce", &self.nonce);
        if let Some(opaque) = &self.opaque {
            push_next(&mut out, "opaque", opaque);
        }
        if self.stale {
            out.extend_from_slice(b", stale=true");
        }
        if let Some(algorithm) = self.algorithm {
            out.extend_from_slice(b", algorithm=");
            out.extend_from_slice(algorithm.name().as_bytes());
        }
        match (self.auth, self.auth_int) {
            (true, true) => push_next(&mut out, "qop", b"auth,auth-int"),
            (true, false) => push_next(&mut out, "qop", b"auth"),
            (false, true) => push_next(&mut out, "qop", b"auth-int"),
            (false, false) => {}
        }
        out
    }

    /// What the response to a request is computed from; with an empty method and the body of the
    /// server's answer it gives the `rspauth` that the server owes (RFC 7616, 3.5).
    pub fn computation<'a>(
        &'a self,
        who: Identity<'a>,
        request: Protected<'a>,
        nc: u32,
        cnonce: &'a str,
    ) -> Computation<'a> {
        let session = self.session_nonce.as_deref().map(|nonce| Session {
            nonce,
            cnonce: cnonce.as_bytes(),
        });
        Computation {
            algorithm: self.algorithm(),
            username: who.username.as_bytes(),
            realm: &self.realm,
            secret: who.secret,
            method: request.method,
            uri: request.uri,
            nonce: &self.nonce,
            qop: self.qop(),
            nc,
            cnonce: cnonce.as_bytes(),
            session,
            body: request.body,
        }
    }

    /// Prints the value of `Authorization` or `Proxy-Authorization` that answers this challenge for
    /// one request (RFC 7616, 3.4).
    ///
    /// `nc` counts the uses of this nonce from 1. `cnonce` must be printable and is only sent where
    /// the challenge calls for it.
    pub fn answer(
        &self,
        who: Identity<'_>,
        request: Protected<'_>,
        nc: u32,
        cnonce: &str,
    ) -> Vec<u8> {
        let qop = self.qop();
        let algorithm = self.algorithm();
        let response = self.computation(who, request, nc, cnonce).response();
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(b"Digest ");
        push_quoted(&mut out, "username", who.username.as_bytes());
        push_next(&mut out, "realm", &self.realm);
        push_next(&mut out, "nonce", &self.nonce);
        push_next(&mut out, "uri", request.uri);
        push_next(&mut out, "response", response.as_bytes());
        if self.algorithm.is_some() {
            out.extend_from_slice(b", algorithm=");
            out.extend_from_slice(algorithm.name().as_bytes());
        }
        // RFC 2617, 3.2.2: no cnonce without qop; a session key without it could not be verified, though.
        if qop.is_some() || algorithm.session {
            push_next(&mut out, "cnonce", cnonce.as_bytes());
        }
        if let Some(opaque) = &self.opaque {
            push_next(&mut out, "opaque", opaque);
        }
        if let Some(qop) = qop {
            out.extend_from_slice(b", qop=");
            out.extend_from_slice(qop.name().as_bytes());
            out.extend_from_slice(b", nc=");
            out.extend_from_slice(&nonce_count(nc));
        }
        out
    }
}

/// Who answers a challenge.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The user name for the realm.
    pub username: &'a str,
    /// What proves it.
    pub secret: &'a Secret,
}

/// The parts of a request that an answer protects.
#[derive(Clone, Copy, Debug)]
pub struct Protected<'a> {
    /// The method.
    pub method: &'a [u8],
    /// The Request-URI, as it stands in the request.
    pub uri: &'a [u8],
    /// The body, hashed if the server offers nothing but `auth-int`.
    pub body: &'a [u8],
}

/// One scheme and its parameters; `None` for what cannot be answered.
fn parse_one(cursor: &mut Cursor<'_>) -> Result<Option<Challenge>, InvalidChallenge> {
    let scheme = cursor.token("a scheme")?;
    cursor.skip_space();
    let is_digest = scheme.eq_ignore_ascii_case(b"Digest");
    let mut found = Found::default();
    let mut is_bare = true;
    while !(is_bare && matches!(cursor.peek(), None | Some(b','))) {
        cursor.skip_separators();
        // A token without `=` begins the next challenge; one with it is a parameter of this one.
        let Some(name) = cursor.parameter_name() else {
            break;
        };
        let value = cursor.value()?;
        is_bare = false;
        if is_digest {
            found.take(name, value);
        }
    }
    if !is_digest {
        if is_bare {
            // `Negotiate abc==` and the like: not ours to understand, skip to the next comma.
            cursor.skip_foreign();
        }
        return Ok(None);
    }
    if found.is_foreign {
        return Ok(None);
    }
    let (Some(realm), Some(nonce)) = (found.realm, found.nonce) else {
        return Err(cursor.error("realm and nonce"));
    };
    Ok(Some(Challenge {
        realm,
        nonce,
        opaque: found.opaque,
        algorithm: found.algorithm,
        auth: found.auth,
        auth_int: found.auth_int,
        stale: found.stale,
        session_nonce: None,
    }))
}

#[derive(Default)]
struct Found {
    realm: Option<Vec<u8>>,
    nonce: Option<Vec<u8>>,
    opaque: Option<Vec<u8>>,
    algorithm: Option<Algorithm>,
    auth: bool,
    auth_int: bool,
    stale: bool,
    /// Asks for something that is not supported.
    is_foreign: bool,
}

impl Found {
    /// Keeps the first value of each parameter; unknown ones are ignored (RFC 7616, 3.3).
    fn take(&mut self, name: &[u8], value: Vec<u8>) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("realm") {
            self.realm.get_or_insert(value);
        } else if is("nonce") {
            self.nonce.get_or_insert(value);
        } else if is("opaque") {
            self.opaque.get_or_insert(value);
        } else if is("stale") {
            self.stale = value.eq_ignore_ascii_case(b"true");
        } else if is("algorithm") {
            match Algorithm::from_name(&value) {
                Some(algorithm) => self.algorithm = Some(algorithm),
                None => self.is_foreign = true,
            }
        } else if is("qop") {
            let mut tokens = value
                .split(|b| matches!(b, b',' | b' ' | b'\t'))
                .filter(|token| !token.is_empty())
                .peekable();
            // An empty list is treated as if it were absent: the form of RFC 2069.
            let is_empty = tokens.peek().is_none();
            for token in tokens {
                self.auth |= token.eq_ignore_ascii_case(b"auth");
                self.auth_int |= token.eq_ignore_ascii_case(b"auth-int");
            }
            self.is_foreign |= !is_empty && !self.auth && !self.auth_int;
        }
    }
}

/// More challenges than this in one value are an attack, not a choice: each would be hashed.
pub const MAX_CHALLENGES: usize = 16;
