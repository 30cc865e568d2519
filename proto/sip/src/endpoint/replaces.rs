//! INVITE with Replaces: which call it takes the place of (RFC 3891, 3).

use super::Endpoint;
use crate::{
    HeaderName, Headers, InvitationId, Status,
    dialog::DialogKey,
    header::{Parse as _, Replaces},
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The dialogs of calls that have ended a moment ago: who wants to replace one of them is declined,
/// and does not ring (RFC 3891, 3). Bounded by their number and by their age; what has aged goes with the
/// next that comes.
#[derive(Debug, Default)]
pub(super) struct Departed(VecDeque<(Instant, DialogKey)>);

impl Departed {
    /// Remembers a dialog until `until`.
    pub(super) fn note(&mut self, now: Instant, until: Instant, key: DialogKey) {
        while self.0.len() >= MAX_DEPARTED || self.0.front().is_some_and(|(at, _)| *at <= now) {
            self.0.pop_front();
        }
        self.0.push_back((until, key));
    }

    fn contains(&self, now: Instant, key: &DialogKey) -> bool {
        let mut alive = self.0.iter().filter(|(until, _)| *until > now);
        alive.any(|(_, departed)| departed == key)
    }
}

impl Endpoint {
    /// The call that an INVITE takes the place of; `None` if it wants none.
    ///
    /// # Errors
    ///
    /// The status that refuses it (XFR-07).
    pub(super) fn call_to_replace(
        &self,
        now: Instant,
        headers: &Headers,
    ) -> Result<Option<InvitationId>, Status> {
        let mut all = headers.get_all(HeaderName::Replaces);
        let Some(first) = all.next() else {
            return Ok(None);
        };
        // RFC 3891, 3: one, and nothing that contradicts it, as Join does (RFC 3911, 4).
        if all.next().is_some() || headers.contains(HeaderName::Join) {
            return Err(Status::BAD_REQUEST);
        }
        let replaces = Replaces::parse(first).map_err(|_| Status::BAD_REQUEST)?;
        let keys = keys_of(&replaces);
        let mut found = keys.iter().filter_map(|key| self.by_tags.get(key));
        let dialog = match (found.next(), found.next()) {
            (Some(dialog), None) => Some(dialog),
            // RFC 3891, 3: more than one is as good as none.
            (_, Some(_)) => return Err(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
            (None, None) => None,
        };
        let entry = dialog.and_then(|dialog| Some((dialog, self.dialogs.get(dialog)?.call?)));
        let call = entry.and_then(|(dialog, id)| Some((dialog, id, self.invitations.get(id)?)));
        match call {
            Some((dialog, id, invitation)) => {
                invitation.check_replaceable(dialog, replaces.early_only)?;
                Ok(Some(id))
            }
            None if keys.iter().any(|key| self.departed.contains(now, key)) => Err(Status::DECLINE),
            // Nor may the dialog of a subscription be replaced.
            None => Err(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
        }
    }

    /// Ends a call whose place another one has taken: BYE, or CANCEL (RFC 3891, 3).
    pub(super) fn end_replaced(&mut self, now: Instant, id: InvitationId) {
        if let Some(invitation) = self.invitations.get_mut(id) {
            invitation.give_way(now);
            self.touch(id);
        }
    }
}

/// The dialogs that may be meant. The tags are those of a request to us.
fn keys_of(replaces: &Replaces<'_>) -> Vec<DialogKey> {
    let key = |tag| DialogKey::new(replaces.call_id, replaces.to_tag, tag);
    match replaces.from_tag {
        // RFC 3891, 6.1: matches the null tag of a peer of RFC 2543, and the tag zero.
        NO_TAG => vec![key(None), key(Some(NO_TAG))],
        tag => vec![key(Some(tag))],
    }
}

/// How long an ended call is remembered: as long as a request may be under way that began before the
/// end (RFC 3261, 17.1.1.2: 64·T1).
pub(super) const REMEMBERED: Duration = Duration::from_secs(32);
/// At 10 calls that end in a second, those of the last six; each takes some 100 bytes.
const MAX_DEPARTED: usize = 64;
/// RFC 3891, 6.1: a peer that gave no tag.
pub(super) const NO_TAG: &str = "0";
