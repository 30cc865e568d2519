//! What is said of the end of a call.

use crate::event::Originator;
use sip::{
    header::{Item, Parse as _},
    usage::invitation::EndCause,
};
use std::borrow::Cow;

/// Why a call is over, in words: those of the peer, if it says any (INV-17; RFC 3326, 2), else our own.
pub(super) fn words(originator: Originator, cause: EndCause, reason: Option<&str>) -> String {
    let of_peer = matches!(
        cause,
        EndCause::Bye | EndCause::Cancelled | EndCause::Rejected
    );
    let said = reason.filter(|_| originator == Originator::Remote && of_peer);
    let item = said.and_then(|reason| Item::parse(reason.as_bytes()).ok());
    let text = item.and_then(|item| {
        let mut params = item.params.iter();
        let text = params.find(|param| param.name.eq_ignore_ascii_case("text"))?;
        text.text().map(Cow::into_owned)
    });
    text.unwrap_or_else(|| cause.to_string())
}
