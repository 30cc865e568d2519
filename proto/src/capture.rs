//! Messages as a capture file, for the tools that read such files: pcapng, as in the Internet-Draft
//! draft-ietf-opsawg-pcapng.
//!
//! What went in plain is a packet of IP with the headers that it had, as far as the stack knows them:
//! a message is a segment, there are no handshakes and acknowledgements. What was secured is shown
//! decrypted, which no packet of TCP can be; it is a message by itself with its addresses beside it
//! (what Wireshark calls an exported PDU), on an interface of its own. Nothing is masked: digests of
//! passwords and keys of media are in it.

use crate::edge::Trace;
use base::Transport;
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// Writes a capture: take the bytes as they come and append them to a file.
#[derive(Debug)]
pub struct Capture {
    out: Vec<u8>,
    /// The next byte of either direction of a stream.
    levels: BTreeMap<(SocketAddr, SocketAddr), u32>,
}

impl Default for Capture {
    fn default() -> Self {
        Self::new()
    }
}

impl Capture {
    /// A capture of nothing, which has the head of the file.
    pub fn new() -> Self {
        let mut capture = Self {
            out: Vec::new(),
            levels: BTreeMap::new(),
        };
        // Version 1.0, of unknown length.
        let mut section = Vec::new();
        section.extend_from_slice(&MAGIC.to_le_bytes());
        section.extend_from_slice(&[1, 0, 0, 0]);
        section.extend_from_slice(&u64::MAX.to_le_bytes());
        let program = concat!("sipsimple/", env!("CARGO_PKG_VERSION"));
        options(&mut section, &[(SHB_USERAPPL, program)]);
        capture.block(SECTION, &section);
        for (link_type, name) in [(LINKTYPE_RAW, "plain"), (LINKTYPE_UPPER_PDU, "decrypted")] {
            let mut interface = Vec::new();
            interface.extend_from_slice(&link_type.to_le_bytes());
            // Reserved, and packets of any length.
            interface.extend_from_slice(&[0; 6]);
            options(&mut interface, &[(IF_NAME, name)]);
            capture.block(INTERFACE, &interface);
        }
        capture
    }

    /// Adds a message that an agent reports; `at` is the time since 1970.
    pub fn message(&mut self, at: Duration, trace: &Trace) {
        let (from, to) = match trace.sent {
            true => (trace.local, trace.peer),
            false => (trace.peer, trace.local),
        };
        self.add(at, trace.transport, from, to, &trace.plaintext);
    }

    /// Adds something that went over a transport, decrypted if that secures it; `at` is the time since
    /// 1970. Of a stream, what does not fit into one packet is in several.
    pub fn add(
        &mut self,
        at: Duration,
        transport: Transport,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
    ) {
        match transport {
            Transport::Udp => {
                let packet = ip(from.ip(), to.ip(), UDP, udp(from, to, payload));
                self.packet(at, PLAIN, &packet);
            }
            Transport::Tcp => {
                for part in payload.chunks(MAX_SEGMENT) {
                    let (ours, theirs) = self.levels(from, to, part.len());
                    let segment = tcp(from, to, ours, theirs, part);
                    self.packet(at, PLAIN, &ip(from.ip(), to.ip(), TCP, segment));
                }
            }
            Transport::Tls | Transport::Ws | Transport::Wss => {
                self.packet(at, DECRYPTED, &exported(from, to, payload));
            }
        }
    }

    /// Takes what was written since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// How many bytes went either way before these.
    fn levels(&mut self, from: SocketAddr, to: SocketAddr, len: usize) -> (u32, u32) {
        if self.levels.len() >= MAX_LEVELS && !self.levels.contains_key(&(from, to)) {
            self.levels.clear();
        }
        let theirs = self.levels.get(&(to, from)).copied().unwrap_or(1);
        let ours = self.levels.entry((from, to)).or_insert(1);
        let before = *ours;
        *ours = ours.wrapping_add(len as u32);
        (before, theirs)
    }

    /// An enhanced packet block, without options.
    fn packet(&mut self, at: Duration, interface: u32, bytes: &[u8]) {
        let micros = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        let len = bytes.len() as u32;
        let mut body = Vec::with_capacity(20 + bytes.len());
        for word in [interface, (micros >> 32) as u32, micros as u32, len, len] {
            body.extend_from_slice(&word.to_le_bytes());
        }
        body.extend_from_slice(bytes);
        pad(&mut body);
        self.block(PACKET, &body);
    }

    /// Every block has its length at both ends.
    fn block(&mut self, kind: u32, body: &[u8]) {
        let len = (body.len() as u32 + 12).to_le_bytes();
        self.out.extend_from_slice(&kind.to_le_bytes());
        self.out.extend_from_slice(&len);
        self.out.extend_from_slice(body);
        self.out.extend_from_slice(&len);
    }
}

/// Options that are text, and their end.
fn options(out: &mut Vec<u8>, options: &[(u16, &str)]) {
    for (code, text) in options {
        out.extend_from_slice(&code.to_le_bytes());
        out.extend_from_slice(&(text.len() as u16).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
        pad(out);
    }
    out.extend_from_slice(&[0; 4]);
}

/// Up to a whole word.
fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

/// A message with its dissector's name and its addresses before it, as Wireshark's `exported_pdu.h`
/// has them.
fn exported(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut tag = |tag: u16, value: &[u8]| {
        out.extend_from_slice(&tag.to_be_bytes());
        let padded = value.len().next_multiple_of(4);
        out.extend_from_slice(&(padded as u16).to_be_bytes());
        out.extend_from_slice(value);
        out.resize(out.len() + padded - value.len(), 0);
    };
    tag(TAG_DISSECTOR, b"sip");
    for (v4, v6, ip) in [
        (TAG_IPV4_SOURCE, TAG_IPV6_SOURCE, from.ip()),
        (TAG_IPV4_DESTINATION, TAG_IPV6_DESTINATION, to.ip()),
    ] {
        match ip {
            IpAddr::V4(ip) => tag(v4, &ip.octets()),
            IpAddr::V6(ip) => tag(v6, &ip.octets()),
        }
    }
    tag(TAG_PORT_TYPE, &PORT_TYPE_TCP.to_be_bytes());
    tag(TAG_SOURCE_PORT, &u32::from(from.port()).to_be_bytes());
    tag(TAG_DESTINATION_PORT, &u32::from(to.port()).to_be_bytes());
    tag(TAG_END, &[]);
    out.extend_from_slice(payload);
    out
}

/// RFC 768, with place for the checksum.
fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut out = ports(from, to);
    let len = u16::try_from(payload.len() + 8).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(payload);
    out
}

/// RFC 9293, 3.1, with place for the checksum.
fn tcp(from: SocketAddr, to: SocketAddr, ours: u32, theirs: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = ports(from, to);
    out.extend_from_slice(&ours.to_be_bytes());
    out.extend_from_slice(&theirs.to_be_bytes());
    // Five words of header, PSH and ACK, the largest window, no urgent data.
    out.extend_from_slice(&[0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    out.extend_from_slice(payload);
    out
}

fn ports(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    [from.port().to_be_bytes(), to.port().to_be_bytes()].concat()
}

/// A packet of IP around a segment, whose checksum is filled in (RFC 791, RFC 8200).
fn ip(from: IpAddr, to: IpAddr, protocol: u8, mut segment: Vec<u8>) -> Vec<u8> {
    let len = segment.len();
    let mut pseudo = Vec::new();
    let mut packet = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let total = u16::try_from(len + 20).unwrap_or(u16::MAX);
            let mut header = vec![0x45, 0];
            header.extend_from_slice(&total.to_be_bytes());
            // No fragments, 64 hops.
            header.extend_from_slice(&[0, 0, 0x40, 0, 64, protocol, 0, 0]);
            pseudo.extend_from_slice(&from.octets());
            pseudo.extend_from_slice(&to.octets());
            header.extend_from_slice(&pseudo);
            let sum = checksum(&header).to_be_bytes();
            header[10..12].copy_from_slice(&sum);
            header
        }
        (from, to) => {
            let octets = |ip: IpAddr| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            let mut header = vec![0x60, 0, 0, 0];
            header.extend_from_slice(&u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
            header.extend_from_slice(&[protocol, 64]);
            pseudo.extend_from_slice(&octets(from));
            pseudo.extend_from_slice(&octets(to));
            header.extend_from_slice(&pseudo);
            header
        }
    };
    // RFC 9293, 3.1; RFC 8200, 8.1: both sum up to the same as words of 16 bits.
    pseudo.extend_from_slice(&(len as u32).to_be_bytes());
    pseudo.extend_from_slice(&[0, protocol]);
    pseudo.extend_from_slice(&segment);
    let sum = match checksum(&pseudo) {
        // RFC 768: nothing would mean that there is none.
        0 if protocol == UDP => u16::MAX,
        sum => sum,
    };
    let at = if protocol == UDP { 6 } else { 16 };
    segment[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    packet.append(&mut segment);
    packet
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2);
    let sum: u64 = words
        .map(|word| u64::from(word[0]) << 8 | u64::from(word.get(1).copied().unwrap_or(0)))
        .sum();
    let mut folded = sum;
    while folded > 0xffff {
        folded = (folded & 0xffff) + (folded >> 16);
    }
    !(folded as u16)
}

// Blocks and options, draft-ietf-opsawg-pcapng, 4.
const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
const MAGIC: u32 = 0x1a2b_3c4d;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
/// Raw IP, version 4 or 6 by its first bits.
const LINKTYPE_RAW: u16 = 101;
const LINKTYPE_UPPER_PDU: u16 = 252;
// The interfaces in the order in which the head has them.
const PLAIN: u32 = 0;
const DECRYPTED: u32 = 1;
const UDP: u8 = 17;
const TCP: u8 = 6;
// Wireshark, wsutil/exported_pdu_tlvs.h.
const TAG_END: u16 = 0;
const TAG_DISSECTOR: u16 = 12;
const TAG_IPV4_SOURCE: u16 = 20;
const TAG_IPV4_DESTINATION: u16 = 21;
const TAG_IPV6_SOURCE: u16 = 22;
const TAG_IPV6_DESTINATION: u16 = 23;
const TAG_PORT_TYPE: u16 = 24;
const TAG_SOURCE_PORT: u16 = 25;
const TAG_DESTINATION_PORT: u16 = 26;
const PORT_TYPE_TCP: u32 = 2;
/// A packet of IP has at most 65,535 bytes.
const MAX_SEGMENT: usize = 65_000;
/// Directions of streams that are remembered; above it, all numbers start again.
const MAX_LEVELS: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Duration = Duration::from_millis(1_500);

    /// The blocks of a capture: their kinds and bodies.
    fn blocks(mut bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let word =
            |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let mut blocks = Vec::new();
        while !bytes.is_empty() {
            let len = word(bytes, 4) as usize;
            assert_eq!((len % 4, word(bytes, len - 4) as usize), (0, len));
            blocks.push((word(bytes, 0), bytes[8..len - 4].to_vec()));
            bytes = &bytes[len..];
        }
        blocks
    }

    /// What was written for one message between two addresses: the interface, the time, the packets.
    fn written(transport: Transport, from: &str, to: &str, payload: &[u8]) -> Vec<Vec<u8>> {
        let mut capture = Capture::new();
        let head = blocks(&capture.take());
        let kinds: Vec<u32> = head.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [SECTION, INTERFACE, INTERFACE]);
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        capture.add(AT, transport, from, to, payload);
        let blocks = blocks(&capture.take());
        let packet = |(kind, body): (u32, Vec<u8>)| {
            assert_eq!(kind, PACKET);
            assert_eq!(body[4..12], [0, 0, 0, 0, 0x60, 0xe3, 0x16, 0]);
            let interface = u32::from(transport != Transport::Udp && transport != Transport::Tcp);
            assert_eq!(body[..4], interface.to_le_bytes());
            let len = u32::from_le_bytes(body[12..16].try_into().unwrap()) as usize;
            body[20..20 + len].to_vec()
        };
        blocks.into_iter().map(packet).collect()
    }

    #[test]
    fn eng_42_a_datagram_is_a_packet() {
        let packets = written(Transport::Udp, "10.0.0.1:5060", "10.0.0.2:5070", b"hello");
        let [packet] = &packets[..] else {
            panic!("{packets:?}")
        };
        assert_eq!(packet.len(), 20 + 8 + 5);
        // RFC 1071: with its own checksum in it, a header sums up to all ones.
        assert_eq!(checksum(&packet[..20]), 0);
        assert_eq!(packet[20..26], [0x13, 0xc4, 0x13, 0xce, 0, 13]);
        let mut pseudo = packet[12..20].to_vec();
        pseudo.extend([0, 17, 0, 13]);
        pseudo.extend(&packet[20..]);
        assert_eq!(checksum(&pseudo), 0);
        assert_eq!(&packet[28..], b"hello");
    }

    #[test]
    fn eng_42_what_is_too_long_for_a_packet_is_in_several() {
        let long = vec![b'x'; 100_000];
        let packets = written(Transport::Tcp, "[::1]:5060", "[::1]:5070", &long);
        let lens: Vec<usize> = packets.iter().map(|packet| packet.len() - 60).collect();
        assert_eq!(lens, [65_000, 35_000]);
        // The second begins where the first ends.
        assert_eq!(packets[1][44..48], 65_001_u32.to_be_bytes());
    }

    #[test]
    fn eng_42_what_was_secured_is_a_message_by_itself() {
        let packets = written(Transport::Tls, "10.0.0.1:5061", "10.0.0.2:7", b"hello");
        let expected = b"\0\x0c\0\x04sip\0\0\x14\0\x04\x0a\0\0\x01\0\x15\0\x04\x0a\0\0\x02\
            \0\x18\0\x04\0\0\0\x02\0\x19\0\x04\0\0\x13\xc5\0\x1a\0\x04\0\0\0\x07\0\0\0\0hello";
        assert_eq!(packets, [expected.to_vec()]);
    }
}
