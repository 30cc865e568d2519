//! OPTIONS: asking a peer what it can do (RFC 3261, 11).

use super::{Effect, Exchange, Parties, Progress, invitation::EndCause};
use crate::{
    AccountId, HeaderName, Headers, IdentityId, Method, Status, Uri, auth::Credentials,
    config::Config, header::Address,
};
use base::Rng;
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, sync::Arc};

/// A question to a peer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Options {
    /// Who asks; a `tag` parameter is replaced.
    pub from: Address,
    /// Whom.
    pub to: Address,
    /// Where to send it; usually the URI of `to`.
    pub request_uri: Uri,
    /// The route set, nearest first: an outbound proxy.
    pub route: Vec<Address>,
    /// Further headers. Those that the stack writes itself are refused (SES-13).
    pub headers: Headers,
    /// Who answers challenges. Credentials for `*` count along `route` only.
    pub credentials: Vec<Credentials>,
    /// Whose usage this is: its other usages learn what this one learns of realms.
    pub account: Option<AccountId>,
    /// Whose certificate to show on a secured connection that is opened for this request.
    pub identity: Option<IdentityId>,
}

impl Options {
    /// A question from `from` to `to` with everything else left out.
    pub fn new(from: Address, to: Address) -> Self {
        Self {
            request_uri: to.uri.clone(),
            from,
            to,
            route: Vec::new(),
            headers: Headers::new(),
            credentials: Vec::new(),
            account: None,
            identity: None,
        }
    }
}

/// What became of an OPTIONS request: exactly one event each.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub enum OptionsEvent {
    /// The peer answered.
    Answered {
        /// The final response.
        code: Status,
        /// Its reason phrase.
        reason: String,
        /// All its headers, copied: Allow, Accept, Supported …
        headers: Headers,
    },
    /// Nobody answered.
    Failed {
        /// Timeout, transport or name resolution.
        cause: EndCause,
    },
}

/// An OPTIONS request that runs.
#[derive(Debug)]
pub(crate) struct Query {
    exchange: Exchange,
    is_over: bool,
    effects: VecDeque<Effect<OptionsEvent>>,
}

impl Query {
    /// Asks.
    pub(crate) fn new(options: Options, config: &Arc<Config>, rng: &mut Rng) -> Self {
        let parties = Parties {
            origin: Parties::origin_of(&options.route),
            from: options.from,
            to: options.to,
            request_uri: options.request_uri,
            route: options.route,
            contact: None,
            credentials: options.credentials,
            account: options.account,
            identity: options.identity,
        };
        let mut exchange = Exchange::new(parties, config, rng);
        let mut further = Headers::new();
        // RFC 3261, 11.1
        further.push(HeaderName::Accept, "application/sdp");
        for field in options.headers.iter() {
            further.push(field.name, field.value);
        }
        let (tag, draft) = exchange.request(Method::Options, &further, None);
        Self {
            exchange,
            is_over: false,
            effects: VecDeque::from([Effect::Request { tag, draft }]),
        }
    }

    pub(crate) const fn exchange(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    pub(crate) fn poll_effect(&mut self) -> Option<Effect<OptionsEvent>> {
        self.effects.pop_front()
    }

    /// Something became of the request; the first outcome counts.
    pub(crate) fn handle_progress(&mut self, tag: u32, progress: &Progress<'_>) {
        let event = match progress {
            Progress::Response(response) if response.status.is_final() => OptionsEvent::Answered {
                code: response.status,
                reason: response.reason.to_string(),
                headers: response.headers.detached(),
            },
            Progress::Failed(failure) => OptionsEvent::Failed {
                cause: (*failure).into(),
            },
            Progress::Over => {
                self.is_over = true;
                return;
            }
            Progress::Sent { .. } | Progress::Response(_) | Progress::Late(_) => return,
        };
        if self.exchange.is_running(tag) {
            self.exchange.finish(match progress {
                Progress::Response(response) => Some(response),
                _ => None,
            });
            self.effects.push_back(Effect::Tell(event));
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over && self.effects.is_empty()
    }
}
