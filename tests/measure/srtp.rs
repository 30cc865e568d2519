//! One packet of speech, sealed and opened.

use super::{Operation, rtp::SPEECH};
use bytes::{BufMut, BytesMut};
use rtp::srtp::{MasterKey, Opener, Profile, Sealer};
use std::{hint::black_box, time::Instant};

/// Both ends of a stream under one key.
pub(crate) struct Line {
    sealer: Sealer,
    opener: Opener,
    now: Instant,
    packet: BytesMut,
    sequence: u16,
}

impl Line {
    pub(crate) fn new(profile: Profile) -> Self {
        let material = [0x3c; 46];
        let material = &material[..profile.key_len() + profile.salt_len()];
        let key = MasterKey::new(profile, material).expect("a key of the right length");
        Self {
            sealer: Sealer::new(key.clone()),
            opener: Opener::new(key),
            now: Instant::now(),
            packet: BytesMut::with_capacity(256),
            sequence: 0,
        }
    }

    pub(crate) fn seal(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
        self.packet.clear();
        self.packet.put_slice(&[0x80, 0]);
        self.packet.put_u16(self.sequence);
        self.packet.put_u64(7);
        self.packet.put_slice(&SPEECH);
        let sealed = self.sealer.seal_rtp(black_box(&mut self.packet));
        assert_eq!(sealed, Ok(()));
    }

    pub(crate) fn open(&mut self) {
        let opened = self.opener.open_rtp(self.now, black_box(&mut self.packet));
        assert_eq!(opened, Ok(()));
    }
}

pub(crate) fn operations() -> Vec<Operation> {
    let of = |profile: Profile| {
        let seal = move || {
            let mut line = Line::new(profile);
            move || line.seal()
        };
        let both = move || {
            let mut line = Line::new(profile);
            move || {
                line.seal();
                line.open();
            }
        };
        [
            Operation::new(format!("srtp/{profile}/seal"), 1, seal),
            Operation::new(format!("srtp/{profile}/seal+open"), 1, both),
        ]
    };
    Profile::ALL.into_iter().flat_map(of).collect()
}
