//! STUN as data (RFC 8489): reading and writing messages. Who sends them when is the caller's.

mod attribute;
mod header;
mod integrity;
mod message;
#[cfg(test)]
mod tests;

pub use attribute::{Attribute, AttributeType, Attributes, ErrorCode, InvalidAttribute, Raw};
pub use header::{Class, Method, TransactionId};
pub use integrity::{Integrity, Key, Protection};
pub use message::{ErrorKind, Message, ParseError, Writer, is_stun};
