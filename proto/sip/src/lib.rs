//! SIP as pure state machines: messages, transactions, dialogs, usages and the endpoint.

#![forbid(unsafe_code)]
