//! Dialogs and who shares them (RFC 5057): a call keeps the state of its own as long as it lives; that
//! of all others, and of those that outlive their call, stands here.

use super::{Endpoint, replaces::REMEMBERED};
use crate::{
    DialogId, InvitationId, Request, Response, Status,
    dialog::{Dialog, DialogKey, Impact, impact, is_target_refresh},
    id::{Party, UsageId},
    usage::{Ask, Progress, invitation::Invitation},
};
use base::Table;
use std::time::Instant;

/// A dialog, and whose it is.
#[derive(Debug, Default)]
pub(super) struct DialogEntry {
    /// What finds it, once it is made.
    pub(super) key: Option<DialogKey>,
    /// The call whose INVITE made it, which keeps its state.
    pub(super) call: Option<InvitationId>,
    /// Its state, if no call keeps it.
    pub(super) dialog: Option<Box<Dialog>>,
    /// All other usages, oldest first.
    pub(super) usages: Vec<UsageId>,
}

impl DialogEntry {
    /// The dialog of a call, or a place for it.
    pub(super) fn of_call(call: Option<InvitationId>) -> Self {
        Self {
            call,
            ..Self::default()
        }
    }
}

/// The state of a dialog, wherever it stands.
pub(super) fn state_of<'a>(
    dialogs: &'a mut Table<DialogId, DialogEntry>,
    invitations: &'a mut Table<InvitationId, Box<Invitation>>,
    id: DialogId,
) -> Option<&'a mut Dialog> {
    let entry = dialogs.get_mut(id)?;
    match entry.call {
        Some(call) => invitations.get_mut(call)?.dialog_mut(id),
        None => entry.dialog.as_deref_mut(),
    }
}

impl Endpoint {
    /// The state of a dialog, wherever it stands.
    pub(super) fn dialog_mut(&mut self, id: DialogId) -> Option<&mut Dialog> {
        state_of(&mut self.dialogs, &mut self.invitations, id)
    }

    /// The dialog that a request belongs to, by tags only (RFC 4916 lets URIs change).
    pub(super) fn dialog_of_request(&self, request: &Request) -> Option<DialogId> {
        self.by_tags.get(&DialogKey::of_request(request)?)
    }

    /// The dialog that a response belongs to.
    pub(super) fn dialog_of_response(&self, response: &Response) -> Option<DialogId> {
        self.by_tags.get(&DialogKey::of_response(response)?)
    }

    /// Enters a dialog that a usage has made.
    pub(super) fn insert_dialog(&mut self, dialog: Dialog, usage: Option<UsageId>) -> DialogId {
        let key = dialog.key();
        let id = self.dialogs.insert(DialogEntry {
            key: Some(key.clone()),
            call: None,
            dialog: Some(Box::new(dialog)),
            usages: usage.into_iter().collect(),
        });
        self.by_tags.insert(key, id);
        id
    }

    /// Lets a usage into a dialog.
    pub(super) fn join_dialog(&mut self, dialog: DialogId, usage: UsageId) {
        if let Some(entry) = self.dialogs.get_mut(dialog)
            && !entry.usages.contains(&usage)
        {
            entry.usages.push(usage);
        }
    }

    /// True if a usage has its place in a dialog, or can still get one: not in that of a call that is over.
    fn may_join(&self, dialog: DialogId, usage: UsageId) -> bool {
        self.dialogs.get(dialog).is_some_and(|entry| {
            let is_alive = |call| {
                let invitation = self.invitations.get(call);
                invitation.and_then(|call| call.live_dialog()) == Some(dialog)
            };
            entry.usages.contains(&usage) || entry.call.is_none_or(is_alive)
        })
    }

    /// A usage needs its dialog no more: with the last one it ends (RFC 6665, 4.5.2).
    pub(super) fn leave_dialog(&mut self, dialog: DialogId, usage: UsageId) {
        let Some(entry) = self.dialogs.get_mut(dialog) else {
            return;
        };
        entry.usages.retain(|id| *id != usage);
        if entry.usages.is_empty() && entry.call.is_none() {
            self.remove_dialog(dialog);
        }
    }

    /// A call needs its dialog no more: it ends, unless it is shared.
    pub(super) fn forget_dialog(&mut self, dialog: DialogId) {
        let Some(entry) = self.dialogs.get_mut(dialog) else {
            return;
        };
        let call = entry.call.take();
        if call.is_some()
            && let Some(key) = &entry.key
        {
            self.departed
                .note(self.now, self.now + REMEMBERED, key.clone());
        }
        let kept = call.and_then(|call| self.invitations.get(call)?.dialog(dialog));
        match kept.filter(|_| !entry.usages.is_empty()) {
            Some(kept) => entry.dialog = Some(Box::new(kept.clone())),
            None if entry.usages.is_empty() => self.remove_dialog(dialog),
            None => {}
        }
    }

    fn remove_dialog(&mut self, dialog: DialogId) {
        if let Some(entry) = self.dialogs.remove(dialog)
            && let Some(key) = entry.key
            && self.by_tags.get(&key) == Some(dialog)
        {
            self.by_tags.remove(&key);
        }
    }

    /// Numbers a request of a usage inside its dialog, and sends it.
    pub(super) fn start_inside(&mut self, now: Instant, id: UsageId, dialog: DialogId, ask: Ask) {
        let may_join = self.may_join(dialog, id);
        let state = self.dialog_mut(dialog).filter(|_| may_join);
        let made = state.and_then(|state| state.request(ask.method.clone()).ok());
        self.join_dialog(dialog, id);
        let Some(usage) = self.usages.get_mut(id) else {
            return;
        };
        // No number is left, or no dialog.
        let Some(made) = made else {
            usage.handle_dialog_gone();
            return self.leave_dialog(dialog, id);
        };
        if let Some((tag, draft)) = usage.start_inside(made, ask) {
            self.start_of_usage(now, id, tag, *draft);
        }
    }

    /// What a response to a request of ours means for its dialog and all who share it (RFC 5057, 5).
    pub(super) fn weigh_response(&mut self, now: Instant, party: Party, progress: &Progress<'_>) {
        let Progress::Response(response) = progress else {
            return;
        };
        let Ok(cseq) = response.headers.cseq() else {
            return;
        };
        let Some(dialog) = self.dialog_of_response(response) else {
            return;
        };
        if response.status.is_success() {
            // Calls take the target of their own responses.
            if matches!(party, Party::Usage(_))
                && is_target_refresh(&cseq.method)
                && let Some(state) = self.dialog_mut(dialog)
            {
                state.refresh_target(&response.headers);
            }
        } else if response.status.is_failure()
            && impact(&cseq.method, response.status) == Impact::Dialog
        {
            self.end_dialog(now, dialog, party, response.status);
        }
    }

    /// A dialog is no more: all who share it are over, apart from the one that has found it out.
    fn end_dialog(&mut self, now: Instant, dialog: DialogId, finder: Party, status: Status) {
        let Some(entry) = self.dialogs.get_mut(dialog) else {
            return;
        };
        let others: Vec<_> = entry
            .usages
            .iter()
            .copied()
            .filter(|id| Party::Usage(*id) != finder)
            .collect();
        entry.usages.retain(|id| Party::Usage(*id) == finder);
        let call = entry.call.filter(|id| Party::Invitation(*id) != finder);
        for id in others {
            if let Some(usage) = self.usages.get_mut(id) {
                usage.handle_dialog_gone();
            }
            self.touch_usage(id);
        }
        if let Some(id) = call
            && let Some(invitation) = self.invitations.get_mut(id)
        {
            invitation.handle_dialog_gone(now, dialog, status);
            self.touch(id);
        }
    }
}
