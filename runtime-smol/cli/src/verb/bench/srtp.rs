//! A packet of speech, sealed and opened again and again, in its place.

use super::rounded;
use bytes::{BufMut as _, BytesMut};
use serde_json::{Value, json};
use sipsimple::{
    rtp::srtp::{MasterKey, Opener, Sealer},
    stream::SrtpProfile,
};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Every suite with one packet of 20 ms of G.711, in nanoseconds.
pub(super) fn seal(time: Duration) -> Value {
    let share = time / SrtpProfile::ALL.len() as u32;
    let all = SrtpProfile::ALL.into_iter().filter_map(|suite| {
        let [seal, open] = measure(suite, share)?;
        let figures = json!({
            "seal_ns": rounded(seal),
            "open_ns": rounded(open),
            // A packet each way every 20 ms.
            "streams_per_core": (20e6 / (seal + open)).round(),
        });
        Some((suite.suite().to_owned(), figures))
    });
    let suites: serde_json::Map<String, Value> = all.collect();
    json!({"bytes": HEAD + SPEECH, "suites": suites})
}

/// Nanoseconds to seal and to open: the best of several rounds.
fn measure(suite: SrtpProfile, time: Duration) -> Option<[f64; 2]> {
    let material = vec![0x3c; suite.key_len() + suite.salt_len()];
    let key = MasterKey::new(suite, &material)?;
    let (mut sealer, mut opener) = (Sealer::new(key.clone()), Opener::new(key));
    let mut packets = vec![BytesMut::new(); ROUND as usize];
    let mut sequence = 0_u16;
    let mut best = [Duration::MAX; 2];
    let until = Instant::now() + time;
    let mut rounds = 0;
    while rounds < 3 || Instant::now() < until {
        for packet in &mut packets {
            sequence = sequence.wrapping_add(1);
            packet.clear();
            // With room for any tag.
            packet.reserve(256);
            packet.put_slice(&[0x80, 0]);
            packet.put_u16(sequence);
            packet.put_u64(7);
            packet.put_bytes(0xd5, SPEECH);
        }
        let begun = Instant::now();
        for packet in &mut packets {
            sealer.seal_rtp(black_box(packet)).ok()?;
        }
        best[0] = begun.elapsed().min(best[0]);
        let begun = Instant::now();
        for packet in &mut packets {
            opener.open_rtp(begun, black_box(packet)).ok()?;
        }
        best[1] = begun.elapsed().min(best[1]);
        rounds += 1;
    }
    Some(best.map(|time| time.as_secs_f64() * 1e9 / f64::from(ROUND)))
}

const HEAD: usize = 12;
const SPEECH: usize = 160;
/// Packets in one round.
const ROUND: u32 = 2_000;
