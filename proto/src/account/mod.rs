//! Accounts: who we are, and what servers hold for us (requirements 17).
//!
//! The protocol of registrations, publications and subscriptions is `sip`'s; here is the policy: when they
//! are asked for, and when again.

mod publication;
mod registration;
mod subscription;

pub(crate) use publication::{Publishing, PublishingDo};
pub(crate) use registration::{Registering, RegisteringDo};
pub(crate) use subscription::{Subscribing, SubscribingDo};

use serde::{Deserialize, Serialize};
use sip::{Failed, Status, refresh::Backoff};
use std::time::Duration;

/// Who we are.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Account {
    /// Our address of record; `None` for `sip:anonymous@` and the local address.
    pub uri: Option<sip::Uri>,
    /// The name that stands before it.
    pub display_name: Option<String>,
    /// What answers challenges (CRD-01).
    pub credentials: Vec<sip::auth::Credentials>,
    /// Where all requests outside of dialogs go first: a loose router, whether it says `lr` or not.
    pub outbound_proxy: Option<sip::Uri>,
    /// How long registrations are asked for; whole seconds.
    pub register_expires: Duration,
    /// How long publications are asked for; whole seconds.
    pub publish_expires: Duration,
    /// The user part of the Contact that is registered; eight random letters without it (ACC-10).
    pub contact_user: Option<String>,
    /// The URN of this device, the same for ever (`urn:uuid:…`, RFC 5626, 4.1): it asks for GRUUs, and while
    /// the account is registered, the public one is its Contact (RFC 5627, 4.4).
    pub instance_id: Option<String>,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            uri: None,
            display_name: None,
            credentials: Vec::new(),
            outbound_proxy: None,
            register_expires: EXPIRES,
            publish_expires: EXPIRES,
            contact_user: None,
            instance_id: None,
        }
    }
}

/// How long to wait before something that failed is asked for again (ACC-37, ACC-39).
///
/// What [`named`] does not know has failed on the way: it is tried as RFC 5626, 4.5 says, so that a server
/// that comes back is not met by everybody at once.
fn retry_after(failed: &Failed, backoff: &mut Backoff, rng: &mut base::Rng) -> Duration {
    let asked = failed.retry_after();
    let wait = named(failed.code(), rng).unwrap_or_else(|| backoff.fail(rng, asked));
    wait.max(asked.unwrap_or_default())
}

/// How long to wait for what will not be better soon: proof of identity, an unknown package or a too short
/// time was the matter.
fn named(code: Status, rng: &mut base::Rng) -> Option<Duration> {
    match code {
        Status::UNAUTHORIZED
        | Status::PROXY_AUTHENTICATION_REQUIRED
        | Status::INTERVAL_TOO_BRIEF => Some(between(rng, 60, 120)),
        Status::METHOD_NOT_ALLOWED | Status::NOT_ACCEPTABLE | Status::BAD_EVENT => {
            Some(Duration::from_secs(3_600))
        }
        _ => None,
    }
}

fn between(rng: &mut base::Rng, least: u32, most: u32) -> Duration {
    Duration::from_secs((least + rng.below(most - least + 1)).into())
}

/// RGN-01, PUB-01.
const EXPIRES: Duration = Duration::from_secs(300);
