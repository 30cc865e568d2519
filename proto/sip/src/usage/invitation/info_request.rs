//! What an INFO says, as data.

use base::scan::is_token;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What an INFO says: nothing that changes the call, only something for its applications.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InfoRequest {
    /// The Info Package, without its parameters; `None` for what needs none, as `application/dtmf-relay`.
    pub package: Option<String>,
    /// The media type of the body, whole; empty without a body.
    pub content_type: String,
    /// The body.
    #[serde(with = "crate::serial::octets")]
    pub body: Bytes,
}

impl InfoRequest {
    /// Without a package (RFC 2976).
    pub fn legacy(content_type: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self {
            package: None,
            content_type: content_type.into(),
            body: body.into(),
        }
    }

    /// Of a package (RFC 6086).
    pub fn of_package(
        package: impl Into<String>,
        content_type: impl Into<String>,
        body: impl Into<Bytes>,
    ) -> Self {
        Self {
            package: Some(package.into()),
            ..Self::legacy(content_type, body)
        }
    }

    /// True if it can stand in a message.
    pub(super) fn is_writable(&self) -> bool {
        let is_package = |name: &String| !name.is_empty() && name.bytes().all(is_token);
        let is_typed = !self.content_type.is_empty() || self.body.is_empty();
        let is_line = !self
            .content_type
            .bytes()
            .any(|byte| byte.is_ascii_control());
        self.package.as_ref().is_none_or(is_package) && is_typed && is_line
    }
}
