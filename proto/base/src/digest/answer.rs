//! The server's side: credentials as they come, and what a server adds to its response.

use super::{
    Algorithm, Computation, Qop, Secret, Session, nonce_count,
    text::{Cursor, InvalidChallenge, push_next, push_quoted},
};
use std::fmt;

/// What `Authorization` and `Proxy-Authorization` carry (RFC 7616, 3.4).
///
/// Values are bytes without quotes and escapes. `Debug` shows who answers, and nothing that a guess at
/// the password could be tested with.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// Who answers.
    pub username: Vec<u8>,
    /// The realm that is answered.
    pub realm: Vec<u8>,
    /// The nonce that is answered.
    pub nonce: Vec<u8>,
    /// What the client took for the Request-URI. A proxy may have changed that since, so a difference
    /// alone is no failure (RFC 3261, 22.4, item 6).
    pub uri: Vec<u8>,
    /// The proof, in hexadecimal.
    pub response: Vec<u8>,
    /// The algorithm, or `None` if none was named: MD5 is meant then.
    pub algorithm: Option<Algorithm>,
    /// The client's nonce; empty in the form of RFC 2069.
    pub cnonce: Vec<u8>,
    /// What the challenge wanted back.
    pub opaque: Option<Vec<u8>>,
    /// What is protected, or `None` for the form of RFC 2069.
    pub qop: Option<Qop>,
    /// How often the nonce has been used, this time included; 0 in the form of RFC 2069.
    pub nc: u32,
}

impl Answer {
    /// Reads one header value; `None` if it is of another scheme, or asks for an algorithm or a
    /// protection that is not known.
    ///
    /// # Errors
    ///
    /// If the value is damaged, lacks a parameter that its form must have (RFC 7616, 3.4), or counts
    /// the nonce with anything but eight hexadecimal digits.
    pub fn parse(value: &[u8]) -> Result<Option<Self>, InvalidChallenge> {
        let mut cursor = Cursor::new(value);
        cursor.skip_space();
        let scheme = cursor.token("a scheme")?;
        if !scheme.eq_ignore_ascii_case(b"Digest") {
            return Ok(None);
        }
        let mut found = Found::default();
        loop {
            cursor.skip_separators();
            if cursor.is_at_end() {
                break;
            }
            let name = cursor.parameter_name();
            let name = name.ok_or_else(|| cursor.error("a parameter"))?;
            let value = cursor.value()?;
            found.take(name, value);
        }
        if found.is_foreign {
            return Ok(None);
        }
        let count = match (&found.qop, found.nc.as_deref()) {
            (None, _) => Some(0),
            (Some(_), digits) => digits.and_then(count),
        };
        let nc = count.ok_or_else(|| cursor.error("a nonce count"))?;
        let need = |value: Option<Vec<u8>>, what| value.ok_or_else(|| cursor.error(what));
        let cnonce = match found.qop {
            Some(_) => need(found.cnonce, "a cnonce")?,
            None => found.cnonce.unwrap_or_default(),
        };
        Ok(Some(Self {
            username: need(found.username, "a username")?,
            realm: need(found.realm, "a realm")?,
            nonce: need(found.nonce, "a nonce")?,
            uri: need(found.uri, "a uri")?,
            response: need(found.response, "a response")?,
            algorithm: found.algorithm,
            cnonce,
            opaque: found.opaque,
            qop: found.qop,
            nc,
        }))
    }

    /// The algorithm in effect.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm.unwrap_or_default()
    }

    /// True if this is what the owner of `secret` answers for a request with this method and body.
    pub fn is_right(
        &self,
        secret: &Secret,
        session: Option<Session<'_>>,
        method: &[u8],
        body: &[u8],
    ) -> bool {
        self.computation(secret, session, method, body)
            .response()
            .matches(&self.response)
    }

    /// Prints the value of `Authentication-Info` that goes with a response with this body: `rspauth`,
    /// which proves that the server knows the secret, too, and the nonce to use next (RFC 7616, 3.5).
    ///
    /// The form of RFC 2069 has no `rspauth`: only the nonce is printed.
    pub fn info(
        &self,
        secret: &Secret,
        session: Option<Session<'_>>,
        body: &[u8],
        next_nonce: Option<&[u8]>,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(192);
        if let Some(nonce) = next_nonce {
            push_quoted(&mut out, "nextnonce", nonce);
        }
        let Some(qop) = self.qop else { return out };
        if next_nonce.is_some() {
            out.extend_from_slice(b", ");
        }
        let proof = self.computation(secret, session, b"", body).response();
        out.extend_from_slice(b"qop=");
        out.extend_from_slice(qop.name().as_bytes());
        push_next(&mut out, "rspauth", proof.as_bytes());
        push_next(&mut out, "cnonce", &self.cnonce);
        out.extend_from_slice(b", nc=");
        out.extend_from_slice(&nonce_count(self.nc));
        out
    }

    fn computation<'a>(
        &'a self,
        secret: &'a Secret,
        session: Option<Session<'a>>,
        method: &'a [u8],
        body: &'a [u8],
    ) -> Computation<'a> {
        Computation {
            algorithm: self.algorithm(),
            username: &self.username,
            realm: &self.realm,
            secret,
            method,
            uri: &self.uri,
            nonce: &self.nonce,
            qop: self.qop,
            nc: self.nc,
            cnonce: &self.cnonce,
            session,
            body,
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("username", &String::from_utf8_lossy(&self.username))
            .field("realm", &String::from_utf8_lossy(&self.realm))
            .finish_non_exhaustive()
    }
}

/// What a server tells beside its response: `Authentication-Info`, `Proxy-Authentication-Info` (RFC 7616, 3.5).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Info {
    /// The nonce to use next.
    pub next_nonce: Option<Vec<u8>>,
    /// The server's proof, in hexadecimal.
    pub rspauth: Option<Vec<u8>>,
    /// Which use of the nonce the proof is about.
    pub nc: Option<u32>,
}

impl Info {
    /// Reads one header value.
    ///
    /// # Errors
    ///
    /// If the value is no list of parameters.
    pub fn parse(value: &[u8]) -> Result<Self, InvalidChallenge> {
        let mut cursor = Cursor::new(value);
        let mut info = Self::default();
        loop {
            cursor.skip_separators();
            if cursor.is_at_end() {
                return Ok(info);
            }
            let name = cursor.parameter_name();
            let name = name.ok_or_else(|| cursor.error("a parameter"))?;
            let value = cursor.value()?;
            if name.eq_ignore_ascii_case(b"nextnonce") {
                info.next_nonce.get_or_insert(value);
            } else if name.eq_ignore_ascii_case(b"rspauth") {
                info.rspauth.get_or_insert(value);
            } else if name.eq_ignore_ascii_case(b"nc") {
                info.nc = info.nc.or_else(|| count(&value));
            }
        }
    }
}

#[derive(Default)]
struct Found {
    username: Option<Vec<u8>>,
    realm: Option<Vec<u8>>,
    nonce: Option<Vec<u8>>,
    uri: Option<Vec<u8>>,
    response: Option<Vec<u8>>,
    algorithm: Option<Algorithm>,
    cnonce: Option<Vec<u8>>,
    opaque: Option<Vec<u8>>,
    qop: Option<Qop>,
    nc: Option<Vec<u8>>,
    is_foreign: bool,
}

impl Found {
    /// Keeps the first value of each parameter; unknown ones are ignored (RFC 7616, 3.4).
    fn take(&mut self, name: &[u8], value: Vec<u8>) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("algorithm") {
            match Algorithm::from_name(&value) {
                Some(algorithm) => self.algorithm = self.algorithm.or(Some(algorithm)),
                None => self.is_foreign = true,
            }
        } else if is("qop") {
            match [Qop::Auth, Qop::AuthInt]
                .into_iter()
                .find(|qop| value.eq_ignore_ascii_case(qop.name().as_bytes()))
            {
                Some(qop) => self.qop = self.qop.or(Some(qop)),
                None => self.is_foreign = true,
            }
        } else {
            let place = match () {
                () if is("username") => &mut self.username,
                () if is("realm") => &mut self.realm,
                () if is("nonce") => &mut self.nonce,
                () if is("uri") => &mut self.uri,
                () if is("response") => &mut self.response,
                () if is("cnonce") => &mut self.cnonce,
                () if is("opaque") => &mut self.opaque,
                () if is("nc") => &mut self.nc,
                () => return,
            };
            place.get_or_insert(value);
        }
    }
}

/// Reads `8LHEX` (RFC 7616, 3.4), in any case.
fn count(digits: &[u8]) -> Option<u32> {
    let is_hex = digits.len() == 8 && digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok().filter(|_| is_hex)?;
    u32::from_str_radix(text, 16).ok()
}
