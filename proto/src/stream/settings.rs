//! What an application wishes for its media.

use super::TurnServer;
use crate::edge::{Interface, InterfaceKind};
use ::rtp::srtp::Profile as SrtpProfile;
use base::HostPort;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Media settings as a stream sees them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MediaSettings {
    /// First and last RTP port to choose from; (0, 0) lets the system choose (ENG-23).
    pub rtp_port_range: (u16, u16),
    /// Codecs in the order of preference (AUS-33).
    pub codecs: Vec<Codec>,
    /// How long a received packet may be missing before `AudioStreamDidTimeout` (AUS-31).
    pub rtp_timeout: Duration,
    /// How often an otherwise silent stream sends a keep-alive packet (AUS-34).
    pub rtp_keepalive: Duration,
    /// Whether media are encrypted, and how keys are agreed on (RTP-02, CFG-06).
    pub encryption: Encryption,
    /// The SRTP suites that are offered, the preferred one first; accepted are all that there are.
    pub srtp_suites: Vec<SrtpProfile>,
    /// Whether RTCP shares the port of RTP with peers that want it, too (RFC 5761).
    pub rtcp_mux: bool,
    /// Whether the way between both ends is found out by ICE (RFC 8445; RTP-02).
    pub ice: bool,
    /// Who tells how our addresses look from outside: four at most are asked, and only with ICE. A name
    /// without a port is looked for by SRV first (RFC 8489, 8.1).
    pub stun_servers: Vec<HostPort>,
    /// Who lends us addresses where packets pass no other way (RFC 8656): four at most are asked, and only
    /// with ICE. They are asked how our addresses look from outside, too.
    pub turn_servers: Vec<TurnServer>,
    /// Which addresses of ours the peer may learn.
    pub ice_policy: IcePolicy,
    /// Which interfaces have addresses that may be candidates.
    pub ice_interfaces: InterfaceFilter,
    /// What to do when no pair of addresses works: go on with those of the description (AUS-27), or let
    /// the stream fail.
    pub ice_fallback: bool,
    /// Addresses of this machine only may be candidates, against RFC 8445, 5.1.1.1: for tests and
    /// demonstrations.
    pub ice_allow_loopback: bool,
    /// Where recordings go whose name is not given (AUS-06); empty for where the process is.
    #[serde(default)]
    pub recordings_directory: String,
    /// How digits are sent (AUS-09).
    pub digits: DigitMode,
    /// For how long media may be sent to an address that has not acknowledged the call: bounds what
    /// one spoofed INVITE can draw.
    pub unacknowledged_media: Duration,
}

/// A codec as SDP describes it; what it does to samples is the application's business.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Codec {
    /// The encoding name (`PCMU`), compared without case.
    pub name: String,
    /// The RTP clock rate in Hz.
    pub clock_rate: u32,
    /// How many channels.
    pub channels: u8,
    /// The static payload type, if it has one (RFC 3551, 6).
    pub payload_type: Option<u8>,
    /// Format parameters, as in `a=fmtp`.
    pub fmtp: Option<String>,
}

impl Default for MediaSettings {
    fn default() -> Self {
        let static_codec = |name: &str, payload_type| Codec {
            name: name.to_owned(),
            clock_rate: 8000,
            channels: 1,
            payload_type: Some(payload_type),
            fmtp: None,
        };
        Self {
            rtp_port_range: (50_000, 50_500),
            codecs: vec![static_codec("PCMU", 0), static_codec("PCMA", 8)],
            rtp_timeout: Duration::from_secs(30),
            rtp_keepalive: Duration::from_secs(15),
            encryption: Encryption::default(),
            srtp_suites: vec![
                SrtpProfile::AeadAes256Gcm,
                SrtpProfile::AesCm128HmacSha1_80,
                SrtpProfile::AesCm128HmacSha1_32,
            ],
            rtcp_mux: true,
            ice: false,
            stun_servers: Vec::new(),
            turn_servers: Vec::new(),
            ice_policy: IcePolicy::default(),
            ice_interfaces: InterfaceFilter::default(),
            ice_fallback: false,
            ice_allow_loopback: false,
            recordings_directory: String::new(),
            digits: DigitMode::default(),
            unacknowledged_media: Duration::from_secs(2),
        }
    }
}

/// Whether media are encrypted (SRTP, RFC 3711), and how keys are agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Encryption {
    /// Never. An offer that insists on it is refused.
    Off,
    /// If the peer can: keys stand in the description (SDES, RFC 4568) of plain RTP, where a peer that
    /// knows nothing of them passes over them. An attacker on the way of the signalling can do so, too.
    /// A peer that offers nothing else than DTLS (RFC 5763) is answered by it.
    #[default]
    SdesOptional,
    /// Always: we offer keys in the description (SDES, RFC 4568), and answer a peer that offers nothing else
    /// than DTLS (RFC 5763) by it. There is no call without encryption.
    SdesMandatory,
    /// If the peer can, and best in the way that shows keys to nobody: plain RTP is offered with both, keys in
    /// the description and the fingerprint of a certificate for DTLS, and one is used (OSRTP, RFC 8643).
    Opportunistic,
    /// Always, with keys that a handshake beside the media gives (DTLS-SRTP, RFC 5763): who reads the
    /// signalling learns none. There is no call without it.
    DtlsMandatory,
}

/// Which addresses ICE may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IcePolicy {
    /// All that there are.
    #[default]
    All,
    /// Those of relays alone: media and their description tell the peer no other address of ours, and
    /// without a relay, or with a peer without ICE, there is no call. What signalling itself tells (Via,
    /// Contact, the origin of the description) stays as it is.
    RelayOnly,
}

/// Interfaces whose addresses are of no use to a peer: each costs checks, and room in the description. The
/// address that signalling uses is a candidate whatever interface it has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct InterfaceFilter {
    /// Kinds that are left out; [`Virtual`](InterfaceKind::Virtual) unless something else is said, since
    /// bridges and networks of containers end in this machine.
    pub without_kinds: Vec<InterfaceKind>,
    /// Names that are left out; a `*` at the end stands for anything (`vboxnet*`).
    pub without_names: Vec<String>,
}

impl Default for InterfaceFilter {
    fn default() -> Self {
        Self {
            without_kinds: vec![InterfaceKind::Virtual],
            without_names: Vec::new(),
        }
    }
}

impl InterfaceFilter {
    /// True for an interface whose addresses may be candidates.
    pub(crate) fn takes(&self, interface: &Interface) -> bool {
        let is_it = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => interface.name.starts_with(start),
            None => interface.name == *pattern,
        };
        !self.without_kinds.contains(&interface.kind) && !self.without_names.iter().any(is_it)
    }
}

/// How digits are sent; they are heard in both ways.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DigitMode {
    /// As telephone events among the media (RFC 4733).
    #[default]
    Rfc4733,
    /// In INFO, as `application/dtmf-relay`: for peers that know nothing better. They take the way of the
    /// signalling, through all that can read it.
    Info,
}
