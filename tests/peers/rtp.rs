//! RTP in a capture: when it flowed, and what it said.

use crate::pcap::Packet;
use audio::{Sound, codec};

/// An RTP packet that arrived somewhere.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rtp {
    /// Seconds of UNIX time.
    pub(crate) at: f64,
    pub(crate) payload_type: u8,
    timestamp: u32,
    payload: Vec<u8>,
}

/// The RTP packets that were sent to a port, in their order.
pub(crate) fn to_port(packets: &[Packet], port: u16) -> Vec<Rtp> {
    let sent = packets
        .iter()
        .filter(|packet| packet.sequence.is_none() && packet.destination.port() == port);
    sent.filter_map(parse).collect()
}

fn parse(packet: &Packet) -> Option<Rtp> {
    let bytes = &packet.payload;
    let head = bytes.get(..12)?;
    // Nobody here sends an extension, padding or contributing sources.
    if head[0] != 0x80 {
        return None;
    }
    Some(Rtp {
        at: packet.at,
        payload_type: head[1] & 0x7f,
        timestamp: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        payload: bytes[12..].to_vec(),
    })
}

/// Decodes the speech in packets, as if their payload type were another if `law` says so.
pub(crate) fn sound(packets: &[Rtp], law: Option<u8>) -> Option<Sound> {
    let mut sound = Sound::new(RATE, Vec::new());
    let mut first = None;
    for packet in packets.iter().filter(|packet| packet.payload_type <= PCMA) {
        let mut codec = codec::open_static(law.unwrap_or(packet.payload_type))?;
        let first = *first.get_or_insert(packet.timestamp);
        let place = packet.timestamp.wrapping_sub(first) as usize;
        // A stream that begins anew goes on where the one before it ended.
        let place = if place < LONGEST {
            place
        } else {
            sound.samples.len()
        };
        sound.samples.resize(place.max(sound.samples.len()), 0);
        codec.decode(&packet.payload, &mut sound.samples);
    }
    Some(sound)
}

/// How long after `from` packets still came, in seconds, if they were to be back at `to` earliest.
pub(crate) fn went_on(packets: &[Rtp], from: f64, to: f64) -> f64 {
    let within = packets
        .iter()
        .rev()
        .find(|packet| packet.at >= from && packet.at < to);
    within.map_or(0.0, |packet| packet.at - from)
}

/// How long after `from` the next packet came, in seconds.
pub(crate) fn was_back(packets: &[Rtp], from: f64) -> f64 {
    let next = packets.iter().find(|packet| packet.at >= from);
    next.map_or(f64::INFINITY, |packet| packet.at - from)
}

/// The packets from a moment on.
pub(crate) fn since(packets: &[Rtp], from: f64) -> Vec<Rtp> {
    packets
        .iter()
        .filter(|packet| packet.at >= from)
        .cloned()
        .collect()
}

pub(crate) const PCMU: u8 = 0;
pub(crate) const PCMA: u8 = 8;
/// Samples a second of both.
pub(crate) const RATE: u32 = 8_000;
/// Two minutes.
const LONGEST: usize = 120 * RATE as usize;

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(at: f64, timestamp: u32) -> Rtp {
        Rtp {
            at,
            payload_type: PCMU,
            timestamp,
            payload: vec![0x80; 160],
        }
    }

    #[test]
    fn silence_is_measured() {
        let packets = [packet(1.0, 0), packet(1.02, 160), packet(3.0, 320)];
        assert!((went_on(&packets, 1.0, 2.5) - 0.02).abs() < 1e-9);
        assert_eq!(went_on(&packets, 1.5, 2.5), 0.0);
        assert!((was_back(&packets, 2.5) - 0.5).abs() < 1e-9);
        assert_eq!(was_back(&packets, 3.5), f64::INFINITY);
    }

    #[test]
    fn payloads_stand_where_their_timestamps_say() {
        let heard = sound(&[packet(0.0, u32::MAX - 159), packet(0.1, 160)], None).unwrap();
        assert_eq!(heard.samples.len(), 480);
        assert_eq!(heard.samples[200], 0);
        assert_eq!(heard.samples[0], heard.samples[400]);
    }
}
