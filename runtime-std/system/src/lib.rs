//! What every runtime of sipsimple needs of the operating system: sockets as the agent wants them,
//! clocks, facts about the machine, storage. How to wait for all of it is the runtimes' own affair.

#![forbid(unsafe_code)]

mod call;
mod clock;
mod facts;
mod socket;
mod storage;

pub use call::{CallError, SendError};
pub use clock::{Drift, Jump, seed, unix_time};
pub use facts::facts;
pub use socket::{is_in_progress, link_error, socket};
pub use socket2::Type;
pub use storage::{Disk, Job, Storage};
