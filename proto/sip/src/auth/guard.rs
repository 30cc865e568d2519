//! Who may reach a user agent.

use super::{Asker, Policy};
use crate::Method;
use base::digest::Secret;
use serde::{Deserialize, Serialize};

/// Makes an endpoint authenticate those who call, write or subscribe (RFC 3261, 22.2): what it lets
/// through names its user.
///
/// Asked are requests outside of dialogs: who knows the tags of a dialog has been asked, or was
/// called by us. ACK and CANCEL cannot be asked (RFC 3261, 22.1). Who has not shown who it is learns
/// nothing of whom it asks for: it is challenged before anything else is looked at (8.2), and OPTIONS
/// that need no credentials are answered alike for everybody. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Guard {
    /// What is asked for; a user agent asks as [`Asker::Server`] whatever stands here.
    pub policy: Policy,
    /// Who may pass. A second entry of a user holds the HA1 of another hash.
    pub users: Vec<(String, Secret)>,
    /// Methods that need no credentials. By default OPTIONS: it says nothing that a stranger could
    /// not find out, and proxies ask it to see whether we are there.
    pub free: Vec<Method>,
}

impl Guard {
    /// Lets these users pass, and everybody's OPTIONS.
    pub fn new(realm: impl Into<String>, users: Vec<(String, Secret)>) -> Self {
        Self {
            policy: Policy {
                asker: Asker::Server,
                ..Policy::new(realm)
            },
            users,
            free: vec![Method::Options],
        }
    }

    /// True if requests with this method need credentials.
    pub fn asks(&self, method: &Method) -> bool {
        !matches!(method, Method::Ack | Method::Cancel) && !self.free.contains(method)
    }
}
