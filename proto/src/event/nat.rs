//! How translators behave, as it is told.

use base::LinkError;
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::net::SocketAddr;

/// What happens to a detection of the kind of NAT.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub enum NatDetectionEvent {
    /// `SIPEngineDetectedNATType` (ENG-45): it is over; the only event of a detection.
    DetectedNatType {
        /// A server was asked, whether it could tell everything or not.
        succeeded: bool,
        /// What the application gave to the detection.
        user_data: Value,
        /// The class of RFC 3489: `Open Internet`, `Symmetric UDP Firewall`, `Full Cone`,
        /// `Restricted Cone`, `Port Restricted Cone`, `Symmetric`, `UDP Blocked`, or `Unknown` where
        /// the server has not the two addresses that it takes. `None` without success.
        nat_type: Option<&'static str>,
        /// Why there is no success.
        error: Option<NatDetectionError>,
        /// What the class was made of. `None` without success.
        behaviour: Option<NatBehaviour>,
    },
}

/// Why nothing was found out; as data it is its text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NatDetectionError {
    /// Nobody says where the server is.
    #[error("name resolution: {0}")]
    Lookup(sip::LookupError),
    /// No socket could be opened, or it broke.
    #[error("transport: {0}")]
    Transport(LinkError),
    /// The server cannot be reached, or does not do its job.
    #[error(transparent)]
    Server(ice::nat::DiscoveryError),
    /// The agent was told to end.
    #[error("the agent ends")]
    Ended,
}

impl Serialize for NatDetectionError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How translators and filters behave, by RFC 5780: at that moment, on that port; they may become stricter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct NatBehaviour {
    /// The server that was asked.
    pub server: SocketAddr,
    /// Its other address; `None` if it has none.
    pub other_address: Option<SocketAddr>,
    /// The address that was asked from.
    pub local_address: SocketAddr,
    /// How the server sees it; `None` if nothing came back.
    pub mapped_address: Option<SocketAddr>,
    /// `Direct`, `Endpoint-Independent`, `Address-Dependent`, `Address and Port-Dependent`; `None` if
    /// the server could not tell.
    pub mapping: Option<&'static str>,
    /// One of the last three; `None` if the server could not tell.
    pub filtering: Option<&'static str>,
}

impl From<&ice::nat::Report> for NatBehaviour {
    fn from(report: &ice::nat::Report) -> Self {
        Self {
            server: report.server,
            other_address: report.other,
            local_address: report.local,
            mapped_address: report.mapped,
            mapping: report.mapping.map(ice::nat::Mapping::name),
            filtering: report.filtering.map(ice::nat::Filtering::name),
        }
    }
}
