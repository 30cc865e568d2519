//! What two agents of ICE take to agree on a pair.

use crate::measure::ice::{CANDIDATES, Pair};
use divan::Bencher;

#[divan::bench(args = CANDIDATES)]
fn both_ends(bencher: Bencher<'_, '_>, candidates: u8) {
    let mut pair = Pair::new(candidates);
    bencher.bench_local(|| pair.agree());
}
