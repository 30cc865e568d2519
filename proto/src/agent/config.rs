//! How a user agent is set up: plain data, recorded with everything else.

use crate::{
    account::Account,
    link::LinkLimits,
    session,
    stream::{Identity, MediaSettings, StreamFactory, StreamSpec},
    tls::TlsConfig,
};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// What a [`UserAgent`](super::UserAgent) is told once.
///
/// It holds the seed and the passwords, hence every key: `Debug` shows neither, its serialised form
/// (the first line of a recording) shows both.
#[derive(Serialize, Deserialize)]
#[non_exhaustive]
pub struct Config {
    /// 32 bytes from the operating system's generator; never the same twice, or branches, tags and
    /// nonces repeat.
    #[serde(with = "crate::edge::payload::seed")]
    pub seed: [u8; 32],
    /// The wall clock at the start, since 1970.
    pub unix_time: Duration,
    /// Who we are; the first is the default account (AMG-12). Where one has an address, requests
    /// outside of dialogs to other users are answered 404 (SMG-05); an agent that has none speaks as
    /// `sip:anonymous@` and its address, and is whoever is meant.
    pub accounts: Vec<Account>,
    /// The event packages that are reported on (ENG-25): who subscribes to one of them is told by
    /// `GotSubscribe`, for others stays 489 (ENG-47). One that the endpoint does not take is logged.
    #[serde(default)]
    pub packages: Vec<sip::Package>,
    /// Local addresses to listen on; empty for those that lead somewhere, an unspecified one for all of
    /// its family, as the first [`System::Interfaces`](super::System::Interfaces) tells (ENG-07).
    pub addresses: Vec<IpAddr>,
    /// The UDP port; 0 lets the system choose, `None` switches UDP off both ways (ENG-08).
    pub udp_port: Option<u16>,
    /// The TCP port; 0 lets the system choose, `None` switches TCP off both ways (ENG-09).
    pub tcp_port: Option<u16>,
    /// Name servers to ask instead of the system's; empty for those that
    /// [`System::NameServers`](super::System::NameServers) tells (DNM-02).
    #[serde(default)]
    pub name_servers: Vec<SocketAddr>,
    /// How names are looked up (requirements 15 and 16).
    #[serde(default)]
    pub dns: dns::Config,
    /// The TLS port; 0 lets the system choose, `None` switches TLS off both ways (ENG-10). It is used
    /// with [`tls`](Self::tls) only, and to listen only with a certificate there.
    pub tls_port: Option<u16>,
    /// What is trusted and shown; `None` has no TLS.
    pub tls: Option<TlsConfig>,
    /// Where WebSocket servers are asked for one (RFC 6455, 3: the path and query of `ws:` URIs; SIP URIs
    /// have none).
    #[serde(default = "root")]
    pub web_socket_path: String,
    /// Timers, limits and habits of SIP, and the name that we give ourselves (ENG-18).
    pub sip: sip::Config,
    /// What streams are told about media.
    pub media: MediaSettings,
    /// The certificate that handshakes of media show (DTLS-SRTP); `None` draws one from the seed, which lives
    /// as long as the agent.
    #[serde(default)]
    pub media_identity: Option<Identity>,
    /// How much is taken before it is refused.
    pub limits: Limits,
    /// Messages are reported as [`Output::Trace`](super::Output::Trace) (ENG-20).
    pub trace: bool,
    /// Which records `SIPEngineLog` tells: up to this level, of 1 (worst) to 5 (ENG-19).
    #[serde(default = "log_level")]
    pub log_level: u8,
    /// Everything is recorded, to be fetched by
    /// [`UserAgent::take_record`](super::UserAgent::take_record).
    pub record: bool,
    /// What we propose to a caller who leaves the offer to us (SES-17); empty refuses such calls.
    pub streams_without_offer: Vec<StreamSpec>,
    /// The proxies whose word about identities counts (RFC 3325, 3: those that we share a trust domain
    /// with), by the addresses from which their requests come; none by default. What P-Asserted-Identity
    /// says is believed if one of them handed it to us, and the first proxy of an account is told who
    /// an anonymous request comes from if it is one of them.
    ///
    /// The address of a datagram can be forged by whoever the network lets: name only addresses that are
    /// reached by a secured or closed network (RFC 3325, 11).
    #[serde(default)]
    pub trusted: Vec<IpAddr>,
    /// The inputs are those of a recording.
    #[serde(skip)]
    pub(super) is_replay: bool,
    /// What makes streams (STR-14). Not recorded: a replay is given its own.
    #[serde(skip)]
    pub factories: Vec<Box<dyn StreamFactory>>,
}

impl Config {
    /// The defaults, with what has none: randomness and the wall clock.
    pub fn new(seed: [u8; 32], unix_time: Duration) -> Self {
        Self {
            seed,
            unix_time,
            accounts: Vec::new(),
            packages: Vec::new(),
            addresses: Vec::new(),
            udp_port: Some(0),
            tcp_port: Some(0),
            name_servers: Vec::new(),
            dns: dns::Config::default(),
            tls_port: Some(0),
            tls: None,
            web_socket_path: root(),
            sip: sip::Config::new(concat!("sipsimple/", env!("CARGO_PKG_VERSION"))),
            media: MediaSettings::default(),
            media_identity: None,
            limits: Limits::default(),
            trace: false,
            log_level: log_level(),
            record: false,
            streams_without_offer: Vec::new(),
            trusted: Vec::new(),
            is_replay: false,
            factories: Vec::new(),
        }
    }
}

/// More than people have friends.
const fn subscriptions() -> usize {
    10_000
}

/// One for each server that an account may name.
const fn nat_detections() -> usize {
    16
}

const fn log_level() -> u8 {
    5
}

fn root() -> String {
    "/".to_owned()
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let factories = self.factories.iter().map(|factory| factory.kind());
        f.debug_struct("Config")
            .field("unix_time", &self.unix_time)
            .field("accounts", &self.accounts)
            .field("packages", &self.packages)
            .field("addresses", &self.addresses)
            .field("udp_port", &self.udp_port)
            .field("tcp_port", &self.tcp_port)
            .field("name_servers", &self.name_servers)
            .field("dns", &self.dns)
            .field("tls_port", &self.tls_port)
            .field("tls", &self.tls)
            .field("web_socket_path", &self.web_socket_path)
            .field("sip", &self.sip)
            .field("media", &self.media)
            .field("media_identity", &self.media_identity)
            .field("limits", &self.limits)
            .field("trace", &self.trace)
            .field("log_level", &self.log_level)
            .field("record", &self.record)
            .field("streams_without_offer", &self.streams_without_offer)
            .field("trusted", &self.trusted)
            .field("factories", &factories.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// How much an agent takes before it refuses; what peers can make it keep is bounded by these.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// Accounts at a time, those of the configuration included; a command above it fails. Every
    /// registration may renew at the same moment.
    pub accounts: usize,
    /// Sessions at a time; a call above it is answered 503, a command fails.
    pub sessions: usize,
    /// Subscriptions of ours at a time, those included that wait to be tried again; a command above it
    /// fails. Those of peers are [`sip::config::Limits::subscriptions`].
    #[serde(default = "subscriptions")]
    pub subscriptions: usize,
    /// Detections of the kind of NAT at a time; a command above it fails.
    #[serde(default = "nat_detections")]
    pub nat_detections: usize,
    /// Streams of one session; further m-lines are refused by port 0.
    pub streams_per_session: usize,
    /// Timers that fire in one step before the input itself is looked at.
    pub timers_per_step: u32,
    /// How long interfaces must keep still before a change of addresses is followed. APP-20 waits 5 s;
    /// a call that stands is silent meanwhile, and one second is enough for a lease to bring all its
    /// addresses.
    pub network_settle: Duration,
    /// How long the end of the agent waits for its sessions to end.
    pub shutdown: Duration,
    /// Bytes of a recording that were not fetched; above it the recording stops.
    pub record: usize,
    /// Events that wait for an observer; runtimes obey it.
    pub events: usize,
    /// Of sessions.
    pub session: session::Limits,
    /// Of sockets.
    pub link: LinkLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            accounts: 1_000,
            sessions: 10_000,
            subscriptions: subscriptions(),
            nat_detections: nat_detections(),
            // More m-lines than any product offers; each may cost two sockets.
            streams_per_session: 16,
            timers_per_step: 1_024,
            network_settle: Duration::from_secs(1),
            // Twice what an unanswered BYE keeps a session.
            shutdown: Duration::from_secs(2),
            // Two hours of one recorded call, should the runtime forget to fetch.
            record: 256 * 1024 * 1024,
            events: 8_192,
            session: session::Limits::default(),
            link: LinkLimits::default(),
        }
    }
}
