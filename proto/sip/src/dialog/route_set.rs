//! Route sets: RFC 3261, 12.1.1, 12.1.2 and 12.2.1.1.

use super::DialogError;
use crate::{
    HeaderName, Request, Uri, UriRef,
    header::{NameAddr, Parse as _},
};

/// The Route values of requests inside a dialog, in order, as bytes: parameters and display names stay
/// what they were.
#[derive(Clone, Debug, Default)]
pub(super) struct RouteSet {
    /// All values, each followed by a line end.
    text: Box<[u8]>,
}

impl RouteSet {
    /// Copies Record-Route values, in reverse for the side that sent the request.
    pub(super) fn new<'a>(
        values: impl Iterator<Item = &'a [u8]>,
        reverse: bool,
    ) -> Result<Self, DialogError> {
        let mut values: Vec<&[u8]> = values.take(MAX_ROUTES + 1).collect();
        if values.len() > MAX_ROUTES {
            return Err(DialogError::TooManyRoutes);
        }
        for value in &values {
            NameAddr::parse(value)?;
        }
        if reverse {
            values.reverse();
        }
        let mut text = Vec::with_capacity(values.iter().map(|value| value.len() + 1).sum());
        for value in values {
            text.extend_from_slice(value);
            text.push(b'\n');
        }
        Ok(Self { text: text.into() })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.text
            .split(|&byte| byte == b'\n')
            .filter(|value| !value.is_empty())
    }

    /// Writes Request-URI and Route into a request to `target`, and returns where it is to be sent
    /// (RFC 3261, 12.2.1.1 and 8.1.2).
    pub(super) fn apply(&self, request: &mut Request, target: &Uri) -> Uri {
        let first = self
            .iter()
            .next()
            .and_then(|value| NameAddr::parse(value).ok());
        let Some(first) = first else {
            request.uri = request_uri(target.as_ref());
            return request.uri.clone();
        };
        if first.uri.params().contains("lr") {
            request.uri = request_uri(target.as_ref());
            for value in self.iter() {
                request.headers.push(HeaderName::Route, value);
            }
            return first.uri.to_uri();
        }
        // A strict router: it takes its own address as the Request-URI, and the target from the end.
        request.uri = request_uri(first.uri);
        for value in self.iter().skip(1) {
            request.headers.push(HeaderName::Route, value);
        }
        request
            .headers
            .push(HeaderName::Route, format!("<{target}>"));
        request.uri.clone()
    }
}

/// Takes off what a Request-URI may not have: headers and the method parameter (RFC 3261, 19.1.1, table 1).
fn request_uri(uri: UriRef<'_>) -> Uri {
    if uri.headers().is_empty() && !uri.params().contains("method") {
        return uri.to_uri();
    }
    let Some(mut parts) = uri.to_parts() else {
        return uri.to_uri();
    };
    parts.headers.clear();
    parts.remove_param("method");
    parts.to_uri().unwrap_or_else(|_| uri.to_uri())
}

/// More hops than a request can take (Max-Forwards is 70), two values each where the transport changes.
pub const MAX_ROUTES: usize = 140;
