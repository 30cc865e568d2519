//! What happens to subscriptions: ours, and those of peers (requirements 30).

use super::{
    Hints, Particulars,
    fields::{fields, with_content},
};
use crate::id::SubscriptionId;
use serde::Serialize;
use serde_json::Value;
use sip::{
    AccountId, Description, Uri,
    usage::{notifier, subscription::State},
};

/// What happens to a subscription of ours.
///
/// Its last event is `DidEnd`, or a `DidFail` after which it is not tried again.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub enum SubscriptionEvent {
    /// `SIPSubscriptionDidFork`: another notifier answers, too, and this subscription is its (RFC 6665,
    /// 4.1.4). It ends together with the one that was forked.
    DidFork {
        /// The one that was forked.
        of: SubscriptionId,
    },
    /// `SIPSubscriptionChangedState` (SUB-06).
    ChangedState {
        /// Before.
        prev_state: State,
        /// Now.
        state: State,
        /// In [`State::Other`] the notifier's very word; the data has it in the place of the state.
        text: Option<String>,
        /// The final response that caused it, if one did.
        code: Option<u16>,
        /// Its phrase.
        reason: Option<String>,
    },
    /// `SIPSubscriptionDidSucceed`: it was accepted (SUB-10).
    DidSucceed,
    /// `SIPSubscriptionGotNotify`: the notifier reports, with or without a document (SUB-07, BUG-13).
    GotNotify {
        /// The document with its whole media type.
        content: Option<Description>,
    },
    /// `SIPSubscriptionRefreshDidFail`: what there is stands until it expires.
    RefreshDidFail {
        /// The status code, or the one that stands for the lack of a response.
        code: u16,
        /// Its phrase.
        reason: String,
        /// What the response says besides, if it says more.
        hints: Option<Box<Hints>>,
    },
    /// `SIPSubscriptionDidFail`: it was refused, or is over though it was wanted (SUB-10).
    DidFail {
        /// Why, in words: `terminated: noresource`.
        error: String,
        /// The status code, or the one that stands for the lack of a response; `None` if there was neither.
        code: Option<u16>,
        /// Its phrase.
        reason: Option<String>,
        /// Our proof of identity is missing or was turned down.
        is_authentication: bool,
        /// When it is tried again, in seconds; `None` if it is not: then this is its last event.
        retry_after: Option<f64>,
        /// What the response, or the last NOTIFY, says besides, if it says more.
        hints: Option<Box<Hints>>,
    },
    /// `SIPSubscriptionWillEnd`: we unsubscribe (SUB-10).
    WillEnd,
    /// `SIPSubscriptionDidEnd`: last event of the subscription (SUB-10).
    DidEnd,
}

impl SubscriptionEvent {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::DidFork { .. } => "SIPSubscriptionDidFork",
            Self::ChangedState { .. } => "SIPSubscriptionChangedState",
            Self::DidSucceed => "SIPSubscriptionDidSucceed",
            Self::GotNotify { .. } => "SIPSubscriptionGotNotify",
            Self::RefreshDidFail { .. } => "SIPSubscriptionRefreshDidFail",
            Self::DidFail { .. } => "SIPSubscriptionDidFail",
            Self::WillEnd => "SIPSubscriptionWillEnd",
            Self::DidEnd => "SIPSubscriptionDidEnd",
        }
    }

    pub(super) fn data(&self) -> Value {
        let mut data = fields(self);
        match (self, &mut data) {
            (Self::GotNotify { content }, Value::Object(data)) => {
                with_content(data, content.as_ref());
            }
            (Self::ChangedState { text, .. }, Value::Object(data)) => {
                data.remove("text");
                if let Some(text) = text {
                    data.insert("state".to_owned(), text.as_str().into());
                }
            }
            _ => {}
        }
        data
    }
}

/// What happens to a subscription of a peer (SUB-09).
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub enum IncomingSubscriptionEvent {
    /// `SIPIncomingSubscriptionGotSubscribe`: accept, pend or reject; who does nothing leaves it pending.
    GotSubscribe(Box<GotSubscribe>),
    /// `SIPIncomingSubscriptionChangedState`.
    ChangedState {
        /// Before.
        prev_state: notifier::State,
        /// Now.
        state: notifier::State,
    },
    /// `SIPIncomingSubscriptionGotRefreshingSubscribe`.
    GotRefreshingSubscribe {
        /// For so many seconds more.
        expires: u32,
    },
    /// `SIPIncomingSubscriptionNotifyDidSucceed`: the peer has what we told.
    NotifyDidSucceed {
        /// The status code.
        code: u16,
        /// Its phrase.
        reason: String,
    },
    /// `SIPIncomingSubscriptionNotifyDidFail`.
    NotifyDidFail {
        /// The status code, or the one that stands for the lack of a response.
        code: u16,
        /// Its phrase.
        reason: String,
    },
    /// `SIPIncomingSubscriptionDidEnd`: last event of the subscription.
    DidEnd {
        /// Why, in words: `expired`.
        end_reason: String,
    },
}

/// A SUBSCRIBE of a peer.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct GotSubscribe {
    /// To whose state; `None` where the agent has no account.
    pub account: Option<AccountId>,
    /// Who subscribes, as they say.
    pub from_uri: Uri,
    /// The name beside it.
    pub from_display_name: Option<Box<str>>,
    /// To whom.
    pub to_uri: Uri,
    /// The event package.
    pub event: String,
    /// What tells it from others of that package.
    pub id: Option<String>,
    /// What will be granted, in seconds; 0 asks once.
    pub expires: u32,
    /// A filter, or a list of resources.
    pub content: Option<Description>,
    /// What else it says of who sends it.
    #[serde(flatten)]
    pub particulars: Box<Particulars>,
}

impl IncomingSubscriptionEvent {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::GotSubscribe(_) => "SIPIncomingSubscriptionGotSubscribe",
            Self::ChangedState { .. } => "SIPIncomingSubscriptionChangedState",
            Self::GotRefreshingSubscribe { .. } => "SIPIncomingSubscriptionGotRefreshingSubscribe",
            Self::NotifyDidSucceed { .. } => "SIPIncomingSubscriptionNotifyDidSucceed",
            Self::NotifyDidFail { .. } => "SIPIncomingSubscriptionNotifyDidFail",
            Self::DidEnd { .. } => "SIPIncomingSubscriptionDidEnd",
        }
    }

    pub(super) fn data(&self) -> Value {
        let mut data = fields(self);
        if let (Self::GotSubscribe(subscribe), Value::Object(data)) = (self, &mut data) {
            with_content(data, subscribe.content.as_ref());
        }
        data
    }
}
