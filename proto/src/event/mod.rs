//! What the application is told: typed events with the names of the SDK as data (requirements 41).

mod account;
mod fields;
mod filter;
mod hints;
mod ice;
mod lookup;
mod media;
mod names;
mod nat;
mod particulars;
mod sdp_text;
mod subscription;

pub use self::ice::{CheckedPair, IcePair, IceStep};
pub use account::{AccountEvent, GotMessage, MessageEvent, PublicationEvent};
pub use filter::{Filter, Sender};
pub use hints::Hints;
pub use lookup::{LookupEvent, ResolverEvent};
pub use media::{KeyMethod, StreamError};
pub use nat::{NatBehaviour, NatDetectionError, NatDetectionEvent};
pub use particulars::Particulars;
pub use sdp_text::SdpText;
pub use sip::usage::invitation::Originator;
pub use subscription::{GotSubscribe, IncomingSubscriptionEvent, SubscriptionEvent};

use crate::{
    id::{NatDetectionId, SessionId, StreamId, SubscriptionId},
    tls::{Certificate, Security},
};

use base::LinkError;
use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use serde_json::Value;
use std::{any::Any, fmt, net::SocketAddr, sync::Arc, time::Instant};

/// An event with its moment (GEN-01).
#[derive(Clone, Debug)]
pub struct Notification {
    /// When it happened.
    pub at: Instant,
    /// What happened.
    pub event: Event,
}

impl Serialize for Notification {
    /// Sender, name and data, as the command line prints them; the moment is the writer's to give.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Notification", 3)?;
        fields.serialize_field("event", self.event.name())?;
        fields.serialize_field("sender", &self.event.sender().to_string())?;
        fields.serialize_field("data", &self.event.data())?;
        fields.end()
    }
}

/// What happened.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub enum Event {
    /// To the user agent itself.
    Agent(AgentEvent),
    /// To a session.
    Session(SessionId, SessionEvent),
    /// To a stream of a session.
    Stream(StreamId, StreamEvent),
    /// To a request with a result of its own.
    Options(sip::RequestId, OptionsEvent),
    /// To a lookup: of the application, or for a request (requirements 16).
    Lookup(dns::LookupId, LookupEvent),
    /// To a detection of the kind of NAT.
    NatDetection(NatDetectionId, Box<NatDetectionEvent>),
    /// To the resolver (requirements 15).
    Resolver(ResolverEvent),
    /// To an account.
    Account(sip::AccountId, AccountEvent),
    /// To something that an account publishes.
    Publication(sip::PublicationId, PublicationEvent),
    /// To a message outside of sessions.
    Message(sip::MessageId, MessageEvent),
    /// To a subscription of ours.
    Subscription(SubscriptionId, SubscriptionEvent),
    /// To a subscription of a peer.
    IncomingSubscription(sip::NotifierId, IncomingSubscriptionEvent),
    /// The observer was too slow; `missed` events are lost (runtimes put it into the queue).
    Lagged {
        /// How many.
        missed: u64,
    },
}

/// What happens to the user agent itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub enum AgentEvent {
    /// `SIPEngineWillStart`: sockets are being opened (ENG-38).
    WillStart,
    /// `SIPEngineDidStart`: listening, calls can be made (ENG-38).
    DidStart {
        /// Where we listen.
        listening: Vec<Listening>,
    },
    /// `SIPEngineDidFail`: no socket could be opened (ENG-39).
    DidFail {
        /// Why the last one could not.
        error: LinkError,
    },
    /// `NetworkConditionsDidChange`: the sockets were opened anew where they had to be; registrations
    /// renew, and live sessions tell their peers by themselves (APP-20).
    NetworkConditionsDidChange {
        /// `ip`: addresses, or the machine woke up; `dns`: name servers.
        changed: Vec<&'static str>,
        /// Where we listen.
        listening: Vec<Listening>,
    },
    /// `SIPAccountManagerDidAddAccount`, also for those of the configuration (AMG-09).
    DidAddAccount {
        /// Which.
        account: sip::AccountId,
    },
    /// `SIPAccountManagerDidRemoveAccount`: what servers hold of it is being taken back (AMG-10).
    DidRemoveAccount {
        /// Which.
        account: sip::AccountId,
    },
    /// `SIPAccountManagerDidChangeDefaultAccount` (AMG-11).
    DidChangeDefaultAccount {
        /// Who it was.
        old_account: Option<sip::AccountId>,
        /// Who it is.
        account: Option<sip::AccountId>,
    },
    /// `SIPEngineWillEnd` (ENG-40).
    WillEnd,
    /// `SIPEngineDidEnd`: nothing is open, last event (ENG-40).
    DidEnd,
    /// `SIPApplicationFailedToStartTLS`: we do not listen on TLS; all else goes on (APP-18).
    FailedToStartTls {
        /// Why.
        error: LinkError,
    },
    /// A server proved its name, and its link is secured.
    TlsDidStart {
        /// Over what.
        transport: base::Transport,
        /// Where it is.
        peer: SocketAddr,
        /// The name that it had to prove.
        wanted: String,
        /// How the link is secured, and by which certificates.
        security: Security,
    },
    /// A server was refused, refused us, or did not finish the handshake: nothing was sent to it.
    TlsDidFail {
        /// Over what.
        transport: base::Transport,
        /// Where it is.
        peer: SocketAddr,
        /// The name that it had to prove.
        wanted: String,
        /// Why.
        error: LinkError,
        /// All of it in one line, for people.
        reason: String,
        /// The certificates that it presented, its own first.
        presented: Vec<Certificate>,
    },
    /// `SIPEngineLog`: something of a peer was malformed or out of place (ENG-41).
    Log {
        /// Which part says so.
        sender: &'static str,
        /// 1 (worst) to 5.
        level: u8,
        /// What.
        message: String,
    },
}

/// A socket that we listen on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Listening {
    /// Over what.
    pub transport: base::Transport,
    /// Where.
    pub address: SocketAddr,
}

/// What happens to a session (requirements 4.4).
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub enum SessionEvent {
    /// `SIPSessionNewIncoming`: accept, reject or ring (SES-54).
    NewIncoming {
        /// What the peer proposes.
        streams: Vec<StreamId>,
        /// What the INVITE says of its caller.
        #[serde(flatten)]
        particulars: Box<Particulars>,
    },
    /// `SIPSessionNewOutgoing` (SES-55).
    NewOutgoing {
        /// What we propose.
        streams: Vec<StreamId>,
    },
    /// `SIPSessionGotRingIndication`: a 180 came (SES-56).
    GotRingIndication,
    /// `SIPSessionGotProvisionalResponse`, also for re-INVITEs (SES-57).
    GotProvisionalResponse {
        /// 101 to 199.
        code: u16,
        /// Its phrase.
        reason: String,
    },
    /// `SIPSessionGotRedirect`: the callee is said to be elsewhere (3xx). `DidFail` follows, at once or, if the
    /// session may still be redirected ([`Connect::redirects`](crate::agent::Connect::redirects)), when it
    /// was not told in time to [follow](crate::agent::UserAgent::follow_redirect).
    GotRedirect {
        /// 300 to 399.
        code: u16,
        /// Its phrase.
        reason: String,
        /// Where, by preference. None of them proves anything: who answered chose them.
        targets: Vec<sip::RedirectTarget>,
    },
    /// `SIPSessionGotInfo`: the peer says something beside the call (RFC 6086).
    GotInfo(sip::InfoRequest),
    /// `SIPSessionWillStart`: a 2xx came or was sent (SES-58).
    WillStart,
    /// `SIPSessionDidStart`: acknowledged, all streams run (SES-59).
    DidStart {
        /// Those that run.
        streams: Vec<StreamId>,
    },
    /// `SIPSessionDidFail`: never started; last event of the session (SES-60).
    DidFail {
        /// Who ended it.
        originator: Originator,
        /// The status code, ours or the peer's.
        code: u16,
        /// Its phrase.
        reason: String,
        /// Why, in words (`user request`, `missing ACK`).
        failure_reason: String,
        /// What the peer's final response says besides, if it says more.
        hints: Option<Box<Hints>>,
    },
    /// `SIPSessionWillEnd` (SES-61).
    WillEnd {
        /// Who ends it.
        originator: Originator,
    },
    /// `SIPSessionDidEnd`: last event of the session (SES-62).
    DidEnd {
        /// Who ended it.
        originator: Originator,
        /// Why, in words.
        end_reason: String,
    },
    /// `SIPSessionDidChangeHoldState` (SES-63).
    DidChangeHoldState {
        /// Who changed it.
        originator: Originator,
        /// Any stream is held.
        on_hold: bool,
        /// Some are, some could be but are not.
        partial: bool,
    },
    /// `SIPSessionDidRenegotiateStreams` (SES-68).
    DidRenegotiateStreams {
        /// Who proposed.
        originator: Originator,
        /// Those that are new.
        added: Vec<StreamId>,
        /// Those that are gone.
        removed: Vec<StreamId>,
    },
    /// `SIPSessionGotRejectProposal` (SES-65).
    GotRejectProposal {
        /// Who proposed.
        originator: Originator,
        /// The status code.
        code: u16,
        /// Its phrase.
        reason: String,
        /// What was proposed.
        streams: Vec<StreamId>,
    },
    /// `SIPSessionHadProposalFailure` (SES-67).
    HadProposalFailure {
        /// Who proposed.
        originator: Originator,
        /// Why it failed, in words.
        failure_reason: String,
        /// What was proposed.
        streams: Vec<StreamId>,
    },
    /// `SIPInvitationGotSDPUpdate`: an exchange of offer and answer has come to its end (INV-14): the first one,
    /// and each in a re-INVITE or UPDATE of either side.
    GotSdpUpdate {
        /// Both sides have agreed.
        succeeded: bool,
        /// Why not.
        error: Option<String>,
        /// Our description, if both have agreed.
        local_sdp: Option<SdpText>,
        /// The peer's description, if both have agreed.
        remote_sdp: Option<SdpText>,
    },
    /// `SIPSessionDidProcessTransaction` (SES-69).
    DidProcessTransaction {
        /// Who sent the request.
        originator: Originator,
        /// Its method.
        method: String,
        /// The final status code.
        code: u16,
        /// Its phrase.
        reason: String,
        /// INVITE only: the ACK was seen.
        ack_received: Option<bool>,
    },
    /// `SIPSessionTransferNewIncoming`: the peer asks us to call somebody else; accept or reject (SES-73).
    TransferNewIncoming {
        /// Whom.
        transfer_destination: sip::Uri,
        /// Who asks.
        transfer_source: sip::Uri,
        /// On whose behalf, as Referred-By says it: untrusted.
        referred_by: Option<sip::Uri>,
        /// What the new call takes the place of, as Replaces has it.
        replaced_dialog_id: Option<String>,
    },
    /// `SIPSessionTransferNewOutgoing`: we ask the peer (SES-70).
    TransferNewOutgoing {
        /// Whom it shall call.
        transfer_destination: sip::Uri,
        /// Who asks.
        transfer_source: sip::Uri,
    },
    /// `SIPSessionTransferDidStart`: the peer, or the application, has accepted (SES-71).
    TransferDidStart,
    /// `SIPSessionTransferGotProgress`: the peer reports how its call fares (SES-73).
    TransferGotProgress {
        /// 100 to 699.
        code: u16,
        /// Its phrase, as it came.
        reason: String,
    },
    /// `SIPSessionTransferDidEnd`: the new call stands; this session ends (SES-73).
    TransferDidEnd,
    /// `SIPSessionTransferDidFail`: this session stays as it was (SES-72).
    TransferDidFail {
        /// The status code.
        code: u16,
        /// Its phrase.
        reason: String,
    },
    /// `SIPSessionChangedState` (SES-03).
    ChangedState {
        /// Before.
        prev_state: &'static str,
        /// Now.
        state: &'static str,
    },
}

/// What happens to a stream.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub enum StreamEvent {
    /// `MediaStreamDidInitialize` (STR-13).
    DidInitialize,
    /// `MediaStreamDidStart` (STR-13).
    DidStart,
    /// `MediaStreamDidFail` (STR-13).
    DidFail {
        /// Why.
        error: StreamError,
    },
    /// `MediaStreamWillEnd` (STR-13).
    WillEnd,
    /// `MediaStreamDidEnd`: last event of the stream (STR-13).
    DidEnd,
    /// `AudioStreamDidChangeHoldState` (AUS-17).
    DidChangeHoldState {
        /// Who changed it.
        originator: Originator,
        /// From the originator's point of view.
        on_hold: bool,
    },
    /// `AudioStreamDidChangeRTPParameters` (AUS-22).
    DidChangeRtpParameters,
    /// `RTPStreamDidEnableEncryption`: from here on nothing in the clear is sent or played.
    DidEnableEncryption {
        /// How keys were agreed on.
        method: KeyMethod,
        /// What protects (`AES_CM_128_HMAC_SHA1_80`).
        cipher: rtp::srtp::Profile,
        /// The keys stood in signalling that others than the next hop could read.
        keys_in_clear: bool,
    },
    /// `RTPStreamDidNotEnableEncryption`: it was wished for, and media are in the clear.
    DidNotEnableEncryption {
        /// Why.
        reason: &'static str,
    },
    /// `AudioStreamICENegotiationStateDidChange` (AUS-24, RTP-14).
    IceNegotiationStateDidChange {
        /// `new`, `gathering`, `gathered`, `running`, `completed` or `failed`.
        prev_state: String,
        /// The same.
        state: String,
    },
    /// `AudioStreamICENegotiationDidSucceed` (AUS-25, RTP-14).
    IceNegotiationDidSucceed {
        /// From the peer's description on, in seconds.
        duration: f64,
        /// The pairs that carry RTP and RTCP.
        chosen: Vec<IcePair>,
        /// All pairs, the best one first, with what became of each.
        checked: Vec<CheckedPair>,
    },
    /// `AudioStreamICENegotiationDidFail` (AUS-26, RTP-14): no pair works, or none any more.
    IceNegotiationDidFail {
        /// Why.
        reason: &'static str,
        /// All pairs, the best one first, with what became of each.
        checked: Vec<CheckedPair>,
    },
    /// `AudioStreamWillStartRecordingAudio` (AUS-18): whoever writes opens the file.
    WillStartRecordingAudio {
        /// The file, with its whole path.
        filename: String,
    },
    /// `AudioStreamDidStartRecordingAudio` (AUS-19).
    DidStartRecordingAudio {
        /// The file, with its whole path.
        filename: String,
    },
    /// `AudioStreamWillStopRecordingAudio` (AUS-20): whoever writes completes the file.
    WillStopRecordingAudio {
        /// The file, with its whole path.
        filename: String,
    },
    /// `AudioStreamDidStopRecordingAudio` (AUS-21).
    DidStopRecordingAudio {
        /// The file, with its whole path.
        filename: String,
    },
    /// The file cannot be written: there is no recording any more.
    RecordingAudioDidFail {
        /// The file, with its whole path.
        filename: String,
        /// Why.
        reason: String,
    },
    /// `AudioStreamGotDTMF` (AUS-23).
    GotDtmf {
        /// One of `0-9A-D*#`.
        digit: char,
    },
    /// `AudioStreamDidTimeout`: no RTP for the configured time (AUS-31).
    DidTimeout,
    /// `SIPSessionGotNoAudio`: nothing heard 5 s after the start (SES-74).
    GotNoAudio,
    /// Why nothing is heard although we send; follows [`GotNoAudio`](Self::GotNoAudio) and
    /// [`DidTimeout`](Self::DidTimeout).
    GotDiagnosis(rtp::Diagnosis),
    /// An event of an application's own stream.
    Custom(Arc<dyn CustomEvent>),
}

/// What happens to an OPTIONS request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub enum OptionsEvent {
    /// A final answer came.
    GotAnswer {
        /// The status code.
        code: u16,
        /// Its phrase.
        reason: String,
        /// What the peer is (Server or User-Agent).
        user_agent: Option<String>,
        /// The methods that it allows.
        allow: Vec<String>,
    },
    /// None came.
    DidFail {
        /// The internal code (408, 503).
        code: u16,
        /// Why, in words.
        reason: String,
    },
}

/// An event of an application's own stream: printable, comparable in a trace, writable as JSON.
pub trait CustomEvent: Any + fmt::Debug + Send + Sync {
    /// The name, as [`Event::name`] returns it.
    fn name(&self) -> &'static str;

    /// The data.
    fn data(&self) -> Value;
}

impl Serialize for dyn CustomEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.data().serialize(serializer)
    }
}
