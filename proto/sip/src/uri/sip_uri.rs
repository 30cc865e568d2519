//! The form of a URI whose parts may be changed.

use super::{Scheme, Uri, UriRef, parse};
use crate::ParseError;
use base::{Host, Transport};
use std::fmt::{self, Write as _};

/// A `sip` or `sips` URI in its parts (URI-01, URI-05).
///
/// Texts are in their escaped form. Printing escapes whatever else may not stand in its place, so
/// that no part can leak into another; `%41` stays as it is. `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct SipUri {
    /// True for `sips`.
    pub secure: bool,
    /// The user part.
    pub user: Option<String>,
    /// The password, which nobody should use.
    pub password: Option<String>,
    /// The host.
    pub host: Host,
    /// The port, if it is to be written.
    pub port: Option<u16>,
    /// Parameters in their order.
    pub params: Vec<(String, Option<String>)>,
    /// Headers in their order.
    pub headers: Vec<(String, String)>,
}

impl SipUri {
    /// Makes `sip:host`.
    pub const fn new(host: Host) -> Self {
        Self {
            secure: false,
            user: None,
            password: None,
            host,
            port: None,
            params: Vec::new(),
            headers: Vec::new(),
        }
    }

    pub(super) fn from_ref(uri: UriRef<'_>) -> Option<Self> {
        let owned = |text: &str| text.to_owned();
        let secure = match uri.scheme() {
            Scheme::Sip => false,
            Scheme::Sips => true,
            Scheme::Tel | Scheme::Other => return None,
        };
        let params = uri.params();
        let headers = uri.headers();
        Some(Self {
            secure,
            user: uri.user().map(owned),
            password: uri.password().map(owned),
            host: uri.host()?,
            port: uri.port(),
            params: params
                .iter()
                .map(|p| (p.name.to_owned(), p.value.map(owned)))
                .collect(),
            headers: headers
                .iter()
                .map(|h| (h.name.to_owned(), h.value.unwrap_or_default().to_owned()))
                .collect(),
        })
    }

    /// Sets a parameter, in place of one of the same name.
    pub fn set_param(&mut self, name: &str, value: Option<&str>) {
        let new = (name.to_owned(), value.map(str::to_owned));
        match self
            .params
            .iter_mut()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
        {
            Some(param) => *param = new,
            None => self.params.push(new),
        }
    }

    /// Removes a parameter.
    pub fn remove_param(&mut self, name: &str) {
        self.params
            .retain(|(own, _)| !own.eq_ignore_ascii_case(name));
    }

    /// Sets or removes the `transport` parameter.
    pub fn set_transport(&mut self, transport: Option<Transport>) {
        match transport {
            Some(transport) => self.set_param("transport", Some(transport.param_name())),
            None => self.remove_param("transport"),
        }
    }

    /// Freezes it.
    ///
    /// # Errors
    ///
    /// The host is no host, or a name of a parameter or header is empty.
    pub fn to_uri(&self) -> Result<Uri, ParseError> {
        let mut text = String::with_capacity(USUAL_LEN);
        // Writing to a string cannot fail.
        let _ = write!(text, "{self}");
        text.parse()
    }
}

impl TryFrom<SipUri> for Uri {
    type Error = ParseError;

    fn try_from(parts: SipUri) -> Result<Self, ParseError> {
        parts.to_uri()
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "sips:" } else { "sip:" })?;
        if let Some(user) = &self.user {
            escape(f, user, parse::is_user)?;
            if let Some(password) = &self.password {
                f.write_str(":")?;
                escape(f, password, parse::is_password)?;
            }
            f.write_str("@")?;
        }
        match &self.host {
            // A name comes from anywhere; an escape in it is no host any more, and splits nothing.
            Host::Name(name) => escape(f, name, |b| {
                b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')
            })?,
            Host::Ip(_) => write!(f, "{}", self.host)?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        for (name, value) in &self.params {
            f.write_str(";")?;
            escape(f, name, parse::is_param)?;
            if let Some(value) = value {
                f.write_str("=")?;
                escape(f, value, parse::is_param)?;
            }
        }
        for (n, (name, value)) in self.headers.iter().enumerate() {
            f.write_str(if n == 0 { "?" } else { "&" })?;
            escape(f, name, parse::is_header)?;
            f.write_str("=")?;
            escape(f, value, parse::is_header)?;
        }
        Ok(())
    }
}

impl fmt::Debug for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A password never reaches a log.
        let password = self.password.as_ref().map(|_| "…");
        f.debug_struct("SipUri")
            .field("secure", &self.secure)
            .field("user", &self.user)
            .field("password", &password)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("params", &self.params)
            .field("headers", &self.headers)
            .finish()
    }
}

/// Writes `text`, escaping what `allowed` does not allow; escapes that are there already stay.
fn escape(f: &mut fmt::Formatter<'_>, text: &str, allowed: impl Fn(u8) -> bool) -> fmt::Result {
    let bytes = text.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let escaped = byte == b'%'
            && matches!(bytes.get(at + 1..at + 3), Some([a, b]) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
        if escaped || allowed(byte) {
            fmt::Write::write_char(f, char::from(byte))?;
        } else {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}

/// Room for an ordinary one.
const USUAL_LEN: usize = 64;
