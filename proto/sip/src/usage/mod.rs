//! What endpoints are used for: calls, and questions about capabilities.

pub mod invitation;
pub mod options;
