//! Addresses at TURN servers (RFC 8656): of each server one for each component, over the first of its
//! transports that works. What fails, fails alone (BUG-01).

use super::{COMPONENTS, Component, RelayInfo};
use crate::{
    edge::Class,
    stream::{MediaSettings, Slot, SlotOpen, StreamInput, StreamOutput},
};
use ::ice::turn::{Client, Config, Framer, Lost, Output};
use base::{Deadline, LinkError, Rng, Target, Transport, earliest};
use bytes::{Bytes, BytesMut};
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

/// All that is lent to us, or shall be.
#[derive(Debug)]
pub(super) struct Relays {
    settings: Arc<MediaSettings>,
    rng: Rng,
    places: Vec<Place>,
    attempts: Vec<Attempt>,
    /// How many slots were used, modulo [`SLOTS`]: nothing of an old socket can be taken for the next one's.
    opened: u16,
    told: VecDeque<Told>,
}

/// What relays say.
#[derive(Debug)]
pub(super) enum Told {
    /// There is an address: packets of it go over the slot.
    Allocated {
        slot: Slot,
        /// Its place in the settings.
        server: usize,
        component: Component,
        relayed: SocketAddr,
        /// How the server sees us.
        mapped: SocketAddr,
    },
    /// A peer has sent this to the address of the slot.
    Data {
        slot: Slot,
        peer: SocketAddr,
        payload: BytesMut,
    },
    /// The address of the slot is gone.
    Gone { slot: Slot },
}

/// The address that one component shall have at one server.
#[derive(Debug)]
struct Place {
    server: usize,
    component: Component,
    /// What has not been tried, in order.
    targets: VecDeque<Target>,
    /// When the next of them is.
    next: Option<Instant>,
    was_redirected: bool,
    /// The server knew an allocation of somebody else's at our address and port.
    was_moved: bool,
    transport: Option<Transport>,
    relayed: Option<SocketAddr>,
    error: Option<String>,
}

/// One target that is tried, or works.
#[derive(Debug)]
struct Attempt {
    place: usize,
    slot: Slot,
    target: Target,
    client: Client,
    /// Of a connection.
    framer: Option<Framer>,
    /// How much may be written to the connection, and the most that ever could.
    room: usize,
    budget: usize,
    /// It gives its address back, and is waited for until then.
    leaving: Option<Instant>,
}

impl Relays {
    pub(super) fn new(settings: &Arc<MediaSettings>, rng: Rng) -> Self {
        Self {
            settings: Arc::clone(settings),
            rng,
            places: Vec::new(),
            attempts: Vec::new(),
            opened: 0,
            told: VecDeque::new(),
        }
    }

    /// Asks a server for addresses, at what its name has led to.
    pub(super) fn add(&mut self, now: Instant, server: usize, resolved: Option<&[Target]>) {
        let targets = resolved.map_or_else(VecDeque::new, |resolved| {
            ordered(self.settings.turn_servers[server].transport, resolved)
        });
        let error = targets.is_empty().then(|| NOT_FOUND.to_owned());
        for component in COMPONENTS {
            self.places.push(Place {
                server,
                component,
                targets: targets.clone(),
                next: Some(now),
                was_redirected: false,
                was_moved: false,
                transport: None,
                relayed: None,
                error: error.clone(),
            });
        }
    }

    /// True while an address may still come.
    pub(super) fn is_trying(&self) -> bool {
        self.attempts
            .iter()
            .any(|attempt| attempt.leaving.is_none() && !attempt.client.is_allocated())
            || self.places.iter().any(|place| !place.targets.is_empty())
    }

    /// True if there are fewer addresses than there were asked for.
    pub(super) fn is_short(&self) -> bool {
        self.places.iter().any(|place| place.relayed.is_none())
    }

    /// True while addresses are given back.
    pub(super) fn is_leaving(&self) -> bool {
        self.attempts
            .iter()
            .any(|attempt| attempt.leaving.is_some())
    }

    pub(super) fn owns(&self, slot: Slot) -> bool {
        self.position(slot).is_some()
    }

    fn position(&self, slot: Slot) -> Option<usize> {
        self.attempts
            .iter()
            .position(|attempt| attempt.slot == slot)
    }

    /// Tries what is due, from these addresses of ours.
    pub(super) fn advance(
        &mut self,
        now: Instant,
        locals: &[IpAddr],
        out: &mut VecDeque<StreamOutput>,
    ) {
        for at in 0..self.places.len() {
            let place = &mut self.places[at];
            while place.next.is_some_and(|next| next <= now) {
                let Some(target) = place.targets.pop_front() else {
                    place.next = None;
                    break;
                };
                let family = target.address.is_ipv4();
                let local = locals.iter().find(|ip| ip.is_ipv4() == family);
                let Some(&local) = local else {
                    place.error = Some(NO_ADDRESS.to_owned());
                    continue;
                };
                let more = !place.targets.is_empty();
                place.next = more.then(|| now + STAGGER);
                self.attempt(at, target, local, out);
                break;
            }
        }
    }

    fn attempt(
        &mut self,
        at: usize,
        target: Target,
        local: IpAddr,
        out: &mut VecDeque<StreamOutput>,
    ) {
        let place = &mut self.places[at];
        place.transport = Some(target.transport);
        // Its parity says whose it is, as of all slots.
        let number = FIRST_SLOT + self.opened * 2 + u16::from(place.component) - 1;
        self.opened = (self.opened + 1) % SLOTS;
        let slot = Slot(number);
        let (to, class) = (target.address, Class::Voice);
        let how = match target.transport {
            Transport::Udp => SlotOpen::Udp {
                bind: SocketAddr::new(local, 0),
                class,
            },
            Transport::Tls => SlotOpen::ConnectTls {
                to,
                name: target.name.clone(),
                class,
            },
            _ => SlotOpen::Connect { to, class },
        };
        let server = &self.settings.turn_servers[place.server];
        let mut config = Config::new(&server.username, &server.password);
        config.is_v6 = to.is_ipv6();
        config.is_stream = target.transport.is_reliable();
        self.attempts.push(Attempt {
            place: at,
            slot,
            framer: config.is_stream.then(Framer::default),
            client: Client::new(config, self.rng.fork()),
            target,
            room: 0,
            budget: 0,
            leaving: None,
        });
        out.push_back(StreamOutput::Open { slot, how });
    }

    /// Takes an input of one of the slots.
    pub(super) fn handle_input(
        &mut self,
        now: Instant,
        slot: Slot,
        input: StreamInput,
        out: &mut VecDeque<StreamOutput>,
    ) {
        let Some(at) = self.position(slot) else {
            return;
        };
        let attempt = &mut self.attempts[at];
        match input {
            StreamInput::Opened { .. } => attempt.client.allocate(now),
            StreamInput::Writable { room, .. } => {
                attempt.room = room;
                attempt.budget = attempt.budget.max(room);
            }
            StreamInput::Datagram { from, payload, .. } if from == attempt.target.address => {
                attempt.client.handle_message(now, &payload.freeze());
            }
            StreamInput::Bytes { payload, .. } => {
                let more = u32::try_from(payload.len()).unwrap_or(u32::MAX);
                out.push_back(StreamOutput::Receive { slot, more });
                if !attempt.read(now, &payload) {
                    self.lost(now, at, &Lost::Unusable, out);
                }
            }
            // RFC 8489, 6.2.1: nobody is there.
            StreamInput::Undeliverable {
                error: LinkError::Refused,
                ..
            } => self.lost(now, at, &Lost::Silent, out),
            StreamInput::Closed { error, .. } => {
                // Its place may be another one's by now.
                let place = attempt.leaving.is_none().then_some(attempt.place);
                self.lost(now, at, &Lost::Silent, out);
                let error = error.unwrap_or(LinkError::Reset);
                if let Some(place) = place {
                    self.places[place].error = Some(error.to_string());
                }
            }
            _ => {}
        }
    }

    /// Sends to a peer from the address of a slot. What a connection has no room for is lost, as a
    /// datagram would be.
    pub(super) fn send(&mut self, now: Instant, slot: Slot, to: SocketAddr, payload: &[u8]) {
        let Some(at) = self.position(slot) else {
            return;
        };
        let attempt = &mut self.attempts[at];
        if attempt.budget - attempt.room <= BACKLOG {
            // A peer of the other family, or one too many, is not reached from here.
            let _ = attempt.client.send(now, to, payload);
        }
    }

    /// Packets from the address of a slot, if it is one of a relay, to a peer are many from here on (RFC 8656, 12).
    pub(super) fn bind(&mut self, now: Instant, slot: Slot, peer: SocketAddr) {
        if let Some(at) = self.position(slot) {
            // Without a channel indications go.
            let _ = self.attempts[at].client.bind(now, peer);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        let next = self.places.iter().filter_map(|place| place.next).min();
        let clients = self.attempts.iter();
        let leaving = clients.clone().filter_map(|attempt| attempt.leaving).min();
        earliest([(next, "TURN server"), (leaving, "TURN release")])
            .into_iter()
            .chain(clients.filter_map(|attempt| attempt.client.poll_timeout()))
            .min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        for attempt in &mut self.attempts {
            attempt.client.handle_timeout(now);
        }
    }

    /// Does what clients want, and says what they tell.
    pub(super) fn poll(&mut self, now: Instant, out: &mut VecDeque<StreamOutput>) -> Option<Told> {
        self.forget(now, out);
        let mut at = 0;
        while at < self.attempts.len() && self.told.is_empty() {
            match self.attempts[at].client.poll_output() {
                None => at += 1,
                Some(output) => self.carry(now, at, output, out),
            }
        }
        self.told.pop_front()
    }

    fn carry(&mut self, now: Instant, at: usize, output: Output, out: &mut VecDeque<StreamOutput>) {
        let attempt = &mut self.attempts[at];
        let slot = attempt.slot;
        match output {
            Output::Transmit(payload) => out.push_back(attempt.transmit(payload)),
            Output::Allocated { relayed, mapped } => {
                let place = &mut self.places[attempt.place];
                place.targets.clear();
                (place.next, place.error) = (None, None);
                (place.transport, place.relayed) = (Some(attempt.target.transport), Some(relayed));
                let (server, component) = (place.server, place.component);
                self.told.push_back(Told::Allocated {
                    slot,
                    server,
                    component,
                    relayed,
                    // A server that does not say it is taken by its word for the rest.
                    mapped: mapped.unwrap_or(relayed),
                });
                let place = attempt.place;
                self.close_where(now, out, |other| other.place == place && other.slot != slot);
            }
            Output::Data { peer, payload } => {
                let payload = payload
                    .try_into_mut()
                    .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
                self.told.push_back(Told::Data {
                    slot,
                    peer,
                    payload,
                });
            }
            Output::Lost(why) => self.lost(now, at, &why, out),
            // Checks to that peer fail, and say so.
            _ => {}
        }
    }

    /// A target does not work, or not any more: the next one of its place is tried at once.
    fn lost(&mut self, now: Instant, at: usize, why: &Lost, out: &mut VecDeque<StreamOutput>) {
        let attempt = self.attempts.remove(at);
        let slot = attempt.slot;
        out.push_back(StreamOutput::Close { slot });
        if attempt.leaving.is_some() {
            return;
        }
        let place = &mut self.places[attempt.place];
        place.error = Some(why.to_string());
        if place.relayed.take().is_some() {
            return self.told.push_back(Told::Gone { slot });
        }
        match *why {
            // Elsewhere the password is the same, and servers count.
            Lost::NotAuthenticated => place.targets.clear(),
            // RFC 8489, 10: once, and over the same transport.
            Lost::Redirected(address) if !place.was_redirected => {
                place.was_redirected = true;
                place.targets.push_front(Target {
                    address,
                    ..attempt.target
                });
            }
            // RFC 8656, 7.4: from another port.
            Lost::Forgotten if !place.was_moved => {
                place.was_moved = true;
                place.targets.push_front(attempt.target);
            }
            _ => {}
        }
        place.next = Some(now);
    }

    /// What has not come by now is not waited for.
    pub(super) fn settle(&mut self, now: Instant, out: &mut VecDeque<StreamOutput>) {
        for place in &mut self.places {
            place.targets.clear();
            place.next = None;
            if place.relayed.is_none() && place.error.is_none() {
                place.error = Some(LATE.to_owned());
            }
        }
        self.close_where(now, out, |attempt| !attempt.client.is_allocated());
    }

    /// Gives everything back.
    pub(super) fn close(&mut self, now: Instant, out: &mut VecDeque<StreamOutput>) {
        self.close_where(now, out, |_| true);
        self.places.clear();
        self.told.clear();
    }

    fn close_where(
        &mut self,
        now: Instant,
        out: &mut VecDeque<StreamOutput>,
        is_over: impl Fn(&Attempt) -> bool,
    ) {
        self.attempts.retain_mut(|attempt| {
            if attempt.leaving.is_some() || !is_over(attempt) {
                return true;
            }
            let was_allocated = attempt.client.is_allocated();
            // RFC 8656, 8.1
            attempt.client.release(now);
            while let Some(output) = attempt.client.poll_output() {
                if let Output::Transmit(payload) = output {
                    out.push_back(attempt.transmit(payload));
                }
            }
            match was_allocated {
                true => attempt.leaving = Some(now + LEAVING),
                false => {
                    let slot = attempt.slot;
                    out.push_back(StreamOutput::Close { slot });
                }
            }
            was_allocated
        });
    }

    /// A server that does not say that it has its address back keeps it until it ends by itself.
    fn forget(&mut self, now: Instant, out: &mut VecDeque<StreamOutput>) {
        self.attempts.retain(|attempt| {
            let is_over = attempt.leaving.is_some_and(|at| at <= now);
            if is_over {
                let slot = attempt.slot;
                out.push_back(StreamOutput::Close { slot });
            }
            !is_over
        });
    }

    pub(super) fn info(&self) -> Vec<RelayInfo> {
        let info = |place: &Place| RelayInfo {
            server: self.settings.turn_servers[place.server].to_string(),
            component: place.component,
            transport: place.transport,
            relayed: place.relayed,
            error: place.error.clone(),
        };
        self.places.iter().map(info).collect()
    }
}

impl Attempt {
    /// Takes bytes of the connection; false if they make no sense.
    fn read(&mut self, now: Instant, bytes: &[u8]) -> bool {
        let Some(framer) = &mut self.framer else {
            return false;
        };
        framer.push(bytes);
        loop {
            match framer.poll() {
                Ok(Some(message)) => self.client.handle_message(now, &message),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    fn transmit(&mut self, payload: Bytes) -> StreamOutput {
        let (slot, to) = (self.slot, self.target.address);
        match self.framer {
            None => StreamOutput::Transmit { slot, to, payload },
            Some(_) => {
                self.room = self.room.saturating_sub(payload.len());
                StreamOutput::Write { slot, payload }
            }
        }
    }
}

/// What is tried of a server, in order: UDP first (RFC 5928, 3), two addresses of each transport.
fn ordered(wanted: Option<Transport>, resolved: &[Target]) -> VecDeque<Target> {
    let over = |transport: Transport| {
        let has = resolved.iter().any(|target| target.transport == transport);
        // An address and a host without records say nothing of transports.
        let fits = move |target: &&Target| !has || target.transport == transport;
        let targets = resolved.iter().filter(fits).take(ADDRESSES);
        targets.map(move |target| Target {
            transport,
            ..target.clone()
        })
    };
    match wanted {
        Some(transport) => over(transport).collect(),
        None => over(Transport::Udp).chain(over(Transport::Tcp)).collect(),
    }
}

/// Beyond those of addresses of interfaces.
const FIRST_SLOT: u16 = super::FIRST_SLOT as u16 + 2 * super::MAX_OTHERS as u16;
/// So many sockets later a slot is used again: the first one is closed long since.
const SLOTS: u16 = 4096;
/// Of one transport.
const ADDRESSES: usize = 2;
/// How long a target is tried alone.
const STAGGER: Duration = Duration::from_millis(300);
/// How long a server is waited for that shall take its address back: it may find a nonce stale (RFC 8656, 8.3), and
/// the request may be lost once.
const LEAVING: Duration = Duration::from_secs(1);
/// Bytes of media that may wait in a connection: more come too late anyway.
const BACKLOG: usize = 16 * 1024;
const NOT_FOUND: &str = "the server has no address";
const NO_ADDRESS: &str = "no address of that family";
const LATE: &str = "no answer in time";

#[cfg(test)]
mod tests;
