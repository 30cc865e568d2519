//! Calls between two endpoints in memory: INVITE, 180, 200, ACK, BYE, 200, without sockets and media.

use crate::measure::call::crowd;
use divan::Bencher;

/// A whole call beside others that are established; both ends are measured together.
#[divan::bench(args = [0, 1_000, 10_000])]
fn call(bencher: Bencher<'_, '_>, others: usize) {
    let mut pair = crowd(others);
    bencher.bench_local(|| pair.whole_call());
    assert!(pair.invitations() >= others);
}
