//! What an application asks of a registration, and what it hears.

use super::Binding;
use crate::{
    AccountId, Headers, IdentityId, Status, Uri,
    auth::Credentials,
    header::Address,
    usage::{Failed, lease::Phase},
};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, time::Duration};

/// A registration to keep (RGN-01).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Registration {
    /// The address of record: From and To.
    pub address: Address,
    /// The registrar: the Request-URI, a domain without a user (RGN-10).
    pub registrar: Uri,
    /// The route set, nearest first: an outbound proxy.
    pub route: Vec<Address>,
    /// How long to ask for.
    pub expires: Duration,
    /// The Contact; `None` makes one for each way that is taken.
    pub contact: Option<Uri>,
    /// The user part of the Contact that is made; that of the address of record if it is `None`.
    pub contact_user: Option<String>,
    /// Parameters of the Contact (`q`, `+sip.…`).
    pub contact_params: Vec<(String, Option<String>)>,
    /// The URN of this device, the same for ever (RFC 5626, 4.1): `urn:uuid:…`. It asks for GRUUs, and
    /// finds our binding among others. As long as that stands, the other usages of the account say the
    /// public GRUU as their Contact (RFC 5627, 4.4); if there is none, and the registrar keeps to RFC 5626,
    /// they ask for their flow by `ob` (RFC 5626, 4.3).
    pub instance: Option<String>,
    /// Further headers. Those that the stack writes itself are refused (SES-13).
    pub headers: Headers,
    /// Who answers challenges. A registrar teaches what `*` stands for.
    pub credentials: Vec<Credentials>,
    /// Whose usage this is: its other usages learn what this one learns of realms.
    pub account: Option<AccountId>,
    /// Whose certificate to show on a secured connection that is opened for it.
    pub identity: Option<IdentityId>,
}

impl Registration {
    /// A registration of `address` at the registrar of its domain, for 300 s, with everything else
    /// left out; `None` if the address is no SIP address.
    pub fn new(address: Address) -> Option<Self> {
        let mut registrar = address.uri.to_parts()?;
        // RFC 3261, 10.2: no userinfo; how to get there is said by the rest.
        registrar.user = None;
        registrar.password = None;
        registrar.headers.clear();
        registrar.params.retain(|(name, _)| name != "user");
        Some(Self {
            registrar: registrar.to_uri().ok()?,
            address,
            route: Vec::new(),
            expires: DEFAULT_EXPIRES,
            contact: None,
            contact_user: None,
            contact_params: Vec::new(),
            instance: None,
            headers: Headers::new(),
            credentials: Vec::new(),
            account: None,
            identity: None,
        })
    }
}

/// Where a registration stands, by the names of the documents.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum State {
    /// There is no binding of ours.
    Unregistered,
    /// REGISTER was sent, the first or a refresh.
    Registering,
    /// There is one.
    Registered,
    /// Its removal was sent.
    Unregistering,
}

impl From<Phase> for State {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Off => Self::Unregistered,
            Phase::Starting => Self::Registering,
            Phase::On => Self::Registered,
            Phase::Stopping => Self::Unregistering,
        }
    }
}

/// What the registrar has said when it registered us.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct Registered {
    /// Our Contact, as the registrar has it.
    pub contact: Uri,
    /// How long it will keep it.
    pub expires: Duration,
    /// All bindings of the address of record, ours included; others are not touched.
    pub bindings: Vec<Binding>,
    /// The proxies by which we are reached (RFC 3327), nearest to the registrar first.
    pub path: Vec<String>,
    /// The route that our requests shall take from now on (RFC 3608), nearest first.
    pub service_route: Vec<Uri>,
    /// Our other identities, the first of them the default one (RFC 7315, 4.1).
    pub associated: Vec<Uri>,
    /// A URI that leads to this device only, for as long as the address of record exists (RFC 5627).
    pub public_gruu: Option<Uri>,
    /// One that tells nothing about us, until the registration ends (RFC 5627).
    pub temporary_gruu: Option<Uri>,
    /// The registrar keeps to RFC 5626.
    pub is_outbound: bool,
    /// Where the answer came from.
    pub registrar: Option<SocketAddr>,
}

/// What happens to a registration (RGN-06, RGN-09).
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub enum RegistrationEvent {
    /// The state is another.
    StateChanged {
        /// Before.
        previous: State,
        /// Now.
        state: State,
        /// The final response that caused it, if one did; of a timeout or a broken way the response that
        /// stands for it.
        code: Option<Status>,
        /// Its phrase.
        reason: Option<String>,
    },
    /// A final response came; every one of them is told, those that are followed by another try too.
    Answered {
        /// The status.
        code: Status,
        /// Its phrase.
        reason: String,
        /// Min-Expires of a 423 (RGN-08).
        min_expires: Option<Duration>,
        /// From where.
        registrar: Option<SocketAddr>,
    },
    /// We are registered, or were refreshed.
    Succeeded(Box<Registered>),
    /// We are not registered. Nothing more happens until the application registers again.
    Failed(Failed),
    /// A refresh failed while the binding lives on: it is tried once more.
    Delayed(Failed),
    /// The way to the registrar is dead, and so is the way from it to us: it is registered anew.
    FlowFailed {
        /// Where it led.
        registrar: Option<SocketAddr>,
        /// After which time (RFC 5626, 4.5).
        retry_after: Duration,
    },
    /// The binding was removed, as asked.
    Ended,
    /// Its removal failed; it will expire.
    NotEnded(Failed),
}

/// RGN-01.
const DEFAULT_EXPIRES: Duration = Duration::from_secs(300);
