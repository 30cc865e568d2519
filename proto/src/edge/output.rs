//! All that a user agent wants from the world, as data.

use crate::event::Notification;
use base::Transport;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

use super::{Connection, payload};
use crate::id::{FileId, LinkId, StoreId, StreamId};

/// One thing to do, in the order of [`UserAgent::poll_output`](crate::agent::UserAgent::poll_output).
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Output {
    /// Send a datagram.
    Transmit {
        /// The socket.
        link: LinkId,
        /// The local address to send from, where the socket has several.
        from: Option<IpAddr>,
        /// Where to.
        to: SocketAddr,
        /// What.
        #[serde(with = "payload")]
        payload: Bytes,
    },
    /// Write to a connection, in order; answered by levels of [`Input::Sent`](super::Input::Sent).
    Write {
        /// The connection.
        link: LinkId,
        /// What.
        #[serde(with = "payload")]
        payload: Bytes,
    },
    /// The runtime may hand in this many more bytes of this link; a link starts with
    /// [`INITIAL_CREDIT`].
    Receive {
        /// The connection.
        link: LinkId,
        /// How many bytes more.
        more: u32,
    },
    /// Open a link; answered by [`Input::Opened`](super::Input::Opened) or
    /// [`Input::Closed`](super::Input::Closed).
    Open {
        /// The id that it will have.
        link: LinkId,
        /// What to open.
        how: Open,
    },
    /// Take a connection that a listener got: from now on it is `link`, and may be read.
    Adopt {
        /// Which.
        connection: Connection,
        /// The id that it has from now on.
        link: LinkId,
    },
    /// Close a connection that a listener got.
    Refuse {
        /// Which.
        connection: Connection,
    },
    /// Send what is written, then close; answered by [`Input::Closed`](super::Input::Closed).
    Finish {
        /// The connection.
        link: LinkId,
    },
    /// Close at once; its id is dead, no input of this link follows.
    Close {
        /// The link.
        link: LinkId,
    },
    /// A media frame for the application.
    Media {
        /// Whose.
        stream: StreamId,
        /// The frame.
        #[serde(serialize_with = "payload::frame")]
        frame: Frame,
    },
    /// Keep or fetch a value; answered by [`Input::Stored`](super::Input::Stored).
    Store {
        /// The id of the answer.
        request: StoreId,
        /// What to do.
        what: Store,
    },
    /// Do something with a file; answered by [`Input::File`](super::Input::File).
    File {
        /// The file.
        file: FileId,
        /// What to do.
        what: FileDo,
    },
    /// A message as it was on the wire (decrypted), while tracing is on.
    Trace(Trace),
    /// Tell the application.
    Notify(Notification),
}

/// How many bytes of a new connection may be handed in before the first
/// [`Output::Receive`]: one SIP message of usual size many times over, one read of the runtime.
pub const INITIAL_CREDIT: u32 = 64 * 1024;

/// A socket to open.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Open {
    /// A UDP socket.
    Udp {
        /// The local address; port 0 lets the system choose.
        bind: SocketAddr,
        /// What it will carry.
        class: Class,
        /// With it, address and port are shared with other programs, the group is joined, own packets are heard.
        multicast: Option<Multicast>,
    },
    /// A TCP listener.
    Listen {
        /// The local address; port 0 lets the system choose.
        bind: SocketAddr,
        /// What its connections will carry.
        class: Class,
    },
    /// A TCP connection.
    Connect {
        /// The local address, where it matters.
        from: Option<IpAddr>,
        /// The other end.
        to: SocketAddr,
        /// What it will carry.
        class: Class,
    },
}

/// What the traffic is: the runtime maps it to a DSCP (RFC 4594) and to buffer sizes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Class {
    /// SIP, DNS, XCAP.
    Signalling,
    /// RTP audio.
    Voice,
    /// MSRP and other bulk.
    Bulk,
    /// mDNS.
    Discovery,
}

/// A multicast group to join.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Multicast {
    /// The group.
    pub group: IpAddr,
    /// The system's number of the interface.
    pub interface: u32,
    /// How far packets go.
    pub ttl: u8,
}

pub use rtp::Frame;

/// A message as it was on the wire, decrypted (ENG-42).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Trace {
    /// The link that carried it.
    pub link: LinkId,
    /// True if we sent it.
    pub sent: bool,
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub peer: SocketAddr,
    /// Over what.
    pub transport: Transport,
    /// The message; secrets are not masked here.
    #[serde(with = "payload")]
    pub plaintext: Bytes,
}

/// What to do with the store of settings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// Fetch a value.
    Load {
        /// Its key.
        key: String,
    },
    /// Keep a value.
    Save {
        /// Its key.
        key: String,
        /// The value.
        #[serde(with = "payload")]
        value: Bytes,
    },
    /// Forget a value.
    Delete {
        /// Its key.
        key: String,
    },
    /// Fetch all keys that start so, one a line.
    List {
        /// How they start.
        prefix: String,
    },
}

/// What to do with a file that is sent or received in pieces: never whole in memory, never named by
/// the peer. `name` is a wish inside the directory that the application chose.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileDo {
    /// Make a new file.
    Create {
        /// The wish.
        name: String,
        /// How large it will be, if known.
        size: Option<u64>,
    },
    /// Open a file to read.
    Open {
        /// Which.
        name: String,
    },
    /// Read a piece.
    Read {
        /// Where it starts.
        at: u64,
        /// How many bytes.
        len: u32,
    },
    /// Write a piece.
    Write {
        /// Where it starts.
        at: u64,
        /// The bytes.
        #[serde(with = "payload")]
        data: Bytes,
    },
    /// Complete a new file: it gets its name.
    Commit,
    /// Drop a new file, or close one that was read.
    Discard,
}
