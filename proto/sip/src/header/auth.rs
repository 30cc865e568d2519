//! Authentication headers as schemes and parameters (RFC 3261, 20.6, 20.7, 20.27, 20.28, 20.44).
//!
//! What a Digest challenge asks for and how it is answered is [`base::digest`]'s; this reads any scheme.

use super::{Parse, params::unquote};
use crate::ParseError;
use base::scan::{Cursor, is_token};
use std::{borrow::Cow, str};

/// A challenge or credentials: a scheme and `name=value` pairs.
///
/// For Authentication-Info, which has no scheme, see [`AuthParams`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Auth<'a> {
    /// `Digest`, in any case.
    pub scheme: &'a str,
    /// realm, nonce and others; of an unknown scheme anything.
    pub params: AuthParams<'a>,
}

impl Auth<'_> {
    /// True for the Digest scheme.
    pub fn is_digest(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("Digest")
    }
}

impl<'a> Parse<'a> for Auth<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(value);
        let scheme = cursor.token().and_then(|token| str::from_utf8(token).ok());
        let scheme = scheme.ok_or_else(|| ParseError::syntax("authentication scheme", 0))?;
        cursor.skip_space();
        let params = AuthParams(cursor.rest());
        // RFC 4475, 3.3.7: what an unknown scheme says may have any form.
        if scheme.eq_ignore_ascii_case("Digest") {
            params.check().map_err(|error| error.shifted(cursor.at()))?;
        }
        Ok(Self { scheme, params })
    }
}

/// `name=value` pairs separated by commas.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuthParams<'a>(&'a [u8]);

impl<'a> AuthParams<'a> {
    /// Walks the pairs in order; the value as written, with its quotes.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        let mut cursor = Cursor::new(self.0);
        std::iter::from_fn(move || pair(&mut cursor).ok().flatten())
    }

    /// Finds a value by name, in any case, and takes quotes and escapes off.
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        let found = self.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| unquote(value))
    }

    fn check(&self) -> Result<(), ParseError> {
        let mut cursor = Cursor::new(self.0);
        while pair(&mut cursor)?.is_some() {}
        Ok(())
    }
}

/// The values are secrets, or close to them.
impl std::fmt::Debug for AuthParams<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(name, _)| name))
            .finish()
    }
}

impl<'a> Parse<'a> for AuthParams<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let params = Self(value);
        params.check()?;
        Ok(params)
    }
}

fn pair<'a>(cursor: &mut Cursor<'a>) -> Result<Option<(&'a str, &'a [u8])>, ParseError> {
    cursor.take_while(|b| matches!(b, b' ' | b'\t' | b','));
    if cursor.is_end() {
        return Ok(None);
    }
    let error = ParseError::syntax("authentication parameter", cursor.at());
    let name = cursor.token().ok_or(error)?;
    cursor.skip_space();
    if !cursor.eat(b'=') {
        return Err(error);
    }
    cursor.skip_space();
    let rest = cursor.rest();
    let value = match cursor.peek() {
        Some(b'"') => {
            let inner = cursor.quoted().ok_or(error)?;
            &rest[..inner.len() + 2]
        }
        // Unquoted tokens, and base64 or URIs that somebody forgot to quote.
        _ => cursor.take_while(|b| {
            is_token(b) || matches!(b, b'/' | b'=' | b':' | b'@' | b'?' | b'&' | b';')
        }),
    };
    cursor.skip_space();
    if !matches!(cursor.peek(), None | Some(b',')) {
        return Err(error);
    }
    Ok(Some((str::from_utf8(name).unwrap_or_default(), value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenge_and_credentials() {
        let value = b"Digest realm=\"a \\\"b\\\", c\" ,nonce=abc==,\tqop=\"auth,auth-int\", stale=FALSE, opaque=\"\"";
        let auth = Auth::parse(value).unwrap();
        assert!(auth.is_digest());
        assert_eq!(auth.params.text("REALM").as_deref(), Some("a \"b\", c"));
        assert_eq!(auth.params.text("nonce").as_deref(), Some("abc=="));
        assert_eq!(auth.params.text("qop").as_deref(), Some("auth,auth-int"));
        assert_eq!(auth.params.text("opaque").as_deref(), Some(""));
        assert_eq!(auth.params.text("algorithm"), None);
        assert_eq!(
            format!("{:?}", auth.params),
            r#"["realm", "nonce", "qop", "stale", "opaque"]"#
        );
    }

    #[test]
    fn unknown_schemes_say_what_they_like() {
        let auth = Auth::parse(b"NoOneKnowsThisScheme opaque-data=here").unwrap();
        assert_eq!(auth.params.text("opaque-data").as_deref(), Some("here"));
        assert!(Auth::parse(b"NTLM TlRMTVNTUAAB==").is_ok());
        assert!(Auth::parse(b"Digest TlRMTVNTUAAB").is_err());
        assert!(Auth::parse(b"Digest realm=\"open").is_err());
        assert!(Auth::parse(b"Digest realm=\"a\" nonce=\"b\"").is_err());
    }

    #[test]
    fn authentication_info_has_no_scheme() {
        let info =
            AuthParams::parse(b"nextnonce=\"47364c23432d2e131a5fb210812c\", rspauth=\"abc\"")
                .unwrap();
        assert_eq!(
            info.text("nextnonce").as_deref(),
            Some("47364c23432d2e131a5fb210812c")
        );
    }
}
