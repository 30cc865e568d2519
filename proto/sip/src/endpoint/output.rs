//! What an [`Endpoint`](crate::Endpoint) says: messages for flows, questions, and events.

use crate::{
    FlowId, IdentityId, IncomingReferralId, InvitationId, LookupId, MessageId, Method, NotifierId,
    ParseError, PublicationId, ReferralId, RegistrationId, RequestId, SubscriptionId, Uri,
    auth::Refusal,
    config::Pulse,
    usage::{
        invitation::InvitationEvent,
        message::MessageEvent,
        notifier::NotifierEvent,
        options::OptionsEvent,
        publication::PublicationEvent,
        referral::{IncomingReferralEvent, ReferralEvent},
        registration::RegistrationEvent,
        subscription::SubscriptionEvent,
    },
};
use base::Target;
use bytes::Bytes;
use serde::Serialize;
use std::net::SocketAddr;

/// Everything that an endpoint wants from outside, in the order of its causes.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Output {
    /// Carry `message` to `to`. On a connection `to` is its peer.
    Send {
        /// The way.
        flow: FlowId,
        /// The receiver.
        to: SocketAddr,
        /// One whole message.
        message: Bytes,
    },
    /// Find out where `uri` is (RFC 3263, 4); answered by `Input::Resolved`. Numeric hosts are asked,
    /// too: transport and port are the resolver's to choose.
    Resolve {
        /// The question.
        lookup: LookupId,
        /// Whom to find. Its `transport` parameter, port and scheme are the resolver's input.
        uri: Uri,
    },
    /// Open a way to `target`; answered by `FlowUp` or `FlowDown`.
    Connect {
        /// The id that the way will have.
        flow: FlowId,
        /// Where to, how, and which name a certificate must prove.
        target: Target,
        /// Whose certificate to show.
        identity: Option<IdentityId>,
    },
    /// Keep the way to `to` open, and say when it is dead: by `FlowDown` of a connection, by `FlowFailed`
    /// of a peer of datagrams (RFC 5626, 4.4). It replaces what was said of this way before.
    KeepAlive {
        /// The connection, or the socket.
        flow: FlowId,
        /// The peer.
        to: SocketAddr,
        /// How; `None` ends it.
        pulse: Option<Pulse>,
    },
    /// The endpoint needs this flow no more: close it. No `FlowDown` is expected.
    Release {
        /// Which.
        flow: FlowId,
    },
    /// Something happened.
    Event(Event),
}

/// What an application hears from an endpoint.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub enum Event {
    /// A call moved on.
    Invitation(InvitationId, InvitationEvent),
    /// An OPTIONS request of ours came to its end; its id is dead from then on.
    Options(RequestId, OptionsEvent),
    /// A registration moved on.
    Registration(RegistrationId, RegistrationEvent),
    /// A publication moved on.
    Publication(PublicationId, PublicationEvent),
    /// A message came, or ours came to its end; its id is dead when it is answered, or ended.
    Message(MessageId, MessageEvent),
    /// A challenge was not answered, and its request has failed; or a success is not to be believed.
    NotAuthenticated {
        /// The method of the request.
        method: Method,
        /// Its Request-URI.
        uri: Uri,
        /// Why.
        why: Refusal,
    },
    /// A subscription of ours moved on.
    Subscription(SubscriptionId, SubscriptionEvent),
    /// A subscription of a peer moved on.
    Notifier(NotifierId, NotifierEvent),
    /// A REFER of ours moved on.
    Referral(ReferralId, ReferralEvent),
    /// A REFER of a peer moved on.
    IncomingReferral(IncomingReferralId, IncomingReferralEvent),
    /// A message was answered or dropped without reaching anybody, and why: for logs and counters.
    Dropped {
        /// The flow that it came in by.
        flow: FlowId,
        /// Who sent it.
        from: SocketAddr,
        /// Why it went no further.
        why: Dropped,
    },
}

/// Why a message reached nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub enum Dropped {
    /// It is no SIP, or wrong SIP; answered if that was possible.
    Malformed(ParseError),
    /// A response to nothing that we sent, or not to us.
    StrayResponse,
    /// An ACK for nothing.
    StrayAck,
    /// It came by a flow that is unknown or gone.
    UnknownFlow,
}
