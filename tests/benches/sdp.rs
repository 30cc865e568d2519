//! SDP: reading and writing of a plain and of a browser's description, and one negotiation.

use crate::measure::sdp::{self, session, text};
use ::sdp::Session;
use divan::{Bencher, black_box};

#[divan::bench(args = ["telephone", "browser"])]
fn parse(bencher: Bencher<'_, '_>, name: &str) {
    let text = text(name).as_bytes();
    bencher.bench_local(|| Session::parse(black_box(text)));
}

#[divan::bench(args = ["telephone", "browser"])]
fn print(bencher: Bencher<'_, '_>, name: &str) {
    let session = session(name);
    bencher.bench_local(|| black_box(&session).print());
}

/// From the text of an offer to the text of its answer.
#[divan::bench(args = ["telephone", "browser"])]
fn answer(bencher: Bencher<'_, '_>, name: &str) {
    let text = text(name).as_bytes();
    bencher.bench_local(|| sdp::answer(black_box(text)));
}
