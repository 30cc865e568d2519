//! The user agent: the edge of the world, and the machine behind it.

mod input;
mod output;

pub use input::{Connection, FileDone, Input, Interface, InterfaceKind, StoreError, System};
pub use output::{Class, FileDo, Frame, INITIAL_CREDIT, Multicast, Open, Output, Store, Trace};

base::ids! {
    /// A socket of the operating system.
    LinkId;
    /// A session.
    SessionId;
    /// A media stream of a session.
    StreamId;
    /// A file that is sent or received.
    FileId;
    /// A request to the store.
    StoreId;
}
