//! What a check of ICE costs to read and prove, and to write.

use crate::measure::stun::{key, read, write};
use divan::Bencher;

#[divan::bench]
fn parse_and_verify(bencher: Bencher<'_, '_>) {
    let key = key();
    let check = write(&key);
    bencher.bench_local(|| read(&check, &key));
}

#[divan::bench]
fn build(bencher: Bencher<'_, '_>) {
    let key = key();
    bencher.bench_local(|| write(&key));
}
