//! The verbs, one file each.

mod account;
pub(crate) mod answer;
pub(crate) mod bench;
pub(crate) mod call;
mod calls;
pub(crate) mod demo;
pub(crate) mod dns;
pub(crate) mod message;
pub(crate) mod nat;
pub(crate) mod options;
mod plan;
pub(crate) mod publish;
pub(crate) mod register;
pub(crate) mod replay;
mod standing;
pub(crate) mod subscribe;
pub(crate) mod tls;
