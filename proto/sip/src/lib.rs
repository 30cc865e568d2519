//! SIP as pure state machines: messages, transactions, dialogs, usages and the endpoint.

#![forbid(unsafe_code)]

mod answer;
mod attempt;
pub mod auth;
mod capability;
pub mod config;
pub mod dialog;
pub mod endpoint;
pub mod error;
pub mod header;
pub mod headers;
mod id;
pub mod message;
pub mod method;
mod nat;
pub mod offer_answer;
pub mod refresh;
mod reliable;
mod serial;
pub mod status;
pub mod transaction;
pub mod uri;
pub mod usage;

pub use config::Config;
pub use endpoint::{Endpoint, Event, Input, Output};
pub use error::{ErrorKind, ParseError};
pub use header::{HeaderName, Name};
pub use headers::{Field, Headers};
pub use id::{
    AccountId, DialogId, FlowId, IdentityId, IncomingReferralId, InvitationId, LookupError,
    LookupId, MessageId, NotifierId, PublicationId, ReferralId, RegistrationId, RequestId,
    SubscriptionId, TransactionId,
};
pub use message::{Description, Message, Request, Response};
pub use method::Method;
pub use status::Status;
pub use uri::{SipUri, Uri, UriRef};
pub use usage::{
    Failed,
    invitation::{InfoRequest, InvitationEvent, Invite, RedirectTarget},
    message::{MessageEvent, SendMessage},
    notifier::{NotifierEvent, Package},
    options::{Options, OptionsEvent},
    publication::{Publication, PublicationEvent},
    referral::{IncomingReferralEvent, Refer, ReferralEvent},
    registration::{Registration, RegistrationEvent},
    subscription::{Subscribe, SubscriptionEvent},
};
