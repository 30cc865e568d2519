//! The verbs, one file each.

pub(crate) mod answer;
pub(crate) mod call;
mod calls;
pub(crate) mod demo;
pub(crate) mod options;
mod plan;
pub(crate) mod replay;
mod standing;
