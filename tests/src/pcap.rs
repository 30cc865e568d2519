//! The wire of a run as a capture file, for the tools that read such files.

use base::Transport;
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use crate::trace::{Action, Fate, Trace};

impl Trace {
    /// Writes everything that was put on the wire as a classic capture file of raw IP packets.
    ///
    /// What was lost on the way is in it, as in a capture at the sender; what a test took out by
    /// itself is not. Of connections only the bytes are shown, in segments of one write each. UDP
    /// checksums are left out, as IPv4 allows.
    pub fn pcap(&self) -> Vec<u8> {
        let mut out = Vec::new();
        // Magic, version 2.4, time zone, accuracy, longest packet, link type.
        for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, MAX_PACKET, LINKTYPE_RAW] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        let mut sequence = BTreeMap::new();
        for step in self.steps() {
            if let Action::Send {
                fate: Fate::Intercepted,
                ..
            } = &step.action
            {
                continue;
            }
            let Some((transport, from, to, payload)) = step.action.sent() else {
                continue;
            };
            let segment = match transport {
                Transport::Udp => udp(from, to, payload),
                _ => {
                    let (ours, theirs) = levels(&mut sequence, from, to, payload.len());
                    tcp(from, to, ours, theirs, payload)
                }
            };
            packet(&mut out, step.at, from.ip(), to.ip(), transport, &segment);
        }
        out
    }
}

/// How many bytes went either way before these.
fn levels(
    sequence: &mut BTreeMap<(SocketAddr, SocketAddr), u32>,
    from: SocketAddr,
    to: SocketAddr,
    len: usize,
) -> (u32, u32) {
    let theirs = sequence.get(&(to, from)).copied().unwrap_or(1);
    let ours = sequence.entry((from, to)).or_insert(1);
    let before = *ours;
    *ours = ours.wrapping_add(len as u32);
    (before, theirs)
}

fn udp(from: SocketAddr, to: SocketAddr, payload: &Bytes) -> Vec<u8> {
    let mut out = ports(from, to);
    let len = u16::try_from(payload.len() + 8).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(payload);
    out
}

fn tcp(from: SocketAddr, to: SocketAddr, ours: u32, theirs: u32, payload: &Bytes) -> Vec<u8> {
    let mut out = ports(from, to);
    out.extend_from_slice(&ours.to_be_bytes());
    out.extend_from_slice(&theirs.to_be_bytes());
    // Five words of header, PSH and ACK, the largest window, no checksum, no urgent data.
    out.extend_from_slice(&[0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    out.extend_from_slice(payload);
    out
}

fn ports(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    [from.port().to_be_bytes(), to.port().to_be_bytes()].concat()
}

fn packet(
    out: &mut Vec<u8>,
    at: Duration,
    from: IpAddr,
    to: IpAddr,
    transport: Transport,
    segment: &[u8],
) {
    let protocol = match transport {
        Transport::Udp => 17,
        _ => 6,
    };
    let header = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let len = u16::try_from(segment.len() + 20).unwrap_or(u16::MAX);
            let mut header = vec![0x45, 0];
            header.extend_from_slice(&len.to_be_bytes());
            // No fragments, 64 hops.
            header.extend_from_slice(&[0, 0, 0x40, 0, 64, protocol, 0, 0]);
            header.extend_from_slice(&from.octets());
            header.extend_from_slice(&to.octets());
            let sum = checksum(&header).to_be_bytes();
            header[10..12].copy_from_slice(&sum);
            header
        }
        (from, to) => {
            let octets = |ip: IpAddr| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            let len = u16::try_from(segment.len()).unwrap_or(u16::MAX);
            let mut header = vec![0x60, 0, 0, 0];
            header.extend_from_slice(&len.to_be_bytes());
            header.extend_from_slice(&[protocol, 64]);
            header.extend_from_slice(&octets(from));
            header.extend_from_slice(&octets(to));
            header
        }
    };
    let len = (header.len() + segment.len()) as u32;
    for word in [at.as_secs() as u32, at.subsec_micros(), len, len] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&header);
    out.extend_from_slice(segment);
}

/// The Internet checksum (RFC 1071) of a header of whole words.
fn checksum(header: &[u8]) -> u16 {
    let words = header.chunks_exact(2);
    let sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !(folded as u16)
}

/// Raw IP, version 4 or 6 by its first bits.
const LINKTYPE_RAW: u32 = 101;
const MAX_PACKET: u32 = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HostId;

    #[test]
    fn a_datagram_is_a_packet() {
        let mut trace = Trace::default();
        let send = Action::Send {
            packet: 1,
            from: "10.0.0.1:5060".parse().unwrap(),
            to: "10.0.0.2:5070".parse().unwrap(),
            payload: Bytes::from_static(b"hello"),
            fate: Fate::Lost,
        };
        trace.push(Duration::from_millis(1_500), HostId::new(0), send);
        let pcap = trace.pcap();
        let (file, rest) = pcap.split_at(24);
        assert_eq!(file[20], 101);
        let (record, packet) = rest.split_at(16);
        assert_eq!(record[..8], [1, 0, 0, 0, 0x20, 0xa1, 7, 0]);
        assert_eq!(packet.len(), 20 + 8 + 5);
        // RFC 1071: with its own checksum in it, a header sums up to all ones.
        assert_eq!(checksum(&packet[..20]), 0);
        assert_eq!(packet[20..28], [0x13, 0xc4, 0x13, 0xce, 0, 13, 0, 0]);
        assert_eq!(&packet[28..], b"hello");
    }
}
