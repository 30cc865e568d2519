//! What is said of the end of a call.

use crate::event::Originator;
use sip::{HeaderName, Headers, header::Reason, usage::invitation::EndCause};

/// Why a call is over, in words: those of the peer, if it says any (INV-17; RFC 3326, 2), else our own.
pub(super) fn words(originator: Originator, cause: EndCause, reason: Option<&str>) -> String {
    let of_peer = matches!(
        cause,
        EndCause::Bye | EndCause::Cancelled | EndCause::Rejected
    );
    let said = reason.filter(|_| originator == Originator::Remote && of_peer);
    let text = said.and_then(|said| {
        let mut headers = Headers::new();
        headers.push(HeaderName::Reason, said);
        let mut reasons = headers.list::<Reason>(HeaderName::Reason).flatten();
        reasons.find_map(|reason| reason.text)
    });
    text.unwrap_or_else(|| cause.to_string())
}
