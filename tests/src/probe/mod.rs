//! An application's own media stream, made with the public API only.
//!
//! A probe tests what a stream may rely on. It is slow to prepare, moves files over a byte stream
//! with a tiny memory, sends a heartbeat over a datagram socket, asks for new offers, changes its
//! address, and keeps a strict eye on the order in which its session calls it: what breaks
//! [`MediaStream`]'s promises is told as [`ProbeEvent::Broken`].
//!
//! It is also the shortest complete example of a stream: a kind, options, a command, an event.

mod command;
mod contract;
mod description;
mod factory;
mod transfer;

pub use command::{ProbeCommand, ProbeEvent, ProbeReply};
pub use factory::{ProbeFactory, ProbeOptions};

use base::{Deadline, LinkError, earliest};
use contract::Contract;
use description::{Proposal, Remote};
use sipsimple::{
    agent::{Class, Interface, System},
    event::StreamEvent,
    sdp,
    stream::{
        Agreement, Hold, MediaStream, Purpose, Refusal, Slot, SlotOpen, StreamEnv, StreamError,
        StreamInput, StreamOutput,
    },
};
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};
use transfer::Transfer;

/// The kind of stream that a [`ProbeFactory`] makes.
pub const PROBE: &str = "probe";

/// A probe.
#[derive(Debug)]
pub struct ProbeStream {
    options: ProbeOptions,
    contract: Contract,
    /// Our address towards the peer.
    address: IpAddr,
    next_slot: u16,
    /// What runs, and what will run instead after a successful offer.
    sockets: Sockets,
    fresh: Option<Sockets>,
    preparing: Option<Instant>,
    prepared: bool,
    proposal: Option<Proposal>,
    branch: Option<sip::DialogId>,
    remote: Option<Remote>,
    running: bool,
    leaving: bool,
    hold: Hold,
    beat: Option<Instant>,
    beats: Beats,
    transfer: Transfer,
    out: VecDeque<StreamOutput>,
}

/// Heartbeats so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Beats {
    /// That we sent.
    pub sent: u64,
    /// That came.
    pub received: u64,
    /// That came while the agreement forbids the peer to send.
    pub forbidden: u64,
}

/// A datagram socket and, on the side that offered, a listener for the byte stream.
#[derive(Clone, Copy, Debug)]
struct Sockets {
    datagrams: Slot,
    datagrams_at: Option<SocketAddr>,
    listener: Option<Slot>,
    listener_at: Option<SocketAddr>,
}

impl ProbeStream {
    pub(crate) fn new(env: &StreamEnv, options: ProbeOptions) -> Self {
        Self {
            transfer: Transfer::new(&options),
            options,
            contract: Contract::default(),
            address: env.local_address,
            next_slot: 1,
            sockets: Sockets {
                datagrams: Slot(0),
                datagrams_at: None,
                listener: None,
                listener_at: None,
            },
            fresh: None,
            preparing: None,
            prepared: false,
            proposal: None,
            branch: None,
            remote: None,
            running: false,
            leaving: false,
            hold: Hold::default(),
            beat: None,
            beats: Beats::default(),
            out: VecDeque::new(),
        }
    }

    /// Heartbeats so far.
    pub const fn beats(&self) -> Beats {
        self.beats
    }

    /// Where heartbeats go to, once a peer is agreed.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.remote.as_ref().map(|remote| remote.datagrams)
    }

    /// The address that our datagrams come from.
    pub const fn local(&self) -> Option<SocketAddr> {
        self.sockets.datagrams_at
    }

    fn open(&mut self, sockets: Sockets) {
        let bind = SocketAddr::new(self.address, 0);
        let class = Class::Bulk;
        self.out.push_back(StreamOutput::Open {
            slot: sockets.datagrams,
            how: SlotOpen::Udp { bind, class },
        });
        if let Some(slot) = sockets.listener {
            let how = SlotOpen::Accept { bind, class };
            self.out.push_back(StreamOutput::Open { slot, how });
        }
    }

    fn slot(&mut self) -> Slot {
        self.next_slot += 1;
        Slot(self.next_slot - 1)
    }

    /// The sockets that the next description names.
    const fn described(&self) -> &Sockets {
        match &self.fresh {
            Some(fresh) => fresh,
            None => &self.sockets,
        }
    }

    fn check_prepared(&mut self, now: Instant) {
        let open = self.described().datagrams_at.is_some()
            && (self.described().listener.is_none() || self.described().listener_at.is_some());
        let waited = self.preparing.is_none_or(|until| until <= now);
        if waited {
            self.preparing = None;
        }
        if open && waited && !self.prepared {
            self.prepared = true;
            self.out.push_back(StreamOutput::Prepared);
        }
    }

    fn opened(&mut self, now: Instant, slot: Slot, local: SocketAddr, peer: Option<SocketAddr>) {
        for sockets in [Some(&mut self.sockets), self.fresh.as_mut()] {
            let Some(sockets) = sockets else { continue };
            if sockets.datagrams == slot {
                sockets.datagrams_at = Some(local);
            } else if sockets.listener == Some(slot) && peer.is_none() {
                sockets.listener_at = Some(local);
            }
        }
        if let Some(peer) = peer {
            self.transfer.connected(slot, peer.ip(), &mut self.out);
        }
        if !self.running && self.remote.is_some() && self.sockets.datagrams_at.is_some() {
            self.run(now);
        }
        if !self.running || self.fresh.is_some() {
            self.check_prepared(now);
        }
    }

    fn closed(&mut self, slot: Slot, error: Option<LinkError>) {
        if self.transfer.closed(slot) {
            return;
        }
        let ours = |sockets: &Sockets| sockets.datagrams == slot || sockets.listener == Some(slot);
        if self.fresh.as_ref().is_some_and(ours) || ours(&self.sockets) {
            let error = error.unwrap_or(LinkError::Reset);
            let failed = StreamOutput::Failed(StreamError::Transport(error));
            self.out.push_back(failed);
        }
    }

    /// Media flows from now on.
    fn run(&mut self, now: Instant) {
        self.running = true;
        self.beat = Some(now);
        self.out.push_back(StreamOutput::Started);
    }

    fn take_agreement(&mut self, now: Instant, agreed: &Agreement<'_>) {
        if let Some(fresh) = self
            .fresh
            .take_if(|_| self.proposal == Some(Proposal::Offer))
        {
            self.close(self.sockets);
            self.sockets = fresh;
            if let Some(local) = fresh.datagrams_at {
                self.event(ProbeEvent::Moved { local });
            }
        }
        self.proposal = None;
        let remote = Remote::read(agreed);
        let new_peer = self.branch.is_some_and(|branch| branch != agreed.branch);
        let moved = remote.as_ref().map(|r| r.stream) != self.remote.as_ref().map(|r| r.stream);
        if new_peer {
            self.event(ProbeEvent::Branched);
        }
        self.branch = Some(agreed.branch);
        let listens = self.sockets.listener.is_some();
        if let Some(to) = remote.as_ref().and_then(|remote| remote.stream)
            && !listens
            && (moved || new_peer)
        {
            let slot = self.slot();
            let class = Class::Bulk;
            let how = SlotOpen::Connect { to, class };
            self.transfer.reconnect(&mut self.out);
            self.out.push_back(StreamOutput::Open { slot, how });
        } else if listens && self.is_connected_to_another(remote.as_ref()) {
            self.listen_again();
        }
        if let Some(remote) = &remote {
            self.hold.by_local = !remote.direction.receives();
            self.hold.by_remote = !remote.direction.sends();
        }
        self.remote = remote;
        if !self.running && self.sockets.datagrams_at.is_some() {
            self.run(now);
        }
    }

    /// The peer of this branch may have connected before its answer came.
    fn is_connected_to_another(&self, remote: Option<&Remote>) -> bool {
        let now = self.transfer.peer();
        now.is_some() && now != remote.map(|remote| remote.datagrams.ip())
    }

    /// A listener takes one connection only: another peer needs another one, on the port that it was
    /// told, which is free again.
    fn listen_again(&mut self) {
        self.transfer.reconnect(&mut self.out);
        let Some(bind) = self.sockets.listener_at else {
            return;
        };
        let slot = self.slot();
        if let Some(old) = self.sockets.listener.replace(slot) {
            self.out.push_back(StreamOutput::Close { slot: old });
        }
        let class = Class::Bulk;
        let how = SlotOpen::Accept { bind, class };
        self.out.push_back(StreamOutput::Open { slot, how });
    }

    fn send_beat(&mut self, now: Instant) {
        self.beat = Some(now + BEAT);
        if self.hold.local_intent || self.hold.by_remote {
            return;
        }
        self.send(b"beat");
        self.beats.sent += 1;
    }

    fn send(&mut self, payload: &[u8]) {
        if let Some(remote) = &self.remote
            && remote.may_hear
        {
            self.out.push_back(StreamOutput::Transmit {
                slot: self.sockets.datagrams,
                to: remote.datagrams,
                payload: payload.to_vec().into(),
            });
        }
    }

    fn datagram(&mut self, from: SocketAddr, payload: &[u8]) {
        // A peer of an earlier branch is no peer.
        let known = self.remote.as_ref().is_some_and(|r| r.datagrams == from);
        if !known {
            return;
        }
        match payload.strip_prefix(b"say ") {
            Some(text) => {
                let text = String::from_utf8_lossy(text).into_owned();
                self.event(ProbeEvent::Said { text });
            }
            None => {
                self.beats.received += 1;
                self.beats.forbidden += u64::from(self.hold.by_local);
            }
        }
    }

    /// Follows the default route to another address.
    fn interfaces(&mut self, interfaces: &[Interface]) {
        let family = |own: &&Interface| own.address.is_ipv4() == self.address.is_ipv4();
        let mut usable = interfaces.iter().filter(family);
        let best = usable.clone().find(|own| own.default_route);
        if let Some(best) = best.or_else(|| usable.next())
            && best.address != self.address
        {
            self.address = best.address;
            self.out
                .push_back(StreamOutput::Renegotiate { prepare: true });
        }
    }

    fn close(&mut self, sockets: Sockets) {
        for slot in [Some(sockets.datagrams), sockets.listener]
            .into_iter()
            .flatten()
        {
            self.out.push_back(StreamOutput::Close { slot });
        }
    }

    fn event(&mut self, event: ProbeEvent) {
        let event = StreamEvent::Custom(Arc::new(event));
        self.out.push_back(StreamOutput::Event(event));
    }

    fn tell_broken(&mut self) {
        for what in self.contract.take() {
            self.event(ProbeEvent::Broken { what });
        }
    }
}

impl MediaStream for ProbeStream {
    fn kind(&self) -> &'static str {
        PROBE
    }

    fn prepare(&mut self, now: Instant, purpose: Purpose) {
        self.contract.prepare(purpose);
        self.prepared = false;
        self.preparing = Some(now + self.options.prepare());
        match purpose {
            Purpose::First => {
                self.sockets.listener = self.options.listens().then(|| self.slot());
                self.open(self.sockets);
            }
            Purpose::Restart if self.sockets_are_here() => self.check_prepared(now),
            Purpose::Restart => {
                if let Some(unused) = self.fresh.take() {
                    self.close(unused);
                }
                let datagrams = self.slot();
                let listener = self.sockets.listener.map(|_| self.slot());
                let fresh = Sockets {
                    datagrams,
                    datagrams_at: None,
                    listener,
                    listener_at: None,
                };
                self.fresh = Some(fresh);
                self.open(fresh);
            }
        }
        self.tell_broken();
    }

    fn offer(&mut self, _now: Instant) -> sdp::Media {
        self.contract.propose();
        self.proposal = Some(Proposal::Offer);
        self.tell_broken();
        self.describe(self.wish())
    }

    fn answer(
        &mut self,
        _now: Instant,
        remote: &sdp::Session,
        index: usize,
    ) -> Result<sdp::Media, Refusal> {
        let answer = self.describe_answer(remote, index)?;
        self.contract.propose();
        self.proposal = Some(Proposal::Answer);
        self.tell_broken();
        Ok(answer)
    }

    fn start(&mut self, now: Instant, agreed: Agreement<'_>) {
        self.contract.start();
        self.take_agreement(now, &agreed);
        self.tell_broken();
    }

    fn update(&mut self, now: Instant, agreed: Agreement<'_>) {
        let same_branch = self.branch == Some(agreed.branch);
        let same = same_branch && Remote::read(&agreed) == self.remote;
        self.contract.update(same);
        self.take_agreement(now, &agreed);
        self.tell_broken();
    }

    fn rollback(&mut self, _now: Instant) {
        self.contract.rollback();
        self.proposal = None;
        self.event(ProbeEvent::RolledBack);
        self.tell_broken();
    }

    fn set_hold(&mut self, _now: Instant, hold: bool) -> bool {
        let changed = self.hold.local_intent != hold;
        self.hold.local_intent = hold;
        changed
    }

    fn hold(&self) -> Option<Hold> {
        Some(self.hold)
    }

    fn deactivate(&mut self) {
        self.contract.deactivate();
        self.leaving = true;
        self.transfer.leave();
    }

    fn end(&mut self, _now: Instant) {
        self.contract.end();
        self.tell_broken();
        self.beat = None;
        self.preparing = None;
        self.transfer.end(&mut self.out);
        self.out.push_back(StreamOutput::Ended);
    }

    fn handle_input(&mut self, now: Instant, input: StreamInput) {
        match input {
            StreamInput::Timeout => {
                if self.preparing.is_some_and(|until| until <= now) {
                    self.check_prepared(now);
                }
                if self.beat.is_some_and(|at| at <= now) {
                    self.send_beat(now);
                }
                self.transfer.wake(now, &mut self.out);
            }
            StreamInput::System(System::Interfaces(interfaces)) => self.interfaces(&interfaces),
            StreamInput::Opened { slot, local, peer } => self.opened(now, slot, local, peer),
            StreamInput::Datagram { from, payload, .. } => self.datagram(from, &payload),
            StreamInput::Bytes { slot, payload } => {
                self.transfer.bytes(now, slot, &payload, &mut self.out);
            }
            StreamInput::Writable { slot, room } => {
                self.transfer.writable(slot, room, &mut self.out);
            }
            StreamInput::Closed { slot, error } => self.closed(slot, error),
            StreamInput::File { file, done } => {
                self.transfer.file(now, file, done, &mut self.out);
            }
            StreamInput::Acknowledged => self.contract.acknowledged(),
            _ => {}
        }
        self.tell_broken();
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        earliest([
            (self.preparing, "probe prepares"),
            (self.beat, "probe heartbeat"),
            (self.transfer.wake_at(), "probe reads on"),
        ])
    }

    fn poll_output(&mut self) -> Option<StreamOutput> {
        self.out.pop_front()
    }
}

/// How often a probe says that it is there.
const BEAT: Duration = Duration::from_secs(1);
