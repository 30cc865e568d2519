//! What protects the packets of a transport, and the handshakes that it comes from.

use super::{
    Agreed, Discarded, Heard, Keys, Protection, RTCP, RTP, RtpTransport,
    dtls::{Said, Setting},
    ice::component_of,
    transmit,
};
use crate::stream::Slot;
use ::dtls::Failure;
use bytes::{Bytes, BytesMut};
use rtp::srtp::Profile;
use std::{net::SocketAddr, time::Instant};

impl RtpTransport {
    /// What seals and opens packets; `None` if nothing does.
    pub(crate) fn profile(&self) -> Option<Profile> {
        self.flow.as_ref()?.protection.profile()
    }

    /// True until there are the keys that were agreed on.
    pub(crate) fn is_waiting_for_keys(&self) -> bool {
        let flow = self.flow.as_ref();
        flow.is_some_and(|flow| flow.protection.is_waiting())
    }

    /// What encryption kept from being played or sent.
    pub(crate) fn discarded(&self) -> Discarded {
        let Some(flow) = &self.flow else {
            return Discarded::default();
        };
        let media = flow.protection.discarded();
        let control = flow.control.as_ref().map(Protection::discarded);
        media.and(control.unwrap_or_default())
    }

    /// A peer may begin a handshake before its answer is here (RFC 5763, 6.7.1).
    pub(crate) const fn listen(&mut self) {
        self.handshakes.listen();
    }

    /// Takes the next thing that became of handshakes: there are keys, or there will be none.
    pub(crate) fn poll_secured(&mut self) -> Option<Result<(), Failure>> {
        self.secured.pop_front()
    }

    /// Follows what was agreed on of handshakes. They say nothing before it is known whether the way is found by
    /// ICE: then nothing else goes ahead of its checks (RFC 8445, 12.1).
    pub(super) fn agree_handshakes(
        &mut self,
        now: Instant,
        agreed: Agreed,
        described: [Option<SocketAddr>; 2],
        is_new: bool,
        is_early: bool,
    ) {
        let Some(flow) = &mut self.flow else { return };
        let Agreed::Dtls(terms) = agreed else {
            flow.control = None;
            self.handshakes.clear();
            return;
        };
        let is_own = !flow.is_muxed;
        if is_new || !is_own {
            flow.control = None;
        }
        if is_own {
            let awaited = Agreed::Dtls(terms.clone());
            let control = flow.control.get_or_insert_default();
            control.agree(now, &awaited, false);
        }
        let setting = Setting {
            unix: self.clock.unix_time(now),
            is_muxed: flow.is_muxed,
            described,
            is_early,
        };
        let keys = self.handshakes.agree(now, terms, setting, &mut self.rng);
        for (component, keys) in keys.into_iter().enumerate() {
            if let Some(keys) = keys {
                self.key(now, component, keys);
            }
        }
    }

    fn key(&mut self, now: Instant, component: usize, keys: ::dtls::Keys) {
        let Some(flow) = &mut self.flow else { return };
        let protection: Option<&mut Protection> = match component {
            0 => Some(&mut flow.protection),
            _ => flow.control.as_mut(),
        };
        if let Some(protection) = protection {
            let (local, remote) = (keys.local, keys.remote);
            protection.take(now, Keys { local, remote });
        }
    }

    /// Takes a datagram of DTLS.
    pub(super) fn handshake(
        &mut self,
        now: Instant,
        slot: Slot,
        from: SocketAddr,
        payload: BytesMut,
    ) -> Heard {
        let component = usize::from(component_of(slot)).saturating_sub(1);
        if self.flow.is_none() {
            self.handshakes.keep(component, from, payload);
            return Heard::Nothing;
        }
        let is_ice = self.ice.as_ref().is_some_and(super::Ice::is_agreed);
        let from = Some(from).filter(|_| !is_ice);
        let unix = self.clock.unix_time(now);
        self.handshakes
            .handle_datagram(now, component, from, &payload, unix);
        Heard::Nothing
    }

    /// Sends what handshakes have to say, as far as there is a way, and takes what they have come to.
    pub(super) fn advance_handshakes(&mut self, now: Instant) {
        let unix = self.clock.unix_time(now);
        let ways = [RTP, RTCP].map(|slot| self.handshake_way(slot));
        let has_way = |component: usize| ways[component].is_some();
        while let Some(said) = self.handshakes.poll_output(now, unix, has_way) {
            match said {
                Said::Transmit {
                    component,
                    to,
                    payload,
                } => {
                    let way = ways[component].and_then(|(slot, over_ice)| {
                        let to = over_ice.or(to)?;
                        Some((slot, to))
                    });
                    if let Some(way) = way {
                        let payload = Bytes::from(payload);
                        transmit(&mut self.ice, &mut self.out, now, way, payload);
                    }
                }
                Said::Keyed { component, keys } => {
                    self.key(now, component, keys);
                    if !self.handshakes.is_pending() {
                        self.secured.push_back(Ok(()));
                    }
                }
                Said::Failed(failure) => self.secured.push_back(Err(failure)),
            }
        }
    }

    /// From which socket handshakes speak, and with ICE to where; `None` if they cannot.
    fn handshake_way(&self, slot: Slot) -> Option<(Slot, Option<SocketAddr>)> {
        let flow = self.flow.as_ref()?;
        if let Some(ice) = self.ice.as_ref().filter(|ice| ice.is_agreed()) {
            let (slot, to) = ice.way(slot).filter(|_| !flow.is_paused)?;
            return Some((slot, Some(to)));
        }
        let is_ready = !flow.is_paused && !flow.is_null && self.ports.pair().is_some();
        is_ready.then_some((slot, None))
    }
}
