//! What is wrong with a call, beside the code that refuses it.

use serde::{Deserialize, Serialize};

/// A Warning of ours (RFC 3261, 20.43): it stands in the response that refuses a call, and says with 488 and
/// 606 which part of the offer cannot be taken (21.4.26, 21.6.4).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Warning {
    /// 300 to 399: 305 for incompatible media formats, 370 for too little bandwidth, 399 for anything else.
    pub code: u16,
    /// What about, in the language of the caller as far as it is known; without control characters, at
    /// most 256 bytes.
    pub text: String,
}

impl Warning {
    /// A warning with that code and text.
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }

    /// One that no other code stands for (399).
    pub(crate) fn miscellaneous(text: impl Into<String>) -> Self {
        Self::new(399, text)
    }

    /// True if it can be sent.
    pub(super) fn is_valid(&self) -> bool {
        (300..400).contains(&self.code)
            && self.text.len() <= MAX_TEXT
            && !self.text.chars().any(char::is_control)
    }
}

/// What a person reads at a glance, and no datagram breaks on.
const MAX_TEXT: usize = 256;
