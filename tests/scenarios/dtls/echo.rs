//! A peer whose media are keyed by DTLS, for what no agent of ours does by itself: its descriptions are the
//! test's to write, and it begins an association when it is told to. It says back whatever it hears.

use base::{Deadline, Key as _, Rng};
use bytes::{Bytes, BytesMut};
use rtp::{
    Kind,
    srtp::{Opener, Sealer},
};
use simulator::Node;
use sipsimple::{
    agent::{Class, Input, LinkId, Open, Output},
    dtls::{self, Association, Expected, Failure, Identity, Role},
};
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// Each of its associations has a port of its own, by which one is told from the other (RFC 8842, 3.2).
pub(crate) struct Echo {
    ip: IpAddr,
    rng: Rng,
    /// The one in use is the last that has keys.
    legs: Vec<Leg>,
    failures: Vec<Failure>,
    out: VecDeque<Output>,
}

/// A port, and what became of it.
struct Leg {
    port: u16,
    association: Option<Association>,
    remote: Option<SocketAddr>,
    keys: Option<(Sealer, Opener)>,
}

impl Echo {
    pub(crate) fn new(ip: IpAddr, seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self {
            ip,
            rng: Rng::from_seed(bytes),
            legs: Vec::new(),
            failures: Vec::new(),
            out: VecDeque::new(),
        }
    }

    /// A new certificate.
    pub(crate) fn identity(&mut self) -> Identity {
        Identity::generate(&mut self.rng)
    }

    /// Opens one more port, and returns it.
    pub(crate) fn open(&mut self) -> u16 {
        let place = self.legs.len();
        let port = FIRST_PORT + 2 * place as u16;
        self.out.push_back(Output::Open {
            link: link(place),
            how: Open::Udp {
                bind: SocketAddr::new(self.ip, port),
                class: Class::Voice,
                multicast: None,
            },
        });
        self.legs.push(Leg {
            port,
            association: None,
            remote: None,
            keys: None,
        });
        port
    }

    /// The port that was opened last.
    pub(crate) fn last_port(&self) -> u16 {
        self.legs.last().map_or(0, |leg| leg.port)
    }

    /// Begins an association over the last port.
    pub(crate) fn begin(
        &mut self,
        now: Instant,
        role: Role,
        identity: &Identity,
        expected: Expected,
        remote: SocketAddr,
    ) {
        let rng = self.rng.fork();
        let Some(leg) = self.legs.last_mut() else {
            return;
        };
        let association = Association::new(now, UNIX, role, identity, expected, rng);
        (leg.association, leg.remote) = (Some(association), Some(remote));
        self.advance(now);
    }

    /// Knows nothing any more: it has started again.
    pub(crate) fn forget(&mut self) {
        for leg in &mut self.legs {
            (leg.association, leg.keys) = (None, None);
        }
    }

    /// Which of its ports have keys.
    pub(crate) fn keyed(&self) -> Vec<u16> {
        let keyed = self.legs.iter().filter(|leg| leg.keys.is_some());
        keyed.map(|leg| leg.port).collect()
    }

    /// What failed.
    pub(crate) fn failures(&self) -> &[Failure] {
        &self.failures
    }

    fn datagram(&mut self, now: Instant, to: LinkId, from: SocketAddr, payload: &[u8]) {
        let Some(place) = (0..self.legs.len()).find(|place| link(*place) == to) else {
            return;
        };
        if dtls::is_dtls(payload) {
            let leg = &mut self.legs[place];
            leg.remote = Some(from);
            if let Some(association) = &mut leg.association {
                association.handle_datagram(now, payload);
            }
        } else if Kind::of(payload) == Kind::Rtp {
            self.echo(now, from, payload);
        }
    }

    /// Opens by whatever key fits, and seals with the newest one.
    fn echo(&mut self, now: Instant, from: SocketAddr, payload: &[u8]) {
        let keys = self
            .legs
            .iter_mut()
            .rev()
            .filter_map(|leg| leg.keys.as_mut());
        let opened = keys.filter_map(|(_, opener)| {
            let mut packet = BytesMut::from(payload);
            opener.open_rtp(now, &mut packet).ok().map(|()| packet)
        });
        let Some(mut packet) = opened.take(1).last() else {
            return;
        };
        // A sender of its own.
        packet[8] ^= 0x55;
        let newest = self.legs.iter_mut().enumerate().rev();
        let mut newest = newest.filter_map(|(place, leg)| Some((place, leg.keys.as_mut()?)));
        if let Some((place, (sealer, _))) = newest.next()
            && sealer.seal_rtp(&mut packet).is_ok()
        {
            self.out.push_back(transmit(place, from, packet.freeze()));
        }
    }

    fn advance(&mut self, now: Instant) {
        for (place, leg) in self.legs.iter_mut().enumerate() {
            let (Some(association), Some(remote)) = (&mut leg.association, leg.remote) else {
                continue;
            };
            while let Some(output) = association.poll_output(now) {
                match output {
                    dtls::Output::Transmit(payload) => {
                        self.out.push_back(transmit(place, remote, payload.into()));
                    }
                    dtls::Output::Keyed(keys) => {
                        leg.keys = Some((Sealer::new(keys.local), Opener::new(keys.remote)));
                    }
                    dtls::Output::Failed(failure) => self.failures.push(failure),
                }
            }
        }
    }
}

impl Node for Echo {
    fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Timeout => {
                for association in self
                    .legs
                    .iter_mut()
                    .filter_map(|leg| leg.association.as_mut())
                {
                    association.handle_timeout(now);
                }
            }
            Input::Datagram {
                link,
                from,
                payload,
                ..
            } => self.datagram(now, link, from, &payload),
            _ => {}
        }
        self.advance(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        let associations = self.legs.iter().filter_map(|leg| leg.association.as_ref());
        associations.filter_map(Association::poll_timeout).min()
    }
}

fn transmit(place: usize, to: SocketAddr, payload: Bytes) -> Output {
    Output::Transmit {
        link: link(place),
        from: None,
        to,
        payload,
    }
}

fn link(place: usize) -> LinkId {
    LinkId::from_parts(place as u32, place as u32)
}

const FIRST_PORT: u16 = 5_000;
const UNIX: Duration = Duration::from_secs(1_735_689_600);
