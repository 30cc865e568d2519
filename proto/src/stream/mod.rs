//! What the session knows of media: the [`MediaStream`] trait (requirements STR-01 … STR-17).
//!
//! An application's own stream implements [`MediaStream`] and [`StreamFactory`] and puts the factory
//! into [`Config::factories`](crate::agent::Config); the streams of this crate use nothing else.
//! A stream is a machine: it never touches a socket or a file, it asks for them by [`StreamOutput`].

pub mod audio;
pub mod documents;
mod registry;
mod rtp;
mod settings;
mod table;
mod turn_server;

pub use self::rtp::{Discarded, IceInfo, RelayInfo};
pub use ::dtls::{BadIdentity, Credentials, Identity};
pub use ::ice::Role as IceRole;
pub use ::rtp::srtp::Profile as SrtpProfile;
pub(crate) use registry::Registry;
pub use settings::{Codec, DigitMode, Encryption, IcePolicy, InterfaceFilter, MediaSettings};
pub(crate) use table::Streams;
pub use turn_server::{InvalidTurnUri, TurnServer};

pub use crate::event::{CheckedPair, IcePair, IceStep, StreamError};
use crate::{
    edge::{Class, FileDo, FileDone, Frame, Interface, System},
    event::StreamEvent,
    id::{SessionId, StreamId},
};
use base::{Clock, Deadline, Host, LinkError, Rng, Target, Transport};
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{
    any::Any,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

/// A media stream of a session. The session keeps the phases of the negotiation, the stream keeps
/// the proposal that runs.
///
/// The order that a session respects: made by its factory, [`prepare`](Self::prepare), then any
/// number of [`offer`](Self::offer) or [`answer`](Self::answer), each followed by exactly one of
/// [`start`](Self::start) (the first agreement), [`update`](Self::update) (every later one) or
/// [`rollback`](Self::rollback); at last [`deactivate`](Self::deactivate) and [`end`](Self::end).
/// After each call the session drains [`poll_output`](Self::poll_output) and asks
/// [`poll_timeout`](Self::poll_timeout).
pub trait MediaStream: Any + fmt::Debug + Send {
    /// Names the kind (`audio`), as in [`StreamSpec::kind`] (STR-11).
    fn kind(&self) -> &'static str;

    /// Prepares for a description (STR-04). Ends in [`StreamOutput::Prepared`] or
    /// [`StreamOutput::Failed`]; may take seconds; may be cut short by `offer` or `answer`, which
    /// then use what is there.
    fn prepare(&mut self, now: Instant, purpose: Purpose);

    /// Describes itself as an offer (STR-03). Opens a proposal: until `start`, `update` or
    /// `rollback` the stream runs as before.
    fn offer(&mut self, now: Instant) -> sdp::Media;

    /// Answers the m-line `index` of an offer (STR-03, STR-06). Opens a proposal.
    ///
    /// # Errors
    ///
    /// The stream cannot live with this offer; then nothing has changed.
    fn answer(
        &mut self,
        now: Instant,
        remote: &sdp::Session,
        index: usize,
    ) -> Result<sdp::Media, Refusal>;

    /// Begins with the first agreement (STR-05). Answered by [`StreamOutput::Started`] or
    /// [`StreamOutput::Failed`].
    fn start(&mut self, now: Instant, agreed: Agreement<'_>);

    /// Follows every later agreement, whoever offered (STR-07).
    fn update(&mut self, now: Instant, agreed: Agreement<'_>);

    /// Drops the proposal (refused, glare, cancelled, timed out): as if `offer` or `answer` had not
    /// been called.
    fn rollback(&mut self, now: Instant);

    /// Stops or resumes sending at once (STR-08). True: the description changes, make a new offer.
    /// A stream that does not support hold keeps the default.
    fn set_hold(&mut self, now: Instant, hold: bool) -> bool {
        let (_, _) = (now, hold);
        false
    }

    /// How the stream is held (STR-12); `None` if it does not support hold.
    fn hold(&self) -> Option<Hold> {
        None
    }

    /// Says that the stream is about to be removed: from now on the remote closing the transport is
    /// normal (STR-09).
    fn deactivate(&mut self);

    /// Closes everything (STR-10). Answered by [`StreamOutput::Ended`], always.
    fn end(&mut self, now: Instant);

    /// Takes what happened.
    fn handle_input(&mut self, now: Instant, input: StreamInput);

    /// Says when `handle_input(now, StreamInput::Timeout)` is wanted.
    fn poll_timeout(&self) -> Option<Deadline>;

    /// Says what the stream wants; drained after every call.
    fn poll_output(&mut self) -> Option<StreamOutput>;
}

/// How a stream is held (STR-12).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Hold {
    /// We do not want to hear or be heard: the negotiated state.
    pub by_local: bool,
    /// The peer does not send: the negotiated state.
    pub by_remote: bool,
    /// What the application last asked for.
    pub local_intent: bool,
}

/// Which way a proposal runs (STR-04: of this proposal, not of the session).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The peer proposed.
    Incoming,
    /// We proposed.
    Outgoing,
}

/// Why a stream prepares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Before the first description.
    First,
    /// Before a later offer that needs time (addresses changed, everything is offered afresh, STR-16).
    Restart,
}

/// All that a stream may know of the world above it.
#[derive(Clone, Debug)]
pub struct StreamEnv {
    /// Its own id.
    pub id: StreamId,
    /// The session that it belongs to.
    pub session: SessionId,
    /// Who proposed it.
    pub direction: Direction,
    /// Its own randomness.
    pub rng: Rng,
    /// Wall-clock time.
    pub clock: Clock,
    /// The media settings, frozen for this stream.
    pub settings: Arc<MediaSettings>,
    /// The certificate that the agent shows in handshakes (RFC 5763).
    pub credentials: Credentials,
    /// One number per session, so that all its ICE agents agree (RFC 8445, 16.1).
    pub tie_breaker: u64,
    /// The interfaces of this machine.
    pub interfaces: Arc<[Interface]>,
    /// Who called and who was called: for names to show and to file by, not to believe.
    pub participants: [sip::Uri; 2],
    /// The local address on the route to the peer, as far as signalling knows it; never unspecified.
    pub local_address: IpAddr,
}

/// A socket of a stream, in the stream's own numbering.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Slot(pub u16);

/// Both descriptions after a successful exchange.
///
/// A new `branch` is a new peer (forked answer): forget remote keys, candidates and SSRCs, keep
/// ports and own keys.
#[derive(Clone, Copy, Debug)]
pub struct Agreement<'a> {
    /// The dialog that carries it.
    pub branch: sip::DialogId,
    /// Our description.
    pub local: &'a sdp::Session,
    /// The peer's description.
    pub remote: &'a sdp::Session,
    /// Which m-line is ours, in both.
    pub index: usize,
    /// The descriptions went over a secured link: beside the peer and its proxies nobody read them.
    pub is_confidential: bool,
    /// Nobody has taken the call yet: the peer need not send, other forks of a call of ours may send to the
    /// same place, and whose dialog this is may change. Over with [`StreamInput::Acknowledged`] at the latest.
    pub is_early: bool,
}

/// Why an m-line is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Refusal {
    /// The status of the response, should the whole offer fall (usually 488).
    pub code: u16,
    /// The text of its Warning.
    pub warning: &'static str,
}

/// What a factory says to an m-line of an offer (STR-02).
#[derive(Debug)]
pub enum Offered {
    /// Not this kind: ask the next factory.
    NotMine,
    /// This kind, but impossible: the m-line is refused.
    Refused(Refusal),
    /// Here is the stream.
    Taken(Box<dyn MediaStream>),
}

/// What happens to a stream.
#[derive(Debug)]
#[non_exhaustive]
pub enum StreamInput {
    /// The deadline of `poll_timeout`; harmless at any other time.
    Timeout,
    /// A frame of the application to send.
    Media(Frame),
    /// The system said something about itself.
    System(System),
    /// Packets of this session leave from this address from now on. A stream whose sockets are bound to
    /// another one that is gone opens new ones when it is next asked to prepare, which follows.
    LocalAddress(IpAddr),
    /// The answer to [`StreamOutput::Resolve`].
    Resolved {
        /// The stream's own number of the question.
        lookup: u16,
        /// Targets in order.
        result: Result<Vec<Target>, sip::LookupError>,
    },
    /// A socket is there.
    Opened {
        /// Which.
        slot: Slot,
        /// Its address.
        local: SocketAddr,
        /// The other end of a connection.
        peer: Option<SocketAddr>,
    },
    /// A datagram arrived.
    Datagram {
        /// On which socket.
        slot: Slot,
        /// From where.
        from: SocketAddr,
        /// What.
        payload: BytesMut,
    },
    /// A datagram did not arrive.
    Undeliverable {
        /// On which socket.
        slot: Slot,
        /// Where it should have gone.
        to: SocketAddr,
        /// Why it did not.
        error: LinkError,
    },
    /// Bytes of a connection arrived.
    Bytes {
        /// On which socket.
        slot: Slot,
        /// What.
        payload: BytesMut,
    },
    /// How many bytes may be written now without exceeding the link's budget: a level.
    Writable {
        /// On which socket.
        slot: Slot,
        /// How many bytes.
        room: usize,
    },
    /// A socket could not be opened, or is gone.
    Closed {
        /// Which.
        slot: Slot,
        /// Why; `None` for an orderly end by the peer.
        error: Option<LinkError>,
    },
    /// The peer says something beside the call (RFC 6086). Every stream of the session is told, and the
    /// application.
    Info(sip::InfoRequest),
    /// Another stream of the session has found out who controls in ICE, or that it has changed: roles are of
    /// the session (RFC 8445, 6.1.1 and 7.3.1.1).
    IceRole(IceRole),
    /// The PRACK of a provisional response of ours came: the peer is no forged address.
    Verified,
    /// The ACK of our 2xx came, or we sent it: the call stands, and the peer is no forged address.
    Acknowledged,
    /// A file operation is done.
    File {
        /// The stream's own number of the file.
        file: u16,
        /// What is done.
        done: FileDone,
    },
}

impl StreamInput {
    /// The socket that it is about.
    pub(crate) const fn slot(&self) -> Option<Slot> {
        match self {
            Self::Opened { slot, .. }
            | Self::Datagram { slot, .. }
            | Self::Undeliverable { slot, .. }
            | Self::Bytes { slot, .. }
            | Self::Writable { slot, .. }
            | Self::Closed { slot, .. } => Some(*slot),
            _ => None,
        }
    }
}

/// What a stream wants.
#[derive(Debug)]
#[non_exhaustive]
pub enum StreamOutput {
    /// Ready to be described.
    Prepared,
    /// Media may flow (STR-05).
    Started,
    /// The stream cannot go on; the session drops it (STR-17).
    Failed(StreamError),
    /// Everything is closed; last output.
    Ended,
    /// The description changed by itself: make an offer when the session can, with a
    /// [`Purpose::Restart`] before it if `prepare`.
    Renegotiate {
        /// The stream needs time before.
        prepare: bool,
    },
    /// Open a socket.
    Open {
        /// The stream's own number of it.
        slot: Slot,
        /// What to open.
        how: SlotOpen,
    },
    /// This many more bytes of a connection may come.
    Receive {
        /// On which socket.
        slot: Slot,
        /// How many.
        more: u32,
    },
    /// Close a socket.
    Close {
        /// Which.
        slot: Slot,
    },
    /// Find an address; answered by [`StreamInput::Resolved`].
    Resolve {
        /// The stream's own number of the question.
        lookup: u16,
        /// The question.
        what: Lookup,
    },
    /// Send a datagram.
    Transmit {
        /// From which socket.
        slot: Slot,
        /// Where to.
        to: SocketAddr,
        /// What.
        payload: Bytes,
    },
    /// Write to a connection.
    Write {
        /// To which socket.
        slot: Slot,
        /// What.
        payload: Bytes,
    },
    /// Say something to the peer beside the call, by INFO (RFC 6086): after those before it are answered.
    Inform(sip::InfoRequest),
    /// Who controls in ICE is known, or has changed: the other streams of the session are told by
    /// [`StreamInput::IceRole`].
    IceRole(IceRole),
    /// Do something with a file.
    File {
        /// The stream's own number of it; `Create` and `Open` bring it up.
        file: u16,
        /// What to do.
        what: FileDo,
    },
    /// A frame for the application.
    Media(Frame),
    /// Tell the application.
    Event(StreamEvent),
}

/// A socket that a stream wants.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SlotOpen {
    /// A UDP socket.
    Udp {
        /// The local address; port 0 lets the system choose.
        bind: SocketAddr,
        /// What it will carry.
        class: Class,
    },
    /// A TCP connection.
    Connect {
        /// The other end.
        to: SocketAddr,
        /// What it will carry.
        class: Class,
    },
    /// A TCP connection secured by TLS, which is there once its other end has proved its name. Without
    /// TLS in the configuration it is refused.
    ConnectTls {
        /// The other end.
        to: SocketAddr,
        /// The name that its certificate must prove.
        name: Host,
        /// What it will carry.
        class: Class,
    },
    /// A TCP listener that takes one connection, which then has this slot.
    Accept {
        /// The local address; port 0 lets the system choose.
        bind: SocketAddr,
        /// What it will carry.
        class: Class,
    },
}

/// A question about a name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Lookup {
    /// The addresses of a host.
    Host {
        /// Its name or address.
        name: Host,
        /// The port of the targets.
        port: u16,
        /// The transport of the targets.
        transport: Transport,
    },
    /// Where a service of a domain is (DNL-03).
    Service {
        /// Which.
        service: dns::Service,
        /// The domain; a host if there is a port.
        host: Host,
        /// The port, if it is known.
        port: Option<u16>,
    },
    /// Where a SIP URI is (RFC 3263; DNL-04).
    Sip {
        /// The URI.
        uri: sip::Uri,
    },
    /// The XCAP roots of a domain, which are URIs (DNL-11): for the application only.
    Xcap {
        /// The domain.
        domain: Host,
    },
}

/// A wish for a stream, as data: it can be recorded and made again.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StreamSpec {
    /// The kind, as its factory names it.
    pub kind: String,
    /// What that kind understands; `Null` for defaults.
    pub options: Value,
}

impl StreamSpec {
    /// Wishes for a stream of `kind` with its defaults.
    pub fn new(kind: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            options: Value::Null,
        }
    }
}

/// Makes the streams of one kind (STR-14).
pub trait StreamFactory: Send {
    /// Names the kind.
    fn kind(&self) -> &'static str;

    /// Who is asked first about an m-line: higher first (STR-15).
    fn priority(&self) -> u8;

    /// Makes a stream for the m-line `index` of an offer, if it is of this kind (STR-02).
    #[expect(
        clippy::wrong_self_convention,
        reason = "the name that the documents give it"
    )]
    fn from_sdp(
        &self,
        now: Instant,
        env: StreamEnv,
        remote: &sdp::Session,
        index: usize,
    ) -> Offered;

    /// Makes a stream for an offer of ours.
    ///
    /// # Errors
    ///
    /// The options make no sense.
    fn create(
        &self,
        now: Instant,
        env: StreamEnv,
        options: &Value,
    ) -> Result<Box<dyn MediaStream>, StreamError>;

    /// Applies a recorded [`StreamCommand`] of this kind.
    ///
    /// # Errors
    ///
    /// The recorded value is no command of this kind.
    fn replay(
        &self,
        stream: &mut dyn MediaStream,
        now: Instant,
        command: Value,
    ) -> Result<(), BadCommand>;
}

/// A recorded command that this kind of stream does not know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no command of this kind of stream")]
pub struct BadCommand;

/// A typed command of one kind of stream. Data, so that the agent records it, applies it and drains
/// the stream, in this order.
pub trait StreamCommand: Serialize + DeserializeOwned + fmt::Debug {
    /// The stream that it is for.
    type Stream: MediaStream;
    /// What comes back.
    type Reply;

    /// Applies the command.
    fn apply(self, stream: &mut Self::Stream, now: Instant) -> Self::Reply;
}
