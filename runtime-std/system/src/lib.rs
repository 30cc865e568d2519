//! What every runtime of sipsimple needs of the operating system and of its own edge: sockets as the
//! agent wants them, facts about the machine, storage, the rules of closures, inputs, observers and
//! frames. How to wait for all of it is the runtimes' own affair.

#![forbid(unsafe_code)]

mod closure;
mod flow;
mod inbox;
mod observer;
mod socket;
mod storage;
pub mod tls;
mod watch;

pub use closure::{CallError, SendError, guarded, inside, is_inside};
pub use flow::Flow;
pub use inbox::Inbox;
pub use observer::{Backlog, Entry};
pub use socket::{Patience, UNSUPPORTED, link_error, listener, patience, stream, udp};
pub use storage::{Disk, Job, Storage};
pub use watch::{Watch, seed, unix_time};
