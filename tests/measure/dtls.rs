//! The handshake that gives media their keys, and what is left of it.

use super::{Operation, heap};
use sipsimple::{
    base::Rng,
    dtls::{Association, Expected, Identity, Keys, Output, Role},
};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Two ends with a certificate each, and nobody between them.
pub(crate) struct Pair {
    identities: [Identity; 2],
    now: Instant,
    rng: Rng,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let mut rng = Rng::from_seed([7; 32]);
        Self {
            identities: [0, 1].map(|_| Identity::generate(&mut rng)),
            now: Instant::now(),
            rng,
        }
    }

    /// Shakes hands: the client's end and the server's, both with keys.
    pub(crate) fn shake(&mut self) -> [Association; 2] {
        let mut ends = [0, 1].map(|end| self.end(end));
        let mut keys: [Option<Keys>; 2] = [None, None];
        let mut is_quiet = false;
        while !is_quiet {
            is_quiet = true;
            for end in 0..2 {
                while let Some(output) = ends[end].poll_output(self.now) {
                    is_quiet = false;
                    match output {
                        Output::Transmit(datagram) => {
                            ends[1 - end].handle_datagram(self.now, &datagram);
                        }
                        Output::Keyed(known) => keys[end] = Some(known),
                        Output::Failed(failure) => panic!("{failure}"),
                    }
                }
            }
        }
        assert!(keys.iter().all(Option::is_some));
        ends
    }

    /// One end before it has said anything.
    fn end(&mut self, end: usize) -> Association {
        let fingerprint = self.identities[1 - end].fingerprint();
        let expected = Expected::new([("sha-256", &fingerprint[..])]).expect("a known hash");
        let role = [Role::Active, Role::Passive][end];
        let (identity, rng) = (&self.identities[end], self.rng.fork());
        let unix = Duration::from_secs(1_735_689_600);
        Association::new(self.now, unix, role, identity, expected, rng)
    }
}

/// Bytes of an association at rest: the client's, the server's.
pub(crate) fn weigh(count: usize) -> [usize; 2] {
    let mut pair = Pair::new();
    drop(pair.shake());
    let mut bytes = [0, 0];
    for _ in 0..count {
        // What it gives back is what it had.
        for (end, bytes) in pair.shake().into_iter().zip(&mut bytes) {
            let before = heap::live();
            drop(end);
            *bytes += usize::try_from(before - heap::live()).unwrap_or_default();
            *bytes += size_of::<Association>();
        }
    }
    bytes.map(|bytes| bytes / count)
}

pub(crate) fn operations() -> Vec<Operation> {
    let handshake = || {
        let mut pair = Pair::new();
        move || drop(black_box(pair.shake()))
    };
    vec![Operation::new("dtls/handshake, both ends", 1, handshake)]
}
