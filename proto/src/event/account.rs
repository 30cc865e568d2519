//! What happens to accounts: registrations, publications and messages.

use super::{
    Hints, Particulars,
    fields::{fields, with_content},
};
use serde::Serialize;
use serde_json::Value;
use sip::{AccountId, Description, RegistrationId, Uri, usage::publication};
use std::net::SocketAddr;

/// What happens to an account (requirements 17).
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub enum AccountEvent {
    /// `SIPAccountWillRegister`: the first REGISTER, or the first after a failure, leaves (ACC-24).
    WillRegister,
    /// `SIPAccountRegistrationWillRefresh` (ACC-25).
    RegistrationWillRefresh,
    /// `SIPAccountRegistrationDidSucceed`, also on each refresh (ACC-26).
    RegistrationDidSucceed {
        /// Our Contact, as the registrar has it.
        contact_header: String,
        /// All bindings of the address of record.
        contact_header_list: Vec<String>,
        /// For how many seconds.
        expires: u64,
        /// Where the answer came from.
        registrar: Option<SocketAddr>,
        /// A URI that leads to this device only (ACC-38).
        public_gruu: Option<String>,
        /// One that tells nothing about us (ACC-38).
        temporary_gruu: Option<String>,
        /// Our other identities, the first of them the default one (RFC 7315, 4.1).
        associated_uris: Vec<String>,
    },
    /// `SIPAccountRegistrationDidFail` (ACC-27).
    RegistrationDidFail {
        /// Why, in words.
        error: String,
        /// The status code, or the one that stands for the lack of a response.
        code: u16,
        /// Our proof of identity is missing or was turned down.
        is_authentication: bool,
        /// When it is tried again, in seconds; `None` if it is not wanted any more.
        retry_after: Option<f64>,
    },
    /// `SIPAccountRegistrationFlowDidFail`: the registrar is not reached any more, or does not reach us;
    /// the account is registered anew (RFC 5626, 4.4 and 4.5).
    RegistrationFlowDidFail {
        /// Where it was.
        registrar: Option<SocketAddr>,
        /// When it is registered anew, in seconds.
        retry_after: f64,
    },
    /// `SIPAccountRegistrationDidEnd` (ACC-28).
    RegistrationDidEnd {
        /// Which.
        registration: RegistrationId,
    },
    /// `SIPAccountRegistrationDidNotEnd`: the binding will expire (ACC-29).
    RegistrationDidNotEnd {
        /// The status code.
        code: u16,
        /// Its phrase.
        reason: String,
        /// Which.
        registration: RegistrationId,
    },
    /// `SIPAccountRegistrationGotAnswer`: every final response (ACC-30).
    RegistrationGotAnswer {
        /// The status code.
        code: u16,
        /// Its phrase.
        reason: String,
        /// Which.
        registration: RegistrationId,
        /// From where.
        registrar: Option<SocketAddr>,
    },
}

impl AccountEvent {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::WillRegister => "SIPAccountWillRegister",
            Self::RegistrationWillRefresh => "SIPAccountRegistrationWillRefresh",
            Self::RegistrationDidSucceed { .. } => "SIPAccountRegistrationDidSucceed",
            Self::RegistrationDidFail { .. } => "SIPAccountRegistrationDidFail",
            Self::RegistrationFlowDidFail { .. } => "SIPAccountRegistrationFlowDidFail",
            Self::RegistrationDidEnd { .. } => "SIPAccountRegistrationDidEnd",
            Self::RegistrationDidNotEnd { .. } => "SIPAccountRegistrationDidNotEnd",
            Self::RegistrationGotAnswer { .. } => "SIPAccountRegistrationGotAnswer",
        }
    }
}

/// What happens to something that an account publishes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub enum PublicationEvent {
    /// `SIPPublicationChangedState` (PUB-05).
    ChangedState {
        /// Now.
        state: publication::State,
        /// The final response that caused it, if one did.
        code: Option<u16>,
        /// Its phrase.
        reason: Option<String>,
        /// What it says besides, if it refuses and says more.
        hints: Option<Box<Hints>>,
    },
}

/// What happens to a message outside of sessions.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub enum MessageEvent {
    /// `SIPEngineGotMessage`: a peer sent one (ENG-43).
    GotMessage(Box<GotMessage>),
    /// `SIPEngineGotMessageResponse`: ours has its result (ENG-44).
    GotResponse {
        /// To whom it was.
        to_uri: Uri,
        /// The status code, or the one that stands for the lack of a response.
        code: u16,
        /// Its phrase, or why in words.
        reason: String,
        /// What a response that refuses it says besides, if it says more.
        hints: Option<Box<Hints>>,
    },
}

/// A message of a peer.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct GotMessage {
    /// For whom; `None` where the agent has no account.
    pub account: Option<AccountId>,
    /// Who wrote it, as they say.
    pub from_uri: Uri,
    /// The name beside it.
    pub from_display_name: Option<Box<str>>,
    /// To whom.
    pub to_uri: Uri,
    /// The content with its whole media type (BUG-05); `None` if it is empty.
    pub content: Option<Description>,
    /// What else it says of who sends it.
    #[serde(flatten)]
    pub particulars: Box<Particulars>,
}

impl MessageEvent {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::GotMessage(_) => "SIPEngineGotMessage",
            Self::GotResponse { .. } => "SIPEngineGotMessageResponse",
        }
    }

    pub(super) fn data(&self) -> Value {
        let mut data = fields(self);
        if let (Self::GotMessage(message), Value::Object(data)) = (self, &mut data) {
            with_content(data, message.content.as_ref());
        }
        data
    }
}
