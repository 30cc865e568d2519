//! The subscriptions of an agent, and how they are found.

use super::Subscribe;
use crate::{
    account::{Subscribing, SubscribingDo},
    id::SubscriptionId,
};
use base::{Deadline, Table, Timers};
use sip::{AccountId, NotifierId};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

/// What an agent is subscribed to, and who is subscribed to it.
#[derive(Debug)]
pub(in crate::agent) struct Subscriptions {
    entries: Table<SubscriptionId, Entry>,
    /// By what subscribes for them at the moment.
    by_usage: BTreeMap<sip::SubscriptionId, SubscriptionId>,
    /// Those that have something to say.
    ready: BTreeSet<SubscriptionId>,
    timers: Timers<SubscriptionId>,
    /// Those of peers, and to which account.
    pub(super) incoming: BTreeMap<NotifierId, Option<AccountId>>,
}

/// A subscription of ours.
#[derive(Debug)]
pub(super) struct Entry {
    /// Who subscribes; `None` where the agent has no account.
    pub(super) account: Option<AccountId>,
    /// What to subscribe to; `None` for the part of another notifier in a forked one.
    pub(super) plan: Option<Box<Subscribe>>,
    /// Which one was forked.
    pub(super) of: Option<SubscriptionId>,
    /// What subscribes for it.
    usage: Option<sip::SubscriptionId>,
    policy: Subscribing,
}

impl Entry {
    pub(super) const fn new(
        account: Option<AccountId>,
        plan: Option<Box<Subscribe>>,
        of: Option<SubscriptionId>,
        policy: Subscribing,
    ) -> Self {
        Self {
            account,
            plan,
            of,
            usage: None,
            policy,
        }
    }
}

impl Subscriptions {
    pub(in crate::agent) const fn new() -> Self {
        Self {
            entries: Table::new(),
            by_usage: BTreeMap::new(),
            ready: BTreeSet::new(),
            timers: Timers::new(),
            incoming: BTreeMap::new(),
        }
    }

    /// How many are ours, those included that wait to be tried again.
    pub(in crate::agent) fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if nobody is subscribed to anything.
    pub(in crate::agent) fn is_at_rest(&self) -> bool {
        self.entries.is_empty() && self.incoming.is_empty()
    }

    /// True if an account is subscribed to anything, or anybody to it.
    pub(in crate::agent) fn is_of(&self, account: AccountId) -> bool {
        let mut ours = self.entries.iter().map(|(_, entry)| entry.account);
        ours.any(|of| of == Some(account)) || self.incoming.values().any(|of| *of == Some(account))
    }

    /// Adds one that `usage` subscribes for.
    pub(super) fn add(&mut self, mut entry: Entry, usage: sip::SubscriptionId) -> SubscriptionId {
        entry.usage = Some(usage);
        let id = self.entries.insert(entry);
        self.by_usage.insert(usage, id);
        self.ready.insert(id);
        id
    }

    pub(super) fn get(&self, id: SubscriptionId) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// For whom something subscribes.
    pub(super) fn of_usage(&self, usage: sip::SubscriptionId) -> Option<SubscriptionId> {
        self.by_usage.get(&usage).copied()
    }

    /// What subscribes for one.
    pub(super) fn usage(&self, id: SubscriptionId) -> Option<sip::SubscriptionId> {
        self.entries.get(id)?.usage
    }

    /// Says what subscribes for one; whatever did before is not listened to any more, and returned.
    pub(super) fn set_usage(
        &mut self,
        id: SubscriptionId,
        usage: Option<sip::SubscriptionId>,
    ) -> Option<sip::SubscriptionId> {
        let entry = self.entries.get_mut(id)?;
        let old = std::mem::replace(&mut entry.usage, usage);
        if let Some(old) = old {
            self.by_usage.remove(&old);
        }
        if let Some(usage) = usage {
            self.by_usage.insert(usage, id);
        }
        old
    }

    /// Lets the policy of one act; it may have something to say then.
    pub(super) fn with<R>(
        &mut self,
        id: SubscriptionId,
        act: impl FnOnce(&mut Subscribing) -> R,
    ) -> Option<R> {
        let reply = act(&mut self.entries.get_mut(id)?.policy);
        self.ready.insert(id);
        Some(reply)
    }

    /// All of which something is true.
    pub(super) fn ids(&self, is_meant: impl Fn(&Entry) -> bool) -> Vec<SubscriptionId> {
        let all = self.entries.iter();
        let meant = all.filter(|(_, entry)| is_meant(entry));
        meant.map(|(id, _)| id).collect()
    }

    pub(super) fn remove(&mut self, id: SubscriptionId) {
        self.set_usage(id, None);
        self.entries.remove(id);
        self.ready.remove(&id);
        self.timers.set(id, None);
    }

    /// What one of the policies wants, the oldest subscription first.
    pub(super) fn poll_output(&mut self) -> Option<(SubscriptionId, SubscribingDo)> {
        while let Some(&id) = self.ready.first() {
            if let Some(entry) = self.entries.get_mut(id) {
                if let Some(wanted) = entry.policy.poll_output() {
                    return Some((id, wanted));
                }
                self.timers.set(id, entry.policy.poll_timeout());
            }
            self.ready.remove(&id);
        }
        None
    }

    pub(in crate::agent) fn poll_timeout(&self) -> Option<Deadline> {
        self.timers.next()
    }

    pub(in crate::agent) fn handle_timeout(&mut self, now: Instant) {
        while let Some((id, _)) = self.timers.pop_due(now) {
            self.with(id, |policy| policy.handle_timeout(now));
        }
    }
}
