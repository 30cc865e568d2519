//! What a usage answers to a request; the endpoint adds what the request and its way decide.

use crate::{HeaderName, Headers, Status, attempt::Contact, header::Value, message::Description};

/// A response without what its request and its way decide.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: Status,
    pub(crate) reason: Option<String>,
    pub(crate) headers: Headers,
    pub(crate) description: Option<Description>,
    /// The tag of the dialog; `None` for a tag that is only this response's.
    pub(crate) to_tag: Option<Box<str>>,
    /// Our Contact: the response makes a dialog, or refreshes its target.
    pub(crate) contact: Option<Contact>,
}

impl Answer {
    pub(crate) fn new(status: Status) -> Self {
        Self {
            status,
            reason: None,
            headers: Headers::new(),
            description: None,
            to_tag: None,
            contact: None,
        }
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: impl Value) -> Self {
        self.headers.push(name, value);
        self
    }
}
