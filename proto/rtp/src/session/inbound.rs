//! Inbound RTP (RFC 3550, 5.1, 8.2 and A.1).

use super::{Frame, Ignored, Output, Received, Session, State};
use crate::{COMFORT_NOISE, Packet, source::Arrival};
use bytes::{Buf, Bytes};
use std::{net::SocketAddr, time::Instant};

impl Session {
    /// Takes a datagram of the RTP port and says what it is. The payload is a slice of the datagram.
    ///
    /// Only media with a payload type that was agreed on makes a source known, and only that should
    /// count for a [`Latch`](crate::Latch) or for a timer that watches over the peer's media.
    pub fn handle_rtp(&mut self, now: Instant, from: SocketAddr, mut datagram: Bytes) -> Received {
        if self.state != State::Joined {
            return Received::Ignored(Ignored::Left);
        }
        let (header, offset, len) = match Packet::parse(&datagram) {
            Ok(packet) => (
                packet.header,
                packet.payload_offset(),
                packet.payload().len(),
            ),
            Err(error) => {
                self.statistics.malformed += 1;
                return Received::Ignored(Ignored::Malformed(error));
            }
        };
        if header.ssrc == self.ssrc && !self.resolve_collision(now, from, false) {
            return Received::Ignored(Ignored::Looped);
        }
        let clock_rate = self.clock_rate_of(header.payload_type);
        if clock_rate.is_none() {
            self.statistics.unknown_payload_types += 1;
        }
        let mut frame = Frame {
            payload_type: header.payload_type,
            marker: header.marker,
            sequence: 0,
            timestamp: header.timestamp,
            ssrc: header.ssrc,
            arrived: now,
            payload: Bytes::new(),
        };
        let Some(clock_rate) = clock_rate.filter(|_| len > 0) else {
            return match self
                .find(header.ssrc)
                .and_then(|source| source.handle_placeholder(now, header.sequence))
            {
                Some(sequence) => Received::Placeholder(Frame { sequence, ..frame }),
                None if clock_rate.is_none() => {
                    Received::Ignored(Ignored::UnknownPayloadType(header.payload_type))
                }
                None => Received::Ignored(Ignored::Empty),
            };
        };
        self.last_rtp = Some(now);
        let source = self.find_or_insert(now, header.ssrc);
        let joined = source.sent.is_none();
        frame.sequence = source.handle_media(Arrival {
            now,
            sequence: header.sequence,
            timestamp: header.timestamp,
            clock_rate,
            bytes: len,
        });
        if joined {
            self.say(Output::SourceJoined { ssrc: header.ssrc });
        }
        datagram.advance(offset);
        datagram.truncate(len);
        frame.payload = datagram;
        Received::Media(frame)
    }

    fn clock_rate_of(&self, number: u8) -> Option<u32> {
        let agreed = self
            .payload_types
            .iter()
            .find(|payload_type| payload_type.number == number);
        match agreed {
            Some(payload_type) => Some(payload_type.clock_rate),
            // RFC 3389 peers send it without asking.
            None if number == COMFORT_NOISE => Some(8_000),
            None => None,
        }
    }
}
