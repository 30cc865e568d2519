//! What protection costs a packet of 160 bytes.

use crate::measure::srtp::Line;
use divan::Bencher;
use rtp::srtp::Profile;

#[divan::bench(args = Profile::ALL)]
fn seal(bencher: Bencher<'_, '_>, profile: Profile) {
    let mut line = Line::new(profile);
    bencher.bench_local(|| line.seal());
}

#[divan::bench(args = Profile::ALL)]
fn seal_and_open(bencher: Bencher<'_, '_>, profile: Profile) {
    let mut line = Line::new(profile);
    bencher.bench_local(|| {
        line.seal();
        line.open();
    });
}
