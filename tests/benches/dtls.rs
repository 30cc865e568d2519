//! What a handshake takes, and the certificate of an agent.

use crate::measure::dtls::Pair;
use divan::Bencher;
use sipsimple::{base::Rng, dtls::Identity};

#[divan::bench]
fn handshake_of_both_ends(bencher: Bencher<'_, '_>) {
    let mut pair = Pair::new();
    bencher.bench_local(|| pair.shake());
}

#[divan::bench]
fn certificate(bencher: Bencher<'_, '_>) {
    let mut rng = Rng::from_seed([7; 32]);
    bencher.bench_local(|| Identity::generate(&mut rng));
}
