//! One message, read and written again and again.

use super::{rounded, text};
use serde_json::{Value, json};
use sipsimple::sip::Message;
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Reading an INVITE with a description, and the headers that every transaction and dialog looks at.
pub(super) fn parse(time: Duration) -> Value {
    let bytes = bytes::Bytes::from(invite());
    let length = bytes.len();
    let read = || {
        let Ok(message) = Message::parse(black_box(bytes.clone())) else {
            return;
        };
        let headers = message.headers();
        let _ = black_box((headers.via(), headers.from(), headers.to()));
        let _ = black_box((headers.call_id(), headers.cseq(), headers.contact()));
        let _ = black_box(headers.max_forwards());
    };
    figures(length, time, read)
}

/// Writing it.
pub(super) fn print(time: Duration) -> Value {
    let text = invite();
    let length = text.len();
    let message = Message::parse(text.into());
    figures(length, time, || {
        if let Ok(message) = &message {
            drop(black_box(black_box(message).to_bytes()));
        }
    })
}

fn invite() -> Vec<u8> {
    let from = ([192, 0, 2, 1], 5060).into();
    let uri = "sip:bench@192.0.2.2";
    let to = "\"Bench\" <sip:bench@192.0.2.2>";
    text::request("INVITE", uri, to, 1, 1, from).into_bytes()
}

/// The best of several rounds: what else the machine does only makes it slower.
fn figures(length: usize, time: Duration, work: impl Fn()) -> Value {
    let mut best = Duration::MAX;
    let until = Instant::now() + time;
    let mut rounds = 0_u64;
    while rounds < 3 || Instant::now() < until {
        let begun = Instant::now();
        for _ in 0..ROUND {
            work();
        }
        best = best.min(begun.elapsed());
        rounds += 1;
    }
    let nanos = best.as_secs_f64() * 1e9 / f64::from(ROUND);
    json!({
        "messages": rounds * u64::from(ROUND),
        "bytes": length,
        "ns": rounded(nanos),
        "per_second": (1e9 / nanos).round(),
        "mb_per_second": rounded(length as f64 * 1e3 / nanos),
    })
}

/// Messages in one round.
const ROUND: u32 = 10_000;
