//! The user agent: the edge of the world, and the machine behind it.

mod accounts;
mod arguments;
mod calling;
mod calls;
mod commands;
mod config;
mod detect;
mod errands;
mod files;
mod life;
mod live;
mod live_option;
mod network;
mod privacy;
mod proposals;
mod record;
mod replay;
mod resolve;
mod settle;
mod stats;
mod subscription_command;
mod subscriptions;
#[cfg(test)]
mod tests;
mod transfer;

pub use crate::account::Account;
pub use crate::edge::{
    Class, Connection, FileDo, FileDone, Frame, INITIAL_CREDIT, Input, Interface, InterfaceKind,
    Multicast, Open, Output, Store, StoreError, System, Trace,
};
pub use crate::id::{FileId, LinkId, NatDetectionId, SessionId, StoreId, StreamId, SubscriptionId};
pub use arguments::{
    AccountError, Connect, ConnectError, InformError, MediaFrame, Message, OptionsError, Publish,
    SessionIntervalError, Subscribe, SubscribeError, SubscriptionError, UnknownStream,
};
pub use commands::Command;
pub use config::{Config, Limits};
pub use detect::DetectNatError;
pub use live::SetPortError;
pub use live_option::LiveOption;
pub use replay::{Difference, ReplayError, Report, replay};
pub use stats::{Counters, Stats};
pub use subscription_command::SubscriptionCommand;
pub use transfer::TransferError;

use crate::{
    event::{Event, Listening, Notification},
    link::{Filtered, Filters, Links},
    session::{Coverage, SessionInfo},
    stream::{Credentials, MediaSettings, MediaStream, Registry, StreamInput, Streams},
    tls::TlsConfig,
};
use base::{Clock, Deadline, Index, Rng, Table, Timers};
use bytes::Bytes;
use calls::SessionEntry;
use files::Files;
use life::Life;
use network::Network;
use record::Recorder;
use resolve::Resolver;
use sip::AccountId;
use std::{
    any::Any,
    collections::VecDeque,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

/// A SIP user agent: the machine that composes all others (requirements 1, 3 and 24).
///
/// *What it is*: endpoint, sessions, streams and sockets, wired by one worklist. *What to feed*: every
/// [`Input`] of the runtime, with its moment, and the application's commands. *What it says*:
/// [`Output`]s in the order of their causes, to be taken until there are none after every call.
/// *When to wake it*: hand in [`Input::Timeout`] at [`poll_timeout`](Self::poll_timeout).
pub struct UserAgent {
    /// The latest moment that was seen.
    now: Instant,
    clock: Clock,
    rng: Rng,
    config: Settings,
    life: Life,
    network: Network,
    out: VecDeque<Output>,
    dirty: VecDeque<Child>,
    touched: Touched,
    timers: Timers<Child>,
    filters: Filters,
    links: Links,
    endpoint: sip::Endpoint,
    resolver: Resolver,
    accounts: accounts::Accounts,
    sessions: Table<SessionId, SessionEntry>,
    session_count: usize,
    invitations: Index<sip::InvitationId, SessionId>,
    transfers: transfer::Transfers,
    subscriptions: subscriptions::Subscriptions,
    detections: detect::Detections,
    streams: Streams,
    registry: Registry,
    credentials: Credentials,
    files: Files,
    interfaces: Arc<[Interface]>,
    /// The application does not keep up.
    is_congested: bool,
    recorder: Option<Recorder>,
    /// Which pairs of the session's table its sessions have seen, the living ones apart.
    coverage: Coverage,
    retired: Option<Retired>,
}

/// What is kept of the endpoint when the agent has ended.
#[derive(Debug)]
struct Retired {
    counters: sip::endpoint::Counters,
    coverage: Vec<(String, bool)>,
}

/// What of the configuration is needed after the start.
#[derive(Debug)]
struct Settings {
    sip: sip::Config,
    limits: Limits,
    media: Arc<MediaSettings>,
    log_level: u8,
    udp_port: Option<u16>,
    tcp_port: Option<u16>,
    /// `None` where nothing is secured.
    tls: Option<TlsPorts>,
    web_socket_path: String,
    streams_without_offer: Vec<crate::stream::StreamSpec>,
    trusted: Vec<IpAddr>,
}

impl Settings {
    /// True if the word of who sent a message counts.
    fn trusts(&self, peer: SocketAddr) -> bool {
        self.trusts_host(peer.ip())
    }

    fn trusts_host(&self, host: IpAddr) -> bool {
        let host = host.to_canonical();
        self.trusted
            .iter()
            .any(|known| known.to_canonical() == host)
    }
}

/// What TLS is used for.
#[derive(Clone, Copy, Debug)]
struct TlsPorts {
    /// Where we listen; `None` without a certificate of ours.
    listen: Option<u16>,
}

impl TlsPorts {
    fn of(config: &Config) -> Option<Self> {
        Some(Self::new(config.tls.as_ref()?, config.tls_port?))
    }

    fn new(tls: &TlsConfig, port: u16) -> Self {
        Self {
            listen: tls.identity.is_some().then_some(port),
        }
    }
}

/// A part of the agent that the worklist drains, and that has a deadline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Child {
    Life,
    Links,
    Endpoint,
    Resolver,
    Accounts,
    Subscriptions,
    NatDetections,
    Session(SessionId),
    Stream(StreamId),
}

/// Who of the children that exist once is in the worklist. Sessions and streams carry their mark in
/// their tables.
#[derive(Debug, Default)]
struct Touched {
    life: bool,
    links: bool,
    endpoint: bool,
    resolver: bool,
    accounts: bool,
    subscriptions: bool,
    detections: bool,
}

impl UserAgent {
    /// Makes an agent, which begins at once to open what it listens on: take its outputs.
    pub fn new(now: Instant, mut config: Config) -> Self {
        let recorder = config.record.then(|| Recorder::new(now, &config));
        let mut rng = Rng::from_seed(config.seed);
        let factories = std::mem::take(&mut config.factories);
        let tls = TlsPorts::of(&config);
        if config.tcp_port.is_none() {
            // RFC 3261, 18.1.1 sends by TCP what is too large for a datagram: not who has none.
            config.sip.oversize = None;
        }
        let mut agent = Self {
            now,
            clock: Clock::new(now, config.unix_time),
            life: Life::new(&config),
            network: Network::default(),
            out: VecDeque::new(),
            dirty: VecDeque::new(),
            touched: Touched::default(),
            timers: Timers::new(),
            filters: match config.is_replay {
                true => Filters::of_replay(rng.fork()),
                false => Filters::new(config.tls.as_ref(), rng.fork()),
            },
            links: Links::new(
                config.limits.link.clone(),
                config.tls.as_ref(),
                config.trace,
                &mut rng,
            ),
            endpoint: {
                let mut sip = config.sip.clone();
                sip.info = live::info_of(&sip, &config.media);
                sip::Endpoint::new(now, sip, rng.fork())
            },
            accounts: accounts::Accounts::default(),
            sessions: Table::new(),
            session_count: 0,
            invitations: Index::new(&mut rng),
            transfers: transfer::Transfers::default(),
            subscriptions: subscriptions::Subscriptions::new(),
            resolver: Resolver::new(now, config.dns, config.name_servers, rng.fork()),
            detections: detect::Detections::default(),
            streams: Streams::default(),
            registry: Registry::new(factories),
            credentials: Credentials::new(config.media_identity, rng.fork()),
            files: Files::default(),
            interfaces: Arc::new([]),
            is_congested: false,
            recorder,
            coverage: Coverage::default(),
            retired: None,
            config: Settings {
                tls,
                web_socket_path: config.web_socket_path,
                sip: config.sip,
                limits: config.limits,
                media: Arc::new(config.media),
                log_level: config.log_level,
                udp_port: config.udp_port,
                tcp_port: config.tcp_port,
                streams_without_offer: config.streams_without_offer,
                trusted: config.trusted,
            },
            rng,
        };
        agent.start(config.accounts, config.packages);
        // Configured name servers are told at once (DNM-06).
        agent.touch(Child::Resolver);
        agent.settle();
        agent
    }

    /// Takes what happened at `now`. A moment before an earlier one counts as the earlier one:
    /// several readers stamp their packets on their own.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        self.clamp(now);
        if !self.filters.is_filtered(&input) {
            return self.step(input);
        }
        self.filters.set_time(self.clock.unix_time(self.now));
        self.filters.handle_input(input);
        let mut has_stepped = false;
        while let Some(filtered) = self.filters.poll_output() {
            match filtered {
                Filtered::Inside(input) => {
                    has_stepped = true;
                    self.step(input);
                }
                Filtered::Outside(output) => self.out.push_back(output),
            }
        }
        // What leaves nothing inside is a moment like any other: what is due fires.
        if !has_stepped && self.timers.next().is_some_and(|next| next.at <= self.now) {
            self.step(Input::Timeout);
        }
    }

    /// One step: what was on the inside of the filters.
    fn step(&mut self, input: Input) {
        if let Some(recorder) = &mut self.recorder {
            recorder.input(self.now, &input);
        }
        self.advance();
        match input {
            Input::Timeout => {}
            Input::System(system) => self.system(system),
            Input::File { file, done } => {
                if let Some((stream, file)) = self.files.done(file, &done) {
                    self.stream_input(stream, StreamInput::File { file, done });
                }
            }
            Input::Stored { .. } => tracing::debug!("the store answers what nobody asked"),
            Input::Datagram { .. }
            | Input::Undeliverable { .. }
            | Input::Bytes { .. }
            | Input::Sent { .. }
            | Input::Opened { .. }
            | Input::Accepted { .. }
            | Input::Secured { .. }
            | Input::Upgraded { .. }
            | Input::Closed { .. } => {
                self.links.handle_input(self.now, input);
                self.touch(Child::Links);
            }
        }
        self.settle();
    }

    /// Says what to do next.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.out.pop_front();
        if self.out.is_empty() && self.out.capacity() > SHRINK_ABOVE {
            self.out.shrink_to(SHRINK_ABOVE);
        }
        output
    }

    /// Says when `handle_input(now, Input::Timeout)` is wanted at the latest, and why.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.timers.next()
    }

    /// Takes what was recorded since the last call, whole lines of a secret file; empty unless
    /// [`Config::record`] is set. To be called after every drain of the outputs: above
    /// [`Limits::record`] the recording stops.
    pub fn take_record(&mut self) -> Vec<u8> {
        self.recorder
            .as_mut()
            .map(Recorder::take)
            .unwrap_or_default()
    }

    /// What is known of a session (requirements 4.3).
    pub fn session(&self, id: SessionId) -> Option<SessionInfo> {
        let entry = self.sessions.get(id)?;
        let call = entry
            .invitation
            .and_then(|invitation| self.endpoint.info(invitation));
        Some(entry.session.info(&self.streams, entry.account, call))
    }

    /// Our description of a session and the peer's, as they were last agreed (INV-04).
    pub fn descriptions(&self, id: SessionId) -> Option<(Bytes, Bytes)> {
        let (local, remote) = self.sessions.get(id)?.session.descriptions()?;
        Some((local.clone(), remote.clone()))
    }

    /// Looks at a stream of a known kind.
    pub fn stream<S: MediaStream>(&self, id: StreamId) -> Option<&S> {
        let stream: &dyn Any = self.streams.get(id)?;
        stream.downcast_ref()
    }

    /// Says of which kind a stream is (STR-14); `None` if it is unknown or gone.
    pub fn stream_kind(&self, id: StreamId) -> Option<&'static str> {
        self.streams.get(id).map(MediaStream::kind)
    }

    /// The accounts, in the order in which they were added (AMG-06).
    pub fn accounts(&self) -> &[AccountId] {
        self.accounts.ids()
    }

    /// How an account is set up; `None` if there is no such account (AMG-04, AMG-05).
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.account(id)
    }

    /// The account that speaks unless another is named (AMG-12); `None` without accounts.
    pub fn default_account(&self) -> Option<AccountId> {
        self.accounts.default_id()
    }

    /// The account that a Request-URI means (AMG-08): the contact user or the whole address of record
    /// first, then the user alone. Where no account has an address, or no user is named, it is the
    /// default account.
    pub fn find_account(&self, uri: &sip::Uri) -> Option<AccountId> {
        self.accounts.find(uri)
    }

    /// True while the registrar of an account, or of the default one, has our address (ACC-16).
    pub fn is_registered(&self, account: Option<AccountId>) -> bool {
        self.accounts.is_registered(account)
    }

    /// Where we listen.
    pub fn listening(&self) -> Vec<Listening> {
        self.life.listening()
    }

    /// The name servers that are asked, in their order (DNM-01).
    pub fn name_servers(&self) -> Vec<SocketAddr> {
        self.resolver.name_servers()
    }

    /// The kind of NAT that was detected last, in the words of RFC 3489 (APP-11); `None` before.
    pub fn local_nat_type(&self) -> Option<&'static str> {
        self.detections.nat_type()
    }

    /// What is alive; all zero at rest.
    pub fn stats(&self) -> Stats {
        Stats {
            sessions: self.session_count,
            streams: self.streams.len(),
            subscriptions: self.subscriptions.len(),
            links: self.links.len(),
            files: self.files.len(),
            nat_detections: self.detections.len(),
            lookups: self.resolver.stats().lookups,
            sip: self.endpoint.stats(),
        }
    }

    /// What was counted since the start.
    pub fn counters(&self) -> Counters {
        Counters {
            links: self.links.counters(),
            sip: match &self.retired {
                Some(retired) => retired.counters,
                None => self.endpoint.counters(),
            },
        }
    }

    /// Which (state, input) pairs of the tables of sessions, invitations and transactions were reached
    /// since the start: all pairs by name.
    pub fn coverage(&self) -> Vec<(String, bool)> {
        let mut seen = self.coverage;
        for (_, entry) in self.sessions.iter() {
            seen.merge(entry.session.coverage());
        }
        let mut pairs: Vec<_> = seen.pairs().collect();
        pairs.extend(match &self.retired {
            Some(retired) => retired.coverage.clone(),
            None => coverage_of(&self.endpoint),
        });
        pairs
    }

    /// The wall clock of the agent.
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    fn system(&mut self, system: System) {
        match &system {
            System::Interfaces(interfaces) => {
                // The first time nothing is known that could be wrong.
                if !self.interfaces.is_empty() && *self.interfaces != **interfaces {
                    self.forget_names();
                }
                self.interfaces = interfaces.as_slice().into();
                self.interfaces_known();
            }
            System::Hosts(hosts) => self.resolver.set_hosts(hosts.clone()),
            System::UnixTime(unix) => self.clock = Clock::new(self.now, *unix),
            // Nothing that a stream could act upon.
            System::Congested(is_congested) => {
                self.is_congested = *is_congested;
                return;
            }
            System::NameServers(servers) => {
                self.resolver.set_name_servers(self.now, servers.clone());
                self.touch(Child::Resolver);
                self.name_servers_known(servers);
            }
            System::Resumed { .. } => {
                self.forget_names();
                self.resumed();
            }
            // What has become of ways and registrations depends on how long the sleep was: that is told
            // afterwards.
            System::Suspending => {}
        }
        for id in self.streams.ids() {
            self.stream_input(id, StreamInput::System(system.clone()));
        }
    }

    /// What names meant may not be true any more (DNM-09).
    fn forget_names(&mut self) {
        self.resolver.network_changed(self.now);
        self.touch(Child::Resolver);
    }

    fn notify(&mut self, event: Event) {
        let at = self.now;
        self.emit(Output::Notify(Notification { at, event }));
    }

    /// The only way out.
    fn emit(&mut self, output: Output) {
        if let Some(recorder) = &mut self.recorder {
            recorder.output(self.now, &output);
        }
        self.filters.handle_output(output, &mut self.out);
    }
}

fn coverage_of(endpoint: &sip::Endpoint) -> Vec<(String, bool)> {
    let calls = endpoint.coverage().pairs();
    let calls =
        calls.map(|(state, signal, count)| (format!("invitation {state:?} {signal:?}"), count > 0));
    let transactions = endpoint.transaction_coverage().into_iter();
    let transactions = transactions.map(|(pair, count)| (format!("transaction {pair}"), count > 0));
    let usages = endpoint.usage_coverage().into_iter();
    let usages = usages.map(|(pair, count)| (pair, count > 0));
    calls.chain(transactions).chain(usages).collect()
}

impl fmt::Debug for UserAgent {
    /// Shows what is alive: the parts hold passwords and a recording of everything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserAgent")
            .field("life", &self.life)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// A burst of outputs must not pin its memory for ever.
const SHRINK_ABOVE: usize = 1_024;
