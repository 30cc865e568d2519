//! Traces of real calls, out of captures.

use super::trace::{Packet, Trace};
use std::{collections::BTreeMap, fs, path::Path};

/// The captures, and the ports that their speech goes to.
pub(super) const CAPTURES: [&str; 5] = [
    "sdk-traces/audio/capture.pcap",
    "sdk-traces/audio-ice/capture.pcap",
    "sdk-traces/audio-chat-tcp-transport/capture.pcap",
    "pcap/asterisk-testsuite/channels/pjsip/rtp_ptime/non-transcode/sipp/40msalaw.pcap",
    "pcap/asterisk-testsuite/channels/pjsip/dtmf_sdp/dtmf_sdp_recognition/sipp/ulaw-3125894607.pcap",
];

/// The longest stream of speech in a capture; `None` without the file.
pub(super) fn read(name: &str) -> Option<Trace> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/vectors")
        .join(name);
    let Ok(bytes) = fs::read(&path) else {
        println!("skipped: no {}", path.display());
        return None;
    };
    let streams = streams(&bytes);
    let longest = streams.into_values().max_by_key(Vec::len)?;
    Some(trace(&longest))
}

/// Sequence number, timestamp and time of arrival of the packets of each source.
fn streams(bytes: &[u8]) -> BTreeMap<u32, Vec<(u16, u32, i64)>> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let link = match word(20) {
        Some(1) => 14,
        Some(113) => 16,
        Some(276) => 20,
        other => panic!("link type {other:?}"),
    };
    let mut streams: BTreeMap<u32, Vec<_>> = BTreeMap::new();
    let mut at = 24;
    let mut begin = None;
    while let (Some(seconds), Some(micros), Some(length)) = (word(at), word(at + 4), word(at + 8)) {
        let frame = bytes.get(at + 16..at + 16 + length as usize).unwrap_or(&[]);
        at += 16 + length as usize;
        let time = i64::from(seconds) * 1_000_000 + i64::from(micros);
        let time = time - *begin.get_or_insert(time);
        // IPv4 without options, UDP.
        let Some([0x45, ..]) = frame.get(link..) else {
            continue;
        };
        if frame.get(link + 9) != Some(&17) {
            continue;
        }
        let Some(Ok(packet)) = frame.get(link + 28..).map(rtp::Packet::parse) else {
            continue;
        };
        let header = packet.header;
        if matches!(header.payload_type, 0 | 3 | 8 | 9 | 96..) && header.payload_type != 101 {
            let stream = streams.entry(header.ssrc).or_default();
            stream.push((header.sequence, header.timestamp, time));
        }
    }
    streams
}

fn trace(stream: &[(u16, u32, i64)]) -> Trace {
    let (first, begin, _) = stream[0];
    let step = |pair: &[(u16, u32, i64)]| pair[1].1.wrapping_sub(pair[0].1);
    let mut steps: Vec<u32> = stream.windows(2).map(step).collect();
    steps.sort_unstable();
    let units = steps[steps.len() / 2];
    // The rate is that at which the packets came.
    let mut times: Vec<i64> = stream
        .windows(2)
        .map(|pair| pair[1].2 - pair[0].2)
        .collect();
    times.sort_unstable();
    let length = (times[times.len() / 2] + 2_500) / 5_000 * 5_000;
    let clock_rate = (i64::from(units) * 1_000_000 / length) as u32;
    let spoken = |timestamp: u32| {
        i64::from(timestamp.wrapping_sub(begin) as i32) * length / i64::from(units)
    };
    let fastest = stream
        .iter()
        .map(|&(_, timestamp, time)| time - spoken(timestamp))
        .min();
    let fastest = fastest.unwrap_or(0);
    let mut packets: BTreeMap<u64, Packet> = BTreeMap::new();
    for &(sequence, timestamp, time) in stream {
        let sequence = u64::from(sequence.wrapping_sub(first)) + 1_000;
        let packet = Packet {
            sequence,
            timestamp,
            is_noise: false,
            earliest: fastest + spoken(timestamp),
            arrival: Some(time),
        };
        packets.entry(sequence).or_insert(packet);
    }
    // What never came has its place.
    let (begin, end) = (1_000, *packets.keys().last().unwrap_or(&1_000));
    let mut before: Option<Packet> = None;
    let packets = (begin..=end).filter_map(|sequence| {
        let packet = packets.get(&sequence).copied().or_else(|| {
            let before = before?;
            Some(Packet {
                sequence,
                timestamp: before.timestamp.wrapping_add(units),
                earliest: before.earliest + length,
                arrival: None,
                ..before
            })
        });
        before = packet.or(before);
        packet
    });
    Trace {
        packets: packets.collect(),
        clock_rate,
        length,
    }
}
