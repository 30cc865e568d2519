//! SIP, SIPS and tel URIs; any other scheme is kept as it is.
//!
//! [`Uri`] is the frozen form: checked text, cheap to clone, slices of a message where it came from
//! one. [`UriRef`] is the same, borrowed. [`SipUri`] is the form whose parts may be changed (URI-05).

mod compare;
mod params;
mod parse;
mod sip_uri;

pub use params::{UriHeaders, UriParam, UriParams};
pub(crate) use parse::{Form, read_host, read_port};
pub use sip_uri::SipUri;

use crate::ParseError;
use base::{Host, HostPort, Transport};
use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt, hash, str};

/// A URI, checked and frozen.
///
/// `==` compares the text; [`Uri::equivalent`] compares as RFC 3261, 19.1.4 says, which is no
/// equivalence relation and so no `Eq`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Uri {
    text: ByteString,
    spans: Spans,
}

/// A URI inside another text.
#[derive(Clone, Copy)]
pub struct UriRef<'a> {
    /// UTF-8, as the parser has seen.
    text: &'a [u8],
    spans: Spans,
}

/// What sort of URI it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scheme {
    /// `sip`.
    Sip,
    /// `sips`.
    Sips,
    /// `tel` (RFC 3966).
    Tel,
    /// Anything else: only the scheme is known.
    Other,
}

/// Where the parts stand; the text is shorter than 64 KiB.
#[derive(Clone, Copy)]
pub(crate) struct Spans {
    scheme: Scheme,
    /// The colon behind the scheme.
    colon: u16,
    /// End of the user part, if there is one: it begins behind the colon.
    user_end: Option<u16>,
    /// End of the password, if there is one: it begins behind `user_end` and a colon.
    password_end: Option<u16>,
    host: u16,
    host_end: u16,
    port: Option<u16>,
    /// The first `;` of the parameters; `headers` if there are none.
    params: u16,
    /// The `?`; the length of the text if there are no headers.
    headers: u16,
}

impl Uri {
    /// Reads a URI from a slice of a message without copying it.
    ///
    /// # Errors
    ///
    /// See [`UriRef::parse`].
    pub fn from_bytes(bytes: Bytes) -> Result<Self, ParseError> {
        let spans = UriRef::parse(&bytes)?.spans;
        Self::with_spans(bytes, spans)
    }

    /// `bytes` is the text that the spans are of.
    fn with_spans(bytes: Bytes, spans: Spans) -> Result<Self, ParseError> {
        let text = ByteString::try_from(bytes).map_err(|_| ParseError::syntax("UTF-8", 0))?;
        Ok(Self { text, spans })
    }

    /// Reads the URI that begins at `start` of a message, and returns where it ends.
    pub(crate) fn read(message: &Bytes, start: usize) -> Result<(Self, usize), ParseError> {
        let (uri, end) = UriRef::read(message, start, Form::Whole)?;
        Ok((Self::with_spans(message.slice(start..end), uri.spans)?, end))
    }

    /// Borrows it.
    #[inline]
    pub fn as_ref(&self) -> UriRef<'_> {
        UriRef {
            text: self.text.as_bytes(),
            spans: self.spans,
        }
    }

    /// Copies the text out of the message it is a slice of, so that the message can be freed.
    pub fn detached(&self) -> Self {
        self.as_ref().to_uri()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What sort of URI it is.
    pub const fn scheme(&self) -> Scheme {
        self.spans.scheme
    }

    /// True for `sips`.
    pub fn is_secure(&self) -> bool {
        self.scheme() == Scheme::Sips
    }

    /// See [`UriRef::user`].
    pub fn user(&self) -> Option<&str> {
        self.as_ref().user()
    }

    /// See [`UriRef::host`].
    pub fn host(&self) -> Option<Host> {
        self.as_ref().host()
    }

    /// See [`UriRef::port`].
    pub const fn port(&self) -> Option<u16> {
        self.spans.port
    }

    /// See [`UriRef::host_port`].
    pub fn host_port(&self) -> Option<HostPort> {
        self.as_ref().host_port()
    }

    /// See [`UriRef::params`].
    pub fn params(&self) -> UriParams<'_> {
        self.as_ref().params()
    }

    /// See [`UriRef::headers`].
    pub fn headers(&self) -> UriHeaders<'_> {
        self.as_ref().headers()
    }

    /// See [`UriRef::transport`].
    pub fn transport(&self) -> Option<Transport> {
        self.as_ref().transport()
    }

    /// See [`UriRef::to_parts`].
    pub fn to_parts(&self) -> Option<SipUri> {
        self.as_ref().to_parts()
    }

    /// Compares as RFC 3261, 19.1.4 says (URI-06); see [`UriRef::equivalent`].
    pub fn equivalent(&self, other: &Self) -> bool {
        self.as_ref().equivalent(other.as_ref())
    }

    /// Compares with an address in short form (URI-07); see [`UriRef::matches`].
    pub fn matches(&self, address: &str) -> bool {
        self.as_ref().matches(address)
    }
}

impl<'a> UriRef<'a> {
    /// Puts a URI together again of the text that was read and what was found in it.
    #[inline]
    pub(crate) const fn from_parts(text: &'a [u8], spans: Spans) -> Self {
        Self { text, spans }
    }

    #[inline]
    pub(crate) const fn spans(&self) -> Spans {
        self.spans
    }

    #[inline]
    pub(crate) const fn text(&self) -> &'a [u8] {
        self.text
    }

    /// The text.
    pub fn as_str(&self) -> &'a str {
        self.part(0, self.text.len())
    }

    fn part(&self, from: usize, to: usize) -> &'a str {
        // Parts are cut at ASCII characters.
        str::from_utf8(&self.text[from..to]).unwrap_or_default()
    }

    /// What sort of URI it is.
    pub const fn scheme(&self) -> Scheme {
        self.spans.scheme
    }

    /// The scheme as written.
    pub fn scheme_str(&self) -> &'a str {
        self.part(0, self.spans.colon.into())
    }

    /// True for `sips`.
    pub fn is_secure(&self) -> bool {
        self.scheme() == Scheme::Sips
    }

    /// The user part with its escapes; for `tel` the number; `None` for other schemes.
    pub fn user(&self) -> Option<&'a str> {
        let end = self.spans.user_end?;
        Some(self.part(usize::from(self.spans.colon) + 1, end.into()))
    }

    /// The user part without escapes; bytes that are no UTF-8 are replaced.
    pub fn user_text(&self) -> Option<Cow<'a, str>> {
        self.user().map(unescape)
    }

    /// The password with its escapes.
    pub fn password(&self) -> Option<&'a str> {
        let start = usize::from(self.spans.user_end?) + 1;
        Some(self.part(start, self.spans.password_end?.into()))
    }

    /// The host as written, an IPv6 address in its brackets; empty for `tel` and other schemes.
    pub fn host_str(&self) -> &'a str {
        self.part(self.spans.host.into(), self.spans.host_end.into())
    }

    /// The host, for `sip` and `sips`.
    pub fn host(&self) -> Option<Host> {
        parse::host(self.host_str())
    }

    /// The port, if it is written.
    pub const fn port(&self) -> Option<u16> {
        self.spans.port
    }

    /// Host and port, for `sip` and `sips`.
    pub fn host_port(&self) -> Option<HostPort> {
        Some(HostPort::new(self.host()?, self.port()))
    }

    /// The parameters (`;transport=tcp`).
    pub fn params(&self) -> UriParams<'a> {
        UriParams::new(self.part(self.spans.params.into(), self.spans.headers.into()))
    }

    /// The headers (`?Replaces=…`).
    pub fn headers(&self) -> UriHeaders<'a> {
        UriHeaders::new(self.part(self.spans.headers.into(), self.text.len()))
    }

    /// The `transport` parameter, if it names a transport that this stack knows.
    pub fn transport(&self) -> Option<Transport> {
        Transport::from_name(self.params().get("transport")?.value?.as_bytes())
    }

    /// Everything after the scheme and its colon.
    pub fn opaque(&self) -> &'a str {
        self.part(usize::from(self.spans.colon) + 1, self.text.len())
    }

    /// Takes a `sip` or `sips` URI apart so that it can be changed.
    pub fn to_parts(&self) -> Option<SipUri> {
        SipUri::from_ref(*self)
    }

    /// Copies it.
    pub fn to_uri(&self) -> Uri {
        Uri {
            text: ByteString::from(self.as_str()),
            spans: self.spans,
        }
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Display for UriRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for UriRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A password never reaches a log.
        match (self.spans.user_end, self.spans.password_end) {
            (Some(user), Some(password)) => {
                let user = self.part(0, user.into());
                let rest = self.part(password.into(), self.text.len());
                write!(f, "<{user}:…{rest}>")
            }
            _ => write!(f, "<{}>", self.as_str()),
        }
    }
}

impl PartialEq for Uri {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Uri {}

impl PartialEq for UriRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for UriRef<'_> {}

impl PartialOrd for Uri {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Uri {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl hash::Hash for Uri {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl str::FromStr for Uri {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Ok(UriRef::parse(text.as_bytes())?.to_uri())
    }
}

impl TryFrom<String> for Uri {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Uri> for String {
    fn from(uri: Uri) -> Self {
        uri.as_str().to_owned()
    }
}

impl<'a> From<&'a Uri> for UriRef<'a> {
    fn from(uri: &'a Uri) -> Self {
        uri.as_ref()
    }
}

/// Replaces `%41` by the byte it stands for; bytes that are no UTF-8 are replaced.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let plain: Vec<u8> = params::unescaped(text.as_bytes())
        .map(|(byte, _)| byte)
        .collect();
    Cow::Owned(String::from_utf8_lossy(&plain).into_owned())
}

#[cfg(test)]
pub(crate) mod tests;
