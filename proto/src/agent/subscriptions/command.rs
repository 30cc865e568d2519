//! What the application can ask about subscriptions.

use crate::{
    agent::{
        Command, Subscribe, SubscribeError, SubscriptionCommand, SubscriptionError, UserAgent,
    },
    id::SubscriptionId,
};
use sip::{
    Description, NotifierId, Package,
    usage::notifier::{NotifierError, PackageError, Reason},
};
use std::time::Instant;

impl UserAgent {
    /// Subscribes to somebody's state (SUB-01, SUB-03), as an account or as the default one, and keeps it
    /// subscribed until [`unsubscribe`](Self::unsubscribe): it is renewed in time, and made anew, also from
    /// another address, when it was refused or has ended, as the notifier's reason and ACC-39 say. Told by
    /// events of the subscription.
    ///
    /// # Errors
    ///
    /// See [`SubscribeError`].
    pub fn subscribe(
        &mut self,
        now: Instant,
        subscribe: Subscribe,
    ) -> Result<SubscriptionId, SubscribeError> {
        let command = |subscribe: &Subscribe| {
            let subscribe = Box::new(subscribe.clone());
            Command::Subscription(SubscriptionCommand::Subscribe(subscribe))
        };
        self.perform(now, command, subscribe, Self::apply_subscribe)
    }

    /// Renews a subscription at once, or, if it waits to be tried again, tries it.
    ///
    /// # Errors
    ///
    /// It is unknown, has no answer yet, or is being ended (SUB-05).
    pub fn renew_subscription(
        &mut self,
        now: Instant,
        subscription: SubscriptionId,
    ) -> Result<(), SubscriptionError> {
        let command = |_: &()| Command::Subscription(SubscriptionCommand::Renew { subscription });
        self.perform(now, command, (), |agent, ()| {
            agent.apply_renew_subscription(subscription)
        })
    }

    /// Ends a subscription (SUB-04): told by `WillEnd`, a last report, and `DidEnd`.
    ///
    /// # Errors
    ///
    /// It is unknown, or is being ended (SUB-05).
    pub fn unsubscribe(
        &mut self,
        now: Instant,
        subscription: SubscriptionId,
    ) -> Result<(), SubscriptionError> {
        let command =
            |_: &()| Command::Subscription(SubscriptionCommand::Unsubscribe { subscription });
        self.perform(now, command, (), |agent, ()| {
            agent.apply_unsubscribe(subscription)
        })
    }

    /// Reports on an event package from here on (ENG-30, SUB-09): who subscribes to it is told by
    /// `GotSubscribe`; for others stays 489 (ENG-47).
    ///
    /// # Errors
    ///
    /// See [`PackageError`].
    pub fn add_package(&mut self, now: Instant, package: Package) -> Result<(), PackageError> {
        let command = |package: &Package| {
            Command::Subscription(SubscriptionCommand::AddPackage(package.clone()))
        };
        self.perform(now, command, package, |agent, package| {
            agent.endpoint.add_package(package)
        })
    }

    /// Reports on a package no more (BUG-21); the subscriptions that there are go on. False if there was
    /// none of that name.
    pub fn remove_package(&mut self, now: Instant, name: &str) -> bool {
        let command = |_: &()| {
            let name = name.to_owned();
            Command::Subscription(SubscriptionCommand::RemovePackage { name })
        };
        self.perform(now, command, (), |agent, ()| {
            agent.endpoint.remove_package(name)
        })
    }

    /// Grants a subscription of a peer, with the state to tell it (SUB-09).
    ///
    /// # Errors
    ///
    /// It is unknown, granted already, or over.
    pub fn accept_subscription(
        &mut self,
        now: Instant,
        subscription: NotifierId,
        content: Option<Description>,
    ) -> Result<(), NotifierError> {
        let command = |content: &Option<Description>| {
            let content = content.clone();
            Command::Subscription(SubscriptionCommand::Accept {
                subscription,
                content,
            })
        };
        self.perform(now, command, content, |agent, content| {
            agent.with_endpoint(|endpoint, now| {
                endpoint.accept_subscription(now, subscription, content)
            })
        })
    }

    /// Leaves a subscription of a peer undecided: it is told `pending`.
    ///
    /// # Errors
    ///
    /// It is unknown, or answered already.
    pub fn pend_subscription(
        &mut self,
        now: Instant,
        subscription: NotifierId,
    ) -> Result<(), NotifierError> {
        let command = |_: &()| Command::Subscription(SubscriptionCommand::Pend { subscription });
        self.perform(now, command, (), |agent, ()| {
            agent.with_endpoint(|endpoint, now| endpoint.pend_subscription(now, subscription))
        })
    }

    /// Refuses a subscription of a peer: by the status code, 300 to 699, or, once it is pending, by a
    /// last report that says `rejected`.
    ///
    /// # Errors
    ///
    /// It is unknown, granted or over, or the code refuses nothing.
    pub fn reject_subscription(
        &mut self,
        now: Instant,
        subscription: NotifierId,
        code: u16,
        reason: Option<&str>,
    ) -> Result<(), NotifierError> {
        let command = |_: &()| {
            let reason = reason.map(str::to_owned);
            Command::Subscription(SubscriptionCommand::Reject {
                subscription,
                code,
                reason,
            })
        };
        self.perform(now, command, (), |agent, ()| {
            agent.apply_reject_subscription(subscription, code, reason)
        })
    }

    /// Tells a peer the state that it has subscribed to. While a report is not answered, the latest state
    /// waits.
    ///
    /// # Errors
    ///
    /// The subscription is unknown, not answered yet, or over.
    pub fn notify_subscriber(
        &mut self,
        now: Instant,
        subscription: NotifierId,
        content: Option<Description>,
    ) -> Result<(), NotifierError> {
        let command = |content: &Option<Description>| {
            let content = content.clone();
            Command::Subscription(SubscriptionCommand::Notify {
                subscription,
                content,
            })
        };
        self.perform(now, command, content, |agent, content| {
            agent.with_endpoint(|endpoint, now| endpoint.notify(now, subscription, content))
        })
    }

    /// Ends a subscription of a peer by a last report with the latest state (RFC 6665, 4.1.3).
    /// `retry_after` is in seconds.
    ///
    /// # Errors
    ///
    /// It is unknown, not answered yet, or over.
    pub fn terminate_subscription(
        &mut self,
        now: Instant,
        subscription: NotifierId,
        reason: Reason,
        retry_after: Option<u32>,
    ) -> Result<(), NotifierError> {
        let command = |_: &()| {
            Command::Subscription(SubscriptionCommand::Terminate {
                subscription,
                reason,
                retry_after,
            })
        };
        self.perform(now, command, (), |agent, ()| {
            agent.with_endpoint(|endpoint, now| {
                endpoint.terminate_subscription(now, subscription, reason, retry_after)
            })
        })
    }

    /// Gives a recorded command again; what came back from it shows in the outputs.
    pub(in crate::agent) fn repeat_subscription(
        &mut self,
        now: Instant,
        command: SubscriptionCommand,
    ) {
        match command {
            SubscriptionCommand::Subscribe(subscribe) => drop(self.subscribe(now, *subscribe)),
            SubscriptionCommand::Renew { subscription } => {
                let _ = self.renew_subscription(now, subscription);
            }
            SubscriptionCommand::Unsubscribe { subscription } => {
                let _ = self.unsubscribe(now, subscription);
            }
            SubscriptionCommand::AddPackage(package) => {
                let _ = self.add_package(now, package);
            }
            SubscriptionCommand::RemovePackage { name } => {
                self.remove_package(now, &name);
            }
            SubscriptionCommand::Accept {
                subscription,
                content,
            } => {
                let _ = self.accept_subscription(now, subscription, content);
            }
            SubscriptionCommand::Pend { subscription } => {
                let _ = self.pend_subscription(now, subscription);
            }
            SubscriptionCommand::Reject {
                subscription,
                code,
                reason,
            } => {
                let _ = self.reject_subscription(now, subscription, code, reason.as_deref());
            }
            SubscriptionCommand::Notify {
                subscription,
                content,
            } => {
                let _ = self.notify_subscriber(now, subscription, content);
            }
            SubscriptionCommand::Terminate {
                subscription,
                reason,
                retry_after,
            } => {
                let _ = self.terminate_subscription(now, subscription, reason, retry_after);
            }
        }
    }
}
