//! What the usages of one account share: the realms of its servers.
//!
//! Each usage has a keyring of its own. Before one is asked to answer a challenge it is told what the
//! others have learnt, and afterwards it tells them: what `*` stands for is learnt by the registrar,
//! and known to calls and messages when it matters.

use super::Endpoint;
use crate::{AccountId, auth::Keyring, id::Party, usage::AnyUsage};

impl Endpoint {
    /// Forgets what is known of an account's realms: it is gone, or has moved to other servers.
    pub fn forget_account(&mut self, account: AccountId) {
        self.realms.remove(&account);
    }

    /// Brings a usage and its account to the same knowledge.
    pub(super) fn share_realms(&mut self, party: Party) {
        let Some((account, keyring)) = self.keyring_of(party) else {
            return;
        };
        let mut known = keyring.realms().clone();
        let shared = self.realms.entry(account).or_default();
        if *shared == known {
            return;
        }
        shared.merge(&known);
        known.clone_from(shared);
        if let Some((_, keyring)) = self.keyring_of(party) {
            keyring.merge(&known);
        }
    }

    fn keyring_of(&mut self, party: Party) -> Option<(AccountId, &mut Keyring)> {
        match party {
            Party::Invitation(id) => self.invitations.get_mut(id)?.keyring(),
            Party::Usage(id) => self
                .usages
                .get_mut(id)
                .and_then(AnyUsage::exchange)?
                .keyring(),
        }
    }
}
