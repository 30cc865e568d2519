//! Who is subscribed to an agent (SUB-09).

use crate::{
    agent::{Child, UserAgent},
    event::{Event, GotSubscribe, IncomingSubscriptionEvent, Particulars},
};
use sip::{
    AccountId, HeaderName, Headers, NotifierEvent, NotifierId, Status,
    usage::notifier::{IncomingSubscription, NotifierError, Reason, State},
};
use std::time::Instant;

impl UserAgent {
    /// Gives the endpoint a command.
    pub(in crate::agent) fn with_endpoint<R>(
        &mut self,
        act: impl FnOnce(&mut sip::Endpoint, Instant) -> R,
    ) -> R {
        let reply = act(&mut self.endpoint, self.now);
        self.touch(Child::Endpoint);
        reply
    }

    pub(super) fn apply_reject_subscription(
        &mut self,
        id: NotifierId,
        code: u16,
        reason: Option<&str>,
    ) -> Result<(), NotifierError> {
        let code = Status::new(code).ok_or(NotifierError::WrongStatus)?;
        let (reason, none) = (reason.map(str::to_owned), Headers::new());
        self.with_endpoint(|endpoint, now| {
            endpoint.reject_subscription(now, id, code, reason, &none)
        })
    }

    pub(in crate::agent) fn route_notifier(&mut self, id: NotifierId, event: NotifierEvent) {
        let told = match event {
            NotifierEvent::Incoming(incoming) => return self.got_subscribe(id, *incoming),
            NotifierEvent::StateChanged { prev, state } => {
                IncomingSubscriptionEvent::ChangedState {
                    prev_state: prev,
                    state,
                }
            }
            NotifierEvent::Refreshed { expires } => {
                IncomingSubscriptionEvent::GotRefreshingSubscribe { expires }
            }
            NotifierEvent::Notified { code, reason } if code.is_success() => {
                let code = code.code();
                IncomingSubscriptionEvent::NotifyDidSucceed { code, reason }
            }
            NotifierEvent::Notified { code, reason } => {
                let code = code.code();
                IncomingSubscriptionEvent::NotifyDidFail { code, reason }
            }
            NotifierEvent::Ended { cause } => IncomingSubscriptionEvent::DidEnd {
                end_reason: cause.to_string(),
            },
            // The endpoint knows no other.
            _ => return,
        };
        let is_over = matches!(told, IncomingSubscriptionEvent::DidEnd { .. });
        // Of one that was refused before it was told, nothing is told.
        if self.subscriptions.incoming.contains_key(&id) {
            self.notify(Event::IncomingSubscription(id, told));
        }
        if is_over {
            self.subscriptions.incoming.remove(&id);
            self.touch(Child::Accounts);
            self.touch(Child::Life);
        }
    }

    fn got_subscribe(&mut self, id: NotifierId, incoming: IncomingSubscription) {
        if !self.life.is_running() || self.is_congested {
            // RFC 3261, 21.5.4: without a time it is no better than a 500.
            let mut headers = Headers::new();
            headers.push(HeaderName::RetryAfter, RETRY_AFTER);
            let status = Status::SERVICE_UNAVAILABLE;
            // It has just come, and can be refused.
            let _ = self.with_endpoint(|endpoint, now| {
                endpoint.reject_subscription(now, id, status, None, &headers)
            });
            return;
        }
        let account = self.accounts.find(&incoming.request_uri);
        if let Some(known) = account
            && let Some(account) = self.accounts.account(known)
        {
            let credentials = account.credentials.clone();
            self.endpoint.set_notifier_account(id, known, credentials);
        }
        self.subscriptions.incoming.insert(id, account);
        let is_trusted = self.config.trusts(incoming.peer);
        let got = GotSubscribe {
            account,
            from_uri: incoming.from.uri,
            from_display_name: incoming.from.display.map(String::into_boxed_str),
            to_uri: incoming.to.uri,
            event: incoming.event,
            id: incoming.id,
            expires: incoming.expires,
            content: incoming.content,
            particulars: Particulars::of(incoming.caller, &incoming.headers, is_trusted),
        };
        let event = IncomingSubscriptionEvent::GotSubscribe(Box::new(got));
        self.notify(Event::IncomingSubscription(id, event));
    }

    /// Tells all who are subscribed where we are.
    pub(super) fn move_notifiers(&mut self) {
        for id in self.notifiers(|_| true) {
            // Who is not answered yet is told then.
            let _ = self.with_endpoint(|endpoint, now| endpoint.renew_notifier(now, id));
        }
    }

    /// Ends the subscriptions of peers to some accounts: they may try again later, when somebody is here.
    pub(super) fn leave_notifiers(&mut self, is_meant: impl Fn(Option<AccountId>) -> bool) {
        for id in self.notifiers(is_meant) {
            // What is over already needs no end.
            let _ = self.with_endpoint(|endpoint, now| match endpoint.notifier_state(id) {
                State::Incoming => {
                    let (status, none) = (Status::TEMPORARILY_UNAVAILABLE, Headers::new());
                    endpoint.reject_subscription(now, id, status, None, &none)
                }
                _ => endpoint.terminate_subscription(now, id, Reason::Probation, None),
            });
        }
    }

    fn notifiers(&self, is_meant: impl Fn(Option<AccountId>) -> bool) -> Vec<NotifierId> {
        let all = self.subscriptions.incoming.iter();
        let meant = all.filter(|(_, account)| is_meant(**account));
        meant.map(|(id, _)| *id).collect()
    }
}

/// Seconds until a peer may try again for whom we have no time: slow applications catch up.
const RETRY_AFTER: &str = "30";
