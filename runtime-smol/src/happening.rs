//! What the tasks tell the driver.

use async_channel::Sender;
use async_io::Async;
use sipsimple::agent::{Input, LinkId};
use std::{
    net::{SocketAddr, TcpStream},
    time::Instant,
};

/// Where the tasks tell it. The queue is bounded: behind it, the tasks wait and the system's
/// own buffers fill.
pub(crate) type Happenings = Sender<Happening>;

/// What a task has seen, and when.
#[derive(Debug)]
pub(crate) enum Happening {
    Input(Instant, Input),
    Accepted {
        at: Instant,
        listener: LinkId,
        stream: Async<TcpStream>,
        local: SocketAddr,
        peer: SocketAddr,
    },
}
