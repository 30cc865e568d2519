//! The edge of the user agent: all that comes in and goes out, as data.
//!
//! Applications find it in [`agent`](crate::agent); it stands by itself so that streams, links and
//! sessions need not know the agent that drives them.

mod error;
mod input;
mod output;
pub(crate) mod payload;

pub use error::StoreError;
pub use input::{Connection, FileDone, Input, Interface, InterfaceKind, System};
pub use output::{Class, FileDo, Frame, INITIAL_CREDIT, Multicast, Open, Output, Store, Trace};
