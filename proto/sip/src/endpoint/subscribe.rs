//! What an application can ask about subscriptions and referrals.

use super::{Endpoint, replaces::NO_TAG, settle::named};
use crate::auth::Credentials;
use crate::{
    AccountId, DialogId, HeaderName, Headers, IncomingReferralId, InvitationId, NotifierId,
    ReferralId, Status, SubscriptionId,
    attempt::Contact,
    dialog::Dialog,
    header::{Address, Replaces, TargetDialog, Value as _},
    id::{Party, UsageId},
    message::Description,
    uri::Scheme,
    usage::{
        AnyUsage, Parties,
        invitation::reserved,
        notifier::{self, NotifierError, Package, PackageError, Reason, is_token_text},
        referral::{Outside, Refer, Referral, Whom, command::with_header},
        subscription::{
            self, Subscribe, SubscribeError, Subscription, SubscriptionStateError,
            command::reserved_here,
        },
    },
};
use base::{Key, scan::is_token};
use std::time::Instant;

impl Endpoint {
    /// Subscribes to somebody's state (RFC 6665, 4.1; SUB-03).
    ///
    /// # Errors
    ///
    /// See [`SubscribeError`].
    pub fn subscribe(
        &mut self,
        now: Instant,
        subscribe: Subscribe,
    ) -> Result<SubscriptionId, SubscribeError> {
        let now = self.advance(now);
        self.check_headers(&subscribe.headers)?;
        let is_media_type = |text: &String| {
            text.bytes()
                .all(|b| is_token(b) || matches!(b, b'/' | b';' | b'=' | b' ' | b'"'))
        };
        // REFER is the only way to subscribe to its reports (RFC 3515, 3).
        let is_package = is_token_text(&subscribe.event)
            && subscribe.event != "refer"
            && subscribe.id.as_deref().is_none_or(is_token_text)
            && subscribe.accept.iter().all(is_media_type);
        if !is_package {
            return Err(SubscribeError::Package);
        }
        if subscribe.route.is_empty()
            && !matches!(subscribe.request_uri.scheme(), Scheme::Sip | Scheme::Sips)
        {
            return Err(SubscribeError::Scheme);
        }
        let usage = Subscription::outgoing(now, subscribe, &self.config, &mut self.rng);
        let id = self.insert_usage(AnyUsage::Subscription(Box::new(usage)));
        self.settle(now);
        Ok(named(id))
    }

    /// Renews a subscription at once: the way to us has changed.
    ///
    /// # Errors
    ///
    /// It has no dialog yet, or is over.
    pub fn renew(
        &mut self,
        now: Instant,
        id: SubscriptionId,
    ) -> Result<(), SubscriptionStateError> {
        self.with_subscription(now, id, Subscription::renew)
    }

    /// Ends a subscription (SUB-04): SUBSCRIBE with Expires 0. `Ended` follows the last NOTIFY, or
    /// 64·T1 without one.
    ///
    /// # Errors
    ///
    /// It is over, or is being ended.
    pub fn unsubscribe(
        &mut self,
        now: Instant,
        id: SubscriptionId,
    ) -> Result<(), SubscriptionStateError> {
        self.with_subscription(now, id, Subscription::leave)
    }

    /// Where a subscription stands; `Terminated` once nothing of it is left.
    pub fn subscription_state(&self, id: SubscriptionId) -> subscription::State {
        match self.usages.get(unnamed(id)) {
            Some(AnyUsage::Subscription(usage)) => usage.state(),
            Some(_) | None => subscription::State::Terminated,
        }
    }

    /// Reports on an event package from here on (ENG-25, ENG-30): who subscribes to it is told by
    /// `NotifierEvent::Incoming`.
    ///
    /// # Errors
    ///
    /// See [`PackageError`].
    pub fn add_package(&mut self, package: Package) -> Result<(), PackageError> {
        self.packages.add(package)
    }

    /// Reports on a package no more (BUG-21): new subscriptions get 489, those that are there go on.
    /// False if there was none of that name.
    pub fn remove_package(&mut self, name: &str) -> bool {
        self.packages.remove(name)
    }

    /// Grants a subscription of a peer, with the state to tell it.
    ///
    /// # Errors
    ///
    /// It is granted already, or over.
    pub fn accept_subscription(
        &mut self,
        now: Instant,
        id: NotifierId,
        content: Option<Description>,
    ) -> Result<(), NotifierError> {
        self.with_notifier(now, id, |usage, now| usage.accept(now, content))
    }

    /// Leaves a subscription of a peer undecided: 200, and NOTIFY with `pending`.
    ///
    /// # Errors
    ///
    /// It is answered already.
    pub fn pend_subscription(&mut self, now: Instant, id: NotifierId) -> Result<(), NotifierError> {
        self.with_notifier(now, id, notifier::Notifier::pend)
    }

    /// Refuses a subscription of a peer: with the status, 300 to 699, or, once it is pending, with a
    /// last NOTIFY.
    ///
    /// # Errors
    ///
    /// See [`NotifierError`].
    pub fn reject_subscription(
        &mut self,
        now: Instant,
        id: NotifierId,
        code: Status,
        reason: Option<String>,
        headers: &Headers,
    ) -> Result<(), NotifierError> {
        self.with_notifier(now, id, |usage, now| {
            usage.reject(now, code, reason, headers)
        })
    }

    /// Tells a peer the state that it has subscribed to. While a NOTIFY is outstanding, the latest
    /// state waits.
    ///
    /// # Errors
    ///
    /// The subscription is not answered yet, or over.
    pub fn notify(
        &mut self,
        now: Instant,
        id: NotifierId,
        content: Option<Description>,
    ) -> Result<(), NotifierError> {
        self.with_notifier(now, id, |usage, now| usage.notify(now, content))
    }

    /// Tells a peer the latest state once more: the way to us has changed.
    ///
    /// # Errors
    ///
    /// The subscription is not answered yet, or over.
    pub fn renew_notifier(&mut self, now: Instant, id: NotifierId) -> Result<(), NotifierError> {
        self.with_notifier(now, id, notifier::Notifier::renew)
    }

    /// Says to whose account a peer has subscribed, and who answers challenges to our NOTIFYs.
    pub fn set_notifier_account(
        &mut self,
        id: NotifierId,
        account: AccountId,
        credentials: Vec<Credentials>,
    ) {
        let id: UsageId = unnamed(id);
        if let Some(exchange) = self.usages.get_mut(id).and_then(AnyUsage::exchange) {
            exchange.set_account(account, credentials);
            self.share_realms(Party::Usage(id));
        }
    }

    /// Ends a subscription of a peer by a last NOTIFY with the latest state. `retry_after` is in
    /// seconds.
    ///
    /// # Errors
    ///
    /// The subscription is not answered yet, or over.
    pub fn terminate_subscription(
        &mut self,
        now: Instant,
        id: NotifierId,
        reason: Reason,
        retry_after: Option<u32>,
    ) -> Result<(), NotifierError> {
        self.with_notifier(now, id, |usage, now| {
            usage.terminate(now, reason, retry_after)
        })
    }

    /// Where a subscription of a peer stands; `Terminated` once nothing of it is left.
    pub fn notifier_state(&self, id: NotifierId) -> notifier::State {
        match self.usages.get(unnamed(id)) {
            Some(AnyUsage::Notifier(usage)) => usage.state(),
            Some(_) | None => notifier::State::Terminated,
        }
    }

    /// Asks somebody to send a request (RFC 3515; XFR-01, XFR-02).
    ///
    /// # Errors
    ///
    /// See [`SubscribeError`].
    pub fn refer(&mut self, now: Instant, refer: Refer) -> Result<ReferralId, SubscribeError> {
        let now = self.advance(now);
        self.check_headers(&refer.headers)?;
        let refer_to = self.refer_to(&refer)?;
        let mut headers = Headers::new();
        headers.push(HeaderName::ReferTo, &refer_to);
        let (mut parties, dialog, named_dialog) = match refer.whom {
            Whom::Call(call) => self.way_to_peer(call, refer.route, &mut headers)?,
            Whom::Outside(outside) => {
                let Outside {
                    from,
                    to,
                    request_uri,
                    route,
                    contact_user,
                } = *outside;
                if route.is_empty() && !matches!(request_uri.scheme(), Scheme::Sip | Scheme::Sips) {
                    return Err(SubscribeError::Scheme);
                }
                let contact = Contact {
                    user: contact_user.or_else(|| from.uri.user().map(str::to_owned)),
                    secure: request_uri.is_secure(),
                    account: Contact::shown(refer.account, &from),
                    ..Contact::default()
                };
                let parties = Parties {
                    origin: Parties::origin_of(&route),
                    from,
                    to,
                    request_uri,
                    route,
                    contact: Some(Box::new(contact)),
                    credentials: Vec::new(),
                    account: None,
                    identity: None,
                };
                (parties, None, None)
            }
        };
        if !refer.credentials.is_empty() {
            parties.credentials = refer.credentials;
        }
        parties.account = refer.account.or(parties.account);
        parties.identity = refer.identity;
        // RFC 3892, 2.1
        let referrer = refer.referred_by.unwrap_or_else(|| {
            let mut own = parties.from.clone();
            own.params.clear();
            own
        });
        headers.push(HeaderName::ReferredBy, &referrer);
        if refer.is_silent {
            headers.push(HeaderName::ReferSub, "false");
        }
        // RFC 4488, 4
        headers.push(HeaderName::Supported, "norefersub");
        for field in refer.headers.iter() {
            headers.push(field.name, field.value);
        }
        let mut usage = Referral::outgoing(
            now,
            parties,
            headers,
            refer.expires,
            dialog,
            &self.config,
            &mut self.rng,
        );
        if let Some(dialog) = named_dialog {
            usage.set_named(dialog);
        }
        let id = self.insert_usage(AnyUsage::Referral(Box::new(usage)));
        if let Some(dialog) = dialog {
            self.join_dialog(dialog, id);
        }
        self.settle(now);
        Ok(named(id))
    }

    /// Wants no more reports of a REFER of ours; what the peer has begun goes on. Over is over.
    pub fn forget_referral(&mut self, now: Instant, id: ReferralId) {
        let now = self.advance(now);
        let id = unnamed(id);
        if let Some(AnyUsage::Referral(usage)) = self.usages.get_mut(id) {
            usage.leave(now);
            self.touch_usage(id);
        }
        self.settle(now);
    }

    /// Begins what a peer asks for: 202, and a first report at once (XFR-04).
    ///
    /// # Errors
    ///
    /// It was answered already, except by being left pending.
    pub fn accept_referral(
        &mut self,
        now: Instant,
        id: IncomingReferralId,
    ) -> Result<(), NotifierError> {
        self.with_incoming(now, id, |usage, now| usage.accept(now))
    }

    /// Refuses what a peer asks for: with the status, 300 to 699, or, once it is pending, with a last
    /// report.
    ///
    /// # Errors
    ///
    /// See [`NotifierError`].
    pub fn reject_referral(
        &mut self,
        now: Instant,
        id: IncomingReferralId,
        code: Status,
        reason: Option<String>,
        headers: &Headers,
    ) -> Result<(), NotifierError> {
        self.with_incoming(now, id, |usage, now| {
            usage.reject(now, code, reason, headers)
        })
    }

    /// Tells a peer how its request fares; 200 to 699 is the last report (XFR-04).
    ///
    /// # Errors
    ///
    /// It is not answered yet, or over.
    pub fn report_referral(
        &mut self,
        now: Instant,
        id: IncomingReferralId,
        code: Status,
        reason: Option<&str>,
    ) -> Result<(), NotifierError> {
        self.with_incoming(now, id, |usage, now| usage.report(now, code, reason))
    }

    fn check_headers(&self, headers: &Headers) -> Result<(), SubscribeError> {
        if let Some(name) = reserved(headers).or_else(|| reserved_here(headers)) {
            return Err(SubscribeError::Reserved(name));
        }
        if self.is_shutting_down {
            return Err(SubscribeError::ShuttingDown);
        }
        match self.usage_count >= self.config.limits.subscriptions {
            true => Err(SubscribeError::TooMany),
            false => Ok(()),
        }
    }

    /// The value of Refer-To, with the dialog that is replaced (RFC 3891, 6.1).
    fn refer_to(&mut self, refer: &Refer) -> Result<Address, SubscribeError> {
        let mut refer_to = refer.refer_to.clone();
        if let Some(call) = refer.replaces {
            let (call_id, own, peer) = self.tags_of(call)?;
            let replaces = Replaces {
                call_id: &call_id,
                // Those of its receiver, which is our peer.
                to_tag: peer.as_deref().unwrap_or(NO_TAG),
                from_tag: &own,
                early_only: false,
            };
            let mut value = Vec::new();
            replaces.write_to(&mut value);
            refer_to.uri =
                with_header(&refer_to.uri, "Replaces", &value).ok_or(SubscribeError::Scheme)?;
        }
        Ok(refer_to)
    }

    /// Call-ID, our tag and the peer's of a call.
    fn tags_of(
        &mut self,
        call: InvitationId,
    ) -> Result<(String, String, Option<String>), SubscribeError> {
        let dialog = self.dialog_of_call(call)?;
        Ok((
            dialog.call_id().to_owned(),
            dialog.local_tag().to_owned(),
            dialog.remote_tag().map(str::to_owned),
        ))
    }

    fn dialog_of_call(&mut self, call: InvitationId) -> Result<&mut Dialog, SubscribeError> {
        let invitation = self.invitations.get(call);
        let dialog = invitation.and_then(|invitation| invitation.live_dialog());
        dialog
            .and_then(|dialog| self.dialog_mut(dialog))
            .ok_or(SubscribeError::NoDialog)
    }

    /// The way of a REFER to the peer of a call (RFC 7647, 4; RFC 6665, 4.5.2): the parties, the dialog
    /// that it is in, and the one that it names. `route` is the account's, for outside of the dialog.
    fn way_to_peer(
        &mut self,
        call: InvitationId,
        route: Vec<Address>,
        headers: &mut Headers,
    ) -> Result<WayToPeer, SubscribeError> {
        let (call_id, own, peer) = self.tags_of(call)?;
        let target = self.dialog_of_call(call)?.remote_target().clone();
        let invitation = self.invitations.get(call).ok_or(SubscribeError::NoDialog)?;
        let dialog = invitation.live_dialog();
        let info = invitation.info();
        let is_gruu = target.params().contains("gr");
        let contact = invitation.contact().clone();
        if is_gruu {
            let named = TargetDialog {
                call_id: &call_id,
                // Those of its receiver.
                local_tag: peer.as_deref().unwrap_or(NO_TAG),
                remote_tag: &own,
            };
            headers.push(HeaderName::TargetDialog, named);
            // RFC 4538, 4
            headers.push(HeaderName::Require, "tdialog");
        }
        let parties = Parties {
            from: info.local,
            to: info.remote,
            request_uri: target,
            // Also what tells our proxy in the dialog's own route set (CRD-03).
            origin: Parties::origin_of(&route),
            route,
            contact: Some(Box::new(contact)),
            credentials: invitation.credentials().to_vec(),
            account: invitation.account(),
            identity: None,
        };
        Ok(match is_gruu {
            true => (parties, None, dialog),
            false => (parties, dialog, None),
        })
    }

    fn with_subscription(
        &mut self,
        now: Instant,
        id: SubscriptionId,
        act: impl FnOnce(&mut Subscription, Instant) -> Result<(), SubscriptionStateError>,
    ) -> Result<(), SubscriptionStateError> {
        let now = self.advance(now);
        let id = unnamed(id);
        let Some(AnyUsage::Subscription(usage)) = self.usages.get_mut(id) else {
            return Err(SubscriptionStateError(subscription::State::Terminated));
        };
        let result = act(usage, now);
        self.touch_usage(id);
        self.settle(now);
        result
    }

    fn with_notifier(
        &mut self,
        now: Instant,
        id: NotifierId,
        act: impl FnOnce(&mut notifier::Notifier, Instant) -> Result<(), NotifierError>,
    ) -> Result<(), NotifierError> {
        let now = self.advance(now);
        let id = unnamed(id);
        let Some(AnyUsage::Notifier(usage)) = self.usages.get_mut(id) else {
            return Err(NotifierError::WrongState(notifier::State::Terminated));
        };
        let result = act(usage, now);
        self.touch_usage(id);
        self.settle(now);
        result
    }

    fn with_incoming(
        &mut self,
        now: Instant,
        id: IncomingReferralId,
        act: impl FnOnce(
            &mut crate::usage::referral::IncomingReferral,
            Instant,
        ) -> Result<(), NotifierError>,
    ) -> Result<(), NotifierError> {
        let now = self.advance(now);
        let id = unnamed(id);
        let Some(AnyUsage::IncomingReferral(usage)) = self.usages.get_mut(id) else {
            return Err(NotifierError::WrongState(notifier::State::Terminated));
        };
        let result = act(usage, now);
        self.touch_usage(id);
        self.settle(now);
        result
    }
}

/// See `Endpoint::way_to_peer`.
type WayToPeer = (Parties, Option<DialogId>, Option<DialogId>);

/// The place of a usage that an application knows under another name.
fn unnamed<K: Key>(id: K) -> UsageId {
    let (generation, index) = id.parts();
    UsageId::from_parts(generation, index)
}
