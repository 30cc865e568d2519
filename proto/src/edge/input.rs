//! All that can happen to a user agent, as data.

use base::LinkError;
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{StoreError, payload};
use crate::{
    id::{FileId, LinkId, StoreId},
    tls::{Refusal, Security},
};

/// One thing that happened, with the moment as the first argument of
/// [`UserAgent::handle_input`](crate::agent::UserAgent::handle_input).
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Input {
    /// The deadline of `poll_timeout` has come; harmless at any other time.
    Timeout,
    /// A datagram arrived. `BytesMut`: media decrypts in place, SIP freezes it. One buffer per datagram.
    Datagram {
        /// The socket.
        link: LinkId,
        /// Where it came from.
        from: SocketAddr,
        /// The local address that it was sent to, where the system tells.
        to: Option<IpAddr>,
        /// What arrived.
        #[serde(with = "payload")]
        payload: BytesMut,
    },
    /// A datagram did not go out, or ICMP said that it did not arrive. The link stays open.
    Undeliverable {
        /// The socket.
        link: LinkId,
        /// Where it should have gone.
        to: SocketAddr,
        /// Why it did not.
        error: LinkError,
    },
    /// Bytes of a stream arrived: at most as many as [`Output::Receive`](super::Output::Receive) allowed.
    Bytes {
        /// The connection.
        link: LinkId,
        /// What arrived, cut anywhere.
        #[serde(with = "payload")]
        payload: BytesMut,
    },
    /// How many bytes of this link the system has taken since it was opened: a level, not a step, so
    /// that nothing can be counted twice.
    Sent {
        /// The connection.
        link: LinkId,
        /// All bytes taken so far.
        total: u64,
    },
    /// A link that was asked for is there.
    Opened {
        /// The link.
        link: LinkId,
        /// Its local address, with the port that the system chose.
        local: SocketAddr,
        /// The other end of a connection.
        peer: Option<SocketAddr>,
    },
    /// A listener got a connection; answered by [`Output::Adopt`](super::Output::Adopt) or
    /// [`Output::Refuse`](super::Output::Refuse). Nothing is read from it before.
    Accepted {
        /// The listener.
        listener: LinkId,
        /// The runtime's own number of the connection.
        connection: Connection,
        /// Our end.
        local: SocketAddr,
        /// The other end.
        peer: SocketAddr,
    },
    /// The handshake of a secured link is over. Runtimes never say this: they move ciphertext, and the
    /// agent's own filter says it. Recordings hold it in the place of the ciphertext, so that a replay
    /// needs no cryptography; an agent with cryptography of its own ignores it.
    Secured {
        /// The link.
        link: LinkId,
        /// How it is secured, or why it is not.
        result: Result<Security, Refusal>,
    },
    /// The server speaks SIP over the WebSocket of a link (RFC 7118). Runtimes never say this: they move
    /// frames, and the agent's own filter says it. Recordings hold it in the place of the frames.
    Upgraded {
        /// The link.
        link: LinkId,
    },
    /// A link could not be opened, or is gone. Its id is dead.
    Closed {
        /// The link.
        link: LinkId,
        /// Why; `None` for an orderly end by the peer.
        error: Option<LinkError>,
    },
    /// The system said something about itself.
    System(System),
    /// The store did what was asked.
    Stored {
        /// The request.
        request: StoreId,
        /// The value of a `Load` (`None`: no such key), or `None` for the others.
        #[serde(with = "payload::stored")]
        result: Result<Option<Bytes>, StoreError>,
    },
    /// A file operation is done.
    File {
        /// The file.
        file: FileId,
        /// What is done.
        done: FileDone,
    },
}

/// A connection that a listener got, in the runtime's own numbering, until it is adopted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Connection(pub u64);

/// What the machine that we run on says about itself: at the start, and whenever it changes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum System {
    /// All interfaces with their addresses.
    Interfaces(Vec<Interface>),
    /// The name servers of the system.
    NameServers(Vec<SocketAddr>),
    /// The hosts file: names in lower case.
    Hosts(Vec<(String, IpAddr)>),
    /// The application does not keep up with the events, or does again. While it does not, calls that
    /// come in are refused with 503 and Retry-After: it would miss them.
    Congested(bool),
    /// Wall-clock time (since 1970) was corrected.
    UnixTime(Duration),
    /// The machine is about to sleep.
    Suspending,
    /// The machine woke up.
    Resumed {
        /// How long it slept.
        asleep: Duration,
    },
}

/// An address of an interface.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Interface {
    /// The system's name for it (`eth0`).
    pub name: String,
    /// The system's number for it.
    pub index: u32,
    /// One of its addresses.
    pub address: IpAddr,
    /// The length of the network prefix in bits.
    pub prefix: u8,
    /// What kind of network it leads to.
    pub kind: InterfaceKind,
    /// True if the default route leads over it.
    pub default_route: bool,
}

/// What kind of network an interface leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum InterfaceKind {
    /// This machine only.
    Loopback,
    /// A cable.
    Wired,
    /// A wireless LAN.
    Wireless,
    /// A mobile network.
    Mobile,
    /// A VPN or another tunnel.
    Tunnel,
    /// A bridge, a container's network and the like.
    Virtual,
    /// The system did not say.
    Other,
}

/// The answer to a [`FileDo`](super::FileDo).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileDone {
    /// The file is open.
    Opened {
        /// Its name in the end.
        name: String,
        /// How many bytes it has.
        size: u64,
    },
    /// A piece was read; shorter than asked only at the end of the file.
    Read {
        /// Where it starts.
        at: u64,
        /// The bytes.
        #[serde(with = "payload")]
        data: Bytes,
    },
    /// A piece was written.
    Written {
        /// Where it starts.
        at: u64,
        /// How many bytes.
        len: u32,
    },
    /// The file is complete and has its name.
    Committed,
    /// The file is gone.
    Discarded,
    /// Nothing of the kind.
    Failed(StoreError),
}
