//! Packets as tcpdump wrote them.

use crate::{
    Outcome,
    message::{Message, Seen},
    web::{self, Unit},
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::Path,
};

/// A UDP datagram or TCP segment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packet {
    /// Seconds of UNIX time.
    pub(crate) at: f64,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    /// Of a TCP segment: sequence number, and whether it is a SYN.
    pub(crate) sequence: Option<(u32, bool)>,
    pub(crate) payload: Vec<u8>,
}

/// Reads a capture of an Ethernet-like interface; a packet cut by the end of the file is left out.
pub(crate) fn read(path: &Path) -> Outcome<Vec<Packet>> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let is_known =
        bytes.get(..4) == Some(&MAGIC.to_le_bytes()) && word(&bytes, 20) == Some(ETHERNET);
    if !is_known {
        return Err(format!(
            "{}: not a capture of the expected form",
            path.display()
        ));
    }
    let mut packets = Vec::new();
    let mut at = 24;
    while let (Some(seconds), Some(micros), Some(length)) =
        (word(&bytes, at), word(&bytes, at + 4), word(&bytes, at + 8))
    {
        let Some(frame) = bytes.get(at + 16..at + 16 + length as usize) else {
            break;
        };
        let time = f64::from(seconds) + f64::from(micros) / 1e6;
        packets.extend(packet(time, frame));
        at += 16 + length as usize;
    }
    Ok(packets)
}

fn packet(at: f64, frame: &[u8]) -> Option<Packet> {
    let ip = &frame.get(14..)?;
    // Protocol, header, length of the packet, and source and destination.
    let (protocol, header, length, [source, destination]) = match frame.get(12..14)? {
        [0x08, 0x00] => {
            let address =
                |at: usize| Some(IpAddr::from(<[u8; 4]>::try_from(ip.get(at..at + 4)?).ok()?));
            let header = usize::from(ip.first()? & 15) * 4;
            let ends = [address(12)?, address(16)?];
            (*ip.get(9)?, header, usize::from(short(ip, 2)?), ends)
        }
        // RFC 8200, 3: nobody here sends extension headers.
        [0x86, 0xdd] => {
            let address = |at: usize| {
                Some(IpAddr::from(
                    <[u8; 16]>::try_from(ip.get(at..at + 16)?).ok()?,
                ))
            };
            let ends = [address(8)?, address(24)?];
            (*ip.get(6)?, 40, 40 + usize::from(short(ip, 4)?), ends)
        }
        _ => return None,
    };
    let inner = ip.get(header..length)?;
    let (sequence, payload) = match protocol {
        UDP => (None, inner.get(8..)?),
        TCP => {
            let sequence = u32::from_be_bytes(inner.get(4..8)?.try_into().ok()?);
            let is_syn = inner.get(13)? & 2 != 0;
            let header = usize::from(inner[12] >> 4) * 4;
            (Some((sequence, is_syn)), inner.get(header..)?)
        }
        _ => return None,
    };
    Some(Packet {
        at,
        source: SocketAddr::new(source, short(inner, 0)?),
        destination: SocketAddr::new(destination, short(inner, 2)?),
        sequence,
        payload: payload.to_vec(),
    })
}

/// Finds the SIP messages between us, who are at `port`, and anybody.
///
/// Connections that we open have another port of ours: whose peer is at `peer_port` is us, too.
pub(crate) fn messages(packets: &[Packet], port: u16, peer_port: u16) -> Outcome<Vec<Seen>> {
    let is_ours = |from: u16, to: u16| {
        let is_ours = from == port || to == peer_port;
        (is_ours || to == port || from == peer_port).then_some(is_ours)
    };
    let found = units(packets, is_ours, Message::of_datagram, Message::of_stream)?;
    let seen = found.into_iter().map(|(at, is_ours, message)| Seen {
        at,
        is_ours,
        message,
    });
    Ok(seen.collect())
}

/// Finds what passes between us and a server of WebSockets at `peer_port`: seconds, whether it is ours, and
/// what it is.
pub(crate) fn web_units(packets: &[Packet], peer_port: u16) -> Outcome<Vec<(f64, bool, Unit)>> {
    let is_ours =
        |from: u16, to: u16| (from == peer_port || to == peer_port).then_some(to == peer_port);
    units(packets, is_ours, |_| None, web::unit)
}

/// Cuts datagrams and streams into what stands in them; `is_ours` is asked for source and destination
/// ports, and says `None` of what is of no interest.
fn units<T>(
    packets: &[Packet],
    is_ours: impl Fn(u16, u16) -> Option<bool>,
    of_datagram: impl Fn(&[u8]) -> Option<T>,
    of_stream: impl Fn(&[u8]) -> Option<(T, usize)>,
) -> Outcome<Vec<(f64, bool, T)>> {
    let mut units = Vec::new();
    let mut streams: BTreeMap<(SocketAddr, SocketAddr), (u32, Vec<u8>)> = BTreeMap::new();
    for packet in packets {
        let Some(is_ours) = is_ours(packet.source.port(), packet.destination.port()) else {
            continue;
        };
        let at = packet.at;
        let Some((sequence, is_syn)) = packet.sequence else {
            units.extend(of_datagram(&packet.payload).map(|unit| (at, is_ours, unit)));
            continue;
        };
        let stream = streams
            .entry((packet.source, packet.destination))
            .or_default();
        if is_syn {
            *stream = (sequence.wrapping_add(1), Vec::new());
            continue;
        }
        // The acknowledgement of a FIN lies behind the last byte.
        if packet.payload.is_empty() {
            continue;
        }
        let known = stream.0.wrapping_sub(sequence) as usize;
        match packet.payload.get(known..) {
            Some(fresh) => {
                stream.1.extend_from_slice(fresh);
                stream.0 = stream.0.wrapping_add(fresh.len() as u32);
            }
            // A segment seen before.
            None if known <= 1 << 30 => continue,
            None => return Err("the capture has a hole".to_owned()),
        }
        while let Some((unit, length)) = of_stream(&stream.1) {
            stream.1.drain(..length);
            units.push((at, is_ours, unit));
        }
    }
    Ok(units)
}

/// Writes messages as a capture of datagrams between ports of SIP.
pub(crate) fn write(path: &Path, messages: &[Seen]) -> Outcome<()> {
    let mut bytes = Vec::new();
    for value in [MAGIC, 4 << 16 | 2, 0, 0, 65_535, RAW_IP] {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    for seen in messages {
        let payload = &seen.message.raw;
        let udp = u16::try_from(payload.len() + 8).map_err(|error| error.to_string())?;
        let whole = udp
            .checked_add(20)
            .ok_or("a message too long for a datagram")?;
        let micros = (seen.at.fract() * 1e6) as u32;
        for value in [seen.at as u32, micros, u32::from(whole), u32::from(whole)] {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        let (source, destination) = if seen.is_ours { (1u8, 2u8) } else { (2, 1) };
        bytes.extend_from_slice(&[0x45, 0]);
        bytes.extend_from_slice(&whole.to_be_bytes());
        bytes.extend_from_slice(&[0, 0, 0, 0, 64, UDP, 0, 0]);
        bytes.extend_from_slice(&[192, 0, 2, source, 192, 0, 2, destination]);
        for value in [SIP_PORT, SIP_PORT, udp, 0] {
            bytes.extend_from_slice(&value.to_be_bytes());
        }
        bytes.extend_from_slice(payload);
    }
    std::fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

const MAGIC: u32 = 0xa1b2_c3d4;
const ETHERNET: u32 = 1;
const RAW_IP: u32 = 101;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SIP_PORT: u16 = 5060;

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &[u8] = b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n";

    fn segment(sequence: u32, is_syn: bool, payload: &[u8]) -> Packet {
        Packet {
            at: 1.0,
            source: "192.0.2.1:5060".parse().unwrap(),
            destination: "192.0.2.2:4000".parse().unwrap(),
            sequence: Some((sequence, is_syn)),
            payload: payload.to_vec(),
        }
    }

    #[test]
    fn streams_are_put_together_once() {
        let start = u32::MAX - 4;
        let packets = [
            segment(start, true, b""),
            segment(start.wrapping_add(1), false, &OK[..10]),
            segment(start.wrapping_add(1), false, &OK[..10]),
            segment(start.wrapping_add(11), false, &OK[10..]),
            segment(start.wrapping_add(2 + OK.len() as u32), false, b""),
        ];
        let seen = messages(&packets, 5060, 9).unwrap();
        assert_eq!(seen.len(), 1);
        assert!(seen[0].is_ours);
        assert_eq!(seen[0].message.raw, OK);
        assert!(messages(&[packets[0].clone(), packets[3].clone()], 5060, 9).is_err());
    }

    #[test]
    fn a_frame_is_taken_apart() {
        let mut frame = vec![0; 12];
        frame.extend_from_slice(&[8, 0, 0x45, 0, 0, 31, 0, 0, 0, 0, 64, UDP, 0, 0]);
        frame.extend_from_slice(&[
            192, 0, 2, 1, 192, 0, 2, 2, 0x13, 0xc4, 0x13, 0xc5, 0, 11, 0, 0,
        ]);
        frame.extend_from_slice(b"abc and what pads the frame");
        let packet = packet(2.0, &frame).unwrap();
        assert_eq!(packet.source, "192.0.2.1:5060".parse().unwrap());
        assert_eq!(packet.destination, "192.0.2.2:5061".parse().unwrap());
        assert_eq!(
            (packet.payload.as_slice(), packet.sequence),
            (&b"abc"[..], None)
        );
        assert_eq!(super::packet(2.0, &frame[..40]), None);
    }

    #[test]
    fn a_frame_of_ipv6_is_taken_apart() {
        let mut frame = vec![0; 12];
        frame.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0, 0, 11, UDP, 64]);
        for end in [1, 2] {
            frame
                .extend_from_slice(&[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, end]);
        }
        frame.extend_from_slice(&[0x13, 0xc4, 0x13, 0xc5, 0, 11, 0, 0]);
        frame.extend_from_slice(b"abc and what pads the frame");
        let packet = packet(2.0, &frame).unwrap();
        assert_eq!(packet.source, "[2001:db8::1]:5060".parse().unwrap());
        assert_eq!(packet.destination, "[2001:db8::2]:5061".parse().unwrap());
        assert_eq!(packet.payload, b"abc");
        assert_eq!(super::packet(2.0, &frame[..60]), None);
    }
}
