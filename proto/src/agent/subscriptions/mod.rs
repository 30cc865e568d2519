//! What an agent is subscribed to (requirements 30).

mod command;
mod incoming;
mod table;

pub(super) use table::Subscriptions;

use super::{Child, Subscribe, SubscribeError, SubscriptionError, UserAgent, accounts::Profile};
use crate::{
    account::{Subscribing, SubscribingDo},
    event::Event,
    id::SubscriptionId,
};
use base::scan::is_token;
use sip::{AccountId, header::Address};
use std::net::IpAddr;
use table::Entry;

impl UserAgent {
    pub(super) fn apply_subscribe(
        &mut self,
        subscribe: Subscribe,
    ) -> Result<SubscriptionId, SubscribeError> {
        if !self.life.is_running() {
            return Err(SubscribeError::NotRunning);
        }
        if self.subscriptions.len() >= self.config.limits.subscriptions {
            return Err(SubscribeError::TooMany);
        }
        let (account, usage) = self.send_subscribe(&subscribe)?;
        let is_kept = !subscribe.expires.is_zero();
        let policy = Subscribing::new(is_kept, &mut self.rng);
        let entry = Entry::new(account, Some(Box::new(subscribe)), None, policy);
        self.touch(Child::Subscriptions);
        Ok(self.subscriptions.add(entry, usage))
    }

    /// Subscribes, for the first time or anew.
    fn send_subscribe(
        &mut self,
        subscribe: &Subscribe,
    ) -> Result<(Option<AccountId>, sip::SubscriptionId), SubscribeError> {
        let profile = self.accounts.profile(subscribe.account);
        let profile = profile.ok_or(SubscribeError::UnknownAccount)?;
        let local = self.local_address_for(self.address_of(&profile, &subscribe.to));
        let account = profile.id;
        let plan = plan_of(&profile, subscribe, local)?;
        let usage = self.endpoint.subscribe(self.now, plan)?;
        self.touch(Child::Endpoint);
        Ok((account, usage))
    }

    pub(super) fn apply_renew_subscription(
        &mut self,
        id: SubscriptionId,
    ) -> Result<(), SubscriptionError> {
        self.ask_subscription(id, Subscribing::renew)
    }

    pub(super) fn apply_unsubscribe(
        &mut self,
        id: SubscriptionId,
    ) -> Result<(), SubscriptionError> {
        self.ask_subscription(id, Subscribing::unsubscribe)?;
        self.leave_forks(id);
        Ok(())
    }

    fn ask_subscription(
        &mut self,
        id: SubscriptionId,
        ask: impl FnOnce(&mut Subscribing) -> bool,
    ) -> Result<(), SubscriptionError> {
        self.touch(Child::Subscriptions);
        match self.subscriptions.with(id, ask) {
            Some(true) => Ok(()),
            Some(false) => Err(SubscriptionError::WrongState),
            None => Err(SubscriptionError::Unknown),
        }
    }

    /// Our address is another: notifiers must know, and who is subscribed to us.
    pub(super) fn move_subscriptions(&mut self) {
        for id in self.subscriptions.ids(|_| true) {
            self.subscriptions.with(id, Subscribing::move_on);
        }
        self.move_notifiers();
        self.touch(Child::Subscriptions);
    }

    /// Ends those of some accounts, ours and those of peers.
    pub(super) fn leave_subscriptions(&mut self, is_meant: impl Fn(Option<AccountId>) -> bool) {
        for id in self.subscriptions.ids(|entry| is_meant(entry.account)) {
            self.subscriptions.with(id, Subscribing::unsubscribe);
        }
        self.leave_notifiers(is_meant);
        self.touch(Child::Subscriptions);
    }

    fn leave_forks(&mut self, id: SubscriptionId) {
        for fork in self.subscriptions.ids(|entry| entry.of == Some(id)) {
            self.subscriptions.with(fork, Subscribing::unsubscribe);
        }
    }

    pub(super) fn subscriptions_timeout(&mut self) {
        self.subscriptions.handle_timeout(self.now);
    }

    /// Does one thing that the policies want; `None` if there was none.
    pub(super) fn drain_subscriptions(&mut self) -> Option<()> {
        let (id, wanted) = self.subscriptions.poll_output()?;
        match wanted {
            SubscribingDo::Tell(event) => self.notify(Event::Subscription(id, event)),
            SubscribingDo::Subscribe => self.subscribe_anew(id),
            SubscribingDo::Renew => {
                let usage = self.subscriptions.usage(id);
                let renewed = usage.map(|usage| self.endpoint.renew(self.now, usage));
                // Without a dialog its reports would go to where we were.
                if !matches!(renewed, Some(Ok(()))) {
                    self.subscribe_anew(id);
                }
                self.touch(Child::Endpoint);
            }
            SubscribingDo::Unsubscribe => {
                if let Some(usage) = self.subscriptions.usage(id) {
                    // What is over already tells so.
                    let _ = self.endpoint.unsubscribe(self.now, usage);
                }
                self.touch(Child::Endpoint);
            }
            SubscribingDo::Forget => {
                self.subscriptions.remove(id);
                self.touch(Child::Accounts);
                self.touch(Child::Life);
            }
        }
        Some(())
    }

    /// Subscribes in the place of what did so before. The parts of further notifiers end: the new one may
    /// be forked to them again.
    fn subscribe_anew(&mut self, id: SubscriptionId) {
        let entry = self.subscriptions.get(id);
        // The part of another notifier is made by it.
        let Some(plan) = entry.and_then(|entry| entry.plan.clone()) else {
            return;
        };
        if let Some(old) = self.subscriptions.set_usage(id, None) {
            // Over or not, nobody listens to it.
            let _ = self.endpoint.unsubscribe(self.now, old);
            self.touch(Child::Endpoint);
        }
        self.leave_forks(id);
        match self.send_subscribe(&plan) {
            Ok((_, usage)) => drop(self.subscriptions.set_usage(id, Some(usage))),
            // Its account is gone, or we are about to be.
            Err(error) => {
                let error = error.to_string();
                self.subscriptions.with(id, |policy| policy.give_up(error));
            }
        }
    }

    pub(super) fn route_subscription(
        &mut self,
        usage: sip::SubscriptionId,
        event: sip::SubscriptionEvent,
    ) {
        self.touch(Child::Subscriptions);
        if let sip::SubscriptionEvent::Forked { of } = event {
            return self.subscription_forked(usage, of);
        }
        // What was replaced has nothing to say.
        if let Some(id) = self.subscriptions.of_usage(usage) {
            if matches!(event, sip::SubscriptionEvent::Ended { .. }) {
                self.subscriptions.set_usage(id, None);
            }
            let now = self.now;
            self.subscriptions
                .with(id, |policy| policy.handle_event(now, event));
        }
    }

    fn subscription_forked(&mut self, usage: sip::SubscriptionId, of: sip::SubscriptionId) {
        let of = self.subscriptions.of_usage(of);
        let Some((of, entry)) = of.and_then(|of| Some((of, self.subscriptions.get(of)?))) else {
            // Nobody wants it: that what was forked is not listened to any more.
            let _ = self.endpoint.unsubscribe(self.now, usage);
            return self.touch(Child::Endpoint);
        };
        let account = entry.account;
        let policy = Subscribing::fork(of, &mut self.rng);
        self.subscriptions
            .add(Entry::new(account, None, Some(of), policy), usage);
    }
}

/// The SUBSCRIBE of a subscription.
fn plan_of(
    profile: &Profile<'_>,
    subscribe: &Subscribe,
    local: IpAddr,
) -> Result<sip::Subscribe, SubscribeError> {
    let to = Address::new(subscribe.to.clone());
    let mut plan = sip::Subscribe::new(profile.identity(local), to, subscribe.event.as_str());
    plan.route = profile.route();
    plan.credentials.clone_from(&profile.account.credentials);
    plan.account = profile.id;
    plan.id.clone_from(&subscribe.id);
    plan.accept.clone_from(&subscribe.accept);
    plan.expires = u32::try_from(subscribe.expires.as_secs()).unwrap_or(u32::MAX);
    plan.event_list = subscribe.event_list;
    plan.body.clone_from(&subscribe.content);
    for (name, value) in &subscribe.headers {
        let is_header = !name.is_empty() && name.bytes().all(is_token);
        if !is_header || value.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(SubscribeError::Header(name.clone()));
        }
        plan.headers.push(name.as_str(), value.as_str());
    }
    Ok(plan)
}
