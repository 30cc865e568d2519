//! SIP as pure state machines: messages, transactions, dialogs, usages and the endpoint.

#![forbid(unsafe_code)]

mod id;

pub use id::{
    DialogId, FlowId, IdentityId, InvitationId, LookupError, LookupId, RequestId, TransactionId,
};
