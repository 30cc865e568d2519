//! The transport of an RTP stream: a pair of UDP sockets, an RTP session over them, and the rules
//! where packets go to (requirements 33).

mod agreement;
mod closing;
mod dtls;
mod early;
mod flow;
mod ice;
mod inbound;
mod keys;
mod peer;
mod ports;
mod sdes;
mod secure;
mod single;

pub(crate) use self::ice::{Ice, News};
pub use self::ice::{IceInfo, RelayInfo};
pub(crate) use agreement::{Agreed, KeyAgreement};
pub use keys::Discarded;
pub(crate) use peer::Peer;
use sdes::{Keys, Sdes};

use self::dtls::Handshakes;
use super::{Slot, StreamError, StreamInput, StreamOutput};
use crate::edge::System;
use ::dtls::{Credentials, Failure};
use ::ice::stun;
use base::{Clock, Deadline, Rng, earliest};
use bytes::{Bytes, BytesMut};
use early::Early;
use flow::Flow;
use keys::Protection;
use ports::Ports;
use rtp::{Arrivals, Diagnosis, Frame, KeepAlive, Latch, Outgoing, Output, Session, Statistics};
use single::Single;
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// The socket of RTP.
pub(crate) const RTP: Slot = Slot(0);
/// The socket of RTCP.
pub(crate) const RTCP: Slot = Slot(1);

/// The transport of one RTP stream (RTP-01).
///
/// *Feed* it the inputs of its slots, what to send, and each agreement. *It says* stream outputs
/// by [`poll_output`](Self::poll_output) and what became of ICE by [`poll_news`](Self::poll_news); what it
/// hears is the answer to the input that brought it.
/// *Wake it* at [`poll_timeout`](Self::poll_timeout).
///
/// Whom it hears: whoever sends, until the call is answered one source only ([`Single`]).
///
/// Where packets go: with ICE over the pair that it has found, without it to the described address until
/// the peer proves to be elsewhere, by the policy of [`rtp::Latch`]; to nobody while the peer's address is
/// the null address.
#[derive(Debug)]
pub(crate) struct RtpTransport {
    ports: Ports,
    rng: Rng,
    clock: Clock,
    keepalive_interval: Duration,
    ice: Option<Ice>,
    handshakes: Handshakes,
    /// What became of handshakes.
    secured: VecDeque<Result<(), Failure>>,
    flow: Option<Flow>,
    early: Early,
    arena: BytesMut,
    out: VecDeque<StreamOutput>,
}

/// What an input brought.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Both sockets are there.
    Opened,
    /// The sockets cannot be had.
    Failed(StreamError),
    /// Media, or the place of a packet with nothing to play.
    Frame(Frame),
    /// A report of the peer: it lives.
    Report,
    /// Nothing that matters.
    Nothing,
}

impl RtpTransport {
    pub(crate) fn new(
        local: IpAddr,
        range: (u16, u16),
        keepalive: Duration,
        clock: Clock,
        ice: Option<Ice>,
        credentials: Credentials,
        mut rng: Rng,
    ) -> Self {
        Self {
            ports: Ports::new(local, range, rng.fork()),
            rng,
            clock,
            keepalive_interval: keepalive,
            ice,
            handshakes: Handshakes::new(credentials),
            secured: VecDeque::new(),
            flow: None,
            early: Early::default(),
            arena: BytesMut::new(),
            out: VecDeque::new(),
        }
    }

    /// Opens the sockets; answered by [`Heard::Opened`] or [`Heard::Failed`], with ICE by [`News::Ready`].
    pub(crate) fn open(&mut self, now: Instant) {
        self.ports.open(&mut self.out);
        if let Some(ice) = &mut self.ice {
            ice.open(now, self.ports.local(), &mut self.out);
        }
    }

    /// Says from which address packets leave from now on.
    pub(crate) const fn set_local(&mut self, local: IpAddr) {
        self.ports.set_local(local);
    }

    /// Opens new sockets if the address of the old ones is not ours any more, or if ICE begins from nothing;
    /// answered like [`open`](Self::open). False if there is nothing to do.
    pub(crate) fn reopen(&mut self, now: Instant) -> bool {
        let is_moved = self.ports.reopen(&mut self.out);
        let is_stale = is_moved || self.ice.as_ref().is_some_and(Ice::is_stale);
        if let Some(ice) = self.ice.as_mut().filter(|_| is_stale) {
            ice.open(now, self.ports.local(), &mut self.out);
            self.advance_ice(now);
        }
        is_stale
    }

    /// What there is of ICE.
    pub(crate) const fn ice(&self) -> Option<&Ice> {
        self.ice.as_ref()
    }

    /// The same, to describe it.
    pub(crate) const fn ice_mut(&mut self) -> Option<&mut Ice> {
        self.ice.as_mut()
    }

    /// Follows what both descriptions say of ICE, after each [agreement](Self::agree); true if packets go where it
    /// says. Handshakes begin here.
    pub(crate) fn agree_ice(
        &mut self,
        now: Instant,
        local: &sdp::Session,
        remote: &sdp::Session,
        index: usize,
    ) -> bool {
        let is_muxed = self.is_muxed();
        let out = &mut self.out;
        let ice = self.ice.as_mut();
        let is_agreed = ice.is_some_and(|ice| ice.agree(now, local, remote, index, is_muxed, out));
        self.advance_handshakes(now);
        is_agreed
    }

    /// Takes the next piece of news of ICE.
    pub(crate) fn poll_news(&mut self) -> Option<News> {
        self.ice.as_mut()?.poll_news()
    }

    /// Where a packet goes, and from which socket.
    fn way(&self, slot: Slot) -> Option<(Slot, SocketAddr)> {
        let flow = self.flow.as_ref().filter(|flow| !flow.is_paused)?;
        let slot = match flow.is_muxed {
            true => RTP,
            false => slot,
        };
        if let Some(ice) = self.ice.as_ref().filter(|ice| ice.is_agreed()) {
            return ice.way(slot);
        }
        let latch = match slot {
            RTP => &flow.rtp,
            _ => &flow.rtcp,
        };
        (!flow.is_null && self.ports.pair().is_some()).then(|| (slot, latch.remote()))
    }

    /// Our addresses of RTP and RTCP, once open.
    pub(crate) const fn local(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.ports.pair()
    }

    /// Follows an agreement.
    pub(crate) fn agree(&mut self, now: Instant, peer: Peer) {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let single = peer.is_early.then(Single::default);
        let rtp = peer.rtp.unwrap_or(unknown);
        let rtcp = peer.rtcp.unwrap_or(unknown);
        match &mut self.flow {
            Some(flow) => {
                flow.session.set_payload_types(peer.payload_types);
                flow.session.set_clock_rate(now, peer.clock_rate);
                if peer.is_new {
                    (flow.rtp, flow.rtcp) = (Latch::new(rtp), Latch::new(rtcp));
                    flow.received_from = None;
                } else if peer.rtp.is_some() {
                    flow.rtp.describe(rtp);
                    flow.rtcp.describe(rtcp);
                }
                if peer.is_new || single.is_none() {
                    flow.single = single;
                }
                flow.protection.agree(now, &peer.keys, peer.is_new);
                flow.keepalive_payload_type = peer.keepalive_payload_type;
                flow.is_muxed = peer.is_muxed;
                flow.is_null = peer.rtp.is_none();
            }
            None => {
                let config = rtp::Config::new(peer.clock_rate, peer.payload_types);
                let mut protection = Protection::default();
                protection.agree(now, &peer.keys, true);
                self.flow = Some(Flow {
                    session: Session::new(now, config, self.clock, self.rng.fork()),
                    protection,
                    control: None,
                    rtp: Latch::new(rtp),
                    rtcp: Latch::new(rtcp),
                    is_muxed: peer.is_muxed,
                    keepalive: KeepAlive::new(now, self.keepalive_interval),
                    keepalive_payload_type: peer.keepalive_payload_type,
                    is_null: peer.rtp.is_none(),
                    is_paused: false,
                    received_from: None,
                    single,
                    arrivals: Arrivals::default(),
                });
            }
        }
        let described = [peer.rtp, peer.rtcp];
        self.agree_handshakes(now, peer.keys, described, peer.is_new, peer.is_early);
    }

    /// Stops or resumes all sending, whatever is agreed.
    pub(crate) fn set_paused(&mut self, paused: bool) {
        if let Some(flow) = &mut self.flow {
            flow.is_paused = paused;
        }
    }

    /// The call is answered: nobody else sends any more.
    pub(crate) fn hear_all(&mut self) {
        self.handshakes.hear_all();
        if let Some(flow) = &mut self.flow {
            flow.single = None;
        }
    }

    /// Sends a packet.
    pub(crate) fn send(&mut self, now: Instant, outgoing: Outgoing<'_>) {
        let Some((slot, to)) = self.way(RTP) else {
            return;
        };
        let Some(flow) = &mut self.flow else { return };
        if self.arena.capacity() < ARENA_LOW {
            self.arena.reserve(ARENA);
        }
        flow.session.write(now, outgoing, &mut self.arena);
        let is_sealed = flow.protection.seal_rtp(&mut self.arena);
        let payload = self.arena.split().freeze();
        if !is_sealed {
            return;
        }
        flow.keepalive.handle_sent(now);
        transmit(&mut self.ice, &mut self.out, now, (slot, to), payload);
    }

    /// Ties the media clock of whoever writes to the one on the wire.
    pub(crate) fn align(&mut self, now: Instant, timestamp: u32) {
        if let Some(flow) = &mut self.flow {
            flow.session.align(now, timestamp);
        }
    }

    /// The time of the media clock, for packets that belong to no frame.
    pub(crate) fn media_time(&self, now: Instant) -> u32 {
        self.flow
            .as_ref()
            .map_or(0, |flow| flow.session.media_time(now))
    }

    /// Takes an input of one of its slots; what came over a relay follows by
    /// [`poll_relayed`](Self::poll_relayed).
    pub(crate) fn handle_input(&mut self, now: Instant, input: StreamInput) -> Heard {
        let heard = self.take_input(now, input);
        self.advance_handshakes(now);
        heard
    }

    fn take_input(&mut self, now: Instant, input: StreamInput) -> Heard {
        if let (Some(ice), Some(slot)) = (&mut self.ice, input.slot())
            && ice.is_relay(slot)
        {
            ice.handle_relay(now, slot, input, &mut self.out);
            self.advance_ice(now);
            return Heard::Nothing;
        }
        let heard = match input {
            StreamInput::Opened { slot, local, .. } => self.opened(slot, local),
            StreamInput::Closed { slot, error } => match &mut self.ice {
                Some(ice) if ice.owns(slot) => {
                    ice.closed(slot);
                    Heard::Nothing
                }
                _ => self.ports.closed(slot, error, &mut self.out),
            },
            StreamInput::Resolved { lookup, result } => {
                if let Some(ice) = &mut self.ice {
                    ice.resolved(lookup, result.ok());
                }
                Heard::Nothing
            }
            StreamInput::System(System::Interfaces(interfaces)) => {
                if let Some(ice) = &mut self.ice {
                    ice.set_interfaces(interfaces);
                }
                Heard::Nothing
            }
            StreamInput::IceRole(role) => {
                if let Some(ice) = &mut self.ice {
                    ice.follow_role(now, role);
                }
                Heard::Nothing
            }
            StreamInput::Info(info) => {
                if let Some(ice) = &mut self.ice {
                    ice.handle_info(now, &info);
                }
                Heard::Nothing
            }
            StreamInput::Datagram {
                slot,
                from,
                payload,
            } => return self.datagram(now, slot, from, payload),
            _ => Heard::Nothing,
        };
        self.advance_ice(now);
        heard
    }

    fn opened(&mut self, slot: Slot, local: SocketAddr) -> Heard {
        match &mut self.ice {
            Some(ice) if ice.owns(slot) => {
                ice.opened(slot, local);
                Heard::Nothing
            }
            Some(_) => match self.ports.opened(slot, local, &mut self.out) {
                // It is ready when its servers have answered.
                Heard::Opened => Heard::Nothing,
                heard => heard,
            },
            None => self.ports.opened(slot, local, &mut self.out),
        }
    }

    fn advance_ice(&mut self, now: Instant) {
        if let Some(ice) = &mut self.ice {
            ice.advance(now, &self.ports, &mut self.out);
        }
    }

    /// Takes the next packet that came over a relay.
    pub(crate) fn poll_relayed(&mut self, now: Instant) -> Option<Heard> {
        let (slot, from, payload) = self.ice.as_mut()?.poll_relayed()?;
        let heard = self.media(now, slot, from, payload);
        self.advance_handshakes(now);
        Some(heard)
    }

    fn datagram(&mut self, now: Instant, slot: Slot, from: SocketAddr, payload: BytesMut) -> Heard {
        if let Some(ice) = &mut self.ice
            && stun::is_stun(&payload)
        {
            // RFC 7983, 7.
            ice.handle_datagram(now, slot, from, &payload, &mut self.out);
            return Heard::Nothing;
        }
        self.media(now, slot, from, payload)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        let ice = self.ice.as_ref().and_then(Ice::poll_timeout);
        let flow = self.flow.as_ref().map(|flow| {
            [
                flow.session.poll_timeout(),
                flow.keepalive
                    .poll_timeout()
                    .filter(|_| needs_keepalive(self.ice.as_ref(), flow)),
                flow.protection.poll_timeout(),
                flow.control.as_ref().and_then(Protection::poll_timeout),
            ]
        });
        let handshakes = self.handshakes.poll_timeout();
        let flow = flow.into_iter().flatten();
        flow.chain([ice, handshakes]).flatten().min()
    }

    /// Reports and keeps alive what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(ice) = &mut self.ice {
            ice.handle_timeout(now, &self.ports, &mut self.out);
        }
        self.handshakes.handle_timeout(now);
        self.advance_handshakes(now);
        let Some(flow) = &mut self.flow else { return };
        flow.session.handle_timeout(now);
        flow.protection.handle_timeout(now);
        if let Some(control) = &mut flow.control {
            control.handle_timeout(now);
        }
        let is_needed = needs_keepalive(self.ice.as_ref(), flow);
        if is_needed {
            flow.keepalive.handle_timeout(now);
        }
        if is_needed && flow.keepalive.poll_output() {
            let keepalive = Outgoing {
                payload_type: flow.keepalive_payload_type,
                marker: false,
                timestamp: flow.session.media_time(now),
                payload: &[],
            };
            self.send(now, keepalive);
        }
        self.drain(now);
    }

    /// Takes the next thing to do.
    pub(crate) fn poll_output(&mut self) -> Option<StreamOutput> {
        self.out.pop_front()
    }

    /// True while RTCP shares the way of RTP.
    pub(crate) fn is_muxed(&self) -> bool {
        self.flow.as_ref().is_some_and(|flow| flow.is_muxed)
    }

    /// Where the peer says that it is, and where its packets come from (AUS-13, AUS-14).
    pub(crate) fn remote(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let Some(flow) = &self.flow else {
            return (None, None);
        };
        (
            (!flow.is_null).then(|| flow.rtp.described()),
            flow.received_from,
        )
    }

    /// What was counted so far.
    pub(crate) fn statistics(&self) -> Option<Statistics> {
        Some(self.flow.as_ref()?.session.statistics())
    }

    /// Why nothing is heard; `None` unless something was sent.
    pub(crate) fn diagnose(&self) -> Option<Diagnosis> {
        let (flow, (local, _)) = (self.flow.as_ref()?, self.ports.pair()?);
        let statistics = flow.session.statistics();
        let (described, _) = self.remote();
        (statistics.packets_sent > 0).then(|| flow.arrivals.diagnose(local, described, &statistics))
    }

    fn drain(&mut self, now: Instant) {
        let way = self.way(RTCP);
        let Some(flow) = &mut self.flow else { return };
        while let Some(output) = flow.session.poll_output() {
            if let (Output::Rtcp(report), Some((slot, to))) = (output, way) {
                if self.arena.capacity() < ARENA_LOW {
                    self.arena.reserve(ARENA);
                }
                self.arena.extend_from_slice(&report);
                let protection = flow.control.as_mut().unwrap_or(&mut flow.protection);
                let is_sealed = protection.seal_rtcp(&mut self.arena);
                let payload = self.arena.split().freeze();
                if !is_sealed {
                    continue;
                }
                transmit(&mut self.ice, &mut self.out, now, (slot, to), payload);
            }
        }
    }
}

/// Whether only empty packets hold the binding of RTP in a translator.
fn needs_keepalive(ice: Option<&Ice>, flow: &Flow) -> bool {
    // RFC 6263, 4.3 and 5: reports on the port of RTP do. RFC 7675, 5.1: so do the checks of ICE.
    !flow.is_muxed && !ice.is_some_and(Ice::is_agreed)
}

/// Sends a packet, over a relay if its slot is one.
fn transmit(
    ice: &mut Option<Ice>,
    out: &mut VecDeque<StreamOutput>,
    now: Instant,
    (slot, to): (Slot, SocketAddr),
    payload: Bytes,
) {
    match ice {
        Some(ice) if ice.is_relay(slot) => ice.send_relayed(now, slot, to, &payload, out),
        _ => out.push_back(StreamOutput::Transmit { slot, to, payload }),
    }
}

/// Room for the packets of about a tenth of a second is made at once.
const ARENA: usize = 2 * 1024;
/// The largest packet of usual speech: below it new room is made.
const ARENA_LOW: usize = 512;

/// Folds the deadlines of a stream's parts.
pub(crate) fn earliest_of(
    parts: impl IntoIterator<Item = Option<Deadline>>,
    own: impl IntoIterator<Item = (Option<Instant>, &'static str)>,
) -> Option<Deadline> {
    parts.into_iter().flatten().chain(earliest(own)).min()
}
