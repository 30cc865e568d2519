//! What comes from the peer.

use super::{Heard, RtpTransport, ice};
use crate::stream::Slot;
use bytes::BytesMut;
use rtp::{Received, Unplayed};
use std::{net::SocketAddr, time::Instant};

impl RtpTransport {
    /// Takes what is no STUN.
    pub(super) fn media(
        &mut self,
        now: Instant,
        slot: Slot,
        from: SocketAddr,
        payload: BytesMut,
    ) -> Heard {
        // RFC 7983, 7.
        if ::dtls::is_dtls(&payload) {
            return self.handshake(now, slot, from, payload);
        }
        if self.flow.is_none() {
            self.keep_early(now, slot, from, &payload);
            return Heard::Nothing;
        }
        // RFC 5761, 4.
        let is_shared = self.is_muxed() && rtp::Kind::of(&payload) == rtp::Kind::Rtcp;
        match ice::component_of(slot) {
            1 if !is_shared => self.rtp(now, from, payload),
            _ => self.rtcp(now, from, payload),
        }
    }

    fn rtcp(&mut self, now: Instant, from: SocketAddr, mut payload: BytesMut) -> Heard {
        let Some(flow) = &mut self.flow else {
            return Heard::Nothing;
        };
        let first = payload.first().copied();
        let protection = flow.control.as_mut().unwrap_or(&mut flow.protection);
        if !protection.open_rtcp(now, &mut payload) {
            flow.arrivals.note(from, Unplayed::refused(first));
            return Heard::Nothing;
        }
        if !flow.session.handle_rtcp(now, from, &payload) {
            return Heard::Nothing;
        }
        flow.rtcp.handle_packet(now, from);
        flow.arrivals.note(from, Unplayed::Report);
        self.drain(now);
        Heard::Report
    }

    fn rtp(&mut self, now: Instant, from: SocketAddr, mut datagram: BytesMut) -> Heard {
        let Some(flow) = &mut self.flow else {
            return Heard::Nothing;
        };
        let first = datagram.first().copied();
        // RFC 3711, 3.3: what is not authentic is as if it had not come, for the latch as well.
        if !flow.protection.open_rtp(now, &mut datagram) {
            flow.arrivals.note(from, Unplayed::refused(first));
            return Heard::Nothing;
        }
        let described = flow.rtp.described();
        if let Some(single) = &mut flow.single
            && !single.admits(now, from, described)
        {
            return Heard::Nothing;
        }
        let received = flow.session.handle_rtp(now, from, datagram.freeze());
        let heard = match received {
            Received::Media(frame) => {
                flow.rtp.handle_packet(now, from);
                flow.received_from = Some(from);
                flow.arrivals.clear();
                Heard::Frame(frame)
            }
            Received::Placeholder(frame) => {
                let what = Unplayed::Placeholder(frame.payload_type);
                flow.arrivals.note(from, what);
                Heard::Frame(frame)
            }
            Received::Ignored(reason) => {
                if let Some(what) = Unplayed::of(first, reason) {
                    flow.arrivals.note(from, what);
                }
                Heard::Nothing
            }
        };
        self.drain(now);
        heard
    }
}
