//! The handshakes of a stream: which association is spoken with, over which way, and whose keys count.

mod describe;

pub(crate) use describe::{Description, Terms, is_described};

use base::{Deadline, Rng};
use bytes::BytesMut;
use dtls::{Association, Credentials, Failure, Keys, Output, Role};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// The associations of one stream: one for RTP, and another one for RTCP where that has a way of its own
/// (RFC 5764, 5).
///
/// *Tell* it each [agreement](Self::agree), and *feed* it the datagrams of DTLS. *It says* what to send and what
/// came of it by [`poll_output`](Self::poll_output), as far as there is a way. *Wake it* at
/// [`poll_timeout`](Self::poll_timeout).
///
/// An association is begun by other terms than before, and the keys of the one before stay in use until it
/// has some. Those before are kept, four at most, since forks of a call may be agreed with by turns.
///
/// *Whom it speaks with*, without ICE: as the client with the described address; as the server with whoever
/// begins, and with the described address rather than with anybody else. A certificate that is not the
/// expected one ends the stream, unless it was shown by somebody who is not where the peer said to be: whoever
/// guesses a port shall not end a call.
#[derive(Debug)]
pub(crate) struct Handshakes {
    credentials: Credentials,
    /// The current one is the last.
    known: Vec<Known>,
    /// Somebody may begin with whom nothing is agreed on yet: the peer, or another fork of the call.
    is_listening: bool,
    early: [Option<Early>; 2],
}

/// What was agreed on once.
#[derive(Debug)]
struct Known {
    terms: Terms,
    components: [Option<Component>; 2],
}

/// One association and whom it speaks with.
#[derive(Debug)]
struct Component {
    association: Association,
    rng: Rng,
    described: Option<SocketAddr>,
    /// Who begins without having been described, or has been heard.
    heard: Option<SocketAddr>,
    keys: Option<Keys>,
    /// How often it was begun.
    tries: u32,
}

/// The first flight of a peer whose description is still on its way.
#[derive(Debug)]
struct Early {
    from: SocketAddr,
    datagrams: Vec<BytesMut>,
}

/// What handshakes need to know of the transport.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    /// The time of day.
    pub(super) unix: Duration,
    /// RTCP shares the way of RTP.
    pub(super) is_muxed: bool,
    /// Where the peer says to be, RTP and RTCP.
    pub(super) described: [Option<SocketAddr>; 2],
    /// The call is not answered: another fork may be agreed with.
    pub(super) is_early: bool,
}

/// What handshakes say.
#[derive(Debug)]
pub(super) enum Said {
    /// A datagram for the peer of a component.
    Transmit {
        component: usize,
        /// Without ICE.
        to: Option<SocketAddr>,
        payload: Vec<u8>,
    },
    /// The current association of a component has keys.
    Keyed { component: usize, keys: Keys },
    /// The current association will have none.
    Failed(Failure),
}

impl Handshakes {
    pub(super) const fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            known: Vec::new(),
            is_listening: false,
            early: [None, None],
        }
    }

    /// Keeps what a peer says before its answer is there.
    pub(super) const fn listen(&mut self) {
        self.is_listening = true;
    }

    /// The call is answered: nobody else begins any more.
    pub(super) fn hear_all(&mut self) {
        self.is_listening = false;
        self.early = [None, None];
    }

    /// Follows an agreement on handshakes; returns keys that are there already.
    pub(super) fn agree(
        &mut self,
        now: Instant,
        terms: Terms,
        setting: Setting,
        rng: &mut Rng,
    ) -> [Option<Keys>; 2] {
        self.is_listening &= setting.is_early;
        let known = self.known.iter().position(|known| known.terms == terms);
        let mut current = match known {
            Some(place) => self.known.remove(place),
            None => Known {
                terms,
                components: [None, None],
            },
        };
        for (place, component) in current.components.iter_mut().enumerate() {
            let described = setting.described[place];
            if place == 1 && setting.is_muxed {
                *component = None;
                continue;
            }
            let begin = || Component {
                association: begin(now, setting.unix, &self.credentials, &current.terms, rng),
                rng: rng.fork(),
                described,
                heard: None,
                keys: None,
                tries: 1,
            };
            let component = component.get_or_insert_with(begin);
            if described.is_some() {
                component.described = described;
            }
        }
        let keys = current.components.each_ref().map(|component| {
            let component = component.as_ref()?;
            component.keys.clone()
        });
        if self.known.len() == MAX_KNOWN {
            self.known.remove(0);
        }
        self.known.push(current);
        for (place, early) in std::mem::take(&mut self.early).into_iter().enumerate() {
            for datagram in early.iter().flat_map(|early| &early.datagrams) {
                let from = early.as_ref().map(|early| early.from);
                self.handle_datagram(now, place, from, datagram, setting.unix);
            }
        }
        keys
    }

    /// Tells the peer of the current agreement that its associations end; those with others end without a word.
    /// What that has them say comes before they are [cleared](Self::clear).
    pub(super) fn close(&mut self) {
        self.known.drain(..self.known.len().saturating_sub(1));
        let components = self
            .known
            .iter_mut()
            .flat_map(|known| &mut known.components);
        for component in components.flatten() {
            component.association.close();
        }
    }

    /// Keys come about in another way: what was begun is over.
    pub(super) fn clear(&mut self) {
        self.known.clear();
        self.is_listening = false;
        self.early = [None, None];
    }

    /// Takes a datagram of DTLS; `from` is nobody with ICE, which has made sure of the peer.
    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        place: usize,
        from: Option<SocketAddr>,
        datagram: &[u8],
        unix: Duration,
    ) {
        let credentials = self.credentials.clone();
        let Some((known, component)) = self.addressee(place, from) else {
            return;
        };
        if let Some(from) = from.filter(|_| component.association.role() == Role::Passive) {
            let is_described = component.described == Some(from);
            let begins = begins_flight(datagram);
            match component.heard {
                Some(heard) if heard == from => {}
                None if begins => {}
                Some(heard) if begins && component.yields(heard, is_described) => {
                    component.begin_again(now, unix, &credentials, known);
                }
                // What begins nothing belongs to nobody, and what somebody else begins to another fork.
                _ => return self.keep(place, from, datagram.into()),
            }
            component.heard = Some(from);
        }
        component.association.handle_datagram(now, datagram);
    }

    /// Keeps a datagram that came before any agreement with its sender.
    pub(super) fn keep(&mut self, place: usize, from: SocketAddr, datagram: BytesMut) {
        let Some(early) = self.early.get_mut(place) else {
            return;
        };
        if !self.is_listening || datagram.len() > MAX_DATAGRAM {
            return;
        }
        match early {
            // A flight that is repeated takes its own place.
            _ if begins_flight(&datagram) => {
                let datagrams = vec![datagram];
                *early = Some(Early { from, datagrams });
            }
            Some(early) if early.from == from && early.datagrams.len() < MAX_FLIGHT => {
                early.datagrams.push(datagram);
            }
            _ => {}
        }
    }

    /// Whose datagram it is: that of the current association, unless another one speaks with its sender.
    fn addressee(
        &mut self,
        place: usize,
        from: Option<SocketAddr>,
    ) -> Option<(&Terms, &mut Component)> {
        let last = self.known.len().checked_sub(1)?;
        let speaks = |known: &Known| {
            let component = known.components.get(place).and_then(Option::as_ref);
            component.is_some_and(|component| component.remote() == from)
        };
        let other = from.and_then(|_| self.known.iter().rposition(speaks));
        let known = self.known.get_mut(other.unwrap_or(last))?;
        let component = known.components.get_mut(place)?.as_mut()?;
        Some((&known.terms, component))
    }

    /// True while the current association of a component has no keys.
    pub(super) fn is_pending(&self) -> bool {
        let current = self.known.last();
        let mut components = current.iter().flat_map(|known| &known.components).flatten();
        components.any(|component| component.keys.is_none())
    }

    /// Takes the next thing that they say. `has_way` tells over which components something can be sent now.
    pub(super) fn poll_output(
        &mut self,
        now: Instant,
        unix: Duration,
        has_way: impl Fn(usize) -> bool,
    ) -> Option<Said> {
        let last = self.known.len().checked_sub(1)?;
        for at in 0..=last {
            for place in 0..2 {
                if !has_way(place) {
                    continue;
                }
                let known = &mut self.known[at];
                let Some(component) = &mut known.components[place] else {
                    continue;
                };
                while let Some(output) = component.association.poll_output(now) {
                    match output {
                        Output::Transmit(payload) => {
                            return Some(Said::Transmit {
                                component: place,
                                to: component.remote(),
                                payload,
                            });
                        }
                        Output::Keyed(keys) => {
                            component.keys = Some(keys.clone());
                            if at == last {
                                let component = place;
                                return Some(Said::Keyed { component, keys });
                            }
                        }
                        Output::Failed(failure) if component.may_begin_again(failure) => {
                            component.begin_again(now, unix, &self.credentials, &known.terms);
                            component.heard = None;
                        }
                        Output::Failed(failure) if at == last => {
                            return self.failed(failure);
                        }
                        Output::Failed(_) => {
                            known.components[place] = None;
                            break;
                        }
                    }
                }
            }
        }
        None
    }

    /// RFC 8842, 3.1 makes a new association of small changes, too: where it fails and the peer is the one it
    /// was, the one before stays.
    fn failed(&mut self, failure: Failure) -> Option<Said> {
        let current = self.known.pop()?;
        let is_same = |before: &Known| {
            let mut components = before.components.iter().flatten();
            before.terms.expected == current.terms.expected
                && components.all(|component| component.keys.is_some())
        };
        match self.known.last().is_some_and(is_same) && failure != Failure::Fingerprint {
            true => None,
            false => Some(Said::Failed(failure)),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        self.components()
            .filter_map(|component| component.association.poll_timeout())
            .min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let components = self
            .known
            .iter_mut()
            .flat_map(|known| &mut known.components);
        for component in components.flatten() {
            component.association.handle_timeout(now);
        }
    }

    fn components(&self) -> impl Iterator<Item = &Component> {
        self.known
            .iter()
            .flat_map(|known| &known.components)
            .flatten()
    }
}

impl Component {
    /// Whom it speaks with, without ICE.
    fn remote(&self) -> Option<SocketAddr> {
        match self.association.role() {
            Role::Active => self.described,
            Role::Passive => self.heard.or(self.described),
        }
    }

    /// Whether another sender may take the place of the one that is spoken with: who was described always, a
    /// stranger that of a stranger.
    fn yields(&self, heard: SocketAddr, to_described: bool) -> bool {
        let is_stranger = self.described != Some(heard) && self.tries < MAX_TRIES;
        !self.association.is_keyed() && (to_described || is_stranger)
    }

    /// Whether a failure may be the work of somebody else than the peer.
    fn may_begin_again(&self, failure: Failure) -> bool {
        let is_stranger = self.heard.is_some() && self.heard != self.described;
        let is_anybodys = match failure {
            Failure::Fingerprint | Failure::NoProfile => is_stranger,
            Failure::Handshake => true,
            _ => false,
        };
        is_anybodys && self.association.role() == Role::Passive && self.tries < MAX_TRIES
    }

    fn begin_again(
        &mut self,
        now: Instant,
        unix: Duration,
        credentials: &Credentials,
        terms: &Terms,
    ) {
        self.tries += 1;
        self.association = begin(now, unix, credentials, terms, &mut self.rng);
    }
}

fn begin(
    now: Instant,
    unix: Duration,
    credentials: &Credentials,
    terms: &Terms,
    rng: &mut Rng,
) -> Association {
    let expected = terms.expected.clone();
    let identity = credentials.identity();
    Association::new(now, unix, terms.role, identity, expected, rng.fork())
}

/// True for the beginning of a first ClientHello (RFC 6347, 4.2.2): a handshake record with the first piece
/// of message 0.
fn begins_flight(datagram: &[u8]) -> bool {
    let is_hello = datagram.first() == Some(&22) && datagram.get(13) == Some(&1);
    is_hello && datagram.get(17..22) == Some(&[0; 5])
}

/// The forks of a call that are agreed with by turns.
const MAX_KNOWN: usize = 4;
/// A first flight with the keys of future groups.
const MAX_FLIGHT: usize = 4;
/// No path carries more.
const MAX_DATAGRAM: usize = 2_048;
/// How many strangers may be in the way of one peer.
const MAX_TRIES: u32 = 8;
